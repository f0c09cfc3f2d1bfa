"""
What a worker and its parent say to each other, and how it is framed in a stream of octets.

    octets  0-3    length of the body
            4      kind
            5-8    number
            9-     body: a NOTIFY or its receipt, or JSON
"""

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dnsmasq_py.errors import ForwarderError

MAX_BODY = 64 << 20
_HEAD = struct.Struct(">IBI")


class Say(enum.IntEnum):
    """Kinds, with what their number and body mean."""

    # A worker to the parent
    HELLO = 1  # tell me of changes from now on
    READY = 2  # I answer queries
    BEAT = 3
    NOTIFY = 4  # number: mine, for the receipt; body: as it came
    TOOK = 5  # number: of the TAKE that is done, and all before it
    ASK = 6  # number: mine, for PARTS; body: what all are to tell
    TOLD = 7  # number: of the TELL; body: JSON
    LOOPING = 8  # body: a server that asks us
    # The parent to a worker
    JOINED = 32  # you hear of all changes
    TAKE = 33  # body: a NOTIFY to act on
    RECEIPT = 34  # body: of a NOTIFY; empty: be silent
    TELL = 35  # body: what
    PARTS = 36  # body: JSON, see hub.py
    LOOPS = 37  # body: what another worker found out
    SIGNAL = 38  # number: of the signal


class Message(NamedTuple):
    """One of them."""

    kind: Say
    number: int = 0
    body: bytes = b""

    def encode(self) -> bytes:
        """Return its octets."""
        return _HEAD.pack(len(self.body), self.kind, self.number) + self.body


class Inbox:
    """Makes messages of octets as they come."""

    def __init__(self) -> None:
        self._octets = bytearray()

    def put(self, octets: bytes) -> Iterator[Message]:
        """
        Give the messages that are whole now.

        Raises:
            ForwarderError: this is not what we say to each other.
        """
        self._octets += octets
        while len(self._octets) >= _HEAD.size:
            length, kind, number = _HEAD.unpack_from(self._octets)
            if length > MAX_BODY or kind not in Say.__members__.values():
                raise ForwarderError("a message between workers that makes no sense")
            end = _HEAD.size + length
            if len(self._octets) < end:
                return
            body = bytes(self._octets[_HEAD.size : end])
            del self._octets[:end]
            yield Message(Say(kind), number, body)
