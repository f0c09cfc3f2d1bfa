"""Who answers: a card for each of the three processes, and for each further probe."""

from collections.abc import Iterator
from dataclasses import dataclass

from kubedns import __version__
from sidecar import verdict
from sidecar.health import Health, Make
from sidecar.state import Neighbour, State
from sidecar.view.mark import Mark
from sidecar.view.told import Told, plain
from sidecar.view.words import NONE, When, milliseconds, span, when

ITSELF = "sidecar"


@dataclass(frozen=True, slots=True)
class Process:
    """
    One card. says: its state in words, which began at `since`. troubles: what is wrong with it.

    facts: names and values. note: why less is known of it than could be.
    """

    name: str
    mark: Mark
    says: str
    since: When | None
    troubles: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    note: str


def processes(state: State, now: float) -> list[Process]:
    """Return them in the order of the probes, the sidecar last."""
    names = dict.fromkeys([*state.health, *state.neighbours])
    cards = [
        _process(name, state.health.get(name), state.neighbours.get(name), now) for name in names
    ]
    return [*cards, _itself(state, now)]


def _process(name: str, health: Health | None, neighbour: Neighbour | None, now: float) -> Process:
    own = tuple(verdict.troubles(neighbour, health)) if neighbour else ()
    mark, says = _answers(health, doubtful=bool(own))
    troubles = [f"probe: {health.error}"] if health and not health.good else []
    return Process(
        name=plain(name, 60),
        mark=mark,
        says=says,
        since=when(health.since, now) if health else None,
        troubles=tuple(plain(each) for each in (*troubles, *own)),
        facts=tuple(_facts(health, neighbour, now)),
        note="" if own else _note(health, neighbour),
    )


def _answers(health: Health | None, *, doubtful: bool) -> tuple[Mark, str]:
    if health is None:
        return (Mark.WARN if doubtful else Mark.IDLE), "no probe asks it"
    if health.last is None:
        return Mark.IDLE, "not probed yet"
    if health.good:
        return (Mark.WARN, "answers, not well") if doubtful else (Mark.GOOD, "answers")
    if health.alive:
        return Mark.WARN, "alive, probe fails"
    return Mark.BAD, "probe fails"


def _facts(
    health: Health | None, neighbour: Neighbour | None, now: float
) -> Iterator[tuple[str, str]]:
    told = Told(neighbour.status if neighbour else None)
    if health:
        latency = health.last.latency_s if health.last else None
        yield "latency", milliseconds(None if latency is None else 1000 * latency)
        yield "failed", f"{health.errors:,} of {health.rounds:,} rounds"
    yield "version", _version(health, told)
    if neighbour and not neighbour.error:
        yield "uptime", _uptime(told.number("uptime_s"), neighbour.at, now)
    if health:
        probe = health.probe
        host = plain(probe.host)
        server = f"[{host}]:{probe.port}" if ":" in host else f"{host}:{probe.port}"
        asked = f"{plain(probe.qname)} {probe.rtype}"
        yield "asked", f"{asked} of {server}, every {probe.interval_s} s"


def _version(health: Health | None, told: Told) -> str:
    named = plain(health.version, 80) if health else ""
    if health and health.make is Make.FOREIGN:
        return f"{named or 'not told'} (another make)"
    return named or told.text("version", 80) or "not known yet"


def _uptime(uptime_s: float | None, at: float, now: float) -> str:
    return NONE if uptime_s is None else span(uptime_s + max(0.0, now - at))


def _note(health: Health | None, neighbour: Neighbour | None) -> str:
    if neighbour is None or not neighbour.error:
        return ""
    if health and health.make is Make.FOREIGN:
        less = "another make: only what its answers and counters tell is shown"
        return f"{less} ({plain(neighbour.error)})"
    return f"its own status is not read: {plain(neighbour.error)}"


def _itself(state: State, now: float) -> Process:
    return Process(
        name=ITSELF,
        mark=Mark.WARN if state.draining else Mark.GOOD,
        says="shutting down" if state.draining else "serves this page",
        since=when(state.began, now),
        troubles=(),
        facts=(
            ("version", f"kube-dns-py {__version__}"),
            ("counters", _counters(state, now)),
        ),
        note="",
    )


def _counters(state: State, now: float) -> str:
    told = state.statistics
    if told.at:
        read = f"read {when(told.at, now).ago}"
        return f"{read}, and failing: {plain(told.error)}" if told.error else read
    return plain(told.error) or "not read yet"
