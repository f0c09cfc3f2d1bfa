"""What Prometheus reads of the forwarder: the numbers are right, and there are never too many."""

from collections.abc import Mapping, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dnsmasq_py import metrics
from dnsmasq_py.cache import Cache
from dnsmasq_py.counters import Counters
from dnsmasq_py.domains import EVERYTHING
from dnsmasq_py.families import MAX_LABELS
from dnsmasq_py.metrics import Parts
from dnsmasq_py.report import Tcp
from dnsmasq_py.routing import Kind, Route, Routes
from dnsmasq_py.rules import Match
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.state import Problem, State
from dnsmasq_py.upstreams import Group, Upstreams
from kubedns.wire import name as names
from kubedns.wire import rr

PREFIX = "kubedns_forwarder_"
ONE = Server("192.0.2.1")
TLS = Server("2001:db8::1", 853, Transport.TLS, "dns.example")


def made(**rest: Any) -> Parts:
    """Parts of which a test sets what it is about."""
    counters = Counters()
    parts = Parts(
        state=State(began=0.0),
        counters=counters,
        cache=Cache(1000, 16 << 20, 3600.0, counters),
        upstreams=Upstreams(Random(1)),
        sockets=SimpleNamespace(sockets=0, connections=0),
        failures=(),
        in_flight=lambda: 0,
        waiting=lambda: 0,
        tcp=lambda: Tcp(0, 0, 256),
        limits={},
    )
    for name, value in rest.items():
        setattr(parts, name, value)
    return parts


Sample = tuple[tuple[str, str], ...]


