"""Signals, neighbours that come and go, the published command line: what a node's operator does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.message
import pytest

from tests.forwarder.behaviours import (
    GOOD,
    REFUSED,
    answers,
    fails,
    late,
    quick,
    silent,
    zone,
)
from tests.forwarder.client import Client, data, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.peers import original
from tests.forwarder.program import NO_LOCAL_FILES, ROOT, ours, run
from tests.forwarder.scripted import Act, Asked
from tests.realapi.mounted import mount
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

TWO = "192.0.2.2"
DEMO = ROOT / "manifests" / "demo"
WEB = "web.shop.svc.cluster.local."


# Signals


def test_sigterm_drains(start: Start, server: StartServer) -> None:
    """Unready at once, answering for the time that was asked for, then the end with status 0."""
    forwarder = start(f"--server={server().server}", nanny=["--drain=5s"])
    assert forwarder.page("/healthz") == (200, "ok\n")
    forwarder.send_signal(signal.SIGTERM)
    becomes(lambda: forwarder.page("/healthz"), (503, "shutting down\n"))
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        assert forwarder.look("hit.example.") == {GOOD}
        assert forwarder.look(f"{time.monotonic_ns()}.example.", tcp=True) == {GOOD}
        assert forwarder.page("/healthz")[0] == 503
    assert forwarder.status()["draining"] is True
    assert forwarder.ended() == 0


def test_a_second_signal_ends_it_at_once(start: Start, server: StartServer) -> None:
    forwarder = start(f"--server={server().server}", nanny=["--drain=1h"])
    forwarder.send_signal(signal.SIGTERM)
    forwarder.logs("draining")
    forwarder.send_signal(signal.SIGTERM)
    assert forwarder.ended() == 0


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_signals_in_any_number_change_nothing(
    start: Start, server: StartServer, first: signal.Signals
) -> None:
    """Also those that come while the process is ending."""
    forwarder = start(f"--server={server().server}", nanny=["--drain=10s"])
    forwarder.told_to_end = True
    number = first
    while forwarder.alive():
        forwarder.send_signal(number)
        number = signal.SIGTERM if number == signal.SIGINT else signal.SIGINT
        time.sleep(0.002)
    assert forwarder.ended() == 0
    assert "Traceback" not in forwarder.log()


def test_draining_with_questions_on_their_way(start: Start, server: StartServer) -> None:
    """An answer that takes three seconds is waited for."""
    slow = server(late(answers(f"@ 300 IN A {TWO}"), 3.0))
    forwarder = start(f"--server={slow.server}", nanny=["--drain=6s"])
    with forwarder.volley([query("www.example.").to_wire()]) as volley:
        slow.wait_for("www.example.")
        forwarder.send_signal(signal.SIGTERM)
        (answer,) = volley.replies()
        assert answer is not None
        assert data(dns.message.from_wire(answer)) == {TWO}
    assert forwarder.ended() == 0


def test_sighup_forgets_everything_and_reads_hosts_again(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """Answers, missing names and failures; the questions after it are asked anew."""
    upstream = server()
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.10 printer.example\n")
    forwarder = start(
        f"--server={upstream.server}", f"--addn-hosts={hosts}", local_files=["--no-resolv"]
    )
    upstream.play = zone("www.example. 300 IN A 192.0.2.1")
    for _ in range(2):
        assert forwarder.look("www.example.") == {GOOD}
        assert forwarder.look("none.example.") == {"NXDOMAIN"}
    upstream.play = fails(2)
    for _ in range(2):
        assert forwarder.look("broken.example.") == {"SERVFAIL"}
    upstream.play = answers(f"@ 300 IN A {TWO}")
    asked = len(upstream.asked)
    assert forwarder.look("www.example.") == {GOOD}
    assert forwarder.look("none.example.") == {"NXDOMAIN"}
    assert forwarder.look("broken.example.") == {"SERVFAIL"}
    assert len(upstream.asked) == asked
    hosts.write_text("192.0.2.11 printer.example scanner.example\n")
    assert forwarder.look("printer.example.") == {"192.0.2.10"}
    before = forwarder.statistic("hits.bind")
    forwarder.send_signal(signal.SIGHUP)
    forwarder.logs("cleared cache")
    becomes(lambda: forwarder.look("printer.example."), {"192.0.2.11"})
    for name in ("www.example.", "none.example.", "broken.example."):
        assert forwarder.look(name) == {TWO}
    assert forwarder.look("scanner.example.") == {"192.0.2.11"}
    forwarder.logs(f"read {hosts} - 2 names")
    assert int(forwarder.statistic("hits.bind")) > int(before), "counters stay"


def shapes(lines: Sequence[str]) -> list[str]:
    """Return what is told by dnsmasq, numbers and addresses left out."""
    told = [line.split("]: ", 1)[1] for line in lines if re.search(r"dnsmasq\[\d+\]: ", line)]
    return [re.sub(r"[\d.]+", "N", each) for each in told]


def test_sigusr1_tells_what_the_original_tells(
    start: Start, server: StartServer, tools: None, tmp_path: Path
) -> None:
    """Line by line; what is beside the numbers is the same."""
    upstream = server()
    told = []
    forwarder = start(f"--server={upstream.server}")
    with original(tmp_path, *NO_LOCAL_FILES, f"--server={upstream.server}") as theirs:
        theirs.look("www.example.")
        before = len(theirs.program.output())
        theirs.program.send(signal.SIGUSR1)
        until(lambda: "queries sent" in theirs.program.output())
        told = shapes(theirs.program.output()[before:].splitlines())
    for _ in range(3):
        assert forwarder.look("www.example.") == {GOOD}
    forwarder.send_signal(signal.SIGUSR1)
    forwarder.logs("queries sent")
    ours = shapes(forwarder.log().splitlines())
    assert {line for line in told if not re.match("queries for auth|DNSSEC|child|pool", line)} <= {
        *ours
    }
    (line,) = forwarder.logs("queries forwarded")
    assert line.endswith("queries forwarded 1, queries answered locally 3"), "one was a CHAOS name"


def test_statistics_from_time_to_time(start: Start, server: StartServer) -> None:
    """-logInterval, as the nanny had it."""
    forwarder = start(f"--server={server().server}", nanny=["-logInterval=1s"])
    forwarder.logs("cache insertions re-used", count=2)


def test_sigusr2_opens_the_log_file_anew(start: Start, server: StartServer, tmp_path: Path) -> None:
    file, moved, conf = tmp_path / "dns.log", tmp_path / "dns.log.1", tmp_path / "dns.conf"
    conf.write_text(f"log-facility={file}\n")  # which overrides the command line
    forwarder = start(f"--server={server().server}", "--log-queries", f"--conf-file={conf}")
    assert forwarder.look("one.example.") == {GOOD}
    until(lambda: "query[A] one.example from 127.0.0.1" in file.read_text())
    file.rename(moved)
    assert forwarder.look("two.example.") == {GOOD}
    until(lambda: "query[A] two.example" in moved.read_text())
    forwarder.send_signal(signal.SIGUSR2)
    until(file.exists)
    assert forwarder.look("three.example.") == {GOOD}
    until(lambda: "query[A] three.example" in file.read_text())
    assert "three" not in moved.read_text()


def test_other_signals_have_no_effect(start: Start, server: StartServer) -> None:
    """A client or a reader of the log that goes away at a bad moment."""
    forwarder = start(f"--server={server().server}")
    for number in (signal.SIGPIPE, signal.SIGCONT, signal.SIGWINCH):
        forwarder.send_signal(number)
    assert forwarder.look("www.example.") == {GOOD}


# The end before the beginning


def test_the_exit_status_tells_what_was_wrong() -> None:
    """2: a flag of the nanny; 1: an option of dnsmasq; 255: what the machine refuses. One line."""
    port = free_port()
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        found = run(*NO_LOCAL_FILES, port=port)
    cases = [
        (run(nanny=["-nonsense"]), 2, "nonsense"),
        (run(nanny=["--cache-bytes=many"]), 2, "cache-bytes"),
        (run("--nonsense"), 1, "nonsense"),
        (run("--dhcp-range=10.0.0.1,10.0.0.9"), 1, "dhcp-range"),
        (found, 255, f"127.0.0.1:{port}"),
        (run(*NO_LOCAL_FILES, "--user=nobody-of-that-name"), 255, "nobody-of-that-name"),
    ]
    for (status, lines), expected, text in cases:
        said = [line for line in lines if line.startswith("dnsmasq-nanny: ")]
        assert (status, len(said)) == (expected, 1), lines
        assert text in said[0]
        assert not any("Traceback" in line for line in lines)


def test_a_dnsmasq_option_in_front_of_the_dashes_is_pointed_out() -> None:
    status, lines = run(nanny=["--cache-size=1000"])
    assert status == 2
    assert "behind --" in lines[-1]


# Neighbours


@contextmanager
def kubedns(folder: Path, port: int, *args: str) -> Iterator[Program]:
    """Run a real kubedns with the demo cluster, records for a second, and nobody to ask."""
    program = Program(
        [sys.executable, "-m", "kubedns", "--objects", DEMO, "--ttl=1", "--negative-ttl=1",
         "--dns-bind-address=127.0.0.1", f"--dns-port={port}", "--healthz-port=0",
         "--status-address=", "--lame-duck=0s", "--nameservers=127.0.0.1:1", *args],
        log=folder / "kubedns.log",
        environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        until(Client("127.0.0.1", port).listens, wanted="an answer")
        yield program
    finally:
        program.stop()


def of_cluster(port: int) -> list[str]:
    """Return the options of the published manifest for a cluster server."""
    return [
        f"--server=/{domain}/127.0.0.1#{port}"
        for domain in ("cluster.local", "in-addr.arpa", "ip6.arpa")
    ]


def test_kubedns_goes_and_comes_back(start: Start, server: StartServer, tmp_path: Path) -> None:
    """Known names of the cluster are served for a while, external ones do not care."""
    port, outside = free_port(), server()
    options = *of_cluster(port), f"--server={outside.server}"
    with kubedns(tmp_path, port):
        forwarder = start(*options, nanny=[f"-kubednsServer=127.0.0.1:{port}"])
        forwarder.logs("cluster server", count=1)
        assert forwarder.look(WEB) == {"10.96.20.1"}
        assert forwarder.look("10.1.244.10.in-addr.arpa.", "PTR") == {
            "stock-0.stock.shop.svc.cluster.local."
        }
    time.sleep(1.1)  # what is known has expired now
    for _ in range(3):
        reply = forwarder.ask(WEB)
        assert data(reply) == {"10.96.20.1"}
        assert reply.answer[0].ttl <= 5
        assert forwarder.look("www.example.") == {GOOD}
        assert forwarder.look(f"n{time.monotonic_ns()}.example.") == {GOOD}
    assert forwarder.look(f"dual.{WEB.partition('.')[2]}") == {"SERVFAIL"}, "never asked before"
    assert forwarder.metric("kubedns_forwarder_stale_answers_total") >= 3
    assert forwarder.page("/healthz") == (200, "ok\n")
    with kubedns(tmp_path, port):
        becomes(lambda: forwarder.look(f"dual.{WEB.partition('.')[2]}"), {"10.96.20.3"})
        until(lambda: forwarder.ask(WEB).answer[0].ttl <= 1 and not forwarder.ask(WEB).options)


def test_ours_is_asked_without_recursion(start: Start, server: StartServer, tmp_path: Path) -> None:
    """What is not the cluster's it leaves to us: other reverse names go to the default servers."""
    port, outside = free_port(), server(answers("@ 300 IN PTR host.example."))
    with kubedns(tmp_path, port):
        forwarder = start(
            *of_cluster(port), f"--server={outside.server}",
            nanny=[f"-kubednsServer=127.0.0.1:{port}"],
        )  # fmt: skip
        forwarder.logs("cluster server")
        assert forwarder.look("9.2.0.192.in-addr.arpa.", "PTR") == {"host.example."}
        assert forwarder.look("1.0.96.10.in-addr.arpa.", "PTR") == {
            "kubernetes.default.svc.cluster.local."
        }


