"""
Whatever a client sends: it gets a reply that dnspython can read, or silence.

The message goes through the parser, and as a datagram and over TCP to both servers: kubedns with a
small cluster, and the forwarder, whose upstreams deny everything.
"""

import dns.message
import dns.opcode
import dns.rdatatype

from kubedns.wire import question, reply, rr
from kubedns.wire.question import WireError
from tests.builders import World, conformance_cluster, serve
from tests.fuzz import judge
from tests.fwdreplay import Replay

MAX_LEN = 600
TOKENS = (
    b"\0\0\x29\x04\xd0\0\0\0\0\0\0", b"\0\0\x29\x10\0\0\0\x80\0\0\0", b"\0\x0a\0\x08",
    b"\0\x0b\0\0",
    b"\x04svc1\x06testns\x03svc\x07cluster\x05local\0", b"\x07version\x04bind\0", b"\x05_http",
    b"\x0210\x010\x010\x0210\x07in-addr\x04arpa\0", b"\0\x01\0\x01", b"\0\xff\0\x01",
    b"\0\x10\0\x03",
)  # fmt: skip
_SENDER = ("10.0.0.1", 4000)
_MAX_OPTIONS = 16
_COOKIE = 10


def check(octets: bytes) -> None:
    """Assert all that must hold for one message."""
    query = _parsed(octets)
    replay = Replay(cache_size=10)
    for tcp in (False, True):
        limit = reply.MAX_TCP if tcp else 512 if query is None else reply.udp_limit(query)
        for answered in (_KUBEDNS.octets(octets, tcp=tcp), _of_forwarder(replay, octets, tcp=tcp)):
            silent = len(octets) < judge.HEADER or octets[2] & 0x80
            assert (answered is None) is bool(silent)
            if answered is not None:
                read = judge.fits(octets, answered, limit)
                assert read.edns < 0 or query is None or query.edns is not None, "an OPT unasked"


def _parsed(octets: bytes) -> question.Query | None:
    """Read a message; where it is a query dnspython must say the same, and the other way round."""
    theirs = judge.read_or_none(octets)
    try:
        query = question.read(octets)
    except WireError as error:
        assert error.rcode is not None or len(octets) < judge.HEADER or octets[2] & 0x80
        assert theirs is None or not _is_answerable(theirs, octets), f"refused: {error}"
        return error.query
    assert query.folded == query.qname.lower()
    assert query.octets == judge.question_of(octets)
    asked = dns.message.from_wire(octets, question_only=True).question[0]
    assert asked.name.to_wire() == query.qname
    assert (int(asked.rdtype), int(asked.rdclass)) == (query.qtype, query.qclass)
    if theirs is not None:
        edns = query.edns
        assert (theirs.edns >= 0) is (edns is not None)
        if edns is not None:
            assert edns.udp_size == max(512, theirs.payload)
            assert edns.do is bool(theirs.ednsflags & 0x8000)
    if question.is_fixed_form(octets, query):
        assert octets == _fixed_form(octets, query), "more than one spelling of the fixed form"
    return query


def _is_answerable(theirs: dns.message.Message, octets: bytes) -> bool:
    """Tell whether it is one plain question, however dnspython reads it."""
    counts = [octets[at] << 8 | octets[at + 1] for at in range(4, 12, 2)]
    cookies = [o.to_wire() for o in theirs.options if o.otype == _COOKIE]
    return (
        theirs.opcode() == dns.opcode.QUERY
        and not octets[2] & 0x80
        and counts[0] == 1
        and counts[1] <= 1
        and counts[2] <= 1
        and counts[3] <= 2
        and theirs.question[0].rdtype != dns.rdatatype.OPT
        and theirs.question[0].name.to_wire() == (judge.question_of(octets) or b"")[:-4]
        and theirs.edns <= 0
        and all(len(c or b"") == 8 or 16 <= len(c or b"") <= 40 for c in cookies)
    )


def _fixed_form(octets: bytes, query: question.Query) -> bytes:
    """Write what means the same: as much as RD, AD, CD, a size and DO can say."""
    head = octets[:2] + bytes((octets[2] & 1, octets[3] & 0x30)) + b"\0\1\0\0\0\0\0"
    if query.edns is None:
        return head + b"\0" + query.folded + query.octets[-4:]
    size = octets[len(octets) - 8 : len(octets) - 6]
    opt = bytes((0, 0, rr.OPT)) + size + bytes((0, 0, query.edns.do << 7, 0, 0, 0))
    return head + b"\1" + query.folded + query.octets[-4:] + opt


def _of_forwarder(replay: Replay, octets: bytes, *, tcp: bool) -> bytes | None:
    replies: list[bytes] = []
    replay.forwarder.handle(octets, _SENDER, replies.append, tcp=tcp)
    while replay.waiting:
        attempt = replay.waiting[0]
        replay.deliver(attempt, b"\0\0\x81\x83\0\1\0\0\0\0\0\0" + attempt.octets)
    assert len(replies) <= 1
    assert replay.is_quiet()
    assert not replay.counters.exceptions
    for key in replay.cache.entries:
        assert key[:-5] == key[:-5].lower(), "a name that is not in lower case as a key"
    return replies[0] if replies else None


_KUBEDNS = serve(*conformance_cluster(), world=World({}))
