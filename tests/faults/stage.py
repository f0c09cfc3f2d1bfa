"""All that one row of the table needs: the cluster, the pods, the load on each, the judgement."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.asking import look
from tests.faults.gate import Gate
from tests.faults.judge import Outcome, judge
from tests.faults.load import Plan, Result
from tests.faults.loading import Loading
from tests.faults.machine import Share
from tests.faults.peers import CoreDns, Dnsmasq
from tests.faults.pods import Ours, Pod
from tests.faults.weather import Weather
from tests.faults.world import FRESH, World
from tests.forwarder.scripted import Scripted
from tests.realapi.controlplane import ControlPlane
from tests.realapi.program import Program
from tests.realapi.waiting import until

RATE = 2_200
"""Questions a second for each pod: the least is 2,000."""

CROWDED = 0.15
"""Share of the machine: when others take more, questions are lost for want of time to answer."""


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    play: does the damage. peers: the others can be put into the same situation. carries: known
    names of the cluster are answered within one client retry. outside_fails, stale: what may
    happen. load: it is put on the pods themselves. apart: one system after the other, where what
    stands before them could not carry the load of all. ours: how our pod is started; given: how all
    are, by what is made for this row and goes with it.
    """

    number: str
    story: str
    play: Callable[[Stage], None]
    peers: tuple[type[Pod], ...] = (Dnsmasq, CoreDns)
    carries: bool = True
    outside_fails: bool = False
    stale: bool = False
    load: bool = True
    apart: bool = False
    ours: Mapping[str, object] = field(default_factory=dict)
    given: Callable[[Stage], contextlib.AbstractContextManager[Mapping[str, object]]] | None = None


