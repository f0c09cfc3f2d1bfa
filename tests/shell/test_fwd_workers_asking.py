"""One worker asks what all know: once at a time, and with an end."""

import json

from twisted.internet.task import Clock

from dnsmasq_py.workers.asking import PATIENCE_S, Asking, Parts
from dnsmasq_py.workers.messages import Message, Say


class Parent:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Message] = []
        self.clock = Clock()
        self.asking = Asking(self.asked.append, lambda what: f"own {what}", self.clock)
        self.told: list[Parts] = []

    def ask(self, what: str = "report") -> None:
        self.asking.ask(what, self.told.append)

    def answers(self, *parts: object) -> None:
        body = json.dumps({"gone": None, "ended": 0, "parts": parts}).encode()
        self.asking.answered(Message(Say.PARTS, self.asked[-1].number, body))

    def parts(self) -> list[object]:
        return [each["parts"] for each in self.told]


def test_who_asks_is_told() -> None:
    parent = Parent()
    parent.ask()
    assert [each.body for each in parent.asked] == [b"report"]
    parent.answers(1, 2)
    assert parent.parts() == [[1, 2]]
    assert parent.clock.getDelayedCalls() == []


def test_many_that_ask_meanwhile_are_one_question_more() -> None:
    """They get numbers of after their question, never older ones."""
    parent = Parent()
    for _ in range(100):
        parent.ask()
    assert len(parent.asked) == 1
    parent.answers(1)
    assert len(parent.asked) == 2
    assert parent.parts() == [[1]]
    parent.answers(2)
    assert parent.parts() == [[1], *[[2]] * 99]
    assert len(parent.asked) == 2


def test_a_silent_parent_is_not_waited_for_for_ever() -> None:
    """Then what is known from before is told, or what one knows alone."""
    parent = Parent()
    parent.ask()
    parent.clock.advance(PATIENCE_S)
    assert parent.parts() == [["own report"]]
    parent.answers(1)  # too late
    parent.ask()
    parent.answers(5)
    parent.ask()
    parent.clock.advance(PATIENCE_S)
    assert parent.parts() == [["own report"], [5], [5]]
