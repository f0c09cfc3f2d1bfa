"""Whom the forwarder asks for what; those with trouble first, for there may be thousands."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.state import Neighbour
from sidecar.view.mark import Mark
from sidecar.view.told import Told
from sidecar.view.words import NONE, count, counted, milliseconds

_MOST = 20  # routes
_MOST_UPSTREAMS = 6  # of one route
_LOSING = 3  # losses in a row that are worth a look

_KINDS = {
    "cluster": "to kubedns",
    "stub": "stub domain",
    "default": "everything else",
    "nxdomain": "answered NXDOMAIN here",
    "refused": "refused: nobody to ask",
}
_ORDER = tuple(Mark)  # the worst first
_STUB = "stub"  # there may be many of them, so after all others


@dataclass(frozen=True, slots=True)
class Upstream:
    """One server of a route; state in words."""

    server: str
    mark: Mark
    state: str
    latency: str
    sent: str
    failed: str
    timeouts: str
    losses: str


@dataclass(frozen=True, slots=True)
class Route:
    """more: upstreams that are not listed, none of them worse than the last one listed."""

    domain: str
    about: str
    mark: Mark
    upstreams: tuple[Upstream, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Routes:
    """said: how many there are, and how many have trouble. rest: those that are not listed."""

    said: str
    listed: tuple[Route, ...]
    rest: str


def routes(neighbour: Neighbour) -> Routes:
    """Return what its status says."""
    # Looked at in two steps: the marks of all, and then the words of those that are listed.
    found = [(_mark(each), each) for each in Told(neighbour.status).objects("routes")]
    found.sort(key=lambda each: (_ORDER.index(each[0]), each[1].text("kind") == _STUB))
    troubled = sum(_troubled(mark) for mark, _ in found)
    listed, rest = found[:_MOST], found[_MOST:]
    hidden = sum(_troubled(mark) for mark, _ in rest)
    all_of_them = counted(len(found), "route")
    return Routes(
        said=f"{all_of_them}, {troubled:,} with trouble" if troubled else all_of_them,
        listed=tuple(_route(told, mark) for mark, told in listed),
        rest=f"and {len(rest):,} more, {hidden or 'none'} of them with trouble" if rest else "",
    )


def _troubled(mark: Mark) -> bool:
    return mark in (Mark.BAD, Mark.WARN)


def _mark(route: Told) -> Mark:
    """Return the worst of its upstreams: bad only if none of them is up."""
    marks = {_upstream_mark(each) for each in route.objects("upstreams")}
    if Mark.BAD in marks and marks & {Mark.GOOD, Mark.WARN}:
        return Mark.WARN
    return next((each for each in _ORDER if each in marks), Mark.IDLE)


def _upstream_mark(upstream: Told) -> Mark:
    match upstream.text("state", 60):
        case "up":
            losing = (upstream.number("losses_in_a_row") or 0) >= _LOSING
            return Mark.WARN if losing else Mark.GOOD
        case "down" | "looping":
            return Mark.BAD
    return Mark.IDLE


def _route(told: Told, mark: Mark) -> Route:
    found = sorted(told.objects("upstreams"), key=lambda each: _ORDER.index(_upstream_mark(each)))
    return Route(
        domain=told.text("domain") or NONE,
        about=" · ".join(_about(told)),
        mark=mark,
        upstreams=tuple(map(_upstream, found[:_MOST_UPSTREAMS])),
        more=len(found[_MOST_UPSTREAMS:]),
    )


def _about(told: Told) -> Iterator[str]:
    kind = told.text("kind", 60)
    yield _KINDS.get(kind, kind) or NONE
    if policy := told.text("policy", 60):
        yield policy
    if waiting := told.number("in_flight"):
        yield f"{count(waiting)} in flight"


def _upstream(told: Told) -> Upstream:
    mark, state = _upstream_mark(told), told.text("state", 60) or NONE
    return Upstream(
        server=told.text("server", 120) or NONE,
        mark=mark,
        state="up, losing" if mark is Mark.WARN else state,
        latency=milliseconds(told.number("srtt_ms")),
        sent=count(told.number("sent")),
        failed=count(told.number("failed")),
        timeouts=count(told.number("timeouts")),
        losses=count(told.number("losses_in_a_row")),
    )
