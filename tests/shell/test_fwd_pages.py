"""The loopback pages of the forwarder, read over HTTP without sockets."""

import json
import re
from collections.abc import Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger

from dnsmasq_py.cache import Cache
from dnsmasq_py.counters import Counters
from dnsmasq_py.domains import EVERYTHING
from dnsmasq_py.metrics import Parts
from dnsmasq_py.pages import Pages, probed
from dnsmasq_py.report import Tcp
from dnsmasq_py.routing import Kind, Route, Routes
from dnsmasq_py.rules import Match
from dnsmasq_py.server import Server
from dnsmasq_py.state import Problem, State
from dnsmasq_py.upstreams import Group, Upstreams
from kubedns.serve import http
from kubedns.wire import name as names
from kubedns.wire import rr

PEER = IPv4Address("TCP", "127.0.0.1", 40000)
NOW = 1000.0
BAD = Problem("/cfg/stubDomains", "stubDomains", 'stubDomains["a"][0]', "no address", 1.8e9)


class Admin:
    """The pages of a forwarder that listens, and its parts."""

    def __init__(self) -> None:
        counters = Counters()
        self.listening = ["10.0.0.10#53", "10.0.0.11#53"]
        self.state = State(began=NOW - 12.5, listeners=lambda: self.listening)
        self.parts = Parts(
            state=self.state,
            counters=counters,
            cache=Cache(1000, 16 << 20, 3600.0, counters),
            upstreams=Upstreams(Random(1)),
            sockets=SimpleNamespace(sockets=256, connections=1),
            failures=("one",),
            in_flight=lambda: 3,
            waiting=lambda: 4,
            tcp=lambda: Tcp(2, 5, 256),
            limits={"questions": 2000},
        )
        self.pages = Pages(self.parts, lambda: NOW).pages()
        self.site = http.site(self.pages, Clock())

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        transport = StringTransport()
        channel = self.site.buildProtocol(PEER)
        channel.makeConnection(transport)
        channel.dataReceived(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = transport.value().partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in rest)
        return int(first.split()[1]), headers, body

    def status(self) -> dict[str, Any]:
        page = self.pages["/status"]()
        assert page.media_type == http.JSON
        assert isinstance(page.body, Iterator), "it may be large"
        shown: dict[str, Any] = json.loads("".join(page.body))
        return shown

    def route(self, text: str, *servers: Server, kind: Kind = Kind.STUB) -> Route:
        domain = names.from_text(text)
        route = Route((domain, Match.SUFFIX), kind, servers)
        if servers:
            route.group = Group(domain, [self.parts.upstreams.get(each) for each in servers])
        return route

    def configure(self, *routes: Route) -> None:
        default = Route(EVERYTHING, Kind.REFUSED, ())
        table = {(route.domain, route.match): route for route in routes}
        self.state.routes = Routes({**table, EVERYTHING: default}, warnings=("ignoring x",))


def test_healthy_while_it_listens() -> None:
    """Plain text that begins with ok."""
    admin = Admin()
    assert admin.get("/healthz")[::2] == (200, b"ok\n")


def test_unhealthy_before_and_after_with_the_reason() -> None:
    """503, so that no new clients come."""
    admin = Admin()
    admin.listening = []
    assert admin.get("/healthz")[::2] == (503, b"not listening\n")
    admin.state.draining = True
    assert admin.get("/healthz")[::2] == (503, b"shutting down\n")


def test_liveness_asks_for_nothing_but_an_answer() -> None:
    """Not listening yet, or draining: no reason to be restarted; readiness tells of both."""
    state = State(began=NOW)
    live, ready = (probed(state)[path] for path in ("/healthz", "/readyz"))
    assert (live(), ready()) == (http.Page("ok\n"), http.Page("not listening\n", 503))
    state.listeners = lambda: ["*#53"]
    assert (live(), ready()) == (http.Page("ok\n"), http.Page("ok\n"))
    state.draining = True
    assert (live(), ready()) == (http.Page("ok\n"), http.Page("shutting down\n", 503))


def test_the_port_for_probes_tells_nothing_else() -> None:
    """It is open to every pod of the cluster."""
    assert probed(State(began=NOW)).keys() == {"/healthz", "/readyz"}


def test_metrics_are_text_for_prometheus() -> None:
    """Ours, and those of the process."""
    code, headers, body = Admin().get("/metrics")
    assert code == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert re.search(rb"^kubedns_forwarder_in_flight 3\.0$", body, re.M)
    assert b"\nprocess_open_fds " in body


def test_any_other_path_is_not_found() -> None:
    """Nothing else is told here."""
    assert Admin().get("/")[0] == 404
    assert Admin().get("/debug")[0] == 404


def test_status_tells_who_and_since_when() -> None:
    """Version, uptime, listeners."""
    admin = Admin()
    shown = admin.status()
    assert shown["version"]
    assert shown["uptime_s"] == 12.5
    assert shown["unready"] == ""
    assert shown["listeners"] == ["10.0.0.10#53", "10.0.0.11#53"]
    admin.listening = ["10.0.0.12#53"]
    assert admin.status()["listeners"] == ["10.0.0.12#53"], "of now, not of the start"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["time"])


