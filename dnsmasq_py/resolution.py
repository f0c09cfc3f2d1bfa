"""
One question being resolved: who waits for it, whom it is asked, what its answer is made of.

A question goes to the servers of its route (exchange.py). Their reply is the answer, or the first
links of a chain of CNAMEs that leads to a name of another route: these links are kept, and what
they lead to is a question of its own, resolved, shared and cached like any other. No server has a
say in names of another route (forwarder.md 3.2).

Invariants: one outcome, `ended`, by the deadline. Whoever waits gets exactly one reply. A chain
never waits for itself (`leads_to`).
"""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from twisted.logger import Logger

from dnsmasq_py import sentences
from dnsmasq_py.answering import Client
from dnsmasq_py.attempt import Attempt
from dnsmasq_py.exchange import Exchange, Failure
from dnsmasq_py.filters import BLOCKED, FILTERED, filtered, is_rebind
from dnsmasq_py.limits import MAX_WAITERS, Failed
from dnsmasq_py.local import KNOWN_HERE, LocalAnswer
from dnsmasq_py.outlook import failure
from dnsmasq_py.question import Question
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.scrub import Accepted, extended_error, read
from dnsmasq_py.stored import AD, TC, Stored, compose
from kubedns.outside import trust
from kubedns.wire import response, rr

if TYPE_CHECKING:
    from dnsmasq_py.forwarder import Forwarder

MAX_DEPTH = 8  # routes that one chain may lead through
CLUSTER_STALE_AFTER_S = 0.3
STALE_AFTER_S = 1.8  # a client that has waited so long gets a stale answer, if there is one
log = Logger()

_MAX_ADDITIONAL = 100
_YXDOMAIN = 6
_ANSWERS = (rr.NOERROR, rr.NXDOMAIN, _YXDOMAIN)
_PASSED_ON = (rr.SERVFAIL, rr.NOTIMP, rr.REFUSED)
_EDE_OTHER = 0
_EDE_SILENCE = 22
_DNAME = 39
_ONE_LINK_S = 0.5  # by so much a link of a chain may begin later than the chain

Outcome = Stored | Failed


class Follower(Protocol):
    """Who is told an outcome, once; target: the name, folded."""

    def followed(self, outcome: Outcome, target: bytes, now: float) -> None: ...


