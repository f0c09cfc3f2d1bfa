"""
Every metric of kubedns, its name and its help text, in one place.

The first group has the names of the original, which begin with PROMETHEUS_NAMESPACE and
PROMETHEUS_SUBSYSTEM (`skydns_skydns_` by default). The second is ours. All are made from plain
integers when somebody scrapes; nothing is labelled by what a client sent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from kubedns.cluster.feed import LATENCY_S, Feed
from kubedns.cluster.pairing import Pairing
from kubedns.serve.counters import Counters, Histogram
from kubedns.snapshot.saving import Saving
from kubedns.tell.session import State
from kubedns.tell.teller import Teller
from kubedns.tell.waiting import MAX_NAMES
from kubedns.wire import rr
from kubedns.zone.answers import Answers
from kubedns.zone.lookup import Zone


@dataclass(slots=True)
class Parts:
    """What is measured. resources: as in /status; outside: counts by what happened."""

    counters: Counters
    answers: Answers
    zone: Zone
    feed: Feed
    pairing: Pairing
    resources: Callable[[], list[dict[str, object]]]
    audits: Callable[[], Mapping[str, Mapping[str, object]]]
    waiting_s: Callable[[], float]
    outside: Callable[[], Mapping[str, int]]
    config_errors: Callable[[], Mapping[str, int]]
    late: Callable[[], bool]
    connections: Callable[[], int]
    teller: Teller
    saving: Saving


def exposition(parts: Parts, prefix: str) -> Callable[[], bytes]:
    """Return what gives the text of /metrics; prefix: of the original's names, with its `_`."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Collected(parts, prefix))
    return lambda: generate_latest(registry)


class _Collected(Collector):
    def __init__(self, parts: Parts, prefix: str) -> None:
        self._parts = parts
        self._prefix = prefix

    def collect(self) -> Iterable[Metric]:
        self._parts.counters.collect(list(self._parts.answers.table.values()))
        yield from _original(self._parts.counters, self._prefix)
        yield from _queries(self._parts)
        yield from _cluster(self._parts)
        yield from _notify(self._parts.teller)
        yield from _snapshot(self._parts.saving)


def _original(counters: Counters, prefix: str) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        prefix + "dns_request_count", "Counter of DNS requests made.", labels=["system"]
    )
    by_system: dict[str, int] = {}
    for (system, _), count in counters.outcomes.items():
        by_system[system] = by_system.get(system, 0) + count
    for system, count in by_system.items():
        requests.add_metric([system], count)
    yield requests
    errors = CounterMetricFamily(
        prefix + "dns_error_count",
        "Counter of DNS requests resulting in an error.",
        labels=["system", "cause"],
    )
    for (system, cause), count in counters.errors().items():
        errors.add_metric([system, cause], count)
    yield errors
    misses = CounterMetricFamily(
        prefix + "dns_cachemiss_count",
        "Counter of questions that no ready answer was there for.",
        labels=["cache"],
    )
    misses.add_metric(["response"], counters.lookups)
    yield misses
    for name, text, histograms in (
        ("dns_request_duration_seconds", "Time each request took to resolve.", counters.durations),
        ("dns_response_size_bytes", "Size of the returned response in bytes.", counters.sizes),
    ):
        family = HistogramMetricFamily(prefix + name, text, labels=["system"])
        for system, histogram in histograms.items():
            family.add_metric([system], _buckets(histogram), histogram.total)
        yield family


