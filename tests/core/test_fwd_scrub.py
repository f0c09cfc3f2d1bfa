"""Replies read: the short way and the long one say the same, and what is broken is refused."""

import struct
from collections.abc import Sequence

import dns.message
import pytest

from dnsmasq_py import scrub
from kubedns.wire import name as names
from kubedns.wire import response, rr
from kubedns.wire.question import WireError
from tests.builders import query
from tests.fwdreplay import reply_to, soa

NAME = "www.example.com."
FOLDED = names.from_text(NAME)
HEAD = 12 + len(FOLDED) + 4
A = f"{NAME} 60 IN A 192.0.2.7"


def wire(
    answer: str | Sequence[str] = (), rtype: str = "A", edns: bool = True, **more: object
) -> bytes:
    asked = query(f"{NAME} {rtype}", edns=edns, flags="RD")
    return reply_to(asked, answer, **more).to_wire()  # type: ignore[arg-type]


def by_hand(*records: bytes, counts: tuple[int, int, int], rcode: int = 0, qtype: int = 1) -> bytes:
    head = struct.pack(">HHHHHH", 1, 0x8180 | rcode, 1, *counts)
    return head + FOLDED + struct.pack(">HH", qtype, 1) + b"".join(records)


def record(
    rdata: bytes = b"\1\2\3\4", *, owner: bytes = b"\xc0\x0c", rtype: int = 1, rclass: int = 1,
    ttl: int = 60, length: int | None = None,
) -> bytes:  # fmt: skip
    size = len(rdata) if length is None else length
    return owner + struct.pack(">HHIH", rtype, rclass, ttl, size) + rdata


OPT = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)


@pytest.mark.parametrize(
    ("message", "short"),
    [
        (wire(A), True),
        (wire(A, edns=False), True),
        (wire([f"{NAME} 60 IN A 192.0.2.{i}" for i in range(20)]), True),
        (wire(f"{NAME} 60 IN TXT x", "TXT"), True),
        (wire(f"{NAME} 60 IN HTTPS 1 .", "HTTPS"), True),
        (wire(authority=soa("example.com.")), True),
        (wire(authority=soa("com."), rcode="NXDOMAIN"), True),
        (wire(authority=soa("."), rcode="NXDOMAIN"), False),
        (wire(authority=soa(NAME)), True),
        (wire(authority=soa("other.org.")), False),
        (wire(f"{NAME} 60 IN MX 1 m.example.com.", "MX"), False),
        (wire([f"{NAME} 60 IN CNAME t.example.com.", "t.example.com. 60 IN A 192.0.2.1"]), False),
        (wire(A, authority="example.com. 60 IN NS ns.example.com."), False),
        (wire(rcode="SERVFAIL"), False),
        (wire(), False),
    ],
    ids=[
        "an address", "no EDNS", "20 addresses", "TXT", "HTTPS", "no data", "no such name",
        "the root's SOA", "its own SOA", "another zone's SOA", "MX", "an alias", "a referral too",
        "SERVFAIL", "nothing",
    ],
)  # fmt: skip
def test_both_ways_say_the_same(message: bytes, short: bool) -> None:
    qtype = int.from_bytes(message[HEAD - 4 : HEAD - 2])
    accepted = scrub.read(message, FOLDED, qtype)
    assert (accepted.octets is not None) is short
    long = scrub.read(message, FOLDED, qtype, plain=False)
    assert long.response is not None
    assert (long.rcode, long.ad, long.error) == (accepted.rcode, accepted.ad, accepted.error)
    if accepted.octets is not None:
        kept = response.read(b"id" + accepted.octets)
        assert kept.answer == long.response.answer
        assert kept.authority == long.response.authority
        for offset in accepted.ttls:
            assert accepted.octets[offset : offset + 4] == b"\0\0\0\x3c"


@pytest.mark.parametrize(
    "message",
    [
        by_hand(record(), record(), counts=(2, 0, 0)),  # the same twice
        by_hand(record(rclass=3), counts=(1, 0, 0)),
        by_hand(record(owner=b"\3www\7example\3com\0"), counts=(1, 0, 0)),
        by_hand(record(), OPT[:-2] + b"\0\0", OPT, counts=(1, 0, 2)),
        by_hand(record(), b"\0" + struct.pack(">HHIH", 41, 1232, 1 << 24, 0), counts=(1, 0, 1)),
    ],
    ids=["twice", "class", "owner spelled out", "two OPT", "extended code"],
)
def test_what_is_unusual_goes_the_long_way(message: bytes) -> None:
    try:
        assert scrub.read(message, FOLDED, rr.A).octets is None
    except WireError:
        assert message.count(OPT) == 2


