"""What is said to a listener: in time, in order, again when it was lost, and never to deaf ears."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubedns.tell.session import Session, State
from kubedns.wire import name as names
from kubedns.wire import notify
from kubedns.wire.notify import Kind
from tests.listening import Listener, as_reply

ZONE = names.from_text("cluster.local")
LATER = 1e-9  # what rounding may cost


def n(text: str) -> bytes:
    """Return the name of a service in wire form."""
    return names.from_text(f"{text}.shop.svc.cluster.local")


class Replay:
    """
    A session and its listener on one clock; the way there and back takes no time.

    lose: decides of each message (True: to the listener) whether it is lost.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.now = 100.0
        self.serial = 1000
        self.listener: Listener | None = Listener() if listener is None else listener
        numbers = itertools.count(1)
        self.session = Session(ZONE, lambda: self.serial, lambda: next(numbers).to_bytes(8))
        self.lose: Callable[[bool], bool] = lambda _: False
        self.sent: list[tuple[float, bytes]] = []

    def start(self) -> "Replay":
        """Greet."""
        self._carry(self.session.start(self.now))
        return self

    def change(self, *changed: str) -> None:
        """Change names, all at once; none: everything. `quiet` leaves the serial where it is."""
        self.serial += "quiet" not in changed
        self._carry(self.session.tell([n(each) for each in changed] or None, self.now))

    def passes(self, seconds: float) -> None:
        """Let time pass, and do what is due meanwhile."""
        until = self.now + seconds
        while self.session.deadline <= until:
            self.now = max(self.now, self.session.deadline)
            self._carry(self.session.timed_out(self.now))
        self.now = until

    def answers(self, reply: bytes) -> None:
        """Let something come in."""
        self._carry(self.session.received(reply, self.now))

    def kinds(self) -> list[str]:
        """Say what was sent so far, and forget it."""
        sent, self.sent = self.sent, []
        return [_word(message) for _, message in sent]

    def names(self) -> list[str]:
        """Return what the listener was told so far, and forget it."""
        assert self.listener is not None
        told, self.listener.told = self.listener.told, []
        return [names.labels(each)[0].decode() for each in told]

    def _carry(self, message: bytes | None) -> None:
        while message is not None:
            self.sent.append((self.now, message))
            lost = self.lose(True)
            receipt = None if lost or self.listener is None else self.listener.takes(message)
            if receipt is None or self.lose(False):
                return
            message = self.session.received(receipt, self.now)


def _word(message: bytes) -> str:
    notice = notify.read(message)
    if notice.kind is Kind.CHANGE:
        return f"{len(notice.names)} names" if notice.names else "heartbeat"
    return notice.kind.name.lower()


def test_a_session_begins_with_a_greeting() -> None:
    """The listener drops what it cannot vouch for, and is told from then on."""
    replay = Replay().start()
    assert replay.session.state is State.TOLD
    assert replay.kinds() == ["hello", "heartbeat"]
    assert replay.listener is not None
    assert replay.listener.log == ["stale", "0"]
    assert replay.session.known == replay.listener.serial == 1000


def test_nobody_is_there_yet() -> None:
    """The greeting is said again, at first soon and then once a second."""
    replay = Replay()
    replay.listener = None
    replay.start().passes(5.0)
    moments = [round(moment - 100.0, 3) for moment, _ in replay.sent]
    assert moments == [0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5, 4.5]
    assert set(replay.kinds()) == {"hello"}
    replay.listener = Listener()
    replay.passes(1.0)
    assert replay.session.state is State.TOLD


def test_a_change_is_told_at_once() -> None:
    """After a pause nothing is gathered."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    replay.change("web")
    assert replay.kinds() == ["1 names"]
    assert replay.names() == ["web"]
    assert replay.session.known == 1001


def test_changes_in_a_row_are_gathered_for_five_milliseconds() -> None:
    """The first goes at once; the others wait for each other, but not for long."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    for number in range(20):
        replay.change(f"s{number}")
        replay.passes(0.0007)
    replay.passes(0.005)
    assert replay.kinds() == ["1 names", "7 names", "7 names", "5 names"]
    assert sorted(replay.names()) == sorted(f"s{number}" for number in range(20))
    assert replay.session.known == replay.serial


