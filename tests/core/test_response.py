"""Replies of other servers taken apart; dnspython, which shares no code with us, made them."""

import random
import struct

import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from kubedns.wire import name as names
from kubedns.wire import response, rr
from kubedns.wire.question import WireError
from kubedns.wire.response import MAX_RECORDS, Response

REPLIES = {
    "a chain of aliases, an address and glue": """
        id 1234
        flags QR RD RA
        ;QUESTION
        WWW.Example.COM. IN A
        ;ANSWER
        www.example.com. 300 IN CNAME Web.CDN.example.com.
        web.cdn.example.com. 60 IN CNAME edge.cdn.example.com.
        edge.cdn.example.com. 20 IN A 192.0.2.1
        edge.cdn.example.com. 20 IN A 192.0.2.2
        ;AUTHORITY
        cdn.example.com. 3600 IN NS ns1.cdn.example.com.
        cdn.example.com. 3600 IN NS ns2.cdn.example.com.
        ;ADDITIONAL
        ns1.cdn.example.com. 3600 IN A 192.0.2.53
        ns1.cdn.example.com. 3600 IN AAAA 2001:db8::53
    """,
    "no such name": """
        id 1
        opcode QUERY
        rcode NXDOMAIN
        flags QR AA RD RA
        edns 0
        payload 1232
        ;QUESTION
        nope.example.com. IN AAAA
        ;AUTHORITY
        example.com. 900 IN SOA ns.example.com. host\\.master.example.com. 1 7200 1800 86400 300
    """,
    "types whose names are compressed, and types whose names never are": """
        id 2
        flags QR RD RA AD CD
        edns 0
        eflags DO
        payload 4096
        ;QUESTION
        example.com. IN ANY
        ;ANSWER
        example.com. 60 IN MX 10 mail.example.com.
        example.com. 60 IN MX 20 example.com.
        example.com. 60 IN TXT "v=spf1 -all" "second"
        example.com. 60 IN HINFO "CPU" "OS"
        example.com. 60 IN RP admin.example.com. text.example.com.
        example.com. 60 IN AFSDB 1 afs.example.com.
        example.com. 60 IN RT 1 relay.example.com.
        example.com. 60 IN PX 10 map.example.com. prmd.example.com.
        example.com. 60 IN NAPTR 10 20 "u" "E2U+sip" "!^.*$!sip:a@example.com!" example.com.
        example.com. 60 IN DNAME example.net.
        example.com. 60 IN HTTPS 1 . alpn="h2"
        example.com. 60 IN CAA 0 issue "ca.example.net"
        example.com. 60 IN TYPE65280 \\# 4 C000C00C
        _sip._udp.example.com. 60 IN SRV 1 2 5060 sip.example.com.
        example.com. 60 IN RRSIG MX 13 2 60 20300101000000 20250101000000 7 example.com. AAAA
        example.com. 60 IN RRSIG TXT 13 2 60 20300101000000 20250101000000 7 example.com. AAAA
        4.3.2.1.in-addr.arpa. 60 IN PTR host.example.com.
    """,
}

HEAD = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0)
QUESTION = b"\x01a\x04test\x00" + struct.pack(">HH", rr.A, rr.IN)  # `a.test.` at 12, `test.` at 14
OWNER = b"\xc0\x0c"


def wire(text: str) -> bytes:
    return dns.message.from_text("\n".join(map(str.strip, text.strip().splitlines()))).to_wire()


def record(
    rdata: bytes, rtype: int = rr.A, ttl: int = 60, rclass: int = rr.IN, owner: bytes = OWNER
) -> bytes:
    return owner + struct.pack(">HHIH", rtype, rclass, ttl, len(rdata)) + rdata


def reply(*records: bytes) -> bytes:
    """Make a reply with records in its answer section."""
    return HEAD[:6] + struct.pack(">HHH", len(records), 0, 0) + QUESTION + b"".join(records)


def answer(*records: bytes) -> tuple[rr.RRset, ...]:
    return response.read(reply(*records)).answer


def shown(read: Response) -> list[list[tuple[bytes, int, int, bytes]]]:
    return [
        [(rrset.owner, rrset.type, rrset.ttl, rdata) for rrset in section for rdata in rrset.rdatas]
        for section in (read.answer, read.authority, read.additional)
    ]


