"""How much at once: waiters, questions of a group and in all, clients, errors; early warnings."""

from collections import Counter

from dnsmasq_py import limits
from dnsmasq_py.failures import Failures
from dnsmasq_py.limits import Alarm, Crowd, ErrorRate, Failed, Seldom
from dnsmasq_py.server import Server
from dnsmasq_py.upstreams import Group, Upstreams
from kubedns.wire import rr
from tests.fwdreplay import DEFAULT, Replay

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"


def test_500_wait_for_one_question_and_the_newest_is_dropped() -> None:
    replay = Replay()
    asked = [
        replay.client_asks(f"{NAME} A", client=f"10.1.{i // 250}.{i % 250}") for i in range(510)
    ]
    assert len(replay.waiting) == 1
    replay.upstream_answers(A)
    assert [len(one.replies) for one in asked] == [1] * 500 + [0] * 10
    assert replay.counters.limits["waiters"] == 10
    assert replay.is_quiet()


def test_whoever_is_dropped_over_tcp_hears_of_it() -> None:
    """Else his connection would wait for ever, and hold its place."""
    replay = Replay()
    asked = [replay.client_asks(f"{NAME} A", tcp=True) for _ in range(503)]
    assert [one.rcode for one in asked[500:]] == ["SERVFAIL"] * 3
    replay.upstream_answers(A)
    assert all(len(one.replies) == 1 for one in asked)


def test_1000_questions_of_one_group_and_the_oldest_is_given_up() -> None:
    replay = Replay()
    asked = [
        replay.client_asks(f"n{i}.example.com. A", client=f"10.1.0.{i % 200}") for i in range(1003)
    ]
    assert [(one.rcode, one.ede) for one in asked[:3]] == [("SERVFAIL", [14])] * 3
    assert sum(len(one.replies) for one in asked) == 3
    assert len(replay.forwarder.flights) == 1000
    assert replay.counters.limits["questions of one group"] == 3
    assert replay.counters.limits["questions 50%"] == 1
    other = replay.client_asks("x.stub.example. A")
    assert not other.replies, "another group has its own bound"
    assert len(replay.cancelled) >= 3


def test_2000_questions_in_all() -> None:
    stubs = {f"s{i}.example": (Server(f"192.0.2.{i + 100}"),) for i in range(3)}
    replay = Replay(stubs=stubs)
    asked = [
        replay.client_asks(f"n{i}.s{i % 3}.example. A", client=f"10.1.0.{i % 200}")
        for i in range(2005)
    ]
    assert len(replay.forwarder.flights) == 2000
    assert [one.rcode for one in asked[:5]] == ["SERVFAIL"] * 5
    assert replay.counters.limits["questions"] == 5
    replay.time_passes(6)
    assert replay.is_quiet()
    assert all(len(one.replies) == 1 for one in asked)


def test_hits_are_answered_whatever_waits() -> None:
    replay = Replay(dns_forward_max=5)
    replay.resolve(f"{NAME} A", A)
    for number in range(50):
        replay.client_asks(f"n{number}.example.com. A")
        assert replay.client_asks(f"{NAME} A").answer == [A]


def test_a_chain_under_shedding_still_ends_once() -> None:
    replay = Replay(dns_forward_max=2)
    asked = [replay.client_asks(f"x{i}.stub.example. A") for i in range(2)]
    for i in range(2):
        replay.upstream_answers(f"x{i}.stub.example. 60 IN CNAME t{i}.example.com.")
    more = [replay.client_asks(f"m{i}.example.com. A") for i in range(4)]
    replay.time_passes(6)
    assert all(len(one.replies) == 1 for one in asked + more)
    assert replay.is_quiet()


def test_a_client_with_more_than_his_share_is_dropped_only_when_there_are_many() -> None:
    crowd = Crowd(most=100)
    assert all(crowd.admit("heavy") for _ in range(50)), "alone he may have half"
    assert not crowd.admit("heavy")
    assert all(crowd.admit(f"light{i}") for i in range(30))
    assert not crowd.admit("heavy")
    for _ in range(40):
        crowd.leave("heavy")
    assert crowd.admit("heavy")


def test_nobody_is_let_in_beyond_the_bound() -> None:
    crowd = Crowd(most=100)
    for number in range(300):
        crowd.admit(f"c{number}")
    assert crowd.total == 100
    for number in range(100):
        crowd.leave(f"c{number}")
    assert crowd.total == 0
    assert all(crowd.admit("c1") for _ in range(50)), "nothing is left of those before"


