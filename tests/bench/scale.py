"""A large cluster: how soon after its start a server answers for it, and in how much memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, Series
from tests.bench.objects import BenchService
from tests.bench.question import Question
from tests.bench.systems import KUBEDNS, Running, System

_PATIENCE_S = 60.0
_PAUSE_S = 0.005
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until the answers, seconds until readiness, memory in MiB."""

    headless_s: float
    last_s: float
    ready_s: float
    cpu_s: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Goals:
    """Upper bounds for kubedns; None where the issue names none."""

    first_answer_s: float | None = None
    rss_mib: float | None = None


_GOALS = {5_000: Goals(first_answer_s=1.5, rss_mib=105.0)}


class Size:
    """A cluster of these services, created in this order, and the starts measured in it."""

    def __init__(self, services: list[BenchService]) -> None:
        self.headless = next(service for service in services if service.cluster_ip is None)
        self.last = services[-1]
        self.services = len(services)
        self.addresses = sum(len(service.addresses) for service in services)
        self.title = f"{self.services:,} services / {self.addresses:,} addresses"
        self.starts: dict[str, list[Start]] = {}

    def series(self, field: str, goal: float | None = None) -> list[Series]:
        """Return one field of the starts of every system."""
        return [
            Series(
                name,
                [getattr(start, field) for start in starts],
                goal if name == KUBEDNS else None,
            )
            for name, starts in self.starts.items()
        ]


def measure(bench: Bench, size: Size, *, rounds: int) -> Iterator[Figure]:
    """Start each system in turn on the cluster as it is."""
    for _ in range(rounds):
        for system in bench.watchers:
            say(f"start of {system.name}, {size.title}")
            size.starts.setdefault(system.name, []).append(_start(bench, system, size))
    goals = _GOALS.get(size.services, Goals())
    first, rss = goals.first_answer_s, goals.rss_mib
    for title, unit, field, goal in (
        ("start to first answer, headless", "s", "headless_s", first),
        ("start to first answer, last created", "s", "last_s", first),
        ("start to readiness", "s", "ready_s", None),
        ("CPU from start until settled", "s", "cpu_s", None),
        ("resident memory", "MiB", "rss_mib", rss),
    ):
        yield Figure(f"{title}, {size.title}", unit, size.series(field, goal))


def growth(sizes: list[Size]) -> Iterator[Figure]:
    """Say what each step between sizes took for one more address; linear is the same each time."""
    for small, large in itertools.pairwise(sizes):
        more = large.addresses - small.addresses
        pairs = zip(small.series("rss_mib"), large.series("rss_mib"), strict=True)
        yield Figure(
            f"resident memory for one more address, {small.addresses:,} to {large.addresses:,}",
            "KiB",
            [Series(one.system, [(two.median - one.median) * 1024 / more]) for one, two in pairs],
        )


def _start(bench: Bench, system: System, size: Size) -> Start:
    with bench.running(system) as one:
        begun = one.process.started
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
            cpu_s=one.process.cpu_s(),
            rss_mib=one.process.rss_mib(),
        )


def _ready(one: Running, deadline: float) -> float:
    while not one.ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{one.name} does not become ready")
        time.sleep(_PAUSE_S)
    return time.monotonic()
