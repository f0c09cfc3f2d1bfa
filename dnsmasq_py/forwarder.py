"""
What becomes of a query that no receiver could answer by itself.

In order: what is no query (refused or dropped, or taken by feed.py), other classes (chaos.py),
local data (local.py), the cache, names that stay inside, failures of a moment ago, and then the
servers of the name's route, together with whoever asks the same already (resolution.py). All of it
runs in the reactor's thread and waits for nothing.
"""

import time
from collections.abc import Callable
from typing import Any

from dnsmasq_py import chaos, sentences
from dnsmasq_py.agenda import Agenda
from dnsmasq_py.answering import Answering, Client
from dnsmasq_py.attempt import Dialer
from dnsmasq_py.cache import Cache
from dnsmasq_py.chaos import Chaos
from dnsmasq_py.counters import Counters
from dnsmasq_py.express import Ask, Express
from dnsmasq_py.failures import Failures, Remembered
from dnsmasq_py.feed import Feed
from dnsmasq_py.flights import Flights
from dnsmasq_py.keeping import Keeping
from dnsmasq_py.limits import Crowd, Failed, Shed
from dnsmasq_py.local import LocalAnswer, LocalData
from dnsmasq_py.options import Options
from dnsmasq_py.purge import Purges, has_part
from dnsmasq_py.querylog import QueryLog
from dnsmasq_py.question import Question, of_key
from dnsmasq_py.resolution import MAX_DEPTH, Outcome, Resolution, made_here
from dnsmasq_py.routing import NOTHING, Route, Routes
from dnsmasq_py.server import Server
from dnsmasq_py.stored import Ready, Stored
from kubedns.plainshelf import LEAST_PREFETCHED_S
from kubedns.wire import name as names
from kubedns.wire import notify, question, reply, rr
from kubedns.wire.question import Query, WireError

_EDE_CACHED_ERROR = 13
_EDE_NOT_READY = 14
_EDE_NOT_AUTHORITATIVE = 20
_POPULAR = 2  # uses
_TOO_MANY = Failed(rr.SERVFAIL, (0, "too many questions wait already"))
_ADDRESSES = (rr.A.to_bytes(2), rr.AAAA.to_bytes(2))
_OTHER_TYPES = {rr.A: _ADDRESSES[1:], rr.AAAA: _ADDRESSES[:1]}
_CIRCLE = Failed(rr.SERVFAIL, (0, "its CNAMEs lead in a circle, or too far"))


