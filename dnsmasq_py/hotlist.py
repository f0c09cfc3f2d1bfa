"""
The hottest questions as the octets of a file, and back.

The file is a sealed one (kubedns.sealed). In it each line is a JSON array or object: first `Moment`
and the routes as text, then one line for each question, the hottest first:

    [key, heat]                                        a question alone
    [key, heat, octets, left_s, route, chain]          with its answer

Keys, names and octets are in hexadecimal, routes are numbers in the list of routes, the chain is
made of pairs of name and route. Line by line, so that encoding never keeps other threads waiting.
Whoever changes the form counts `_VERSION` up, and the golden octets of the tests anew.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from kubedns import sealed
from kubedns.sealed import SealError
from kubedns.wire import name as names
from kubedns.wire import rr

MOST = 1000
"""
Questions in a file: as many as the cache of the published manifest has entries.

A cluster's pods ask for far fewer names again and again, and so many are asked in two seconds.
"""
_VERSION = 1
_HEAD = sealed.head("hot-file", _VERSION)
_MAX_OCTETS = 16 << 20  # unpacked
_MAX_LINK = 16  # names of a chain
_IN = rr.IN.to_bytes(2)
_BEHIND_NAME = 5  # type, class, and the octet of DO and CD


@dataclass(frozen=True, slots=True)
class Moment:
    """
    When something was, for who may be another process.

    boot: which start of the machine; since_boot_s: seconds since that, by a clock that nobody sets.
    wall: seconds since the epoch, for when the machine was started anew.
    """

    boot: str
    since_boot_s: float
    wall: float

    def until(self, later: "Moment") -> float:
        """Return how many seconds later another moment is; never less than 0."""
        if self.boot and self.boot == later.boot:
            return max(0.0, later.since_boot_s - self.since_boot_s)
        return max(0.0, later.wall - self.wall)


@dataclass(frozen=True, slots=True)
class HotAnswer:
    """
    An answer as the cache had it (Stored).

    left_s: until it expired, at the time of writing; below 0: it had. route, chain: those of the
    entry, with the number of each route in HotList.routes.
    """

    octets: bytes
    left_s: float
    route: int
    chain: tuple[tuple[bytes, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HotQuestion:
    """A question by its key in the cache, and what was known of it."""

    key: bytes
    heat: float
    answer: HotAnswer | None = None


@dataclass(frozen=True, slots=True)
class HotList:
    """What a file holds."""

    written: Moment
    routes: tuple[str, ...] = ()
    questions: tuple[HotQuestion, ...] = ()


def encode(hot: HotList) -> bytes:
    """Return the octets of a file."""
    written = hot.written
    head = {
        "boot": written.boot,
        "since_boot_s": round(written.since_boot_s, 3),
        "wall": round(written.wall, 3),
        "routes": hot.routes,
    }
    lines = [json.dumps(head), *(json.dumps(_row(each)) for each in hot.questions)]
    return sealed.seal(_HEAD, "\n".join(lines).encode())


def decode(octets: bytes) -> HotList:
    """
    Read the octets of a file; of the answers in it only their frame.

    Raises:
        SealError: see there.
    """
    raw = sealed.opened(_HEAD, octets, _MAX_OCTETS)
    try:
        head, *rows = map(json.loads, raw.decode("ascii").split("\n"))
        routes = tuple(map(_text, head["routes"]))
        written = Moment(_text(head["boot"]), _number(head["since_boot_s"]), _number(head["wall"]))
        questions = tuple(_question(row, len(routes)) for row in rows[:MOST])
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        said = str(error).encode("unicode_escape").decode("ascii")[:100]
        raise SealError(f"its contents make no sense: {said}") from None
    return HotList(written, routes, questions)


def _row(question: HotQuestion) -> list[object]:
    row: list[object] = [question.key.hex(), round(question.heat, 2)]
    if question.answer is not None:
        answer = question.answer
        chain = [(name.hex(), route) for name, route in answer.chain]
        row += [answer.octets.hex(), round(answer.left_s, 3), answer.route, chain]
    return row


def _question(row: Sequence[Any], routes: int) -> HotQuestion:
    key, heat = bytes.fromhex(row[0]), _number(row[1])
    name, bits = key[:-_BEHIND_NAME], key[-1:]
    if not _is_folded(name) or key[-3:-1] != _IN or bits not in (b"\0", b"\1", b"\2", b"\3"):
        raise ValueError("a question that is none")
    if heat < 0:
        raise ValueError("less than no heat")
    if len(row) == 2:
        return HotQuestion(key, heat)
    octets, left_s, route, chain = row[2:]
    links = tuple((bytes.fromhex(link), _index(number, routes)) for link, number in chain)
    if len(links) > _MAX_LINK or not all(_is_folded(link) for link, _ in links):
        raise ValueError("a chain that is none")
    answer = HotAnswer(bytes.fromhex(octets), _number(left_s), _index(route, routes), links)
    return HotQuestion(key, heat, answer)


def _is_folded(name: bytes) -> bool:
    return names.is_name(name) and name == name.lower()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text where one should be")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not isfinite(value):
        raise TypeError("no number where one should be")
    return float(value)


def _index(value: object, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ValueError("a route that is none")
    return value
