"""One query to a server: what it asks, its octets, and which message is a reply to it."""

import struct
from dataclasses import dataclass

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import HEADER
from kubedns.wire.response import OPCODE, QR

EDNS_SIZE = 1232  # what passes unfragmented nearly everywhere (DNS flag day 2020)
_RD = 0x0100
_CD = 0x0010


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in class IN; qname as it goes out. do, cd: the bits of the same name."""

    qname: bytes
    qtype: int
    do: bool = False
    cd: bool = False

    def __str__(self) -> str:
        return f"{names.to_text(self.qname)} {rr.type_text(self.qtype)}"


def encode(question: Question, query_id: bytes, *, edns: bool) -> bytes:
    """Return the query: RD=1, CD as asked, and with EDNS also DO. Our OPT has no options."""
    flags = _RD | (_CD if question.cd else 0)
    head = query_id + struct.pack(">HHHHH", flags, 1, 0, 0, int(edns))
    asked = question.qname + struct.pack(">HH", question.qtype, rr.IN)
    if not edns:
        return head + asked
    return head + asked + struct.pack(">BHHBBHH", 0, rr.OPT, EDNS_SIZE, 0, 0, question.do << 15, 0)


def is_reply(message: bytes, query: bytes, qname: bytes) -> bool:
    """Tell whether ID, QR, opcode and question are those of a reply to this query about qname."""
    end = HEADER + len(qname)
    return (
        len(message) >= end + 4
        and message[:2] == query[:2]
        and _flags(message) & (QR | OPCODE) == QR
        and message[4:6] == b"\0\1"
        # Only the name is folded: the type octet 0x41 is no letter A.
        and message[HEADER:end].lower() == qname.lower()
        and message[end : end + 4] == query[end : end + 4]
    )


def is_bare_refusal(message: bytes, query: bytes) -> bool:
    """Tell whether this is a header alone with FORMERR or NOTIMP: old servers' word on EDNS."""
    return (
        len(message) == HEADER
        and message[:2] == query[:2]
        and _flags(message) & (QR | OPCODE) == QR
        and _flags(message) & 15 in (rr.FORMERR, rr.NOTIMP)
        and message[4:] == bytes(8)
    )


def _flags(message: bytes) -> int:
    return message[2] << 8 | message[3]
