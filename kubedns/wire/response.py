"""
One reply of another server taken apart.

Strict: lengths must add up to the last octet, names may only point backwards, at most one OPT.
Whatever does not fit makes the whole message worthless, for nobody can say what it meant. RDATA
stays octets, but for the names in it that a sender may compress (RFC 3597 section 4): those are
written out, so that RDATA means the same in any other message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import HEADER, WireError

QR = 0x8000
OPCODE = 0x7800
TC = 0x0200
MAX_MESSAGE = 65535
MAX_RECORDS = 5000
_RRSIG = 46
_NAPTR = 35
_TOP_BIT = 0x80000000

# Where names stand in RDATA: octets before them, how many there are, octets behind them (None: any
# number). RFC 1035 3.3, RFC 1183, 2163, 2535, 2782, 6672; those of NAPTR are looked for.
_NAMES: dict[int, tuple[int, int, int | None]] = {
    rr.NS: (0, 1, 0),
    3: (0, 1, 0),  # MD
    4: (0, 1, 0),  # MF
    rr.CNAME: (0, 1, 0),
    rr.SOA: (0, 2, 20),
    7: (0, 1, 0),  # MB
    8: (0, 1, 0),  # MG
    9: (0, 1, 0),  # MR
    rr.PTR: (0, 1, 0),
    14: (0, 2, 0),  # MINFO
    15: (2, 1, 0),  # MX
    17: (0, 2, 0),  # RP
    18: (2, 1, 0),  # AFSDB
    21: (2, 1, 0),  # RT
    24: (18, 1, None),  # SIG
    26: (2, 2, 0),  # PX
    30: (0, 1, None),  # NXT
    rr.SRV: (6, 1, 0),
    _NAPTR: (4, 1, 0),
    39: (0, 1, 0),  # DNAME
}
TYPES_WITH_NAMES = frozenset(_NAMES)
_SIZES = {rr.A: 4, rr.AAAA: 16}


@dataclass(frozen=True, slots=True)
class Response:
    """
    A reply.

    qname and the owners of records are folded, RDATA keeps its letter case. rcode has the upper
    bits that travel in the OPT record, which is not among the records. TTLs are in seconds.
    """

    id: bytes
    flags: int
    rcode: int
    qname: bytes
    qtype: int
    qclass: int
    answer: tuple[rr.RRset, ...] = ()
    authority: tuple[rr.RRset, ...] = ()
    additional: tuple[rr.RRset, ...] = ()


@dataclass(slots=True)
class _Growing:
    """An RRset while its records come in; the dictionary keeps their order and drops doubles."""

    owner: bytes
    type: int
    ttl: int
    rdatas: dict[bytes, None] = field(default_factory=dict)


def read(message: bytes) -> Response:
    """
    Read a reply to one question.

    Records of another class than IN are left out. An RRset stands where its first record stood; its
    TTL is the smallest of its records (RFC 2181 5.2). Signatures over different types are different
    RRsets (RFC 2181 5.3.1).

    Raises:
        WireError: the message is broken, or beyond 65,535 octets or 5,000 records.
    """
    try:
        return _Reader(message).response()
    except (IndexError, names.BadNameError) as error:
        raise WireError(f"a broken reply: {error}", None) from None


class _Reader:
    """Reads a message from front to back; `at` is the offset of what comes next."""

    def __init__(self, message: bytes) -> None:
        if not HEADER <= len(message) <= MAX_MESSAGE:
            raise WireError(f"a reply of {len(message)} octets", None)
        self._message = message
        self._at = HEADER
        self._known: dict[int, bytes] = {}
        self._extended_rcode: int | None = None

    def response(self) -> Response:
        message = self._message
        flags = message[2] << 8 | message[3]
        if not flags & QR:
            raise WireError("a query, not a reply", None)
        questions, *counts = (message[i] << 8 | message[i + 1] for i in range(4, HEADER, 2))
        if questions != 1:
            raise WireError(f"a reply with {questions} questions", None)
        if sum(counts) > MAX_RECORDS:
            raise WireError(f"a reply of {sum(counts)} records", None)
        qname = self._name().lower()
        qtype, qclass = self._number(2), self._number(2)
        answer, authority, additional = (
            tuple(self._section(count, last=place == 2)) for place, count in enumerate(counts)
        )
        if self._at != len(message):
            raise WireError("octets behind the last record of a reply", None)
        rcode = flags & 15 | (self._extended_rcode or 0) << 4
        return Response(
            message[:2], flags, rcode, qname, qtype, qclass, answer, authority, additional
        )

    def _section(self, count: int, *, last: bool) -> Iterator[rr.RRset]:
        rrsets: dict[tuple[bytes, int, bytes], _Growing] = {}
        for _ in range(count):
            owner = self._name().lower()
            rtype, rclass, ttl = self._number(2), self._number(2), self._number(4)
            end = self._number(2) + self._at
            if end > len(self._message):
                raise WireError("a record of a reply is cut short", None)
            if rtype == rr.OPT:
                if not last or owner != names.ROOT or self._extended_rcode is not None:
                    raise WireError("a reply with a second OPT, or one where none may be", None)
                self._extended_rcode = ttl >> 24
                self._at = end
                continue
            if rclass != rr.IN:
                self._at = end
                continue
            rdata = self._rdata(rtype, end)
            ttl = 0 if ttl & _TOP_BIT else ttl  # RFC 2181 section 8
            covered = rdata[:2] if rtype == _RRSIG else b""
            rrset = rrsets.setdefault((owner, rtype, covered), _Growing(owner, rtype, ttl))
            rrset.ttl = min(rrset.ttl, ttl)
            rrset.rdatas[rdata] = None
        for each in rrsets.values():
            yield rr.RRset(each.owner, each.type, each.ttl, tuple(each.rdatas))

    def _rdata(self, rtype: int, end: int) -> bytes:
        """Return the RDATA that ends at `end`, its names written out."""
        start = self._at
        if rtype not in _NAMES:
            self._at = end
            if end - start != _SIZES.get(rtype, end - start):
                raise WireError(f"an address of {end - start} octets", None)
            return self._message[start:end]
        before, count, behind = _NAMES[rtype]
        self._at += before
        if rtype == _NAPTR:
            for _ in range(3):  # flags, services, regexp (RFC 3403 4.1)
                self._at += 1 + self._message[self._at]
        parts = [self._message[start : self._at]]
        parts += [self._name() for _ in range(count)]
        if self._at > end or behind not in (None, end - self._at):
            raise WireError(f"{rr.type_text(rtype)} data of a wrong length", None)
        parts.append(self._message[self._at : end])
        self._at = end
        return b"".join(parts)

    def _name(self) -> bytes:
        """
        Read a name.

        Where whole names are pointers, as most owners are, each place is read only once. To keep
        what was found is right because `at` only grows: what led back once always does.
        """
        at = self._at
        if self._message[at] < 0xC0:
            name, self._at = names.read(self._message, at)
            return name
        target = (self._message[at] & 0x3F) << 8 | self._message[at + 1]
        if target not in self._known:
            self._known[target] = names.read(self._message, at)[0]
        self._at = at + 2
        return self._known[target]

    def _number(self, octets: int) -> int:
        at, self._at = self._at, self._at + octets
        if self._at > len(self._message):
            raise WireError("a reply is cut short", None)
        return int.from_bytes(self._message[at : self._at])
