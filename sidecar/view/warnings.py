"""The last warnings of all three, the newest first."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.state import Neighbour, State
from sidecar.view.told import Told, plain
from sidecar.view.words import When, moment, when

_MOST = 25
_LONGEST = 500  # characters


@dataclass(frozen=True, slots=True)
class Line:
    """One line; at: None if its time cannot be read."""

    at: When | None
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class Warnings:
    """more: older ones that are not listed."""

    listed: tuple[Line, ...]
    more: int


_Found = tuple[float, str, str]  # seconds since the epoch, who, text


def warnings(state: State, now: float) -> Warnings:
    """Return them; one without a time counts as the oldest."""
    found = [(each.at, plain(each.who, 60), plain(each.text, _LONGEST)) for each in state.warned]
    for neighbour in state.neighbours.values():
        found += _of(neighbour)
    found.sort(key=lambda each: each[0], reverse=True)
    listed = [Line(when(at, now) if at else None, who, text) for at, who, text in found[:_MOST]]
    return Warnings(tuple(listed), len(found[_MOST:]))


def _of(neighbour: Neighbour) -> Iterator[_Found]:
    for told in Told(neighbour.status).objects("warnings"):
        at = moment(told.text("time")) or 0.0
        yield at, neighbour.name, told.text("text", _LONGEST) or "(no text)"
