"""Two forwarders on one port: to clients and operators they are one."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.forwarder.behaviours import GOOD, answers, zone
from tests.forwarder.client import query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.crew import SOCKETS, Crew, crew
from tests.forwarder.program import ROOT, run
from tests.forwarder.scripted import Act, Asked
from tests.realapi.ports import free_port
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

TWO = "192.0.2.2"
RETRY_S = 2.0  # of a client


def loads(pair: Crew) -> dict[int, int]:
    """Return how many queries each worker had."""
    shown = pair.forwarder.status()["workers"]
    return {each["number"]: each["hits"] + each["misses"] for each in shown}


# Clients


def test_a_thousand_clients_are_dealt_out_evenly(start: Start, server: StartServer) -> None:
    """Within 20 % of an even share, over UDP; over TCP both get some."""
    pair = crew(start, f"--server={server().server}")
    before = loads(pair)
    for _ in range(5):
        assert pair.looks("www.example.", sockets=200) == {GOOD: 200}
    middle = loads(pair)
    shares = {number: middle[number] - before[number] for number in middle}
    assert sum(shares.values()) == 1000
    assert all(400 <= share <= 600 for share in shares.values()), shares
    for _ in range(SOCKETS):
        assert pair.forwarder.look("www.example.", tcp=True) == {GOOD}
    assert all(loads(pair)[number] > middle[number] for number in middle)


def test_all_addresses_of_the_machine(start: Start, server: StartServer) -> None:
    """A wildcard, and beside it a socket of each local address: each is shared."""
    pair = crew(start, f"--server={server().server}", "--listen-address=0.0.0.0")
    for address in ("127.0.0.1", "127.64.7.9"):
        pair.forwarder.address = address
        before = loads(pair)
        assert pair.looks("www.example.") == {GOOD: SOCKETS}
        after = loads(pair)
        assert all(after[number] > before[number] for number in after), address


def test_four_workers(start: Start, server: StartServer) -> None:
    group = crew(start, f"--server={server().server}", count=4)
    assert group.looks("www.example.", sockets=200) == {GOOD: 200}
    assert all(load > 0 for load in loads(group).values())


# Operators


def test_statistics_are_those_of_all(start: Start, server: StartServer) -> None:
    """CHAOS names, /metrics, /status and the report of SIGUSR1 tell the same sums."""
    upstream = server()
    pair = crew(start, f"--server={upstream.server}")
    forwarder = pair.forwarder
    asked = 200
    pair.looks("www.example.", sockets=asked)
    misses = len(upstream.questions("www.example."))
    assert misses == 2, "each has a cache of its own"
    chaos = sum(int(forwarder.statistic(f"{name}.bind")) for name in ("hits", "misses"))
    own = chaos - asked  # its first answer, and the questions for statistics themselves
    assert 0 < own < 20
    assert int(forwarder.statistic("misses.bind")) == misses
    assert int(forwarder.statistic("insertions.bind")) == misses
    assert forwarder.statistic("cachesize.bind") == "150"
    assert forwarder.statistic("servers.bind") == f"{upstream.server} {misses} 0"
    assert forwarder.metric("kubedns_forwarder_misses_total") == misses
    hits = forwarder.metric("kubedns_forwarder_hits_total")
    assert hits == int(forwarder.statistic("hits.bind")) - 1
    status = forwarder.status()
    assert status["cache"]["hits"] == hits + 1
    assert status["cache"]["misses"] == misses
    assert sum(each["hits"] for each in status["workers"]) == hits + 1
    assert forwarder.metric("kubedns_forwarder_upstream_requests_total") == misses
    assert forwarder.metric("kubedns_forwarder_workers") == 2
    (sent,) = (each["sent"] for each in status["routes"][-1]["upstreams"])
    assert sent == misses
    forwarder.send_signal(signal.SIGUSR1)
    (line,) = forwarder.logs("queries forwarded")
    assert f"queries forwarded {misses}, queries answered locally {hits + 1:g}" in line
    forwarder.send_signal(signal.SIGUSR1)
    assert len(forwarder.logs("queries forwarded", 2)) == 2, "one report each time"
    assert len(forwarder.logs(f"server {upstream.server}: queries sent {misses}", 2)) == 2


def test_pages_are_there_whoever_is_frozen(start: Start, server: StartServer) -> None:
    pair = crew(start, f"--server={server().server}")
    pair.looks("www.example.")
    before = pair.forwarder.metric("kubedns_forwarder_hits_total")
    frozen = pair.workers()[0]
    frozen.send_signal(signal.SIGSTOP)
    for _ in range(5):
        assert pair.forwarder.page("/healthz") == (200, "ok\n")
        assert pair.forwarder.metric("kubedns_forwarder_hits_total") >= before
    pair.anew(frozen)


def test_what_all_say_alike_is_said_once(start: Start, server: StartServer) -> None:
    """Of the start and of a changed ConfigMap, which reaches both."""
    stub = server(answers(f"@ 300 IN A {TWO}"))
    pair = crew(start, f"--server={server().server}")
    forwarder = pair.forwarder
    for number in range(1, 4):
        forwarder.configure({"stubDomains": f'{{"acme{number}.local": ["{stub.nameserver}"]}}'})
        question = f"www.acme{number}.local."
        until(lambda q=question: pair.looks(q), lambda found: found == {TWO: SOCKETS})
        status = forwarder.status()
        assert list(status["config"]["stub_domains"]) == [f"acme{number}.local"]
    forwarder.configure({"stubDomains": "broken"})
    becomes(lambda: len(forwarder.status()["config"]["errors"]), 1)
    becomes(lambda: forwarder.metric("kubedns_forwarder_config_errors_total"), 1)
    log = forwarder.log()
    assert log.count("started, version") == 1
    assert log.count("answering on port") == 1
    for number in range(1, 4):
        assert len(re.findall(rf"using nameserver .* for domain acme{number}\.local", log)) == 1
    assert log.count("stubDomains stays as it was") == 1
    assert len(forwarder.status()["warnings"]) == 1


def test_sighup_reaches_all(start: Start, server: StartServer) -> None:
    upstream = server(zone("www.example. 300 IN A 192.0.2.1"))
    pair = crew(start, f"--server={upstream.server}")
    assert pair.looks("www.example.") == {"192.0.2.1": SOCKETS}
    upstream.play = zone(f"www.example. 300 IN A {TWO}")
    pair.forwarder.send_signal(signal.SIGHUP)
    until(lambda: pair.looks("www.example."), lambda found: found == {TWO: SOCKETS})
    assert len(pair.forwarder.logs("cleared cache")) == 1


def test_a_loop_is_found_whichever_worker_the_probe_comes_back_to(
    start: Start, server: StartServer
) -> None:
    """And both of them leave the server out."""
    port, good = free_port(), server()

    def node(asked: Asked) -> Sequence[Act]:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:  # from another port each time
            sock.sendto(asked.wire, ("127.0.0.1", port))
        return []

    looping = server(node)
    pair = crew(
        start, f"--server={looping.server}", f"--server={good.server}", "--dns-loop-detect",
        port=port,
    )  # fmt: skip
    pair.forwarder.logs("loop detected")
    until(lambda: pair.forwarder.status()["looping_servers"] == [looping.server])
    until(lambda: pair.forwarder.metric("kubedns_forwarder_upstream_looping") == 1)
    asked = len(looping.asked)
    assert pair.looks("www.example.") == {GOOD: SOCKETS}
    assert {each.name for each in looping.asked[asked:]} & {"www.example."} == set()


def test_a_number_of_workers_that_cannot_be() -> None:
    for text in ("0", "-1", "x", "65"):
        status, lines = run(nanny=[f"--workers={text}"])
        assert (status, len(lines)) == (2, 1), lines
        assert "--workers" in lines[0]


def test_a_port_that_is_taken_is_found_even_if_workers_of_another_have_it(
    start: Start, server: StartServer
) -> None:
    """The port can be shared, but not with somebody else."""
    behind = f"--server={server().server}"
    pair = crew(start, behind)
    for nanny in (["--workers=2"], []):
        status, lines = run(behind, nanny=nanny, port=pair.forwarder.port)
        assert status == 255
        assert "cannot listen on tcp" in lines[-1]
    admin = ["--workers=2", f"--admin-address=127.0.0.1:{pair.forwarder.port}"]
    status, lines = run(behind, nanny=admin)
    assert status == 255
    assert "cannot listen on tcp" in lines[-1]


def test_a_start_that_fails_in_a_worker_ends_all() -> None:
    status, lines = run("--user=nobody-of-that-name", nanny=["--workers=3"])
    if psutil.Process().uids().effective == 0:
        assert status == 255
        assert "nobody-of-that-name" in lines[-1]
        assert sum("nobody-of-that-name" in line for line in lines) == 1


def test_one_worker_is_one_process_without_any_of_this(start: Start, server: StartServer) -> None:
    forwarder = start(f"--server={server().server}", nanny=["--workers=1"])
    assert psutil.Process(forwarder.pid).children() == []
    assert "workers" not in forwarder.status()
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, dnsmasq_py.__main__, dnsmasq_py.service; "
         "print([name for name in sys.modules if 'workers' in name])"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert loaded.stdout == "[]\n"


# Ends


def test_sigterm_drains_all_of_them(start: Start, server: StartServer) -> None:
    pair = crew(start, f"--server={server().server}", nanny=["--drain=3s"])
    workers = pair.workers()
    pair.forwarder.send_signal(signal.SIGTERM)
    becomes(lambda: pair.forwarder.page("/healthz"), (503, "shutting down\n"))
    ends = time.monotonic() + 1.5
    while time.monotonic() < ends:
        assert pair.looks("www.example.") == {GOOD: SOCKETS}
    assert pair.forwarder.ended() == 0
    assert not any(map(psutil.Process.is_running, workers))
    assert pair.forwarder.log().count("draining") == 1


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM]])
def test_other_ends_are_at_once(
    start: Start, server: StartServer, signals: list[signal.Signals]
) -> None:
    pair = crew(start, f"--server={server().server}", nanny=["--drain=1h"])
    pair.forwarder.told_to_end = True
    workers = pair.workers()
    for number in signals:
        pair.forwarder.send_signal(number)
        time.sleep(0.2)
    assert pair.forwarder.ended() == 0
    assert not any(map(psutil.Process.is_running, workers))


def test_signals_to_the_whole_group_are_the_parents(start: Start, server: StartServer) -> None:
    """A terminal sends ^C to every process; workers leave it to the parent."""
    pair = crew(start, f"--server={server().server}")
    workers = pair.workers()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        for each in workers:
            each.send_signal(number)
    assert pair.looks("www.example.") == {GOOD: SOCKETS}
    assert pair.workers() == workers
    for each in (*workers, psutil.Process(pair.forwarder.pid)):
        each.send_signal(signal.SIGINT)
    pair.forwarder.told_to_end = True
    assert pair.forwarder.ended() == 0


def test_without_their_parent_workers_end(start: Start, server: StartServer) -> None:
    """A supervisor starts the whole anew; the port must be free for it."""
    pair = crew(start, f"--server={server().server}")
    workers = pair.workers()
    pair.forwarder.told_to_end = True
    pair.forwarder.send_signal(signal.SIGKILL)
    until(lambda: not any(each.is_running() for each in workers), wanted="their end")


def test_a_killed_worker_is_replaced_at_once(start: Start, server: StartServer) -> None:
    """Clients that ask once more are all answered; what was counted stays counted."""
    upstream = server()
    pair = crew(start, f"--server={upstream.server}")
    pair.looks("www.example.")
    before = pair.forwarder.metric("kubedns_forwarder_hits_total")
    for number in (0, 1, 0):
        killed = pair.each(number)
        killed.kill()
        lost = pair.looks("www.example.", within_s=RETRY_S)[""]
        assert not lost or pair.looks("www.example.", sockets=lost) == {GOOD: lost}
        assert pair.anew(killed)
        assert pair.looks("www.example.") == {GOOD: SOCKETS}
        assert pair.forwarder.metric("kubedns_forwarder_hits_total") > before
    assert pair.forwarder.metric("kubedns_forwarder_worker_ends_total") == 3
    assert len(pair.forwarder.logs("ended with signal 9: starting it again", 3)) == 3
    assert all(load > 0 for load in loads(pair).values())


def test_a_frozen_worker_is_replaced(start: Start, server: StartServer) -> None:
    """Its clients are answered within seconds; nobody else waits at all."""
    pair = crew(start, f"--server={server().server}")
    frozen = pair.each(1)
    frozen.send_signal(signal.SIGSTOP)
    wire = query("www.example.").to_wire()
    replies = Counter(None if each is None else "answered" for each in pair.forwarder.together(
        [wire] * SOCKETS, within_s=1.0
    ))  # fmt: skip
    assert replies["answered"] > 0
    pair.anew(frozen)
    assert not frozen.is_running()
    assert pair.looks("www.example.") == {GOOD: SOCKETS}
    pair.forwarder.logs("nothing heard of it for 2 s")


def test_a_worker_started_again_has_the_port_and_no_rights(
    start: Start, server: StartServer
) -> None:
    """The parent keeps its user, as the original's nanny did; workers are --user."""
    if psutil.Process().uids().effective != 0:
        pytest.skip("only root can become somebody else")
    pair = crew(start, f"--server={server().server}", "--user=nobody", port=_low_port())
    for _ in range(2):
        until(lambda: all(each.uids().real != 0 for each in pair.workers()))
        killed = pair.each(0)
        killed.kill()
        pair.anew(killed)
        assert pair.looks("www.example.") == {GOOD: SOCKETS}
        assert all(load > 0 for load in loads(pair).values())


