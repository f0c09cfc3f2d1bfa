"""
The short way of the ordinary question: nobody asks it yet, and one server answers it at once.

This is the hot path of a miss. A question in one of the two usual forms, for a name outside the
cluster of which nothing is known here, goes to the one server that is best, and a plain reply of it
(scrub.py) goes back: two functions, `take` and `received`, and one object, `Ask`, in place of a
Client, a Resolution, an Exchange, a Turn and an Attempt, which together cost more than all system
calls of a miss. Nothing is decided here that is decided elsewhere: what is not ordinary is left to
the forwarder's general way, either before it is sent (`take` says no, and has changed nothing), or
after that: then `unfold` makes of an Ask exactly those objects, as they would be had it gone the
general way from the beginning, and these go on. It is unfolded when

- its server is silent for longer than its patience, or cannot be reached;
- the reply is none of those: an error, TC, an extended error, a wish for plain DNS, CNAMEs that
  lead to names of another route;
- somebody else asks the same, or the same client again;
- the configuration changes, or so much is under way that limits come near (`makes_way`).

So an Ask is an Attempt, the one that its Exchange would have made first, and for the dialer we are
its exchange until it has one of its own. Times when to look again are kept together: one entry of
the agenda, for whichever is due first.

Invariants: each Ask in `asks` stands for one client in `crowd`, one question in its group's
`in_flight`, and one attempt at the dialer; no key is both here and in `flights`.
"""

import struct
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from dnsmasq_py import scrub, special
from dnsmasq_py.answering import Client
from dnsmasq_py.attempt import Attempt
from dnsmasq_py.limits import MAX_QUESTIONS, Failed
from dnsmasq_py.observed.records import UPSTREAM
from dnsmasq_py.routing import Route
from dnsmasq_py.stored import Stored
from dnsmasq_py.upstreams import Group
from kubedns.errors import KubednsError
from kubedns.wire import name as names
from kubedns.wire import question, reply, rr
from kubedns.wire.question import HEADER

if TYPE_CHECKING:
    from dnsmasq_py.forwarder import Forwarder

log = Logger()

_OPT_SIZE = 11
_TC = 2
_LONGEST = HEADER + names.MAX_NAME
_OPT = b"\0\0\x29"
_OPT_REST = bytes(6)  # version 0, no DO, no options
# The header behind the ID: RD, perhaps AD, one question; and how many octets of OPT follow it.
_HEADS = {
    bytes((1, ad, 0, 1, 0, 0, 0, 0, 0, opt)): opt * _OPT_SIZE for ad in (0, 0x20) for opt in (0, 1)
}
_QUERY = b"\1\0\0\1\0\0\0\0\0\1"
_OUR_OPT = _OPT + reply.MAX_UDP.to_bytes(2) + _OPT_REST
_IN = rr.IN.to_bytes(2)
_PLAIN_FLAGS = b"\0"  # of a cache key: neither DO nor CD
_NXDOMAIN_FOR = {
    rtype.to_bytes(2) + _IN: tuple(
        other.to_bytes(2) + _IN + _PLAIN_FLAGS for other in (rr.A, rr.AAAA) if other != rtype
    )
    for rtype in (rr.A, rr.AAAA, rr.TXT, 64, 65)  # SVCB and HTTPS
}
_MANY = 50  # unfolded for each question that comes, while there are many
_EDE_OTHER = 0


class Ask(Attempt):
    """
    A question of one client on its way to one server.

    query: as the client sent it, which `send` takes the reply to; asked: its question section in
    lower case. since: the purge count. The rest is that of an Attempt.
    """

    __slots__ = ("address", "asked", "group", "key", "query", "route", "send", "sender", "since")

    tcp = False
    beside = False
    edns = True
    turn: Any

    def __init__(
        self,
        exchange: "Express",
        upstream: Any,
        octets: bytes,
        message: bytes,
        now: float,
        key: bytes,
        asked: bytes,
        query: bytes,
        sender: Any,
        send: Callable[[bytes], Any],
        route: Route,
        group: Group,
        address: str,
        since: int,
    ) -> None:
        self.exchange: Any = exchange
        self.upstream = upstream
        self.octets = octets
        self.message = message
        self.sent_at = now
        self.soft_at = now + upstream.patience
        self.open = True
        self.key = key
        self.asked = asked
        self.query = query
        self.sender = sender
        self.send = send
        self.route = route
        self.group = group
        self.address = address
        self.since = since


