"""The short way of ordinary questions: nobody can tell it from the general one but by its speed."""

import struct
from typing import Any

import dns.edns
import dns.flags
import dns.message
import pytest

from dnsmasq_py.server import Server
from dnsmasq_py.stored import Stored
from kubedns.wire import response, rr
from kubedns.wire.question import WireError
from tests.fwdreplay import DEFAULT, Asked, Replay, asked_of, reply_to, soa
from tests.mutation import mutated

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"
NODATA = soa("example.com.")
REPLIES: dict[str, dict[str, Any]] = {
    "an address": {"answer": A},
    "an address for no time": {"answer": f"{NAME} 0 IN A 192.0.2.7"},
    "an address for ever": {"answer": f"{NAME} 2147483647 IN A 192.0.2.7"},
    "two addresses": {"answer": [A, f"{NAME} 60 IN A 192.0.2.8"]},
    "two with other TTLs": {"answer": [A, f"{NAME} 50 IN A 192.0.2.8"]},
    "forty addresses": {"answer": [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(40)]},
    "a hundred addresses": {"answer": [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(100)]},
    "nothing of the type": {"authority": NODATA},
    "nothing, and no SOA": {},
    "no such name": {"authority": NODATA, "rcode": "NXDOMAIN"},
    "no such name, and why": {"authority": NODATA, "rcode": "NXDOMAIN", "ede": (15, "blocked")},
    "an alias": {"answer": [f"{NAME} 60 IN CNAME b.example.com.", "b.example.com. 9 IN A 1.2.3.4"]},
    "an alias and two addresses": {
        "answer": [
            f"{NAME} 60 IN CNAME Edge.CDN.example.",
            "edge.cdn.example. 20 IN A 192.0.2.1",
            "edge.cdn.example. 20 IN A 192.0.2.2",
        ]
    },
    "three aliases": {
        "answer": [
            f"{NAME} 300 IN CNAME www.example.com.cdn.example.",
            "www.example.com.cdn.example. 60 IN CNAME cdn.example.",
            "cdn.example. 9 IN CNAME other.example.com.",
            "other.example.com. 30 IN A 1.2.3.4",
        ]
    },
    "an alias for no time": {
        "answer": [f"{NAME} 0 IN CNAME b.example.com.", "b.example.com. 9 IN A 1.2.3.4"]
    },
    "aliases out of order": {
        "answer": [
            "b.example.com. 9 IN CNAME c.example.com.",
            f"{NAME} 60 IN CNAME b.example.com.",
            "c.example.com. 9 IN A 1.2.3.4",
        ]
    },
    "aliases in a circle": {
        "answer": [f"{NAME} 60 IN CNAME b.example.com.", f"b.example.com. 9 IN CNAME {NAME}"]
    },
    "an alias, and another name's address": {
        "answer": [f"{NAME} 60 IN CNAME b.example.com.", "c.example.com. 9 IN A 1.2.3.4"]
    },
    "an alias to nothing": {"answer": f"{NAME} 60 IN CNAME b.example.com.", "authority": NODATA},
    "an alias into a stub domain, and what it has no say in": {
        "answer": [f"{NAME} 60 IN CNAME x.stub.example.", "x.stub.example. 60 IN A 192.0.2.66"]
    },
    "an alias through a stub domain": {
        "answer": [
            f"{NAME} 60 IN CNAME x.stub.example.",
            "x.stub.example. 60 IN CNAME b.example.com.",
            "b.example.com. 60 IN A 192.0.2.66",
        ]
    },
    "an alias into the cluster": {
        "answer": [
            f"{NAME} 60 IN CNAME web.shop.svc.cluster.local.",
            "web.shop.svc.cluster.local. 60 IN A 192.0.2.66",
        ]
    },
    "an alias into a stub domain": {"answer": f"{NAME} 60 IN CNAME x.stub.example."},
    "an error": {"rcode": "SERVFAIL"},
    "a refusal": {"rcode": "REFUSED"},
    "validated": {"answer": A, "flags": "AD"},
    "cut": {"flags": "TC"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "short TTLs": {"max_ttl_s": 5},
    "a TTL at least": {"min_cache_ttl_s": 90},
    "a TTL at most": {"max_cache_ttl_s": 30},
    "nothing negative": {"no_negcache": True},
    "negative without SOA": {"neg_ttl_s": 20},
    "no rotation": {"no_round_robin": True},
    "no cache": {"cache_size": 0},
}
CLIENTS: dict[str, dict[str, Any]] = {
    "plain": {"edns": False},
    "EDNS": {"edns": True},
    "a large EDNS": {"edns": 0, "payload": 4096},
    "AD": {"flags": "RD AD"},
}


def both_ways(**options: Any) -> tuple[Replay, Replay]:
    """Return two forwarders, of which the second knows the general way only."""
    short, general = Replay(**options), Replay(**options)
    general.forwarder.express._is_closed = True
    return short, general


def meaning(octets: bytes) -> object:
    """
    Return octets; of aliases what they say.

    The short way leaves names compressed as the server did, to parts of the question too.
    """
    try:
        said = response.read(octets)
    except WireError:
        return octets
    if all(each.type != rr.CNAME for each in said.answer):
        return octets
    records = [
        (each.owner, each.type, each.ttl, [one.lower() for one in each.rdatas])
        for each in (*said.answer, *said.authority, *said.additional)
    ]
    return octets[:12], said.qname, records


def told(asked: Asked) -> list[object]:
    """Return what a client was told."""
    return [meaning(octets) for octets in asked.replies]


def entry(stored: Stored) -> object:
    """Return what is kept of an answer."""
    means = meaning(b"id" + stored.octets)
    if isinstance(means, bytes):
        where = stored.ttls, stored.cycle
    else:
        where = len(stored.ttls), len(stored.cycle)  # type: ignore[assignment]
    chain = [(name, repr(route)) for name, route in stored.chain]
    return means, where, stored.ttl, stored.expires, repr(stored.route), chain, stored.error


def state(replay: Replay) -> dict[str, Any]:
    """Return what is left of a question, and what was counted."""
    upstream = replay.upstreams.get(DEFAULT)
    counters = dict(vars(replay.counters))
    kept = {key: entry(stored) for key, stored in replay.cache.entries.items()}
    known = (upstream.srtt, upstream.rcodes, upstream.sent, upstream.score, upstream.latency.counts)
    return {"kept": kept, "counters": counters, "upstream": known, "quiet": replay.is_quiet()}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("said", REPLIES)
def test_replies_entries_and_counts_are_the_same_both_ways(
    said: str, options: str, client: str
) -> None:
    results = []
    message = b""  # made once: dnspython shuffles
    for replay in both_ways(**OPTIONS[options]):
        asked = replay.client_asks("WWW.example.COM. A", id=7, port=9, **CLIENTS[client])
        replay.time_passes(0.02)
        attempt = replay.waiting[0]
        message = message or reply_to(asked_of(attempt), **REPLIES[said]).to_wire(max_size=65535)
        replay.deliver(attempt, message)
        first = (told(asked), state(replay))
        replay.time_passes(10)
        again = replay.client_asks(f"{NAME} A", id=8, port=9, **CLIENTS[client])
        results.append((first, told(again), [a.message for a in replay.sent]))
        replay.time_passes(6)
        assert replay.is_quiet()
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "said",
    ["an address", "two addresses", "no such name", "validated", "an alias and two addresses",
     "three aliases", "an alias to nothing"],
)  # fmt: skip
def test_mutated_replies_mean_the_same_both_ways(said: str) -> None:
    """Behind the question, which the dialer has compared, may be anything."""
    replay = Replay()
    replay.client_asks(f"{NAME} A")
    good = reply_to(asked_of(replay.waiting[0]), **REPLIES[said]).to_wire(max_size=65535)
    end = 12 + len(NAME) + 1 + 4
    packets = [packet for packet in mutated([good], 5, 300) if len(packet) >= end]
    assert len(packets) > 100
    for packet in packets:
        message = packet[:2] + b"\x81" + packet[3:4] + b"\0\1" + packet[6:12] + good[12:end]
        results = []
        for replay in both_ways():
            asked = replay.client_asks(f"{NAME} A", id=7, port=9)
            replay.deliver(replay.waiting[0], message + packet[end:])
            before = (told(asked), state(replay))
            replay.time_passes(6)
            results.append((before, told(asked)))
        assert results[0] == results[1]


