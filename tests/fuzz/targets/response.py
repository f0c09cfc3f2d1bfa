"""
Replies of other servers, read as dnspython reads them; and written anew, so that all can read them.

The first octet says how large the message made of it may be.
"""

import dns.message
import dns.rdata

from kubedns.wire import reply, response, rr
from kubedns.wire.question import HEADER, Edns, Query, WireError
from kubedns.wire.response import Response
from tests.fuzz import judge

MAX_LEN = 1000
TOKENS = (
    b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04", b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x02\xc0\x0c",
    b"\xc0\x0c\0\x1c\0\x01\0\0\0\x3c\0\x10", b"\0\x2e\0\x01", b"\0\x06\0\x01", b"\0\x21\0\x01",
    b"\0\0\x29\x04\xd0\0\0\0\0\0\0", b"\0\x0f\0\x01", b"\0\x23\0\x01", b"\x80\0\0\0",
)  # fmt: skip
_LIMITS = (512, 513, 600, 800, 1000, 1232, 4096, 65535)


def check(octets: bytes) -> None:
    """Assert all that must hold for one reply."""
    message = octets[1:]
    theirs = judge.read_or_none(message)
    try:
        ours = response.read(message)
    except WireError as error:
        assert theirs is None or not _is_whole(theirs), f"refused: {error}"
        return
    if theirs is not None and _is_whole(theirs):
        _says_the_same(ours, theirs)
    for limit in (_LIMITS[octets[0] % len(_LIMITS)], reply.MAX_TCP):
        for edns in (None, Edns(limit, do=True, keepalive=True)):
            _is_written(ours, limit, edns, readable=theirs is not None)


def _is_whole(theirs: dns.message.Message) -> bool:
    """Tell whether it is a reply to one question, with no names that dnspython leaves unread."""
    records = [rrset for section in theirs.sections[1:] for rrset in section]
    return (
        bool(theirs.flags & response.QR)
        and len(theirs.question) == 1
        and not any(
            isinstance(rrset[0], dns.rdata.GenericRdata)
            and rrset.rdtype in response.TYPES_WITH_NAMES
            for rrset in records
        )
    )


def _says_the_same(ours: Response, theirs: dns.message.Message) -> None:
    """Compare each record, but for those that were there twice."""
    assert ours.id == theirs.id.to_bytes(2)
    assert ours.rcode == theirs.rcode()
    question = theirs.question[0]
    assert question.name.to_digestable() == ours.qname
    assert (int(question.rdtype), int(question.rdclass)) == (ours.qtype, ours.qclass)
    for section, part in zip(
        (ours.answer, ours.authority, ours.additional), theirs.sections[1:], strict=True
    ):
        records = judge.records(part)
        said = {(each.owner, each.type, rdata) for each in section for rdata in each.rdatas}
        assert said == {(owner, rtype, rdata) for owner, rtype, _, rdata in records}
        for rrset in section:
            assert rrset.owner == rrset.owner.lower()
            assert len(set(rrset.rdatas)) == len(rrset.rdatas)
            ttls = [t for o, y, t, d in records if (o, y) == rrset[:2] and d in rrset.rdatas]
            assert rrset.ttl == min(ttls)


def _is_written(ours: Response, limit: int, edns: Edns | None, *, readable: bool) -> None:
    """Write a message of it: each turn fits, says the same or less, and TC says which."""
    octets = ours.qname + ours.qtype.to_bytes(2) + rr.IN.to_bytes(2)
    query = Query(b"id", 0x0110, ours.qname, ours.qname, ours.qtype, rr.IN, octets, edns)
    sections = (ours.answer, ours.authority, ours.additional)
    turns = reply.compose(
        query,
        limit=limit,
        rcode=ours.rcode,
        answer=ours.answer,
        authority=ours.authority,
        additional=ours.additional,
        error=(22, "a reason"),
        keepalive_ms=10_000,
    )
    cycles = len(ours.answer[-1].rdatas) if ours.answer else 1
    assert len(turns) in (1, cycles)
    for turn in (turns[0], turns[len(turns) // 2], turns[-1]):
        whole = query.id + turn
        assert len(whole) <= limit
        assert judge.question_of(whole) == octets
        if readable:
            judge.read(whole)
        again = response.read(whole)
        cut = bool(again.flags & response.TC)
        assert again.rcode == (ours.rcode if edns else ours.rcode & 15)
        parts = (again.answer, again.authority, again.additional)
        for place, (before, after) in enumerate(zip(sections, parts, strict=True)):
            missing = _records(before) - _records(after)
            assert not _records(after) - _records(before), "records of nobody"
            assert place == 2 or bool(missing) <= cut, "records left out in silence"
        assert not cut or _size(ours, edns) > limit, "cut, and all would have fitted"


def _records(section: tuple[rr.RRset, ...]) -> set[tuple[bytes, int, bytes]]:
    # Compressed names take the letter case of what they point to.
    return {(each.owner, each.type, rdata.lower()) for each in section for rdata in each.rdatas}


def _size(ours: Response, edns: Edns | None) -> int:
    """Return the octets of all of it without compression."""
    size = HEADER + len(ours.qname) + 4 + (11 if edns else 0)
    for section in (ours.answer, ours.authority):
        for each in section:
            size += sum(len(each.owner) + 10 + len(rdata) for rdata in each.rdatas)
    return size
