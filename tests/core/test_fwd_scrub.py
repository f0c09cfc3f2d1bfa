"""Replies read: the short way and the long one say the same, and what is broken is refused."""

import contextlib
import struct
from collections.abc import Sequence
from itertools import pairwise

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


ASKED = FOLDED + b"\0\1\0\1"
B = "b.example.com."


def alias(rdata: bytes, owner: bytes = b"\xc0\x0c") -> bytes:
    return record(rdata, owner=owner, rtype=5)


@pytest.mark.parametrize(
    ("records", "behind"),
    [
        ([f"{NAME} 60 IN CNAME {B}", f"{B} 60 IN A 192.0.2.1"], [B]),
        ([f"{NAME} 60 IN CNAME B.Example.Com.", f"{B} 60 IN A 192.0.2.1"], [B]),
        ([f"{NAME} 60 IN CNAME example.com.", "example.com. 60 IN A 192.0.2.1"], ["example.com."]),
        (
            [f"{NAME} 60 IN CNAME x.cdn.example.", "x.cdn.example. 50 IN CNAME y.cdn.example.",
             "y.cdn.example. 40 IN A 192.0.2.1", "y.cdn.example. 40 IN A 192.0.2.2"],
            ["x.cdn.example.", "y.cdn.example."],
        ),
    ],
    ids=["one alias", "in other letters", "to a name above", "two aliases, two addresses"],
)  # fmt: skip
def test_aliases_in_their_order_are_kept_as_they_are(records: list[str], behind: list[str]) -> None:
    message = wire(records)
    found = scrub.chain(message, ASKED, rr.A)
    assert found is not None
    (octets, ttls, cycle, ttl), names_behind = found
    assert names_behind == [names.from_text(name) for name in behind]
    assert response.read(b"id" + octets).answer == response.read(message).answer
    assert [int.from_bytes(octets[at : at + 4]) for at in ttls] == [
        int(each.split()[1]) for each in records
    ]
    assert ttl == min(int(each.split()[1]) for each in records)
    assert len(cycle) == (3 if len(records) == 4 else 0)


@pytest.mark.parametrize("zone", ["example.com.", B, "com."])
def test_aliases_that_lead_to_nothing_are_kept_with_the_soa_that_says_so(zone: str) -> None:
    """As of most names when they are asked for IPv6."""
    message = wire([f"{NAME} 60 IN CNAME {B}"], authority=soa(zone, ttl=40, minimum=30))
    found = scrub.chain(message, ASKED, rr.A)
    assert found is not None
    (octets, ttls, cycle, ttl), names_behind = found
    assert names_behind == [names.from_text(B)]
    kept, said = response.read(b"id" + octets), response.read(message)
    assert (kept.answer, kept.authority) == (said.answer, said.authority)
    assert [int.from_bytes(octets[at : at + 4]) for at in ttls] == [60, 40]
    assert (cycle, ttl) == ((), 30)


TARGET = b"\1b\xc0\x10"  # b.example.com, at HEAD + 12
TO_TARGET = struct.pack(">H", 0xC000 | HEAD + 12)
ADDRESS = record(owner=TO_TARGET)
SOA = b"\0\0" + struct.pack(">IIIII", 1, 2, 3, 4, 50)


