"""The ConfigMap changes under load, is broken, names servers in new ways: what an operator sees."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.forwarder.behaviours import (
    GOOD,
    SERVFAIL,
    answers,
    fails,
    late,
    quick,
    silent,
    udp_or_tcp,
    zone,
)
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import ROOT
from tests.forwarder.scripted import Play, Scripted
from tests.realapi.mounted import mount
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

TWO, THREE = "192.0.2.2", "192.0.2.3"
RATE = 5000  # questions a second
LOAD_S = 6


def stubs(**servers: Scripted) -> dict[str, str]:
    """Make the key `stubDomains`; the underscore of a domain stands for its dot."""
    domains = {name.replace("_", "."): [where.nameserver] for name, where in servers.items()}
    return {"stubDomains": json.dumps(domains)}


def gives(address: str) -> Play:
    """Answer everything with one address."""
    return answers(f"@ 300 IN A {address}")


class Load:
    """Asks every question of a list once, at a steady pace, and waits for all answers."""

    def __init__(self, folder: Path, port: int, questions: Sequence[str]) -> None:
        if shutil.which("dnsperf") is None:
            unavailable("dnsperf is not installed; tests/setup-tools.sh gets it")
        file = folder / "questions"
        file.write_text("".join(f"{name} A\n" for name in questions))
        self._child = subprocess.Popen(
            ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", file, "-n", "1", "-c", "4",
             "-q", "1000", "-Q", str(RATE), "-t", "10"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()

    def over(self) -> bool:
        return self._child.poll() is not None

    def outcome(self) -> tuple[int, int, str]:
        """Return how many questions were answered, how many lost, and the rcodes as text."""
        said, _ = self._child.communicate(timeout=120)
        print(said)

        def number(what: str) -> int:
            return int(re.findall(rf"Queries {what}: +(\d+)", said)[0])

        return number("completed"), number("lost"), re.findall(r"Response codes: +(.*)", said)[0]


@pytest.mark.alone
def test_nothing_is_lost_under_five_thousand_queries_a_second(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """
    A stub domain comes, changes and goes, again and again: every query is answered, and of the
    routes that stay no answer is asked for anew. Some questions are on their way at each change.
    """
    default, kept = server(late(quick, 0.01)), server(late(quick, 0.01))
    one, two = server(late(gives(TWO), 0.01)), server(late(gives(THREE), 0.01))
    forwarder = start(
        f"--server={default.server}", "--cache-size=20000", config=stubs(kept_local=kept)
    )
    warm = [f"n{i}.{domain}." for i in range(250) for domain in ("example", "kept.local")]
    for name in warm:
        forwarder.look(name)
    rng = random.Random(4)
    count = RATE * LOAD_S
    questions = [
        f"u{i}.{rng.choice(('example', 'kept.local', 'swap.local'))}."
        if rng.random() < 0.06 else rng.choice(warm)
        for i in range(count)
    ]  # fmt: skip
    swaps = 0
    with Load(tmp_path, forwarder.port, questions) as load:
        while not load.over():
            for config, address in (
                (stubs(kept_local=kept, swap_local=one), TWO),
                (stubs(kept_local=kept, swap_local=two), THREE),
                (stubs(kept_local=kept), GOOD),
            ):
                forwarder.configure(config)
                swaps += 1
                becomes(lambda: forwarder.look("www.swap.local."), {address})
        answered, lost, rcodes = load.outcome()
    assert (answered, lost) == (count, 0)
    assert rcodes == f"NOERROR {count} (100.00%)"
    assert swaps >= 6
    for upstream in (default, kept):
        asked = upstream.names()
        assert all(asked[name] <= 1 for name in warm), asked.most_common(3)
    assert one.asked
    assert two.asked
    assert forwarder.status()["exceptions"] == 0


def test_a_change_is_noticed_without_looking(start: Start, server: StartServer) -> None:
    """With an hour between two looks it can only have been inotify."""
    forwarder = start(f"--server={server().server}", config={}, nanny=["-syncInterval=1h"])
    for i, address in enumerate((TWO, THREE)):
        forwarder.configure(stubs(acme_local=server(gives(address))))
        becomes(lambda i=i: forwarder.look(f"www{i}.acme.local."), {address})
    forwarder.configure({})
    becomes(lambda: forwarder.look("www.acme.local."), {GOOD})


def test_a_change_that_inotify_cannot_see(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """The files are links to somewhere else: looking every second finds it."""
    folder, elsewhere = tmp_path / "links", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.write_text("{}")
    (folder / "stubDomains").symlink_to(elsewhere)
    forwarder = start(
        f"--server={server().server}", nanny=[f"-configDir={folder}", "-syncInterval=1s"]
    )
    assert forwarder.look("www.acme.local.") == {GOOD}
    elsewhere.write_text(stubs(acme_local=server(gives(TWO)))["stubDomains"])
    becomes(lambda: forwarder.look("www.acme.local."), {TWO})


WITHOUT_INOTIFY = (
    "unshare", "--user", "--map-root-user", "--", "sh", "-c",
    'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"', "sh",
)  # fmt: skip


def test_where_there_is_no_inotify(start: Start, server: StartServer, tools: None) -> None:
    """One line says so, and looking every second does it."""
    if subprocess.run([*WITHOUT_INOTIFY, "true"], capture_output=True).returncode:
        unavailable("inotify cannot be taken away from a process here")
    forwarder = start(f"--server={server().server}", config={}, wrapper=WITHOUT_INOTIFY)
    assert len(forwarder.logs("no inotify")) == 1
    forwarder.configure(stubs(acme_local=server(gives(TWO))))
    becomes(lambda: forwarder.look("www.acme.local."), {TWO})
    assert len(forwarder.logs("no inotify")) == 1


BROKEN = [
    ("stubDomains", '{"acme.local": [}', "column 17"),
    ("stubDomains", '{"acme.local": ["10.0.0.1", "1.2.3.4:99999"]}', '["acme.local"][1]'),
    ("upstreamNameservers", '["10.0.0.1", "ns.example.com"]', "[1]"),
    ("extensions", "upstreamNameservers:\n  - tcp://10.0.0.1\n  - tls://nobody\n", "line 3"),
    ("extensions", "upstreamNameservers: [tls://10.0.0.1#x", "line 2"),
]


@pytest.mark.parametrize(
    ("key", "text", "position"), BROKEN, ids=[f"{k} {t}" for k, t, _ in BROKEN]
)
def test_what_is_broken_is_named_everywhere(
    start: Start, server: StartServer, key: str, text: str, position: str
) -> None:
    """File, key, position and reason, in the log, on /status and in the metrics; until mended."""
    forwarder = start(f"--server={server().server}", config={})
    forwarder.configure({key: text})
    until(lambda: forwarder.status()["config"]["errors"], wanted="an error on /status")
    status = forwarder.status()["config"]
    (error,) = status["errors"]
    assert error == status["last_error"]
    assert error["key"] == key
    assert error["file"].endswith(f"/{key}")
    assert position in error["position"] + error["reason"]
    (line,) = forwarder.logs(error["file"])
    assert line.startswith("E")
    assert error["position"] in line
    assert error["reason"] in line
    assert forwarder.metric("kubedns_forwarder_config_errors_total") == 1
    assert forwarder.metric(f'kubedns_forwarder_config_bad{{key="{key}"}}') == 1
    assert error["reason"] in str(forwarder.status()["warnings"])
    forwarder.configure({})
    until(lambda: not forwarder.status()["config"]["errors"], wanted="no error on /status")
    assert forwarder.status()["config"]["last_error"] == error
    assert 'config_bad{key="' not in forwarder.page("/metrics")[1]


def test_at_the_start_only_the_broken_key_is_left_out(start: Start, server: StartServer) -> None:
    """The other keys apply, whichever is broken."""
    default, stub, over_tcp = server(gives(TWO)), server(gives(THREE)), server(listens="tcp")
    good = {
        "upstreamNameservers": json.dumps([default.nameserver]),
        **stubs(acme_local=stub),
        "extensions": f"stubDomains: {{tcp.local: ['tcp://{over_tcp.nameserver}']}}\n",
    }
    wanted = {
        "upstreamNameservers": ("www.example.", {TWO}, {"REFUSED"}),
        "stubDomains": ("www.acme.local.", {THREE}, {TWO}),
        "extensions": ("www.tcp.local.", {GOOD}, {TWO}),
    }
    for broken in good:
        forwarder = start(config={**good, broken: "{,"})
        for key, (name, with_it, without_it) in wanted.items():
            expected = without_it if key == broken else with_it
            assert forwarder.look(name) == expected, (broken, key)
        assert [each["key"] for each in forwarder.status()["config"]["errors"]] == [broken]


def test_a_folder_that_cannot_be_read_keeps_what_is_in_force(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """One file that is no text spoils the reading of all, as in the original; said once a look."""
    folder = tmp_path / "config"
    stub = server(gives(TWO))
    mount(folder, stubs(acme_local=stub))
    forwarder = start(
        f"--server={server().server}", nanny=[f"-configDir={folder}", "-syncInterval=1h"]
    )
    (folder / "other").write_bytes(b"\xc0")
    forwarder.logs("not UTF-8 at byte 0")
    assert forwarder.look("www.acme.local.") == {TWO}
    assert forwarder.status()["config"]["last_error"]["reason"]
    (folder / "other").unlink()
    mount(folder, {})
    becomes(lambda: forwarder.look("n.acme.local."), {GOOD})


def test_servers_over_tcp_come_and_go(start: Start, server: StartServer) -> None:
    """The key `extensions` wins over the original's keys, and may go again."""
    plain, over_tcp = server(gives(TWO)), server(gives(THREE), listens="tcp")
    other_tcp = server(listens="tcp")
    keys = {
        "upstreamNameservers": json.dumps([plain.nameserver]),
        **stubs(acme_local=plain),
    }
    extended = (
        f"stubDomains:\n  acme.local:\n    - tcp://{over_tcp.nameserver}\n"
        f"upstreamNameservers: ['tcp://{other_tcp.nameserver}']\n"
    )
    forwarder = start(config=keys)
    assert forwarder.look("www.acme.local.") == forwarder.look("www.example.") == {TWO}
    forwarder.configure({**keys, "extensions": extended})
    becomes(lambda: forwarder.look("www.acme.local."), {THREE})
    becomes(lambda: forwarder.look("www.example."), {GOOD})
    count = len(plain.asked)
    for i in range(10):
        assert forwarder.look(f"n{i}.acme.local.") == {THREE}
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    assert len(plain.asked) == count
    assert all(each.tcp for each in over_tcp.asked)
    servers = forwarder.status()["config"]["upstream_nameservers"]
    assert servers == [f"tcp://{other_tcp.nameserver}"]
    forwarder.configure(keys)
    becomes(lambda: forwarder.look("www.acme.local."), {TWO})
    becomes(lambda: forwarder.look("www.example."), {TWO})