def test_what_goes_on_for_hours_is_told_once_a_minute() -> None:
    seldom = Seldom()
    told = [seldom.grown(count, float(count)) for count in range(200)]
    assert [(at, more) for at, more in enumerate(told) if more] == [
        (1, 1), (61, 60), (121, 60), (181, 60),
    ]  # fmt: skip
    assert seldom.grown(200, 1000.0) == 19
    assert seldom.grown(200, 2000.0) == 0, "no more of it"


def test_one_client_cannot_fill_the_waiting_room() -> None:
    replay = Replay()
    replay.forwarder.crowd.most = 100
    for number in range(80):
        replay.client_asks(f"n{number}.example.com. A", client="10.6.6.6")
    assert replay.counters.dropped["client limit"] == 30
    assert not replay.client_asks(f"{NAME} A", client="10.1.0.1").replies
    replay.upstream_answers(A, question=f"{NAME} A")
    replay.time_passes(6)
    assert replay.is_quiet()


def test_errors_to_one_client_are_bounded_per_second() -> None:
    now = 100.0
    rate = ErrorRate(lambda: now)
    assert sum(rate.allows("10.0.0.1") for _ in range(800)) == 500
    assert rate.allows("10.0.0.2")
    now += 1
    assert rate.allows("10.0.0.1")
    for number in range(10_000):
        rate.allows(str(number))
    assert len(rate._sent) <= 4097


def test_a_flood_of_malformed_queries_is_answered_within_bounds() -> None:
    """Somebody's address, forged: he gets 500 small errors a second at most."""
    replay = Replay()
    replay.forwarder.answering._errors = ErrorRate(replay.clock.seconds)
    bad = b"\0\1\1\0\0\2" + bytes(6)
    asked = [replay.client_asks(bad) for _ in range(600)]
    assert sum(len(one.replies) for one in asked) == 500
    assert replay.counters.limits["error rate"] == 100
    assert replay.client_asks(bad, tcp=True).replies, "over TCP his address is his own"


def test_an_alarm_tells_once_until_it_falls() -> None:
    counted: Counter[str] = Counter()
    alarm = Alarm("questions", 100, counted)
    for number in (10, 49, 50, 60, 70, 79, 80, 99, 60, 85, 10, 55):
        alarm.see(number)
    assert counted == {"questions 50%": 2, "questions 80%": 2}


# Failures (RFC 9520)


FAILED = Failed(rr.SERVFAIL, (22, "nobody answered"))


def test_failures_are_bounded_and_swept() -> None:
    failures = Failures()
    for number in range(12_000):
        failures.add(str(number).encode(), FAILED, 100.0, None, cluster=False, stale=False)
    assert len(failures) == 10_000
    failures.sweep(114.9)
    assert len(failures) == 10_000, "to know repeats"
    failures.sweep(115.0)
    assert len(failures) == 0


def test_a_failure_long_after_another_begins_anew() -> None:
    failures = Failures()
    said = Failed(rr.SERVFAIL, (0, "upstream 192.0.2.1 said SERVFAIL"))
    now = 100.0
    for kept_s in (5, 10, 20):
        failures.add(b"k", said, now, None, cluster=False, stale=False)
        assert failures.find(b"k", now + kept_s - 0.1) is said
        assert failures.find(b"k", now + kept_s) is None
        now += kept_s + 4.5  # the next one takes its time
    now += 40
    failures.add(b"k", said, now, None, cluster=False, stale=False)
    assert failures.find(b"k", now + 5) is None


def test_silence_is_remembered_until_one_of_the_servers_speaks() -> None:
    """It says more of them than of the name: after an outage all names come back at once."""
    failures = Failures()
    upstream = Upstreams().get(Server("192.0.2.1"))
    group = Group(b"\0", [upstream])
    now = 100.0
    for kept_s in (5, 10, 10, 10):
        failures.add(b"k", FAILED, now, group, cluster=False, stale=False)
        assert failures.find(b"k", now + kept_s - 0.1) is FAILED
        now += kept_s
        assert failures.find(b"k", now) is None
    failures.add(b"k", FAILED, now, group, cluster=False, stale=False)
    upstream.answered(0.01, rr.NOERROR, now + 1)
    assert failures.find(b"k", now + 1) is None


def test_no_answer_comes_later_than_5_s() -> None:
    """DNSBomb: what waits is not released in one burst long after."""
    replay = Replay(upstreams=(DEFAULT, Server("192.0.2.2")))
    asked = [replay.client_asks(f"n{i}.example.com. A") for i in range(50)]
    for _ in range(51):
        replay.time_passes(0.1)
        if replay.clock.now - asked[0].at > 5:
            break
    assert all(one.rcode == "SERVFAIL" for one in asked)
    assert replay.is_quiet()
    assert limits.MAX_WAITERS == 500