@pytest.mark.parametrize(
    "message",
    [
        by_hand(record(), counts=(1, 0, 0)),
        by_hand(alias(TARGET), counts=(1, 0, 0)),
        by_hand(alias(TARGET), record(SOA, owner=b"\xc0\x0c", rtype=6), counts=(1, 1, 0)),
        by_hand(alias(TARGET), record(SOA[1:], owner=TO_TARGET, rtype=6), counts=(1, 1, 0)),
        by_hand(alias(TARGET), record(SOA, owner=TO_TARGET, rtype=2), counts=(1, 1, 0)),
        by_hand(alias(TARGET), record(), counts=(2, 0, 0)),
        by_hand(alias(TARGET), record(owner=b"\1b\xc0\x10"), counts=(2, 0, 0)),
        by_hand(alias(TARGET), record(owner=TO_TARGET, rtype=46), ADDRESS, counts=(3, 0, 0)),
        by_hand(alias(TARGET), ADDRESS, ADDRESS, counts=(3, 0, 0)),
        by_hand(alias(TARGET), record(owner=TO_TARGET, rclass=3), counts=(2, 0, 0)),
        by_hand(alias(TARGET), ADDRESS, alias(b"\xc0\x0c", TO_TARGET), counts=(3, 0, 0)),
        by_hand(alias(TARGET), ADDRESS, record(owner=b"\xc0\x10", rtype=2), counts=(2, 1, 0)),
        by_hand(alias(b"\xc0\x0c"), record(), counts=(2, 0, 0)),
        by_hand(alias(TARGET), alias(b"\xc0\x0c", TO_TARGET), record(), counts=(3, 0, 0)),
        by_hand(alias(b"\0"), record(owner=b"\xc0\x28"), counts=(2, 0, 0)),
        by_hand(alias(b"\xc0\x1c"), record(owner=b"\xc0\x1c"), counts=(2, 0, 0)),
        by_hand(alias(b"\1b\xc0\x0d"), ADDRESS, counts=(2, 0, 0)),
        by_hand(alias(TARGET + b"x"), ADDRESS, counts=(2, 0, 0)),
        by_hand(alias(b"\x41" + TARGET), ADDRESS, counts=(2, 0, 0)),
        by_hand(alias((b"\x3f" + b"x" * 63) * 4 + b"\xc0\x0c"), ADDRESS, counts=(2, 0, 0)),
        by_hand(alias(TARGET), record(owner=TO_TARGET, ttl=0x0161C010), counts=(2, 0, 0))
        + record(owner=struct.pack(">H", 0xC000 | HEAD + 12 + 4 + 6)),
    ],
    ids=[
        "no alias", "nothing behind it", "an SOA beside it", "an SOA of 21", "no SOA",
        "an address of the alias", "owner spelled out",
        "a signature", "the same twice", "class", "an alias behind addresses", "a referral too",
        "to itself", "a circle", "to the root", "to the root's label", "into a label",
        "octets behind the name", "a label of another kind", "a name that is too long",
        "a record more than it says",
    ],
)  # fmt: skip
def test_other_aliases_go_the_long_way(message: bytes) -> None:
    assert scrub.chain(message, ASKED, rr.A) is None


def test_no_name_of_a_chain_may_stand_where_something_changes() -> None:
    """TTLs age and addresses rotate: a name that was read there would become another one."""
    ttl_at = HEAD + 6
    for at in (ttl_at, HEAD, HEAD + 2, HEAD + 10):
        first = record(TARGET, rtype=5, ttl=0x01610000)  # reads as the name a.
        second = alias(struct.pack(">H", 0xC000 | at), TO_TARGET)
        third = record(owner=struct.pack(">H", 0xC000 | at))
        assert scrub.chain(by_hand(first, second, third, counts=(3, 0, 0)), ASKED, rr.A) is None


def test_a_chain_has_ten_links_at_most() -> None:
    hosts = [NAME, *(f"n{i}.example.com." for i in range(11))]
    for links, short in ((10, True), (11, False)):
        records = [f"{a} 60 IN CNAME {b}" for a, b in pairwise(hosts[: links + 1])]
        message = wire([*records, f"{hosts[links]} 60 IN A 192.0.2.1"])
        assert (scrub.chain(message, ASKED, rr.A) is not None) is short


def test_an_address_of_a_wrong_length_behind_an_alias_is_broken() -> None:
    message = by_hand(alias(TARGET), record(b"123", owner=TO_TARGET), counts=(2, 0, 0))
    with pytest.raises(WireError):
        scrub.chain(message, ASKED, rr.A)


def test_every_prefix_of_a_chain_is_refused() -> None:
    message = wire([f"{NAME} 60 IN CNAME {B}", f"{B} 60 IN A 192.0.2.1"])
    for end in range(HEAD, len(message)):
        with contextlib.suppress(IndexError, struct.error):
            assert scrub.chain(message[:end], ASKED, rr.A) is None


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