@pytest.mark.parametrize(("version", "recursion"), [("kube-dns-py 9.9", 0), ("dnsmasq-2.90", 1)])
def test_recursion_is_desired_from_another_make(
    start: Start, server: StartServer, version: str, recursion: int
) -> None:
    def play(asked: Asked) -> Sequence[Act]:
        if asked.rdtype == "TXT":
            return answers(f'@ 0 CH TXT "{version}"')(asked)
        return answers("@ 30 IN A 10.96.0.1")(asked)

    neighbour = server(play)
    forwarder = start(
        f"--server=/cluster.local/{neighbour.server}",
        nanny=[f"-kubednsServer={neighbour.nameserver}"],
    )
    neighbour.wait_for("version.bind.")
    if not recursion:
        forwarder.logs("cluster server")
    assert forwarder.look(WEB) == {"10.96.0.1"}
    (asked,) = neighbour.questions(WEB)
    assert asked.wire[2] & 1 == recursion


def test_a_neighbour_that_is_dnsmasq(
    start: Start, server: StartServer, tools: None, tmp_path: Path
) -> None:
    """It knows names of the cluster, and asks others for the rest, as the original kubedns did."""
    behind = server(answers("@ 300 IN PTR host.example."))
    local = [
        "--host-record=web.shop.svc.cluster.local,10.96.20.1", "--local=/cluster.local/",
        "--host-record=six.shop.svc.cluster.local,fd00::6",
    ]  # fmt: skip
    with original(tmp_path, *NO_LOCAL_FILES, *local, f"--server={behind.server}") as neighbour:
        forwarder = start(
            *of_cluster(neighbour.port), f"--server={server(fails(REFUSED)).server}",
            nanny=[f"-kubednsServer={neighbour.nameserver}"],
        )  # fmt: skip
        for tcp in (False, True):
            assert forwarder.look(WEB, tcp=tcp) == {"10.96.20.1"}
            assert forwarder.look("six.shop.svc.cluster.local.", "AAAA", tcp=tcp) == {"fd00::6"}
            assert forwarder.look("1.20.96.10.in-addr.arpa.", "PTR", tcp=tcp) == {WEB}
            assert forwarder.look("nope.svc.cluster.local.", tcp=tcp) == {"NXDOMAIN"}
            assert forwarder.look("9.2.0.192.in-addr.arpa.", "PTR", tcp=tcp) == {"host.example."}
        assert all(asked.wire[2] & 1 for asked in behind.asked), "RD is passed on"


