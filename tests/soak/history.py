"""
What was true of the cluster, and from when to when.  No IO.

A change is known by when its write began and when it was acknowledged: in between the old and the
new answer are both right.  While it is being written nothing is known of it: see `horizon`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from tests.soak.questions import Answer, Key


@dataclass(slots=True)
class State:
    """An answer that was right from `began` (monotonic seconds) to `ended`."""

    began: float
    answer: Answer
    ended: float = inf


class History:
    """
    The states of all questions, each in a group: the service it is about, say.

    Changes of one question come in order; those of several may overlap.
    """

    def __init__(self) -> None:
        self._states: dict[Key, list[State]] = {}
        self._groups: dict[Key, str] = {}
        self._touched: dict[str, float] = {}
        self._writing: dict[int, float] = {}
        self._numbers = 0

    def __iter__(self) -> Iterator[Key]:
        return iter(self._states)

    def starts(self, group: str, answers: Mapping[Key, Answer]) -> None:
        """Note questions that have had these answers since ever."""
        for key, answer in answers.items():
            self._states[key] = [State(-inf, answer)]
            self._groups[key] = group

    def writes(self, began: float) -> int:
        """Note that a change is being written; return a number for `written`."""
        self._numbers += 1
        self._writing[self._numbers] = began
        return self._numbers

    def written(self, number: int, now: float, answers: Mapping[Key, Answer]) -> None:
        """Note what a change has made of some questions."""
        began = self._writing[number]
        for key, answer in answers.items():
            states = self._states[key]
            self._touched[self._groups[key]] = now
            if states[-1].answer != answer:
                states[-1].ended = now
                states.append(State(began, answer))
        del self._writing[number]

    def horizon(self, now: float) -> float:
        """Return up to when all that happened is known."""
        return min(self._writing.values(), default=now)

    def now(self, key: Key) -> Answer:
        """Return what is right after the last change."""
        return self._states[key][-1].answer

    def group(self, key: Key) -> str:
        return self._groups[key]

    def touched(self, key: Key) -> float:
        """Return when the group of a question was changed last."""
        return self._touched.get(self._groups[key], -inf)

    def ended(self, key: Key, answer: Answer, answered: float) -> float | None:
        """
        Return up to when an answer was right at last, of all that was before `answered`.

        inf: it still is. None: it never was.
        """
        states = self._states[key]
        at = bisect_right(states, answered, key=lambda state: state.began)
        for state in reversed(states[:at] if at < len(states) else states):
            if state.answer == answer:
                return state.ended
        return None

    def were(self, key: Key, since: float, until: float) -> Iterable[Answer]:
        """Yield what was right at some moment of a time."""
        for state in reversed(self._states[key]):
            if state.ended < since:
                return
            if state.began <= until:
                yield state.answer