def _low_port() -> int:
    for port in range(700, 1000):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port below 1000")


def test_a_log_file_has_the_lines_of_all(start: Start, server: StartServer, tmp_path: Path) -> None:
    """SIGUSR2 opens it anew in every worker."""
    file, conf = tmp_path / "dns.log", tmp_path / "dns.conf"
    conf.write_text(f"log-facility={file}\n")  # which overrides the command line
    forwarder = start(
        f"--server={server().server}", "--log-queries", f"--conf-file={conf}",
        nanny=["--workers=2", "--log-queries-rate=0"],
    )  # fmt: skip
    until(lambda: "2 workers answer" in file.read_text())

    def writers(name: str) -> set[str]:
        assert None not in forwarder.together([query(name).to_wire()] * SOCKETS)
        lines = file.read_text().splitlines() if file.exists() else []
        return {
            line.split("dnsmasq")[1].split("]")[0] for line in lines if f"query[A] {name}" in line
        }

    until(lambda: writers("one.example"), lambda found: len(found) == 2)
    file.rename(tmp_path / "dns.log.1")
    forwarder.send_signal(signal.SIGUSR2)
    until(lambda: writers("two.example"), lambda found: len(found) == 2)


def test_each_worker_has_a_hot_file_of_its_own(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """And begins with what is in it."""
    file, upstream = tmp_path / "hot", server()
    for found in (0, 2):
        pair = crew(start, f"--server={upstream.server}", nanny=[f"--hot-file={file}"])
        assert pair.forwarder.metric("kubedns_forwarder_warm_questions") >= found
        for _ in range(3):
            assert pair.looks("www.example.") == {GOOD: SOCKETS}
        pair.forwarder.stop()
        pair.forwarder.told_to_end = True
        assert file.exists()
        assert file.with_name("hot.1").exists()