def test_one_message_is_on_its_way_at_a_time() -> None:
    """What changes meanwhile waits for the receipt, and goes with it."""
    replay = Replay().start()
    replay.passes(0.5)
    listener, replay.listener = replay.listener, None
    replay.kinds()
    replay.change("a")
    replay.change("b")
    replay.change("c")
    replay.passes(0.015)
    assert replay.kinds() == ["1 names"]
    assert replay.session.waiting == 2
    replay.listener = listener
    replay.passes(0.01)
    assert replay.kinds() == ["1 names", "2 names"]
    assert replay.names() == ["a", "b", "c"]


def test_a_lost_message_is_said_again() -> None:
    """Octet for octet, after 20 ms, then after twice as long each time."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.sent.clear()
    replay.listener = None
    replay.change("web")
    replay.passes(2.9)
    moments = [round(moment - replay.sent[0][0], 3) for moment, _ in replay.sent]
    assert moments == [0, 0.02, 0.06, 0.14, 0.3, 0.62, 1.26, 2.26]
    assert len({octets for _, octets in replay.sent}) == 1
    assert replay.session.counts["retries"] == 7


def test_a_lost_receipt_costs_nothing() -> None:
    """The listener takes the message twice, and is not out of step."""
    replay = Replay().start()
    replay.passes(0.5)
    losses = iter([False, True])
    replay.lose = lambda _: next(losses, False)
    replay.change("web")
    replay.passes(0.1)
    assert replay.listener is not None
    assert replay.listener.log[2:] == ["1", "1"]
    assert replay.session.known == replay.listener.serial == 1001


def test_a_receipt_that_comes_twice_is_counted_once() -> None:
    """The second one is late, and nothing follows from it."""
    replay = Replay().start()
    listener, replay.listener = replay.listener, None
    replay.change("web")
    replay.passes(0.1)
    assert listener is not None
    receipt = listener.takes(replay.sent[-1][1])
    replay.answers(receipt)
    replay.answers(receipt)
    assert replay.session.counts["late"] == 1
    assert replay.session.known == 1001


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": Kind.WELCOME},
        {"after": 7},
        {"id": b"\xff\xff"},
    ],
    ids=str,
)
def test_a_wrong_receipt_is_none(wrong: dict[str, object]) -> None:
    """Of another kind, serial or message: the change is said again."""
    replay = Replay().start()
    replay.passes(0.5)
    listener, replay.listener = replay.listener, None
    replay.change("web")
    assert listener is not None
    receipt = notify.read(listener.takes(replay.sent[-1][1]))
    replay.answers(replace(receipt, **wrong).encode())  # type: ignore[arg-type]
    assert replay.session.known == 1000
    replay.listener = listener
    replay.passes(0.1)
    assert replay.session.known == 1001


def test_a_listener_that_forgot_the_session_is_greeted_at_once() -> None:
    """It was restarted: its cache is empty, and nothing is lost."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    replay.listener = Listener()
    replay.change("web")
    assert replay.kinds() == ["1 names", "hello", "1 names"]
    assert replay.listener.log == ["stale", "1"]
    assert replay.session.state is State.TOLD


def test_three_seconds_without_a_receipt_end_the_session() -> None:
    """What changed meanwhile is told when the listener is back, which was only slow."""
    replay = Replay().start()
    replay.passes(0.5)
    listener, replay.listener = replay.listener, None
    replay.change("a")
    replay.change("b")
    replay.passes(3.0)
    assert replay.session.state is State.GREETING
    replay.change("c")
    replay.passes(20.0)
    replay.listener = listener
    replay.kinds()
    replay.passes(1.0)
    assert replay.kinds()[:2] == ["hello", "3 names"]
    assert listener is not None
    assert listener.log[2:4] == ["resumed", "3"]
    assert listener.serial == replay.serial


