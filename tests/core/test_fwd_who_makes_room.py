"""Which question is given up when there are too many: not that of who asks little."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dnsmasq_py import express, flights
from dnsmasq_py.flights import LIGHT
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from tests.fwdreplay import Asked, Replay

HEAVY = "10.6.6.6"
ROOM = 100  # questions to one group
TOO_MANY = "questions of one group"


def flood(replay: Replay, count: int, name: str = "flood", client: str = HEAVY) -> list[Asked]:
    """Let one client ask for so many names."""
    return [replay.client_asks(f"{name}{i}.example.com. A", client=client) for i in range(count)]


def unanswered(asked: Iterable[Asked]) -> int:
    return sum(not one.replies for one in asked)


def test_a_client_with_all_the_room_pays_for_the_room_of_all_others() -> None:
    """His oldest is given up for each of theirs, though theirs are older."""
    replay = Replay(dns_forward_max=ROOM)
    before = [
        replay.client_asks(f"b{i}.example.com. A", client=f"10.1.0.{i % 9}") for i in range(20)
    ]
    heavy = flood(replay, 150)
    after = [
        replay.client_asks(f"a{i}.example.com. A", client=f"10.1.0.{i % 9}") for i in range(20)
    ]
    assert unanswered(before) == unanswered(after) == 20
    assert [bool(one.replies) for one in heavy] == [True] * 90 + [False] * 60
    assert replay.counters.limits[TOO_MANY] == 90
    replay.time_passes(6)
    assert all(len(one.replies) == 1 for one in before + heavy + after)
    assert replay.is_quiet()


def test_of_two_floods_the_greater_one_pays() -> None:
    replay = Replay(dns_forward_max=ROOM)
    small = flood(replay, 30, "s", "10.6.6.1")
    great = flood(replay, 70, "g")
    flood(replay, 10, "light", "10.1.0.1")
    assert (unanswered(small), unanswered(great)) == (30, 60)


def test_when_every_query_is_from_another_address_the_oldest_goes() -> None:
    """Forged ones tell nothing of who asks much; a client with a handful is no worse off."""
    replay = Replay(dns_forward_max=ROOM)
    client = flood(replay, LIGHT, "real", "10.1.0.1")
    asked = [replay.client_asks(f"f{i}.example.com. A", client=f"10.2.{i}.9") for i in range(ROOM)]
    assert unanswered(client) == 0, "they were the oldest"
    assert unanswered(asked) == ROOM
    again = flood(replay, LIGHT, "again", "10.1.0.1")
    assert unanswered(again) == LIGHT, "the oldest, and they are not"
    assert unanswered(asked) == ROOM - LIGHT
    assert replay.counters.limits[TOO_MANY] == 2 * LIGHT


def test_a_question_that_both_wait_for_is_the_light_ones() -> None:
    replay = Replay(dns_forward_max=ROOM)
    heavy = flood(replay, ROOM)
    light = [
        replay.client_asks(f"flood{i}.example.com. A", client="10.1.0.1") for i in range(0, 30, 2)
    ]
    flood(replay, 50, "more")
    assert unanswered(light) == 15
    assert unanswered(heavy[:30]) == 15
    assert unanswered(heavy) == 50


def test_what_nobody_waits_for_goes_first() -> None:
    """A refresh in the background is worth less than anybody's question."""
    replay = Replay(dns_forward_max=ROOM)
    text = "popular.example.com. 30 IN A 192.0.2.7"
    replay.resolve("popular.example.com. A", text)
    replay.client_asks("popular.example.com. A")
    replay.time_passes(27.5)  # it dies at 28.5 at the earliest
    replay.client_asks("popular.example.com. A")
    assert replay.counters.prefetched == 1
    asked = flood(replay, ROOM)
    assert unanswered(asked) == ROOM
    assert not any("popular" in text for text in replay.questions)
    assert unanswered(flood(replay, 1, "next")) == 1
    assert unanswered(asked) == ROOM - 1


def test_a_refresh_that_somebody_waits_for_is_his() -> None:
    replay = Replay(dns_forward_max=ROOM)
    replay.resolve("popular.example.com. A", "popular.example.com. 30 IN A 192.0.2.7")
    replay.client_asks("popular.example.com. A")
    replay.time_passes(27.5)  # it dies at 28.5 at the earliest
    replay.client_asks("popular.example.com. A")
    assert replay.counters.prefetched == 1
    replay.time_passes(3)
    waits = replay.client_asks("popular.example.com. A", client="10.1.0.1")
    assert not waits.replies
    asked = flood(replay, 120)
    assert unanswered([waits]) == 1
    assert unanswered(asked) == ROOM - 1


