"""Whatever happens to a question, in any order: one outcome, in time, and not too many queries."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dnsmasq_py.exchange import MAX_ATTEMPTS, Failure
from dnsmasq_py.server import Transport
from dnsmasq_py.turn import MAX_SENDS
from dnsmasq_py.upstreams import Policy
from kubedns.wire import rr
from tests.exchanging import PATIENCE_S, Play

RCODES = [rr.NOERROR, rr.NXDOMAIN, rr.SERVFAIL, rr.REFUSED, rr.FORMERR, rr.NOTIMP, 9]

EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 900)),
    st.tuples(st.just("reply"), st.integers(0, 7), st.sampled_from(RCODES)),
    st.tuples(st.just("cut"), st.integers(0, 7)),
    st.tuples(st.just("broken"), st.integers(0, 7)),
    st.tuples(st.just("fail"), st.integers(0, 7)),
    st.tuples(st.just("bare"), st.integers(0, 7)),
    st.tuples(st.just("again")),
    st.tuples(st.just("unreachable"), st.integers(0, 3)),
)

PLAYS = st.builds(
    Play,
    st.integers(1, 4),
    known=st.integers(0, 4),
    policy=st.sampled_from(Policy),
    cluster=st.booleans(),
    transport=st.sampled_from([Transport.UDP, Transport.UDP, Transport.TCP]),
)


def happen(play: Play, event: tuple[object, ...]) -> None:
    """Let one thing happen; attempts that were not made have no events."""
    match event:
        case ("wait", int(ms)):
            play.wait(ms)
        case ("again",):
            play.exchange.joined_again(play.now)
        case ("unreachable", int(number)):
            play.refuse = set(play.members[number:])
        case (str(kind), int(number), *rest) if number < len(play.sent):
            match kind, rest:
                case "reply", [int(rcode)]:
                    play.hear(rcode, number)
                case "cut", _:
                    play.hear(0, number, cut=True)
                case "broken", _:
                    play.hear(0, number, broken=True)
                case "fail", _:
                    play.fail(attempt=number)
                case _:
                    play.exchange.bare_refusal(play.sent[number], play.now)


@settings(max_examples=400)
@given(
    play=PLAYS,
    tokens=st.sampled_from([0.0, 1.0, 50.0]),
    extras=st.booleans(),
    events=st.lists(EVENTS, max_size=25),
)
def test_any_order_of_events_ends_in_one_outcome_by_the_deadline(
    play: Play, tokens: float, extras: bool, events: list[tuple[object, ...]]
) -> None:
    play.group.tokens = tokens
    play.start(extras=extras)
    for event in events:
        over = len(play.outcomes)
        happen(play, event)
        assert len(play.outcomes) in (over, 1)
        if play.outcomes:
            assert play.group.in_flight == 0
        else:
            assert play.exchange.due > play.now or play.now == play.began
            assert play.exchange.due <= play.began + PATIENCE_S
    play.wait()
    assert len(play.outcomes) == 1
    assert play.ended_at <= 1000 * PATIENCE_S + 1
    assert play.group.in_flight == 0
    assert not any(attempt.open for attempt in play.sent), "something is never given up"
    assert play.exchange.due == float("inf")
    sends = Counter((attempt.upstream, attempt.tcp) for attempt in play.sent)
    assert len(play.sent) <= MAX_ATTEMPTS
    assert max(sends.values()) <= MAX_SENDS
    assert [at for at, _, _ in play.log] == sorted(at for at, _, _ in play.log)


@settings(max_examples=100)
@given(
    play=PLAYS.filter(lambda play: not play.group.cluster),
    number=st.integers(0, 7),
    silence=st.integers(0, 4000),
    codes=st.lists(st.sampled_from([rr.SERVFAIL, rr.REFUSED]), max_size=7),
)
def test_one_good_answer_in_time_beats_any_number_of_bad_ones(
    play: Play, number: int, silence: int, codes: list[int]
) -> None:
    play.start()
    for other, code in enumerate(codes):
        if other != number and other < len(play.sent):
            play.hear(code, other)
    if not play.outcomes:
        play.wait(silence)
    if play.outcomes:
        return  # there was nothing to hope for
    number %= len(play.sent)
    if play.sent[number].open:
        play.hear(0, number)
        assert play.rcode == 0


def test_a_failure_says_in_short_what_it_was() -> None:
    assert repr(Failure(22, "upstream 192.0.2.1 timed out")) == (
        "Failure(22, 'upstream 192.0.2.1 timed out')"
    )
