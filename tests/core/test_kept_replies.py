"""Replies that receivers make of what the cache keeps: native, in plain Python, the slow way."""

from __future__ import annotations

import importlib
import random
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsmasq_py.local import HostLine, LocalData
from dnsmasq_py.question import Question, of_key
from dnsmasq_py.stored import Stored, compose, scan
from kubedns import plainshelf
from kubedns.wire import name as names
from kubedns.wire import question, reply, rr
from tests.absent import unavailable
from tests.fwdreplay import Replay

NOW = 1_000_000.25
NAME = names.from_text("web.shop.svc.cluster.local")
WAYS = ["native", "plain"]


def way(name: str) -> Any:
    """Return the classes of one way."""
    if name == "plain":
        return plainshelf
    try:
        return importlib.import_module("kubedns._batch")
    except ImportError:
        reason = "the native piece is not built: no compiler when this was installed?"
        unavailable(reason)


def of(made: Any, stored: Stored) -> Any:
    """Return the same answer as one of another way."""
    kept = made.Kept()
    for field in ("octets", "ttls", "cycle", "error", "expires", "ttl", "used", "epoch"):
        setattr(kept, field, getattr(stored, field))
    kept.refreshing = stored.refreshing
    return kept


def answer(addresses: int = 1, ttl: int = 600, aliases: int = 0, rcode: int = 0) -> Stored:
    """Compose an answer to NAME A that came just now."""
    octets = struct.pack(">HHHHH", 0x8180 | rcode, 1, addresses + aliases, 0, 0)
    octets += NAME + struct.pack(">HH", rr.A, rr.IN)
    for number in range(aliases):
        target = names.from_text(f"c{number}.example")
        octets += b"\xc0\x0c" + struct.pack(">HHIH", rr.CNAME, rr.IN, ttl, len(target)) + target
    for number in range(addresses):
        octets += (
            b"\xc0\x0c" + struct.pack(">HHIH", rr.A, rr.IN, ttl, 4) + bytes((10, 0, 0, number))
        )
    made = Stored(octets, *scan(octets), ttl, NOW, "a route")
    made.epoch = 1
    return made


def query(*, edns: int | None = 1232, do: bool = False, flags: int = 0x0100, name: bytes = NAME,
          qtype: int = rr.A) -> bytes:  # fmt: skip
    """Write a query."""
    octets = struct.pack(">HHHHHH", 0x1234, flags, 1, 0, 0, edns is not None)
    octets += name + struct.pack(">HH", qtype, rr.IN)
    if edns is not None:
        octets += struct.pack(">BHHIH", 0, rr.OPT, edns, do << 15, 0)
    return octets


def shelf_with(made: Any, *kept: tuple[Stored, int], epoch: int = 1) -> Any:
    """Return a shelf with these answers to NAME A, each with the DO and CD bits of its question."""
    shelf = made.Shelf(
        {NAME + struct.pack(">HHB", rr.A, rr.IN, bits): of(made, one) for one, bits in kept}
    )
    shelf.epoch = epoch
    return shelf


