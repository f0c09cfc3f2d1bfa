"""One question on its way to its servers, played on a plain clock."""

import random
import struct
from collections.abc import Callable

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest

from kubedns.config import Nameserver
from kubedns.outside.exchange import (
    MAX_ATTEMPTS,
    MAX_SENDS,
    PATIENCE_S,
    Action,
    Answered,
    Exchange,
    GaveUp,
    Send,
)
from kubedns.outside.query import Question
from kubedns.wire import name as names
from kubedns.wire import rr

ONE = Nameserver("192.0.2.1")
TWO = Nameserver("192.0.2.2")
THREE = Nameserver("192.0.2.3", 5353)
WWW = Question(names.from_text("Www.Example.com."), rr.A)


class Play:
    """An exchange, its clock, and what it has sent so far as (time, server)."""

    def __init__(self, *servers: Nameserver, question: Question = WWW) -> None:
        self.now = 1000.0
        ids = iter(range(0x1234, 0xFFFF))
        self.exchange = Exchange(question, servers, lambda: next(ids).to_bytes(2))
        self.sends: list[Send] = []
        self.log: list[tuple[float, Nameserver]] = []
        self.outcome: Answered | GaveUp | None = None
        self.ended_at = 0.0
        self.take(self.exchange.start(self.now))

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            assert self.outcome is None, "something after the outcome"
            if isinstance(action, Send):
                self.sends.append(action)
                self.log.append((round(self.now - 1000, 3), action.server))
            else:
                self.outcome = action
                self.ended_at = round(self.now - 1000, 3)

    def hear(self, message: bytes, send: Send | None = None) -> None:
        """Let a message arrive, by default in answer to the last query sent."""
        self.take(self.exchange.received((send or self.sends[-1]).number, message, self.now))

    def fail(self, reason: str = "Connection refused", send: Send | None = None) -> None:
        self.take(self.exchange.failed((send or self.sends[-1]).number, reason, self.now))

    def wait(self, seconds: float = PATIENCE_S) -> None:
        """Let time pass; the exchange is called exactly when it wants to be."""
        end = self.now + seconds
        while self.outcome is None and self.exchange.deadline <= end:
            self.now = self.exchange.deadline
            self.take(self.exchange.timed_out(self.now))
        self.now = end

    def answered(self) -> Answered:
        assert isinstance(self.outcome, Answered)
        return self.outcome

    def gave_up(self) -> GaveUp:
        assert isinstance(self.outcome, GaveUp)
        return self.outcome


def reply(
    send: Send,
    *records: str,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    tc: bool = False,
    change: Callable[[dns.message.Message], object] = lambda _: None,
) -> bytes:
    """Make a reply to a query, by default with an address."""
    message = dns.message.make_response(dns.message.from_wire(send.query))
    name = message.question[0].name
    for record in records or (["60 IN A 192.0.2.80"] if rcode == 0 else []):
        ttl, _, rtype, data = record.split(maxsplit=3)
        message.answer.append(dns.rrset.from_text(name, int(ttl), "IN", rtype, data))
    message.set_rcode(rcode)
    if tc:
        message.flags |= dns.flags.TC
    change(message)
    return message.to_wire()


def test_a_query_asks_what_was_asked_with_its_letter_case_and_edns() -> None:
    play = Play(ONE, question=Question(WWW.qname, rr.AAAA, do=True, cd=True))
    query = dns.message.from_wire(play.sends[0].query)
    assert query.question[0].to_text() == "Www.Example.com. IN AAAA"
    assert query.flags == dns.flags.RD | dns.flags.CD
    assert (query.edns, query.payload, query.ednsflags) == (0, 1232, dns.flags.DO)
    plain = dns.message.from_wire(Play(ONE).sends[0].query)
    assert (plain.flags, plain.edns, plain.ednsflags) == (dns.flags.RD, 0, 0)


@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN])
def test_an_answer_ends_it(rcode: dns.rcode.Rcode) -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], rcode=rcode))
    assert (play.answered().response.rcode, play.answered().server) == (rcode, ONE)
    play.wait()
    assert len(play.sends) == 1


def test_every_attempt_has_an_id_of_its_own() -> None:
    play = Play(ONE, TWO, THREE)
    play.wait()
    ids = [send.query[:2] for send in play.sends]
    assert len(set(ids)) == len(ids) == len({send.number for send in play.sends})


PACE = {
    (ONE,): [(0.0, ONE), (0.4, ONE), (1.2, ONE)],
    (ONE, TWO): [(0.0, ONE), (0.4, TWO), (0.8, ONE), (1.6, TWO), (2.4, ONE)],
    (ONE, TWO, THREE): [
        (0.0, ONE), (0.4, TWO), (0.8, THREE), (1.2, ONE), (2.0, TWO), (2.8, THREE), (3.6, ONE),
    ],
}  # fmt: skip


