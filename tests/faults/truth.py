"""
What the cluster is, at any time: for each name the answers that were right, and from when to when.

No IO.  A change is known by when its write began and when it was acknowledged: in between the old
and the new answer are both right.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

Answer = tuple[int, frozenset[str]]
"""rcode and IPv4 addresses."""

NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


def addresses(*found: str) -> Answer:
    """Return the answer that has these addresses; without any: the name has other records."""
    return NOERROR, frozenset(found)


MISSING: Answer = (NXDOMAIN, frozenset())


@dataclass(order=True)
class State:
    """An answer that was right from `began` (monotonic seconds) to `ended`."""

    began: float
    answer: Answer = field(compare=False)
    ended: float = field(default=inf, compare=False)


class Truth:
    """The states of all names. known: the names that clients of a cluster cannot do without."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.outside: set[str] = set()
        self._states: dict[str, list[State]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._states)

    def is_always(self, names: Iterable[str], answer: Answer) -> None:
        """Note names that have had this answer since ever."""
        for name in names:
            self._states[name] = [State(-inf, answer)]

    def becomes(self, name: str, answer: Answer, began: float, ended: float) -> None:
        """Note a change: the write began, and was acknowledged."""
        states = self._states.setdefault(name, [State(-inf, MISSING)])
        states[-1].ended = ended
        insort(states, State(began, answer))

    def now(self, name: str) -> Answer:
        """Return what is right after the last change."""
        return self._states[name][-1].answer

    def behind_s(self, name: str, answer: Answer, sent: float, answered: float) -> float | None:
        """
        Return for how long an answer had not been right any more when its question was sent.

        0: it was right at some moment between sent and answered. None: it never was.
        """
        found: float | None = None
        for state in self._states[name]:
            if state.answer != answer or state.began > answered:
                continue
            behind = max(sent - state.ended, 0.0)
            found = behind if found is None else min(found, behind)
        return found

    def changed(self) -> Collection[str]:
        """Return the names that have had more than one answer."""
        return [name for name, states in self._states.items() if len(states) > 1]
