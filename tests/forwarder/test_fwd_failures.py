"""Servers that fail, each in its own way: an error never beats a good answer, silence ends."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tests.forwarder.behaviours import (
    BAD,
    FORMERR,
    GOOD,
    NOTAUTH,
    NOTIMP,
    REFUSED,
    SERVFAIL,
    answers,
    fails,
    in_turn,
    late,
    quick,
    silent,
    udp_or_tcp,
    zone,
)
from tests.forwarder.client import data, ede, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.scripted import Act, Asked
from tests.realapi.ports import free_port
from tests.realapi.waiting import until

NAMES = [f"n{i}.example." for i in range(40)]
ERRORS = {"SERVFAIL": SERVFAIL, "REFUSED": REFUSED, "NOTIMP": NOTIMP, "FORMERR": FORMERR,
          "NOTAUTH": NOTAUTH}  # fmt: skip
POLICIES = ["", "--strict-order", "--all-servers"]


def dead() -> str:
    """A server that is not there: the kernel says so at once."""
    return f"127.0.0.2#{free_port()}"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda text: text or "default")
@pytest.mark.parametrize("error", ERRORS)
def test_a_fast_error_never_beats_a_slower_good_answer(
    start: Start, server: StartServer, error: str, policy: str
) -> None:
    """dnsmasq gives 0 % of right answers here, with SERVFAIL."""
    bad, good = server(fails(ERRORS[error])), server(late(quick, 0.02))
    options = [f"--server={bad.server}", f"--server={good.server}", *filter(None, [policy])]
    forwarder = start(*options)
    assert [forwarder.look(name) for name in NAMES] == [{GOOD}] * len(NAMES)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda text: text or "default")
@pytest.mark.parametrize("how", ["not there", "silent", "broken"])
def test_one_of_two_servers_is_enough(
    start: Start, server: StartServer, how: str, policy: str
) -> None:
    good = server(quick)
    bad = silent if how == "silent" else garbled
    one = dead() if how == "not there" else server(udp_or_tcp(bad, silent)).server
    forwarder = start(f"--server={one}", f"--server={good.server}", *filter(None, [policy]))
    replies = forwarder.together(query(name).to_wire() for name in NAMES)
    assert None not in replies
    assert [forwarder.look(name) for name in NAMES] == [{GOOD}] * len(NAMES)


def garbled(asked: Asked) -> Sequence[Act]:
    """The right question, and an answer that cannot be read."""
    return [BAD["a record cut short"](asked, b"")]


@pytest.mark.parametrize("error", ERRORS)
def test_if_all_fail_the_client_is_told_so(start: Start, server: StartServer, error: str) -> None:
    one, two = server(fails(ERRORS[error])), server(fails(ERRORS[error]))
    forwarder = start(f"--server={one.server}", f"--server={two.server}")
    assert forwarder.look("www.example.") in ({"SERVFAIL"}, {error})
    assert one.asked
    assert two.asked


def test_of_two_errors_servfail_is_the_one_to_try_again(start: Start, server: StartServer) -> None:
    """REFUSED is final for some clients; a server that only had a bad moment is not."""
    one, two = server(fails(REFUSED)), server(fails(SERVFAIL))
    forwarder = start(f"--server={one.server}", f"--server={two.server}")
    assert forwarder.look("www.example.") == {"SERVFAIL"}


def test_a_server_that_is_not_there(start: Start) -> None:
    """SERVFAIL before a client gives up, and with a reason (RFC 8914)."""
    forwarder = start(f"--server={dead()}")
    began = time.monotonic()
    reply = forwarder.ask("www.example.")
    assert data(reply) == {"SERVFAIL"}
    assert {*ede(reply)} & {22, 23}
    assert time.monotonic() - began < 8
    assert not forwarder.ask("other.example.", edns=None).options


def test_a_silent_server(start: Start, server: StartServer) -> None:
    forwarder = start(f"--server={server(udp_or_tcp(silent, silent)).server}")
    reply = forwarder.ask("www.example.")
    assert data(reply) == {"SERVFAIL"}
    assert 22 in ede(reply)


def test_the_deadline_can_be_set(start: Start, server: StartServer, ours_only: None) -> None:
    upstream = server(udp_or_tcp(silent, silent))
    forwarder = start(f"--server={upstream.server}", nanny=["--client-deadline=500ms"])
    began = time.monotonic()
    assert forwarder.look("www.example.") == {"SERVFAIL"}
    assert 0.4 < time.monotonic() - began < 4


def test_a_server_that_comes_back_is_used(start: Start, server: StartServer) -> None:
    port = free_port()
    forwarder = start(f"--server=127.0.0.2#{port}")
    assert forwarder.look("www.example.") == {"SERVFAIL"}
    server(port=port)
    names = (f"new{i}.example." for i in range(1000))
    until(lambda: forwarder.look(next(names)) == {GOOD})
    until(lambda: forwarder.look("www.example.") == {GOOD})


def test_a_better_server_that_comes_back_is_found_again(start: Start, server: StartServer) -> None:
    """The other one answers, but slowly."""
    port = free_port()
    slow = server(late(quick, 0.1))
    forwarder = start(f"--server=127.0.0.2#{port}", f"--server={slow.server}")
    for i in range(5):
        assert forwarder.look(f"before{i}.example.") == {GOOD}
    fast = server(quick, port=port)
    names = (f"new{i}.example." for i in range(10_000))
    until(lambda: forwarder.look(next(names)) == {GOOD} and len(fast.asked) > 50)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_lost_query_is_repeated(start: Start, server: StartServer, transport: str) -> None:
    """By us, not by the client: the first datagram of each name goes nowhere."""
    seen: set[str] = set()

    def forgetful(asked: Asked) -> Sequence[Act]:
        if asked.name in seen:
            return quick(asked)
        seen.add(asked.name)
        return []

    forwarder = start(f"--server={server(forgetful).server}")
    for name in NAMES[:10]:
        assert forwarder.look(name, tcp=transport == "tcp") == {GOOD}


def test_udp_does_not_come_through(start: Start, server: StartServer) -> None:
    """Three datagrams without an answer, then TCP."""
    upstream = server(udp_or_tcp(silent, quick))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {GOOD}


def test_an_error_that_passes(start: Start, server: StartServer) -> None:
    """The failure is remembered for seconds; then it is asked again, and answered."""
    upstream = server(in_turn(fails(SERVFAIL), answers()))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {"SERVFAIL"}
    until(lambda: forwarder.look("www.example.") == {GOOD})


def test_three_hundred_questions_to_a_silent_server_are_nobody_elses_business(
    start: Start, server: StartServer
) -> None:
    """dnsmasq's 150 slots, of which each is held for 10 s."""
    good, quiet = server(quick), server(udp_or_tcp(silent, silent))
    forwarder = start(f"--server={good.server}", f"--server=/quiet.example/{quiet.server}")
    lost = [query(f"n{i}.quiet.example.").to_wire() for i in range(300)]
    with forwarder.volley(lost) as volley:
        for name in NAMES:
            assert forwarder.look(name) == {GOOD}
            assert forwarder.look(name) == {GOOD}
        replies = volley.replies()
    assert {each[3] & 15 for each in replies if each} == {SERVFAIL}
    assert None not in replies
    quiet.play = quick
    names = (f"later{i}.quiet.example." for i in range(1000))
    until(lambda: forwarder.look(next(names)) == {GOOD})


