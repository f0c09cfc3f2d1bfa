"""A bad datagram first, the right answer 80 ms later: the right answer counts, and only that."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest

from tests.forwarder.behaviours import (
    BAD,
    EVIL,
    GOOD,
    answers,
    bad_then_good,
    by_name,
    late,
    reply,
    trailing,
    truncated,
    udp_or_tcp,
)
from tests.forwarder.client import query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import NO_LOCAL_FILES, Forwarder
from tests.forwarder.scripted import Act, Asked, How, Play, Scripted

ROWS = [*BAD, "octets behind the last record"]
_EVERY = {**BAD, ROWS[-1]: trailing}


def domain(what: str) -> str:
    """Give each row a domain of its own, so that its server is none of the others' business."""
    return f"row{ROWS.index(what)}.example"


@pytest.fixture(scope="module")
def forwarder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarder]:
    with ExitStack() as stack:
        options = []
        for what in ROWS:
            server = stack.enter_context(Scripted(bad_then_good(_EVERY[what])))
            options.append(f"--server=/{domain(what)}/{server.server}")
        folder = tmp_path_factory.mktemp("bad-datagrams")
        yield stack.enter_context(Forwarder(folder, *NO_LOCAL_FILES, *options))


@pytest.mark.parametrize("what", ROWS)
def test_the_wait_goes_on_for_the_right_answer(forwarder: Forwarder, what: str) -> None:
    name = f"www.{domain(what)}."
    assert forwarder.look(name) == {GOOD}
    assert forwarder.look(name) == {GOOD}, "what is remembered"


@pytest.mark.parametrize("what", ROWS)
def test_so_it_does_when_a_client_asks_by_tcp(forwarder: Forwarder, what: str) -> None:
    assert forwarder.look(f"tcp.{domain(what)}.", tcp=True) == {GOOD}


def test_what_was_not_the_answer_is_counted(forwarder: Forwarder, ours_only: None) -> None:
    before = forwarder.metric("kubedns_forwarder_bad_replies_total")
    assert forwarder.look(f"counted.{domain('other name')}.") == {GOOD}
    assert forwarder.metric("kubedns_forwarder_bad_replies_total") > before


def test_a_thousand_guessed_ids_do_not_end_the_wait(start: Start, server: StartServer) -> None:
    def guesses(asked: Asked) -> Sequence[Act]:
        evil, good = reply(asked, f"@ 300 IN A {EVIL}"), reply(asked, f"@ 300 IN A {GOOD}")
        ids = (i for i in iter(lambda: secrets.token_bytes(2), b"") if i != asked.id)
        return [*(Act(next(ids) + evil[2:]) for _ in range(1000)), Act(good, after_s=0.08)]

    forwarder = start(f"--server={server(guesses).server}")
    assert forwarder.look("www.example.") == {GOOD}


def test_the_first_answer_counts_and_what_comes_behind_it_is_ignored(
    start: Start, server: StartServer
) -> None:
    def twice(asked: Asked) -> Sequence[Act]:
        evil = reply(asked, f"@ 300 IN A {EVIL}")
        return [Act(reply(asked, f"@ 300 IN A {GOOD}")), Act(evil), Act(evil, after_s=0.05)]

    upstream = server(by_name({"marker.example.": late(answers(), 0.2)}, twice))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {GOOD}
    assert forwarder.look("marker.example.") == {GOOD}, "by now the others have come"
    assert forwarder.look("www.example.") == {GOOD}


def test_a_reply_at_another_questions_socket_is_not_taken(
    start: Start, server: StartServer
) -> None:
    """CVE-2020-25684: right ID, right question, right server, and a socket of the forwarder's."""
    held: list[Asked] = []

    def crosswise(asked: Asked) -> Sequence[Act]:
        held.append(asked)
        acts = [Act(reply(asked, f"@ 300 IN A {GOOD}"), after_s=0.15)]
        if len(held) == 2 and held[0].source != asked.source:
            for of, at in (held, held[::-1]):
                acts.append(Act(reply(of, f"@ 300 IN A {EVIL}"), to=at.source))
        return acts

    upstream = server(crosswise)
    forwarder = start(f"--server={upstream.server}")
    names = [["a.example.", "b.example."], ["c.example.", "d.example."]]
    for pair in names:  # the second time, should the pool have given one socket to both
        held.clear()
        replies = forwarder.together(query(name).to_wire() for name in pair)
        assert len(replies) == 2
        for name in pair:
            assert forwarder.look(name) == {GOOD}
        if held[0].source != held[1].source:
            return
    pytest.fail("never two sockets")


@pytest.mark.parametrize("what", ["other ID", "other name", "other type", "QR=0"])
def test_over_tcp_a_message_that_is_not_the_answer_is_passed_over(
    start: Start, server: StartServer, what: str
) -> None:
    upstream = server(udp_or_tcp(truncated, bad_then_good(BAD[what])))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {GOOD}
    assert forwarder.look("again.example.") == {GOOD}


def test_replies_over_tcp_come_in_any_order(start: Start, server: StartServer) -> None:
    """RFC 7766 7: the second question's reply first."""
    order: list[str] = []

    def backwards(asked: Asked) -> Sequence[Act]:
        order.append(asked.name)
        return [Act(reply(asked, f"@ 300 IN A 192.0.2.{len(order)}"), after_s=0.3 / len(order))]

    upstream = server(udp_or_tcp(truncated, backwards))
    forwarder = start(f"--server={upstream.server}")
    names = [f"{letter}.example." for letter in "abcd"]
    replies = forwarder.together(query(name).to_wire() for name in names)
    assert None not in replies
    for name in names:
        assert forwarder.look(name) == {f"192.0.2.{order.index(name) + 1}"}


def _forger(seen: list[Asked]) -> Play:
    def play(asked: Asked) -> Sequence[Act]:
        seen.append(asked)
        if asked.tcp:
            return []
        return [
            Act(reply(asked, f"@ 300 IN A {EVIL}"), how=How.OTHER_ADDRESS),
            Act(reply(asked, f"@ 300 IN A {EVIL}"), how=How.OTHER_PORT),
        ]

    return play


def test_forged_answers_alone_are_no_answer(start: Start, server: StartServer) -> None:
    """Right in everything but where they come from: the client gets SERVFAIL, nothing else."""
    seen: list[Asked] = []
    upstream = server(_forger(seen))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {"SERVFAIL"}
    upstream.play = answers()
    assert forwarder.look("other.example.") == {GOOD}
