"""What may still become of an exchange: who may be asked, until when to hope, what is in hand."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.turn import Turn
from dnsmasq_py.upstreams import Group
from kubedns.wire import rr

POLL_S = 0.25
_MIN_HOPE_S = 0.06
_TCP_HOPE_S = 1.5  # the dialer gives up to connect after 1 s
_REASON_SIZE = 200
# Bad replies that say something to our client, best first; other codes are between us and them.
_PASSED_ON = (rr.SERVFAIL, rr.REFUSED, rr.NOTIMP)
_EDE_SILENCE = 22
_EDE_NETWORK = 23


class Failure:
    """
    The outcome: no reply that is worth anything.

    ede: extended DNS error (RFC 8914), 22 for silence, 23 for what the network said. reason: the
    servers and what each did, as text for people; news: the same, by server.
    """

    __slots__ = ("ede", "news", "reason")

    def __init__(self, ede: int, reason: str, news: Sequence[tuple[str, str]] = ()) -> None:
        self.ede = ede
        self.reason = reason
        self.news = news

    def __repr__(self) -> str:
        return f"Failure({self.ede}, {self.reason!r})"


def failure(turns: Sequence[Turn]) -> Failure:
    """Say what everybody did."""
    news = [(str(turn.upstream.server), turn.news) for turn in turns]
    reason = ", ".join(f"upstream {server} {did}" for server, did in news)
    network = any(turn.unreachable for turn in turns)
    return Failure(_EDE_NETWORK if network else _EDE_SILENCE, reason[:_REASON_SIZE], news)


def best_refusal(turns: Iterable[Turn]) -> Turn | None:
    """Return whose bad reply tells a client most."""
    refusals = [t for t in turns if t.reply is not None and t.reply.rcode in _PASSED_ON]
    return min(refusals, key=lambda turn: _PASSED_ON.index(turn.reply.rcode), default=None)


def unasked(turns: Sequence[Turn], group: Group, *, up: bool) -> Turn | None:
    """Return the first turn of the best server that is up (or: down) and was not asked yet."""
    asked = [turn.upstream for turn in turns]
    upstream = group.best_of(u for u in group.upstreams if u.up is up and u not in asked)
    return None if upstream is None else Turn(upstream)


def repeats(turns: Iterable[Turn], group: Group) -> Iterator[Turn]:
    """Yield those who may be asked again some time: servers that are up, or else all."""
    panic = group.all_down()
    for turn in turns:
        if (turn.upstream.up or panic) and turn.may_send():
            yield turn


def anything_fresh(attempts: Iterable[Attempt]) -> bool:
    """Tell whether an attempt is open that is not yet thought lost."""
    return any(a.open and not (a.lost or a.turn.ended) for a in attempts)


def following(
    turns: Sequence[Turn], attempts: Iterable[Attempt], group: Group, now: float, *, extras: bool
) -> Turn | None:
    """
    Return whose turn it is, if it is anybody's.

    A server that was not asked yet comes before one that would be asked again. extras: it is also
    asked before that, when no attempt is fresh.
    """
    due = [turn for turn in repeats(turns, group) if turn.again_at <= now]
    if due or (extras and not anything_fresh(attempts)):
        turn = unasked(turns, group, up=True)
        if turn is None and all(t.sends > 1 or t.ended for t in turns if t.upstream.up):
            turn = unasked(turns, group, up=False)
        if turn is not None:
            for other in due:
                other.postpone(now)
            return turn
    return min(due, key=again_at, default=None)


def again_at(turn: Turn) -> float:
    """Return when a server may be asked again."""
    return turn.again_at


def due(attempts: Iterable[Attempt]) -> float:
    """Return when the next attempt ceases to be fresh."""
    return min(
        (a.soft_at for a in attempts if a.open and not (a.lost or a.turn.ended)), default=inf
    )


def send_due(turns: Sequence[Turn], group: Group, now: float, held_until: float) -> float:
    """Return when somebody may be asked next; held_until: not before that, it cannot be paid."""
    due = min((turn.again_at for turn in repeats(turns, group)), default=inf)
    due = max(due, held_until)
    if len(turns) < len(group.upstreams) or any(turn.may_send() for turn in turns):
        due = min(due, now + POLL_S)  # who is down now, may be up then
    return due


def hope(
    turns: Sequence[Turn], attempts: Iterable[Attempt], group: Group, *, may_send: bool
) -> float:
    """
    Return until when something better than what is in hand may be expected.

    As long as there is time if nothing is in hand and anything may still come.
    """
    waits = [attempt for attempt in attempts if attempt.open and not attempt.turn.ended]
    if all(turn.reply is None and turn.cut is None for turn in turns):
        may_ask = len(turns) < len(group.upstreams) or any(turn.may_send() for turn in turns)
        return inf if waits or (may_send and may_ask) else -inf
    may_send = may_send and group.tokens >= 1
    if may_send and any(turn.upstream.up and turn.may_send() for turn in turns):
        return inf
    return max(map(_hope_of, waits), default=-inf)


def _hope_of(attempt: Attempt) -> float:
    patience = _TCP_HOPE_S if attempt.tcp else max(2 * attempt.upstream.rto, _MIN_HOPE_S)
    return attempt.sent_at + patience