@pytest.mark.parametrize("servers", PACE)
def test_silence_sends_the_next_server_off_early_and_repeats_ever_more_slowly(
    servers: tuple[Nameserver, ...],
) -> None:
    play = Play(*servers)
    play.wait()
    assert play.log == PACE[servers]
    assert play.ended_at == PATIENCE_S
    assert play.gave_up().timed_out
    assert play.gave_up().reason == ", ".join(f"{server} silent" for server in servers)


def test_no_server_and_no_question_is_asked_too_often() -> None:
    many = [Nameserver(f"10.0.0.{i}") for i in range(16)]
    play = Play(*many)
    play.wait()
    assert len(play.sends) == MAX_ATTEMPTS
    alone = Play(ONE)
    alone.wait()
    assert len(alone.sends) == MAX_SENDS


def test_a_late_answer_to_an_early_attempt_still_counts() -> None:
    play = Play(ONE, TWO)
    play.wait(3.9)
    play.hear(reply(play.sends[0]), play.sends[0])
    assert play.answered().server == ONE


# What may come first, forged or by accident, with the right answer behind it. Resolvers used to end
# their wait at one or the other of these (TuDoor, CVE-2023-29483).
BAD_FIRST: dict[str, Callable[[Send], bytes]] = {
    "3 octets": lambda send: send.query[:3],
    "nothing": lambda _: b"",
    "a header alone that says SERVFAIL": lambda send: (
        send.query[:2] + struct.pack(">HHHHH", 0x8182, 0, 0, 0, 0)
    ),
    "another ID": lambda send: b"\xff\xff" + reply(send)[2:],
    "our own query": lambda send: send.query,
    "not marked as a reply": lambda send: reply(
        send, change=lambda m: m.__setattr__("flags", m.flags & ~dns.flags.QR)
    ),
    "another opcode": lambda send: reply(
        send, change=lambda m: m.set_opcode(dns.opcode.STATUS)
    ),
    "another name": lambda send: reply(send).replace(b"\x03Www", b"\x03Wxw"),
    "another type": lambda send: reply(send).replace(
        b"\x03com\x00\x00\x01", b"\x03com\x00\x00\x1c", 1
    ),
    "another class": lambda send: reply(send).replace(
        b"\x03com\x00\x00\x01\x00\x01", b"\x03com\x00\x00\x01\x00\x03", 1
    ),
    "no question but an answer": lambda send: reply(send, change=lambda m: m.question.clear()),
    "two questions": lambda send: reply(send).replace(
        b"\0\1\0\1\0\0", b"\0\2\0\1\0\0", 1
    ),
    "a broken record": lambda send: reply(send)[:-13],
    "octets behind the end": lambda send: reply(send) + b"x",
}  # fmt: skip


@pytest.mark.parametrize("story", BAD_FIRST)
def test_a_bad_datagram_is_counted_and_waiting_goes_on(story: str) -> None:
    play = Play(ONE)
    bad = BAD_FIRST[story](play.sends[0])
    assert bad != reply(play.sends[0])
    play.hear(bad)
    assert play.outcome is None
    assert play.exchange.bad_datagrams == 1
    play.wait(0.08)
    play.hear(reply(play.sends[0]))
    assert play.answered().response.answer[0].rdatas == (b"\xc0\x00\x02\x50",)


def test_a_broken_record_sends_the_next_server_off_at_once_and_the_first_may_still_answer() -> None:
    play = Play(ONE, TWO)
    play.wait(0.1)
    play.hear(reply(play.sends[0])[:-13])
    assert play.log == [(0.0, ONE), (0.1, TWO)]
    play.hear(reply(play.sends[0]), play.sends[0])
    assert play.answered().server == ONE


def test_a_reply_counts_only_on_the_socket_of_its_query() -> None:
    play = Play(ONE, TWO)
    play.wait(0.4)
    play.hear(reply(play.sends[0]), play.sends[1])
    assert play.outcome is None
    assert play.exchange.bad_datagrams == 1


def test_letter_case_of_the_question_may_come_back_changed() -> None:
    play = Play(ONE)
    play.hear(reply(play.sends[0]).replace(b"\x03Www\x07Example", b"\x03wWW\x07eXAMPLE"))
    assert play.answered().response.qname == WWW.qname.lower()


def test_a_type_that_looks_like_a_letter_is_not_folded() -> None:
    # HTTPS is 65, which is an A; type 97 is the small one.
    play = Play(ONE, question=Question(WWW.qname, 65))
    https = b"\x03com\x00\x00\x41"
    play.hear(reply(play.sends[0], "60 IN A 192.0.2.1").replace(https, b"\x03com\x00\x00\x61", 1))
    assert play.outcome is None