class Stage:
    """
    The scene of one row.

    `began` and `over` note when the damage was done and repaired; else they are those of the load.
    """

    def __init__(
        self,
        plane: ControlPlane,
        gate: Gate,
        world: World,
        upstreams: Sequence[Scripted],
        weather: Sequence[Weather],
        folder: Path,
        *,
        short: bool,
    ) -> None:
        self.plane, self.gate, self.world = plane, gate, world
        self.upstreams, self.weather = upstreams, weather
        self.servers = [each.server for each in upstreams]
        self.way = gate.port  # to the API server
        self.folder = folder
        self.short = short
        self.pods: list[Pod] = []
        self.notes: list[str] = []
        self._began: float | None = None
        self._over: float | None = None
        self.extra: list[Pod] = []
        self.faults: list[str] = []
        self.nobody: list[tuple[float, float]] = []
        self.unhealed: set[str] = set()
        self.others = 0.0  # share of the machine that others took
        self._loads: dict[str, Loading] = {}
        self._programs: list[Program] = []
        self._ends: dict[str, Result] = {}
        self._given: dict[type[Pod], Mapping[str, object]] = {}

    def of_its_own(self, kind: type[Pod]) -> Stage:
        """Return another stage of this scene, for one system alone."""
        folder = self.folder / f"alone-{kind.__name__}"
        scenery = self.plane, self.gate, self.world, self.upstreams, self.weather
        return Stage(*scenery, folder, short=self.short)

    @property
    def ours(self) -> Ours:
        pod = self.pods[0]
        assert isinstance(pod, Ours)
        return pod

    def seconds(self, short: float, full: float) -> float:
        """Choose a time by the mode."""
        return short if self.short else full

    def calm(self, short: float, full: float | None = None) -> None:
        """Let time pass under load."""
        time.sleep(self.seconds(short, short if full is None else full))

    def began(self) -> None:
        """The damage begins now."""
        self._began = time.monotonic()

    def over(self) -> None:
        """The damage is repaired now."""
        self._over = time.monotonic()

    def note(self, text: str) -> None:
        """Say something below the row."""
        self.notes.append(text)

    def expect(self, is_so: bool, text: str) -> None:
        """Note a promise that was not kept, unless it was."""
        if not is_so:
            self.faults.append(text)

    def pod(self, kind: type[Pod], name: str, **more: object) -> Pod:
        """Start one more pod of some kind; it is ended with the row, and gets no load by itself."""
        kubeconfig = self.plane.kubeconfig(port=self.way)
        made = kind(self.folder / name, kubeconfig, self.servers, **more)  # type: ignore[call-arg]
        self.extra.append(made)
        return made

    def load(self, port: int, name: str, **more: object) -> None:
        """Put a load on a port; its record is judged under this name."""
        plan = Plan(
            port=port, rate=RATE, names=self.world.names(), fresh=FRESH,
            seed=len(self._loads) + 1, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        self._loads[name] = Loading(plan, self.folder / f"load-{len(self._loads)}")

    def another(self, pod: Pod) -> Pod:
        """Start one more pod like this one, and wait until it is ready."""
        name = f"pod-{len(self.extra)}"
        more = dict(self._given[type(pod)])
        if more.get("snapshot"):  # it lies in the pod's own folder
            more["snapshot"] = self.folder / f"snapshot-of-{name}"
        return self.pod(type(pod), name, **more).ready()

    def dnsperf(
        self, port: int, source: str, seconds: float, domain: str, *, in_flight: int
    ) -> Program:
        """Ask for new names below a domain as fast as the answers come; nobody judges them."""
        number = len(self._programs)
        questions = self.folder / f"questions-{number}"
        with questions.open("w") as out:
            out.writelines(f"n{each}.{domain} A\n" for each in range(200_000))
        argv: list[str | Path] = [
            *("dnsperf", "-s", "127.0.0.1", "-p", str(port), "-a", source, "-d", questions),
            *("-l", str(seconds), "-q", str(in_flight), "-c", "4", "-t", "2"),
        ]
        started = Program(argv, log=self.folder / f"dnsperf-{number}.log")
        self._programs.append(started)
        return started

    def end_loads(self) -> None:
        """End all loads, and keep their records."""
        self._ends |= {name: load.stop() for name, load in self._loads.items()}
        self._loads.clear()

    def heals(self, peers_s: float = 8.0) -> None:
        """
        Wait until all names that ever changed are answered right by all pods.

        peers_s: how long for peers, whose caches may keep what is old for half a minute; who is not
        right by then is in `unhealed`.
        """
        began = time.monotonic()
        for pod in sorted(self.pods, key=lambda pod: not isinstance(pod, Ours)):
            left = began + (40.0 if isinstance(pod, Ours) else peers_s) - time.monotonic()
            try:
                until(lambda pod=pod: not self._behind(pod), within_s=max(left, 0.1))  # type: ignore[misc]
            except AssertionError:
                self.unhealed.add(pod.name)

    def _behind(self, pod: Pod) -> list[str]:
        truth = self.world.truth
        wanted = {name: truth.now(name) for name in truth.changed()}
        return [name for name, answer in wanted.items() if look(pod.port, name) != answer]

    @contextlib.contextmanager
    def set_up(self, row: Row, kinds: Sequence[type[Pod]]) -> Iterator[None]:
        """Start the pods and their loads, and end them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            given = stack.enter_context(row.given(self)) if row.given else {}
            for kind in kinds:
                own = {"snapshot": self.folder / "snapshot", **row.ours} if kind is Ours else {}
                self._given[kind] = {**own, **given}
            stack.callback(self._tidy)
            for kind in kinds:
                self.pods.append(self.pod(kind, kind.__name__, **self._given[kind]))
            for pod in self.pods:
                pod.ready()
            for pod in self.pods if row.load else ():
                self.load(pod.port, pod.name)
            yield

    def _tidy(self) -> None:
        self.end_loads()
        for each in self._programs:
            each.kill()
        for pod in self.extra:
            pod.close()
        self.gate.mend()
        for weather in self.weather:
            weather.dead, weather.loss, weather.delay_s = False, 0.0, 0.0

    def outcomes(self) -> dict[str, Outcome]:
        """Judge all loads, by name."""
        found = {}
        for name, (asked, skipped, stalls) in self._ends.items():
            began = self._began or (asked[0].sent if asked else 0.0)
            over = self._over or began
            found[name] = judge(
                asked,
                self.world.names(),
                self.world.truth,
                FRESH,
                began=began,
                over=over,
                skipped=skipped,
                stalls=stalls,
                nobody=self.nobody if name == Ours.name else (),
            )
            found[name].healed = name not in self.unhealed  # fmt: skip
        return found


@contextlib.contextmanager
def scene(folder: Path, *, short: bool) -> Iterator[Callable[[str], Stage]]:
    """Start what all rows share; yield what makes the stage of a row."""
    weather = [Weather(), Weather()]
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(folder / "plane"))
        gate = stack.enter_context(
            Gate(plane.port, plane.authority, plane.authority.with_suffix(".key"))
        )
        upstreams = [
            stack.enter_context(Scripted(each, address=f"127.0.0.{number}"))
            for number, each in enumerate(weather, 2)
        ]
        world = World(plane)
        world.create()
        yield lambda name: Stage(
            plane, gate, world, upstreams, weather, folder / f"row-{name}", short=short
        )


def play(row: Row, stage: Stage) -> dict[str, Outcome]:
    """Play a row, and judge it."""
    kinds: list[type[Pod]] = [Ours]
    if not stage.short:
        kinds += row.peers
    if not row.apart:
        return _play_at_once(row, stage, kinds)
    outcomes = {}
    for kind in kinds:
        alone = stage.of_its_own(kind)
        outcomes |= _play_at_once(row, alone, [kind])
        stage.notes += alone.notes
        stage.faults += alone.faults
        stage.extra += alone.extra
        stage.others = max(stage.others, alone.others)
    return outcomes


def _play_at_once(row: Row, stage: Stage, kinds: Sequence[type[Pod]]) -> dict[str, Outcome]:
    with stage.set_up(row, kinds):
        share = Share()
        stage.calm(0.7, 2.0)
        row.play(stage)
        stage.calm(0.5, 2.0)
        stage.others = share.of_others()
    if stage.others > CROWDED:
        stage.note(f"others took {stage.others:.0%} of the machine")
    return stage.outcomes()