def shown_by_dnspython(message: bytes) -> list[list[tuple[bytes, int, int, bytes]]]:
    read = dns.message.from_wire(message)
    return [
        [
            (rrset.name.to_wire().lower(), int(rrset.rdtype), rrset.ttl, rdata.to_wire())
            for rrset in section
            for rdata in rrset
        ]
        for section in (read.answer, read.authority, read.additional)
    ]


@pytest.mark.parametrize("story", REPLIES)
def test_a_reply_reads_as_dnspython_reads_it(story: str) -> None:
    message = wire(REPLIES[story])
    read = response.read(message)
    assert shown(read) == shown_by_dnspython(message)
    other = dns.message.from_wire(message)
    assert (int.from_bytes(read.id), read.flags) == (other.id, other.flags)
    assert read.rcode == other.rcode()
    assert read.qname == other.question[0].name.to_wire().lower()
    assert (read.qtype, read.qclass) == (other.question[0].rdtype, rr.IN)


@pytest.mark.parametrize("story", REPLIES)
def test_a_reply_that_ends_early_is_refused_wherever_it_ends(story: str) -> None:
    message = wire(REPLIES[story])
    for end in range(len(message)):
        with pytest.raises(WireError):
            response.read(message[:end])


def test_damaged_replies_are_read_or_refused_and_nothing_else_happens() -> None:
    rng = random.Random(20260)
    messages = [wire(text) for text in REPLIES.values()]
    refused = 0
    for _ in range(6000):
        message = bytearray(rng.choice(messages))
        for _ in range(rng.randint(1, 6)):
            message[rng.randrange(len(message))] = rng.choice((0, 1, 12, 63, 64, 0xC0, 0xFF))
        try:
            read = response.read(bytes(message))
        except WireError:
            refused += 1
            continue
        for rrset in (*read.answer, *read.authority, *read.additional):
            assert rrset.owner[-1] == 0 and len(rrset.owner) <= names.MAX_NAME
            assert rrset.rdatas and 0 <= rrset.ttl < 2**31
    assert 2000 < refused < 6000


def test_letter_case_is_folded_in_owners_and_kept_in_data() -> None:
    read = response.read(wire(REPLIES["a chain of aliases, an address and glue"]))
    assert read.qname == names.from_text("www.example.com.")
    assert [rrset.owner for rrset in read.answer][1] == names.from_text("web.cdn.example.com.")
    assert read.answer[0].rdatas[0] == names.from_text("Web.CDN.Example.COM.")


# Names that a sender compressed though it should not have: SRV (RFC 2782), DNAME (RFC 6672), NAPTR.
@pytest.mark.parametrize(
    ("rtype", "sent", "meant"),
    [
        (rr.SRV, b"\0\1\0\2\0\3\x01b\xc0\x0e", b"\0\1\0\2\0\3\x01b\x04test\x00"),
        (39, b"\xc0\x0e", b"\x04test\x00"),
        (35, b"\0\1\0\2\x01u\x00\x02xx\xc0\x0c", b"\0\1\0\2\x01u\x00\x02xx\x01a\x04test\x00"),
        (24, bytes(18) + b"\xc0\x0eSIG", bytes(18) + b"\x04test\x00SIG"),
        (rr.SOA, b"\xc0\x0c\xc0\x0e" + bytes(20), b"\x01a\x04test\x00\x04test\x00" + bytes(20)),
        (65280, b"\xc0\x0c", b"\xc0\x0c"),
    ],
)
def test_names_in_data_are_written_out_where_they_may_be_compressed(
    rtype: int, sent: bytes, meant: bytes
) -> None:
    assert answer(record(sent, rtype))[0].rdatas == (meant,)


def test_records_of_a_set_that_stand_apart_come_together_in_the_order_of_first_appearance() -> None:
    alias = record(b"\x01b\xc0\x0e", rr.CNAME)
    found = answer(record(b"\1\1\1\1"), alias, record(b"\2\2\2\2"), record(b"\1\1\1\1"))
    assert [rrset.type for rrset in found] == [rr.A, rr.CNAME]
    assert found[0].rdatas == (b"\1\1\1\1", b"\2\2\2\2")


def test_signatures_over_different_types_are_sets_of_their_own() -> None:
    over_a, over_txt = (record(covered + bytes(30), 46) for covered in (b"\0\1", b"\0\x10"))
    assert [rrset.type for rrset in answer(over_a, over_txt, over_a)] == [46, 46]


def test_differing_ttls_of_a_set_become_the_smallest() -> None:
    (rrset,) = answer(record(b"\1\1\1\1", ttl=300), record(b"\2\2\2\2", ttl=20))
    assert rrset.ttl == 20


