"""
One question on its way to the servers of its group, as a machine without IO.

The shell calls `start`, then `received` and `failed` as things happen to attempts, and `timed_out`
when `due` has come (agenda.py does). Attempts go out through the dialer; the outcome goes to
`finished`, or nowhere after `cancel`.

What happens leads to this:
- Silence. When no attempt is left that is not overdue (98 of 100 answers keep `Upstream.patience`),
  a server that was not asked yet gets the question. The same server gets it again after 1.5 times
  its `rto`, at least 60 ms, and then once more; after three datagrams in vain, over TCP. These
  attempts are paid for (upstreams.py).
- An error (SERVFAIL, REFUSED, ...) or a failure (ICMP, a closed connection) of a server: the next
  one is asked at once. FORMERR, NOTIMP and BADVERS to EDNS: the same server, once, without EDNS.
- A broken reply to the right question: perhaps forged, with the right one behind it. The attempt
  stays open and the next server is asked at once.
- A truncated reply: the same server is asked over TCP. If that fails, and nobody else answers, the
  truncated reply is the outcome, with `truncated` set: it is for this client with TC=1, never to be
  stored (RFC 2181 section 9).
- All servers down. Of the questions that wait, one is sent every 250 ms, and each new one once. Who
  waits looks every 250 ms whether a server is up again, and asks it then.

Invariants:
- There is exactly one outcome, at `deadline` at the latest, and never before `start` has returned.
- An error is the outcome only when no other server is likely to answer: none that is up is unasked,
  and those that were asked have had all their attempts, and time for the last of them.
- At most 8 attempts; of these for each server at most 3 over UDP and 3 over TCP.
- Attempts stay open until they are answered, also for 2 s after an answer and 0.5 s after a
  failure: a late reply still tells how slow its server is, and may be worth storing (`late`).

Where this is not what the design had, and why (measured by tests/core/test_fwd_network_weather.py):
repeats come evenly, 1.5 rto apart, not after 2, 4 and 8: with one server left and 10 % loss, 7 of
1,000 questions lose all three, and p99 hangs on how soon TCP comes then (160 ms, was 240). The
number of attempts is the same, and slow names do no harm: they raise the rto. An unreachable server
is asked again after 250 ms, 500 ms and so on, not 60: one server alone has time to restart. More
TCP attempts when one failed: with 10 % loss one SYN in five is lost, and who else is to be asked?
"""

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dnsmasq_py import outlook
from dnsmasq_py.attempt import NO_EDNS, Attempt, Dialer
from dnsmasq_py.outlook import Failure
from dnsmasq_py.question import Question
from dnsmasq_py.turn import Turn
from dnsmasq_py.upstream import Upstream
from dnsmasq_py.upstreams import Group
from kubedns.wire import rr
from kubedns.wire.question import WireError

if TYPE_CHECKING:
    from dnsmasq_py.agenda import Agenda

__all__ = ["Attempt", "Dialer", "Exchange", "Failure"]

MAX_ATTEMPTS = 8
LINGER_S = 2.0  # that attempts stay open after an answer
LINGER_AFTER_FAILURE_S = 0.5
_USELESS_S = 0.02  # before the end nothing is sent any more
_SPIN_S = 0.002  # nobody is called back earlier, whatever goes wrong

_TC = 2
_YXDOMAIN = 6  # a DNAME made the name too long (RFC 6672 2.2)
_GOOD = frozenset((rr.NOERROR, rr.NXDOMAIN, _YXDOMAIN))


class Reply(Protocol):
    """What a message is read into."""

    @property
    def rcode(self) -> int:
        """Return the response code, extended."""


R = TypeVar("R", bound=Reply)


