"""The query path: who is answered from where, what is counted, and what is taken out."""

from collections import Counter
from typing import Any

import dns.flags
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsmasq_py.options import LocalRecords
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from tests.fwdreplay import Replay, asked_of, reply_to, soa

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"


@pytest.fixture
def replay() -> Replay:
    return Replay()


def n(text: str) -> bytes:
    return names.from_text(text)


# Counting


def test_hits_and_misses_over_udp_and_tcp(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.client_asks(f"{NAME} A")
    replay.client_asks("v6.example.com. AAAA", tcp=True)
    replay.client_asks("v6.example.com. AAAA", tcp=True)
    c = replay.counters
    assert (c.misses, c.hits, c.tcp_misses, c.tcp_hits) == (1, 1, 1, 1)
    assert c.queries == {("udp", 0): 2}
    replay.upstream_answers(authority=soa("example.com."))
    assert c.queries == {("udp", 0): 2, ("tcp", 0): 2}
    assert c.insertions == 2


def test_every_reply_is_counted_once_with_its_protocol(replay: Replay) -> None:
    replay.client_asks(b"\0\1\1\0\0\2" + bytes(6), tcp=True)
    replay.client_asks(f"{NAME} A CH", tcp=True)
    replay.client_asks("x.onion. A")
    assert replay.counters.queries == {("tcp", 1): 1, ("tcp", 5): 1, ("udp", 3): 1}
    assert sum(replay.counters.malformed.values()) == 1


def test_malformed_queries_are_counted_by_a_few_kinds(replay: Replay) -> None:
    good = bytearray(replay.client_asks(f"{NAME} A").message)
    for opcode in range(1, 16):
        replay.client_asks(bytes((*good[:2], opcode << 3, *good[3:])))
    for count in range(2, 30):
        replay.client_asks(bytes(good[:4]) + count.to_bytes(2) + bytes(good[6:]))
    for end in range(12, len(good)):
        replay.client_asks(bytes(good[:end]))
    assert len(replay.counters.malformed) < 12
    assert not any(c.isdigit() for kind in replay.counters.malformed for c in kind)


# Ready replies


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "addresses": ("A", {"answer": [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(5)]}),
    "one address": ("A", {"answer": A}),
    "nothing": ("AAAA", {"authority": soa("example.com.", 50)}),
    "no such name": ("A", {"rcode": "NXDOMAIN", "authority": soa("example.com.", 50)}),
    "with a reason": (
        "A",
        {"rcode": "NXDOMAIN", "authority": soa("example.com.", 50), "ede": (17, "filtered")},
    ),
    "a chain": (
        "A",
        {"answer": [f"{NAME} 40 IN CNAME t.example.com.", "t.example.com. 60 IN A 192.0.2.7",
                    "t.example.com. 60 IN A 192.0.2.8"]},
    ),
    "mail": ("MX", {"answer": [f"{NAME} 60 IN MX 5 m.example.com."]}),
    "text": ("TXT", {"answer": [f"{NAME} 60 IN TXT x", f"{NAME} 60 IN TXT y"]}),
    "secure": ("A", {"answer": A, "flags": "AD"}),
}  # fmt: skip


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    flags=st.sets(st.sampled_from(["RD", "AD", "CD", "DO"])),
    edns=st.booleans(),
    payload=st.sampled_from([512, 1232, 4096, 65535]),
    wait=st.floats(0, 30),
    max_ttl=st.sampled_from([None, 7]),
)
def test_a_ready_reply_is_what_the_slow_path_says_at_the_same_moment(
    kind: str, flags: set[str], edns: bool, payload: int, wait: float, max_ttl: int | None
) -> None:
    """All its turns, octet by octet, for whoever asks."""
    replay = Replay(trusted=("192.0.2.1",), max_ttl_s=max_ttl)
    rtype, server = KINDS[kind]
    how: dict[str, Any] = {
        "flags": " ".join(sorted(flags | {"RD"})),
        "edns": edns,
        "payload": payload,
    }
    question = f"{NAME} {rtype}"
    replay.client_asks(question, **how)
    replay.upstream_answers(**server)
    how["flags"] = " ".join(sorted(flags))
    for _ in range(2):
        replay.client_asks(question, **how)
    replay.time_passes(wait)
    slow = {replay.client_asks(question, tcp=False, **how).octets[2:] for _ in range(12)}
    fast = {replay.receiver_answers(question, **how).octets[2:] for _ in range(12)}  # type: ignore[union-attr]
    assert fast == slow