def _queries(parts: Parts) -> Iterator[Metric]:
    counters = parts.counters
    responses = CounterMetricFamily(
        "kubedns_dns_responses", "Replies sent, by system and rcode.", labels=["system", "rcode"]
    )
    for (system, rcode), count in counters.outcomes.items():
        responses.add_metric([system, rr.RCODE_NAMES.get(rcode, str(rcode))], count)
    yield responses
    yield _labelled(
        CounterMetricFamily(
            "kubedns_dns_dropped", "Messages and connections not answered.", labels=["reason"]
        ),
        dict(counters.dropped),  # receivers count on in their threads
    )
    yield CounterMetricFamily(
        "kubedns_dns_exceptions", "Queries answered SERVFAIL by a fault of ours.",
        value=counters.exceptions,
    )  # fmt: skip
    yield _gauge("kubedns_dns_ready_answers", "Encoded answers kept.", len(parts.answers.table))
    yield _gauge("kubedns_dns_ready_answers_bytes", "Octets they take.", parts.answers.octets)
    yield _gauge("kubedns_dns_tcp_connections", "Open TCP connections.", parts.connections())
    yield _labelled(
        CounterMetricFamily(
            "kubedns_outside", "Questions to stub domains and nameservers.", labels=["event"]
        ),
        parts.outside(),
    )
    yield _labelled(
        CounterMetricFamily(
            "kubedns_config_errors", "Configurations with a bad key, by key.", labels=["key"]
        ),
        parts.config_errors(),
    )


def _cluster(parts: Parts) -> Iterator[Metric]:
    zone = parts.zone
    yield _gauge("kubedns_synced", "1 when all lists have been read.", zone.synced)
    yield CounterMetricFamily(
        "kubedns_initial_sync_timeouts", "1 if --initial-sync-timeout passed before the sync.",
        value=parts.late(),
    )  # fmt: skip
    yield _gauge("kubedns_zone_serial", "Serial of the zone.", zone.tree.serial)
    services, records = 0, 0
    for _, branch in zone.tree.branches():
        services += 1
        records += branch.size()
    yield _gauge("kubedns_services", "Services with a name in the zone.", services)
    yield _gauge("kubedns_records", "Records served, reverse ones included.", records)
    objects = GaugeMetricFamily("kubedns_objects", "Objects kept.", labels=["resource"])
    for kind, count in parts.pairing.counts().items():
        objects.add_metric([kind.value], count)
    yield objects
    yield CounterMetricFamily(
        "kubedns_object_problems", "Objects cut to their valid part, or skipped.",
        value=parts.feed.problems,
    )  # fmt: skip
    yield CounterMetricFamily(
        "kubedns_service_faults", "Services that could not be built, by a fault of ours.",
        value=parts.feed.faults,
    )  # fmt: skip
    yield CounterMetricFamily("kubedns_changes", "Changes of the zone.", value=parts.feed.changes)
    latency = Histogram(LATENCY_S)
    latency.counts, latency.total = parts.feed.latency_counts, parts.feed.latency_total_s
    family = HistogramMetricFamily(
        "kubedns_event_latency_seconds", "From an event's arrival until it is in the answers."
    )
    family.add_metric([], _buckets(latency), latency.total)
    yield family
    yield _gauge(
        "kubedns_zone_waiting_seconds", "How long something known has not been in the zone.",
        parts.waiting_s(),
    )  # fmt: skip
    yield from _resources(parts.resources())
    yield from _audits(parts.audits())


def _notify(teller: Teller) -> Iterator[Metric]:
    to = ["to"]
    up = GaugeMetricFamily(
        "kubedns_notify_up", "1 while a cache is told of changes, and says so.", labels=to
    )
    waiting = GaugeMetricFamily(
        "kubedns_notify_waiting",
        f"Names that a cache has yet to be told; {MAX_NAMES + 1}: everything.",
        labels=to,
    )
    serial = GaugeMetricFamily(
        "kubedns_notify_serial", "Serial of the zone that a cache has last owned to.", labels=to
    )
    events = CounterMetricFamily(
        "kubedns_notify",
        "Messages sent (hello, names, all, heartbeat, retries) and what came back.",
        labels=["to", "event"],
    )
    for target, session in teller.sessions():
        up.add_metric([target], session.state is State.TOLD and session.known is not None)
        waiting.add_metric([target], MAX_NAMES + 1 if session.waiting is None else session.waiting)
        if session.known is not None:
            serial.add_metric([target], session.known)
        for event, count in session.counts.items():
            events.add_metric([target, event], count)
    yield from (up, waiting, serial, events)