@pytest.mark.parametrize(
    ("question", "more"),
    [
        (f"{NAME} A", {"flags": "RD CD"}),
        (f"{NAME} A", {"flags": ""}),
        (f"{NAME} A", {"flags": "RD DO"}),
        (f"{NAME} A", {"tcp": True}),
        (f"{NAME} A", {"options": [dns.edns.GenericOption(10, b"12345678")]}),
        (f"{NAME} MX", {}),
        (f"{NAME} ANY", {}),
        ("example. A", {}),
        (". A", {}),
        ("a.localhost. A", {}),
        ("4.3.2.1.in-addr.arpa. PTR", {}),
        ("web.shop.svc.cluster.local. A", {}),
    ],
)
def test_what_is_not_ordinary_goes_the_general_way(question: str, more: dict[str, Any]) -> None:
    replay = Replay()
    replay.client_asks(question, **more)
    assert not replay.forwarder.express


@pytest.mark.parametrize("question", [f"{NAME} A", f"{NAME} AAAA", "x.stub.example. TXT"])
def test_an_ordinary_question_takes_the_short_way(question: str) -> None:
    replay = Replay()
    replay.client_asks(question)
    assert len(replay.forwarder.express) == replay.forwarder.in_flight == 1
    assert len(replay.forwarder.flights) == 0