class Forwarder:
    """
    See the head of this module.

    later: has a function called in the reactor's thread, from any other (reactor.callFromThread).
    The service changes, as it learns: routes (configure), local, cluster_is_ours (kubedns leaves to
    us what is not its own when RD=0), probe_seen (told of names that loop probes ask for).
    """

    def __init__(
        self,
        options: Options,
        cache: Cache,
        dialer: Dialer,
        agenda: Agenda,
        counters: Counters,
        statistics: Chaos,
        local: LocalData,
        *,
        later: Callable[..., Any],
        log: QueryLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.cache = cache
        self.dialer = dialer
        self.agenda = agenda
        self.counters = counters
        self.local = local
        self.clock = clock
        self.routes: Routes = NOTHING
        self.failures = Failures()
        self.purges = Purges(cache, self.failures, lambda name: self.routes.find(name).cluster)
        self.feed = Feed(options.kubedns_server, self.purges, self._has_zone, agenda.add)
        self.keeping = Keeping(options, cache, self.purges, self.feed)
        self.crowd = Crowd()
        self.flights = Flights(options.dns_forward_max, counters)
        # Whether replies may be kept octet by octet: nothing in them is ever taken out.
        self.takes_plain = not (options.stop_dns_rebind or options.filter_a or options.filter_aaaa)
        self.answering = Answering(counters, options.max_ttl_s, log)
        self.cluster_is_ours = False
        self.probe_seen: Callable[[bytes], bool] = lambda _: False
        self._chaos = statistics
        self._later = later
        self._trusted = frozenset(options.trusted)
        self._asks_ad = options.proxy_dnssec or bool(options.trusted)
        self.express = Express(self)
        if log is None:
            cache.open_shelf(options.max_ttl_s)

    @property
    def epoch(self) -> int:
        """Return the number of the configuration that is in force; see Stored.epoch."""
        return self.cache.epoch

    def configure(self, routes: Routes) -> None:
        """
        Ask by other routes from now on.

        Questions on their way go on. Answers stay where their route does: each is looked at when it
        is used next (`_is_current`), so a change costs no time now.
        """
        self.express.unfold_all()
        self.routes = routes
        self.failures.clear()
        self.cache.clear_ready()
        self.flights.keep_apart(lambda each: self._goes_to(each.name, each.route))

    # Queries

    def handle(
        self, message: bytes, sender: Any, send: Callable[[bytes], Any], *, tcp: bool = False
    ) -> None:
        """Answer a message, now or later; sender: the client's socket address."""
        if not sender[1]:  # nobody could be answered there
            self.counters.dropped["source port 0"] += 1
            return
        now = self.clock()
        if not tcp and self.express.take(message, sender, send, now):
            return
        try:
            query = question.read(message)
        except WireError as error:
            if error.rcode == rr.NOTIMP and notify.is_notify(message):
                self._notified(message, sender, send, tcp=tcp)
            else:
                self._refuse_message(message, error, sender, send, tcp=tcp)
            return
        client = Client(query, sender, send, tcp=tcp, message=message, came=now)
        log = self.answering.log
        if log is not None:
            client.asked = log.query(query.qtype, query.qname, client.address, sender[1])
        if query.qclass != rr.IN:
            self._other_class(client, query)
        elif query.qtype in (rr.AXFR, rr.IXFR):
            self._refuse(client, "no zone transfers here")
        else:
            self._in_class(message, client, query, now)

    def _notified(
        self, message: bytes, sender: Any, send: Callable[[bytes], Any], *, tcp: bool
    ) -> None:
        """Take what may be the cluster's server telling of changes."""
        source = sender[0].removeprefix("::ffff:"), sender[1]
        receipt = self.feed.received(message, source, self.clock(), tcp=tcp)
        if isinstance(receipt, bytes):
            send(receipt)
        elif receipt is not None:
            self._refuse_message(message, WireError("a NOTIFY", receipt), sender, send, tcp=tcp)

    def _has_zone(self, zone: bytes) -> bool:
        """Tell whether the cluster's server is asked about names of a zone."""
        ours = self.routes.cluster_zones
        return any(names.is_below(zone, each) or names.is_below(each, zone) for each in ours)

    def _refuse_message(
        self,
        message: bytes,
        error: WireError,
        sender: Any,
        send: Callable[[bytes], Any],
        *,
        tcp: bool,
    ) -> None:
        self.counters.malformed[_kind(error)] += 1
        self.answering.refuse_message(message, error, sender, send, tcp=tcp)

    def _other_class(self, client: Client, query: Query) -> None:
        if not chaos.is_allowed(client.address):
            self._refuse(client, "for the cluster's own networks alone")
            return
        self._count(client, hit=True)
        rcode, answer = self._chaos.answer(query)
        found = LocalAnswer(rcode, tuple(answer), authoritative=bool(answer))
        self.answering.give_local(client, found)

    def _in_class(self, message: bytes, client: Client, query: Query, now: float) -> None:
        local = self.local.answer(query.folded, query.qtype)
        if local is not None and (local.onward is None or not query.rd):
            self._count(client, hit=True)
            self.answering.give_local(client, local)
            return
        asked = _asked(query)
        key = asked.key
        stored = None if local is not None else self.cache.entries.get(key)
        if stored is not None and not self._is_current(key, stored, query.folded):
            stored = None
        if stored is not None and now < stored.dies():
            self._hit(message, client, stored, now)
        elif not query.rd:
            self._answer_without_asking(client, asked)
        else:
            if stored is not None and now >= stored.expires + self.cache.stale_s:
                stored = None
            self._miss(client, key, asked, local, stored, now)

    def _answer_without_asking(self, client: Client, asked: Question) -> None:
        """Reply to a query with RD=0 that the cache has nothing for."""
        found = self._where(asked)
        if isinstance(found, LocalAnswer) and found.rcode in (rr.NOERROR, rr.NXDOMAIN):
            self._count(client, hit=True)
            self.answering.give_local(client, found)
        else:
            self._refuse(client, "not known here, and RD=0")

    def _hit(self, message: bytes, client: Client, stored: Stored, now: float) -> None:
        if stored.used and self.answering.log is None and not client.tcp:
            self._make_ready(message, client.query, stored, now)
        stored.used += 1
        self._count(client, hit=True)
        self.answering.give(client, stored, now, cached=True)
        if stored.used >= _POPULAR and now >= stored.due() and not stored.refreshing:
            self._refresh(client.query, stored)

    def _make_ready(self, message: bytes, query: Query, stored: Stored, now: float) -> None:
        """Let receivers answer this query from now on, if it has a form that they can look up."""
        if message[2:] not in self.cache.ready and question.is_fixed_form(message, query):
            ready = Ready(message[2:], stored, query, self.options.max_ttl_s, self._soon)
            if ready.size <= reply.udp_limit(query):
                self.cache.put_ready(ready, now)

    def _miss(
        self,
        client: Client,
        key: bytes,
        asked: Question,
        local: LocalAnswer | None,
        stale: Stored | None,
        now: float,
    ) -> None:
        resolution = self._under_way(key)
        if resolution is not None:
            self._count(client, hit=True)
            self._join(client, resolution, stale, now)
            return
        missing = self._no_such_name(key, asked, now)
        if missing is not None:
            self._count(client, hit=True)
            self.answering.give(client, missing, now, cached=True)
            return
        if local is not None and local.onward is not None:
            resolution = self._new(key, asked, self.routes.default, now)
            if self._wait(client, resolution, now):
                self._count(client, hit=False)
                resolution.begin_with(local.answer, local.onward, now)
            return
        found = self._where(asked)
        if isinstance(found, LocalAnswer):
            self._count(client, hit=True)
            self.answering.give_local(client, found)
            return
        failed = self.failures.kept(key, now)
        if failed is not None:
            self._count(client, hit=True)
            self._give_failure(client, failed, stale, found, now)
            return
        resolution = self._new(key, asked, found, now)
        if stale is not None and self._is_stale_enough(found):
            self._count(client, hit=True)
            self._give_stale(client, stale, found)
            resolution.background = True
        elif self._wait(client, resolution, now):
            self._count(client, hit=False)
            resolution.stale = stale
            if stale is not None:
                resolution.offer_stale(now)
        else:
            return
        self.express.makes_way()
        resolution.ask(now)

    def _under_way(self, key: bytes) -> Resolution | None:
        """Return who asks this already, unless it has changed since, as far as can be known."""
        self.express.unfold_key(key)
        resolution = step = self.flights.find(key)
        while step is not None:
            changed = self.purges.covers(step.since, (step.name,), missing=True)
            if changed and self.routes.find(step.name).cluster:
                return None
            step = step.inner
        return resolution

    def _is_stale_enough(self, route: Route) -> bool:
        """
        Tell whether an old answer is given before anybody is asked.

        As dnsmasq does with --use-stale-cache; and while the cluster's server is known to be away.
        """
        if self.options.use_stale_cache_s is not None:
            return True
        group = route.group
        return route.cluster and group is not None and all(u.consec_loss for u in group.upstreams)

    def _join(
        self, client: Client, resolution: Resolution, stale: Stored | None, now: float
    ) -> None:
        """Let a client wait for what is being resolved, or give him what others got meanwhile."""
        at_once = resolution.is_late or self._is_stale_enough(resolution.route)
        if stale is not None and at_once:
            self._give_stale(client, stale, resolution.route)
        elif self._wait(client, resolution, now) and stale is not None and not resolution.stale:
            resolution.stale = stale  # began as a refresh, or under another configuration
            resolution.offer_stale(now)

    def _no_such_name(self, key: bytes, asked: Question, now: float) -> Stored | None:
        """Return what another type's question found out: NXDOMAIN is for all (RFC 2308 5)."""
        for rtype in _OTHER_TYPES.get(asked.qtype, _ADDRESSES):
            other_key = asked.folded + rtype + key[-3:]
            other = self.cache.entries.get(other_key)
            if (
                other is not None
                and other.rcode == rr.NXDOMAIN
                and other.octets[4:6] == b"\0\0"  # else it is said of a CNAME's target
                and now < other.dies()
                and self._is_current(other_key, other, asked.folded)
            ):
                missing = other.for_type(key[-5:-3])
                self.cache.put(key, missing, now)
                return missing
        return None

    def _new(self, key: bytes, asked: Question, route: Route, now: float) -> Resolution:
        asked.rd = not (route.cluster and self.cluster_is_ours)
        asked.ad = self._asks_ad
        return Resolution(self, key, asked, route, now + self.options.client_deadline_s)

    def adopt(self, client: Client, ask: Ask) -> None:
        """Take over a question that went the short way, with the client who waits for it."""
        resolution = self._new(ask.key, _asked(client.query), ask.route, ask.sent_at)
        resolution.epoch = 0  # begun before, perhaps, and in another configuration
        resolution.since = ask.since
        resolution.add(client, ask.sent_at)
        resolution.adopt(ask)

    @property
    def in_flight(self) -> int:
        """Return how many questions are on their way."""
        return len(self.flights) + len(self.express)

    def _wait(self, client: Client, resolution: Resolution, now: float) -> bool:
        if not self.crowd.admit(client.address):
            self.counters.dropped["client limit"] += 1
            self.counters.limits["client"] += 1
        elif resolution.add(client, now):
            return True
        else:
            self.crowd.leave(client.address)
        if client.tcp:  # a connection holds a place for each reply that it owes
            self.answering.fail(client, _TOO_MANY, "config")
        return False

    def _where(self, asked: Question) -> Route | LocalAnswer:
        """Return the route of a name, or what is said of it without asking anybody."""
        folded = asked.folded
        if self.probe_seen(folded):
            return LocalAnswer(rr.NXDOMAIN, authoritative=False)
        route = self.routes.find(folded)
        if route.cluster:
            now = self.clock()
            above = self.cut_by(folded, route, now)
            if above is not None:
                error = sentences.cut_by(above, self._said_of(above, now))
                return LocalAnswer(rr.NXDOMAIN, authoritative=False, error=error, why=error[1])
        return self.local.inside(folded, asked.qtype, route) or route

    def cut_by(self, folded: bytes, route: Route, now: float) -> bytes | None:
        """Return the name of the cluster above this one that is known not to exist, if any is."""
        for zone in self.routes.cluster_zones:
            if names.is_below(folded, zone):
                above = self.cache.cut_by(folded, zone, route, now)
                if above is not None:
                    return above
        return None

    def _said_of(self, name: bytes, now: float) -> tuple[int, str] | None:
        """Return what kubedns said of a name that does not exist; None: nothing."""
        for rtype in (rr.A, rr.AAAA):
            stored = self.cache.entries.get(name + bytes((0, rtype, 0, rr.IN, 0)))
            if stored is not None and stored.rcode == rr.NXDOMAIN and stored.error is not None:
                return stored.told(now)
        return None

    def _refuse(self, client: Client, reason: str) -> None:
        self._count(client, hit=True)
        self.answering.fail(client, Failed(rr.REFUSED, (_EDE_NOT_AUTHORITATIVE, reason)), "config")

    def _count(self, client: Client, *, hit: bool) -> None:
        counters = self.counters
        if client.tcp:
            if hit:
                counters.tcp_hits += 1
            else:
                counters.tcp_misses += 1
        elif hit:
            counters.hits += 1
        else:
            counters.misses += 1

    # Answers of old

    def _is_current(self, key: bytes, stored: Stored, folded: bytes) -> bool:
        """Tell whether those who gave an answer are still asked; forget it if they are not."""
        if stored.epoch == self.epoch:
            return True
        if all(self._goes_to(n, r) for n, r in ((folded, stored.route), *stored.chain)):
            # Receivers do not look at what is known here, which may have come since.
            if self._is_others(key):
                stored.epoch = self.epoch
            return True
        self.cache.drop(key)
        return False

    def _is_others(self, key: bytes) -> bool:
        """Tell whether nothing is known here of a question, by its key in the cache."""
        return self.local.answer(key[:-5], key[-5] << 8 | key[-4]) is None

    def held(self, key: bytes) -> Stored | None:
        """Return what the cache has for a key, expired or not, as far as it may still be given."""
        stored = self.cache.entries.get(key)
        return stored if stored is not None and self._is_current(key, stored, key[:-5]) else None

    def _goes_to(self, name: bytes, route: object) -> bool:
        found = self.routes.find(name)
        return found is route or (found.cluster and self.routes.after(name, found) is route)

    def _give_stale(
        self,
        client: Client,
        stale: Stored,
        route: Route,
        why: tuple[int, str] | None = None,
    ) -> None:
        """Give an old answer; why: what became of the last try."""
        ttl = 0 if self.options.use_stale_cache_s is not None else 30
        cluster = route.cluster or has_part(stale)
        stale.used += 1  # so that it is not pushed out by what is asked once
        error = sentences.stale(
            route, self._silent_s(route), why, missing=stale.rcode == rr.NXDOMAIN
        )
        self.answering.give_stale(client, stale, cluster=cluster, ttl=ttl, error=error)

    def _silent_s(self, route: Route) -> float | None:
        """Return for how long the servers of a route have been silent; None: they are not."""
        group = route.group
        if group is None or not all(each.consec_loss for each in group.upstreams):
            return None
        since = self.failures.silent_since(group)
        if route.cluster and self.feed.heard >= 0:  # it says something every second
            since = max(self.feed.heard, *(each.last_ok for each in group.upstreams))
        return None if since is None else self.clock() - since

    def _give_failure(
        self, client: Client, kept: Remembered, stale: Stored | None, route: Route, now: float
    ) -> None:
        failed = kept.failed
        if stale is not None and _lets_stale(failed):
            self._give_stale(client, stale, route, failed.error)
        elif failed.rcode == rr.REFUSED and failed.error[0] == _EDE_NOT_READY:
            self.answering.fail(client, failed, "config")  # said here, and still true
        else:
            text = sentences.kept(failed.error[1], now - kept.since)
            remembered = failed._replace(error=(_EDE_CACHED_ERROR, text))
            self.answering.fail(client, remembered, "cached")

    def _soon(self, ready: Ready) -> None:
        """Refresh a popular answer before it expires; called in a receiver's thread."""
        if ready.uses >= _POPULAR or ready.stored.used >= _POPULAR:
            ready.stored.refreshing = True
            query = question.read(b"\0\0" + ready.raw)
            self._later(self._refresh, query, ready.stored)

    def _refresh(self, query: Query, stored: Stored) -> None:
        """Ask anew for an answer that is there, in the background (RFC 8767 calls it prefetch)."""
        now = self.clock()
        asked = _asked(query)
        key = asked.key
        route = self._where(asked)
        stored.refreshing = (
            isinstance(route, Route)
            and self.local.answer(asked.folded, asked.qtype) is None  # it may be known here by now
            and stored.ttl >= LEAST_PREFETCHED_S
            and not self.agenda.is_lagging(now)
            and self.flights.find(key) is None
            and key not in self.express.asks
            and self.failures.find(key, now) is None
        )
        if stored.refreshing and isinstance(route, Route):
            self.counters.prefetched += 1
            resolution = self._new(key, asked, route, now)
            resolution.background = True
            resolution.ask(now)

    def renew(self, key: bytes) -> Resolution | None:
        """
        Return a question in the background, to be asked; key: that of the cache.

        None: it is known, or asked already, or nobody is to be asked.
        """
        now = self.clock()
        asked = of_key(key)
        stored = self.cache.entries.get(key)
        fresh = stored is not None and now < stored.dies()
        if stored is not None and fresh and self._is_current(key, stored, asked.folded):
            return None
        route = self._where(asked)
        local = self.local.answer(asked.folded, asked.qtype)
        if local is not None or self._under_way(key) or not isinstance(route, Route):
            return None
        resolution = self._new(key, asked, route, now)
        resolution.background = True
        return resolution

    # What resolutions ask of us

    def beyond_cluster(self, asked: Question, route: Route) -> Route | LocalAnswer:
        """Return where a name goes that the cluster's own server refused, or what is said of it."""
        onward = self.routes.after(asked.folded, route)
        return self.local.inside(asked.folded, asked.qtype, onward) or onward

    def resolve_for(self, parent: Resolution, asked: Question, now: float) -> None:
        """Resolve what a chain leads to, and tell it."""
        key = asked.key
        found = self._resolved(key, asked, parent, now)
        if isinstance(found, Resolution):
            parent.wait_for(found)
            if not found.is_asked:
                found.ask(now)
        else:
            parent.followed(found, asked.folded, now)

    def _resolved(
        self, key: bytes, asked: Question, parent: Resolution, now: float
    ) -> Outcome | Resolution:
        local = self.local.answer(asked.folded, asked.qtype)
        if local is not None and local.onward is None:
            return made_here(asked, local, now)
        stored = None if local is not None else self.cache.entries.get(key)
        fresh = stored is not None and now < stored.dies()
        if stored is not None and fresh and self._is_current(key, stored, asked.folded):
            return stored
        self.express.unfold_key(key)
        known = self.flights.find(key)
        if parent.depth + 1 >= MAX_DEPTH or (known is not None and known.leads_to(parent)):
            return _CIRCLE
        known = self._under_way(key)
        if known is not None:
            return known
        where = self._where(asked)
        if isinstance(where, LocalAnswer):
            return made_here(asked, where, now)
        failed = self.failures.find(key, now)
        if failed is not None:
            return failed
        inner = self._new(key, asked, where, now)
        inner.depth = parent.depth + 1
        return inner

    def trusts(self, server: Server) -> bool:
        """Tell whether a server's AD bit is passed on."""
        return self.options.proxy_dnssec or server.address in self._trusted

    def asked(self, resolution: Resolution, server: Server) -> None:
        """Log whom a question went to."""
        log = self.answering.log
        if log is not None:
            for client in resolution.clients.values():
                log.forwarded(client.asked, client.query.qname, server)

    def give_stale(self, resolution: Resolution, stale: Stored) -> None:
        """Give all who wait an old answer; the question goes on."""
        if self._may_still_hold(resolution.key, stale):
            for client in self._leaving(resolution):
                self._give_stale(client, stale, resolution.route)
            self.flights.abandoned(resolution)

    def _may_still_hold(self, key: bytes, stale: Stored) -> bool:
        """Tell whether an old answer may still be given: what was purged is known to be wrong."""
        return not stale.marks or self.cache.entries.get(key) is stale

    def conclude(self, resolution: Resolution, outcome: Outcome, now: float) -> None:
        """Keep an outcome, and reply to all clients that wait for it."""
        self.flights.end(resolution)
        clients = self._leaving(resolution)
        if isinstance(outcome, Stored):
            self.failures.end(resolution.key)
            if not resolution.is_local:
                self.keep(resolution, outcome, now)
            for client in clients:
                self.answering.give(client, outcome, now, cached=False)
            return
        if clients and not isinstance(outcome, Shed) and self._is_overtaken(resolution, now):
            self._ask_again(resolution, clients, now)
            return
        stale = resolution.stale if _lets_stale(outcome) else None
        if stale is not None and not self._may_still_hold(resolution.key, stale):
            stale = None
        if not isinstance(outcome, Shed):
            self._remember(resolution, outcome, now, stale=stale is not None)
        for client in clients:
            if stale is not None:
                self._give_stale(client, stale, resolution.route, outcome.error)
            else:
                self.answering.fail(client, outcome, "reply")

    def _is_overtaken(self, failed: Resolution, now: float) -> bool:
        """Tell whether the name changed since it was asked for: it may do better now."""
        if not failed.route.cluster or failed.overtaken or now >= failed.deadline:
            return False
        return self.purges.covers(failed.since, (failed.name,), missing=True)

    def _ask_again(self, failed: Resolution, clients: list[Client], now: float) -> None:
        """
        Ask once more in place of a question that failed, for those who waited for it.

        What the cache had may have been dropped meanwhile, with the word that there is better: the
        first list of a kubedns that was started anew.
        """
        again = self._under_way(failed.key)
        is_new = again is None
        if again is None:
            again = self._new(failed.key, _asked(clients[0].query), failed.route, now)
            again.deadline = failed.deadline
            again.overtaken = True
        waiting = [client for client in clients if self._wait(client, again, now)]
        if is_new and waiting:
            again.ask(now)

    def _remember(self, resolution: Resolution, failed: Failed, now: float, *, stale: bool) -> None:
        group = resolution.route.group
        cluster = resolution.route.cluster or resolution.failed_in_cluster
        if not cluster or resolution.since == self.purges.count:  # else it may do better now
            asked_at = resolution.deadline - self.options.client_deadline_s
            self.failures.add(
                resolution.key,
                failed,
                now,
                group,
                cluster=cluster,
                stale=stale,
                asked_at=min(now, asked_at),
            )

    def _leaving(self, resolution: Resolution) -> list[Client]:
        clients = list(resolution.clients.values())
        resolution.clients.clear()
        for client in clients:
            self.crowd.leave(client.address)
        return clients

    def keep(self, resolution: Resolution, stored: Stored, now: float) -> None:
        """Store what was found out; receivers give it unless the configuration changed."""
        if resolution.epoch == self.epoch and self._is_others(resolution.key):
            stored.epoch = self.epoch
        self.keeping.keep(resolution.key, stored, resolution.since, now)


def _asked(query: Query) -> Question:
    """Return what a client's query asks of servers."""
    do = query.edns is not None and query.edns.do
    cd = bool(query.flags & 0x10)
    return Question(query.octets, query.folded, query.qtype, do=do, cd=cd, rd=True)


def _lets_stale(failed: Failed) -> bool:
    """Tell whether an old answer may stand in: not where the server has a reason to refuse."""
    return failed.rcode == rr.SERVFAIL


def _kind(error: WireError) -> str:
    """Name a malformed message for a metric: a few words, no numbers."""
    return "".join(c for c in str(error) if not c.isdigit()).strip().replace("  ", " ")