def test_the_last_receipt_of_a_session_was_lost() -> None:
    """The listener has the change all the same, and is not taken for out of step."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.lose = lambda there: not there
    replay.change("a")
    replay.passes(2.99)
    replay.change("b")
    replay.lose = lambda _: False
    replay.passes(2.0)
    assert replay.listener is not None
    assert "out of step" not in replay.listener.log
    assert replay.listener.log.count("stale") == 1
    assert replay.session.known == replay.listener.serial == replay.serial


def test_the_first_receipt_of_all_was_lost() -> None:
    """Changes after it are not let go: the listener trusts nothing that it kept before."""
    replay = Replay()
    losses = iter([False, False, False, *[True] * 200])
    replay.lose = lambda _: next(losses)
    replay.start()
    replay.passes(4.0)
    replay.change("a", "quiet")
    replay.lose = lambda _: False
    replay.passes(2.0)
    assert replay.listener is not None
    assert replay.listener.log.count("stale") == 2
    assert replay.session.known == replay.serial == 1000


@pytest.mark.parametrize("rcode", [1, 4, 5, 9])
def test_a_listener_of_another_make_is_left_alone(rcode: int) -> None:
    """FORMERR, NOTIMP, REFUSED, NOTAUTH: nothing is said for a minute, then one greeting."""
    replay = Replay()
    replay.listener = None
    replay.start()
    replay.answers(as_reply(replay.sent[0][1], rcode))
    assert replay.session.state is State.OFF
    replay.kinds()
    replay.change("web")
    replay.passes(59.9)
    assert replay.kinds() == []
    replay.listener = Listener()
    replay.passes(0.2)
    assert replay.kinds() == ["hello", "heartbeat"]


def test_nobody_is_there_for_long() -> None:
    """After a minute the greeting is said every ten seconds."""
    replay = Replay()
    replay.listener = None
    replay.start().passes(60.0)
    replay.kinds()
    replay.passes(600.0)
    assert 58 <= len(replay.kinds()) <= 65


def test_an_answer_to_something_else() -> None:
    """dnsmasq hands the message to its upstreams, and they may take it for a question."""
    replay = Replay()
    replay.listener = None
    replay.start()
    reply = as_reply(replay.sent[0][1], 3)
    replay.answers(reply[:2] + b"\x80" + reply[3:])
    assert replay.session.state is State.OFF


def test_a_receipt_as_rfc_1996_has_it() -> None:
    """An authoritative server says NOERROR to what it does not need: it is no listener."""
    replay = Replay()
    replay.listener = None
    replay.start()
    replay.answers(as_reply(replay.sent[0][1], 0))
    assert replay.session.state is State.OFF


def test_an_echo() -> None:
    """Our own message comes back: nobody is there who reads it."""
    replay = Replay()
    replay.listener = None
    replay.start()
    replay.answers(replay.sent[0][1])
    assert replay.session.state is State.OFF
    assert "own" in replay.session.why


def test_a_listener_replaced_by_another_make_and_back() -> None:
    """What it was not told meanwhile makes it start anew."""
    replay = Replay().start()
    replay.passes(0.5)
    listener, replay.listener = replay.listener, None
    replay.change("a")
    replay.answers(as_reply(replay.sent[-1][1], 5))
    assert replay.session.state is State.OFF
    replay.listener = listener
    replay.passes(61.0)
    assert listener is not None
    assert listener.log.count("stale") == 2
    assert replay.session.known == replay.serial


def test_a_heartbeat_each_second() -> None:
    """Without names, and the serial stays; a change takes its place."""
    replay = Replay().start()
    replay.kinds()
    replay.passes(10.0)
    assert replay.kinds() == ["heartbeat"] * 10
    for _ in range(10):
        replay.change("web")
        replay.passes(0.9)
    assert replay.kinds() == ["1 names"] * 10
    assert replay.listener is not None
    assert "out of step" not in replay.listener.log


def test_many_names_take_several_messages() -> None:
    """Each within what a receiver reads; the serial moves with the last."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    replay.change(*(f"service-with-a-name-{number}" for number in range(500)))
    kinds = replay.kinds()
    assert len(kinds) > 3
    assert sum(int(kind.split()[0]) for kind in kinds) == 500
    assert replay.listener is not None
    assert "out of step" not in replay.listener.log
    assert replay.session.known == replay.listener.serial == 1001


