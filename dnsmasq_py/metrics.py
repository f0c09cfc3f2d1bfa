"""
Every metric of the forwarder, its name and its help text, in one place.

All begin with `kubedns_forwarder_`, but those of the process, and are made from plain integers when
somebody scrapes. Nothing is labelled by what a client or a server sent, but for the ten names asked
for most (observed/series.py, whose names begin with `dnsmasq_py_`). Labels from the
configuration, and counts by kind, are bounded: what is beyond is summed up as `other`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from dnsmasq_py import upstreammetrics
from dnsmasq_py.cache import Cache
from dnsmasq_py.counters import Counters
from dnsmasq_py.families import PREFIX, Sums, counter, gauge, histogram, rcode_text
from dnsmasq_py.feed import Feed
from dnsmasq_py.observed import series
from dnsmasq_py.observed.watch import Observed
from dnsmasq_py.purge import Purges
from dnsmasq_py.report import Tcp
from dnsmasq_py.state import State
from dnsmasq_py.upstreams import Upstreams
from dnsmasq_py.warmstart import WarmStart


class Sockets(Protocol):
    """What is open towards servers (the dialer)."""

    @property
    def sockets(self) -> int: ...
    @property
    def connections(self) -> int: ...


class Unlogged(Protocol):
    """Lines that were not written, and why the last one was not."""

    dropped: int
    problem: str


class Unasked(Protocol):
    """Queries that were left out of the log."""

    suppressed: int


@dataclass(slots=True)
class Parts:
    """
    What is measured.

    failures: those remembered. in_flight: questions at servers. waiting: clients that wait for
    them. limits: bounds by name. lines, query_log, feed, purges, warm, observed: None where there
    are none.
    """

    state: State
    counters: Counters
    cache: Cache
    upstreams: Upstreams
    sockets: Sockets
    failures: Sized
    in_flight: Callable[[], int]
    waiting: Callable[[], int]
    tcp: Callable[[], Tcp]
    limits: Mapping[str, int]
    lines: Unlogged | None = None
    query_log: Unasked | None = None
    feed: Feed | None = None
    purges: Purges | None = None
    warm: WarmStart | None = None
    observed: Observed | None = None


def exposition(parts: Parts) -> Callable[[], bytes]:
    """Return what gives the text of /metrics."""
    registry = all_of(parts)
    return lambda: generate_latest(registry)


def all_of(parts: Parts) -> CollectorRegistry:
    """Return all metrics, of the process too."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Collected(parts))
    return registry


class _Collected(Collector):
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        self._parts.cache.collect()
        yield from _queries(self._parts.counters)
        yield from _cache(self._parts)
        yield from _load(self._parts)
        yield from upstreammetrics.collect(self._parts.state, self._parts.upstreams)
        yield from _feed(self._parts)
        yield from _warm(self._parts.warm)
        yield from _configuration(self._parts.state)
        yield from _log(self._parts)
        yield from series.collect(self._parts.observed)


def _queries(counters: Counters) -> Iterator[Metric]:
    queries = CounterMetricFamily(
        PREFIX + "queries", "Queries answered.", labels=["protocol", "rcode"]
    )
    sums: dict[tuple[str, str], int] = {}
    for (protocol, rcode), count in dict(counters.queries).items():
        labels = protocol, rcode_text(rcode)
        sums[labels] = sums.get(labels, 0) + count
    for labels, count in sums.items():
        queries.add_metric(labels, count)
    yield queries
    for name, text, udp, tcp in (
        ("hits", "Queries answered with what was there.", counters.hits, counters.tcp_hits),
        ("misses", "Queries that a server had to be asked for.", counters.misses,
         counters.tcp_misses),
    ):  # fmt: skip
        family = CounterMetricFamily(PREFIX + name, text, labels=["protocol"])
        family.add_metric(["udp"], udp)
        family.add_metric(["tcp"], tcp)
        yield family
    for name, text, count in (
        ("stale_answers", "Queries answered with what had expired.", counters.stale),
        ("local_answers", "Queries answered from local data.", counters.local),
        ("prefetches", "Answers refreshed before they expired.", counters.prefetched),
        ("cache_insertions", "Answers put into the cache.", counters.insertions),
        ("cache_evictions", "Answers that gave way before they expired.", counters.evictions),
        ("exceptions", "Queries that met a fault of ours.", counters.exceptions),
    ):
        yield CounterMetricFamily(PREFIX + name, text, value=count)
    for name, text, label, counts in (
        ("dropped", "Queries not answered.", "reason", counters.dropped),
        ("malformed", "Messages of clients that could not be read.", "kind", counters.malformed),
        ("bad_replies", "Messages of servers that did not count.", "kind", counters.bad_replies),
        ("limits_reached", "How often a limit, or 50 or 80 % of one, was reached.", "limit",
         counters.limits),
    ):  # fmt: skip
        yield counter(name, text, label, counts)


def _cache(parts: Parts) -> Iterator[Metric]:
    cache = parts.cache
    yield gauge("cache_entries", "Answers in the cache.", len(cache))
    yield gauge("cache_max_entries", "Most answers in the cache (--cache-size).", cache.max_entries)
    yield gauge(
        "cache_ready_replies", "Replies that receivers send by themselves.", len(cache.ready)
    )
    yield gauge("cache_bytes", "Octets that the cache takes.", cache.octets)
    yield gauge("cache_max_bytes", "Most octets that the cache may take.", cache.max_octets)
    yield gauge("failures_remembered", "Questions not asked again for now.", len(parts.failures))


