"""What is measured, in which order: a table of the groups."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.bench import (
    churn,
    explain,
    fresh,
    names,
    pod_memory,
    recovery,
    scale,
    startup,
    weather,
    wide,
    workers,
    workloads,
)
from tests.bench.bench import Bench
from tests.bench.figures import Figure
from tests.bench.programs import UnavailableError


@dataclass(frozen=True, slots=True)
class Group:
    """
    Figures that are measured together.

    quick: part of the short run; asked: only when asked for by name.
    """

    key: str
    story: str
    measure: Callable[[Bench], Iterable[Figure]]
    quick: bool = True
    asked: bool = False


def _workload(key: str) -> Callable[[Bench], Iterator[Figure]]:
    return partial(workloads.measure, group=key)


GROUPS = (
    Group("a", "cached cluster names, zipf", _workload("a")),
    Group("b", "cached external names", _workload("b")),
    Group("c", "unique external names", _workload("c")),
    Group("d", "the ndots:5 walk of external names", _workload("d")),
    Group("k", "(a) at 1,000 queries a second", _workload("k")),
    Group("e", "cluster names at the authority", _workload("e")),
    Group("f", "SRV of a 100-endpoint headless service", _workload("f"), quick=False),
    Group("g", "TCP, and upstreams that speak TLS", _workload("g"), quick=False),
    Group("h", "(a) while 100 things change a second", churn.measure, quick=False),
    Group("fresh", "a change of the cluster, seen through a warm cache", fresh.measure),
    Group("workers", "two workers beside one", workers.measure, quick=False),
    Group("j", "a headless service of 5,000 endpoints", wide.measure, quick=False),
    Group("pod", "memory of the pod", pod_memory.measure),
    Group("explain", "explain a name", explain.measure),
    Group("startup", "start to first answer", startup.measure, quick=False),
    Group("i-names", "1,000 to 1,000,000 cached names", names.measure, quick=False),
    Group("i", "large clusters", scale.measure, quick=False),
    Group("recovery", "the API server goes away and comes back", recovery.measure, asked=True),
    Group("weather", "servers that are lossy, dead, slow", weather.measure, asked=True),
)
"""The large clusters come last: what is measured then has them all around it."""


def chosen(keys: Sequence[str], *, quick: bool) -> list[Group]:
    """Return the groups of these keys, "i" for "i-names" too, else those that belong to the run."""
    if keys:
        return [group for group in GROUPS if {group.key, group.key.partition("-")[0]} & {*keys}]
    return [group for group in GROUPS if not group.asked and (group.quick or not quick)]


@dataclass(slots=True)
class Plan:
    """The groups to measure; filled with figures, and with the names of groups that failed."""

    groups: Sequence[Group]
    figures: list[Figure] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def run(self, bench: Bench) -> None:
        """Measure everything that can be measured here; what one group breaks is its own."""
        for group in self.groups:
            try:
                for figure in group.measure(bench):
                    self.figures.append(figure)
            except UnavailableError as reason:
                bench.leave_out(f"{group.key}: {reason}")
            except Exception as error:  # one group must not cost the others
                traceback.print_exception(error)
                bench.leave_out(f"{group.key}: {type(error).__name__}: {error}")
                self.failed.append(group.key)