def test_a_flood_of_new_names_is_shed_and_hinders_nobody_else(
    start: Start, server: StartServer
) -> None:
    """More questions in flight than there may be: the oldest are given up, with SERVFAIL."""
    good, quiet = server(quick), server(udp_or_tcp(silent, silent))
    forwarder = start(f"--server={good.server}", f"--server=/quiet.example/{quiet.server}")
    assert forwarder.look("hit.example.") == {GOOD}
    with forwarder.open() as flood:
        for i in range(2500):
            wire = query(f"n{i}.quiet.example.").to_wire()
            flood.send(i.to_bytes(2) + wire[2:])
            if i % 50 == 0:
                assert forwarder.look("hit.example.") == {GOOD}
                assert forwarder.look(f"new{i}.example.") == {GOOD}
        flood.settimeout(10.0)
        replies: dict[bytes, bytes] = {}
        while len(replies) < 1000:
            reply = flood.recv(65535)
            replies[reply[:2]] = reply
    assert {each[3] & 15 for each in replies.values()} == {SERVFAIL}
    assert forwarder.look("after.example.") == {GOOD}


def test_two_hundred_questions_to_a_slow_server_are_all_answered(
    start: Start, server: StartServer
) -> None:
    """dnsmasq refuses what is beyond 150."""
    forwarder = start(f"--server={server(late(quick, 1.0)).server}")
    replies = forwarder.together(query(f"n{i}.example.").to_wire() for i in range(200))
    assert [each is not None and each[3] & 15 for each in replies] == [0] * 200


def test_what_has_expired_is_served_while_its_server_fails(
    start: Start, server: StartServer, ours_only: None
) -> None:
    """RFC 8767: at most 30 s, marked as stale; and the new data when the server is back."""
    upstream = server(zone(f"www.example. 1 IN A {GOOD}"))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {GOOD}
    for play in (fails(SERVFAIL), udp_or_tcp(silent, silent)):
        upstream.play = play
        time.sleep(1.2)
        reply = forwarder.ask("www.example.")
        assert data(reply) == {GOOD}
        assert reply.answer[0].ttl <= 30
        assert 3 in ede(reply)
    assert forwarder.look("new.example.") == {"SERVFAIL"}
    upstream.play = zone("www.example. 60 IN A 192.0.2.2")


def test_nxdomain_is_an_answer(start: Start, server: StartServer) -> None:
    """Not a failure of the one server, to be tried at the next."""
    one, two = server(zone()), server(zone(f"www.example. 60 IN A {GOOD}"))
    forwarder = start(f"--server={one.server}", f"--server={two.server}", "--strict-order")
    assert forwarder.look("www.example.") == {"NXDOMAIN"}
    assert not two.asked
