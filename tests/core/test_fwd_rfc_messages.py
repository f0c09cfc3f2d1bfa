"""
The RFC checklist of the design, lines about single messages, as far as they need no socket.

Each test has its line's number in its name. Other lines: 2181-1, 5452-1, 5452-2, 5452-4, 5625-2,
7766, 9715 (DF), 7858 and the like need sockets.
"""

import struct
import time
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import pytest

from tests.fwdreplay import Replay, asked_of, decoded, reply_to, soa

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"
QNAME = b"\3www\7example\3com\0"
QUESTION = QNAME + b"\0\1\0\1"
FORMERR, NOTIMP, BADVERS = 1, 4, 16


@pytest.fixture
def replay() -> Replay:
    return Replay()


def message(
    body: bytes = QUESTION, *, flags: int = 0x0100, counts: tuple[int, ...] = (1, 0, 0, 0)
) -> bytes:
    return b"\xab\xcd" + struct.pack(">HHHHH", flags, *counts) + body


def opt(
    options: bytes = b"",
    *,
    owner: bytes = b"\0",
    size: int = 1232,
    version: int = 0,
    flags: int = 0,
) -> bytes:
    return owner + struct.pack(">HHBBHH", 41, size, 0, version, flags, len(options)) + options


def with_opt(*opts: bytes) -> bytes:
    return message(QUESTION + b"".join(opts), counts=(1, 0, 0, len(opts)))


def option(code: int, octets: bytes) -> bytes:
    return struct.pack(">HH", code, len(octets)) + octets


def reply(replay: Replay, octets: bytes) -> dns.message.Message:
    """Return what an odd query gets at once."""
    asked = replay.client_asks(octets)
    (got,) = asked.replies
    assert got[:2] == octets[:2]
    return decoded(got)


# RFC 1035


@pytest.mark.parametrize(
    "qname",
    [
        b"\x40" + b"a" * 64 + b"\0",
        b"\x80aaa\0",
        (b"\x3f" + b"a" * 63) * 4 + b"\0",
        b"\1a" * 128 + b"\0",
        b"\3www",
        b"",
    ],
    ids=["label of 64", "reserved", "256", "257", "no end", "nothing"],
)
def test_1035_1_impossible_names_are_formerr_and_never_forwarded(
    replay: Replay, qname: bytes
) -> None:
    assert (
        reply(replay, message(qname + b"\0\1\0\1" * bool(qname[-1:] == b"\0"))).rcode() == FORMERR
    )
    assert not replay.sent


