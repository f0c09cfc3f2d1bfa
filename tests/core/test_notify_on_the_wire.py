"""Messages about changes as octets: what is written is read again, and nothing else is."""

from dataclasses import replace

import pytest

from kubedns.tell.waiting import Waiting
from kubedns.wire import name as names
from kubedns.wire import notify
from kubedns.wire.notify import Kind, Notice, NotifyError
from tests.builders import decoded
from tests.listening import as_reply
from tests.mutation import mutated

ZONE = names.from_text("cluster.local")
CHANGE = Notice(
    b"\x12\x34", Kind.CHANGE, ZONE, b"instance", 1_700_000_000, 1_700_000_007, b"k" * 16,
    (names.from_text("web.shop.svc.cluster.local"), names.from_text("7.0.0.10.in-addr.arpa")),
)  # fmt: skip
NOTICES = [
    replace(CHANGE, kind=Kind.HELLO, key=bytes(16), names=()),
    CHANGE,
    replace(CHANGE, names=(), before=CHANGE.after),
    *(replace(CHANGE, kind=kind, names=()) for kind in Kind if kind > Kind.CHANGE),
]
SEEDS = [notice.encode() for notice in NOTICES]


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: notice.kind.name)
def test_what_is_written_is_read(notice: Notice) -> None:
    """Every kind; and any DNS program can decode it."""
    octets = notice.encode()
    assert notify.is_notify(octets)
    assert notify.read(octets) == notice
    message = decoded(octets)
    assert message.opcode() == 4
    assert message.question[0].to_text() == "cluster.local. IN SOA"


def test_every_prefix_is_refused() -> None:
    """A datagram that was cut off."""
    for octets in SEEDS:
        for end in range(len(octets)):
            with pytest.raises(NotifyError):
                notify.read(octets[:end])
        with pytest.raises(NotifyError):
            notify.read(octets + b"\0")


def test_noise_is_refused_or_read() -> None:
    """Nothing else is raised, whatever the octets."""
    refused = 0
    for octets in mutated(SEEDS, seed=15, count=20_000):
        try:
            notice = notify.read(octets)
        except NotifyError:
            refused += 1
        else:
            assert len(notice.id) == 2
            assert len(notice.key) == 16
            assert len(notice.instance) == 8
    assert refused > 5000


@pytest.mark.parametrize("rcode", range(11))
def test_the_reply_of_another_make_is_no_receipt(rcode: int) -> None:
    """RFC 1996 asks for no more than a header and the question."""
    with pytest.raises(NotifyError):
        notify.read(as_reply(SEEDS[0], rcode))


def test_a_message_is_as_large_as_receivers_read() -> None:
    """Names are cut into messages so that each has room, whatever their length."""
    waiting = Waiting()
    long = ["a" * 63, "b" * 63, "c" * 63]
    waiting.add(names.from_text(".".join((f"s{i}", *long[: i % 4]))) for i in range(900))
    parts = waiting.take(notify.room(ZONE))
    sizes = [len(replace(CHANGE, names=part or ()).encode()) for part in parts]
    assert max(sizes) <= notify.MAX_MESSAGE
    assert min(sizes[:-1]) > notify.MAX_MESSAGE - 255
    assert sum(len(part or ()) for part in parts) == 900