@pytest.mark.parametrize("name", WAYS)
@settings(max_examples=300, deadline=None)
@given(
    edns=st.none() | st.sampled_from((0, 100, 512, 600, 1232, 4096, 65535)),
    do=st.booleans(),
    flags=st.integers(0, 7).map(lambda bits: (bits & 1) << 8 | (bits & 6) << 3),
    spelling=st.integers(0, 1 << 30),
    addresses=st.integers(0, 40),
    aliases=st.integers(0, 2),
    age=st.floats(0, 530),
    ad=st.booleans(),
    max_ttl=st.none() | st.integers(0, 700),
    used=st.integers(0, 50),
)
def test_receivers_say_what_the_forwarder_says(
    name: str, edns: int | None, do: bool, flags: int, spelling: int, addresses: int, aliases: int,
    age: float, ad: bool, max_ttl: int | None, used: int,
) -> None:  # fmt: skip
    """Octet by octet, for any client; what would have to be cut they leave alone."""
    made = way(name)
    bits = do and edns is not None
    stored = answer(addresses, aliases=aliases)
    if ad:
        stored.octets = stored.octets[:1] + bytes((stored.octets[1] | 0x20,)) + stored.octets[2:]
    stored.used = used
    shelf = shelf_with(made, (stored, bits | (flags & 0x10) >> 3))
    if max_ttl is not None:
        shelf.max_ttl = max_ttl
    rng = random.Random(spelling)
    spelled = bytes(c ^ 0x20 if chr(c).isalpha() and rng.random() < 0.5 else c for c in NAME)
    message = query(edns=edns, do=do, flags=flags, name=spelled)
    read = question.read(message)
    now = NOW + age
    left = stored.left(now) if max_ttl is None else min(stored.left(now), max_ttl)
    for tcp in (False, True):
        limit = reply.MAX_TCP if tcp else reply.udp_limit(read)
        stored.used += 1
        expected = stored.reply(read, left, limit, stored.used)
        if expected[2] & 2:
            assert shelf.reply(message, now) is None
            stored.used -= 1
            continue
        assert shelf.reply(message, now, tcp=tcp) == expected
    udp, over_tcp = shelf.given()
    assert sum(over_tcp) == over_tcp[0] == 1
    assert sum(udp) == (len(expected) <= reply.udp_limit(read))