@pytest.mark.parametrize("options", [{"stop_dns_rebind": True}, {"filter_a": True}])
def test_nothing_does_where_replies_are_looked_into(options: dict[str, Any]) -> None:
    replay = Replay(**options)
    replay.client_asks(f"{NAME} A")
    assert not replay.forwarder.express


def test_servers_are_asked_in_the_same_words_both_ways() -> None:
    sent = []
    for replay in both_ways():
        for route in replay.forwarder.routes.all:
            if route.group is not None:
                size = route.group.edns_size = 1400
                route.group.opt = b"\0\0\x29" + size.to_bytes(2) + bytes(6)
        for client in CLIENTS.values():
            replay.client_asks("Www.Example.Com. AAAA", **client)
        sent.append([attempt.message for attempt in replay.sent])
    assert sent[0] == sent[1]


def test_every_prefix_of_a_query_is_treated_alike_both_ways() -> None:
    short, general = both_ways()
    whole = short.client_asks(f"{NAME} AAAA").message
    for end in range(len(whole)):
        assert short.client_asks(whole[:end]).replies == general.client_asks(whole[:end]).replies
    assert short.counters.malformed == general.counters.malformed


def test_all_who_ask_the_same_are_answered_by_one_question() -> None:
    replay = Replay()
    asked = [replay.client_asks(f"{NAME} A", client=f"10.1.0.{i}") for i in range(3)]
    assert len(replay.waiting) == 1
    replay.upstream_answers(A)
    assert [one.answer for one in asked] == [[A]] * 3
    assert (replay.counters.misses, replay.counters.hits) == (1, 2)
    assert replay.is_quiet()


def test_a_client_that_asks_again_makes_us_ask_again() -> None:
    replay = Replay()
    first = replay.client_asks(f"{NAME} A", id=5, port=7)
    second = replay.client_asks(f"{NAME} A", id=5, port=7)
    assert len(replay.waiting) == 2
    replay.upstream_answers(A)
    assert [first.answer, second.replies] == [[A], []]