def test_a_session_that_ends_between_two_parts() -> None:
    """What was not taken is told in the next one, and only that."""
    replay = Replay().start()
    replay.passes(0.5)
    parts = iter([False] * 4 + [True] * 300)
    replay.lose = lambda _: next(parts)
    replay.change(*(f"service-with-a-name-{number}" for number in range(500)))
    replay.passes(4.0)
    assert replay.session.state is State.GREETING
    replay.lose = lambda _: False
    replay.passes(2.0)
    assert len(set(replay.names())) == 500
    assert replay.listener is not None
    assert replay.listener.log.count("stale") == 1
    assert replay.session.known == replay.serial


def test_more_than_a_thousand_names_are_all() -> None:
    """At once, or one after the other while nothing could be said."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    replay.change(*(f"s{number}" for number in range(1001)))
    assert replay.kinds() == ["all"]
    replay.passes(0.01)
    listener, replay.listener = replay.listener, None
    for number in range(1200):
        replay.change(f"s{number}")
    assert replay.session.waiting is None
    replay.listener = listener
    replay.kinds()
    replay.passes(0.1)
    assert replay.kinds() == ["1 names", "all"]
    assert replay.session.known == replay.serial


def test_anything_may_have_changed() -> None:
    """What waits by name goes with it."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    listener, replay.listener = replay.listener, None
    replay.change("a")
    replay.change("b")
    replay.change()
    replay.listener = listener
    replay.passes(0.1)
    assert replay.kinds() == ["1 names", "1 names", "all"]


def test_a_name_goes_with_the_one_above_it() -> None:
    """A service with a thousand endpoints is one name."""
    replay = Replay().start()
    replay.passes(0.5)
    replay.kinds()
    replay.change("web", *(f"10-1-0-{number}.web" for number in range(999)))
    assert replay.kinds() == ["1 names"]


_steps = st.lists(
    st.one_of(
        st.lists(st.sampled_from(["quiet", *(f"s{i}" for i in range(9))]), max_size=4).map(tuple),
        st.floats(0.0, 4.0),
        st.sampled_from(["restart", "deaf", "hears"]),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(_steps, st.lists(st.booleans(), max_size=60))
def test_whatever_is_lost_the_listener_ends_up_right(
    steps: list[tuple[str, ...] | float | str], losses: list[bool]
) -> None:
    """
    Messages and receipts get lost, the listener forgets or is silent: in the end it has heard of
    every change since it last trusted what it kept, and is in step.
    """
    replay = Replay()
    losing = iter(losses)
    replay.lose = lambda _: next(losing, False)
    replay.start()
    listener = replay.listener
    assert listener is not None
    wrong: set[str] = set()  # what the listener keeps and should not

    def settle() -> None:
        assert listener is not None
        if {"stale", "out of step", "all"} & set(listener.log):
            wrong.clear()
        wrong.difference_update(names.labels(each)[0].decode() for each in listener.told)
        listener.log.clear()
        listener.told.clear()

    for step in steps:
        settle()
        match step:
            case "restart":
                wrong.clear()
                listener = Listener()
                if replay.listener is not None:
                    replay.listener = listener
            case "deaf":
                replay.listener = None
            case "hears":
                replay.listener = listener
            case float():
                replay.passes(step)
            case (_, *_):
                wrong.update(step)
                replay.change(*step)
    replay.listener = listener
    replay.lose = lambda _: False
    replay.passes(10.0)
    settle()
    assert wrong == set()
    assert replay.session.state is State.TOLD
    assert replay.session.known == listener.serial == replay.serial