class Resolution:
    """
    See the head of this module.

    key: that of the cache. clients: by address and ID. inner: what the chain waits for now.
    stale: an old answer that may be given if there is no new one; due: when, for the agenda.
    background: nobody waits, and nobody would mind.
    since: the purge count of when it was asked, or of the oldest part of its chain (purge.py).
    failed_in_cluster: what its chain leads to failed, and the cluster's server with it.
    payer: the client that it is charged to (flights.py).
    is_asked: it has begun. is_late: a stale answer was given. is_local: made here, not to be kept.
    """

    __slots__ = (
        "_forwarder",
        "_links",
        "_parents",
        "_question",
        "_refusal",
        "agenda",
        "background",
        "booked",
        "clients",
        "deadline",
        "depth",
        "due",
        "ended",
        "epoch",
        "exchange",
        "failed_in_cluster",
        "inner",
        "is_asked",
        "is_late",
        "is_local",
        "key",
        "overtaken",
        "payer",
        "route",
        "since",
        "stale",
    )

    def __init__(
        self,
        forwarder: "Forwarder",
        key: bytes,
        question: Question,
        route: Route,
        deadline: float,
    ) -> None:
        self._forwarder = forwarder
        self.key = key
        self._question = question
        self.route = route
        self.deadline = deadline
        self.depth = 0
        self.background = False
        self.clients: dict[tuple[Any, bytes], Client] = {}
        self._parents: list[Follower] = []
        self._links: tuple[rr.RRset, ...] = ()
        self._refusal: tuple[int, str] | None = None  # of the cluster's server
        self.exchange: Exchange[Accepted] | None = None
        self.inner: Resolution | None = None
        self.stale: Stored | None = None
        self.due = self.booked = inf
        self.agenda: Any = None
        self.since = forwarder.purges.count
        self.epoch = forwarder.epoch
        self.failed_in_cluster = False
        self.ended = False
        self.is_asked = False
        self.is_late = False
        self.is_local = False
        self.overtaken = False
        self.payer = ""

    @property
    def name(self) -> bytes:
        """Return the folded name that is asked for."""
        return self._question.folded

    # Who waits

    def add(self, client: Client, now: float) -> bool:
        """Let a client wait; False: it did already and asks again, or there are too many."""
        # Over TCP nothing is repeated, and every query is owed a reply.
        key = (client if client.tcp else client.sender, client.query.id)
        if key in self.clients:
            if self.exchange is not None:
                self.exchange.joined_again(now)
            return False
        if len(self.clients) >= MAX_WAITERS:
            self._forwarder.counters.limits["waiters"] += 1
            return False
        self.clients[key] = client
        self._forwarder.flights.joined(self, client.address)
        return True

    def wait_for(self, inner: "Resolution") -> None:
        """Wait for what a chain leads to, which has a deadline of its own, until our own one."""
        self.inner = inner
        inner._parents.append(self)
        if self.payer:
            self._forwarder.flights.joined(inner, self.payer)
        if self.deadline < self.due:
            self.due = self.deadline
            self._forwarder.agenda.add(self)

    def tell(self, follower: Follower) -> None:
        """Tell somebody the outcome, besides the clients."""
        self._parents.append(follower)

    def leads_to(self, other: "Resolution") -> bool:
        """Tell whether this waits for another one, by however many steps."""
        step: Resolution | None = self
        while step is not None:
            if step is other:
                return True
            step = step.inner
        return False

    def offer_stale(self, now: float) -> None:
        """
        Give the stale answer to clients that have waited 1.8 s (RFC 8767 section 5).

        The cluster's server is next door: when it needs longer than 0.3 s it is not there.
        """
        after = CLUSTER_STALE_AFTER_S if self.route.cluster else STALE_AFTER_S
        self.due = min(self.due, self.deadline, now + after)
        self._forwarder.agenda.add(self)

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        """Give those who wait the stale answer; whoever comes later gets it at once."""
        self.due = inf
        if self.ended:
            return
        if now >= self.deadline:
            self.give_up(Failed(rr.SERVFAIL, self._waited_for()), now)
            return
        self.is_late = True
        if self.stale is not None:
            self._forwarder.give_stale(self, self.stale)
        if self.inner is not None:
            self.due = self.deadline

    def _waited_for(self) -> tuple[int, str]:
        """Tell whom a chain waited for in vain: if all its time went to one link, that one's."""
        last = self
        while last.inner is not None:
            last = last.inner
        turns = () if last.exchange is None else last.exchange.turns
        if not turns or last.deadline - self.deadline > _ONE_LINK_S:
            return _EDE_SILENCE, "a chain of CNAMEs took too long"
        found = failure(turns)
        return found.ede, sentences.unanswered(last.route, found.news)

    # Asking

    def ask(self, now: float) -> None:
        """Ask the servers of the route, of which there is one at least."""
        forwarder = self._forwarder
        extras = not (self.background or forwarder.agenda.is_lagging(now))
        exchange = self._open(extras=extras)
        forwarder.flights.start(self, exchange.group, now)
        try:
            exchange.start(now)
            forwarder.agenda.add(exchange)
            if exchange.attempts:
                forwarder.asked(self, exchange.attempts[0].upstream.server)
        except Exception:  # nobody would ever end it
            self._broken(now)

    def adopt(self, attempt: Attempt) -> None:
        """Go on with what has been asked already, in place of `ask`."""
        forwarder = self._forwarder
        exchange = self._open(extras=not forwarder.agenda.is_lagging(attempt.sent_at))
        exchange.adopt(attempt)
        forwarder.flights.start(self, exchange.group, attempt.sent_at)
        if not self.ended:
            forwarder.agenda.add(exchange)

    def _open(self, *, extras: bool) -> Exchange[Accepted]:
        group = self.route.group
        assert group is not None
        self.is_asked = True
        self.exchange = Exchange(
            self._question,
            group,
            self._forwarder.dialer,
            self._read,
            self._finished,
            self.deadline,
            late=self._late,
            extras=extras,
        )
        return self.exchange

    def _broken(self, now: float) -> None:
        """End it after a fault of our own, to be called while handling it."""
        self._forwarder.counters.exceptions += 1
        log.failure("while resolving {key}", key=self.key)
        self.give_up(Failed(rr.SERVFAIL, (_EDE_OTHER, "an error of our own, see the log")), now)

    def begin_with(self, links: tuple[rr.RRset, ...], target: bytes, now: float) -> None:
        """Begin with links that are known here, and resolve what they lead to."""
        self.is_local = True
        self._links = links
        self._forwarder.flights.begin(self)
        self._follow(target, now)

    def give_up(self, failed: Failed, now: float) -> None:
        """End it from outside: there is too much to do, or something went wrong."""
        if self.exchange is not None:
            self.exchange.cancel()
        self._end(failed, now)

    def _read(self, message: bytes) -> Accepted:
        question = self._question
        plain = self._forwarder.takes_plain and not question.do
        accepted = read(message, question.folded, question.qtype, plain=plain)
        if accepted.error is None and (self.route.cluster or accepted.response is not None):
            accepted.error = _extended_error(message)
        if accepted.error is not None:
            accepted.error = sentences.cleaned(accepted.error)
        return accepted

    def _finished(self, exchange: Exchange[Accepted], result: Accepted | Failure) -> None:
        now = self._forwarder.clock()
        try:
            self._outcome(exchange, result, now)
        except Exception:
            self._broken(now)

    def _outcome(
        self, exchange: Exchange[Accepted], result: Accepted | Failure, now: float
    ) -> None:
        if isinstance(result, Failure):
            text = sentences.unanswered(self.route, result.news) if result.news else result.reason
            self._end(Failed(rr.SERVFAIL, (result.ede, text)), now)
        elif exchange.truncated:
            self._end(self._truncated(result, now), now)
        elif result.rcode in _ANSWERS:
            self._take(result, now)
        elif result.rcode == rr.REFUSED and self.route.kind is Kind.CLUSTER:
            self._refusal = result.error
            self._fall_through(now)
        else:
            rcode = result.rcode if result.rcode in _PASSED_ON else rr.SERVFAIL
            code, text = result.error or (_EDE_OTHER, "")
            server = exchange.winner and exchange.winner.server
            text = text or sentences.said(self.route, server, result.rcode)
            self._end(Failed(rcode, (code, text)), now)

    def _late(self, exchange: Exchange[Accepted], result: Accepted) -> None:
        """Keep an answer that came when nobody waited any more."""
        if result.octets is not None and result.rcode in _ANSWERS and not self._links:
            now = self._forwarder.clock()
            self._forwarder.keep(self, self._plain(result, now), now)

    def _fall_through(self, now: float) -> None:
        """Ask on where the cluster's server says that a name is none of the cluster's."""
        forwarder = self._forwarder
        forwarder.flights.leave(self, self.route.group)
        onward = forwarder.beyond_cluster(self._question, self.route)
        if isinstance(onward, Route):
            self.route = onward
            self._question.rd = True
            self.ask(now)
        else:
            self.is_local = True
            self._end(made_here(self._question, onward, now), now)

    # The answer

    def _take(self, accepted: Accepted, now: float) -> None:
        if accepted.octets is not None:
            self._end(self._plain(accepted, now), now)
            return
        parsed = accepted.response
        assert parsed is not None
        question = self._question
        forwarder = self._forwarder
        kept = trust.keep(parsed, do=question.do, leaves=self._leaves)
        answer = filtered(kept.answer, forwarder.options)
        if not self.route.cluster and self._is_rebind(answer, now):
            return
        if kept.onward is not None:
            self._links = answer
            self._follow(kept.onward, now)
            return
        error = accepted.error if len(answer) == len(kept.answer) else FILTERED
        if error is not FILTERED and not self.route.cluster and _has_some(answer, question.qtype):
            error = None  # no foreign word beside what was asked for
        ttls = [rrset.ttl for rrset in kept.answer]
        if question.qtype == rr.ANY:
            answer = _least(answer)
        authority = kept.authority
        additional = self._additional(parsed, answer) if answer else ()
        rcode = accepted.rcode
        if rcode == rr.NXDOMAIN and not answer and forwarder.local.knows(question.folded):
            rcode = rr.NOERROR
            error = KNOWN_HERE
        stored = compose(question, rcode, answer, authority, additional, self.route, now)
        if accepted.ad and self._is_trusted():
            stored.octets = _with_ad(stored.octets)
        stored.chain = self._owners(answer)
        stored.error = error
        if error is FILTERED and not answer:
            stored.ttl = min(ttls)
        self._end(stored, now)

    def _is_rebind(self, answer: tuple[rr.RRset, ...], now: float) -> bool:
        """Answer with nothing, and tell so, where a foreign name leads to a private address."""
        forwarder = self._forwarder
        if self.is_local or not is_rebind(answer, self._question.folded, forwarder.options):
            return False
        forwarder.counters.dropped["rebind"] += 1
        self.is_local = True  # nothing to remember
        self._end(made_here(self._question, LocalAnswer(error=BLOCKED), now), now)
        return True

    def _plain(self, accepted: Accepted, now: float) -> Stored:
        assert accepted.octets is not None
        octets = accepted.octets
        error = accepted.error
        if accepted.rcode == rr.NXDOMAIN and self._forwarder.local.knows(self._question.folded):
            octets = bytes((octets[0], octets[1] & 0xF0)) + octets[2:]
            error = KNOWN_HERE
        if accepted.ad and self._is_trusted():
            octets = _with_ad(octets)
        stored = Stored(octets, accepted.ttls, accepted.cycle, accepted.ttl, now, self.route)
        stored.error = error
        return stored

    def _truncated(self, accepted: Accepted, now: float) -> Stored:
        """Say that there is more: the server could not be asked over TCP (never stored)."""
        stored = compose(self._question, accepted.rcode, (), (), (), self.route, now)
        stored.octets = _with_tc(stored.octets)
        return stored

    def _leaves(self, name: bytes) -> bool:
        return self._forwarder.routes.find(name) is not self.route

    def _owners(self, answer: tuple[rr.RRset, ...]) -> tuple[tuple[bytes, object], ...]:
        """Return the names that its route answered for, but for the asked one."""
        route = self.route
        owners = {r.owner: None for r in answer if r.type != _DNAME}
        owners.pop(self._question.folded, None)
        return tuple((owner, route) for owner in owners)

    def _is_trusted(self) -> bool:
        exchange = self.exchange
        winner = None if exchange is None else exchange.winner
        return winner is not None and self._forwarder.trusts(winner.server)

    def _additional(
        self, parsed: response.Response, answer: tuple[rr.RRset, ...]
    ) -> tuple[rr.RRset, ...]:
        """Return the addresses of SRV targets that the cluster's own server sends along."""
        if self.route.kind is not Kind.CLUSTER or self._question.qtype != rr.SRV:
            return ()
        targets = {rdata[6:].lower() for rrset in answer for rdata in rrset.rdatas}
        found = [
            rrset
            for rrset in parsed.additional
            if rrset.type in (rr.A, rr.AAAA) and rrset.owner in targets
            if not self._leaves(rrset.owner)
        ]
        return tuple(found) if sum(len(r.rdatas) for r in found) <= _MAX_ADDITIONAL else ()

    def _follow(self, target: bytes, now: float) -> None:
        """Resolve what the chain leads to."""
        self._forwarder.flights.leave(self, self.route.group)
        self.exchange = None
        question = self._question
        octets = target + question.octets[-4:]
        onward = Question(
            octets, target.lower(), question.qtype, do=question.do, cd=question.cd, rd=True
        )
        self._forwarder.resolve_for(self, onward, now)

    def followed(self, outcome: Outcome, target: bytes, now: float) -> None:
        """Take what the chain leads to; target: folded."""
        inner, self.inner = self.inner, None
        if self.ended:
            return
        if inner is not None:
            self.since = min(self.since, inner.since)
        if isinstance(outcome, Failed):
            leads_there = self._forwarder.routes.find(target).cluster
            self.failed_in_cluster = leads_there or (inner is not None and inner.failed_in_cluster)
            self._end(outcome, now)
            return
        rest = response.read(b"\0\0" + outcome.octets)
        if not self.route.cluster and self._is_rebind(rest.answer, now):
            return
        ttl = outcome.left(now) if outcome.ttl else 0
        answer = self._links + _with_ttl(rest.answer, ttl)
        authority = _with_ttl(rest.authority, ttl)
        stored = compose(self._question, outcome.rcode, answer, authority, (), self.route, now)
        if outcome.is_cut:
            stored.octets = _with_tc(stored.octets)
        links = self._owners(self._links)
        stored.chain = (*links, (target, outcome.route), *outcome.chain)
        stored.error = outcome.error
        if stored.error is None and self.route.cluster and outcome.is_negative:
            stored.error = _led_astray(rest.answer, target, outcome.rcode)
        self._end(stored, now)

    def _end(self, outcome: Outcome, now: float) -> None:
        if self.ended:
            return
        self.ended = True
        refusal = self._refusal
        if refusal and isinstance(outcome, Stored) and outcome.error is None:
            outcome.error = (_EDE_OTHER, refusal[1]) if outcome.is_negative else None
        self._forwarder.conclude(self, outcome, now)
        self.exchange = None
        parents, self._parents = self._parents, []
        for parent in parents:
            parent.followed(outcome, self._question.folded, now)


