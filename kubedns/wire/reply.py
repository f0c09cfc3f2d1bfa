"""
A reply put together: compression, size limits, rotation, EDNS.

`compose` is a pure function that gives the `Turns` of a reply: all octets behind the message ID, in
as many turns as its last answer RRset has records, so that a server which keeps it only has to put
the ID in front of the next turn. Turning is by whole cycles, so every record comes first equally
often, and CNAMEs stay in front of what they lead to.

Invariants that rotation needs: the records that turn stand side by side, no name inside them is
ever pointed at, and they only point to what stands before the first of them.
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import overload

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import HEADER, MIN_UDP, Query

MAX_UDP = 1232  # what passes unfragmented nearly everywhere (DNS flag day 2020)
MAX_TCP = 65535
_POINTER_LIMIT = 0x4000
_EDE = 15  # RFC 8914
_TCP_KEEPALIVE = 11  # RFC 7828
# Types whose RDATA begins with this many names that may be compressed (RFC 3597 section 4).
_COMPRESSIBLE = {rr.NS: 1, rr.CNAME: 1, rr.PTR: 1, rr.SOA: 2}
_READY_TURNS = 8  # up to so many records all turns are kept ready; more are cut out when asked

Turns = Sequence[bytes]


class Rotation(Sequence[bytes]):
    """The turns of a reply with many records: turn i begins with record i, cut out when asked."""

    def __init__(self, head: bytes, records: list[bytes], tail: bytes, room: int, before: int):
        """
        head: from the flags to the last octet before the records that turn; tail: what follows.

        room: octets there are for the records; before: how many answer records the head holds.
        """
        self._head = head
        self._tail = tail
        self._count = len(records)
        self._before = before
        self._room = room
        self._octets = b"".join(records) * 2
        self._ends = array("I", accumulate(map(len, records * 2), initial=0))

    @property
    def octets(self) -> int:
        """Return about how much memory it takes."""
        return len(self._head) + len(self._octets) + len(self._tail) + 4 * len(self._ends)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, turn: int) -> bytes: ...
    @overload
    def __getitem__(self, turn: slice) -> Sequence[bytes]: ...
    def __getitem__(self, turn: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(turn, slice):
            return [self[i] for i in range(*turn.indices(self._count))]
        if not 0 <= turn < self._count:
            raise IndexError(turn)
        start = self._ends[turn]
        last = min(bisect_right(self._ends, start + self._room) - 1, turn + self._count)
        count = struct.pack(">H", min(self._before + last - turn, 0xFFFF))
        head = self._head
        return head[:4] + count + head[6:] + self._octets[start : self._ends[last]] + self._tail


class _Writer:
    """Octets of a message from the header on, and where names stand in them."""

    def __init__(self, query: Query) -> None:
        self.octets = bytearray(HEADER) + query.octets
        self.rclass = query.qclass
        # The question's names are found by their folded form: a pointer to them gives the owner
        # the letter case that the client asked with, as 0x20 resolvers expect.
        self.seen = {suffix: HEADER + offset for offset, suffix in names.suffixes(query.folded)}

    def name(self, name: bytes, *, remember: bool = True) -> None:
        """Write a name, as short as names before it allow."""
        at = len(self.octets)
        new = []
        for offset, suffix in names.suffixes(name):
            known = self.seen.get(suffix)
            if known is not None:
                self.octets += name[:offset] + struct.pack(">H", 0xC000 | known)
                break
            new.append((suffix, at + offset))
        else:
            self.octets += name
        if remember:
            self.seen.update((suffix, where) for suffix, where in new if where < _POINTER_LIMIT)

    def record(
        self, owner: bytes, rtype: int, ttl: int, rdata: bytes, *, remember: bool = True
    ) -> None:
        """Write one record, of the class that the question has."""
        self.name(owner, remember=remember)
        self.octets += struct.pack(">HHIH", rtype, self.rclass, ttl, len(rdata))
        compressible = _COMPRESSIBLE.get(rtype, 0)
        if not compressible:
            self.octets += rdata
            return
        start = len(self.octets)
        i = 0
        for _ in range(compressible):
            end = names.skip(rdata, i)
            self.name(rdata[i:end], remember=remember)
            i = end
        self.octets += rdata[i:]
        struct.pack_into(">H", self.octets, start - 2, len(self.octets) - start)

    def cut(self, end: int) -> None:
        """Take back all from an offset on, and the names that stand there."""
        del self.octets[end:]
        self.seen = {suffix: at for suffix, at in self.seen.items() if at < end}


def compose(
    query: Query,
    *,
    limit: int,
    rcode: int = rr.NOERROR,
    authoritative: bool = False,
    answer: Sequence[rr.RRset] = (),
    authority: Sequence[rr.RRset] = (),
    additional: Sequence[rr.RRset] = (),
    error: tuple[int, str] | None = None,
    keepalive_ms: int | None = None,
) -> Turns:
    """
    Return the turns of the reply to a query, without its two ID octets.

    limit: the most octets the client takes, see udp_limit; what does not fit is left out, with
    TC=1 when it was answer or authority (RFC 2181 section 9). error: an extended DNS error (code,
    text), sent to clients that speak EDNS when there is room beside all records. keepalive_ms: TCP
    idle time to tell (RFC 7828), only to who asked for it.
    """
    sections = (answer, authority, additional)
    bare = opt_record(query, rcode, None, None)
    opt = opt_record(query, rcode, error, keepalive_ms)
    if opt != bare and HEADER + len(query.octets) + len(opt) + _least(answer) <= limit:
        turns, complete = _compose(query, limit, rcode, authoritative, sections, opt)
        if complete:
            return turns
    return _compose(query, limit, rcode, authoritative, sections, bare)[0]


def _compose(
    query: Query,
    limit: int,
    rcode: int,
    authoritative: bool,
    sections: tuple[Sequence[rr.RRset], Sequence[rr.RRset], Sequence[rr.RRset]],
    opt: bytes,
) -> tuple[Turns, bool]:
    """Return the turns of a reply, and whether it has all records."""
    answer, authority, additional = sections
    writer = _Writer(query)
    room = limit - len(opt)
    turning = _turning(answer)
    truncated = False
    before = 0
    for rrset in answer[:-1] if turning else answer:
        for rdata in rrset.rdatas:
            mark = len(writer.octets)
            writer.record(rrset.owner, rrset.type, rrset.ttl, rdata)
            if len(writer.octets) > room:
                writer.cut(mark)
                truncated = True
                break
            before += 1
        if truncated:
            break
    head_end = len(writer.octets)
    records = []
    if turning and not truncated:
        for rdata in turning.rdatas:
            mark = len(writer.octets)
            writer.record(turning.owner, turning.type, turning.ttl, rdata, remember=False)
            records.append(bytes(writer.octets[mark:]))
        truncated = len(writer.octets) > room
    turned_end = len(writer.octets)
    complete = not truncated
    counts = [min(before + len(records), 0xFFFF), 0, 0]
    if not truncated:
        for section, rrsets in ((1, authority), (2, additional)):
            for rrset in () if truncated else rrsets:
                mark = len(writer.octets)
                for rdata in rrset.rdatas:
                    writer.record(rrset.owner, rrset.type, rrset.ttl, rdata)
                if len(writer.octets) > room:
                    # No TC for additional data alone; an RRset goes in whole or not at all.
                    writer.cut(mark)
                    truncated = section == 1
                    complete = False
                    break
                counts[section] += len(rrset.rdatas)
    counts[2] += bool(opt)
    flags = 0x8080 | query.flags & 0x0110 | rcode & 15  # QR, RA; RD and CD as asked
    flags |= authoritative << 10 | truncated << 9
    octets = bytes(writer.octets)
    start = struct.pack(">HHHHH", flags, 1, *counts)
    head = start + octets[HEADER:head_end]
    if len(records) < 2:
        return (start + octets[HEADER:] + opt,), complete
    if turned_end > room:
        return Rotation(head, records, opt, room - head_end, before), complete
    turns = Rotation(head, records, octets[turned_end:] + opt, turned_end - head_end, before)
    return (tuple(turns) if len(records) <= _READY_TURNS else turns), complete


def refusal(message: bytes, rcode: int, query: Query | None) -> bytes:
    """
    Return the whole reply to a message that is not answered as a question.

    The question is repeated where it could be read; else the header stands alone (RFC 8906).
    """
    if query is not None:
        return query.id + compose(query, limit=MIN_UDP, rcode=rcode)[0]
    flags = 0x8000 | (message[2] << 8 | message[3]) & 0x7900 | rcode  # opcode and RD as asked
    return message[:2] + struct.pack(">HHHHH", flags, 0, 0, 0, 0)


def udp_limit(query: Query) -> int:
    """Return how many octets a UDP reply to this query may have."""
    return MIN_UDP if query.edns is None else min(query.edns.udp_size, MAX_UDP)


def _turning(answer: Sequence[rr.RRset]) -> rr.RRset | None:
    """Return the RRset whose order turns: the last one, when it has several records."""
    return answer[-1] if answer and len(answer[-1].rdatas) > 1 else None


def opt_record(
    query: Query, rcode: int, error: tuple[int, str] | None, keepalive_ms: int | None
) -> bytes:
    """Write our OPT record, from scratch (RFC 6891); nothing for a client that sent none."""
    if query.edns is None:
        return b""
    options = b""
    if keepalive_ms is not None and query.edns.keepalive:
        options += struct.pack(">HHH", _TCP_KEEPALIVE, 2, keepalive_ms // 100)
    if error is not None:
        text = error[1].encode("utf-8")
        options += struct.pack(">HHH", _EDE, 2 + len(text), error[0]) + text
    fixed = struct.pack(
        ">BHHBBHH", 0, rr.OPT, MAX_UDP, rcode >> 4, 0, query.edns.do << 15, len(options)
    )
    return fixed + options


def _least(rrsets: Sequence[rr.RRset]) -> int:
    """Return how many octets RRsets have at the least: their names may be two octets each."""
    return sum(
        12 + (2 if rrset.type in _COMPRESSIBLE else len(rdata))
        for rrset in rrsets
        for rdata in rrset.rdatas
    )
