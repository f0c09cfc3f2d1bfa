"""The order of a run: what needs no cluster, then an empty one, then one that grows."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.bench import (
    dnsperf,
    forwarder_plan,
    pod_memory,
    query_cost,
    recovery,
    scale,
    startup,
    updates,
)
from tests.bench.bench import Bench, say
from tests.bench.cluster import NEEDS, Cluster
from tests.bench.figures import Figure
from tests.bench.forwarder_systems import available, forwarders
from tests.bench.objects import BenchService, fleet, of_ten
from tests.bench.systems import (
    FORWARDER,
    KUBEDNS,
    System,
    UnavailableError,
    coredns,
    echo,
    kubedns,
)
from tests.realapi.controlplane import missing

_CLUSTER_GROUPS = ("updates", "recovery", "query", "scale")
GROUPS = ("startup", "pod", *forwarder_plan.GROUPS, *_CLUSTER_GROUPS)

T = TypeVar("T")
_DEMO = Path(__file__).parent.parent.parent / "manifests" / "demo"
_SOME = 300
"""Services in the cluster when the cost of a query is measured."""


@dataclass(slots=True)
class Plan:
    """What to measure; filled with figures, and with reasons where there are none."""

    groups: frozenset[str]
    quick: bool
    kubedns_command: Sequence[str] = ()
    forwarder_command: Sequence[str] = ()
    figures: list[Figure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def run(self, scratch: Path) -> None:
        """Measure everything that can be measured here."""
        ours = kubedns(scratch, self.kubedns_command)
        if "startup" in self.groups:
            self._take("startup", startup.measure(ours, _DEMO))
        if "pod" in self.groups:
            self._pod(_DEMO, scratch)
        if self.groups & {*forwarder_plan.GROUPS}:
            self._forwarders(scratch)
        if self.groups & {*_CLUSTER_GROUPS, "pod"}:
            self._cluster(scratch, ours)

    def _pod(self, source: Path, scratch: Path) -> None:
        commands = {KUBEDNS: self.kubedns_command, FORWARDER: self.forwarder_command}
        rounds = 1 if self.quick else 3
        self._take("pod", pod_memory.measure(source, scratch, commands, rounds=rounds))

    def _forwarders(self, scratch: Path) -> None:
        if reason := forwarder_plan.missing(self.groups):
            self.left_out.append(f"all forwarders: {reason}")
            return
        floor = self._available(lambda: echo(scratch))
        found, reasons = available(forwarders(scratch, self.forwarder_command))
        self.left_out += reasons
        groups = forwarder_plan.measurements(self.groups, found, floor, scratch, quick=self.quick)
        for name, measured in groups:
            self._take(name, measured)

    def _cluster(self, scratch: Path, ours: System) -> None:
        if absent := missing(NEEDS):
            self.left_out.append(f"all with an API server: no {', '.join(absent)}")
            return
        peer = self._available(lambda: coredns(scratch))
        floor = self._available(lambda: echo(scratch))
        watchers = (ours, peer) if peer else (ours,)
        cluster = Cluster(scratch / "cluster")
        try:
            with cluster:
                self._on_cluster(Bench(scratch, self.quick, cluster, watchers, floor))
        except Exception as error:  # what was measured before is still worth its print
            self._failed("cluster", error)

    def _on_cluster(self, bench: Bench) -> None:
        bench.cluster.make_namespaces()
        bench.cluster.load([of_ten()])
        empty: list[Figure] = []
        if "pod" in self.groups:
            self._pod(bench.cluster.admin, bench.scratch)
        if "updates" in self.groups:
            empty = self._take("updates", updates.measure(bench, "empty cluster"))
        if "recovery" in self.groups:
            self._take("recovery", recovery.measure(bench))
        if not self.groups & {"query", "scale", "updates"}:
            return
        services = _grow(bench, [], _SOME)
        if "query" in self.groups:
            if reason := dnsperf.missing():
                self.left_out.append(f"query: {reason}")
            else:
                self._take("query", query_cost.measure(bench, services))
        if self.groups & {"scale", "updates"}:
            self._on_large_cluster(bench, services, empty)

    def _on_large_cluster(
        self, bench: Bench, services: list[BenchService], empty: list[Figure]
    ) -> None:
        middle = 1_000 if self.quick else 5_000
        sizes: list[scale.Size] = []
        for count in (_SOME, middle, 2 * middle):
            if "scale" not in self.groups and count > middle:
                return
            services = _grow(bench, services, count)
            if "scale" in self.groups:
                size = scale.Size(services)
                rounds = 1 if self.quick or count == _SOME else 3
                if self._take("scale", scale.measure(bench, size, rounds=rounds)):
                    sizes.append(size)
            if "updates" in self.groups and count == middle:
                full = self._take("updates", updates.measure(bench, f"{count:,} services"))
                if empty and full:
                    self.figures += updates.same_cost(empty, full)
        self.figures += scale.growth(sizes)

    def _take(self, group: str, measured: Iterable[Figure]) -> list[Figure]:
        """
        Add the figures of one measurement, and return them if it came to its end.

        Of one that fails only what it measured before is kept, and it says why.
        """
        figures: list[Figure] = []
        try:
            for figure in measured:
                self.figures.append(figure)
                figures.append(figure)
        except Exception as error:  # one group must not cost the others
            self._failed(group, error)
            return []
        return figures

    def _failed(self, group: str, error: Exception) -> None:
        traceback.print_exception(error)
        notes = getattr(error, "__notes__", [])
        self.left_out.append("; ".join([f"{group}: {type(error).__name__}: {error}", *notes]))

    def _available(self, build: Callable[[], T]) -> T | None:
        try:
            return build()
        except UnavailableError as reason:
            self.left_out.append(str(reason))
            return None


def _grow(bench: Bench, services: list[BenchService], count: int) -> list[BenchService]:
    """Bring the cluster to this many services; return all of them."""
    more = list(fleet(len(services), count - len(services)))
    if more:
        say(f"creating services {len(services):,} to {count:,}")
        bench.cluster.load(more)
    return [*services, *more]