def _led_astray(answer: Sequence[rr.RRset], target: bytes, rcode: int) -> tuple[int, str] | None:
    """Explain why there is nothing at the end of a chain that leads out of the cluster."""
    if rcode not in (rr.NOERROR, rr.NXDOMAIN):
        return None
    links = [each for each in answer if each.type == rr.CNAME]
    end = links[-1].rdatas[0].lower() if links else target
    return sentences.led_astray(end, missing=rcode == rr.NXDOMAIN)


def made_here(asked: Question, found: LocalAnswer, now: float) -> Outcome:
    """Return what is known here in the form of an answer from outside; not to be kept."""
    if found.rcode not in (rr.NOERROR, rr.NXDOMAIN):
        return Failed(found.rcode, found.error or (_EDE_OTHER, "not answered here"))
    stored = compose(asked, found.rcode, found.answer, (), (), None, now)
    stored.error = found.error
    return stored


def _extended_error(message: bytes) -> tuple[int, str] | None:
    """Return what a sound reply says beside its answer; most end with an OPT that is empty."""
    return None if message.endswith(b"\0\0") else extended_error(message)


def _has_some(answer: tuple[rr.RRset, ...], qtype: int) -> bool:
    return any(qtype in (rrset.type, rr.ANY) for rrset in answer)


def _with_ttl(rrsets: tuple[rr.RRset, ...], ttl: int) -> tuple[rr.RRset, ...]:
    return tuple(rrset._replace(ttl=ttl) for rrset in rrsets)


def _least(answer: tuple[rr.RRset, ...]) -> tuple[rr.RRset, ...]:
    """Return one RRset of those that ANY found (RFC 8482 4.1): an alias, or the smallest."""
    if not answer:
        return ()
    return (min(answer, key=lambda r: (r.type != rr.CNAME, sum(map(len, r.rdatas)))),)


def _with_tc(octets: bytes) -> bytes:
    return bytes((octets[0] | TC >> 8,)) + octets[1:]


def _with_ad(octets: bytes) -> bytes:
    return bytes((octets[0], octets[1] | AD)) + octets[2:]