def test_a_question_is_ready_with_its_second_use_and_not_over_tcp(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.client_asks(f"{NAME} A")
    assert not replay.cache.ready
    for _ in range(5):
        replay.client_asks(f"{NAME} A", tcp=True)
    assert not replay.cache.ready
    replay.client_asks(f"{NAME} A")
    assert len(replay.cache.ready) == 1


@pytest.mark.parametrize("odd", ["upper case", "options", "flags", "version"])
def test_only_queries_of_fixed_form_become_ready(replay: Replay, odd: str) -> None:
    replay.resolve(f"{NAME} A", A)
    asked = replay.client_asks(f"{NAME} A").message
    match odd:
        case "upper case":
            asked = asked.replace(b"www", b"wwW")
        case "options":
            asked = asked[:-2] + b"\0\x0c\0\3\0\x08abcdefgh"
        case "flags":
            asked = asked[:3] + b"\x40" + asked[4:]
        case _:
            asked = asked[:-4] + b"\x40\0\0\0"
    for _ in range(5):
        assert replay.client_asks(asked).answer
    assert not replay.cache.ready


def test_a_ready_reply_ages_by_itself_and_ends_with_its_answer(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", f"{NAME} 10 IN A 192.0.2.7")
    for _ in range(3):
        replay.client_asks(f"{NAME} A")
    replay.time_passes(0.5)
    for left in (10, 9, 8, 7):
        for _ in range(3):
            got = replay.receiver_answers(f"{NAME} A")
            assert got is not None
            assert got.ttls == {left}
        replay.time_passes(1)
    replay.time_passes(6)
    assert replay.receiver_answers(f"{NAME} A") is None


@settings(max_examples=60)
@given(ttl=st.integers(1, 100_000), wait=st.floats(0, 100_000))
def test_ttls_count_down_and_are_never_raised(ttl: int, wait: float) -> None:
    """What is given out is the rest, rounded up, at least 1; never more than came."""
    replay = Replay()
    replay.resolve(f"{NAME} A", f"{NAME} {ttl} IN A 192.0.2.7")
    (stored,) = replay.cache.entries.values()
    kept = min(ttl, 86400)
    early = kept - (stored.dies() - replay.clock.now)
    assert 0 <= early <= min(0.05 * kept, 5)
    replay.time_passes(wait)
    asked = replay.client_asks(f"{NAME} A")
    if wait >= kept - early:
        assert not asked.replies
        return
    (given_ttl,) = asked.ttls
    assert given_ttl == max(1, -int(-(kept - wait) // 1)) or abs(given_ttl - (kept - wait)) < 1.001
    assert 1 <= given_ttl <= kept


@pytest.mark.parametrize(
    ("options", "ttl", "first", "later"),
    [
        ({"max_ttl_s": 20}, 60, 20, 20), ({"max_ttl_s": 60}, 30, 30, 20),
        ({"max_cache_ttl_s": 20}, 60, 20, 10), ({"min_cache_ttl_s": 40}, 15, 40, 30),
        ({"min_cache_ttl_s": 40}, 0, 40, 30), ({}, 60, 60, 50),
    ],
    ids=str,
)  # fmt: skip
def test_ttl_options(options: dict[str, Any], ttl: int, first: int, later: int) -> None:
    replay = Replay(**options)
    asked = replay.resolve(f"{NAME} A", f"{NAME} {ttl} IN A 192.0.2.7")
    assert asked.ttls == {first}
    replay.time_passes(10)
    assert replay.client_asks(f"{NAME} A").ttls == {later}


def test_max_ttl_is_only_for_clients() -> None:
    replay = Replay(max_ttl_s=20)
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(50)
    assert replay.client_asks(f"{NAME} A").ttls == {10}, "still there"


def test_no_negcache_keeps_what_is_there_only() -> None:
    replay = Replay(no_negcache=True)
    for rcode in ("NXDOMAIN", "NOERROR"):
        replay.resolve(f"{rcode}.example.com. A", rcode=rcode, authority=soa("example.com."))
        assert not replay.is_kept(f"{rcode}.example.com. A")
    replay.resolve(f"{NAME} A", A)
    assert replay.is_kept(f"{NAME} A")


def test_no_cache_at_all() -> None:
    replay = Replay(cache_size=0)
    for _ in range(3):
        assert replay.resolve(f"{NAME} A", A).answer == [A]
    assert len(replay.cache) == 0


def test_negative_answers_of_the_cluster_are_not_kept(replay: Replay) -> None:
    """A service may be created at any moment (until kubedns tells of changes)."""
    for rcode in ("NXDOMAIN", "NOERROR"):
        name = "web.shop.svc.cluster.local."
        replay.resolve(f"{name} A", rcode=rcode, authority=soa("cluster.local.", 5))
        assert not replay.is_kept(f"{name} A")
        assert not replay.client_asks(f"{name} AAAA").replies
        while replay.waiting:
            replay.upstream_answers(rcode="NXDOMAIN")


# Local data


def test_an_alias_of_options_leads_on_to_upstreams() -> None:
    """dnsmasq gives a bare CNAME; a client can do nothing with it."""
    records = LocalRecords(cnames=((n("db.here"), n("db.example.com"), 9),))
    replay = Replay(local=records)
    asked = [replay.client_asks("db.here. A") for _ in range(2)]
    assert replay.questions == ["192.0.2.1 db.example.com. A"]
    replay.upstream_answers("db.example.com. 60 IN A 192.0.2.7")
    for one in (*asked, replay.client_asks("db.here. A")):
        assert one.answer == [
            "db.example.com. 9 IN A 192.0.2.7",
            "db.here. 9 IN CNAME db.example.com.",
        ]
    assert replay.client_asks("db.here. A", flags="").answer == [
        "db.here. 9 IN CNAME db.example.com."
    ]
    assert replay.is_quiet()
    assert len(replay.cache) == 1, "the alias is here anyway"
    bad = replay.client_asks("db.here. AAAA")
    while not bad.replies:
        replay.upstream_answers(rcode="SERVFAIL")
    assert bad.rcode == "SERVFAIL"


def test_a_chain_of_others_may_end_in_local_data() -> None:
    records = LocalRecords(host_records=(((n("db.here"),), (bytes((192, 0, 2, 5)),), 9),))
    replay = Replay(local=records)
    asked = replay.resolve("x.stub.example. A", "x.stub.example. 60 IN CNAME db.here.")
    assert len(asked.answer) == 2
    assert asked.ttls == {9}


def test_a_name_known_here_in_another_type_is_no_nxdomain() -> None:
    records = LocalRecords(host_records=(((n("db.here"),), (bytes((192, 0, 2, 5)),), 9),))
    replay = Replay(local=records)
    for authority in (soa("."), (), [soa("."), "here. 60 IN NS ns.here."]):
        asked = replay.client_asks("db.here. AAAA")
        replay.upstream_answers(rcode="NXDOMAIN", authority=authority)
        assert asked.rcode == "NOERROR"
        assert replay.client_asks("db.here. A").rcode == "NOERROR"
        replay.cache.clear()


@pytest.mark.parametrize("tcp", [True, False])
def test_zone_transfers_are_refused_and_go_nowhere(replay: Replay, tcp: bool) -> None:
    for rtype in ("AXFR", "IXFR"):
        asked = replay.client_asks(f"example.com. {rtype}", tcp=tcp)
        assert asked.replies[0][3] & 15 == 5
    assert not replay.sent


# What is taken out


@pytest.mark.parametrize("plain", [True, False], ids=["addresses alone", "behind an alias"])
def test_filters_take_one_family_out(plain: bool) -> None:
    replay = Replay(filter_aaaa=True)
    link = [] if plain else [f"{NAME} 60 IN CNAME t.example.com."]
    owner = NAME if plain else "t.example.com."
    six = replay.resolve(f"{NAME} AAAA", *link, f"{owner} 60 IN AAAA 2001:db8::1")
    assert (len(six.answer), six.rcode, six.ede) == (len(link), "NOERROR", [17])
    four = replay.resolve(f"{NAME} A", *link, f"{owner} 60 IN A 192.0.2.7")
    assert len(four.answer) == 1 + len(link)
    replay.time_passes(1)
    assert replay.is_kept(f"{NAME} A")


@pytest.mark.parametrize(
    ("address", "options", "passes"),
    [
        ("10.0.0.1", {}, False), ("192.168.1.1", {}, False), ("127.0.0.1", {}, False),
        ("8.8.8.8", {}, True), ("127.0.0.1", {"rebind_localhost_ok": True}, True),
        ("10.0.0.1", {"rebind_domains_ok": (names.from_text("example.com"),)}, True),
        ("10.0.0.1", {"rebind_domains_ok": (names.from_text("example.org"),)}, False),
    ],
    ids=str,
)  # fmt: skip
def test_rebinding_is_blocked(address: str, options: dict[str, Any], passes: bool) -> None:
    replay = Replay(stop_dns_rebind=True, **options)
    asked = replay.resolve(f"{NAME} A", f"{NAME} 60 IN A {address}", f"{NAME} 60 IN A 8.8.4.4")
    assert (asked.rcode, bool(asked.answer)) == ("NOERROR", passes)
    assert asked.ede == ([] if passes else [15])
    assert replay.counters.dropped["rebind"] == (not passes)
    assert replay.is_kept(f"{NAME} A") is passes


def test_the_clusters_own_addresses_are_private_and_pass() -> None:
    replay = Replay(stop_dns_rebind=True)
    web = "web.shop.svc.cluster.local."
    assert replay.resolve(f"{web} A", f"{web} 30 IN A 10.0.0.7").answer


# Joining


def test_a_client_that_repeats_its_question_gets_one_reply_and_hurries_us(replay: Replay) -> None:
    """Rule 14: same socket and ID; the next attempt goes out early, once."""
    replay = Replay(upstreams=(Server("192.0.2.1"), Server("192.0.2.2")))
    first = replay.client_asks(f"{NAME} A", port=5000, id=7)
    before = len(replay.sent)
    for _ in range(5):
        assert not replay.client_asks(f"{NAME} A", port=5000, id=7).replies
    assert before <= len(replay.sent) <= before + 1
    replay.upstream_answers(A)
    assert len(first.replies) == 1
    assert replay.forwarder.crowd.total == 0


def test_equal_queries_on_one_tcp_connection_are_all_owed_a_reply(replay: Replay) -> None:
    """With one ID even: a connection holds a place for each, and is never idle until it has it."""
    asked = [replay.client_asks(f"{NAME} A", port=5000, id=7, tcp=True) for _ in range(3)]
    replay.upstream_answers(A)
    assert [one.answer for one in asked] == [[A]] * 3


def test_a_reply_that_cannot_be_sent_costs_nobody_else_his(replay: Replay) -> None:
    def unreachable(_: bytes) -> None:
        raise OSError(101, "Network is unreachable")

    gone = replay.client_asks(f"{NAME} A")
    replay.forwarder.handle(gone.message, ("10.9.9.9", 9), unreachable)
    other = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A)
    assert gone.answer == other.answer == [A]
    assert replay.counters.dropped["send: Network is unreachable"] == 1


def test_a_late_answer_is_kept_for_whoever_asks_next(replay: Replay) -> None:
    asked = replay.client_asks(f"{NAME} A")
    waiting = list(replay.waiting)
    replay.time_passes(4.6)
    assert asked.rcode == "SERVFAIL"
    attempt = waiting[-1]
    replay.deliver(attempt, reply_to(asked_of(attempt), A).to_wire())
    assert replay.client_asks(f"{NAME} A").answer == [A]


def test_all_addresses_come_first_equally_often(replay: Replay) -> None:
    addresses = [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(4)]
    replay.resolve(f"{NAME} A", *addresses)
    for ask in (replay.client_asks, replay.receiver_answers):
        firsts: Counter[str] = Counter()
        for _ in range(40):
            asked = ask(f"{NAME} A")
            assert asked is not None
            firsts[asked.reply.answer[0].to_text().splitlines()[0]] += 1
        assert set(firsts) == set(addresses)
        assert max(firsts.values()) - min(firsts.values()) <= 2


def test_aa_is_never_set_for_what_others_said(replay: Replay) -> None:
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A, flags="AA")
    for one in (asked, replay.client_asks(f"{NAME} A")):
        assert not one.reply.flags & dns.flags.AA