def scraped(parts: Parts) -> dict[str, dict[Sample, float]]:
    """Return the values by labels, by name without our prefix."""
    text = metrics.exposition(parts)().decode()
    found: dict[str, dict[Sample, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            values = found.setdefault(sample.name.removeprefix(PREFIX), {})
            assert labels not in values, f"{sample.name} has {labels} twice"
            values[labels] = sample.value
    return found


def of(values: Mapping[Sample, float], **labels: str) -> float:
    return values[tuple(sorted(labels.items()))]


def routes(*given: Route) -> Routes:
    default = Route(EVERYTHING, Kind.REFUSED, ())
    table = {(route.domain, route.match): route for route in given}
    return Routes({**table, EVERYTHING: default})


def route(parts: Parts, text: str, *servers: Server) -> Route:
    domain = names.from_text(text)
    found = Route((domain, Match.SUFFIX), Kind.STUB, servers)
    found.group = Group(domain, [parts.upstreams.get(server) for server in servers])
    return found


def test_a_forwarder_that_did_nothing_yet_can_be_scraped() -> None:
    """Also the metrics of its process."""
    found = scraped(made())
    assert found["hits_total"] == {(("protocol", "udp"),): 0, (("protocol", "tcp"),): 0}
    assert found["cache_max_entries"] == {(): 1000}
    assert found["tcp_max_connections"] == {(): 256}
    assert found["config_last_error_timestamp_seconds"] == {(): 0}
    assert "process_resident_memory_bytes" in found


def test_queries_are_counted_by_protocol_and_rcode() -> None:
    """Rcodes that no standard names are one: a server may send any of 4,096."""
    parts = made()
    parts.counters.queries.update(
        {("udp", rr.NOERROR): 5, ("tcp", rr.NXDOMAIN): 2, ("udp", 9): 1, ("udp", 4000): 1}
    )
    parts.counters.hits, parts.counters.tcp_hits = 7, 2
    found = scraped(parts)
    assert of(found["queries_total"], protocol="udp", rcode="NOERROR") == 5
    assert of(found["queries_total"], protocol="tcp", rcode="NXDOMAIN") == 2
    assert of(found["queries_total"], protocol="udp", rcode="other") == 2
    assert found["hits_total"] == {(("protocol", "udp"),): 7, (("protocol", "tcp"),): 2}


@pytest.mark.parametrize(
    ("field", "name", "label"),
    [
        ("dropped", "dropped_total", "reason"),
        ("malformed", "malformed_total", "kind"),
        ("bad_replies", "bad_replies_total", "kind"),
        ("limits", "limits_reached_total", "limit"),
    ],
)
def test_counts_by_kind_have_a_bound(field: str, name: str, label: str) -> None:
    """A mistake in how kinds are named must not fill the memory of Prometheus."""
    parts = made()
    getattr(parts.counters, field).update({f"kind {n}": 1 for n in range(5000)})
    values = scraped(parts)[name]
    assert len(values) == MAX_LABELS + 1
    assert of(values, **{label: "other"}) == 5000 - MAX_LABELS


def test_early_warnings_are_limits_reached_by_half_and_more() -> None:
    """So that somebody hears of it before questions are turned away."""
    parts = made(limits={"questions": 2000})
    parts.counters.limits["questions 50%"] += 2
    parts.counters.limits["questions 80%"] += 1
    found = scraped(parts)
    assert of(found["limits_reached_total"], limit="questions 50%") == 2
    assert of(found["limits_reached_total"], limit="questions 80%") == 1
    assert of(found["limit"], limit="questions") == 2000


def test_each_server_has_its_counts() -> None:
    """By address and port, or as it was configured where it is no plain one."""
    parts = made()
    first, second = parts.upstreams.get(ONE), parts.upstreams.get(TLS)
    first.sent, first.retried, first.failed, first.timeouts = 10, 3, 2, 1
    first.answered(0.004, rr.NOERROR, 1.0)
    first.answered(0.004, rr.SERVFAIL, 2.0)
    second.up = False
    found = scraped(parts)
    label = {"upstream": "192.0.2.1#53"}
    assert of(found["upstream_requests_total"], **label) == 10
    assert of(found["upstream_retries_total"], **label) == 3
    assert of(found["upstream_failures_total"], **label) == 2
    assert of(found["upstream_timeouts_total"], **label) == 1
    assert of(found["upstream_replies_total"], rcode="SERVFAIL", **label) == 1
    assert of(found["upstream_up"], **label) == 1
    assert of(found["upstream_srtt_seconds"], **label) == pytest.approx(0.004)
    assert of(found["upstream_latency_seconds_bucket"], le="0.002", **label) == 0
    assert of(found["upstream_latency_seconds_bucket"], le="0.005", **label) == 2
    assert of(found["upstream_latency_seconds_bucket"], le="+Inf", **label) == 2
    assert of(found["upstream_latency_seconds_sum"], **label) == pytest.approx(0.008)
    assert of(found["upstream_up"], upstream="tls://[2001:db8::1]:853#dns.example") == 0


def test_one_address_asked_in_two_ways_is_one_label() -> None:
    """Prometheus would refuse the whole page for two lines of the same name."""
    parts = made()
    for source, sent in (("192.0.2.100", 3), ("192.0.2.101", 4)):
        upstream = parts.upstreams.get(Server("192.0.2.1", source=source))
        upstream.sent = sent
        upstream.answered(0.1, rr.NOERROR, 1.0)
    parts.upstreams.get(Server("192.0.2.1", source="192.0.2.101")).up = False
    found = scraped(parts)
    label = {"upstream": "192.0.2.1#53"}
    assert of(found["upstream_requests_total"], **label) == 7
    assert of(found["upstream_latency_seconds_count"], **label) == 2
    assert of(found["upstream_up"], **label) == 0


def test_a_thousand_stub_domains_do_not_make_a_thousand_series() -> None:
    """Beyond a bound servers and domains are summed up."""
    parts = made()
    many = [
        route(parts, f"d{n}.example", Server(f"198.51.{n // 250}.{n % 250}")) for n in range(1000)
    ]
    for each in many:
        each.group.in_flight = 2  # type: ignore[union-attr]
        parts.upstreams.get(each.servers[0]).sent = 1
    parts.state.routes = routes(*many)
    parts.state.looping = {each.servers[0] for each in many}
    found = scraped(parts)
    for name in ("upstream_requests_total", "upstream_up", "group_in_flight", "upstream_looping"):
        assert len(found[name]) == MAX_LABELS + 1, name
    assert of(found["upstream_requests_total"], upstream="other") == 800
    assert of(found["group_in_flight"], domain="other") == 1600


def test_a_domain_has_what_is_on_its_way_and_what_may_be_retried() -> None:
    """Routes without servers have neither."""
    parts = made()
    corp = route(parts, "corp.example", ONE)
    assert corp.group is not None
    corp.group.in_flight = 3
    parts.state.routes = routes(corp)
    found = scraped(parts)
    assert found["group_in_flight"] == {(("domain", "corp.example"),): 3}
    assert of(found["group_retry_tokens"], domain="corp.example") == corp.group.tokens


def test_a_bad_configuration_is_seen_and_its_repair_too() -> None:
    """The last error stays to be read, its key is good again."""
    parts = made()
    bad = Problem("/cfg/stubDomains", "stubDomains", 'stubDomains["a"][0]', "no address", 1e9)
    parts.state.configured({}, "abc", [bad])
    found = scraped(parts)
    assert of(found["config_errors_total"], key="stubDomains") == 1
    assert of(found["config_bad"], key="stubDomains") == 1
    assert found["config_info"] == {(("version", "abc"),): 1}
    parts.state.configured({}, "def", [])
    found = scraped(parts)
    assert of(found["config_errors_total"], key="stubDomains") == 1
    assert "config_bad" not in found
    assert found["config_info"] == {(("version", "def"),): 1}
    assert found["config_last_error_timestamp_seconds"] == {(): 1e9}
    labels = {"file": bad.file, "key": bad.key, "position": bad.position}
    assert of(found["config_last_error_info"], **labels) == 1


def test_what_stands_in_the_configuration_cannot_forge_a_metric() -> None:
    """Quotes and line ends in labels are escaped."""
    parts = made()
    evil = 'x"} 1\nkubedns_forwarder_evil 1\n# '
    parts.state.configured({}, "1", [Problem(evil, evil, evil, evil, 0.0)])
    parts.state.routes = routes(
        Route((evil.encode(), Match.TEXT), Kind.STUB, ()), route(parts, "a", ONE)
    )
    found = scraped(parts)
    assert "evil" not in found
    assert of(found["config_bad"], key=evil) == 1


def test_the_lag_of_the_event_loop_is_a_histogram() -> None:
    """In seconds, with Go's borders."""
    parts = made()
    for seconds in (0.0005, 0.3, 60.0):
        parts.state.lag.observe(seconds)
    found = scraped(parts)["event_loop_lag_seconds_bucket"]
    assert [of(found, le=border) for border in ("0.001", "0.25", "0.5", "1", "+Inf")] == [
        1, 1, 2, 2, 3,
    ]  # fmt: skip


def test_stalls_of_the_event_loop_are_counted() -> None:
    """An alert asks whether there were any."""
    parts = made()
    assert scraped(parts)["event_loop_stalls_total"] == {(): 0}
    parts.state.stalls = 3
    assert scraped(parts)["event_loop_stalls_total"] == {(): 3}


def test_numbers_of_the_moment_are_read_when_somebody_scrapes() -> None:
    """Nothing is kept from the last time."""
    numbers = iter([1, 2])
    parts = made(
        in_flight=lambda: next(numbers),
        waiting=lambda: 5,
        failures=("x", "y"),
        sockets=SimpleNamespace(sockets=256, connections=3),
        lines=SimpleNamespace(dropped=4, problem=""),
        query_log=SimpleNamespace(suppressed=9),
    )
    assert scraped(parts)["in_flight"] == {(): 1}
    found = scraped(parts)
    values: Sequence[tuple[str, float]] = [
        ("in_flight", 2), ("waiting_clients", 5), ("failures_remembered", 2),
        ("upstream_sockets", 256), ("upstream_connections", 3), ("log_lines_dropped_total", 4),
        ("log_queries_suppressed_total", 9),
    ]  # fmt: skip
    assert [(name, found[name][()]) for name, _ in values] == list(values)