def _load(parts: Parts) -> Iterator[Metric]:
    tcp = parts.tcp()
    yield gauge("in_flight", "Questions on their way to servers.", parts.in_flight())
    yield gauge("waiting_clients", "Queries that wait for an answer.", parts.waiting())
    yield gauge("tcp_connections", "Open TCP connections of clients.", tcp.open)
    yield gauge("tcp_max_connections", "Most TCP connections of clients.", tcp.allowed)
    yield gauge("upstream_sockets", "Open UDP sockets towards servers.", parts.sockets.sockets)
    yield gauge(
        "upstream_connections", "TCP and TLS connections to servers.", parts.sockets.connections
    )
    limits = GaugeMetricFamily(PREFIX + "limit", "Bounds.", labels=["limit"])
    for name, most in parts.limits.items():
        limits.add_metric([name], most)
    yield limits
    yield histogram("event_loop_lag_seconds", "How late the event loop was.", parts.state.lag)
    yield CounterMetricFamily(
        PREFIX + "event_loop_stalls",
        "How often it was more than 250 ms late with questions on their way.",
        value=parts.state.stalls,
    )
    yield gauge("draining", "1 while shutting down.", parts.state.draining)
    yield gauge("listeners", "Addresses where queries are taken.", len(parts.state.listeners()))


def _feed(parts: Parts) -> Iterator[Metric]:
    feed, purges = parts.feed, parts.purges
    if feed is None or purges is None:
        return
    yield gauge("feed_alive", "1 while the cluster's server tells of changes.", feed.alive)
    yield gauge("feed_serial", "Serial of the last change told, 0 for none.", feed.serial)
    yield counter("feed_messages", "What was told, by kind.", "kind", feed.messages)
    yield counter(
        "feed_refused", "NOTIFY messages that did not count: forged, malformed, without the key.",
        "reason", feed.refused,
    )  # fmt: skip
    for name, text, count in (
        ("feed_begun", "How often a feed began, or came back.", feed.begun),
        ("feed_unexpected_serials", "How often something had been missed.", feed.out_of_step),
        ("feed_purges", "Changes that answers were dropped for.", purges.count),
        ("feed_purged_entries", "Answers dropped for a change.", purges.dropped),
        ("feed_suspected_entries", "Answers that became at most stale.", purges.suspected),
    ):
        yield CounterMetricFamily(PREFIX + name, text, value=count)


def _warm(warm: WarmStart | None) -> Iterator[Metric]:
    if warm is None:
        return
    file, warmup = warm.file, warm.warmup
    if file.age_s is not None:
        yield gauge("hot_file_age_seconds", "Since the file of hot questions.", file.age_s)
    yield gauge("hot_file_bytes", "Octets of the file of hot questions.", file.octets)
    yield gauge("hot_questions", "Questions in the file.", file.kept)
    yield gauge("hot_answers", "Of these, the ones with an answer.", file.answers)
    yield gauge("warm_questions", "Questions that the start found in the file.", warm.loaded)
    yield gauge("warm_answers", "Answers that the start found, to be stale.", warm.restored)
    yield gauge("warm_questions_left", "Of the questions, those still to be asked.", warmup.left)
    for name, text, count in (
        ("hot_file_writes", "Files of hot questions written.", file.writes),
        ("hot_file_errors", "Files that could not be read or written.", file.errors),
        ("warm_refreshed", "Questions of the start that were asked again.", warmup.refreshed),
        ("warm_failed", "Questions of the start that nobody answered.", warmup.failed),
        ("warm_needless", "Questions of the start known by then.", warmup.needless),
    ):
        yield CounterMetricFamily(PREFIX + name, text, value=count)


def _configuration(state: State) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        PREFIX + "config_info", "1 for the configuration in force.", labels=["version"]
    )
    info.add_metric([state.version], 1)
    yield info
    yield counter(
        "config_errors", "How often something new was bad, by key.", "key", state.problem_counts
    )
    bad = Sums("config_bad", "1 for a key whose last good value stays in force.", "key")
    for key in state.problems:
        bad.add(key, 1)
    yield bad.gauge()
    last = state.last_problem
    yield gauge(
        "config_last_error_timestamp_seconds", "When something bad was read last, 0 for never.",
        0 if last is None else last.at,
    )  # fmt: skip
    described = GaugeMetricFamily(
        PREFIX + "config_last_error_info", "1 for what was bad last; /status tells why.",
        labels=["file", "key", "position"],
    )  # fmt: skip
    if last is not None:
        described.add_metric([last.file, last.key, last.position], 1)
    yield described


def _log(parts: Parts) -> Iterator[Metric]:
    if parts.lines is not None:
        yield CounterMetricFamily(
            PREFIX + "log_lines_dropped", "Log lines that could not be written.",
            value=parts.lines.dropped,
        )  # fmt: skip
    if parts.query_log is not None:
        yield CounterMetricFamily(
            PREFIX + "log_queries_suppressed", "Queries left out of the log.",
            value=parts.query_log.suppressed,
        )  # fmt: skip
