"""What every measurement is given: the scratch folder, the cluster, the systems, all on demand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import dnsperf, upstream
from tests.bench.cluster import NEEDS, Cluster
from tests.bench.compare import Pace
from tests.bench.dnsperf import Load
from tests.bench.objects import BenchService, fleet, of_ten
from tests.bench.programs import UnavailableError
from tests.bench.question_files import QuestionFiles
from tests.bench.systems import Address, Running, Setting, System
from tests.realapi.controlplane import missing

SOME = 300
"""Services in the cluster when it is not its size that is measured."""

_BEGUN = time.monotonic()
_WARM_UP_S = 0.3


@dataclass(slots=True)
class Bench:
    """
    A run of the benchmarks; what is started for one measurement stays for the next ones.

    commands: other ways to start ours, by name. left_out: what could not be measured, and why.
    """

    scratch: Path
    quick: bool
    commands: Mapping[str, Sequence[str | Path]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    files: QuestionFiles = field(init=False)
    _whole: ExitStack = field(default_factory=ExitStack)
    _started: ExitStack = field(default_factory=ExitStack)
    _running: dict[tuple[str, ...], list[Running]] = field(default_factory=dict)
    _services: list[BenchService] = field(default_factory=list)
    _cluster: Cluster | None = None
    _upstream: Address | None = None

    def __post_init__(self) -> None:
        self.files = QuestionFiles(self.scratch)

    def close(self) -> None:
        """End everything."""
        self.release()
        self._whole.close()

    @property
    def pace(self) -> Pace:
        return Pace(3, 0.5) if self.quick else Pace(5, 0.7)

    @property
    def cluster(self) -> Cluster:
        """
        Return the API server, which gets its first services when it is first asked for.

        Raises:
            UnavailableError: its programs are not here.
        """
        if self._cluster is None:
            if absent := missing(NEEDS):
                raise UnavailableError(f"no {', '.join(absent)}")
            say("starting an API server")
            self._cluster = Cluster(self.scratch / "cluster")
            self._whole.enter_context(self._cluster)
            self._cluster.make_namespaces()
            self._cluster.load([of_ten()])
            self.services(SOME)
        return self._cluster

    def services(self, count: int) -> list[BenchService]:
        """Return the services of the cluster, of which there are now so many at least."""
        cluster = self.cluster
        more = list(fleet(len(self._services), count - len(self._services)))
        if more:
            say(f"creating services {len(self._services):,} to {count:,}")
            cluster.load(more)
            self._services += more
        return self._services

    @property
    def upstream(self) -> Address:
        """Return the upstream that costs next to nothing; UnavailableError without a compiler."""
        if self._upstream is None:
            self._upstream = self._whole.enter_context(upstream.fast(self.scratch))
        return self._upstream

    @property
    def setting(self) -> Setting:
        """Return what systems are started with: the cluster and the upstream."""
        return Setting(self.scratch, self.cluster.admin, [self.upstream], commands=self.commands)

    def apart(self) -> Setting:
        """Return the same without a cluster."""
        return Setting(self.scratch, None, [self.upstream], commands=self.commands)

    def running(self, systems: Sequence[System]) -> list[Running]:
        """Start systems unless they run, ours first; those that cannot be had are left out."""
        key = tuple(system.name for system in systems)
        if key not in self._running:
            self._running[key] = self.start(systems, self.setting, self._started)
        return self._running[key]

    def start(self, systems: Sequence[System], setting: Setting, stack: ExitStack) -> list[Running]:
        """Start systems until the stack is closed; those that cannot be had are left out."""
        if reason := dnsperf.missing():
            raise UnavailableError(reason)
        running = []
        for system in systems:
            try:
                running.append(stack.enter_context(system.running(setting)))
            except UnavailableError as reason:
                if system is systems[0]:
                    raise
                self.leave_out(str(reason))
        return running

    def release(self) -> None:
        """Stop the systems, so that nothing but what is started next takes CPU or memory."""
        self._running.clear()
        self._started.close()

    def leave_out(self, reason: str) -> None:
        """Note what could not be measured."""
        say(f"left out: {reason}")
        if reason not in self.left_out:
            self.left_out.append(reason)


def warm_up(running: Sequence[Running], load: Load) -> None:
    """Ask each for every question some times, and a little longer; nothing of it is measured."""
    once = replace(load, in_flight=100, tcp=False, rate=None)
    for one in running:
        for _ in range(3):  # ours keeps what it is asked for again in another form
            dnsperf.run_once(once, one.dns_port)
        dnsperf.run(load, one.dns_port, seconds=_WARM_UP_S, per_connection=one.per_connection)


@contextmanager
def others_paused(one: Running, running: Sequence[Running]) -> Iterator[None]:
    """Let only one of these run meanwhile."""
    with ExitStack() as stack:
        for other in running:
            if other is not one:
                stack.enter_context(other.paused())
        yield


def say(text: str) -> None:
    """Tell on standard error what is being measured now, and since when in the run, in seconds."""
    print(f"{time.monotonic() - _BEGUN:5.0f}  {text}", file=sys.stderr, flush=True)
