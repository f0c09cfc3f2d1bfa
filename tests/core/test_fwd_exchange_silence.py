"""A question whose servers are silent: who is asked when, how often, and how it ends."""

import pytest

from dnsmasq_py.server import Transport
from dnsmasq_py.upstreams import Policy
from tests.exchanging import RTT_S, Play


def test_an_answer_to_the_first_query_is_all_that_happens() -> None:
    play = Play().start()
    play.wait(10)
    assert play.hear()
    play.wait()
    assert play.log == [(0, 1, ".")]
    assert (play.rcode, play.ended_at) == (0, 10)
    assert play.exchange.winner is play.members[0]
    assert play.group.in_flight == 0


def test_silence_of_one_server_sends_the_next_one_off_after_30_ms() -> None:
    play = Play().start()
    play.wait(59)
    assert play.log == [(0, 1, "."), (30, 2, ".")]


def test_each_server_is_asked_three_times_over_udp_then_over_tcp_and_eight_times_in_all() -> None:
    play = Play().start()
    play.wait()
    assert play.log == [
        (0, 1, "."), (30, 2, "."), (60, 1, "."), (90, 2, "."), (120, 1, "."), (150, 2, "."),
        (180, 1, "t"), (210, 2, "t"),
    ]  # fmt: skip


def test_one_server_alone_gets_all_patience() -> None:
    play = Play(1).start()
    play.wait(3000)
    assert play.log == [(0, 1, "."), (60, 1, "."), (120, 1, "."), (180, 1, "t")]
    play.fail("no connection within 1 s")
    play.wait(250)
    assert play.log[4:] == [(3250, 1, "t")]


def test_a_slow_server_is_not_flooded() -> None:
    play = Play(1, known=0)
    for _ in range(30):
        play.members[0].answered(0.5, 0, play.now)
    play.start().wait(1000)
    assert [at for at, _, _ in play.log] == [0, 750]


def test_an_unknown_server_gets_150_ms_and_another_unknown_one_a_copy_at_once() -> None:
    play = Play(3, known=0).start()
    play.wait(180)
    assert play.log == [(0, 1, "."), (0, 2, "."), (150, 3, ".")]


def test_silence_of_all_ends_before_clients_give_up_and_says_who_was_silent() -> None:
    play = Play().start()
    play.wait()
    assert play.ended_at == 4500
    assert play.failure.ede == 22
    assert play.failure.reason == "upstream 192.0.2.1 timed out, upstream 192.0.2.2 timed out"
    assert play.exchange.winner is None
    assert play.group.in_flight == 0


def test_a_late_answer_to_an_early_query_still_counts() -> None:
    play = Play().start()
    play.wait(4400)
    play.hear(attempt=0)
    assert (play.rcode, play.exchange.winner) == (0, play.members[0])


def test_an_answer_after_the_outcome_tells_how_slow_its_server_is() -> None:
    play = Play(known=0).start()
    play.wait(10)
    play.hear(attempt=0)
    play.wait(290)
    assert play.members[1].srtt == 0
    play.hear(attempt=1)
    assert play.members[1].srtt == pytest.approx(0.3)
    assert len(play.outcomes) == 1
    assert play.late == []


def test_a_good_answer_after_giving_up_is_handed_over_to_be_stored() -> None:
    play = Play(1).start()
    play.wait(4700)
    assert play.ended_at == 4500
    play.hear(attempt=1)
    assert [reply.rcode for reply in play.late] == [0]
    assert len(play.outcomes) == 1


def test_a_bad_answer_after_giving_up_is_not() -> None:
    play = Play(1).start()
    play.wait(4700)
    play.hear(2, attempt=1)
    play.hear(attempt=2, broken=True)
    play.hear(attempt=0, cut=True)
    assert play.late == []


def test_unanswered_queries_are_given_up_two_seconds_after_an_answer() -> None:
    play = Play().start()
    play.wait(40)
    play.hear()
    play.wait(1900)
    assert play.cancelled == []
    play.wait()
    assert play.cancelled == [play.sent[0]]
    assert play.members[0].timeouts == 1
    assert play.exchange.due == float("inf")


