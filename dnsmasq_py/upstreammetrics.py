"""The metrics of servers, by address, and of the groups that they are in, by domain."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from dnsmasq_py.families import MAX_LABELS, OTHER, PREFIX, Sums, buckets, rcode_text
from dnsmasq_py.report import domain_text, where
from dnsmasq_py.state import State
from dnsmasq_py.upstream import LATENCY_S, Upstream
from dnsmasq_py.upstreams import Upstreams
from kubedns.serve.counters import Histogram

# One address can be several servers, asked from different places; they share a label then.
_Members = Mapping[str, Sequence[Upstream]]

_COUNTS: tuple[tuple[str, str, Callable[[Upstream], int]], ...] = (
    ("requests", "Queries sent.", lambda upstream: upstream.sent),
    ("retries", "Of these, not the first for their question.", lambda upstream: upstream.retried),
    ("failures", "Errors of the server or the network.", lambda upstream: upstream.failed),
    ("timeouts", "Queries never answered.", lambda upstream: upstream.timeouts),
    ("broken", "Replies that could not be read.", lambda upstream: upstream.broken),
)
_STATES: tuple[tuple[str, str, Callable[[Sequence[Upstream]], float]], ...] = (
    ("up", "0 while it is taken to be away.", lambda members: all(each.up for each in members)),
    ("srtt_seconds", "Smoothed round trip, 0 while unknown.",
     lambda members: max(each.srtt for each in members)),
    ("badness", "0 to 1: how often it failed where another server did not.",
     lambda members: max(each.bad for each in members)),
)  # fmt: skip


def collect(state: State, upstreams: Upstreams) -> Iterator[Metric]:
    """Return them all."""
    members = _by_label(upstreams.all())
    for name, text, count in _COUNTS:
        counts = CounterMetricFamily(f"{PREFIX}upstream_{name}", text, labels=["upstream"])
        for label, each in members.items():
            counts.add_metric([label], sum(map(count, each)))
        yield counts
    for name, text, value in _STATES:
        values = GaugeMetricFamily(f"{PREFIX}upstream_{name}", text, labels=["upstream"])
        for label, each in members.items():
            values.add_metric([label], value(each))
        yield values
    yield _replies(members)
    yield _latency(members)
    looping = Sums("upstream_looping", "1 for a server that asks us.", "upstream")
    for text in sorted(map(where, state.looping)):
        looping.add(text, 1)
    yield looping.gauge()
    yield from _groups(state)


def _by_label(upstreams: Sequence[Upstream]) -> _Members:
    members: dict[str, list[Upstream]] = {}
    for upstream in upstreams:
        label = where(upstream.server)
        if label not in members and len(members) >= MAX_LABELS:
            label = OTHER
        members.setdefault(label, []).append(upstream)
    return members


def _replies(members: _Members) -> Metric:
    family = CounterMetricFamily(
        PREFIX + "upstream_replies", "Replies, by rcode.", labels=["upstream", "rcode"]
    )
    for label, each in members.items():
        counts: Counter[str] = Counter()
        for upstream in each:
            for rcode, count in upstream.rcodes.items():
                counts[rcode_text(rcode)] += count
        for rcode_label, count in counts.items():
            family.add_metric([label, rcode_label], count)
    return family


def _latency(members: _Members) -> Metric:
    family = HistogramMetricFamily(
        PREFIX + "upstream_latency_seconds", "Round trips.", labels=["upstream"]
    )
    for label, each in members.items():
        total = Histogram(LATENCY_S)
        total.counts = [sum(at) for at in zip(*(u.latency.counts for u in each), strict=True)]
        total.total = sum(upstream.latency.total for upstream in each)
        family.add_metric([label], buckets(total), total.total)
    return family


def _groups(state: State) -> Iterator[Metric]:
    in_flight = Sums("group_in_flight", "Questions at the servers of a domain.", "domain")
    tokens = Sums("group_retry_tokens", "Further attempts that may be made now.", "domain")
    for route in state.routes.all:
        if route.group is not None:
            in_flight.add(domain_text(route), route.group.in_flight)
            tokens.add(domain_text(route), route.group.tokens)
    yield in_flight.gauge()
    yield tokens.gauge()
