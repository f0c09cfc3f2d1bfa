"""Attempts over UDP: which datagram is an answer, what it leads to, and what ends an attempt."""

import random
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.options import Options
from tests.dialing import (
    OCTETS,
    Asked,
    Bench,
    Exchange,
    Upstream,
    closed_port,
    query_of,
    reply,
)

Make = Callable[..., Bench]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def make(upstream: Upstream) -> Iterator[Make]:
    made: list[Bench] = []

    def make(options: Options | None = None, most: int = 10_000) -> Bench:
        made.append(Bench(options or Options(), most, upstream))
        return made[-1]

    yield make
    for bench in made:
        bench.dialer.close()
        assert not bench.reactor.getDelayedCalls()
        assert bench.dialer.sockets == 0


@pytest.fixture
def bench(make: Make) -> Bench:
    return make()


def test_the_answer_goes_to_its_exchange_and_a_copy_of_it_is_counted(bench: Bench) -> None:
    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    assert query[2:] == query_of(OCTETS)
    bench.answer(reply(query), client)
    bench.answer(reply(query), client)
    assert exchange.messages == [reply(query)]
    assert bench.bad == {"unexpected": 1}


def test_an_exchange_that_waits_on_gets_the_next_answer_too(bench: Bench) -> None:
    exchange = Exchange(over=False)
    bench.send(exchange)
    query, client = bench.upstream.query()
    bench.answer(reply(query), client)
    bench.answer(reply(query), client)
    assert len(exchange.messages) == 2