def test_after_a_failure_they_stay_for_half_a_second() -> None:
    play = Play(1).start()
    play.wait(4990)
    assert play.cancelled == []
    play.wait(100)
    assert play.cancelled == play.sent


def test_silence_counts_against_a_server_also_after_another_one_has_answered() -> None:
    play = Play().start()
    play.wait(40)
    assert play.members[0].consec_loss == 1
    play.hear()
    play.wait(20)
    assert play.members[1].consec_loss == 0
    play.hear(attempt=0)
    assert play.members[0].consec_loss == 0


def test_without_tokens_only_one_further_query_goes_out_every_250_ms() -> None:
    play = Play(1)
    play.group.tokens = -1.0
    play.start().wait(1000)
    assert [at for at, _, _ in play.log] == [0, 60, 370, 680]


def test_a_question_of_low_priority_asks_another_server_only_instead_of_a_repeat() -> None:
    play = Play()
    play.start(extras=False)
    play.wait(100)
    assert play.log == [(0, 1, "."), (60, 2, ".")]


def test_while_we_are_late_ourselves_nobody_is_asked_early() -> None:
    play = Play().start()
    play.now += 0.04
    play.exchange.timed_out(play.now, extras=False)
    assert len(play.sent) == 1


def test_a_client_that_repeats_its_question_brings_the_next_query_forward_once() -> None:
    play = Play().start()
    play.wait(5)
    play.exchange.joined_again(play.now)
    play.exchange.joined_again(play.now)
    assert play.log == [(0, 1, "."), (5, 2, ".")]
    alone = Play(1).start()
    alone.wait(5)
    alone.exchange.joined_again(alone.now)
    assert alone.log == [(0, 1, "."), (5, 1, ".")]
    alone.hear()
    alone.exchange.joined_again(alone.now)
    assert len(alone.sent) == 2


def test_a_cancelled_question_has_no_outcome() -> None:
    play = Play().start()
    play.wait(40)
    play.exchange.cancel()
    play.wait()
    assert play.outcomes == []
    assert play.cancelled == play.sent
    assert play.group.in_flight == 0
    play.exchange.cancel()
    assert play.group.in_flight == 0


def test_strict_order_asks_the_first_and_the_next_after_the_same_silence() -> None:
    play = Play(3, policy=Policy.STRICT_ORDER)
    play.members[0].answered(0.02, 0, play.now)  # slower than the others, and still the first
    play.start().wait(65)
    assert [n for _, n, _ in play.log] == [1, 2, 3]


def test_all_servers_asks_all_at_once() -> None:
    play = Play(3, policy=Policy.ALL_SERVERS).start()
    assert play.log == [(0, 1, "."), (0, 2, "."), (0, 3, ".")]


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_a_server_for_tcp_or_tls_is_asked_in_no_other_way_and_rarely_again(
    transport: Transport,
) -> None:
    play = Play(1, transport=transport).start()
    play.wait()
    assert play.log == [(0, 1, "t"), (1000, 1, "t"), (2000, 1, "t")]


def test_plain_dns_is_tried_last_with_a_server_that_never_answered_edns() -> None:
    play = Play(1, known=0).start()
    play.wait(400)
    assert [what for _, _, what in play.log] == [".", ".", "p"]
    play.hear()
    assert play.rcode == 0


def test_a_server_that_is_down_gets_its_next_query_when_it_is_back() -> None:
    play = Play(1)
    for _ in range(4):
        play.members[0].lost(play.now)
    play.members[0].lost(play.now + 1)
    assert not play.members[0].up
    play.group.tokens = 10
    play.start().wait(300)
    assert play.log == [(0, 1, ".")]
    play.members[0].answered(RTT_S, 0, play.now)
    play.wait(250)
    assert play.log[1:] == [(500, 1, ".")]
