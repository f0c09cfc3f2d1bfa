"""Towards servers: TCP when an answer is cut, connections that break, EDNS not understood."""

from __future__ import annotations

from collections.abc import Sequence

import dns.flags
import pytest

from tests.forwarder.behaviours import (
    FORMERR,
    GOOD,
    NOTIMP,
    answers,
    breaks_off,
    edns_or_not,
    fails,
    in_turn,
    quick,
    reply,
    resets,
    silent,
    slowly,
    truncated,
    udp_or_tcp,
)
from tests.forwarder.client import data, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.scripted import Act, Asked, How, Play

MANY = [f"@ 300 IN A 10.0.{i // 250}.{i % 250}" for i in range(300)]


def test_a_cut_answer_is_fetched_by_tcp(start: Start, server: StartServer) -> None:
    """C3: the client sees nothing of it if the whole fits."""
    upstream = server(udp_or_tcp(truncated, answers()))
    forwarder = start(f"--server={upstream.server}")
    for _ in range(2):
        reply_ = forwarder.ask("www.example.")
        assert data(reply_) == {GOOD}
        assert not reply_.flags & dns.flags.TC
    assert [each.tcp for each in upstream.asked] == [False, True]


def test_what_does_not_fit_is_cut_for_the_client_too(start: Start, server: StartServer) -> None:
    """As many records as fit, TC; all of them by TCP, and asked for once."""
    upstream = server(udp_or_tcp(truncated, answers(*MANY)))
    forwarder = start(f"--server={upstream.server}")
    for edns in (None, 512, 1232, 4096):
        wire = forwarder.raw(query("www.example.", edns=edns).to_wire())
        assert wire is not None
        assert len(wire) <= min(max(edns or 512, 512), 1400)
        reply_ = forwarder.ask("www.example.", edns=edns)
        assert reply_.flags & dns.flags.TC
        assert 1 <= len(reply_.answer[0]) < 300
    whole = forwarder.ask("www.example.", tcp=True)
    assert len(whole.answer[0]) == 300
    assert not whole.flags & dns.flags.TC
    assert len([each for each in upstream.asked if each.tcp]) == 1


def test_a_large_datagram_is_cut_for_a_client_without_edns(
    start: Start, server: StartServer
) -> None:
    """dnsmasq passes 987 octets on to a client that can take 512."""
    upstream = server(answers(*MANY[:60]))
    forwarder = start(f"--server={upstream.server}")
    wire = forwarder.raw(query("www.example.", edns=None).to_wire())
    assert wire is not None
    assert len(wire) <= 512
    assert wire[2] & 2
    assert len(forwarder.ask("www.example.").answer[0]) == 60


def test_a_datagram_beyond_the_offered_size(start: Start, server: StartServer) -> None:
    """4,800 octets where 1,232 were offered: a whole answer all the same, not half of one."""
    upstream = server(answers(*MANY))
    forwarder = start(f"--server={upstream.server}")
    assert len(forwarder.ask("www.example.", tcp=True).answer[0]) == 300


@pytest.mark.parametrize(
    "play", [resets, breaks_off, silent], ids=["reset", "broken off", "silent"]
)
def test_tcp_fails_too(start: Start, server: StartServer, play: Play) -> None:
    """Then there is no answer, and that is said; or what there was of it, marked as cut."""
    forwarder = start(f"--server={server(udp_or_tcp(truncated, play)).server}")
    reply_ = forwarder.ask("www.example.")
    assert data(reply_) == {"SERVFAIL"} or reply_.flags & dns.flags.TC
    assert forwarder.ask("www.example.", tcp=True).rcode() == 2


def test_tcp_is_refused(start: Start, server: StartServer) -> None:
    forwarder = start(f"--server={server(truncated, listens='udp').server}")
    reply_ = forwarder.ask("www.example.")
    assert data(reply_) == {"SERVFAIL"} or reply_.flags & dns.flags.TC


def test_tcp_is_refused_by_one_and_the_other_answers(start: Start, server: StartServer) -> None:
    cut = server(truncated, listens="udp")
    good = server(quick)
    forwarder = start(f"--server={cut.server}", f"--server={good.server}")
    for i in range(20):
        assert forwarder.look(f"n{i}.example.") == {GOOD}