BAD: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "three octets": (lambda q: q[:2] + b"\x81", "short"),
    "nothing": (lambda q: b"", "unexpected"),
    "another ID": (lambda q: bytes((q[0] ^ 1,)) + reply(q)[1:], "unexpected"),
    "another name": (lambda q: reply(q, OCTETS.replace(b"wWw", b"wXw")), "question"),
    "a name that begins so": (lambda q: reply(q, OCTETS[:-5] + b"\3net\0\0\1\0\1"), "question"),
    "another type": (lambda q: reply(q, OCTETS[:-4] + b"\0\x1c\0\1"), "question"),
    "type 65 for 97": (lambda q: reply(q, OCTETS[:-4] + b"\0\x61\0\1"), "question"),
    "another class": (lambda q: reply(q, OCTETS[:-2] + b"\0\3"), "question"),
    "our own query": (lambda q: q, "query"),
    "a NOTIFY": (lambda q: q[:2] + b"\xa1" + reply(q)[3:], "opcode"),
    "an IQUERY": (lambda q: q[:2] + b"\x89" + reply(q)[3:], "opcode"),
    "no question": (lambda q: reply(q)[:4] + bytes(8), "question"),
    "an answer without question": (
        lambda q: q[:2] + struct.pack(">HHHHH", 0x8180, 0, 1, 0, 0) + OCTETS + bytes(10),
        "question",
    ),
    "two questions": (lambda q: reply(q)[:4] + b"\0\2" + reply(q)[6:] + OCTETS, "question"),
    "a question cut short": (lambda q: reply(q)[:-1], "question"),
    "a header alone, SERVFAIL": (lambda q: q[:2] + b"\x81\x82" + bytes(8), "question"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_answer_is_counted_and_waiting_goes_on(bench: Bench, what: str) -> None:
    make_bad, kind = BAD[what]
    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    bench.answer(make_bad(query), client)
    assert exchange.messages == []
    assert bench.bad == {kind: 1}
    bench.answer(reply(query), client)
    assert exchange.messages == [reply(query)]
    assert exchange.bare == 0


@pytest.mark.parametrize("rcode", [1, 4])
def test_a_bare_refusal_is_passed_on_and_waiting_goes_on(bench: Bench, rcode: int) -> None:
    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    bench.answer(query[:2] + bytes((0x80, rcode)) + bytes(8), client)
    assert exchange.bare == 1
    bench.answer(reply(query), client)
    assert len(exchange.messages) == 1


@pytest.mark.parametrize("keeps_case", [True, False])
def test_another_letter_case_will_do_only_from_servers_that_do_not_keep_it(
    bench: Bench, keeps_case: bool
) -> None:
    Asked.of(bench.upstream.server).keeps_case = keeps_case
    exchange = Exchange(over=False)
    bench.send(exchange)
    query, client = bench.upstream.query()
    bench.answer(reply(query, OCTETS.lower()), client)
    assert len(exchange.messages) == (0 if keeps_case else 1)
    assert bench.bad == ({"case": 1} if keeps_case else {})
    bench.answer(reply(query), client)
    assert exchange.messages[-1] == reply(query)


def test_what_another_address_or_port_sends_is_not_even_seen(bench: Bench) -> None:
    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    for host in ("127.0.0.1", "127.0.0.3"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((host, bench.upstream.port if host != "127.0.0.1" else 0))
            other.sendto(reply(query), client)
    bench.answer(reply(query), client)
    assert exchange.messages == [reply(query)]
    assert bench.bad == {}


def test_an_answer_on_another_socket_than_that_of_the_attempt_is_none(bench: Bench) -> None:
    one, two = Exchange(), Exchange()
    bench.send(one)
    query, first = bench.upstream.query()
    client = first
    while client == first:
        bench.send(two)
        _, client = bench.upstream.query()
    bench.answer(reply(query), client)
    assert one.messages == []
    assert bench.bad == {"unexpected": 1}


def test_no_mutation_of_an_answer_disturbs_the_dialer(bench: Bench) -> None:
    rng = random.Random(4)
    exchange = Exchange(over=False)
    bench.send(exchange)
    query, client = bench.upstream.query()
    for _ in range(3000):
        mutated = bytearray(reply(query))
        for _ in range(rng.randint(1, 4)):
            mutated[rng.randrange(2, len(mutated))] = rng.randrange(256)
        bench.answer(bytes(mutated[: rng.choice((len(mutated), rng.randrange(40)))]), client)
    for message in exchange.messages:
        assert message[12:].lower().startswith(OCTETS.lower())
        assert message[2] & 0xF8 == 0x80
    assert len(exchange.messages) + sum(bench.bad.values()) - exchange.bare <= 3000
    bench.answer(reply(query), client)
    assert exchange.messages[-1] == reply(query)
    assert bench.counters.exceptions == 0


def test_a_fault_of_ours_with_one_answer_does_not_touch_the_others(bench: Bench) -> None:
    def stumble(attempt: Attempt) -> None:
        raise RuntimeError("not this one")

    exchanges = [Exchange(then=stumble), Exchange(), Exchange()]
    for exchange in exchanges:
        bench.send(exchange)
        query, client = bench.upstream.query()
        bench.answer(reply(query), client)
    assert [len(exchange.messages) for exchange in exchanges] == [1, 1, 1]
    assert bench.counters.exceptions == 1


def test_an_answer_may_lead_to_new_attempts_and_cancel_others(bench: Bench) -> None:
    last = Exchange()

    def go_on(attempt: Attempt) -> None:
        bench.dialer.cancel(attempt)
        bench.dialer.cancel(other)
        for _ in range(300):
            bench.send(last)

    other = bench.send()
    bench.upstream.query()
    bench.send(Exchange(then=go_on))
    query, client = bench.upstream.query()
    bench.answer(reply(query), client)
    for query, client in bench.upstream.queries(300):
        bench.upstream.socket.sendto(reply(query), client)
    while len(last.messages) < 300:
        bench.reactor.read()
    assert bench.bad == {}


def test_a_cancelled_attempt_hears_nothing_more(bench: Bench) -> None:
    exchange = Exchange()
    attempt = bench.send(exchange)
    query, client = bench.upstream.query()
    bench.dialer.cancel(attempt)
    bench.dialer.cancel(attempt)
    bench.dialer.cancel(bench.attempt())  # never sent
    bench.answer(reply(query), client)
    assert exchange.messages == []
    assert bench.bad == {"unexpected": 1}


def test_servers_on_ipv6_are_asked_in_the_same_way(make: Make) -> None:
    bench = make()
    exchange = Exchange()
    with Upstream("::1") as bench.upstream:
        bench.send(exchange)
        query, client = bench.upstream.query()
        bench.answer(reply(query), client)
    assert exchange.messages == [reply(query)]


def test_a_refusal_by_icmp_fails_all_that_waits_on_its_socket(make: Make) -> None:
    bench = make(Options(query_port=0))
    exchange, other = Exchange(), Exchange()
    bench.send(other)
    server = closed_port()
    with Upstream(port=server.port) as silent:
        for _ in range(3):
            bench.send(exchange, server)
        silent.queries(3)
    bench.send(exchange, server)
    bench.reactor.read()
    assert exchange.reasons == ["Connection refused"] * 4
    assert other.reasons == []


def test_a_refusal_that_a_later_query_meets_is_that_of_the_earlier_ones(make: Make) -> None:
    bench = make(Options(query_port=0))
    exchange, later = Exchange(), Exchange()
    server = closed_port()
    bench.send(exchange, server)
    bench.reactor.wait()
    with Upstream(port=server.port) as bench.upstream:
        bench.send(later, server)
        assert exchange.reasons == []  # not from within send
        bench.reactor.advance(0)
        assert exchange.reasons == ["Connection refused"]
        query, client = bench.upstream.query()
        bench.answer(reply(query), client)
    assert later.messages == [reply(query)]


def test_an_attempt_that_is_cancelled_before_it_hears_of_its_refusal_hears_nothing(
    make: Make,
) -> None:
    bench = make(Options(query_port=0))
    exchange = Exchange()
    server = closed_port()
    attempt = bench.send(exchange, server)
    bench.reactor.wait()
    bench.send(server=server)
    bench.dialer.cancel(attempt)
    bench.reactor.advance(0)
    assert exchange.reasons == []


def test_a_query_that_no_datagram_can_hold_fails_in_the_next_turn(bench: Bench) -> None:
    exchange = Exchange()
    attempt = bench.attempt(exchange)
    attempt.message = bytes(70_000)
    bench.dialer.send(attempt, 0.0)
    assert exchange.reasons == []  # not from within send
    bench.reactor.advance(0)
    assert exchange.reasons == ["Message too long"]


def test_of_what_is_sent_in_one_turn_a_refusal_fails_what_was_out_before(make: Make) -> None:
    """ICMP's word on the first query is met by the second, which is sent once more; and so on."""
    bench = make(Options(query_port=0))
    server = closed_port()
    exchanges = [Exchange() for _ in range(3)]
    cancelled = Exchange()
    departures = bench.dialer.datagrams.departures
    departures.begin()
    for exchange in exchanges:
        bench.send(exchange, server)
    bench.dialer.cancel(bench.send(cancelled, server))
    departures.end()
    assert not any(exchange.reasons for exchange in exchanges)
    bench.reactor.advance(0)
    assert [exchange.reasons for exchange in exchanges] == [["Connection refused"]] * 3
    assert cancelled.reasons == []


def test_a_socket_that_is_closed_in_a_turn_has_sent_what_was_to_be_sent(make: Make) -> None:
    """Else its number might be another socket's by then."""
    bench = make(Options(query_port=0))
    departures = bench.dialer.datagrams.departures
    departures.begin()
    attempt = bench.send()
    bench.dialer.cancel(attempt)
    bench.dialer.datagrams.close(attempt.line[0])
    assert bench.upstream.query()[0][2:] == attempt.message
    departures.end()


def test_one_turn_sends_more_than_fits_into_one_call(bench: Bench) -> None:
    departures = bench.dialer.datagrams.departures
    departures.begin()
    for _ in range(200):
        bench.send()
    departures.end()
    assert len(bench.upstream.queries(200)) == 200


def test_a_fault_of_ours_in_a_turn_does_not_end_reading(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> None:
        raise ZeroDivisionError

    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    with monkeypatch.context() as patched:
        patched.setattr(bench.dialer.datagrams, "_read_each", fault)
        bench.answer(reply(query), client)
    assert bench.counters.exceptions == 1
    bench.reactor.read()
    assert exchange.messages == [reply(query)]


def test_after_five_seconds_nobody_waits_and_then_everything_is_closed(bench: Bench) -> None:
    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    bench.reactor.pump([1.0] * 6)
    bench.answer(reply(query), client)
    assert exchange.messages == []
    assert exchange.reasons == []
    assert bench.dialer.sockets == 1
    bench.reactor.pump([1.0] * 6)
    assert bench.dialer.sockets == 0
    assert not bench.reactor.getDelayedCalls()  # an idle process does not wake up
    assert len(bench.sources(10)) == 10


def test_servers_that_are_no_more_configured_answer_what_they_were_asked(bench: Bench) -> None:
    exchange = Exchange()
    bench.send(exchange)
    query, client = bench.upstream.query()
    bench.dialer.retain([])
    bench.answer(reply(query), client)
    assert exchange.messages == [reply(query)]
    assert bench.dialer.sockets == 0


def test_servers_that_stay_keep_their_sockets(bench: Bench) -> None:
    bench.sources(1000)
    before = bench.dialer.sockets
    bench.dialer.retain([bench.upstream.server])
    attempt = bench.send()
    assert bench.dialer.sockets - before in (0, 1)
    assert not attempt.line[0].retired


def test_after_the_end_attempts_fail_at_once_and_nothing_is_opened(bench: Bench) -> None:
    exchange = Exchange()
    bench.send(exchange)
    bench.dialer.close()
    assert bench.reactor.reader is None
    with pytest.raises(OSError, match="stopped"):
        bench.send(exchange)
    assert bench.dialer.sockets == 0
    assert exchange.reasons == []
    bench.dialer.close()