def test_federations_are_told_of_once_whatever_else_changes(
    start: Start, server: StartServer
) -> None:
    default = server()
    federations = {"federations": "myfed=example.com"}
    forwarder = start(f"--server={default.server}", config=federations)
    for i in range(4):
        forwarder.configure({**federations, **stubs(**{f"acme{i}": server(gives(TWO))})})
        becomes(lambda i=i: forwarder.look(f"www.acme{i}."), {TWO})
    assert len(forwarder.logs("federations")) == 1


def test_more_domains_than_usual_and_the_clusters_own_are_told_of(
    start: Start, server: StartServer
) -> None:
    """Legal, and hardly what was meant: a warning; all of them work."""
    stub = server(gives(TWO))
    many = {f"d{i}.example": [stub.nameserver] for i in range(100)}
    forwarder = start(
        f"--server={server().server}",
        "--server=/cluster.local/127.0.0.1#10053",
        config={"stubDomains": json.dumps({**many, "cluster.local": [stub.nameserver]})},
    )
    assert len(forwarder.logs("101 domains")) == 1
    assert len(forwarder.logs("the cluster's own domain")) == 1
    assert forwarder.look("www.d99.example.") == {TWO}
    forwarder.logs("using 73 more nameservers")


def test_a_configmap_beyond_all_bounds_changes_nothing(start: Start, server: StartServer) -> None:
    """1,001 domains: one line, not a thousand; and what was in force stays."""
    stub = server(gives(TWO))
    forwarder = start(f"--server={server().server}", config=stubs(acme_local=stub))
    many = {f"d{i}.example": [stub.nameserver] for i in range(1001)}
    forwarder.configure({"stubDomains": json.dumps(many)})
    assert len(forwarder.logs("1001 domains")) == 1
    assert forwarder.look("www.acme.local.") == {TWO}
    many.popitem()
    forwarder.configure({"stubDomains": json.dumps(many)})
    becomes(lambda: forwarder.look("www.d999.example."), {TWO})
    assert len(forwarder.status()["routes"]) == 1001


