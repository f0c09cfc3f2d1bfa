"""A reply counts for the question that it answers, and for no other: peers are late at times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.asking import look
from tests.faults.load import is_reply, query
from tests.faults.thread import InThread
from tests.faults.truth import NOERROR
from tests.realapi.ports import free_port

ASKED = b"\x12\x34" + query("web.shop.svc.cluster.local")
OTHER = query("api.shop.svc.cluster.local")


def reply_to(asked: bytes) -> bytes:
    """Return an answer without records."""
    return asked[:2] + b"\x81\x80" + asked[4:]


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        (reply_to(ASKED), True),
        (reply_to(ASKED) + b"more", True),
        (reply_to(b"\x12\x35" + ASKED[2:]), False),
        (reply_to(ASKED[:2] + OTHER), False),
        (reply_to(ASKED)[:-4] + b"\0\x1c\0\1", False),
        (reply_to(ASKED)[:-1], False),
        (reply_to(ASKED)[:12], False),
        (ASKED, False),
        (b"", False),
    ],
)
def test_a_reply_counts_if_id_name_type_and_class_are_those_asked(
    message: bytes, counts: bool
) -> None:
    assert is_reply(message, ASKED) is counts


class Confused(InThread):
    """Sends the reply to another question first, and another ID, and then what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    async def open(self) -> None:
        self._socket = await self.bound(self.port, self._asked)

    async def close(self) -> None:
        self._socket.close()

    def _asked(self, message: bytes, source: tuple[str, int]) -> None:
        refused = bytearray(reply_to(message[:2] + OTHER))
        refused[3] |= 5
        other_id = bytes((message[0] ^ 1,)) + bytes(refused[1:2]) + reply_to(message)[2:]
        for each in (bytes(refused), other_id[:3] + b"\x83" + other_id[4:], reply_to(message)):
            self._socket.sendto(each, source)


@pytest.fixture
def confused() -> Iterator[Confused]:
    with Confused() as server:
        yield server


def test_who_looks_waits_for_the_right_one(confused: Confused) -> None:
    seen = look(confused.port, "web.shop.svc.cluster.local", timeout_s=20)
    assert seen == (NOERROR, frozenset())