class Express:
    """See the head of this module."""

    def __init__(self, forwarder: "Forwarder") -> None:
        options = forwarder.options
        self.asks: dict[bytes, Ask] = {}
        self.due = self.booked = inf
        self.agenda: Any = forwarder.agenda
        self._forwarder = forwarder
        self._counters = forwarder.counters
        self._cache = forwarder.cache
        self._dialer = forwarder.dialer
        self._find = forwarder.flights.find
        self._failures = forwarder.failures
        self._crowd = forwarder.crowd
        self._purges = forwarder.purges
        self._keeping = forwarder.keeping
        self._clock = forwarder.clock
        self._most = min(forwarder.flights.max_group, MAX_QUESTIONS) // 2
        self._max_ttl = options.max_ttl_s
        # Elsewhere something is looked for in every reply, or said about every query.
        self._is_closed = bool(
            forwarder.answering.log is not None
            or not forwarder.takes_plain
            or options.proxy_dnssec
            or options.trusted
        )

    def __len__(self) -> int:
        return len(self.asks)

    # From the client to the server

    def take(self, message: bytes, sender: Any, send: Callable[[bytes], Any], now: float) -> bool:
        """Ask about a query that came over UDP; False: it must go the general way."""
        # Is it in one of the usual forms?
        opt = _HEADS.get(message[2:12])
        if opt is None or self._is_closed:
            return False
        end = len(message) - opt
        i = HEADER
        try:
            while length := message[i]:
                if length > names.MAX_LABEL:
                    return False
                i += 1 + length
        except IndexError:
            return False
        i += 1
        # The root, and names of one label, have rules of their own.
        if i + 4 != end or i > _LONGEST or i <= HEADER + 2 + message[HEADER]:
            return False
        if opt and not (message.startswith(_OPT, end) and message.endswith(_OPT_REST, end + 5)):
            return False
        kind = message[i:end]
        others = _NXDOMAIN_FOR.get(kind)
        if others is None:
            return False
        folded = message[HEADER:i].lower()
        asked = folded + kind
        key = asked + _PLAIN_FLAGS
        # Is nothing known of it yet, and does nobody ask it?
        entries = self._cache.entries
        if key in entries or key in self.asks or self._find(key) is not None:
            return False
        for other in others:
            known = entries.get(folded + other)
            if known is not None and known.octets[1] & 15 == rr.NXDOMAIN:
                return False
        forwarder = self._forwarder
        if (
            self._failures.find(key, now) is not None
            or forwarder.probe_seen(folded)
            or forwarder.local.answer(folded, kind[0] << 8 | kind[1]) is not None
        ):
            return False
        # Whom is it to be asked of?
        routes = forwarder.routes
        route = routes.find(folded)
        group = route.group
        if group is None or group.cluster or not route.servers:
            return False
        if route is routes.default and folded.endswith(special.ENDS):
            return False
        if self.makes_way():
            return False
        upstream = group.sole(now)
        if upstream is None:
            return False
        # May the client ask? Then off it goes.
        address = sender[0]
        if address.startswith("::ffff:"):
            address = address[7:]
        if not self._crowd.admit(address):
            return False
        octets = message[HEADER:end]
        spelling = group.spelling
        if spelling is not None and now >= upstream.habits.folds_until:
            octets = spelling(octets)
        ask = Ask(
            self, upstream, octets, _QUERY + octets + group.opt, now, key, asked, message,
            sender, send, route, group, address, self._purges.count,
        )  # fmt: skip
        try:
            self._dialer.send(ask, now)
        except Exception:  # the general way meets it again, and tells
            self._crowd.leave(address)
            return False
        upstream.sent += 1
        group.in_flight += 1
        self._counters.misses += 1
        self.asks[key] = ask
        if ask.soft_at < self.booked:
            self.due = ask.soft_at
            self.agenda.add(self)
        return True

    # From the server to the client

    def received(self, ask: Ask, message: bytes, now: float) -> bool:
        """Take a reply; tell whether the attempt is over. See attempt.Dialer."""
        rcode = message[3] & 15
        asked = ask.asked
        behind: list[bytes] = []
        try:
            if message[2] & _TC:
                kept = None
            elif message[7] or message[6]:
                kind = asked[-4] << 8 | asked[-3]
                kept = None if rcode else scrub.addresses(message, asked, kind)
                if kept is None and not rcode and (found := scrub.chain(message, asked, kind)):
                    kept, behind = found
            else:
                kept = scrub.nothing(message, asked)
            is_missing = kept is not None and kept[0][7]  # of these it may be said why
            if is_missing and message[11] and scrub.extended_error(message) is not None:
                kept = None
        except (IndexError, struct.error, KubednsError):
            kept = None
        if (
            kept is None
            or (behind and not self._stays(behind, ask.route))
            or (rcode and (rcode != rr.NXDOMAIN or self._forwarder.local.knows(asked[:-4])))
        ):
            self.unfold(ask)
            is_over: bool = ask.exchange.received(ask, message, now)
            return is_over
        ask.open = False
        upstream = ask.upstream
        upstream.answered(now - ask.sent_at, rcode, now)
        if upstream.bad:
            upstream.pleased()
        habits = upstream.habits
        if not habits.knows_edns:
            habits.edns_works()
        if (
            habits.case_is_open
            and message.startswith(ask.octets, HEADER)
            and not ask.query.startswith(ask.octets, HEADER)
        ):
            habits.case_kept()
        del self.asks[ask.key]
        ask.group.in_flight -= 1
        self._crowd.leave(ask.address)
        try:
            self._answer(ask, kept, behind, now)
        except Exception:
            self._broken(ask)
        return True

    def _stays(self, behind: list[bytes], route: Route) -> bool:
        """Tell whether the servers of a route have a say in all of a chain."""
        find = self._forwarder.routes.find
        return all(find(name) is route for name in behind)

    def _answer(self, ask: Ask, kept: scrub.Kept, behind: list[bytes], now: float) -> None:
        """Keep an answer, and give it to the client; behind: see scrub.Chain."""
        octets, ttls, cycle, ttl = kept
        stored = Stored(octets, ttls, cycle, ttl, now, ask.route)
        if behind:  # of the last one there may be no record
            owners = behind[:-1] if octets[7] else behind
            stored.chain = tuple((name, ask.route) for name in owners)
        stored.epoch = self._forwarder.epoch
        self._failures.end(ask.key)
        self._keeping.keep_outside(ask.key, stored, now)
        left = stored.ttl
        if self._max_ttl is not None and left > self._max_ttl:
            left = self._max_ttl
        query = ask.query
        rcode = octets[1] & 15
        end = HEADER + len(ask.asked)
        opt = len(query) - end
        if left != ttl or not ttl or len(ttls) != 1 or not octets[5]:
            octets = bytes(stored.aged(left))
        whole = (
            query[:2]
            + (b"\x81\x83" if rcode else b"\x81\x80")
            + octets[2:9]
            + (b"\1" if opt else b"\0")
            + query[HEADER:end]
            + octets[end - 2 :]
        )
        if opt:
            whole += _OUR_OPT
            limit = max(question.MIN_UDP, query[end + 3] << 8 | query[end + 4])
        else:
            limit = question.MIN_UDP
        if len(whole) > limit or len(whole) > reply.MAX_UDP:
            client = _client_of(ask)
            self._forwarder.answering.give(client, stored, now, cached=False)
            return
        self._counters.queries["udp", rcode] += 1
        if (recorder := self._forwarder.answering.recorder) is not None:
            recorder.note(query, whole, ask.sender, UPSTREAM, ask.sent_at, rcode, tcp=False)
        try:
            ask.send(whole)
        except OSError as error:  # the client's address, or its network
            self._counters.dropped[f"send: {error.strerror}"] += 1

    def _broken(self, ask: Ask) -> None:
        """Answer for a fault of our own, to be called while handling it."""
        self._counters.exceptions += 1
        log.failure("while resolving {key}", key=ask.key)
        client = _client_of(ask)
        failed = Failed(rr.SERVFAIL, (_EDE_OTHER, "an error of our own, see the log"))
        self._forwarder.answering.fail(client, failed, "reply")

    def failed(self, ask: Ask, reason: str, now: float) -> None:
        """Hear that it cannot be answered any more."""
        self.unfold(ask)
        ask.exchange.failed(ask, reason, now)

    def bare_refusal(self, ask: Ask, now: float) -> None:
        """Hear of a header alone with FORMERR or NOTIMP."""
        self.unfold(ask)
        ask.exchange.bare_refusal(ask, now)

    # The general way

    def unfold(self, ask: Ask) -> None:
        """Let the general way have it, as if it had been there from the beginning."""
        del self.asks[ask.key]
        self._forwarder.adopt(_client_of(ask), ask)

    def unfold_key(self, key: bytes) -> None:
        """Let the general way have a question, if it is here: somebody else asks it too."""
        ask = self.asks.get(key)
        if ask is not None:
            self.unfold(ask)

    def unfold_all(self) -> None:
        """Let the general way have all: the configuration changes."""
        for ask in list(self.asks.values()):
            with log.failuresHandled("while {key} is handed over", key=ask.key):
                self.unfold(ask)

    def makes_way(self) -> bool:
        """
        Let the general way have the oldest, if limits come near; tell whether they do.

        It knows whom to give up when there are too many, and it can only of those that it has.
        """
        if len(self.asks) + len(self._forwarder.flights) < self._most:
            return False
        for _ in range(min(_MANY, len(self.asks))):
            self.unfold(next(iter(self.asks.values())))
        return True

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        """Unfold what waits for longer than its server usually needs."""
        self.due = inf
        for ask in list(self.asks.values()):
            if ask.soft_at <= now and self.asks.get(ask.key) is ask:
                with log.failuresHandled("while {key} is handed over", key=ask.key):
                    self.unfold(ask)
                    ask.exchange.timed_out(now, extras=extras)
        self.due = min((ask.soft_at for ask in self.asks.values()), default=inf)


def _client_of(ask: Ask) -> Client:
    """Return the client who waits for an answer, as the general way has it."""
    query = question.read(ask.query)
    return Client(query, ask.sender, ask.send, tcp=False, message=ask.query, came=ask.sent_at)
