"""
Every metric of the sidecar, its name and its help text, in one place.

Three kinds: our own, `kubedns_sidecar_…`; those of the original by its exact names, of which the
client library would rename counters (`_total`), so that they are untyped; and the forwarder's own,
passed on as they came, because Prometheus reaches this port alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UntypedMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from kubedns import __version__
from sidecar import verdict
from sidecar.health import BUCKETS_MS, Health
from sidecar.state import State

OURS = "kubedns_sidecar_"
FORWARDER = "kubedns_forwarder_"
_BORDERS = (*(f"{border:g}" for border in BUCKETS_MS), "+Inf")
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_COMMENT = re.compile(rf"# (HELP|TYPE) ({_NAME})(?: .*)?")
_SAMPLE = re.compile(
    rf'({_NAME})(?:\{{(?:{_NAME}="(?:[^"\\]|\\.)*",?)*\}})? [-+.0-9a-zA-Z]+(?: [0-9]+)?'
)


def exposition(state: State, namespace: str, wall: Callable[[], float]) -> Callable[[], bytes]:
    """
    Return what gives the text of /metrics.

    namespace: of the original's names, empty for none. wall: seconds since the epoch.
    """
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Collected(state, f"{namespace}_" if namespace else "", wall))

    def text() -> bytes:
        passed_on = "".join(passed(each.metrics) for each in state.neighbours.values())
        return generate_latest(registry) + passed_on.encode()

    return text


class _Collected(Collector):
    def __init__(self, state: State, prefix: str, wall: Callable[[], float]) -> None:
        self._state = state
        self._prefix = prefix
        self._wall = wall

    def collect(self) -> Iterable[Metric]:
        yield from _statistics(self._state, self._prefix)
        for health in self._state.health.values():
            yield from _probe(health, self._prefix)
        yield from _own(self._state, self._wall())
        yield from _own_probes(list(self._state.health.values()))


def _statistics(state: State, prefix: str) -> Iterator[Metric]:
    """Yield the original's counters of dnsmasq."""
    told = state.statistics
    for name, text, count in (
        ("hits", "Number of DNS cache hits (from start of process).", told.hits),
        ("misses", "Number of DNS cache misses (from start of process).", told.misses),
        ("evictions", "Answers that gave way before they expired.", told.evictions),
        ("insertions", "Answers put into the cache.", told.insertions),
        ("errors", "Polls of these counters that failed.", told.errors),
    ):
        yield UntypedMetricFamily(f"{prefix}dnsmasq_{name}", text, value=count)
    yield GaugeMetricFamily(
        f"{prefix}dnsmasq_max_size", "Most answers in the cache.", value=told.max_size
    )


def _probe(health: Health, prefix: str) -> Iterator[Metric]:
    """Yield the original's metrics of one probe; good rounds only have a latency."""
    name = f"{prefix}probe_{health.probe.label}"
    latency = HistogramMetricFamily(
        f"{name}_latency_ms", "How long replies with records took, in milliseconds."
    )
    counts = accumulate(health.latencies)
    latency.add_metric(
        [], list(zip(_BORDERS, map(float, counts), strict=True)), health.latency_sum_ms
    )
    yield latency
    yield UntypedMetricFamily(f"{name}_errors", "Rounds without records.", value=health.errors)


def _own(state: State, now: float) -> Iterator[Metric]:
    """Yield what the sidecar itself knows."""
    info = GaugeMetricFamily(OURS + "build_info", "1 for this version.", labels=["version"])
    info.add_metric([__version__], 1)
    yield info
    yield _gauge("healthy", "1 while /healthz says that all is well.", verdict.healthz(state).well)
    yield _gauge("ready", "1 while /readyz says so.", verdict.readyz(state).well)
    yield _gauge("draining", "1 while shutting down.", state.draining)
    polled = state.statistics.at
    yield _gauge(
        "dnsmasq_poll_age_seconds",
        "Since the last good poll of the counters, or the start.",
        max(0.0, now - (polled or state.began)),
    )
    up = GaugeMetricFamily(
        OURS + "neighbour_up", "1 while its /status can be read.", labels=["neighbour"]
    )
    age = GaugeMetricFamily(
        OURS + "neighbour_age_seconds",
        "Since its /status was read, or the start.",
        labels=["neighbour"],
    )
    for neighbour in state.neighbours.values():
        up.add_metric([neighbour.name], not neighbour.error)
        age.add_metric([neighbour.name], max(0.0, now - (neighbour.at or state.began)))
    yield up
    yield age


def _own_probes(all_health: list[Health]) -> Iterator[Metric]:
    """Yield what each probe found, by label."""
    values: tuple[tuple[str, str, Callable[[Health], float]], ...] = (
        ("up", "1 while it is good: its question gets a record.", lambda h: h.good),
        ("alive", "1 while /healthcheck says so.", lambda h: h.alive),
        ("since_timestamp_seconds", "When up last changed.", lambda h: h.since),
        ("latency_seconds", "Of the last reply, 0 for none.", lambda h: h.latency_s or 0.0),
    )
    for name, text, value in values:
        family = GaugeMetricFamily(f"{OURS}probe_{name}", text, labels=["probe"])
        for health in all_health:
            family.add_metric([health.probe.label], value(health))
        yield family
    rounds = CounterMetricFamily(OURS + "probe_rounds", "Rounds.", labels=["probe"])
    make = GaugeMetricFamily(
        OURS + "probe_server_info", "1 for what it says it is.", labels=["probe", "make", "version"]
    )
    for health in all_health:
        rounds.add_metric([health.probe.label], health.rounds)
        make.add_metric([health.probe.label, health.make.value, health.version], 1)
    yield rounds
    yield make


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(OURS + name, text, value=float(value))


def passed(text: str) -> str:
    """
    Return the forwarder's own families of an exposition: never those of its process.

    A family is passed on as a whole, HELP, TYPE and samples; one with a line that cannot be read
    is left out.
    """
    kept: list[str] = []
    for family, lines in _families(text):
        if family.startswith(FORWARDER) and all(_belongs(line, family) for line in lines):
            kept += lines
    return "".join(f"{line}\n" for line in kept)


def _families(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each family's name and lines; a HELP line begins one."""
    name, lines = "", list[str]()
    for line in text.split("\n"):
        comment = _COMMENT.fullmatch(line)
        if comment is not None and comment[2] != name:
            if lines:
                yield name, lines
            name, lines = comment[2], []
        if line:
            lines.append(line)
    if lines:
        yield name, lines


def _belongs(line: str, family: str) -> bool:
    """Tell whether a line is one of this family, such as one of a histogram's or a counter's."""
    if line.startswith("#"):
        return _COMMENT.fullmatch(line) is not None
    sample = _SAMPLE.fullmatch(line)
    stem = family.removesuffix("_total")
    return sample is not None and sample[1].startswith(stem)