def test_nobody_is_taken_for_kubedns_who_was_not_named(start: Start, server: StartServer) -> None:
    """Without a domain that leads there it is not asked, nor told of; one may come later."""
    neighbour = server()
    forwarder = start(
        f"--server={server().server}", nanny=[f"-kubednsServer={neighbour.nameserver}"]
    )
    assert forwarder.look("www.example.") == {GOOD}
    forwarder.send_signal(signal.SIGUSR1)
    forwarder.logs("queries sent")
    assert neighbour.server not in forwarder.log()
    assert not neighbour.asked
    forwarder.configure({"stubDomains": json.dumps({"acme.local": [neighbour.nameserver]})})
    neighbour.wait_for("version.bind.")


def test_a_process_that_was_stopped_tells_of_it(start: Start, server: StartServer) -> None:
    """A node without CPU to spare: a metric and a line, once a minute at most."""
    silence = server(silent)
    forwarder = start(f"--server={silence.server}")

    def stalls() -> float:
        with forwarder.volley([query(f"n{time.monotonic_ns()}.example.").to_wire()]):
            until(lambda: silence.asked)
            forwarder.send_signal(signal.SIGSTOP)
            time.sleep(1.0)
            forwarder.send_signal(signal.SIGCONT)
        return forwarder.metric("kubedns_forwarder_event_loop_stalls_total")

    until(stalls, wanted="a stall that was noticed")
    forwarder.logs("the event loop was more than 250 ms late")


