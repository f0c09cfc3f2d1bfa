"""
Loss and death: what clients get while an upstream is lossy, dead, frozen, broken or slow.

Each forwarder has two upstreams of its own, which behave alike for all of them, and gets 100
questions a second with unique names that no client repeats (:mod:`tests.bench.open_loop`).  All
forwarders are measured at the same time: together they use a small part of their core.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench import upstream
from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, Series
from tests.bench.fronts import FORWARDERS
from tests.bench.open_loop import Answers, OpenLoop
from tests.bench.stub_upstream import REFUSED, SERVFAIL, Behaviour, Place, Script
from tests.bench.systems import POD, Address, Setting
from tests.realapi.ports import free_port

_RATE = 100
_HOSTS = ("127.0.10.1", "127.0.10.2")
_FREEZE_S = (5.0, 7.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """The weather, and the goals: percent without a good answer, p99, questions sent for one."""

    story: str
    servers: tuple[Behaviour, Behaviour]
    freeze_s: tuple[float, float] | None = None
    unanswered_percent: float = 0.1
    p99_ms: float | None = None
    sent: float = 1.5


_HEALTHY = Behaviour()
_LOSSY = Behaviour(loss=0.1)
_DEAD = Behaviour(dead=True)

SCENARIOS = (
    Scenario("A healthy", (_HEALTHY, _HEALTHY), sent=1.05),
    Scenario("B 10 % loss on both", (_LOSSY, _LOSSY), p99_ms=250),
    Scenario("C one dead", (_DEAD, _HEALTHY), p99_ms=100),
    Scenario("D one dead, 10 % loss on the other", (_DEAD, _LOSSY), p99_ms=250),
    Scenario("E the busier one freezes", (_HEALTHY, _HEALTHY), freeze_s=_FREEZE_S, p99_ms=100),
    Scenario("F fast SERVFAIL", (Behaviour(delay_ms=1, jitter_ms=0, rcode=SERVFAIL), _HEALTHY),
             unanswered_percent=0),
    Scenario("G fast REFUSED", (Behaviour(delay_ms=1, jitter_ms=0, rcode=REFUSED), _HEALTHY),
             unanswered_percent=0),
    Scenario("H one takes 300 ms", (Behaviour(delay_ms=300), _HEALTHY)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """What one forwarder did in one scenario."""

    answers: Answers
    sent_upstream: int

    @property
    def sent(self) -> float:
        """Return how many questions went upstream for each that a client asked."""
        return self.sent_upstream / self.answers.asked

    def __str__(self) -> str:
        p50, p90, p99, p999 = map(self.answers.percentile_ms, (0.5, 0.9, 0.99, 0.999))
        return (
            f"{100 - self.answers.unanswered_percent:.4g} %"
            f" {p50:.0f}/{p90:.0f}/{p99:.0f}/{p999:.0f} ms, {self.sent:.2f} sent"
        )


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure all scenarios; quick ones are too short for a p99 that means much."""
    bench.release()
    for scenario in SCENARIOS:
        say(f"weather: {scenario.story}")
        cells = _cells(bench, scenario, seconds=8.0 if bench.quick else 20.0)
        for name, cell in cells.items():
            say(f"  {name:24}{cell}")
        yield from _figures(scenario, cells)


def _cells(bench: Bench, scenario: Scenario, *, seconds: float) -> dict[str, Cell]:
    scripts = {system.name: _script(scenario) for system in FORWARDERS}
    with ExitStack() as stack:
        stack.enter_context(upstream.scripted(bench.scratch, list(scripts.values())))
        ports = {}
        for system in FORWARDERS:
            addresses = _addresses(scripts[system.name])
            setting = Setting(bench.scratch, upstreams=addresses, commands=bench.commands)
            for one in bench.start([system], setting, stack):
                ports[one.name] = one.dns_port
        answers = OpenLoop(ports, rate=_RATE, seconds=seconds).run()
        return {
            name: Cell(answers[name], sum(map(upstream.questions, _addresses(scripts[name]))))
            for name in ports
        }


def _script(scenario: Scenario) -> Script:
    places = [
        Place(host=host, port=free_port(), **behaviour)
        for host, behaviour in zip(_HOSTS, scenario.servers, strict=True)
    ]
    script = Script(servers=places)
    if scenario.freeze_s:
        script["freeze_s"] = scenario.freeze_s
    return script


def _addresses(script: Script) -> list[Address]:
    return [Address(place["host"], place["port"]) for place in script["servers"]]


def _figures(scenario: Scenario, cells: dict[str, Cell]) -> Iterator[Figure]:
    values = {
        ("no good answer", "%", scenario.unanswered_percent): {
            name: cell.answers.unanswered_percent for name, cell in cells.items()
        },
        ("p50", "ms", None): {
            name: cell.answers.percentile_ms(0.5) for name, cell in cells.items()
        },
        ("p90", "ms", None): {
            name: cell.answers.percentile_ms(0.9) for name, cell in cells.items()
        },
        ("p99", "ms", scenario.p99_ms): {
            name: cell.answers.percentile_ms(0.99) for name, cell in cells.items()
        },
        ("questions sent upstream for one", "", scenario.sent): {
            name: cell.sent for name, cell in cells.items()
        },
    }
    asked = min(cell.answers.asked for cell in cells.values())
    letter = scenario.story[0]
    for (what, unit, goal), of in values.items():
        yield Figure(
            f"weather-{letter}.{what.partition(' ')[0]}",
            f"{scenario.story}: {what}",
            unit,
            [Series(name, [value]) for name, value in of.items()],
            note=f"{asked:,} questions each",
            bounds={} if goal is None else {POD: goal},
        )