@pytest.mark.parametrize(
    "qname", [(b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0", b"\1a" * 127 + b"\0"]
)
def test_1035_1_the_longest_names_are_forwarded(replay: Replay, qname: bytes) -> None:
    assert len(qname) == 255
    asked = replay.client_asks(message(qname + b"\0\1\0\1"))
    assert not asked.replies
    text = asked_of(replay.waiting[0]).question[0].name.to_text()
    replay.upstream_answers(f"{text} 60 IN A 192.0.2.7")
    assert asked.rcode == "NOERROR"


@pytest.mark.parametrize(
    "pointer", [b"\xc0\x0c", b"\xc0\x0d", b"\3www\xc0\x0c", b"\xc0\x00", b"\xff\xff"]
)
def test_1035_2_pointers_in_a_question_are_formerr(replay: Replay, pointer: bytes) -> None:
    assert reply(replay, message(pointer + b"\0\1\0\1")).rcode() == FORMERR
    assert not replay.sent


def test_1035_2_a_chain_of_pointers_in_a_reply_costs_nothing(replay: Replay) -> None:
    """Pointers that lead back one by one, thousands of them: refused without walking them all."""
    asked = replay.client_asks(f"{NAME} A")
    octets = replay.waiting[0].octets
    head = b"\0\0" + struct.pack(">HHHHH", 0x8180, 1, 2, 0, 0) + octets
    start = len(head) + 11
    chain = b"\xc0\x0c" + b"".join(struct.pack(">H", 0xC000 | start + 2 * i) for i in range(4000))
    record = b"\0" + struct.pack(">HHIH", 65280, 1, 60, len(chain)) + chain
    bad = struct.pack(">H", 0xC000 | start + len(chain) - 2) + struct.pack(">HHIH", 1, 1, 60, 4)
    began = time.process_time()
    replay.deliver(replay.waiting[0], head + record + bad + b"\1\2\3\4")
    assert time.process_time() - began < 0.5, "some hundred times what it takes"
    assert not asked.replies


def test_1035_4_without_edns_512_octets_at_most(replay: Replay) -> None:
    big = [f"{NAME} 60 IN TXT {'x' * 200}{i}" for i in range(5)]
    asked = replay.resolve(f"{NAME} TXT", *big, edns=False)
    assert len(asked.octets) <= 512
    assert asked.reply.flags & dns.flags.TC
    again = replay.client_asks(f"{NAME} TXT", edns=False)
    assert len(again.octets) <= 512
    assert again.reply.flags & dns.flags.TC
    assert len(replay.client_asks(f"{NAME} TXT").answer) == 5


@pytest.mark.parametrize("flags", [0x0000, 0x0100, 0x0040, 0x0120, 0x0110, 0x05F0, 0x0160])
def test_1035_5_id_question_and_rd_come_back_ra_is_set_z_is_not(replay: Replay, flags: int) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.resolve(f"{NAME} A", A, flags="RD CD")
    for _ in range(4):
        asked = replay.client_asks(message(flags=flags))
        got = asked.reply
        assert bool(got.flags & dns.flags.RD) == bool(flags & 0x0100)
        assert got.flags & dns.flags.RA
        assert not asked.octets[3] & 0x40
    fast = replay.receiver_answers(message(flags=flags & ~0x0040 & 0x0130))
    assert fast is None or bool(fast.reply.flags & dns.flags.RD) == bool(flags & 0x0100)


# RFC 2181


def test_2181_5_any_octet_is_legal_in_a_label(replay: Replay) -> None:
    for label in (b"\0", b"a.b", b"\xff\xfe", b" ", b"a\\b", bytes(range(32, 64))):
        qname = bytes((len(label),)) + label + b"\7example\3com\0"
        asked = replay.client_asks(message(qname + b"\0\1\0\1"))
        assert asked_of(replay.waiting[0]).question[0].name.labels[0] == label
        name = dns.name.Name((label, b"example", b"com", b"")).to_text()
        replay.upstream_answers(f"{name} 60 IN A 192.0.2.7")
        for one in (asked, replay.client_asks(message(qname + b"\0\1\0\1"))):
            assert one.reply.answer[0].name.labels[0] == label


# RFC 3225, 3597, 4343


SIGNED = [
    A,
    f"{NAME} 60 IN RRSIG A 13 3 60 20300101000000 20200101000000 1 example.com. AAAA",
]
NSEC = f"{NAME} 60 IN NSEC z.example.com. A RRSIG"


def test_3225_1_do_is_copied_and_signatures_come_only_with_it(replay: Replay) -> None:
    asked = replay.client_asks(f"{NAME} A", flags="RD DO")
    replay.upstream_answers(SIGNED)
    for one in (asked, replay.client_asks(f"{NAME} A", flags="RD DO")):
        assert one.reply.ednsflags & dns.flags.DO
        assert one.answer == sorted(SIGNED)
    plain = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(SIGNED)  # a server that sends them unasked
    for one in (plain, replay.client_asks(f"{NAME} A")):
        assert not one.reply.ednsflags & dns.flags.DO
        assert one.answer == [A]


def test_3225_1_proofs_of_absence_too(replay: Replay) -> None:
    for flags, count in (("RD DO", 2), ("RD", 1)):
        asked = replay.client_asks(f"{NAME} A", flags=flags)
        replay.upstream_answers(authority=[soa("example.com."), NSEC])
        assert len(asked.reply.authority) == count


def test_3225_1_signatures_asked_for_by_type(replay: Replay) -> None:
    asked = replay.client_asks(f"{NAME} RRSIG")
    replay.upstream_answers(SIGNED[1])
    assert asked.answer == [SIGNED[1]]


@pytest.mark.parametrize("rtype", ["TYPE65280", "HTTPS", "CAA", "TLSA", "LOC", "TYPE1234"])
def test_3597_1_unknown_types_come_through_octet_by_octet(replay: Replay, rtype: str) -> None:
    asked = replay.client_asks(f"{NAME} {rtype}")
    rdata = bytes(range(1, 200))
    sent = replay.waiting[0]
    code = sent.octets[-4:-2]
    head = b"\0\0" + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + sent.octets
    record = b"\xc0\x0c" + code + struct.pack(">HIH", 1, 60, len(rdata)) + rdata
    replay.deliver(sent, head + record)
    for one in [asked, *(replay.client_asks(f"{NAME} {rtype}") for _ in range(3))]:
        (octets,) = one.replies
        assert record in octets
    raw = asked.message[2:]
    assert any(record in turn for turn in replay.cache.ready[raw].turns)


def test_3597_1_names_in_old_types_are_written_out(replay: Replay) -> None:
    """Compressed by the server against names that our reply does not have."""
    srv = "_x._tcp.example.com. 60 IN SRV 0 1 80 target.example.com."
    mx = f"{NAME} 60 IN MX 10 mail.example.com."
    for question, record in (("_x._tcp.example.com. SRV", srv), (f"{NAME} MX", mx)):
        asked = replay.resolve(question, record)
        assert asked.answer == [record]


@pytest.mark.parametrize("first", ["wWw.ExAmple.COM.", "www.example.com."])
def test_4343_1_each_client_gets_his_own_spelling_of_the_question(
    replay: Replay, first: str
) -> None:
    """Also those who joined a question in flight: dnsmasq 2.90 gives them the first one's."""
    spellings = [first, "WWW.EXAMPLE.COM.", "www.example.com.", "wwW.examplE.coM."]
    asked = [replay.client_asks(f"{name} A") for name in spellings]
    assert len(replay.waiting) == 1
    replay.upstream_answers(A)
    asked += [replay.client_asks(f"{name} A") for name in spellings]
    for one, name in zip(asked, spellings * 2, strict=True):
        assert one.answer == [A.replace(NAME, name)], "reply checks the question's octets"


def test_4592_1_an_asterisk_is_an_ordinary_label(replay: Replay) -> None:
    replay.resolve("*.example.com. A", "*.example.com. 60 IN A 192.0.2.7")
    assert replay.is_kept("*.example.com. A")
    assert not replay.client_asks("a.example.com. A").replies


# RFC 6891


def test_6891_1_two_opt_or_one_with_an_owner_are_formerr(replay: Replay) -> None:
    for octets in (
        with_opt(opt(), opt()),
        with_opt(opt(owner=b"\1a\0")),
        with_opt(opt(owner=b"\xc0\x0c")),
        message(QUESTION + opt(), counts=(1, 1, 0, 0)),
        message(QUESTION + opt(), counts=(1, 0, 1, 0)),
        with_opt(opt()[:-3]),
        with_opt(opt(b"\0\3\0")),
        with_opt(opt(b"\0\3\0\x05a")),
    ):
        assert reply(replay, octets).rcode() == FORMERR
    assert not replay.sent


def test_6891_2_a_later_version_is_badvers_with_version_0(replay: Replay) -> None:
    for version in (1, 2, 255):
        for options in (b"", option(3, b""), b"\xff"):
            for flags in (0, 0x8000):
                got = reply(replay, with_opt(opt(options, version=version, flags=flags)))
                assert (got.rcode(), got.edns) == (BADVERS, 0)
    assert not replay.sent


def test_6891_3_small_sizes_count_as_512_and_the_unknown_is_ignored(replay: Replay) -> None:
    big = [f"{NAME} 60 IN TXT {'x' * 100}{i}" for i in range(6)]
    replay.resolve(f"{NAME} TXT", *big)
    question = QNAME + b"\0\x10\0\1"
    for size in (0, 1, 511, 512):
        octets = message(question + opt(size=size), counts=(1, 0, 0, 1))
        asked = replay.client_asks(octets)
        assert 400 < len(asked.octets) <= 512
    odd = opt(
        option(65001, b"hello") + option(3, b"") + option(8, b"\0\1\x18\0\1\2\3"), flags=0x7FFF
    )
    asked = replay.client_asks(message(question + odd, counts=(1, 0, 0, 1)))
    assert asked.reply.ednsflags == 0
    assert asked.reply.options == ()


def test_6891_4_opt_iff_the_query_has_one_and_never_the_servers(replay: Replay) -> None:
    for edns in (True, False):
        for rcode in ("NOERROR", "NXDOMAIN", "SERVFAIL"):
            name = f"x{edns}{rcode}.example.com."
            asked = replay.client_asks(f"{name} A", edns=edns)
            while not asked.replies:
                made = reply_to(asked_of(replay.waiting[0]), rcode=rcode)
                made.use_edns(
                    0,
                    payload=4000,
                    options=[dns.edns.GenericOption(dns.edns.OptionType.make(65001), b"mine")],
                )
                replay.deliver(replay.waiting[0], made.to_wire())
            got = asked.reply
            assert (got.edns == 0) is edns
            if edns:
                assert got.payload == 1232
                assert all(int(o.otype) != 65001 for o in got.options)


def test_flagday20_1232_both_ways_and_tc_leads_to_tcp(replay: Replay) -> None:
    big = [f"{NAME} 60 IN TXT {'x' * 250}{i}" for i in range(8)]
    asked = replay.client_asks(f"{NAME} TXT", payload=4096)
    assert asked_of(replay.waiting[0]).payload == 1232
    replay.upstream_answers(flags="TC")
    assert replay.waiting[0].tcp
    replay.upstream_answers(big)
    assert asked.reply.flags & dns.flags.TC
    assert 1000 < len(asked.octets) <= 1232
    assert len(replay.client_asks(f"{NAME} TXT", tcp=True).answer) == 8


@pytest.mark.parametrize("payload", [1400, 4096, 65535])
def test_9715_never_above_1400_octets_over_udp(replay: Replay, payload: int) -> None:
    big = [f"{NAME} 60 IN TXT {'x' * 250}{i}" for i in range(20)]
    asked = replay.resolve(f"{NAME} TXT", *big, payload=payload)
    assert len(asked.octets) <= 1400


def test_7828_keepalive_is_answered_over_tcp_only_and_only_if_asked(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    octets = with_opt(opt(option(11, b"")))
    over_tcp = replay.client_asks(octets, tcp=True)
    (found,) = over_tcp.reply.options
    assert int(found.otype) == 11
    assert replay.client_asks(octets).reply.options == ()
    assert replay.client_asks(f"{NAME} A", tcp=True).reply.options == ()
    ready = replay.streams.ready(octets, ("127.0.0.1", 5))
    assert ready is None, "a query with options is looked at"


@pytest.mark.parametrize(
    ("size", "rcode"), [(8, 0), (16, 0), (40, 0), (7, 1), (9, 1), (41, 1), (0, 1)]
)
def test_7873_cookies_are_never_forwarded_and_bad_ones_are_formerr(
    replay: Replay, size: int, rcode: int
) -> None:
    asked = replay.client_asks(with_opt(opt(option(10, b"c" * size))))
    if rcode:
        assert decoded(asked.replies[0]).rcode() == rcode
    else:
        assert asked_of(replay.waiting[0]).options == ()
        replay.upstream_answers(A)
        assert asked.reply.options == ()


def test_7830_padding_is_never_forwarded_nor_sent_in_the_clear(replay: Replay) -> None:
    asked = replay.client_asks(with_opt(opt(option(12, bytes(100)))))
    assert asked_of(replay.waiting[0]).options == ()
    replay.upstream_answers(A)
    assert asked.reply.options == ()


def test_8482_any_gets_one_rrset_not_all(replay: Replay) -> None:
    everything = [
        f"{NAME} 60 IN TXT {'x' * 200}",
        A,
        f"{NAME} 60 IN MX 10 mail.example.com.",
    ]
    asked = replay.resolve(f"{NAME} ANY", *everything)
    assert len(asked.reply.answer) == 1
    assert asked.answer == [A]
    assert replay.client_asks(f"{NAME} ANY").answer == [A]


# RFC 8906, 9619


@pytest.mark.parametrize("opcode", range(1, 16))
def test_8906_other_opcodes_are_not_implemented(replay: Replay, opcode: int) -> None:
    for octets in (
        message(flags=opcode << 11),
        message(b"", flags=opcode << 11, counts=(0, 0, 0, 0)),
        message(QUESTION + opt(), flags=opcode << 11, counts=(1, 0, 0, 1)),
    ):
        got = reply(replay, octets)
        assert (got.rcode(), got.opcode()) == (NOTIMP, opcode)
    assert not replay.sent


@pytest.mark.parametrize("flags", [0x0200, 0x0400, 0x0080, 0x0040, 0x0020, 0x0010, 0x0000])
def test_8906_flags_of_a_query_do_no_harm(replay: Replay, flags: int) -> None:
    """Of sections 8 and 9: tc, aa, ra, z, ad, cd, rd=0: each gets an answer."""
    replay.resolve(f"{NAME} A", A)
    if flags & 0x10:
        replay.resolve(f"{NAME} A", A, flags="RD CD")
    for extra in (b"", opt()):
        octets = message(QUESTION + extra, flags=flags, counts=(1, 0, 0, bool(extra)))
        got = reply(replay, octets)
        assert (got.rcode(), len(got.answer)) == (0, 1)


@pytest.mark.parametrize("rtype", [0, 252, 251])
def test_8906_odd_types_get_a_reply(replay: Replay, rtype: int) -> None:
    asked = replay.client_asks(message(QNAME + struct.pack(">HH", rtype, 1)))
    assert rtype == 0 or asked.rcode == "REFUSED"


@pytest.mark.parametrize("count", [0, 2, 3, 65535])
def test_9619_not_exactly_one_question_is_formerr(replay: Replay, count: int) -> None:
    octets = message(QUESTION * min(count, 3), counts=(count, 0, 0, 0))
    assert reply(replay, octets).rcode() == FORMERR
    assert not replay.sent


@pytest.mark.parametrize(
    "octets", [b"", b"a", b"\0" * 11, message(flags=0x8000), message(flags=0x8180)]
)
def test_what_is_no_query_gets_no_reply(replay: Replay, octets: bytes) -> None:
    assert replay.client_asks(octets).replies == []
    assert sum(replay.counters.malformed.values()) == 1
    assert not replay.counters.queries


# RFC 8914


def test_8914_errors_say_why_and_only_to_who_speaks_edns(replay: Replay) -> None:
    asked = [replay.client_asks(f"{NAME} A", edns=edns) for edns in (True, False)]
    replay.time_passes(5)
    assert [one.rcode for one in asked] == ["SERVFAIL"] * 2
    assert asked[0].ede == [22]
    assert asked[1].reply.options == ()
    assert replay.client_asks(f"{NAME} A").ede == [13]


def test_8914_the_servers_reason_is_passed_on_bounded(replay: Replay) -> None:
    for rcode, authority in (("NXDOMAIN", soa("example.com.")), ("SERVFAIL", ())):
        name = f"{rcode.lower()}.example.com."
        asked = replay.client_asks(f"{name} A")
        while not asked.replies:
            made = reply_to(asked_of(replay.waiting[0]), rcode=rcode, authority=authority)
            made.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.FILTERED, "no " * 100)])
            replay.deliver(replay.waiting[0], made.to_wire())
        (option,) = asked.reply.options
        assert isinstance(option, dns.edns.EDEOption)
        assert int(option.code) == 17
        assert option.text is not None
        assert option.text.startswith("no no")
        assert len(option.text) <= 128