# Loops


def test_two_forwarders_that_ask_each_other_find_out(start: Start) -> None:
    """With --dns-loop-detect: both leave the other out, say so, and stay up."""
    ports = free_port(), free_port()
    pair = [
        start(f"--server=127.0.0.1#{theirs}", "--dns-loop-detect", port=mine, wait=False)
        for mine, theirs in (ports, ports[::-1])
    ]
    for forwarder in pair:
        forwarder.ready()
    # The first to start asked before the other one listened: ask again.
    pair[0].configure({"stubDomains": '{"change.example": ["127.0.0.1:1"]}'})
    until(lambda: any("loop detected" in forwarder.log() for forwarder in pair))
    for forwarder in pair:
        assert forwarder.look(f"n{forwarder.port}.example.") in ({"REFUSED"}, {"SERVFAIL"})
    looping = [server for each in pair for server in each.status()["looping_servers"]]
    assert looping
    assert {data(forwarder.ask("x.example.")) == {"REFUSED"} for forwarder in pair} & {True}


def test_a_loop_through_the_node_is_found_whatever_else_is_there(
    start: Start, server: StartServer
) -> None:
    """The other server goes on; /status and the metric name the one that is left out."""
    port, good = free_port(), server()

    def node(asked: Asked) -> Sequence[Act]:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(asked.wire, ("127.0.0.1", port))
        return []

    looping = server(node)
    forwarder = start(
        f"--server={looping.server}", f"--server={good.server}", "--dns-loop-detect", port=port
    )
    (line,) = forwarder.logs("loop detected")
    assert looping.server in line
    assert forwarder.status()["looping_servers"] == [looping.server]
    for i in range(20):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    assert {name for name in looping.names() if name.startswith("n")} == set()
    # A changed configuration gives it another chance.
    looping.play = quick
    forwarder.configure({"stubDomains": '{"acme.local": ["127.0.0.1:1"]}'})
    until(lambda: forwarder.status()["looping_servers"] == [])