class Exchange(Generic[R]):
    """
    See the head of this module. Times are monotonic seconds.

    read: takes a message apart, whose question is spelled as the client's; raises WireError for a
    broken one. finished: gets the outcome.
    deadline: when it is over at the latest. late: gets a good reply that came after a failure.
    extras: False for a question of low priority: then a second server is asked only where otherwise
    the first would be asked again.

    winner: whose reply the outcome is. truncated: see there.
    """

    __slots__ = ("_dialer", "_extras", "_finished", "_held_until", "_hurried", "_late", "_read",
                 "agenda", "attempts", "booked", "deadline", "due", "group", "over", "question",
                 "truncated", "turns", "winner")  # fmt: skip

    def __init__(
        self,
        question: Question,
        group: Group,
        dialer: Dialer,
        read: Callable[[bytes], R],
        finished: "Callable[[Exchange[R], R | Failure], None]",
        deadline: float,
        *,
        late: "Callable[[Exchange[R], R], None] | None" = None,
        extras: bool = True,
    ) -> None:
        self.question = question
        self.group = group
        self.deadline = deadline
        self.due = deadline
        self.attempts: list[Attempt] = []
        self.turns: list[Turn] = []
        self.winner: Upstream | None = None
        self.truncated = False
        self.over = False
        self.agenda: Agenda | None = None
        self.booked = inf
        self._dialer = dialer
        self._read = read
        self._finished = finished
        self._late = late
        self._extras = extras
        self._hurried = False
        self._held_until = 0.0

    def start(self, now: float) -> None:
        """Send the question off."""
        group = self.group
        group.in_flight += 1
        sent = False
        for upstream in group.first(now) if self._extras else (group.alone(),):
            sent |= self._send(Turn(upstream), now)
        if not sent:
            self._replace(now)
            self.due = now  # the outcome, if it is already clear, is not for our caller's stack

    def adopt(self, attempt: Attempt) -> None:
        """Go on with an attempt that was made without us (express.py), in place of `start`."""
        turn = attempt.turn = Turn(attempt.upstream)
        turn.sent(attempt.sent_at)
        attempt.exchange = self
        attempt.lost = False
        self.turns.append(turn)
        self.attempts.append(attempt)
        if attempt.soft_at < self.due:
            self.due = attempt.soft_at

    def received(self, attempt: Attempt, message: bytes, now: float) -> bool:
        """Take a reply to an attempt; tell whether the attempt is over."""
        if not attempt.open:
            return True
        if self.over:
            self._came_late(attempt, message, now)
            return True
        if message[2] & _TC:
            self._cut(attempt, message, now)
            return True
        try:
            reply = self._read(attempt.respelled(message))
        except WireError as error:
            return self._broken(attempt, str(error), now)
        rcode = reply.rcode
        attempt.replied(message, rcode, now)
        if rcode in _GOOD:
            self._answered(attempt, reply, now)
        else:
            self._refused(attempt, reply, now)
        return True

    def failed(self, attempt: Attempt, reason: str, now: float) -> None:
        """Hear that an attempt cannot be answered any more: unreachable, refused, closed."""
        if not attempt.open:
            return
        attempt.fail(reason, now)
        if not self.over:
            self._go_on(now)

    def bare_refusal(self, attempt: Attempt, now: float) -> None:
        """Hear of a header alone with FORMERR or NOTIMP, old servers' word on EDNS, or forged."""
        turn = attempt.turn
        if self.over or not (attempt.open and attempt.edns) or turn.plain:
            return
        turn.plain = True
        if self._may_send() and turn.may_send():
            self._send(turn, now)
            self._settle(now)

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        """Do what is due; extras: False while we ourselves are late: only what is necessary."""
        if now < self.due:
            return
        for attempt in self.attempts:
            if attempt.open and not attempt.lost and now >= attempt.soft_at:
                attempt.lose(now)
        if self.over:
            self._end_lingering(now)
        elif now >= self.deadline:
            self._conclude(now)
        else:
            self._extra(now, extras=extras and self._extras)
            self._settle(now)

    def joined_again(self, now: float) -> None:
        """Hear that a client repeats its question: the next attempt is made now. Works once."""
        if self.over or self._hurried or not self._may_send():
            return
        self._hurried = True
        turn = outlook.unasked(self.turns, self.group, up=True) or min(
            outlook.repeats(self.turns, self.group), key=outlook.again_at, default=None
        )
        if turn is not None and self.group.spend(now):
            self._send(turn, now)
            self._settle(now)

    def cancel(self) -> None:
        """End it without an outcome."""
        if not self.over:
            self.over = True
            self.group.in_flight -= 1
        self._cancel_attempts()

    # What a reply leads to

    def _answered(self, attempt: Attempt, reply: R, now: float) -> None:
        """Take an answer."""
        attempt.pleased(now)
        for turn in self.turns:
            if turn.reply is not None:
                turn.upstream.spoiled()
        self._finish(reply, attempt.upstream, now)

    def _refused(self, attempt: Attempt, reply: R, now: float) -> None:
        """Take a well-formed reply that is no answer."""
        turn = attempt.turn
        rcode = reply.rcode
        turn.news = f"said {rr.RCODE_NAMES.get(rcode, f'rcode {rcode}')}"
        if rcode == rr.REFUSED and self.group.cluster:
            self._finish(reply, turn.upstream, now)
            return
        if rcode in NO_EDNS and attempt.edns and self._without_edns(turn, now):
            return
        turn.upstream.failed += 1
        turn.ended = True
        turn.reply = reply
        self._go_on(now)

    def _without_edns(self, turn: Turn, now: float) -> bool:
        """Ask once more in plain DNS (RFC 6891 6.2.2); tell whether the turn goes on."""
        if turn.plain:  # the plain query is on its way, or was answered badly before
            return any(a.open and not a.edns and a.turn is turn for a in self.attempts)
        if not (self._may_send() and turn.may_send()):
            return False
        turn.plain = True
        self._send(turn, now)
        self._settle(now)
        return True

    def _broken(self, attempt: Attempt, reason: str, now: float) -> bool:
        attempt.upstream.broken += 1
        attempt.turn.news = f"sent a broken reply ({reason})"
        if attempt.tcp:  # no forgery, and nothing better will follow
            attempt.open = False
            attempt.turn.ended = True
        self._go_on(now)
        return attempt.tcp

    def _cut(self, attempt: Attempt, message: bytes, now: float) -> None:
        """Go over to TCP; what is behind the question may be cut anywhere and is not read now."""
        turn = attempt.turn
        attempt.replied(message, message[3] & 15, now)
        if attempt.tcp:
            turn.news = "cut its reply even over TCP"
            turn.ended = True
            self._go_on(now)
            return
        turn.cut = attempt.respelled(message)
        if turn.connecting:
            return
        turn.news = "cut its reply, and timed out over TCP"
        if self._may_send() and turn.may_send() and self._send(turn, now):
            self._settle(now)
        else:
            self._go_on(now)

    def _came_late(self, attempt: Attempt, message: bytes, now: float) -> None:
        """Take a reply after the outcome."""
        rcode = message[3] & 15
        attempt.replied(message, rcode, now)
        if self.winner is not None:
            if rcode not in _GOOD and attempt.upstream is not self.winner:
                attempt.upstream.spoiled()
        elif self._late is not None and rcode in _GOOD and not message[2] & _TC:
            try:
                reply = self._read(attempt.respelled(message))
            except WireError:
                attempt.upstream.broken += 1
                return
            self._late(self, reply)

    # What silence and failure lead to

    def _go_on(self, now: float) -> None:
        self._replace(now)
        self._settle(now)

    def _replace(self, now: float) -> None:
        """Ask another server at once and free of charge; one that is down only for a token."""
        while self._may_send():
            turn = outlook.unasked(self.turns, self.group, up=True)
            if turn is None:
                break
            if self._send(turn, now):
                return
        if self._may_send() and not outlook.anything_fresh(self.attempts):
            turn = outlook.unasked(self.turns, self.group, up=False)
            if turn is not None and self.group.spend(now):
                self._send(turn, now)

    def _extra(self, now: float, *, extras: bool) -> None:
        """Make one more attempt, if it is time for one and it can be paid for."""
        for turn in self.turns:
            turn.look(now)
        if not self._may_send() or now > self.deadline - _USELESS_S:
            return
        chosen = outlook.following(self.turns, self.attempts, self.group, now, extras=extras)
        if chosen is None or now < self._held_until:
            return
        if self.group.spend(now):
            self._send(chosen, now)
        else:
            self._held_until = now + outlook.POLL_S

    # Sending

    def _may_send(self) -> bool:
        return len(self.attempts) < MAX_ATTEMPTS

    def _send(self, turn: Turn, now: float) -> bool:
        """Make an attempt; tell whether it went out."""
        upstream = turn.upstream
        if not (turn.sends or turn.connects):
            self.turns.append(turn)
        attempt = Attempt(self, turn, now)
        upstream.sent += 1
        if self.attempts:
            upstream.retried += 1
        if not upstream.up:
            upstream.tried(now)
        self.attempts.append(attempt)
        if attempt.soft_at < self.due:
            self.due = attempt.soft_at
        try:
            self._dialer.send(attempt, now)
        except OSError as error:
            attempt.fail(error.strerror or str(error), now)
            return False
        return True

    # When to look again, and the end

    def _settle(self, now: float) -> None:
        """Find out when something is to be done next; end when nothing can come any more."""
        if self.over:
            return
        may_send = self._may_send()
        hope = outlook.hope(self.turns, self.attempts, self.group, may_send=may_send)
        if now >= hope:
            self._conclude(now)
            return
        due = outlook.due(self.attempts)
        if may_send:
            due = min(due, outlook.send_due(self.turns, self.group, now, self._held_until))
        self._book(max(min(due, hope, self.deadline), now + _SPIN_S))

    def _conclude(self, now: float) -> None:
        """End without an answer: with the best of what there is."""
        for turn in self.turns:
            if turn.cut is None:
                continue
            try:
                reply = self._read(turn.cut)
            except WireError:
                continue
            self.truncated = True
            self._finish(reply, turn.upstream, now)
            return
        best = outlook.best_refusal(self.turns)
        if best is None:
            self._finish(outlook.failure(self.turns), None, now)
        else:
            self._finish(best.reply, best.upstream, now)

    def _finish(self, outcome: R | Failure, winner: Upstream | None, now: float) -> None:
        self.over = True
        self.group.in_flight -= 1
        self.winner = winner
        self.due = inf
        if len(self.attempts) > 1 or winner is None:
            self._linger(now)
            self._finished(self, outcome)
            return
        finished = self._finished
        # Nothing more can come: without these circles all of it is freed at once, and the next
        # question finds warm memory.
        del self.attempts[0].exchange, self._finished, self._read, self._late
        finished(self, outcome)

    def _linger(self, now: float) -> None:
        """Keep what is still open for a while."""
        due = inf
        self.deadline = now + (LINGER_AFTER_FAILURE_S if self.winner is None else LINGER_S)
        for attempt in self.attempts:
            if attempt.open:
                due = min(due, self.deadline if attempt.lost else attempt.soft_at)
        self._book(due)

    def _end_lingering(self, now: float) -> None:
        """Close what was kept open, or find out when to."""
        if now < self.deadline:
            open_ = [a for a in self.attempts if a.open]
            self.due = min(
                (self.deadline if a.lost else min(a.soft_at, self.deadline) for a in open_),
                default=inf,
            )
            return
        for attempt in self.attempts:
            if attempt.open:
                attempt.upstream.timeouts += 1
        self._cancel_attempts()

    def _cancel_attempts(self) -> None:
        self.due = inf
        for attempt in self.attempts:
            if attempt.open:
                attempt.open = False
                self._dialer.cancel(attempt)

    def _book(self, due: float) -> None:
        self.due = due
        if due < self.booked and self.agenda is not None:
            self.agenda.add(self)
