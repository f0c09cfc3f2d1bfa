"""Several workers and what passes between them: changes of the cluster, statistics, silence."""

import json

import pytest

from dnsmasq_py.errors import ForwarderError
from dnsmasq_py.server import Server
from dnsmasq_py.workers import sums
from dnsmasq_py.workers.hub import Action, End, Hub, Tell
from dnsmasq_py.workers.messages import MAX_BODY, Inbox, Message, Say
from kubedns.wire import name as names
from kubedns.wire import notify
from kubedns.wire.notify import KEY, Kind, Notice

TELLER = Server("127.0.0.1", 10053)
ZONE = names.from_text("cluster.local")
WEB = names.from_text("web.shop.svc.cluster.local")


class Crew:
    """Workers that do as they are told, but for those in `deaf`."""

    def __init__(self, count: int = 2) -> None:
        self.hub = Hub(TELLER, sums.bury)
        self.deaf: set[int] = set()
        self.told: dict[int, list[Message]] = {}
        self.ended: dict[int, str] = {}
        self.key = bytes(KEY)
        self.serial = 7
        self._ids = 0
        for number in range(count):
            self.starts(number)

    def starts(self, number: int, *, joins: bool = True) -> None:
        self.told[number] = []
        self.hub.started(number)
        if joins:
            self.says(number, Message(Say.HELLO))
            self.says(number, Message(Say.READY))

    def says(self, number: int, message: Message) -> None:
        self.do(self.hub.said(number, message, 1.0))

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Tell(number, message):
                    self.told[number].append(message)
                    if number not in self.deaf:
                        self._act(number, message)
                case End(number, why):
                    self.ended[number] = why

    def _act(self, number: int, message: Message) -> None:
        if message.kind is Say.TAKE:
            self.says(number, Message(Say.TOOK, message.number))
        elif message.kind is Say.TELL:
            part = {"worker": number}
            self.says(number, Message(Say.TOLD, message.number, json.dumps(part).encode()))

    def goes(self, number: int) -> None:
        """Have its process end."""
        self.do(self.hub.ended(number))
        del self.told[number]

    def time_passes(self, looks: int, *beating: int) -> None:
        for _ in range(looks):
            self.do(self.hub.looked())
            for number in beating:
                self.says(number, Message(Say.BEAT))

    def notified(self, number: int, kind: Kind, *changed: bytes) -> None:
        """Have kubedns tell one of them."""
        self._ids += 1
        before, self.serial = self.serial, self.serial + bool(changed)
        notice = Notice(
            self._ids.to_bytes(2), kind, ZONE, b"instance", before, self.serial, self.key, changed
        )
        self.says(number, Message(Say.NOTIFY, self._ids, notice.encode()))

    def begins(self, number: int = 0) -> None:
        self.notified(number, Kind.HELLO)
        (receipt,) = self.receipts(number)
        assert receipt.kind is Kind.WELCOME
        self.key = receipt.key
        self.notified(number, Kind.CHANGE)
        self.told = {each: [] for each in self.told}

    def receipts(self, number: int) -> list[Notice]:
        return [notify.read(each.body) for each in self.of(number, Say.RECEIPT)]

    def of(self, number: int, kind: Say) -> list[Message]:
        return [each for each in self.told[number] if each.kind is kind]


def test_a_change_goes_to_all_workers_before_its_receipt_leaves() -> None:
    crew = Crew(3)
    crew.begins()
    crew.deaf = {2}
    crew.notified(0, Kind.CHANGE, WEB)
    for number in range(3):
        (take,) = crew.of(number, Say.TAKE)
        assert notify.read(take.body).names == (WEB,)
    assert crew.receipts(0) == []
    (take,) = crew.of(2, Say.TAKE)
    crew.says(2, Message(Say.TOOK, take.number))
    (receipt,) = crew.receipts(0)
    assert (receipt.kind, receipt.after) == (Kind.TAKEN, crew.serial)
    assert crew.of(1, Say.RECEIPT) == []


def test_the_session_is_one_whichever_worker_a_message_comes_to() -> None:
    """Another source port of kubedns leads to another worker: the key holds there, too."""
    crew = Crew()
    crew.begins(0)
    crew.notified(1, Kind.CHANGE, WEB)
    (receipt,) = crew.receipts(1)
    assert (receipt.kind, receipt.after) == (Kind.TAKEN, crew.serial)