# The log


def test_a_log_that_nobody_reads_holds_up_nothing(server: StartServer, tmp_path: Path) -> None:
    """Every query logged, several times what a pipe takes, and a change that is logged too."""
    config, port, admin = tmp_path / "config", free_port(), free_port()
    mount(config, {})
    upstream, stub = server(quick), server(answers(f"@ 300 IN A {TWO}"))
    reader, writer = os.pipe()
    nanny = [f"-configDir={config}", "--log-queries-rate=0", f"--admin-address=127.0.0.1:{admin}"]
    options = [*NO_LOCAL_FILES, f"--server={upstream.server}", "--log-queries=extra"]
    process = subprocess.Popen(
        ours(port, options, nanny), stdout=writer, stderr=writer, cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    os.close(writer)
    try:
        client = Client("127.0.0.1", port)
        until(client.listens)
        wires = [query(f"n{i % 400}.example.").to_wire() for i in range(4000)]
        for start in range(0, len(wires), 200):
            assert None not in client.together(wires[start : start + 200])
        mount(config, {"stubDomains": f'{{"acme.local": ["{stub.nameserver}"]}}'})
        becomes(lambda: client.look("www.acme.local."), {TWO})
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)


@pytest.mark.parametrize("name", ["\\010", "\\027[31m", "\\255\\254", "a\\.b", "%s%n", "{}"])
def test_hostile_names_never_reach_the_log_as_they_are(
    start: Start, server: StartServer, name: str
) -> None:
    """In a query, in an alias, in the name of an error: the log stays fit for a terminal."""
    upstream = server(answers("@ 300 IN CNAME \\027[2J\\010.example."))
    forwarder = start(f"--server={upstream.server}", "--log-queries=extra")
    asked = [query(f"{name}.example.", rdtype) for rdtype in ("A", "TXT", "TYPE65280")]
    for each in asked:
        forwarder.send(each)
    forwarder.logs("query[type=65280]")
    assert re.findall(r"[^\n\x20-\x7e]", forwarder.log()) == []