# RFC 6761 and the like; RFC 9267


@pytest.mark.parametrize(
    ("question", "rcode", "answer"),
    [
        ("x.onion. A", "NXDOMAIN", []),
        ("x.invalid. A", "NXDOMAIN", []),
        ("localhost. A", "NOERROR", ["localhost. 0 IN A 127.0.0.1"]),
        ("a.localhost. AAAA", "NOERROR", ["a.localhost. 0 IN AAAA ::1"]),
    ],
)
def test_6761_special_names_stay_inside(
    replay: Replay, question: str, rcode: str, answer: list[str]
) -> None:
    asked = replay.client_asks(question)
    assert (asked.rcode, asked.answer) == (rcode, answer)
    assert not replay.sent


@pytest.mark.parametrize("bogus_priv", [True, False])
def test_6303_private_reverse_names_stay_inside_if_the_operator_wants_it(bogus_priv: bool) -> None:
    """Those that the cluster's server refused, too: they would go on to the upstreams."""
    replay = Replay(bogus_priv=bogus_priv)
    asked = replay.client_asks("1.0.168.192.in-addr.arpa. PTR")
    assert replay.questions[0].startswith("127.0.0.1#10053")
    replay.upstream_answers(rcode="REFUSED")
    if bogus_priv:
        assert asked.rcode == "NXDOMAIN"
        assert not replay.waiting
    else:
        assert replay.questions == ["192.0.2.1 1.0.168.192.in-addr.arpa. PTR"]


