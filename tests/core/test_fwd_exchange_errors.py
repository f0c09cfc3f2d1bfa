"""A question whose servers answer badly, brokenly, cut, or are unreachable."""

import pytest

from dnsmasq_py.server import Transport
from dnsmasq_py.spelling import Spelling
from dnsmasq_py.upstreams import Policy
from kubedns.wire import rr
from tests.exchanging import Play, Reading, question

BAD = [rr.SERVFAIL, rr.REFUSED, rr.NOTIMP, 9]


def test_nxdomain_is_an_answer() -> None:
    play = Play().start()
    play.hear(rr.NXDOMAIN)
    assert play.rcode == rr.NXDOMAIN
    assert play.members[0].nxdomain == 1


@pytest.mark.parametrize("rcode", BAD)
@pytest.mark.parametrize("policy", Policy)
def test_an_error_sends_the_next_server_off_at_once_and_free_of_charge(
    rcode: int, policy: Policy
) -> None:
    play = Play(policy=policy)
    play.members[0].habits.plain_until = play.now + 1  # so NOTIMP is not taken for EDNS' fault
    play.start()
    tokens = play.group.tokens
    play.wait(1)
    play.hear(rcode, attempt=0)
    assert [n for _, n, _ in play.log] == [1, 2]
    assert play.group.tokens == tokens
    assert play.outcomes == []
    play.hear()
    assert (play.rcode, play.exchange.winner) == (0, play.members[1])
    assert play.members[0].failed == 1
    assert play.members[0].bad == pytest.approx(0.1)


def test_an_error_does_not_beat_an_answer_that_is_on_its_way() -> None:
    play = Play().start()
    play.wait(35)
    play.hear(rr.SERVFAIL, attempt=0)
    play.wait(20)
    assert play.outcomes == []
    play.hear(attempt=1)
    assert play.rcode == 0


def test_an_error_waits_for_a_lossy_server_to_have_had_all_its_queries() -> None:
    play = Play().start()
    play.wait(5)
    play.hear(rr.SERVFAIL)
    play.wait(250)
    assert play.outcomes == []
    assert play.log[1:] == [(5, 2, "."), (65, 2, "."), (125, 2, "."), (185, 2, "t")]
    play.hear()
    assert play.rcode == 0


def test_an_error_does_not_wait_long_for_a_server_that_is_down() -> None:
    play = Play()
    down = play.members[1]
    for _ in range(5):
        down.lost(play.now)
    assert not down.up
    play.start()
    play.wait(5)
    play.hear(rr.SERVFAIL)
    play.wait(1000)
    assert play.log == [(0, 1, "."), (5, 2, ".")]
    assert (play.rcode, play.ended_at) == (rr.SERVFAIL, 65)


@pytest.mark.parametrize(
    ("codes", "best"),
    [
        ((rr.REFUSED, rr.SERVFAIL), rr.SERVFAIL),
        ((rr.SERVFAIL, rr.REFUSED), rr.SERVFAIL),
        ((9, rr.REFUSED), rr.REFUSED),
    ],
)
def test_when_all_answer_badly_the_best_of_it_is_the_outcome_at_once(
    codes: tuple[int, ...], best: int
) -> None:
    play = Play().start()
    for code in codes:
        play.hear(code)
    assert (play.rcode, play.ended_at) == (best, 0)
    assert [upstream.bad for upstream in play.members] == [0, 0], "a broken domain blames nobody"


def test_codes_that_mean_nothing_to_a_client_are_told_in_words() -> None:
    play = Play(1).start()
    play.hear(9)
    assert play.failure.reason == "upstream 192.0.2.1 said rcode 9"


def test_refused_of_the_cluster_is_its_answer_and_no_failure() -> None:
    play = Play(cluster=True).start()
    play.hear(rr.REFUSED)
    assert play.rcode == rr.REFUSED
    assert len(play.sent) == 1
    assert play.members[0].failed == 0


def test_a_late_error_tells_against_a_server_when_another_knew_the_answer() -> None:
    play = Play().start()
    play.wait(40)
    play.hear(attempt=1)
    play.hear(rr.SERVFAIL, attempt=0)
    assert play.members[0].bad == pytest.approx(0.1)
    assert play.rcode == 0