@pytest.mark.parametrize(
    "rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.BADKEY]
)
def test_a_bad_code_sends_the_next_server_off_at_once(rcode: dns.rcode.Rcode) -> None:
    play = Play(ONE, TWO)
    play.wait(0.01)
    play.hear(reply(play.sends[0], rcode=rcode))
    assert play.log == [(0.0, ONE), (0.01, TWO)]
    play.hear(reply(play.sends[1]))
    assert play.answered().server == TWO


def test_a_bad_reply_does_not_beat_a_good_one_that_is_pending() -> None:
    play = Play(ONE, TWO)
    play.wait(0.4)
    play.hear(reply(play.sends[0], rcode=dns.rcode.SERVFAIL), play.sends[0])
    play.wait(3.0)
    assert play.outcome is None
    assert ONE not in [server for at, server in play.log if at > 0]
    play.hear(reply(play.sends[1]), play.sends[1])
    assert play.answered().server == TWO


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ((dns.rcode.REFUSED, dns.rcode.SERVFAIL), dns.rcode.SERVFAIL),
        ((dns.rcode.SERVFAIL, dns.rcode.REFUSED), dns.rcode.SERVFAIL),
        ((dns.rcode.NOTAUTH, dns.rcode.REFUSED), dns.rcode.REFUSED),
    ],
)
def test_when_all_are_bad_the_best_is_passed_on(
    codes: tuple[dns.rcode.Rcode, ...], best: dns.rcode.Rcode
) -> None:
    play = Play(ONE, TWO)
    for code in codes:
        play.hear(reply(play.sends[-1], rcode=code))
    assert play.answered().response.rcode == best
    assert play.ended_at == 0


def test_codes_that_mean_nothing_to_a_client_are_not_passed_on() -> None:
    play = Play(ONE)
    play.hear(reply(play.sends[0], rcode=dns.rcode.NOTAUTH))
    assert play.gave_up() == GaveUp(f"{ONE} said rcode 9", timed_out=False)


def test_a_bad_reply_is_passed_on_when_the_others_stay_silent() -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], rcode=dns.rcode.SERVFAIL))
    play.wait()
    assert play.answered().response.rcode == dns.rcode.SERVFAIL
    assert play.ended_at == PATIENCE_S


# Servers that do not know EDNS


@pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS])
def test_a_server_that_dislikes_edns_is_asked_once_more_without(rcode: dns.rcode.Rcode) -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], rcode=rcode))
    assert play.log == [(0.0, ONE), (0.0, ONE)]
    assert dns.message.from_wire(play.sends[1].query).edns == -1
    play.hear(reply(play.sends[1]))
    assert play.answered().server == ONE


def test_a_server_that_dislikes_plain_dns_too_is_done_with() -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], rcode=dns.rcode.FORMERR))
    play.hear(reply(play.sends[1], rcode=dns.rcode.FORMERR))
    assert play.log == [(0.0, ONE), (0.0, ONE), (0.0, TWO)]
    play.hear(reply(play.sends[2], rcode=dns.rcode.REFUSED))
    assert play.answered().response.rcode == dns.rcode.REFUSED


def test_two_edns_attempts_refused_make_one_plain_one() -> None:
    play = Play(ONE)
    play.wait(0.4)
    for send in tuple(play.sends):
        play.hear(reply(send, rcode=dns.rcode.FORMERR), send)
    assert len(play.sends) == 3
    assert play.outcome is None
    play.hear(reply(play.sends[2]))
    assert play.answered().server == ONE


def test_a_late_refusal_of_edns_ends_a_server_that_cannot_be_asked_again() -> None:
    play = Play(ONE)
    play.wait(0.4)
    edns, again = play.sends
    play.hear(reply(edns, rcode=dns.rcode.FORMERR), edns)
    play.fail()
    assert play.outcome is None
    play.hear(reply(again, rcode=dns.rcode.FORMERR), again)
    assert play.gave_up().reason == f"{ONE} said FORMERR"


def test_a_bare_formerr_brings_a_plain_query_beside_the_first_which_may_still_be_answered() -> None:
    play = Play(ONE)
    bare = play.sends[0].query[:2] + struct.pack(">HHHHH", 0x8181, 0, 0, 0, 0)
    play.hear(bare)
    play.hear(bare, play.sends[0])
    assert [dns.message.from_wire(send.query).edns for send in play.sends] == [0, -1]
    assert play.exchange.bad_datagrams == 2
    play.hear(reply(play.sends[0]), play.sends[0])
    assert play.answered().server == ONE


# Over TCP