def loopback() -> str:
    """Return a loopback address of nobody else, on whose port 53 a server may listen."""
    if os.geteuid() != 0:
        unavailable("may not listen on port 53")
    return f"127.{random.randrange(64, 128)}.{random.randrange(250)}.{random.randrange(1, 250)}"


def test_resolv_conf_changes_and_the_rest_stays(
    start: Start, server: StartServer, tmp_path: Path
) -> None:
    """Answers of its servers are forgotten, those of a stub domain are not; ConfigMap first."""
    one, two = server(address=loopback(), port=53), server(gives(TWO), address=loopback(), port=53)
    stub, upstream = server(), server(gives(THREE))
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {one.address}\n")
    forwarder = start(
        f"--resolv-file={file}", local_files=["--no-hosts"], config=stubs(acme_local=stub)
    )
    assert forwarder.look("www.example.") == {GOOD}
    assert forwarder.look("www.acme.local.") == {GOOD}
    file.write_text(f"options ndots:5\nnameserver {two.address}\n")
    becomes(lambda: forwarder.look("www.example."), {TWO})
    assert forwarder.look("www.acme.local.") == {GOOD}
    assert len(stub.asked) == 1
    named = {"upstreamNameservers": json.dumps([upstream.nameserver])}
    forwarder.configure({**stubs(acme_local=stub), **named})
    becomes(lambda: forwarder.look("www.example."), {THREE})
    file.write_text(f"nameserver {one.address}\n")
    forwarder.configure(stubs(acme_local=stub))
    becomes(lambda: forwarder.look("www.example."), {GOOD})
    assert len(stub.asked) == 1


SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: dns, namespace: acme}}
spec: {{clusterIP: None, ports: [{{name: dns, port: 53, protocol: UDP}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: dns-1, namespace: acme, labels: {{kubernetes.io/service-name: dns}}}}
addressType: IPv4
ports: [{{name: dns, port: 53, protocol: UDP}}]
endpoints: [{{addresses: ["{address}"]}}]
---
apiVersion: v1
kind: Namespace
metadata: {{name: acme}}
"""


@pytest.fixture
def kubedns(tmp_path: Path) -> Iterator[int]:
    """A real kubedns with the objects of a file; its port."""
    port = free_port()
    (tmp_path / "objects.yaml").write_text(SERVICE.format(address="192.0.2.1"))
    program = Program(
        [sys.executable, "-m", "kubedns", "--objects", tmp_path / "objects.yaml", "--ttl=1",
         "--dns-bind-address=127.0.0.1", f"--dns-port={port}", "--healthz-port=0",
         "--status-address=", "--lame-duck=0s", "--nameservers=127.0.0.1:1"],
        log=tmp_path / "kubedns.log",
        environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        yield port
    finally:
        program.stop()


def test_a_stub_server_by_its_name_in_the_cluster(
    start: Start, server: StartServer, kubedns: int, tmp_path: Path
) -> None:
    """Looked up through kubedns, and again when its TTL is over."""
    one, two = server(gives(TWO), address=loopback(), port=53), server(address=loopback(), port=53)
    objects = tmp_path / "objects.yaml"
    objects.write_text(SERVICE.format(address=one.address))
    forwarder = start(
        f"--server=/cluster.local/127.0.0.1#{kubedns}",
        nanny=[f"-kubednsServer=127.0.0.1:{kubedns}"],
    )
    forwarder.configure({"stubDomains": '{"acme.local": ["dns.acme.svc.cluster.local"]}'})
    numbers = iter(range(10_000))
    becomes(lambda: forwarder.look(f"n{next(numbers)}.acme.local."), {TWO})
    objects.write_text(SERVICE.format(address=two.address))
    becomes(lambda: forwarder.look(f"n{next(numbers)}.acme.local."), {GOOD})
    objects.write_text(SERVICE.format(address="203.0.113.9").replace("name: dns,", "name: gone,"))
    forwarder.logs("stub server dns.acme.svc.cluster.local: it has no address")
    assert forwarder.look(f"n{next(numbers)}.acme.local.") == {GOOD}, "the last good one stays"


def test_a_stub_server_by_its_name_outside(start: Start, server: StartServer) -> None:
    """Looked up through the default servers; its domain never leaks to them."""
    stub = server(gives(TWO), address=loopback(), port=53)
    default = server(fails(SERVFAIL))
    forwarder = start(
        f"--server={default.server}",
        config={"stubDomains": '{"acme.example": ["ns.acme.example"]}'},
    )
    assert forwarder.look("www.acme.example.") == {"SERVFAIL"}
    default.play = udp_or_tcp(zone(f"ns.acme.example. 60 IN A {stub.address}"), silent)
    becomes(lambda: forwarder.look(f"n{random.random()}.acme.example."), {TWO})
    assert set(default.names()) == {"ns.acme.example."}
