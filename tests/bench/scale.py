"""Large clusters: start, memory, cost of a query and of a change, which must not grow with them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench import updates
from tests.bench.authorities import AUTHORITIES
from tests.bench.bench import SOME, Bench, say, warm_up
from tests.bench.compare import costs, rounds
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure, figure
from tests.bench.objects import BenchService
from tests.bench.question import Question
from tests.bench.systems import Running, Setting, System

_PATIENCE_S = 60.0
_PAUSE_S = 0.005
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until the answers and until readiness, CPU, memory (PSS) in MB."""

    headless_s: float
    last_s: float
    ready_s: float
    cpu_s: float
    memory_mb: float


class Size:
    """A cluster of these services, created in this order, and what was measured in it."""

    def __init__(self, services: Sequence[BenchService]) -> None:
        self.headless = next(service for service in services if service.cluster_ip is None)
        self.last = services[-1]
        self.services = len(services)
        self.addresses = sum(len(service.addresses) for service in services)
        self.title = f"{self.services:,} services / {self.addresses:,} addresses"
        self.starts: dict[str, list[Start]] = {}

    def values(self, field: str) -> dict[str, list[float]]:
        """Return one field of the starts of every system."""
        return {
            name: [getattr(start, field) for start in starts]
            for name, starts in self.starts.items()
        }


def measure(bench: Bench) -> Iterator[Figure]:
    """Let the cluster grow, and measure both authorities at each size."""
    bench.release()
    sizes = []
    for count in (SOME, 1_000) if bench.quick else (1_000, 5_000, 10_000):
        size = Size(list(bench.services(count)))
        for number in range(1 if bench.quick else 2):
            for system in AUTHORITIES:
                say(f"(i) {size.title}: start {number + 1} of {system.name}")
                start = _start(system, bench.setting, size)
                size.starts.setdefault(system.name, []).append(start)
        for key, title, unit, field in (
            ("first", "start to first answer, headless", "s", "headless_s"),
            ("last", "start to first answer, last created", "s", "last_s"),
            ("ready", "start to readiness", "s", "ready_s"),
            ("sync", "CPU from start until settled", "s", "cpu_s"),
            ("memory", "memory (PSS)", "MB", "memory_mb"),
        ):
            yield figure(f"i.{key}-{count}", f"(i) {size.title}: {title}", unit, size.values(field))
        yield from _at_work(bench, size)
        sizes.append(size)
    yield from _growth(sizes)


def _at_work(bench: Bench, size: Size) -> Iterator[Figure]:
    """Return what a query and a change cost, both systems beside each other."""
    title, count = f"(i) {size.title}", size.services
    load = Load(bench.files.cluster(bench.services(0), zipf=False))
    with ExitStack() as stack, bench.cluster.connect() as api:
        running = bench.start(AUTHORITIES, bench.setting, stack)
        warm_up(running, load)
        loads = [load] * bench.pace.rounds
        cells = rounds(running, loads, bench.pace.seconds, failed=bench.leave_out)
        yield costs(f"i-{count}", title, cells)
        latency_ms: dict[str, list[float]] = {one.name: [] for one in running}
        cpu_us: dict[str, list[float]] = {one.name: [] for one in running}
        for _, one in itertools.product(range(3), running):
            change = updates.one_more
            latency_ms[one.name] += [updates.latency_s(one, api, change) * 1e3 for _ in range(10)]
            cpu_us[one.name].append(updates.cpu_s(one, api, change, count=20) * 1e6)
        yield figure(f"i-{count}.update", f"{title}: API response to new answer", "ms", latency_ms)
        yield figure(f"i-{count}.change", f"{title}: CPU for one changed endpoint", "µs", cpu_us)


def _growth(sizes: Sequence[Size]) -> Iterator[Figure]:
    """Say what each step took for one more address; linear is the same each time."""
    for small, large in itertools.pairwise(sizes):
        more = large.addresses - small.addresses
        title = f"(i) memory for one more address, {small.addresses:,} to {large.addresses:,}"
        one, two = small.values("memory_mb"), large.values("memory_mb")
        octets = {
            name: [(b - a) * 1e6 / more for a, b in zip(one[name], two[name], strict=True)]
            for name in one
        }
        yield figure(f"i.address-{large.services}", title, "octets", octets)


def _start(system: System, setting: Setting, size: Size) -> Start:
    with system.running(setting, ready=False) as one:
        begun = one.processes[0].started
        first = {}
        for key, service in (("headless", size.headless), ("last", size.last)):
            question = Question(service.dns_name, one.dns_port)
            first[key] = question.wait_for(
                service.answer, deadline=begun + _PATIENCE_S, pause_s=_PAUSE_S
            )
            question.close()
        ready = _ready(one, begun + _PATIENCE_S)
        time.sleep(_SETTLE_S)
        return Start(
            headless_s=first["headless"] - begun,
            last_s=first["last"] - begun,
            ready_s=ready - begun,
            cpu_s=one.cpu_s(),
            memory_mb=one.memory_mb(),
        )


def _ready(one: Running, deadline: float) -> float:
    while not one.ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{one.name} does not become ready")
        time.sleep(_PAUSE_S)
    return time.monotonic()
