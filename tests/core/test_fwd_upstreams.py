"""How servers are judged, and which one is asked."""

from collections import Counter
from random import Random

import pytest

from dnsmasq_py.server import Server
from dnsmasq_py.upstream import Upstream
from dnsmasq_py.upstreams import TOKENS, Group, Policy, Upstreams
from kubedns.wire import name as names
from kubedns.wire import rr

NOW = 1000.0


def upstream(srtt: float = 0.0, number: int = 1) -> Upstream:
    """Return a server that has always answered in this time; 0: that is not known."""
    new = Upstream(Server(f"192.0.2.{number}"), Random(number))
    for _ in range(40 if srtt else 0):
        new.answered(srtt, rr.NOERROR, NOW - 1)
    return new


def group(*members: Upstream, policy: Policy = Policy.FASTEST) -> Group:
    return Group(names.ROOT, members, policy=policy, random=Random(1))


def kill(victim: Upstream, now: float = NOW) -> None:
    for _ in range(4):
        victim.lost(now)
    assert not victim.up


def firsts(asked: Group, questions: int, now: float = NOW) -> Counter[Upstream]:
    """Ask questions that are answered at once; return how often each server was the first."""
    return Counter(asked.first(now)[0] for _ in range(questions))


# One server


def test_round_trip_and_deviation_are_those_of_rfc_6298() -> None:
    one = upstream()
    one.answered(0.100, rr.NOERROR, NOW)
    assert (one.srtt, one.rttvar, one.rto) == pytest.approx((0.1, 0.05, 0.3))
    one.answered(0.180, rr.NOERROR, NOW)
    assert (one.srtt, one.rttvar, one.rto) == pytest.approx((0.11, 0.0575, 0.34))
    one.answered(0.030, rr.NOERROR, NOW)
    assert (one.srtt, one.rttvar, one.rto) == pytest.approx((0.1, 0.063125, 0.3525))


@pytest.mark.parametrize(("srtt", "patience", "rto"), [
    (0.0005, 0.030, 0.0005), (0.2, 0.2, 0.2), (0.9, 0.4, 0.9), (3.0, 0.4, 2.0),
])  # fmt: skip
def test_patience_is_between_30_and_400_ms_and_time_outs_at_most_two_seconds(
    srtt: float, patience: float, rto: float
) -> None:
    one = upstream(srtt)
    assert (one.patience, one.rto) == pytest.approx((patience, rto), rel=0.01)


def test_four_losses_in_a_row_and_some_silence_make_a_server_down() -> None:
    one = upstream(0.01)
    one.answered(0.01, rr.NOERROR, NOW)
    for _ in range(6):
        one.lost(NOW + 0.2)
    assert one.up, "its last answer is too fresh"
    one.lost(NOW + 0.26)
    assert not one.up


def test_three_losses_do_not() -> None:
    one = upstream(0.01)
    for _ in range(3):
        one.lost(NOW + 9)
    assert one.up


@pytest.mark.parametrize("rcode", [rr.NOERROR, rr.SERVFAIL])
def test_any_reply_brings_a_server_up_again(rcode: int) -> None:
    one = upstream(0.01)
    kill(one)
    one.answered(0.01, rcode, NOW)
    assert one.up
    assert one.consec_loss == 0
    assert one.score == pytest.approx(one.srtt)


def test_a_lost_server_is_looked_after_at_a_quarter_second_and_ever_more_rarely() -> None:
    one = upstream(0.01)
    one.lost(NOW)
    pauses = []
    now = one.next_try
    assert now == NOW + 0.25
    for _ in range(8):
        one.tried(now)
        pauses.append(one.next_try - now)
        now = one.next_try
    for pause, about in zip(pauses, [0.25, 0.5, 1, 2, 4, 5, 5, 5], strict=True):
        assert pause == pytest.approx(about, rel=0.21)


def test_counts_are_kept() -> None:
    one = upstream()
    for rcode in (rr.NOERROR, rr.NXDOMAIN, rr.NXDOMAIN, rr.SERVFAIL):
        one.answered(0.004, rcode, NOW)
    assert one.nxdomain == 2
    assert one.rcodes == {rr.NOERROR: 1, rr.NXDOMAIN: 2, rr.SERVFAIL: 1}
    assert sum(one.latency.counts) == 4


# The choice


def test_the_fastest_server_gets_nearly_all_and_another_sometimes_a_copy() -> None:
    fast, slow = upstream(0.01), upstream(0.02, 2)
    asked = group(slow, fast)
    chosen = [asked.first(NOW) for _ in range(5000)]
    assert {servers[0] for servers in chosen} == {fast}
    copies = [servers for servers in chosen if len(servers) > 1]
    assert all(servers[1] is slow for servers in copies)
    assert 80 <= len(copies) <= 120


def test_a_server_that_lost_something_is_passed_over_at_once() -> None:
    fast, slow = upstream(0.01), upstream(0.02, 2)
    fast.lost(NOW)
    fast.lost(NOW)
    assert group(fast, slow).first(NOW)[0] is slow