def test_silence_is_met_with_another_query_and_the_first_answer_still_counts() -> None:
    replay = Replay()
    asked = replay.client_asks(f"{NAME} A")
    replay.time_passes(1)
    assert len(replay.waiting) > 1
    assert not replay.forwarder.express
    replay.upstream_answers(A)
    assert asked.answer == [A]
    replay.time_passes(3)
    assert replay.is_quiet()


def test_answered_questions_leave_nothing_to_look_after() -> None:
    replay = Replay()
    for number in range(50):
        replay.resolve(f"n{number}.example.com. A", f"n{number}.example.com. 60 IN A 192.0.2.1")
        replay.time_passes(0.005)
    replay.time_passes(1)
    assert replay.forwarder.express.due == float("inf")
    assert replay.upstreams.get(DEFAULT).consec_loss == 0


def test_a_server_that_cannot_be_reached_is_told_of() -> None:
    replay = Replay()
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_fails()
    replay.time_passes(6)
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [23])
    assert replay.is_quiet()


def test_an_answer_by_an_old_route_is_for_those_who_asked_before() -> None:
    replay = Replay()
    before = replay.client_asks("www.corp.example. A")
    replay.configure(stubs={"corp.example": (Server("192.0.2.77"),)})
    after = replay.client_asks("www.corp.example. A")
    replay.upstream_answers("www.corp.example. 60 IN A 192.0.2.1")
    assert (before.answer, after.replies) == (["www.corp.example. 60 IN A 192.0.2.1"], [])
    replay.upstream_answers("www.corp.example. 60 IN A 192.0.2.2")
    assert after.answer == ["www.corp.example. 60 IN A 192.0.2.2"]


def test_while_there_are_many_the_general_way_has_them_all_before_one_is_given_up() -> None:
    replay = Replay(dns_forward_max=100)
    for number in range(40):
        replay.client_asks(f"n{number}.example.com. A")
    assert len(replay.forwarder.express) == 40
    for number in range(40, 101):
        replay.client_asks(f"n{number}.example.com. A")
    assert not replay.forwarder.express
    assert len(replay.forwarder.flights) == 100
    assert replay.counters.limits["questions of one group"] == 1


def test_a_fault_of_our_own_is_counted_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay()
    asked = replay.client_asks(f"{NAME} A")

    def fault(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(replay.cache, "put", fault)
    replay.upstream_answers(A)
    assert asked.rcode == "SERVFAIL"
    assert replay.counters.exceptions == 1
    assert replay.is_quiet()


def test_a_client_that_cannot_be_sent_to_is_counted() -> None:
    replay = Replay()
    message = replay.client_asks(f"n.{NAME} A").message.replace(b"\1n", b"\1m")

    def send(_: bytes) -> None:
        raise OSError(113, "No route to host")

    replay.forwarder.handle(message, ("10.1.0.2", 53), send)
    replay.upstream_answers(f"m.{NAME} 60 IN A 192.0.2.7", question=f"m.{NAME} A")
    assert replay.counters.dropped == {"send: No route to host": 1}
    assert replay.counters.exceptions == 0


def test_a_ttl_of_more_than_31_bits_is_none() -> None:
    results = []
    for replay in both_ways():
        asked = replay.client_asks(f"{NAME} A", id=7, port=9)
        replay.upstream_answers(
            A, change=lambda octets: octets.replace(struct.pack(">I", 60), b"\xff\0\0\1")
        )
        results.append((asked.replies, state(replay)))
        assert asked.ttls == {0}
    assert results[0] == results[1]


def test_what_goes_the_general_way_counts_for_the_bound_too() -> None:
    """Else a group would have half as many again under way as it may."""
    replay = Replay(dns_forward_max=150)
    for number in range(74):
        replay.client_asks(f"a{number}.example.com. A", client=f"10.1.0.{number}")
    for number in range(169):
        replay.client_asks(f"m{number}.example.com. MX", client=f"10.2.0.{number}")
    assert replay.forwarder.in_flight == 150
    replay.time_passes(6)
    assert replay.is_quiet()