@pytest.mark.parametrize(
    ("options", "asked_with", "told"),
    [({}, "RD AD", False), ({"trusted": ("192.0.2.1",)}, "RD AD", True),
     ({"trusted": ("192.0.2.1",)}, "RD", False), ({"trusted": ("192.0.2.1",)}, "RD DO", True),
     ({"proxy_dnssec": True}, "RD AD", True), ({"trusted": ("192.0.2.9",)}, "RD AD", False)],
    ids=str,
)  # fmt: skip
def test_4035_1_ad_only_from_trusted_servers_and_for_who_asks(
    options: dict[str, Any], asked_with: str, told: bool
) -> None:
    replay = Replay(**options)
    for answer, authority in ((A, ()), ((), soa("example.com."))):
        name = f"{'a' if answer else 'b'}.example.com."
        asked = replay.client_asks(f"{name} A", flags=asked_with)
        records = answer.replace(NAME, name) if answer else ()
        replay.upstream_answers(records, authority, flags="AD")
        for one in (asked, replay.client_asks(f"{name} A", flags=asked_with)):
            assert bool(one.reply.flags & dns.flags.AD) is told


def test_4035_1_cd_is_passed_on_and_kept_apart(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    asked = replay.client_asks(f"{NAME} A", flags="RD CD")
    assert asked_of(replay.waiting[0]).flags & dns.flags.CD
    replay.upstream_answers(f"{NAME} 60 IN A 192.0.2.66")
    assert asked.reply.flags & dns.flags.CD
    assert replay.client_asks(f"{NAME} A").answer == [A], "not what was not validated"


def test_6840_ad_in_a_query_is_no_part_of_the_question(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A, flags="RD AD")
    assert not asked_of_flags(replay) & dns.flags.AD
    assert replay.is_kept(f"{NAME} A")


def asked_of_flags(replay: Replay) -> int:
    return int.from_bytes(replay.sent[0].message[:2])


def test_5625_1_answers_above_512_octets_pass(replay: Replay) -> None:
    rdatas = [f"\\# 100 {'ab' * 99}{i:02x}" for i in range(8)]
    asked = replay.resolve(f"{NAME} TYPE65280", *(f"{NAME} 60 IN TYPE65280 {r}" for r in rdatas))
    assert len(asked.octets) > 800
    assert len(asked.answer) == 8
