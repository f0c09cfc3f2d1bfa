"""
One question on its way to its servers, as a machine without IO.

The shell (dial.py) calls `start`, then `received`, `failed` and `timed_out` as things happen, and
does what they return: send an attempt, and at the end take the outcome. An attempt is one query on
a socket of its own with an ID of its own, over UDP or TCP; it stays open until its server has
spoken or the question is over, so a late answer still counts.

Pace: the next attempt follows 400 ms after the last one, to the server with the fewest so far; the
pause doubles with each round. One server: 0, 0.4, 1.2 s; two: 0, 0.4, 0.8, 1.6, 2.4 s. At most 3
attempts over UDP for each server (RFC 9520 3.1) and 8 for the question.

Invariants:
- Only a reply with the ID, question, opcode and QR of its attempt counts (RFC 5452 section 9).
  Anything else is counted and waiting goes on; it never ends an attempt.
- A bad reply (SERVFAIL, REFUSED, ...) ends its server and sends the next one off at once, but is
  the outcome only when no other server can still answer.
- There is exactly one outcome, at `deadline` at the latest, and nothing after it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from kubedns.config import Nameserver
from kubedns.outside.query import Question, encode, is_bare_refusal, is_reply
from kubedns.wire import response, rr
from kubedns.wire.question import WireError
from kubedns.wire.response import TC, Response

PATIENCE_S = 4.0  # below the 5 s after which stub resolvers give up
PAUSE_S = 0.4
_USEFUL_S = 0.1  # an attempt later than so long before the end is not made
MAX_SENDS = 3
MAX_ATTEMPTS = 8
_REASON_SIZE = 200

_YXDOMAIN = 6  # a DNAME made the name too long (RFC 6672 2.2)
_GOOD = frozenset((rr.NOERROR, rr.NXDOMAIN, _YXDOMAIN))
_NO_EDNS = frozenset((rr.FORMERR, rr.NOTIMP, rr.BADVERS))  # what servers say that dislike EDNS
# Bad replies that say something to our client, best first; other codes are between us and them.
_PASSED_ON = (rr.SERVFAIL, rr.REFUSED, rr.NOTIMP)


@dataclass(frozen=True, slots=True)
class Send:
    """Open a socket to a server and send; what happens on it is told under this number."""

    number: int
    server: Nameserver
    query: bytes
    tcp: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome: a reply, and who gave it."""

    response: Response
    server: Nameserver


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The outcome: no reply that is worth anything. timed_out: the patience has run out."""

    reason: str
    timed_out: bool


Action = Send | Answered | GaveUp


@dataclass(slots=True)
class _Party:
    """One server in this exchange. ended: it is not asked again; news: what it did last."""

    server: Nameserver
    sends: int = 0
    edns: bool = True
    tcp: bool = False
    ended: bool = False
    bad_reply: Response | None = None
    news: str = "not asked"


@dataclass(frozen=True, slots=True)
class _Attempt:
    party: _Party
    query: bytes
    edns: bool
    tcp: bool


class Exchange:
    """
    See the head of this module.

    servers: in the order in which they are tried, at least one. new_id gives two unpredictable
    octets. bad_datagrams counts what was no reply to us, or broken.
    """

    def __init__(
        self, question: Question, servers: Sequence[Nameserver], new_id: Callable[[], bytes]
    ) -> None:
        self.question = question
        self.bad_datagrams = 0
        self._new_id = new_id
        self._parties = [_Party(server) for server in servers]
        self._attempts: dict[int, _Attempt] = {}
        self._made = 0
        self._give_up = inf
        self._next_send = inf
        self._over = False

    @property
    def deadline(self) -> float:
        """Return when `timed_out` wants to be called, in monotonic seconds."""
        return min(self._give_up, self._next_send)

    def start(self, now: float) -> list[Action]:
        """Begin; now: monotonic seconds, here as everywhere."""
        self._give_up = now + PATIENCE_S
        return [self._send(self._parties[0], now)]

    def received(self, number: int, message: bytes, now: float) -> list[Action]:
        """Take what came on the socket of an attempt: a datagram, or one message over TCP."""
        attempt = self._attempts.get(number)
        if attempt is None:
            return []
        party = attempt.party
        if not is_reply(message, attempt.query, self.question.qname):
            self.bad_datagrams += 1
            if attempt.edns and is_bare_refusal(message, attempt.query):
                return self._without_edns(party, now)
            return []
        if message[2] << 8 & TC:
            return self._cut(attempt, now)
        try:
            reply = response.read(message)
        except WireError as error:
            # A datagram is perhaps forged, with the right answer behind it: the attempt stays open.
            self.bad_datagrams += 1
            party.news = str(error)
            # Over TCP it is no forgery, and nothing better will follow.
            party.ended |= attempt.tcp
            return self._go_on(now)
        if reply.rcode in _GOOD:
            return [self._end(Answered(reply, party.server))]
        return self._refused(number, reply, now)

    def failed(self, number: int, reason: str, now: float) -> list[Action]:
        """Hear that an attempt cannot be answered any more: refused, unreachable, closed."""
        attempt = self._attempts.pop(number, None)
        if attempt is None:
            return []
        attempt.party.news = reason
        if attempt.tcp:
            attempt.party.ended = True
        return self._go_on(now)

    def timed_out(self, now: float) -> list[Action]:
        """Do what is due; `deadline` has come."""
        if self._over or now < self.deadline:
            return []
        if now >= self._give_up:
            return [self._outcome(timed_out=True)]
        due = min(filter(self._may_send, self._parties), key=_sends, default=None)
        if due is None:
            self._next_send = inf
            return []
        return [self._send(due, now)]

    def _cut(self, attempt: _Attempt, now: float) -> list[Action]:
        """Go over to TCP; what is behind the question may be cut anywhere and is not read."""
        party = attempt.party
        if attempt.tcp:
            party.news = "cut its reply even over TCP"
            party.ended = True
            return self._go_on(now)
        if party.tcp:
            return []
        party.news = "cut its reply, and is silent over TCP"
        party.tcp = True
        return [self._send(party, now, tcp=True)]

    def _refused(self, number: int, reply: Response, now: float) -> list[Action]:
        """Take a well-formed reply that is no answer."""
        attempt = self._attempts.pop(number)
        party = attempt.party
        party.bad_reply = reply
        party.news = f"said {rr.RCODE_NAMES.get(reply.rcode, f'rcode {reply.rcode}')}"
        if attempt.edns and reply.rcode in _NO_EDNS:
            again = self._without_edns(party, now)
            if again or (not party.ended and self._is_open(party)):
                return again
        party.ended = True
        return self._go_on(now)

    def _without_edns(self, party: _Party, now: float) -> list[Action]:
        """Ask a server that seems not to know EDNS once more, in plain DNS (RFC 6891 6.2.2)."""
        if not party.edns or not self._may_send(party):
            return []
        party.edns = False
        return [self._send(party, now)]

    def _go_on(self, now: float) -> list[Action]:
        """Ask the next server that was not asked yet at once; end when nobody is left."""
        for party in self._parties:
            if party.sends == 0 and self._may_send(party):
                return [self._send(party, now)]
        if any(self._may_send(party) or self._is_open(party) for party in self._parties):
            return []
        return [self._outcome(timed_out=False)]

    def _may_send(self, party: _Party) -> bool:
        sent = sum(map(_sends, self._parties))
        return not party.ended and not party.tcp and party.sends < MAX_SENDS and sent < MAX_ATTEMPTS

    def _is_open(self, party: _Party) -> bool:
        return not party.ended and any(a.party is party for a in self._attempts.values())

    def _send(self, party: _Party, now: float, *, tcp: bool = False) -> Send:
        number, self._made = self._made, self._made + 1
        query = encode(self.question, self._new_id(), edns=party.edns)
        self._attempts[number] = _Attempt(party, query, party.edns, tcp)
        if not tcp:
            party.sends += 1
            if party.sends == 1:
                party.news = "silent"
            due = now + PAUSE_S * 2 ** (party.sends - 1)
            self._next_send = due if due < self._give_up - _USEFUL_S else inf
        return Send(number, party.server, query, tcp)

    def _outcome(self, *, timed_out: bool) -> Action:
        """Make the best of what there is when there is no answer."""
        for rcode in _PASSED_ON:
            for party in self._parties:
                if party.bad_reply is not None and party.bad_reply.rcode == rcode:
                    return self._end(Answered(party.bad_reply, party.server))
        news = ", ".join(f"{party.server} {party.news}" for party in self._parties)
        return self._end(GaveUp(news[:_REASON_SIZE], timed_out))

    def _end(self, outcome: Answered | GaveUp) -> Action:
        self._over = True
        self._attempts.clear()  # so nothing that still arrives belongs to one
        return outcome


def _sends(party: _Party) -> int:
    return party.sends