BROKEN = {
    "an address of 3": by_hand(record(b"\1\2\3"), counts=(1, 0, 0)),
    "an address of 5": by_hand(record(b"\1\2\3\4\5"), counts=(1, 0, 0)),
    "too few records": by_hand(record(), counts=(2, 0, 0)),
    "octets behind": by_hand(record(), b"x", counts=(1, 0, 0)),
    "a length beyond": by_hand(record(length=400), counts=(1, 0, 0)),
    "a pointer forwards": by_hand(record(owner=b"\xc0\xff"), counts=(1, 0, 0)),
    "an SOA of 3": by_hand(record(b"abc", rtype=6), counts=(0, 1, 0)),
    "an SOA cut short": by_hand(record(b"\0\0" + bytes(19), rtype=6), counts=(0, 1, 0)),
    "more records than there may be": by_hand(counts=(5001, 0, 0)),
}


@pytest.mark.parametrize("why", BROKEN)
def test_what_is_broken_is_refused(why: str) -> None:
    with pytest.raises(WireError):
        scrub.read(BROKEN[why], FOLDED, rr.A)


def test_every_prefix_of_a_reply_is_refused() -> None:
    for good in (wire(A), wire(authority=soa("example.com."))):
        for end in range(HEAD, len(good)):
            with pytest.raises(WireError):
                scrub.read(good[:end], FOLDED, rr.A)


HEADER_POINTER = b"\xc0\x04"


@pytest.mark.parametrize(
    "mname",
    [HEADER_POINTER, b"\2ns" + HEADER_POINTER, b"\xc0\x00", b"\xc0\x23", b"\xc0\x27"],
    ids=["counts", "label and counts", "ID", "SOA's TTL", "SOA's owner"],
)
def test_names_that_point_at_what_changes_are_written_out(mname: bytes) -> None:
    """Into the header or a TTL: the same octets would mean another name in each reply."""
    rdata = mname + b"\0" + bytes(16) + b"\0\0\0\x3c"
    message = by_hand(record(rdata, owner=b"\xc0\x10", rtype=6), counts=(0, 1, 0))
    try:
        assert scrub.read(message, FOLDED, rr.A).octets is None
    except WireError:
        with pytest.raises(WireError):
            response.read(message)


def test_names_of_an_soa_may_lead_to_each_other_and_the_question() -> None:
    start = HEAD + 12
    rdata = b"\2ns\xc0\x10" + b"\4host" + struct.pack(">H", 0xC000 | start)
    rdata += bytes(16) + b"\0\0\0\x3c"
    message = by_hand(record(rdata, owner=b"\xc0\x10", rtype=6), counts=(0, 1, 0))
    accepted = scrub.read(message, FOLDED, rr.A)
    assert accepted.octets is not None
    text = dns.message.from_wire(b"id" + accepted.octets).authority[0].to_text()
    assert "ns.example.com. host.ns.example.com." in text


def test_a_name_that_is_too_long_with_the_question_behind_it() -> None:
    rdata = (b"\x3f" + b"a" * 63) * 3 + b"\x3f" + b"b" * 63 + b"\xc0\x0c" + b"\0" + bytes(20)
    message = by_hand(record(rdata, owner=b"\xc0\x10", rtype=6), counts=(0, 1, 0))
    with pytest.raises(WireError):
        scrub.read(message, FOLDED, rr.A)


def test_an_extended_code_counts() -> None:
    message = wire()
    at = len(message) - 6
    bad = message[:at] + b"\1" + message[at + 1 :]
    assert scrub.read(bad, FOLDED, rr.A).rcode == 16


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (b"\0\x0f\0\2\0\x12", (18, "")),
        (b"\0\x0f\0\4\0\x12no", (18, "no")),
        (b"\0\x0f\0\1\0", None),
        (b"\0\x0f\0\x09\0\x12no", None),
        (b"\0\x0a\0\2xx\0\x0f\0\2\0\3", (3, "")),
        (b"\0\x0f\0\x05\0\x12\xffno", (18, "no")),
        (b"\0\x0f\1\0\0\x12" + b"x" * 254, (18, "x" * 128)),
        (b"\0", None),
    ],
)
def test_the_servers_reason(options: bytes, error: tuple[int, str] | None) -> None:
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(options)) + options
    assert scrub.read(by_hand(opt, counts=(0, 0, 1), rcode=3), FOLDED, rr.A).error == error