def test_what_comes_late_gets_its_receipt_and_nobody_hears_of_it() -> None:
    """Workers would take it for one that does not follow, and trust nothing any more."""
    crew = Crew()
    crew.begins()
    crew.notified(0, Kind.CHANGE, WEB)
    crew.told = {0: [], 1: []}
    crew.serial -= 3
    crew.notified(0, Kind.CHANGE, WEB)
    (receipt,) = crew.receipts(0)
    assert (receipt.kind, receipt.after) == (Kind.TAKEN, crew.serial + 2)
    assert crew.of(0, Say.TAKE) == crew.of(1, Say.TAKE) == []


def test_without_the_key_nobody_hears_of_it() -> None:
    crew = Crew()
    crew.begins()
    crew.key = bytes(KEY)
    crew.notified(0, Kind.CHANGE, WEB)
    (receipt,) = crew.receipts(0)
    assert receipt.kind is Kind.AGAIN
    assert crew.of(0, Say.TAKE) == crew.of(1, Say.TAKE) == []


def test_a_flood_of_greetings_gets_silence_in_the_end() -> None:
    crew = Crew()
    for _ in range(60):
        crew.notified(0, Kind.HELLO)
    bodies = [each.body for each in crew.of(0, Say.RECEIPT)]
    assert len(bodies) == 60
    assert bodies.count(b"") == 10


def test_a_frozen_worker_is_ended_and_then_the_receipt_leaves() -> None:
    """It must be gone first: its receivers might answer yet, and not what is true."""
    crew = Crew()
    crew.begins()
    crew.deaf = {1}
    crew.notified(0, Kind.CHANGE, WEB)
    crew.time_passes(4, 0, 1)
    assert crew.ended == {}
    crew.time_passes(1, 0, 1)
    assert set(crew.ended) == {1}
    assert crew.receipts(0) == []
    crew.goes(1)
    assert [each.kind for each in crew.receipts(0)] == [Kind.TAKEN]


def test_a_greeting_waits_for_changes_that_are_not_taken_yet() -> None:
    """Its receipt says up to where everything was taken."""
    crew = Crew()
    crew.begins()
    crew.deaf = {1}
    crew.notified(0, Kind.CHANGE, WEB)
    crew.notified(0, Kind.HELLO)
    assert crew.receipts(0) == []
    crew.says(1, Message(Say.TOOK, crew.of(1, Say.TAKE)[0].number))
    assert [each.kind for each in crew.receipts(0)] == [Kind.TAKEN, Kind.WELCOME]


def test_a_worker_that_says_nothing_at_all_is_ended() -> None:
    crew = Crew()
    crew.time_passes(30, 0, 1)
    assert crew.ended == {}
    crew.time_passes(4, 0)
    assert crew.ended == {}
    crew.time_passes(1, 0)
    assert set(crew.ended) == {1}


def test_a_worker_that_starts_gets_more_time_and_holds_up_no_change() -> None:
    crew = Crew(1)
    crew.begins()
    crew.starts(1, joins=False)
    crew.notified(0, Kind.CHANGE, WEB)
    assert len(crew.receipts(0)) == 1
    assert crew.told[1] == []
    crew.time_passes(50, 0)
    assert crew.ended == {}
    crew.says(1, Message(Say.HELLO))
    assert crew.told[1] == [Message(Say.JOINED)]
    crew.notified(0, Kind.CHANGE, WEB)
    assert len(crew.of(1, Say.TAKE)) == 1


def test_what_asks_for_much_gets_time_for_it() -> None:
    """SIGHUP empties a cache of a million answers."""
    crew = Crew()
    crew.do(crew.hub.signalled(1))
    assert all(crew.of(number, Say.SIGNAL) == [Message(Say.SIGNAL, 1)] for number in (0, 1))
    crew.time_passes(20)
    assert crew.ended == {}


def test_one_writes_the_report_for_all() -> None:
    """Whoever is there."""
    crew = Crew()
    crew.do(crew.hub.signalled(10, one=True))
    assert [len(crew.of(number, Say.SIGNAL)) for number in (0, 1)] == [1, 0]
    crew.goes(0)
    crew.do(crew.hub.signalled(10, one=True))
    assert len(crew.of(1, Say.SIGNAL)) == 1


