"""
How a change of the cluster is told to a cache: NOTIFY messages (RFC 1996), and their receipts.

A NOTIFY has the opcode, the question (the zone's SOA) and the acknowledgement of RFC 1996. What
changed stands in an EDNS option from the range for local use (RFC 6891 section 9):

    octets  0       version, 1
            1       kind
            2-17    key of the session; zeros in a HELLO
            18-25   instance: drawn at the start of the one who tells
            26-33   before: the serial that the listener is expected to know
            34-41   after: the serial once this is taken in
            42-     CHANGE: names in lower case, uncompressed, one after the other

- HELLO opens a session. Its receipt holds a key, drawn by the listener and sent to the address that
  the cluster's server has: whoever only pretends to be there does not learn it.
- CHANGE: these names and all below them changed. With `before` equal to `after` the listener's
  serial stays: so do the parts of a large change but the last, and the heartbeat, which has no
  names.
- ALL: anything may have changed.

A receipt says WELCOME (the key is in it), TAKEN, or AGAIN: the key is not known (any more), say
HELLO. `after` in it is the serial that the listener knows now. The ID tells which NOTIFY it is for.

All numbers are big-endian. Nothing here is kept, and nothing raises but NotifyError.
"""

import enum
import struct
from dataclasses import dataclass

from kubedns.errors import KubednsError
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import HEADER

OPCODE = 4
MAX_MESSAGE = 4096  # octets: what the receivers of both processes read
KEY = 16
_OPTION = 65053
_VERSION = 1
_BODY = struct.Struct(f">BB{KEY}s8sQQ")
_FLAGS = OPCODE << 11
_QR = 0x8000
_NO_KEY = bytes(KEY)


class NotifyError(KubednsError):
    """A NOTIFY or a receipt that cannot be read; str() says why, in a few fixed words."""


class Kind(enum.IntEnum):
    """What a message says; see the head of this module."""

    HELLO = 1
    CHANGE = 2
    ALL = 3
    WELCOME = 129
    TAKEN = 130
    AGAIN = 131


@dataclass(frozen=True, slots=True)
class Notice:
    """
    A NOTIFY, or the receipt of one.

    id: the message's. zone: in wire form, folded. instance: 8 octets. names: folded, in wire form.
    """

    id: bytes
    kind: Kind
    zone: bytes
    instance: bytes
    before: int
    after: int
    key: bytes = _NO_KEY
    names: tuple[bytes, ...] = ()

    @property
    def is_receipt(self) -> bool:
        """Tell who speaks: the listener, or the one who tells."""
        return self.kind >= Kind.WELCOME

    def encode(self) -> bytes:
        """Return the message; `room` says how many names fit."""
        flags = _FLAGS | (_QR if self.is_receipt else 0)
        body = _BODY.pack(
            _VERSION, self.kind, self.key, self.instance, self.before, self.after
        ) + b"".join(self.names)
        return b"".join(
            (
                self.id,
                struct.pack(">HHHHH", flags, 1, 0, 0, 1),
                self.zone,
                struct.pack(">HH", rr.SOA, rr.IN),
                struct.pack(">BHHIH", 0, rr.OPT, MAX_MESSAGE, 0, 4 + len(body)),
                struct.pack(">HH", _OPTION, len(body)),
                body,
            )
        )


def room(zone: bytes) -> int:
    """Return how many octets of names fit into one message."""
    return MAX_MESSAGE - (HEADER + len(zone) + 4 + 11 + 4 + _BODY.size)


def is_notify(message: bytes) -> bool:
    """Tell whether a message is a NOTIFY or the receipt of one, by its opcode."""
    return len(message) >= HEADER and (message[2] >> 3 & 15) == OPCODE


def read(message: bytes) -> Notice:
    """
    Read a NOTIFY of ours, or a receipt.

    Raises:
        NotifyError: it is none. A receipt without our option is what other makes send.
    """
    if not is_notify(message):
        raise NotifyError("not a NOTIFY")
    if message[3] & 15:
        raise NotifyError("refused")
    if message[4:10] != b"\0\1\0\0\0\0" or message[10:12] != b"\0\1":
        raise NotifyError("without our option")
    zone, at = _name(message, HEADER)
    if message[at : at + 4] != struct.pack(">HH", rr.SOA, rr.IN):
        raise NotifyError("not about a zone")
    at += 4
    if message[at : at + 3] != struct.pack(">BH", 0, rr.OPT) or len(message) < at + 15:
        raise NotifyError("without our option")
    length, option, size = struct.unpack_from(">HHH", message, at + 9)
    body = message[at + 15 :]
    if option != _OPTION:
        raise NotifyError("without our option")
    if len(body) != size or length != size + 4 or size < _BODY.size:
        raise NotifyError("cut short")
    version, kind, key, instance, before, after = _BODY.unpack_from(body)
    if version != _VERSION:
        raise NotifyError("another version")
    if kind not in Kind.__members__.values():
        raise NotifyError("an unknown kind")
    notice = Notice(
        message[:2], Kind(kind), zone, instance, before, after, key, _names(body, _BODY.size)
    )
    if notice.is_receipt is not bool(message[2] & 0x80):
        raise NotifyError("a question that is a receipt, or the other way round")
    if notice.names and notice.kind is not Kind.CHANGE:
        raise NotifyError("names where none belong")
    return notice


def _names(body: bytes, at: int) -> tuple[bytes, ...]:
    found = []
    while at < len(body):
        name, at = _name(body, at)
        found.append(name)
    return tuple(found)


def _name(octets: bytes, at: int) -> tuple[bytes, int]:
    """Return the uncompressed name at an offset, and where it ends."""
    start = at
    try:
        while length := octets[at]:
            if length > names.MAX_LABEL:
                raise NotifyError("a compressed name")
            at += 1 + length
    except IndexError:
        raise NotifyError("cut short") from None
    at += 1
    name = octets[start:at]
    if len(name) > names.MAX_NAME:
        raise NotifyError("a name of more than 255 octets")
    if name != name.lower():
        raise NotifyError("a name that is not in lower case")
    return name, at