def test_a_chain_is_paid_by_who_waits_at_its_end() -> None:
    """An alias of a stub domain leads outside, where one client has all the room."""
    replay = Replay(dns_forward_max=ROOM)
    light = replay.client_asks("x.stub.example. A", client="10.1.0.1")
    replay.upstream_answers("x.stub.example. 60 IN CNAME target.example.com.")
    heavy = flood(replay, 110)
    assert not light.replies
    assert unanswered(heavy) == ROOM - 1
    replay.upstream_answers(
        "target.example.com. 60 IN A 192.0.2.8", question="target.example.com. A"
    )
    assert light.answer[0].startswith("target.example.com.")


def test_a_chain_that_a_light_client_joins_is_his_to_its_end() -> None:
    replay = Replay(dns_forward_max=ROOM)
    replay.client_asks("x.stub.example. A", client=HEAVY)
    replay.upstream_answers("x.stub.example. 60 IN CNAME target.example.com.")
    flood(replay, 50)
    light = replay.client_asks("x.stub.example. A", client="10.1.0.1")
    flood(replay, 110, "more")
    assert not light.replies


def test_as_many_as_are_let_in_at_all_and_the_one_with_the_most_pays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (flights, express):
        monkeypatch.setattr(module, "MAX_QUESTIONS", 200)
    stubs = {f"s{i}.example": (Server(f"192.0.2.{i + 100}"),) for i in range(4)}
    replay = Replay(stubs=stubs)
    light = [
        replay.client_asks(f"n{i}.s{i % 3}.example. A", client=f"10.1.{i % 7}.{i % 200}")
        for i in range(150)
    ]
    heavy = [replay.client_asks(f"h{i}.s3.example. A", client=HEAVY) for i in range(70)]
    assert replay.forwarder.in_flight == 200
    assert (unanswered(light), unanswered(heavy)) == (150, 50)
    replay.time_passes(6)
    assert replay.is_quiet()


def test_nothing_is_asked_again_for_want_of_room() -> None:
    """Else, after a change of the whole zone, each would push out the next, a hundred deep."""
    replay = Replay(dns_forward_max=ROOM)
    asked = [
        replay.client_asks(f"n{i}.ns.svc.cluster.local. A", client=f"10.1.0.{i}")
        for i in range(ROOM)
    ]
    replay.forwarder.purges.purge([names.from_text("cluster.local")])
    more = [
        replay.client_asks(f"m{i}.ns.svc.cluster.local. A", client="10.1.1.1") for i in range(3)
    ]
    assert [one.rcode for one in asked[:3]] == ["SERVFAIL"] * 3
    assert unanswered(asked) == ROOM - 3
    assert unanswered(more) == 3


def test_nothing_is_left_of_who_paid() -> None:
    """The books are bounded by the questions under way."""
    replay = Replay(dns_forward_max=ROOM, auto=lambda asked: None)
    books = replay.forwarder.flights._by_group
    for number in range(500):
        replay.client_asks(f"n{number % 130}.example.com. A", client=f"10.1.{number % 25}.1")
    (queue,) = books.values()
    assert sum(map(len, queue.by_payer.values())) == len(queue.order) <= ROOM
    assert all(len(own) > LIGHT for own in queue.heavy.values())
    replay.time_passes(12)
    assert not books
    assert replay.is_quiet()


def test_that_kubedns_knows_nothing_yet_is_no_want_of_room() -> None:
    """It says so with the same code: then a name is asked for once a second, not for each query."""
    replay = Replay()
    for second in range(3):
        for number in range(50):
            asked = replay.client_asks("web.shop.svc.cluster.local. A")
            if number == 0:
                replay.upstream_answers(rcode="SERVFAIL", ede=(14, "not yet in sync"))
            assert asked.rcode == "SERVFAIL"
        assert replay.counters.misses == second + 1
        replay.time_passes(1.0)


def test_a_name_that_was_given_up_is_asked_for_at_once() -> None:
    replay = Replay(dns_forward_max=1)
    first, _ = flood(replay, 2)
    assert first.rcode == "SERVFAIL"
    assert not flood(replay, 1)[0].replies
    assert replay.questions == ["192.0.2.1 flood0.example.com. A"]
