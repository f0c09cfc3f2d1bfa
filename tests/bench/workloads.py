"""The workloads that every system gets alike: a table of what is asked, of whom, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from tests.bench import dot, upstream
from tests.bench.authorities import AUTHORITIES
from tests.bench.bench import Bench, say, warm_up
from tests.bench.compare import (
    Cells,
    Check,
    WrongError,
    costs,
    latencies,
    offered,
    rates,
    rounds,
)
from tests.bench.dnsperf import Load, Outcome, run_once
from tests.bench.figures import Figure, figure
from tests.bench.fronts import FRONTS, PLAIN, WALKED
from tests.bench.programs import UnavailableError
from tests.bench.question_files import WALK
from tests.bench.systems import DNSMASQ, ECHO_SYSTEM, Address, Running, Setting, System

_AT_A_TIME = 100  # of what is forwarded; dnsmasq refuses what is more than 150
_FORWARDED = 0.98
_SLOW_PACE = 1_000
_ENTRIES = 2 * 6 * 100_000
_PUBLISHED = 1_000
"""The size of the cache in the manifests; what dnsmasq does when it is full depends on it."""

_FILL = 20_000  # unbound's smallest cache is full then too


@dataclass(frozen=True, slots=True)
class Workload:
    """
    What is asked, of which systems.

    load: made anew for each round, so that ``unique`` names are. per: queries in one ``unit``.
    echo: the C echo is measured too. rate: only at this rate. latency: at a fixed rate is measured
    too, in a short run for the first workload alone. setting: started for this workload, with that;
    else the systems that others had are asked. quick: part of a short run.
    """

    key: str
    title: str
    load: Callable[[Bench], Load]
    systems: Sequence[System] = FRONTS
    unique: bool = False
    per: int = 1
    unit: str = "query"
    echo: bool = False
    rate: float | None = None
    latency: bool = True
    quick: bool = True
    setting: Callable[[Bench, ExitStack], Setting] | None = None


def _cluster(bench: Bench) -> Load:
    return Load(bench.files.cluster(bench.services(0)))


def _srv(bench: Bench) -> Load:
    headless = next(each for each in bench.services(0) if each.cluster_ip is None)
    name = f"_http._tcp.{headless.dns_name}"
    return Load(bench.files.of("srv", [name], "SRV"), tcp=True, in_flight=40)


def _unique(bench: Bench) -> Load:
    return Load(bench.files.unique(), in_flight=_AT_A_TIME)


def _tcp(bench: Bench, in_flight: int) -> Load:
    return replace(_cluster(bench), tcp=True, in_flight=in_flight)


def _roomy(bench: Bench, _: ExitStack) -> Setting:
    return replace(bench.setting, room=_ENTRIES)


def _as_published(bench: Bench, _: ExitStack) -> Setting:
    return replace(bench.setting, room=_PUBLISHED)


WORKLOADS = (
    Workload("a", "(a) cached cluster names", _cluster, echo=True),
    Workload("a-plain", "(a) the same in pure Python", _cluster, systems=PLAIN, echo=True,
             latency=False, quick=False),
    Workload("b", "(b) cached external names", lambda bench: Load(bench.files.external())),
    Workload("c", "(c) unique external names, cache full", _unique, unique=True,
             setting=_as_published),
    Workload("c-room", "(c) unique external names, room in the cache", _unique, unique=True,
             setting=_roomy, latency=False, quick=False),
    Workload("d", "(d) glibc's ndots:5 walk of external names",
             lambda bench: Load(bench.files.walk(), good=2 / WALK), per=WALK, unit="look-up",
             systems=WALKED),
    Workload("e", "(e) cluster names at the authority",
             lambda bench: Load(bench.files.cluster(bench.services(0), zipf=False)),
             systems=AUTHORITIES, echo=True),
    Workload("f", "(f) SRV of a 100-endpoint headless service, over TCP", _srv, latency=False),
    Workload("f-authority", "(f) the same at the authority", _srv, systems=AUTHORITIES,
             latency=False),
    Workload("g-many", "(g) cached, TCP, 50 in flight a connection", lambda b: _tcp(b, 200),
             latency=False),
    Workload("g-one", "(g) cached, TCP, one in flight a connection", lambda b: _tcp(b, 4),
             latency=False),
    Workload("g-dot", "(g) unique names, the upstream speaks TLS", _unique, unique=True,
             systems=[each for each in FRONTS if each.name != DNSMASQ], setting=dot.setting,
             latency=False),
    Workload("k", "(k) cached cluster names, 1,000 queries/s offered", _cluster, echo=True,
             rate=_SLOW_PACE),
)  # fmt: skip


def measure(bench: Bench, group: str) -> Iterator[Figure]:
    """Measure the workloads of a group."""
    for work in WORKLOADS:
        if work.key.partition("-")[0] == group and (work.quick or not bench.quick):
            yield from _measure(bench, work)
    if group == "a":
        taken = {one.name: [one.memory_mb()] for one in bench.running(FRONTS)}
        note = "with the authority that each has behind it; ours without the sidecar"
        yield figure("a.memory", "(a) memory afterwards (PSS)", "MB", taken, note)


def _measure(bench: Bench, work: Workload) -> Iterator[Figure]:
    say(work.title)
    with ExitStack() as stack:
        if work.setting:
            running = bench.start(work.systems, work.setting(bench, stack), stack)
        else:
            running = list(bench.running(work.systems))
        also = _prepared(bench, work, running)
        if work.echo:
            running += _echo(bench)
        if work.rate:
            cells = _cells(bench, work, running, also, rate=work.rate)
            yield costs(work.key, work.title, cells)
            yield from latencies(work.key, work.title, cells)
            return
        cells = _cells(bench, work, running, also)
        yield costs(work.key, work.title, cells, per=work.per, unit=work.unit)
        yield rates(work.key, work.title, cells, per=work.per, unit=work.unit)
        if work.latency and (work.key == "a" or not bench.quick):
            left = [one for one in running if one.name in cells]
            cells = _cells(bench, work, left, also, rate=offered(cells))
            yield from latencies(work.key, work.title, cells)


def _cells(
    bench: Bench,
    work: Workload,
    running: Sequence[Running],
    also: Check | None,
    rate: float | None = None,
) -> Cells:
    """Put the load on them, as much as they can take or at a rate."""
    loads = (replace(work.load(bench), rate=rate) for _ in range(bench.pace.rounds))
    # Where a core is mostly idle, a round must be longer to say as much.
    seconds = bench.pace.seconds * (2 if work.rate else 1)
    return rounds(running, loads, seconds, also=also, failed=bench.leave_out)


def _prepared(bench: Bench, work: Workload, running: Sequence[Running]) -> Check | None:
    """Warm the caches up, or fill them; return the check of what comes then."""
    if not work.unique:
        warm_up(running, work.load(bench))
        return None
    for one in running:
        fill = Load(bench.files.unique(_FILL), in_flight=_AT_A_TIME)
        run_once(fill, one.dns_port)
    return None if work.setting is dot.setting else _Forwarded(bench.upstream)


def _echo(bench: Bench) -> list[Running]:
    try:
        return bench.running([ECHO_SYSTEM])
    except UnavailableError as reason:
        bench.leave_out(str(reason))
        return []


class _Forwarded:
    """The check that what was answered had been asked upstream, and not come from a cache."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._before = upstream.questions(address)

    def __call__(self, one: Running, outcome: Outcome) -> None:
        now = upstream.questions(self._address)
        sent, self._before = now - self._before, now
        if sent < _FORWARDED * outcome.answered:
            raise WrongError(f"{one.name} asked {sent} upstream for {outcome.answered} answers")