def _snapshot(saving: Saving) -> Iterator[Metric]:
    yield _gauge("kubedns_stale", "1 while a snapshot is served.", saving.stale)
    if saving.age_s is not None:
        yield _gauge(
            "kubedns_snapshot_age_seconds", "Since the snapshot was known to be right.",
            saving.age_s,
        )  # fmt: skip
    yield _gauge("kubedns_snapshot_bytes", "Octets of the snapshot.", saving.octets)
    yield CounterMetricFamily("kubedns_snapshot_writes", "Snapshots written.", value=saving.writes)
    yield CounterMetricFamily(
        "kubedns_snapshot_errors", "Snapshots that could not be read or written.",
        value=saving.errors,
    )  # fmt: skip


def _resources(resources: Sequence[Mapping[str, object]]) -> Iterator[Metric]:
    labels = ["resource"]
    age = GaugeMetricFamily(
        "kubedns_watch_age_seconds", "Since the source last said anything.", labels=labels
    )
    up = GaugeMetricFamily("kubedns_watch_up", "1 while it is watched.", labels=labels)
    forbidden = GaugeMetricFamily(
        "kubedns_watch_forbidden", "1 while it may not be read and is done without.", labels=labels
    )
    relists = CounterMetricFamily("kubedns_relists", "Lists after the first.", labels=labels)
    errors = CounterMetricFamily("kubedns_watch_errors", "Requests that failed.", labels=labels)
    events = CounterMetricFamily("kubedns_events", "Events received.", labels=labels)
    restarts = CounterMetricFamily(
        "kubedns_reader_restarts", "Readers that stopped or hung, and began anew.", labels=labels
    )
    for each in resources:
        name = [str(each["resource"])]
        if each["age_s"] is not None:
            age.add_metric(name, _number(each["age_s"]))
        up.add_metric(name, each["state"] == "watching")
        forbidden.add_metric(name, each["state"] == "forbidden")
        relists.add_metric(name, _number(each["relists"]))
        errors.add_metric(name, _number(each["errors"]))
        events.add_metric(name, _number(each["events"]))
        restarts.add_metric(name, _number(each["restarts"]))
    yield from (age, up, forbidden, relists, errors, events, restarts)


def _audits(audits: Mapping[str, Mapping[str, object]]) -> Iterator[Metric]:
    labels = ["resource"]
    runs = CounterMetricFamily("kubedns_audit_runs", "Audits that were complete.", labels=labels)
    differences = CounterMetricFamily(
        "kubedns_audit_differences",
        "Objects that were not as the API server had them although the watch was past that; "
        "zone: services whose records were not as their objects.",
        labels=labels,
    )
    failures = CounterMetricFamily(
        "kubedns_audit_failures", "Audits that came to no end.", labels=labels
    )
    last = GaugeMetricFamily(
        "kubedns_audit_last_timestamp_seconds", "Unix time of the last complete audit.",
        labels=labels,
    )  # fmt: skip
    for resource, report in audits.items():
        runs.add_metric([resource], _number(report["runs"]))
        differences.add_metric([resource], _number(report["differences"]))
        failures.add_metric([resource], _number(report["failures"]))
        if report["last"] is not None:
            last.add_metric([resource], _number(report["last"]))
    yield from (runs, differences, failures, last)


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    # Borders as Go writes them (`1`, not `1.0`): dashboards match them as text.
    borders = [*(f"{border:g}" for border in histogram.borders), "+Inf"]
    return list(zip(borders, accumulate(histogram.counts), strict=True))


def _labelled(family: CounterMetricFamily, counts: Mapping[str, int]) -> CounterMetricFamily:
    for label, count in counts.items():
        family.add_metric([label], count)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