@pytest.mark.parametrize("name", WAYS)
def test_every_second_has_its_ttl_and_the_last_tenth_is_the_forwarders(name: str) -> None:
    """Who asks then may be a reason to ask anew; while that is being done, receivers go on."""
    made = way(name)
    for ttl in (1, 2, 3, 9, 10, 25, 100, 600, 86400):
        stored = answer(ttl=ttl)
        shelf = shelf_with(made, (stored, 0))
        kept = of(made, stored)
        for step in range(4 * min(ttl, 400) + 8):
            now = NOW + (ttl - min(ttl, 400)) + step / 4
            octets = shelf.reply(query(edns=None), now)
            if now >= (kept.due() if ttl >= 3 else stored.expires):
                assert octets is None
                continue
            if octets is None:  # asked so often that it is to be made in advance
                octets = shelf.reply(query(edns=None), now)
            assert octets is not None
            assert int.from_bytes(octets[-10:-6]) == max(1, -int(-(stored.expires - now) // 1))


@pytest.mark.parametrize("name", WAYS)
def test_while_it_is_being_renewed_it_is_given_until_it_dies(name: str) -> None:
    made = way(name)
    stored = answer(ttl=600)
    stored.refreshing = True
    kept = of(made, stored)
    shelf = made.Shelf({NAME + b"\0\1\0\1\0": kept})
    shelf.epoch = 1
    assert shelf.reply(query(), kept.dies() - 0.01) is not None
    assert shelf.reply(query(), kept.dies()) is None
    assert stored.expires - 5 <= kept.dies() <= stored.expires


@pytest.mark.parametrize("name", WAYS)
def test_both_ways_know_the_same_times(name: str) -> None:
    made = way(name)
    rng = random.Random(3)
    for _ in range(500):
        stored = answer(ttl=rng.choice((1, 5, 19, 20, 30, 99, 100, 301, 3600, 86400)))
        stored.expires = NOW + rng.choice((stored.ttl, 300.0)) * rng.random()
        kept = of(made, stored)
        assert kept.due() == plainshelf.Kept.due(kept)
        assert kept.dies() == plainshelf.Kept.dies(kept)
        assert kept.dies() >= kept.due()
        for _ in range(5):
            now = NOW + rng.uniform(-10, 400)
            assert kept.left(now) == plainshelf.Kept.left(kept, now)


@pytest.mark.parametrize("name", WAYS)
def test_what_is_out_of_the_ordinary_is_left_to_the_forwarder(name: str) -> None:
    made = way(name)
    usual = query()
    shelf = shelf_with(made, (answer(), 0))
    assert shelf.reply(usual, NOW) is not None
    for octets in (
        usual[:2] + b"\x81" + usual[3:],  # a response
        usual[:2] + b"\x09" + usual[3:],  # another opcode
        usual[:3] + b"\x40" + usual[4:],  # a flag that means nothing
        usual[:5] + b"\2" + usual[6:],
        usual[:7] + b"\1" + usual[8:],
        usual[:11] + b"\2" + usual[12:],
        usual[:11] + b"\0" + usual[12:],  # octets behind the question
        usual[:-11],  # an OPT that is not there
        usual + b"\0",
        usual[:-2] + b"\0\4\0\x0a\0\0",  # an option
        usual[:-5] + b"\1" + usual[-4:],  # a later EDNS
        query(qtype=rr.AAAA),
        query(do=True),
        query(flags=0x0110),
    ):
        assert shelf.reply(octets, NOW) is None
    wrong_epoch = shelf_with(made, (answer(), 0), epoch=2)
    assert wrong_epoch.reply(usual, NOW) is None
    with_error = answer()
    with_error.error = (17, "Filtered")
    shelf = shelf_with(made, (with_error, 0))
    assert shelf.reply(usual, NOW) is None, "the error has to be told"
    assert shelf.reply(query(edns=None), NOW) is not None, "not to this client"


@pytest.mark.parametrize("name", WAYS)
def test_any_octets_are_no_query_or_answered_right(name: str) -> None:
    """Every beginning of a query, and queries with octets changed."""
    made = way(name)
    usual = query()
    rng = random.Random(5)
    shelf = shelf_with(made, (answer(addresses=3), 0))
    tries = [usual[:end] for end in range(len(usual))]
    for _ in range(3000):
        octets = bytearray(usual)
        for _ in range(rng.choice((1, 1, 2, 5))):
            octets[rng.randrange(len(octets))] = rng.randrange(256)
        tries.append(bytes(octets))
    tries += [rng.randbytes(rng.randrange(300)) for _ in range(500)]
    for number, octets in enumerate(tries):
        now = NOW + number * 0.01
        found = shelf.reply(octets, now)
        if found is not None:
            read = question.read(octets)
            assert read.folded == NAME
            assert found[:2] == octets[:2]
            assert found[12 : 12 + len(read.octets)] == read.octets


def test_the_native_piece_does_not_write_past_an_answer() -> None:
    """Offsets that are none are an error, wherever they would be."""
    made = way("native")
    stored = answer(addresses=3)
    size = len(stored.octets)
    for field, value in (
        ("ttls", (size,)), ("ttls", (size - 3,)), ("ttls", (-1,)), ("ttls", (9,)),
        ("ttls", ("x",)), ("ttls", (1 << 70,)),
        ("cycle", (0, 50, size)), ("cycle", (60, 50, size)), ("cycle", (50, 60, size + 1)),
        ("cycle", (50, 60, 1 << 70)), ("octets", b"short"), ("octets", "text"), ("ttls", None),
    ):  # fmt: skip
        kept = of(made, stored)
        setattr(kept, field, value)
        shelf = made.Shelf({NAME + b"\0\1\0\1\0": kept})
        shelf.epoch = 1
        try:
            for _ in range(4):
                assert shelf.reply(query(), NOW) is None
        except (ValueError, TypeError, OverflowError):
            continue
        assert value == b"short"
    with pytest.raises(TypeError):
        made.Shelf({NAME + b"\0\1\0\1\0": "no answer"}).reply(query(), NOW)


def test_where_all_is_python_what_is_asked_all_the_time_is_made_in_advance() -> None:
    """Every fourth use within one second is handed over; what is asked seldom never is."""
    shelf = shelf_with(plainshelf, (answer(), 0))
    handed_over = [shelf.reply(query(), NOW) is None for _ in range(8)]
    assert handed_over == [False, False, False, True] * 2
    assert all(shelf.reply(query(), NOW + 1 + second) for second in range(200))


# In the forwarder


def test_an_answer_is_receivers_from_the_beginning() -> None:
    replay = Replay()
    replay.resolve("www.example.com. A", "www.example.com. 60 IN A 192.0.2.7")
    replay.resolve("web.shop.svc.cluster.local. A", "web.shop.svc.cluster.local. 30 IN A 10.0.0.1")
    for name in ("www.example.com.", "WEB.shop.svc.cluster.local."):
        asked = replay.receiver_answers(f"{name} A")
        assert asked is not None
        assert asked.answer
    assert not replay.cache.ready
    before = replay.counters.hits
    replay.cache.collect()
    assert replay.counters.hits == before + 2


def test_after_a_change_of_the_configuration_each_is_looked_at_once() -> None:
    """What goes elsewhere now is not given by anybody."""
    replay = Replay()
    replay.resolve("www.example.com. A", "www.example.com. 60 IN A 192.0.2.7")
    replay.resolve("www.stub.example. A", "www.stub.example. 60 IN A 192.0.2.8")
    replay.configure(stubs={})
    for name in ("www.example.com.", "www.stub.example."):
        assert replay.receiver_answers(f"{name} A") is None
    assert replay.client_asks("www.example.com. A").answer
    assert not replay.client_asks("www.stub.example. A").replies
    assert replay.receiver_answers("www.example.com. A") is not None
    assert replay.receiver_answers("www.stub.example. A") is None


@pytest.mark.parametrize("name", ["www.example.com", "web.shop.svc.cluster.local"])
def test_a_question_under_way_while_the_configuration_changes(name: str) -> None:
    """Its answer is for those who asked; receivers give it when it was looked at."""
    replay = Replay()
    replay.client_asks(f"{name}. A")
    replay.configure()
    replay.upstream_answers(f"{name}. 60 IN A 192.0.2.7")
    assert replay.receiver_answers(f"{name}. A") is None
    assert replay.client_asks(f"{name}. A").answer
    assert replay.receiver_answers(f"{name}. A") is not None


@pytest.mark.parametrize("name", ["www.example.com", "web.shop.svc.cluster.local"])
def test_a_question_under_way_while_a_hosts_file_gets_its_name(name: str) -> None:
    """From then on the hosts file answers, whatever comes back."""
    replay = Replay()
    forwarder = replay.forwarder
    replay.client_asks(f"{name}. A")
    line = HostLine(bytes((192, 0, 2, 99)), (names.from_text(name),), "hosts")
    forwarder.express.unfold_all()
    forwarder.local = LocalData(replay.options, [line], lambda _: 0)
    replay.cache.clear_ready()
    replay.upstream_answers(f"{name}. 60 IN A 192.0.2.7")
    for _ in range(3):
        assert replay.receiver_answers(f"{name}. A") is None
        assert "192.0.2.99" in str(replay.client_asks(f"{name}. A").answer)


def test_a_purged_answer_is_given_by_nobody() -> None:
    replay = Replay()
    replay.resolve("web.shop.svc.cluster.local. A", "web.shop.svc.cluster.local. 30 IN A 10.0.0.1")
    assert replay.receiver_answers("web.shop.svc.cluster.local. A") is not None
    replay.forwarder.purges.purge([NAME])
    assert replay.receiver_answers("web.shop.svc.cluster.local. A") is None


def test_composed_answers_too() -> None:
    """What was put together here, of several answers, is as good as what came as it is."""
    made = compose(
        question_of(NAME),
        0,
        (rr.RRset(NAME, rr.A, 60, (b"\1\2\3\4", b"\1\2\3\5")),),
        (),
        (),
        "r",
        NOW,
    )
    made.epoch = 1
    for each in WAYS:
        shelf = shelf_with(way(each), (made, 0))
        first, second = (shelf.reply(query(), NOW) for _ in range(2))
        assert first != second
        assert sorted((first[-27:-11], second[-27:-11])) != [first[-27:-11]] * 2


def question_of(name: bytes) -> Question:
    """Return the question for addresses of a name."""
    return of_key(name + b"\0\1\0\1\0")