def test_who_is_about_to_end_gets_time_for_it() -> None:
    crew = Crew()
    crew.hub.leaves(1)
    crew.time_passes(50, 0)
    assert crew.ended == {}


def parts(crew: Crew, number: int) -> list[dict[str, object]]:
    return [json.loads(each.body) for each in crew.of(number, Say.PARTS)]


def test_what_all_know_is_told_to_who_asks() -> None:
    crew = Crew(3)
    crew.says(1, Message(Say.ASK, 77, b"something"))
    (answer,) = crew.of(1, Say.PARTS)
    assert answer.number == 77
    assert parts(crew, 1) == [
        {"gone": None, "ended": 0, "parts": [{"worker": number} for number in range(3)]}
    ]


def test_who_is_late_is_represented_by_what_he_said_last() -> None:
    crew = Crew()
    crew.says(0, Message(Say.ASK, 1, b"status"))
    crew.deaf = {1}
    crew.says(0, Message(Say.ASK, 2, b"status"))
    crew.says(0, Message(Say.ASK, 3, b"metrics"))
    assert len(parts(crew, 0)) == 1
    crew.time_passes(3, 0, 1)
    _, known, unknown = parts(crew, 0)
    assert known["parts"] == [{"worker": 0}, {"worker": 1}]
    assert unknown["parts"] == [{"worker": 0}]
    crew.says(1, Message(Say.TOLD, crew.of(1, Say.TELL)[-1].number, b"{}"))  # too late
    assert len(parts(crew, 0)) == 3


def test_of_a_question_of_the_moment_nothing_is_remembered() -> None:
    """Whoever explains a million names must not fill the parent's memory."""
    crew = Crew()
    crew.says(0, Message(Say.ASK, 1, b"explain A web.example."))
    crew.deaf = {1}
    crew.says(0, Message(Say.ASK, 2, b"explain A web.example."))
    crew.time_passes(3, 0, 1)
    first, second = parts(crew, 0)
    assert first["parts"] == [{"worker": 0}, {"worker": 1}]
    assert second["parts"] == [{"worker": 0}], "not what it said before"
    crew.goes(1)
    crew.says(0, Message(Say.ASK, 3, b"explain A web.example."))
    assert parts(crew, 0)[-1]["gone"] is None


def test_nobody_waits_for_the_word_of_a_worker_that_ended() -> None:
    crew = Crew()
    crew.deaf = {1}
    crew.says(0, Message(Say.ASK, 1, b"something"))
    crew.says(1, Message(Say.ASK, 1, b"something"))
    crew.goes(1)
    assert [each["parts"] for each in parts(crew, 0)] == [[{"worker": 0}]]
    assert parts(crew, 0)[0]["ended"] == 1


def test_a_server_that_asks_us_is_told_to_the_other_workers() -> None:
    crew = Crew(3)
    crew.says(1, Message(Say.LOOPING, 0, b"192.0.2.1"))
    found = [crew.of(number, Say.LOOPS) for number in range(3)]
    assert found == [
        [Message(Say.LOOPS, 0, b"192.0.2.1")],
        [],
        [Message(Say.LOOPS, 0, b"192.0.2.1")],
    ]


def test_messages_come_whole_however_the_stream_is_cut() -> None:
    sent = [Message(Say.BEAT), Message(Say.TAKE, 2**32 - 1, bytes(range(256))), Message(Say.READY)]
    octets = b"".join(each.encode() for each in sent)
    for size in (1, 7, 64, len(octets)):
        inbox = Inbox()
        pieces = (octets[at : at + size] for at in range(0, len(octets), size))
        assert [message for piece in pieces for message in inbox.put(piece)] == sent


@pytest.mark.parametrize(
    "octets", [b"\0\0\0\0\x7f\0\0\0\0", (MAX_BODY + 1).to_bytes(4) + b"\3\0\0\0\0"]
)
def test_nonsense_between_workers_is_an_error(octets: bytes) -> None:
    with pytest.raises(ForwarderError):
        list(Inbox().put(octets))
