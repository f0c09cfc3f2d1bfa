"""
Loss and death: what clients get while an upstream is lossy, dead, frozen, broken or slow.

Each forwarder has two upstreams of its own, which behave alike for all of them, and gets 100
questions a second with unique names that no client repeats (:mod:`tests.bench.open_loop`).  All
forwarders are measured at the same time: together they use a small part of their core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import upstream
from tests.bench.bench import say
from tests.bench.figures import Figure, Series
from tests.bench.forwarder_systems import Address, Forwarder
from tests.bench.open_loop import Answers, OpenLoop
from tests.bench.stub_upstream import REFUSED, SERVFAIL, Behaviour, Place, Script
from tests.bench.systems import FORWARDER
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


def measure(found: Sequence[Forwarder], scratch: Path, *, quick: bool) -> Iterator[Figure]:
    """Measure all scenarios; quick ones are too short for a p99 that means much."""
    for scenario in SCENARIOS:
        say(f"weather: {scenario.story}")
        cells = _cells(scenario, found, scratch, seconds=8.0 if quick else 20.0)
        for name, cell in cells.items():
            say(f"  {name:24}{cell}")
        yield from _figures(scenario, cells)


def _cells(
    scenario: Scenario, found: Sequence[Forwarder], scratch: Path, *, seconds: float
) -> dict[str, Cell]:
    scripts = {forwarder.name: _script(scenario) for forwarder in found}
    with ExitStack() as stack:
        stack.enter_context(upstream.scripted(scratch, list(scripts.values())))
        ports = {}
        for forwarder in found:
            upstreams = _addresses(scripts[forwarder.name])
            ports[forwarder.name] = stack.enter_context(forwarder.running(upstreams)).dns_port
        answers = OpenLoop(ports, rate=_RATE, seconds=seconds).run()
        return {
            name: Cell(answers[name], sum(map(upstream.questions, _addresses(script))))
            for name, script in scripts.items()
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
    for (what, unit, goal), of in values.items():
        yield Figure(
            f"{scenario.story}: {what}",
            unit,
            [Series(name, [value], goal if name == FORWARDER else None)
             for name, value in of.items()],
            note=f"{asked:,} questions each",
        )  # fmt: skip
