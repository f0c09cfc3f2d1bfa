"""What all workers know, asked for by one of them: once at a time, however many wish to know."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dnsmasq_py.workers import sums
from dnsmasq_py.workers.messages import Message, Say

PATIENCE_S = 2.0

Parts = dict[str, Any]
"""gone: sums of workers that have ended, or None. ended: how many. parts: of those that live."""


@dataclass(slots=True)
class _Question:
    """What was asked; told: who wait; next: who came since and want to know what is true then."""

    what: str
    told: list[Callable[[Parts], object]]
    next: list[Callable[[Parts], object]]
    timer: Any = None


class Asking:
    """
    say: to the parent. alone: what is told when the parent is silent: our own part of something.

    last: what was told last, by what.
    """

    def __init__(
        self, say: Callable[[Message], None], alone: Callable[[str], Any], reactor: Any
    ) -> None:
        self.last: dict[str, Parts] = {}
        self._say = say
        self._alone = alone
        self._reactor = reactor
        self._number = 0
        self._questions: dict[int, _Question] = {}
        self._by_what: dict[str, _Question] = {}

    def ask(self, what: str, told: Callable[[Parts], object]) -> None:
        """Have a function called with what all workers say of something, as of now or later."""
        under_way = self._by_what.get(what)
        if under_way is not None:
            under_way.next.append(told)
            return
        self._begin(what, [told])

    def answered(self, message: Message) -> None:
        """Take what the parent gathered."""
        if message.number in self._questions:
            self._end(message.number, json.loads(message.body))

    def _begin(self, what: str, told: list[Callable[[Parts], object]]) -> None:
        self._number = (self._number + 1) & 0xFFFFFFFF
        number = self._number
        question = _Question(what, told, [])
        question.timer = self._reactor.callLater(PATIENCE_S, self._give_up, number)
        self._questions[number] = self._by_what[what] = question
        self._say(Message(Say.ASK, number, what.encode()))

    def _give_up(self, number: int) -> None:
        what = self._questions[number].what
        alone = {"gone": None, "ended": 0, "parts": [self._alone(what)]}
        self._end(number, self.last.get(what, alone))

    def _end(self, number: int, parts: Parts) -> None:
        question = self._questions.pop(number)
        if question.timer.active():
            question.timer.cancel()
        del self._by_what[question.what]
        if not parts["parts"]:  # nobody told in time
            parts = {**parts, "parts": [self._alone(question.what)]}
        if question.what in sums.LASTING:
            self.last[question.what] = parts
        if question.next:
            self._begin(question.what, question.next)
        for told in question.told:
            told(parts)
