"""One answer as it is kept: offsets, ageing, what fits, when it ends."""

from itertools import pairwise

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsmasq_py import stored as stored_module
from dnsmasq_py.question import Question
from dnsmasq_py.stored import Ready, Stored, compose, scan, with_query_flags
from kubedns.wire import name as names
from kubedns.wire import question as questions
from kubedns.wire import response, rr
from kubedns.wire.question import Edns
from tests.builders import query
from tests.fwdreplay import lines

NAME = names.from_text("www.example.com")
TARGET = names.from_text("target.Example.com")
NOW = 1000.0
SOA = rr.RRset(
    names.from_text("example.com"), rr.SOA, 60, (b"\2ns\0\4host\0" + bytes(16) + b"\0\0\0\x1e",)
)


def asked(qtype: int = rr.A) -> Question:
    octets = NAME + bytes((0, qtype, 0, 1))
    return Question(octets, NAME, qtype, do=False, cd=False, rd=True)


def addresses(count: int, ttl: int = 60, owner: bytes = NAME) -> rr.RRset:
    return rr.RRset(
        owner, rr.A, ttl, tuple(bytes((192, 0, i // 256, i % 256)) for i in range(count))
    )


CNAME = rr.RRset(NAME, rr.CNAME, 90, (TARGET,))


def stored(
    *answer: rr.RRset, authority: tuple[rr.RRset, ...] = (), rcode: int = 0, qtype: int = rr.A
) -> Stored:
    return compose(asked(qtype), rcode, answer, authority, (), None, NOW)


def whole(one: Stored, turn: int = 0, ttl: int = 9, limit: int = 65535, edns: bool = True) -> bytes:
    q = questions.read(query("www.example.com. A", edns=edns, flags="RD").to_wire())
    return one.reply(q, ttl, limit, turn)


def test_its_ttl_is_the_least_of_all_and_of_the_soas_minimum() -> None:
    assert stored(CNAME, addresses(2, ttl=40)).ttl == 40
    assert stored(addresses(2)).ttl == 60
    assert stored(authority=(SOA,)).ttl == 30
    assert stored().ttl == 0


@pytest.mark.parametrize("edns", [True, False])
def test_every_ttl_is_written_and_nothing_else(edns: bool) -> None:
    one = stored(CNAME, addresses(3, owner=TARGET.lower()), authority=(SOA,))
    low, high = (dns.message.from_wire(whole(one, ttl=ttl, edns=edns)) for ttl in (1, 86400))
    for message, ttl in ((low, 1), (high, 86400)):
        assert {r.ttl for r in (*message.answer, *message.authority)} == {ttl}
    assert lines(low.answer) == [line.replace(" 86400 ", " 1 ", 1) for line in lines(high.answer)]


def test_turns_go_round_whole_cycles_behind_the_cnames() -> None:
    one = stored(CNAME, addresses(5, owner=TARGET.lower()))
    orders = []
    for turn in range(10):
        answer = response.read(whole(one, turn)).answer
        assert answer[0].type == rr.CNAME
        orders.append(answer[1].rdatas)
    assert orders[:5] == orders[5:]
    assert len({order[0] for order in orders}) == 5
    assert {frozenset(order) for order in orders} == {frozenset(orders[0])}


@pytest.mark.parametrize(
    ("one", "negative"),
    [
        (stored(addresses(1)), False),
        (stored(CNAME, addresses(1, owner=TARGET.lower())), False),
        (stored(CNAME), True),
        (stored(CNAME, qtype=rr.CNAME), False),
        (stored(CNAME, qtype=rr.ANY), False),
        (stored(CNAME, addresses(1, owner=TARGET.lower()), qtype=rr.AAAA), True),
        (stored(authority=(SOA,)), True),
        (stored(rcode=rr.NXDOMAIN), True),
        (stored(CNAME, rcode=rr.NXDOMAIN, authority=(SOA,)), True),
        (stored(addresses(1), authority=(SOA,)), False),
    ],
)
def test_an_answer_is_negative_if_the_asked_type_is_not_in_it(one: Stored, negative: bool) -> None:
    assert one.is_negative is negative


def test_what_does_not_fit_is_cut_between_records() -> None:
    one = stored(addresses(100))
    for limit in (512, 600, 1232):
        reply = whole(one, limit=limit)
        assert limit - 40 < len(reply) <= limit
        message = dns.message.from_wire(reply, raise_on_truncation=False)
        assert "TC" in message.to_text()
        assert message.edns == 0


def test_a_reason_is_left_out_when_there_is_no_room() -> None:
    one = stored(addresses(20))
    one.error = (3, "x" * 120)
    assert dns.message.from_wire(whole(one)).options
    reply = dns.message.from_wire(whole(one, limit=400))
    assert not reply.options
    assert len(reply.answer[0]) == 20


@given(st.integers(1, 200_000))
def test_an_answer_dies_at_most_5_per_cent_and_5_s_early(ttl: int) -> None:
    one = stored(addresses(1, ttl=ttl))
    early = one.expires - one.dies()
    assert 0 <= early <= min(0.05 * ttl, 5.0)
    assert ttl >= 20 or early == 0


def test_answers_of_one_ttl_do_not_die_all_at_once() -> None:
    """Pods of one Deployment ask for the same names."""
    many = [stored(addresses(1, ttl=100)) for _ in range(200)]
    assert len({one.dies() for one in many}) > 16


@pytest.mark.parametrize(
    ("ttl", "left", "due"),
    [(80, 9, False), (80, 8, True), (5, 2, False), (5, 1, True), (1, 1, True), (86400, 31, False),
     (86400, 30, True)],
)  # fmt: skip
def test_when_it_is_time_to_ask_anew(ttl: int, left: int, due: bool) -> None:
    one = stored(addresses(1, ttl=ttl))
    assert (NOW + ttl - left >= one.due()) is due


def test_what_is_left_is_rounded_up_and_at_least_1() -> None:
    one = stored(addresses(1, ttl=10))
    assert [one.left(NOW + t) for t in (0, 0.1, 1, 8.9, 9, 9.99, 10, 50)] == [
        10,
        10,
        9,
        2,
        1,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("flags", "query_flags", "edns", "expected"),
    [
        (0x8080, 0x0100, None, 0x8180), (0x8080, 0x0010, None, 0x8090),
        (0x80A0, 0x0000, None, 0x8080),
        (0x80A0, 0x0020, None, 0x80A0), (0x80A0, 0, Edns(512, do=True, keepalive=False), 0x80A0),
        (0x80A0, 0, Edns(512, do=False, keepalive=False), 0x8080), (0x8083, 0x0100, None, 0x8183),
        (0x8080, 0x7E40, None, 0x8080),
    ],
)  # fmt: skip
def test_flags_of_a_reply(flags: int, query_flags: int, edns: Edns | None, expected: int) -> None:
    assert with_query_flags(flags, query_flags, edns) == expected


def test_scan_finds_each_ttl_and_the_last_rrset() -> None:
    one = stored(CNAME, addresses(3, owner=TARGET.lower()), authority=(SOA,))
    ttls, cycle = scan(one.octets)
    assert len(ttls) == 5
    assert (one.ttls, one.cycle) == (ttls, cycle)
    assert len(cycle) == 4
    assert [b - a for a, b in pairwise(cycle)] == [23] * 3, "seven of them up to a pointer"
    assert scan(stored(addresses(1)).octets)[1] == ()


def test_equal_shapes_share_their_offsets_and_not_without_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stored(addresses(3)).ttls is stored(addresses(3, ttl=5)).ttls
    known = dict(list(stored_module._known_offsets.items())[:2])
    monkeypatch.setattr(stored_module, "_known_offsets", known)
    monkeypatch.setattr(stored_module, "_MAX_KNOWN", 2)
    stored(addresses(77))
    assert len(known) == 2


def test_another_types_question_and_the_same_nothing() -> None:
    one = stored(rcode=rr.NXDOMAIN, authority=(SOA,))
    other = one.for_type(b"\0\x10")
    assert other.octets[len(NAME) + 10 :][:2] == b"\0\x10"
    assert (other.expires, other.ttl, other.rcode) == (one.expires, one.ttl, one.rcode)


# Ready


def ready(one: Stored, calls: list[Ready]) -> Ready:
    message = query("www.example.com. A", flags="RD").to_wire()
    return Ready(message[2:], one, questions.read(message), None, calls.append)


def test_a_ready_reply_is_made_once_a_second() -> None:
    one = ready(stored(addresses(2)), [])
    now = NOW + 0.25
    assert one.age(now)
    first = one.turns
    assert len(first) == 2
    assert now < one.until <= NOW + 1
    assert one.age(NOW + 1.01)
    assert one.turns != first


def test_a_popular_answer_tells_when_it_is_due() -> None:
    calls: list[Ready] = []
    one = ready(stored(addresses(1, ttl=100)), calls)
    assert one.age(NOW + 80)
    assert not calls
    assert one.age(NOW + 91)
    assert calls == [one]


def test_more_addresses_than_turns_begin_anywhere() -> None:
    """16 rotations are made of 100 records; where they begin is chance, so that all have theirs."""
    firsts = set()
    for _ in range(60):
        one = ready(stored(addresses(60)), [])
        assert one.age(NOW)
        assert len(one.turns) == 16
        firsts |= {response.read(b"id" + turn).answer[0].rdatas[0] for turn in one.turns}
    assert len(firsts) > 40
