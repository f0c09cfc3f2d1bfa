"""
One query taken apart, and every reason to refuse it.

What a query may look like is strict and of fixed shape: a header, one question, perhaps records
that we skip, at most one OPT (RFC 1035 4.1, RFC 6891, RFC 9619). Which code answers what does not
fit follows RFC 8906 and kube-dns: silence for what is no query at all, NOTIMP for another opcode,
FORMERR for what cannot be read, BADVERS for a later EDNS.
"""

from dataclasses import dataclass

from kubedns.errors import KubednsError
from kubedns.wire import name as names
from kubedns.wire import rr

HEADER = 12
MIN_UDP = 512  # RFC 1035 2.3.4; also the least EDNS size that counts (RFC 6891 6.2.3)
MEANING = 0x0130  # of the flags: RD, AD, CD; the others mean nothing in a query
_COOKIE = 10  # RFC 7873
_TCP_KEEPALIVE = 11  # RFC 7828
_MAX_OPTIONS = 16  # further ones are not looked at: the list is the client's to make long


class WireError(KubednsError):
    """
    A message that is not answered as a question.

    rcode: how to answer; None: not at all.
    query: the part that could be read, so that the reply can repeat it.
    """

    def __init__(self, reason: str, rcode: int | None, query: "Query | None" = None) -> None:
        super().__init__(reason)
        self.rcode = rcode
        self.query = query


@dataclass(frozen=True, slots=True)
class Edns:
    """What the OPT record of a query says (RFC 6891): UDP size in octets, DO, keepalive wanted."""

    udp_size: int
    do: bool
    keepalive: bool


@dataclass(slots=True)
class Query:
    """
    One question.

    qname is as the client spelled it, folded in lower case; octets is the question section, which
    every reply repeats as it came. flags are the 16 bits of the header.
    """

    id: bytes
    flags: int
    qname: bytes
    folded: bytes
    qtype: int
    qclass: int
    octets: bytes
    edns: Edns | None = None

    @property
    def rd(self) -> bool:
        """Tell whether recursion is desired."""
        return bool(self.flags & 0x0100)


def read(message: bytes) -> Query:
    """
    Read a query.

    Raises:
        WireError: see there.
    """
    if len(message) < HEADER:
        raise WireError("shorter than a header", None)
    flags = message[2] << 8 | message[3]
    if flags & 0x8000:
        raise WireError("a response, not a query", None)
    if flags & 0x7800:
        raise WireError(f"opcode {flags >> 11 & 15}", rr.NOTIMP)
    questions = message[4] << 8 | message[5]
    if questions != 1:
        raise WireError(f"{questions} questions", rr.FORMERR)
    end = _question_end(message)
    qname = message[HEADER : end - 4]
    query = Query(
        id=message[:2],
        flags=flags,
        qname=qname,
        folded=qname.lower(),  # safe on the wire: length octets are below 'A'
        qtype=message[end - 4] << 8 | message[end - 3],
        qclass=message[end - 2] << 8 | message[end - 1],
        octets=message[HEADER:end],
    )
    if len(message) != end or message[6:12] != b"\0\0\0\0\0\0":
        query.edns = _records(message, end, query)
    if query.qtype == rr.OPT:
        raise WireError("OPT as a question type", rr.FORMERR, query)
    return query


def _question_end(message: bytes) -> int:
    """Find the end of the one question; its name may hold no pointer: nothing stands before it."""
    i = HEADER
    try:
        while length := message[i]:
            if length > names.MAX_LABEL:
                raise WireError("a compressed or reserved label in the question", rr.FORMERR)
            i += 1 + length
    except IndexError:
        raise WireError("the question is cut short", rr.FORMERR) from None
    if i + 1 - HEADER > names.MAX_NAME:
        raise WireError("a name of more than 255 octets", rr.FORMERR)
    if i + 5 > len(message):
        raise WireError("the question is cut short", rr.FORMERR)
    return i + 5


def _records(message: bytes, i: int, query: Query) -> Edns | None:
    """Walk what follows the question: the octets must add up, and at most one OPT may be there."""
    answers = message[6] << 8 | message[7]
    authority = message[8] << 8 | message[9]
    additional = message[10] << 8 | message[11]
    # kube-dns' limits; IXFR brings its SOA in authority, DNSSEC-signed questions TSIG or SIG(0).
    if answers > 1 or authority > 1 or additional > 2:
        raise WireError("more records than a query may have", rr.FORMERR, query)
    edns: Edns | None = None
    try:
        for place in range(answers + authority + additional):
            owner = i
            i = names.skip(message, i)
            rtype = message[i] << 8 | message[i + 1]
            rdata = i + 10
            i = rdata + (message[i + 8] << 8 | message[i + 9])
            if i > len(message):
                raise WireError("a record is cut short", rr.FORMERR, query)
            if rtype == rr.OPT:
                if edns is not None or place < answers + authority or message[owner]:
                    raise WireError("a second OPT, or one where none may be", rr.FORMERR, query)
                edns = _opt(message[rdata - 8 : i], query)
    except (IndexError, names.BadNameError):
        raise WireError("a record is cut short", rr.FORMERR, query) from None
    if i != len(message):
        raise WireError("octets behind the last record", rr.FORMERR, query)
    return edns


def _opt(octets: bytes, query: Query) -> Edns:
    """Read an OPT record from its CLASS on; unknown options and flags are ignored (6.1.2)."""
    udp_size = max(MIN_UDP, octets[0] << 8 | octets[1])
    edns = Edns(udp_size, do=bool(octets[4] & 0x80), keepalive=False)
    if octets[3] != 0:
        # The client must learn our version even when it sent options that we could not read.
        query.edns = edns
        raise WireError(f"EDNS version {octets[3]}", rr.BADVERS, query)
    i = 8
    for _ in range(_MAX_OPTIONS):
        if i == len(octets):
            break
        if i + 4 > len(octets):
            raise WireError("an EDNS option is cut short", rr.FORMERR, query)
        code = octets[i] << 8 | octets[i + 1]
        size = octets[i + 2] << 8 | octets[i + 3]
        i += 4 + size
        if i > len(octets):
            raise WireError("an EDNS option is cut short", rr.FORMERR, query)
        if code == _COOKIE and size != 8 and not 16 <= size <= 40:
            raise WireError(f"a cookie of {size} octets", rr.FORMERR, query)
        if code == _TCP_KEEPALIVE:
            edns = Edns(edns.udp_size, edns.do, keepalive=True)
    return edns


def is_fixed_form(message: bytes, query: Query) -> bool:
    """Tell whether a query has one of the two forms that receivers look up without parsing."""
    if query.qname != query.folded or query.flags & ~MEANING:
        return False
    rest = message[HEADER + len(query.octets) :]
    if query.edns is None:
        return not rest
    # Root owner, OPT, size, no extended code, version 0, at most DO, no options.
    return len(rest) == 11 and rest[5:7] == b"\0\0" and rest[7:] in (b"\0" * 4, b"\x80\0\0\0")