def test_a_server_that_often_fails_alone_is_passed_over_until_it_is_good_again() -> None:
    fast, slow = upstream(0.01), upstream(0.02, 2)
    fast.spoiled()
    asked = group(fast, slow)
    assert asked.first(NOW)[0] is slow
    for _ in range(50):
        fast.pleased()
    assert asked.first(NOW)[0] is fast


def test_a_server_that_is_down_gets_copies_only_and_only_now_and_then() -> None:
    dead, good = upstream(0.01), upstream(0.02, 2)
    kill(dead)
    asked = group(dead, good)
    chosen = [asked.first(NOW + number / 1000) for number in range(3000)]
    assert {servers[0] for servers in chosen} == {good}
    assert 3 <= sum(dead in servers for servers in chosen) <= 5


def test_while_nothing_is_known_two_are_asked_at_once_and_all_in_turn() -> None:
    members = [upstream(number=number) for number in (1, 2, 3)]
    asked = group(*members)
    first = asked.first(NOW)
    for server in first:
        server.sent += 1
    second = asked.first(NOW)
    assert len(first) == len(second) == 2
    assert {*first, *second} == set(members)


def test_when_all_are_down_two_are_asked_at_once_while_few_questions_wait() -> None:
    members = [upstream(0.01, number) for number in (1, 2, 3)]
    asked = group(*members)
    for server in members:
        kill(server)
    assert len(asked.first(NOW)) == 2
    asked.in_flight = 100
    assert len(asked.first(NOW)) == 1


def test_when_all_are_down_every_server_has_its_turn() -> None:
    members = [upstream(0.01, number) for number in (1, 2, 3)]
    asked = group(*members)
    asked.in_flight = 100
    for server in members:
        kill(server)
    seen = []
    for number in range(30):
        (server,) = asked.first(NOW + number / 10)
        server.tried(NOW + number / 10)
        seen.append(server)
    assert set(seen[:10]) == set(members)
    assert min(Counter(seen).values()) >= 5


def test_strict_order_keeps_the_order_of_those_that_are_up() -> None:
    slow, fast = upstream(0.2), upstream(0.01, 2)
    asked = group(slow, fast, policy=Policy.STRICT_ORDER)
    assert firsts(asked, 200) == {slow: 200}
    kill(slow)
    assert firsts(asked, 200, NOW + 0.1) == {fast: 200}
    assert asked.first(NOW + 0.3) == (fast, slow)
    assert asked.best_of([slow, fast]) is slow


def test_all_servers_asks_all_that_are_up_and_all_when_none_is() -> None:
    members = [upstream(0.01, number) for number in (1, 2, 3)]
    asked = group(*members, policy=Policy.ALL_SERVERS)
    assert list(asked.first(NOW)) == members
    kill(members[0])
    assert list(asked.first(NOW)) == members[1:]
    kill(members[1])
    kill(members[2])
    assert list(asked.first(NOW)) == members


def test_a_question_of_low_priority_goes_to_one_server() -> None:
    unknown, other = upstream(), upstream(number=2)
    assert group(unknown, other).alone() is unknown
    slow, fast = upstream(0.2), upstream(0.01, 2)
    assert group(slow, fast).alone() is fast
    assert group(slow, fast, policy=Policy.STRICT_ORDER).alone() is slow
    kill(slow)
    kill(fast)
    assert group(slow, fast).alone() in (slow, fast)


# Tokens


def test_each_question_earns_nearly_half_a_further_attempt_up_to_a_hundred() -> None:
    asked = group(upstream(0.01))
    before = asked.tokens
    for _ in range(100):
        asked.first(NOW)
    assert 45 < asked.tokens - before < 50
    for _ in range(1000):
        asked.first(NOW)
    assert int(asked.tokens) == TOKENS
    paid = sum(asked.spend(NOW) for _ in range(500))
    assert paid == TOKENS + 1, "and one because it is time for one"


def test_with_many_questions_in_flight_more_is_kept() -> None:
    asked = group(upstream(0.01))
    asked.in_flight = 400
    for _ in range(1000):
        asked.first(NOW)
    assert int(asked.tokens) == 400


def test_without_tokens_or_while_all_are_down_one_attempt_goes_out_each_250_ms() -> None:
    asked = group(upstream(0.01))
    asked.tokens = 0.0
    assert sum(asked.spend(NOW + ms / 1000) for ms in range(2000)) == 8
    kill(asked.upstreams[0])
    asked.tokens = TOKENS
    assert sum(asked.spend(NOW + 2 + ms / 1000) for ms in range(2000)) == 8


# Configurations


def test_a_server_keeps_its_state_when_the_configuration_changes() -> None:
    known = Upstreams(Random(1))
    one, two = Server("192.0.2.1"), Server("192.0.2.2", 5353)
    state = known.get(one)
    known.get(two)
    known.retain([one])
    assert known.get(Server("192.0.2.1")) is state
    assert known.all() == [state]


def test_servers_are_told_apart_by_all_that_is_configured_of_them() -> None:
    known = Upstreams()
    assert known.get(Server("192.0.2.1")) is not known.get(Server("192.0.2.1", source="192.0.2.9"))