def test_status_tells_the_configuration_in_force_and_what_is_wrong_with_it() -> None:
    """File, key, position and reason; the last error also when it has been mended."""
    admin = Admin()
    admin.state.configured({"stub_domains": {"b": ["192.0.2.1"]}}, "abc", [BAD])
    config = admin.status()["config"]
    assert config["version"] == "abc"
    assert config["stub_domains"] == {"b": ["192.0.2.1"]}
    assert config["errors"] == [
        {
            "file": "/cfg/stubDomains",
            "key": "stubDomains",
            "position": 'stubDomains["a"][0]',
            "reason": "no address",
            "time": "2027-01-15T08:00:00Z",
        }
    ]
    admin.state.configured({}, "def", [])
    mended = admin.status()["config"]
    assert mended["errors"] == []
    assert mended["last_error"] == config["errors"][0]


def test_status_tells_each_route_and_its_servers() -> None:
    """Up, down or looping, how fast, and what it makes of EDNS and letter case."""
    admin = Admin()
    fast, down, loop = (Server(f"192.0.2.{n}") for n in (1, 2, 3))
    admin.configure(
        admin.route("corp.example", fast, down, loop),
        admin.route("here.example", kind=Kind.NXDOMAIN),
    )
    upstream = admin.parts.upstreams.get(fast)
    upstream.answered(0.004, rr.NOERROR, NOW)
    upstream.sent = 7
    upstream.habits.edns_refused(NOW)
    admin.parts.upstreams.get(down).up = False
    admin.state.looping = {loop}
    shown = admin.status()
    corp, here, default = shown["routes"]
    assert corp["domain"] == "corp.example"
    assert corp["kind"] == "stub"
    assert corp["policy"] == "fastest"
    assert corp["in_flight"] == 0
    assert [each["state"] for each in corp["upstreams"]] == ["up", "down", "looping"]
    first = corp["upstreams"][0]
    assert first["server"] == "192.0.2.1"
    assert first["srtt_ms"] == 4.0
    assert first["rttvar_ms"] == 2.0
    assert first["sent"] == 7
    assert first["edns"] == "refused"
    assert first["case"] == "as asked"
    assert corp["upstreams"][1]["srtt_ms"] is None
    assert here["kind"] == "nxdomain"
    assert "upstreams" not in here
    assert (default["domain"], default["kind"]) == (".", "refused")
    assert shown["looping_servers"] == ["192.0.2.3#53"]
    assert shown["config"]["ignored_servers"] == ["ignoring x"]


def test_status_of_a_thousand_stub_domains_comes_in_pieces() -> None:
    """No page may hold up the queries."""
    admin = Admin()
    admin.configure(*(admin.route(f"d{n}.example", Server("192.0.2.1")) for n in range(1000)))
    assert sum(1 for _ in admin.pages["/status"]().body) == 1 + 1001 + 1
    assert len(admin.status()["routes"]) == 1001


def test_status_tells_of_cache_and_load() -> None:
    """TCP counts too."""
    admin = Admin()
    counters = admin.parts.counters
    counters.hits, counters.tcp_hits, counters.misses, counters.tcp_misses = 60, 15, 20, 5
    counters.limits["waiters"] += 1
    shown = admin.status()
    assert shown["cache"]["hits"] == 75
    assert shown["cache"]["misses"] == 25
    assert shown["cache"]["hit_rate"] == 0.75
    assert shown["cache"]["max_entries"] == 1000
    assert shown["cache"]["failures_remembered"] == 1
    assert shown["load"] == {
        "in_flight": 3,
        "waiting_clients": 4,
        "tcp_connections": 2,
        "upstream_sockets": 256,
        "upstream_connections": 1,
        "limits": {"questions": 2000},
        "limits_reached": {"waiters": 1},
    }


def test_status_keeps_the_last_warnings_of_the_log() -> None:
    """Fifty of them, and nothing less than a warning."""
    admin = Admin()
    observer: Any = admin.state.observe  # zope's interfaces do not type-check
    log = Logger(observer=observer)
    for n in range(60):
        log.info("all is well")
        log.warn("warning {n}", n=n)
    log.error("x" * 5000)
    shown = admin.status()["warnings"]
    assert [each["text"] for each in shown[:2]] == ["warning 11", "warning 12"]
    assert shown[-1]["text"] == "x" * 500
    assert len(shown) == 50


def test_status_tells_when_the_log_suffers() -> None:
    """A full disk must be seen somewhere else than in the log."""
    admin = Admin()
    assert admin.status()["log"] == {"lines_dropped": 0, "problem": "", "queries_suppressed": 0}
    admin.parts.lines = SimpleNamespace(dropped=3, problem="cannot write the log: No space left")
    admin.parts.query_log = SimpleNamespace(suppressed=9)
    assert admin.status()["log"] == {
        "lines_dropped": 3,
        "problem": "cannot write the log: No space left",
        "queries_suppressed": 9,
    }