def test_a_cut_reply_is_asked_for_again_over_tcp_of_the_same_server() -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], tc=True)[:-3])  # cut in the middle of a record, as some do
    assert [(send.server, send.tcp) for send in play.sends] == [(ONE, False), (ONE, True)]
    play.hear(reply(play.sends[1]))
    assert play.answered().server == ONE
    assert play.exchange.bad_datagrams == 0


def test_a_second_cut_reply_does_not_open_a_second_connection() -> None:
    play = Play(ONE, TWO)
    play.wait(0.8)
    play.hear(reply(play.sends[0], tc=True), play.sends[0])
    play.hear(reply(play.sends[2], tc=True), play.sends[2])
    assert [send.tcp for send in play.sends] == [False, False, False, True]


def test_other_servers_are_asked_while_a_connection_hangs() -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], tc=True))
    play.wait(0.4)
    assert play.log == [(0.0, ONE), (0.0, ONE), (0.4, TWO)]
    play.wait(3.0)
    assert ONE not in [server for at, server in play.log if at > 0], "no UDP beside TCP"


@pytest.mark.parametrize("how", ["reset", "broken", "cut", "refused"])
def test_a_connection_that_brings_nothing_sends_the_next_server_off(how: str) -> None:
    play = Play(ONE, TWO)
    play.hear(reply(play.sends[0], tc=True))
    tcp = play.sends[1]
    match how:
        case "reset":
            play.fail("over TCP: reset")
        case "broken":
            play.hear(reply(tcp)[:-3])
        case "cut":
            play.hear(reply(tcp, tc=True))
        case "refused":
            play.hear(reply(tcp, rcode=dns.rcode.REFUSED))
    assert (play.sends[-1].server, play.sends[-1].tcp) == (TWO, False)
    play.hear(reply(play.sends[-1]))
    assert play.answered().server == TWO


def test_a_single_server_whose_connection_fails_ends_it_at_once() -> None:
    play = Play(ONE)
    play.hear(reply(play.sends[0], tc=True))
    play.fail("over TCP: reset")
    assert play.gave_up() == GaveUp(f"{ONE} over TCP: reset", timed_out=False)
    assert play.ended_at == 0


def test_a_single_server_whose_reply_over_tcp_is_broken_ends_it_at_once() -> None:
    play = Play(ONE)
    play.hear(reply(play.sends[0], tc=True))
    play.hear(reply(play.sends[1])[:-3])
    assert not play.gave_up().timed_out
    assert play.exchange.bad_datagrams == 1


# Refused by the network


def test_a_refusal_by_the_network_sends_the_next_server_off_at_once() -> None:
    play = Play(ONE, TWO)
    play.wait(0.02)
    play.fail()
    assert play.log == [(0.0, ONE), (0.02, TWO)]
    play.hear(reply(play.sends[1]))
    assert play.answered().server == TWO


def test_a_server_that_restarts_is_asked_again_and_given_up_well_before_the_deadline() -> None:
    play = Play(ONE)
    for _ in range(MAX_SENDS):
        play.fail()
        play.wait(0.8)
    assert play.gave_up() == GaveUp(f"{ONE} Connection refused", timed_out=False)
    assert play.log == [(0.0, ONE), (0.4, ONE), (1.2, ONE)]
    assert play.ended_at < 2


def test_the_reason_is_bounded_however_much_happened() -> None:
    play = Play(*[Nameserver(f"2001:db8::{i}") for i in range(16)])
    play.wait()
    assert len(play.gave_up().reason) <= 200


def test_nothing_that_comes_after_the_end_does_anything() -> None:
    play = Play(ONE, TWO)
    play.wait(0.4)
    play.hear(reply(play.sends[0]), play.sends[0])
    play.hear(reply(play.sends[1]), play.sends[1])
    play.fail(send=play.sends[1])
    play.take(play.exchange.timed_out(play.now + 100))
    assert play.exchange.bad_datagrams == 0


def test_whatever_happens_there_is_one_outcome_in_time() -> None:
    rng = random.Random(531)
    codes = [dns.rcode.NOERROR, dns.rcode.SERVFAIL, dns.rcode.FORMERR, dns.rcode.REFUSED]
    for _ in range(300):
        servers = [Nameserver(f"10.0.0.{i}") for i in range(rng.randint(1, 4))]
        play = Play(*servers)
        while play.outcome is None:
            send = rng.choice(play.sends)
            match rng.randrange(6):
                case 0:
                    play.hear(reply(send, rcode=rng.choice(codes)), send)
                case 1:
                    play.hear(reply(send, tc=True), send)
                case 2:
                    play.hear(rng.randbytes(rng.randrange(40)), send)
                case 3:
                    play.fail(send=send)
                case _:
                    play.wait(rng.random())
        assert play.ended_at <= PATIENCE_S
        assert sum(not send.tcp for send in play.sends) <= MAX_ATTEMPTS