@pytest.mark.parametrize("ttl", [0x80000000, 0xFFFFFFFF])
def test_a_ttl_with_the_top_bit_is_0(ttl: int) -> None:
    assert answer(record(b"\1\1\1\1", ttl=ttl))[0].ttl == 0


def test_records_of_another_class_are_left_out() -> None:
    chaos = record(b"\x03odd", rr.TXT, rclass=rr.CH)
    assert [rrset.type for rrset in answer(chaos, record(b"\1\1\1\1"))] == [rr.A]


def test_the_upper_bits_of_the_code_are_those_of_the_opt_record() -> None:
    opt = struct.pack(">BHHBBHH", 0, rr.OPT, 1232, 1, 0, 0x8000, 0)
    message = HEAD[:6] + struct.pack(">HHH", 0, 0, 1) + QUESTION + opt
    read = response.read(message)
    assert (read.rcode, read.additional) == (rr.BADVERS, ())


OPT = record(b"", rr.OPT, ttl=0, rclass=1232, owner=b"\0")
BROKEN = {
    "a query": HEAD[:2] + b"\1\0" + HEAD[4:6] + bytes(6) + QUESTION,
    "no question": HEAD[:4] + bytes(8),
    "two questions": HEAD[:4] + b"\0\2" + bytes(6) + QUESTION * 2,
    "a record more than counted": reply(record(b"\1\1\1\1")) + record(b"\1\1\1\1"),
    "an octet more": reply(record(b"\1\1\1\1")) + b"\0",
    "an owner that points forward": reply(record(b"\1\1\1\1", owner=b"\xc0\x20")),
    "an owner that points to itself": reply(record(b"\1\1\1\1", owner=b"\xc0\x18")),
    "a reserved label type": reply(record(b"\1\1\1\1", owner=b"\x40a\0")),
    "data beyond the end": reply(record(b"\1\1\1\1")[:-4] + b"\1"),
    "an address of 3 octets": reply(record(b"\1\1\1")),
    "an IPv6 address of 4 octets": reply(record(b"\1\1\1\1", rr.AAAA)),
    "a name longer than its data": reply(record(b"\xc0", rr.CNAME) + b"\x0c"),
    "a name longer than its data, where data may follow": reply(
        record(b"\xc0", 30), record(b"\1\1\1\1", owner=b"\x0cabcdefghijkl\0")
    ),
    "data longer than its name": reply(record(b"\xc0\x0c\0", rr.CNAME)),
    "an alias to nothing": reply(record(b"", rr.CNAME)),
    "an SOA without its numbers": reply(record(b"\xc0\x0c\xc0\x0c", rr.SOA)),
    "an OPT record among the answers": reply(OPT),
    "two OPT records": HEAD[:6] + struct.pack(">HHH", 0, 0, 2) + QUESTION + OPT * 2,
    "an OPT record that is not the root's": HEAD[:6]
    + struct.pack(">HHH", 0, 0, 1)
    + QUESTION
    + record(b"", rr.OPT, rclass=1232),
    "too many records": reply(*[record(b"\1\1\1\1")] * (MAX_RECORDS + 1)),
    "too many octets": reply(*[record(bytes(65000), rr.TXT)] * 2),
}


@pytest.mark.parametrize("story", BROKEN)
def test_a_broken_reply_is_refused(story: str) -> None:
    with pytest.raises(WireError) as caught:
        response.read(BROKEN[story])
    assert caught.value.rcode is None


def test_a_name_of_255_octets_is_read_and_one_more_is_not() -> None:
    label = b"\x3f" + b"x" * 63
    assert answer(record(label * 3 + b"\x38" + b"x" * 56 + b"\xc0\x0e", rr.CNAME))
    with pytest.raises(WireError):
        answer(record(label * 3 + b"\x39" + b"x" * 57 + b"\xc0\x0e", rr.CNAME))


def test_every_octet_is_legal_in_a_label() -> None:
    odd = b"\x05\x00.\\\xff \x04test\x00"
    assert answer(record(odd, rr.PTR))[0].rdatas == (odd,)


def test_as_many_records_as_are_allowed_are_read() -> None:
    records = [record(struct.pack(">H", i), 65280) for i in range(65535 // 14 - 10)]
    (rrset,) = answer(*records)
    assert len(rrset.rdatas) == len(records)