# EDNS


@pytest.mark.parametrize("rcode", [rr.FORMERR, rr.NOTIMP])
def test_a_server_that_dislikes_edns_is_asked_once_without_and_that_is_remembered(
    rcode: int,
) -> None:
    play = Play().start()
    play.hear(rcode)
    assert play.log == [(0, 1, "."), (0, 1, "p")]
    play.hear()
    assert play.rcode == 0
    play.start().hear()
    assert play.log[-1][1:] == (1, "p")
    play.now += 901
    play.start()
    assert play.log[-1][1:] == (1, ".")


def test_a_server_that_dislikes_plain_dns_too_is_done_with() -> None:
    play = Play().start()
    play.hear(rr.FORMERR)
    play.hear(rr.FORMERR)
    assert play.log == [(0, 1, "."), (0, 1, "p"), (0, 2, ".")]
    play.hear()
    assert play.exchange.winner is play.members[1]
    play.start()
    assert play.log[-1][2] == ".", "nothing is remembered"


def test_two_refusals_of_edns_make_one_plain_query() -> None:
    play = Play(1).start()
    play.wait(70)
    play.hear(rr.FORMERR, attempt=0)
    play.hear(rr.FORMERR, attempt=1)
    assert play.log == [(0, 1, "."), (60, 1, "."), (70, 1, "p")]
    play.hear()
    assert play.rcode == 0


def test_a_header_alone_that_says_formerr_brings_a_plain_query_beside_the_first() -> None:
    play = Play(1).start()
    play.wait(5)
    play.exchange.bare_refusal(play.sent[0], play.now)
    play.exchange.bare_refusal(play.sent[0], play.now)
    assert play.log == [(0, 1, "."), (5, 1, "p")]
    play.hear(attempt=0)
    assert play.rcode == 0
    assert play.members[0].habits.plain_until < play.now


def test_silence_to_edns_is_remembered_only_when_plain_dns_gets_through_three_times() -> None:
    play = Play(1, known=0)
    for _ in range(3):
        assert play.members[0].habits.plain_until < play.now
        play.start()
        while play.sent[-1].edns:
            play.wait(10)
        play.hear()
        play.wait()
    play.start()
    assert play.log[-1][2] == "p"


# Broken and cut replies


def test_a_broken_reply_sends_the_next_server_off_and_the_first_may_still_answer() -> None:
    play = Play().start()
    play.wait(2)
    assert not play.hear(broken=True)
    assert play.log == [(0, 1, "."), (2, 2, ".")]
    assert play.members[0].broken == 1
    assert play.hear(attempt=0)
    assert (play.rcode, play.exchange.winner) == (0, play.members[0])


def test_many_broken_replies_change_nothing_more() -> None:
    play = Play(1).start()
    for _ in range(50):
        play.hear(broken=True)
    assert len(play.sent) == 1
    play.hear()
    assert play.rcode == 0


def test_a_broken_reply_over_tcp_is_no_forgery_and_ends_its_server() -> None:
    play = Play(transport=Transport.TCP).start()
    assert play.hear(broken=True)
    assert [n for _, n, _ in play.log] == [1, 2]
    play.hear(broken=True)
    assert "192.0.2.2:53 sent a broken reply (cut short)" in play.failure.reason


def test_a_cut_reply_is_asked_for_again_over_tcp_of_the_same_server() -> None:
    play = Play().start()
    play.wait(3)
    assert play.hear(cut=True)
    assert play.log == [(0, 1, "."), (3, 1, "t")]
    play.hear()
    assert play.rcode == 0
    assert not play.exchange.truncated


def test_another_server_is_asked_while_a_connection_hangs_and_no_udp_beside_tcp() -> None:
    play = Play().start()
    play.hear(cut=True)
    play.wait(700)
    assert play.log[:3] == [(0, 1, "."), (0, 1, "t"), (250, 2, ".")]
    assert [what for _, n, what in play.log if n == 1] == [".", "t"]


def test_when_tcp_fails_the_cut_reply_is_the_outcome_and_says_so() -> None:
    play = Play(1).start()
    play.hear(cut=True)
    play.fail("over TCP: connection refused")
    play.wait(300)
    assert play.log == [(0, 1, "."), (0, 1, "t"), (250, 1, "t")]
    play.fail("over TCP: connection refused")
    assert play.rcode == 0
    assert play.exchange.truncated