def test_octets_of_a_stream_come_when_they_come(start: Start, server: StartServer) -> None:
    forwarder = start(f"--server={server(udp_or_tcp(truncated, slowly)).server}")
    assert forwarder.look("www.example.") == {GOOD}


@pytest.mark.parametrize("play", [resets, breaks_off], ids=["reset", "broken off"])
def test_a_connection_that_breaks_is_opened_again(
    start: Start, server: StartServer, play: Play
) -> None:
    upstream = server(udp_or_tcp(truncated, in_turn(play, quick)))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {GOOD}


def test_a_connection_is_used_for_many_questions(start: Start, server: StartServer) -> None:
    upstream = server(udp_or_tcp(truncated, quick))
    forwarder = start(f"--server={upstream.server}")
    names = [f"n{i}.example." for i in range(200)]
    for at in range(0, 200, 50):
        assert None not in forwarder.together(query(n).to_wire() for n in names[at : at + 50])
    assert [forwarder.look(name) for name in names] == [{GOOD}] * 200
    assert upstream.connections <= 8


def test_a_dying_connection_takes_no_question_with_it(start: Start, server: StartServer) -> None:
    """RFC 7766 6.2.1.1: the tenth question kills it while the others wait."""
    count = 0

    def tenth_kills(asked: Asked) -> Sequence[Act]:
        nonlocal count
        count += 1
        if count == 10:
            return [Act(how=How.RESET)]
        late = 0.3 if asked.connection == 1 else 0.0
        return [Act(act.octets, after_s=late) for act in quick(asked)]

    upstream = server(udp_or_tcp(truncated, tenth_kills))
    forwarder = start(f"--server={upstream.server}")
    replies = forwarder.together(query(f"n{i}.example.").to_wire() for i in range(40))
    assert [each is not None and each[3] & 15 for each in replies] == [0] * 40


def test_a_server_that_closes_after_each_answer(start: Start, server: StartServer) -> None:
    def one_each(asked: Asked) -> Sequence[Act]:
        return [*quick(asked), Act(how=How.CLOSE)]

    forwarder = start(f"--server={server(udp_or_tcp(truncated, one_each)).server}")
    for i in range(20):
        assert forwarder.look(f"n{i}.example.") == {GOOD}


@pytest.mark.parametrize(
    "dislike",
    [
        fails(FORMERR),
        fails(NOTIMP),
        lambda asked: [Act(asked.id + b"\x80\x01" + bytes(8))],
        lambda asked: [Act(reply(asked, rcode=FORMERR)[:10] + b"\0\0" + asked.question)],
    ],
    ids=["FORMERR", "NOTIMP", "bare header", "FORMERR without OPT"],
)
def test_a_server_that_knows_no_edns(start: Start, server: StartServer, dislike: Play) -> None:
    """RFC 6891 6.2.2: one try without, and it is remembered."""
    upstream = server(edns_or_not(dislike, quick))
    forwarder = start(f"--server={upstream.server}")
    for i in range(10):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    assert not any(each.edns for each in upstream.questions("n9.example."))


def test_a_server_that_is_silent_to_edns(start: Start, server: StartServer) -> None:
    """A firewall that drops it: found out by asking without, and remembered in the end."""
    upstream = server(udp_or_tcp(edns_or_not(silent, quick), silent))
    forwarder = start(f"--server={upstream.server}")
    for i in range(10):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    assert not any(each.edns for each in upstream.questions("n9.example."))


def test_edns_is_offered_whatever_the_client_says(start: Start, server: StartServer) -> None:
    """1,232 octets (DNS flag day 2020), DO only if asked for."""
    upstream = server()
    forwarder = start(f"--server={upstream.server}")
    forwarder.ask("plain.example.", edns=None)
    forwarder.ask("big.example.", edns=9000)
    forwarder.ask("do.example.", do=True)
    assert [each.message.payload for each in upstream.asked] == [1232] * 3
    flags = {each.name: each.message.ednsflags for each in upstream.asked}
    assert flags == {"plain.example.": 0, "big.example.": 0, "do.example.": dns.flags.DO}


def test_the_offered_size_can_be_set(start: Start, server: StartServer) -> None:
    upstream = server()
    forwarder = start(f"--server={upstream.server}", "--edns-packet-max=800")
    assert forwarder.look("www.example.") == {GOOD}
    assert [each.message.payload for each in upstream.asked] == [800]
