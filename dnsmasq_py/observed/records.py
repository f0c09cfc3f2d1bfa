"""One transaction, as the ring holds it, and as JSON."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from kubedns.plainring import HEAD, NOT_TAKEN, TCP
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import HEADER

# Where a reply came from. CUT: an upstream's truncated one, with nothing to be had over TCP.
READY, CACHE, LOCAL, UPSTREAM, STALE, ERROR, CUT = range(7)
SOURCES = ("cache", "cache", "local", "upstream", "stale", "error", "upstream")
_KIND = 15
_MAPPED = bytes(10) + b"\xff\xff"
_OPT = b"\0\0\x29"
_OPT_RCODE = 5  # where in an OPT record the upper bits of the rcode are


class Record(NamedTuple):
    """
    A transaction.

    at: monotonic microseconds of the reply. took: microseconds, None: the reply was ready. query,
    reply: what was kept of them; the whole ones had so many octets. weight: how many it stands for.
    address: 16 octets, that of IPv4 mapped.
    """

    at: int
    took: int | None
    query: bytes
    whole_query: int
    reply: bytes
    whole_reply: int
    port: int
    source: int
    tcp: bool
    weight: int
    address: bytes

    @property
    def rcode(self) -> int:
        """Return the reply's, extended if it is."""
        reply = self.reply
        rcode = reply[3] & 15 if len(reply) > 3 else rr.SERVFAIL
        if len(reply) == self.whole_reply and reply[6:10] == bytes(4):
            at = reply.rfind(_OPT)
            if at >= HEADER and at + _OPT_RCODE < len(reply):
                rcode |= reply[at + _OPT_RCODE] << 4
        return rcode

    @property
    def edns(self) -> bool:
        """Tell whether the query had EDNS."""
        end = question_end(self.query)
        return end > 0 and self.query[10:12] != b"\0\0" and self.query.startswith(_OPT, end)


def read(octets: bytes) -> Iterator[Record]:
    """Give the records that a ring returned, oldest first."""
    at, end = 0, len(octets)
    unpack, head, new = HEAD.unpack_from, HEAD.size, tuple.__new__
    while at < end:
        (
            when, size, took, asked, whole_query, told, whole_reply, port, kind, _, weight, address
        ) = unpack(octets, at)  # fmt: skip
        begin = at + head
        middle = begin + asked
        fields = (
            when,
            None if took == NOT_TAKEN else took,
            octets[begin:middle],
            whole_query,
            octets[middle : middle + told],
            whole_reply,
            port,
            kind & _KIND,
            kind >= TCP,
            weight,
            address,
        )
        yield new(Record, fields)  # a third of what Record(...) costs
        at += size


def question_end(query: bytes) -> int:
    """Return where the question of a query ends; 0: it has none that can be read."""
    at = HEADER
    try:
        while length := query[at]:
            if length > names.MAX_LABEL:
                return 0
            at += 1 + length
    except IndexError:
        return 0
    at += 5
    return at if at <= len(query) and at <= HEADER + names.MAX_NAME + 4 else 0


def address_text(address: bytes) -> str:
    """Return an address of a record as people write it."""
    if address.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, address[12:])
    return socket.inet_ntop(socket.AF_INET6, address)


def time_text(at: float, *, micro: bool = False) -> str:
    """Return a time, in seconds since the epoch, as JSON has it."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1e6):06}Z" if micro else f"{whole}Z"


def described(record: Record, offset: float) -> dict[str, Any]:
    """Return a record, fit for JSON; offset: from monotonic seconds to those since the epoch."""
    query = record.query
    end = question_end(query)
    rcode = record.rcode
    told: dict[str, Any] = {
        "time": time_text(record.at / 1e6 + offset, micro=True),
        "client": address_text(record.address),
        "port": record.port,
        "transport": "tcp" if record.tcp else "udp",
        "id": int.from_bytes(query[:2]),
        "name": names.to_text(query[HEADER : end - 4].lower()) if end else None,
        "type": rr.type_text(int.from_bytes(query[end - 4 : end - 2])) if end else None,
        "rcode": rr.RCODE_NAMES.get(rcode, f"RCODE{rcode}"),
        "source": SOURCES[record.source] if record.source < len(SOURCES) else "error",
        "took_ms": None if record.took is None else record.took / 1000,
        "edns": record.edns,
        "size": record.whole_reply,
    }
    if record.weight > 1:
        told["stands_for"] = record.weight
    return told


def line(record: Record, offset: float) -> str:
    """Return a record as a line of JSON."""
    return json.dumps(described(record, offset)) + "\n"