def test_when_tcp_is_silent_the_cut_reply_does_not_wait_for_ever() -> None:
    play = Play(1).start()
    play.hear(cut=True)
    play.wait()
    assert (play.rcode, play.ended_at) == (0, 1500)
    assert play.exchange.truncated


def test_a_reply_cut_in_the_middle_of_a_record_is_no_outcome() -> None:
    play = Play(1).start()
    play.hear(cut=True, broken=True)
    play.wait()
    assert play.failure.reason == "upstream 192.0.2.1 cut its reply, and timed out over TCP"
    assert not play.exchange.truncated


def test_a_reply_cut_even_over_tcp_ends_its_server() -> None:
    play = Play(1).start()
    play.hear(cut=True, broken=True)
    play.hear(cut=True, broken=True)
    assert play.failure.reason == "upstream 192.0.2.1 cut its reply even over TCP"


# The network


def test_an_unreachable_server_costs_no_time_when_there_is_another() -> None:
    play = Play().start()
    play.wait(1)
    play.fail()
    assert play.log == [(0, 1, "."), (1, 2, ".")]
    play.hear()
    assert play.rcode == 0
    assert play.members[0].consec_loss == 1


def test_one_server_alone_has_time_to_restart() -> None:
    play = Play(1)
    play.refuse = set(play.members)
    play.start().wait(2000)
    assert play.outcomes == []
    assert len(play.sent) >= 4
    play.refuse.clear()
    play.wait(1000)
    play.hear()
    assert play.rcode == 0


def test_what_cannot_even_be_sent_goes_to_the_next_server_at_once() -> None:
    play = Play(3)
    play.refuse = {play.members[0], play.members[1]}
    play.start()
    assert play.log == [(0, 1, "."), (0, 2, "."), (0, 3, ".")]
    play.hear()
    assert play.rcode == 0


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_a_network_that_is_gone_is_told_as_such_and_makes_no_busy_loop(servers: int) -> None:
    play = Play(servers)
    play.refuse = set(play.members)
    play.start().wait()
    assert play.failure.ede == 23
    assert play.failure.reason.startswith("upstream 192.0.2.1 Network is unreachable")
    assert servers <= len(play.sent) <= 8


# Letter case


def test_letter_case_is_random_until_a_server_is_found_to_change_it() -> None:
    spelling = Spelling(lambda size: b"\xff" * size)
    play = Play(1, spelling=spelling, asked=question("wWw.Example.com."))
    play.start()
    assert play.sent[0].octets == b"\3WwW\7eXAMPLE\3COM\0\0\1\0\1"
    assert play.sent[0].octets in play.sent[0].message
    assert play.members[0].saw_other_case()
    play.hear()
    play.start()
    assert play.sent[1].octets == play.asked.octets


@pytest.mark.parametrize("cut", [False, True])
def test_what_is_read_is_spelled_as_the_client_spelled_it(cut: bool) -> None:
    play = Play(1, spelling=Spelling(lambda size: b"\xff" * size)).start()
    play.hear(cut=cut)
    play.wait()
    (outcome,) = play.outcomes
    assert isinstance(outcome, Reading)
    assert play.sent[0].octets != play.asked.octets
    assert outcome.message[12:] == play.asked.octets


def test_a_server_that_keeps_case_is_held_to_it_until_it_changes_three_times_in_a_row() -> None:
    play = Play(1, spelling=Spelling())
    for _ in range(10):
        play.start().hear()
    upstream = play.members[0]
    assert [upstream.saw_other_case() for _ in range(2)] == [False, False]
    play.start().hear()
    assert [upstream.saw_other_case() for _ in range(3)] == [False, False, True]


def test_letter_case_is_left_alone_for_the_cluster_and_over_tcp() -> None:
    cluster = Play(1, cluster=True, spelling=Spelling()).start()
    assert cluster.sent[0].octets is cluster.asked.octets
    tcp = Play(1, transport=Transport.TCP, spelling=Spelling()).start()
    assert tcp.sent[0].octets is tcp.asked.octets
