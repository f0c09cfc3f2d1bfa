"""
Outside: a question about a foreign name in, what its servers say out.

A chain of CNAMEs may cross from one route into another, or into the cluster's zone. Each link is
believed only to the servers of the route that its owner lies in; the rest is asked anew, or left to
the caller where it is the cluster's own.
"""

import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from kubedns.config import Config, Nameserver, Server
from kubedns.errors import KubednsError
from kubedns.outside import routing, trust
from kubedns.outside.addresses import Addresses
from kubedns.outside.dial import Dialer
from kubedns.outside.exchange import Answered, Exchange, GaveUp
from kubedns.outside.query import Question
from kubedns.outside.routing import Route, Routes
from kubedns.outside.sharing import CrowdedError, Shared
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

log = Logger()

MAX_IN_FLIGHT = 1000
MAX_WAITING = 500  # askers of one question
PATIENCE_S = 4.5  # with all links of a chain; one exchange has less
_MAX_HOPS = 8
_MAX_TEXT = 400
_AD = 0x0020

InZone = Callable[[bytes], Sequence[str] | None]
Converse = Callable[[Exchange], Awaitable[Answered | GaveUp]]


class NoServersError(KubednsError):
    """Nobody is configured whom one could ask about the name."""


class UnreachableError(KubednsError):
    """
    Nobody answered; str() says who was asked and what happened, in at most 400 characters.

    timed_out: by silence (extended DNS error 22), else by refusal or a broken network (23).
    """

    def __init__(self, reason: str, *, timed_out: bool) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Outside:
    """
    See the head of this module.

    own: (address, port) of our own listeners, never asked. in_zone gives the addresses of a folded
    name of the cluster, None for any other name. converse carries an exchange through; the default
    does so on sockets of the reactor.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        own: Collection[tuple[str, int]] = (),
        in_zone: InZone = lambda _: None,
        converse: Converse | None = None,
    ) -> None:
        self._reactor = reactor
        self._own = routing.Own(own, _warn_of_own)
        self._in_zone = in_zone
        self._converse = converse or Dialer(reactor).converse
        self._routes = Routes()
        self._preferred: dict[bytes, Nameserver] = {}
        self._exchanges: Shared[tuple[tuple[Nameserver, ...], Question], Answered | GaveUp]
        self._exchanges = Shared(MAX_IN_FLIGHT, MAX_WAITING)
        self._addresses = Addresses(reactor.seconds, in_zone, self._ask_upstream)
        events = ("asked", "answered", "failed", "shared", "timeouts", "bad_datagrams")
        self._counts = dict.fromkeys(events, 0)

    def counts(self) -> dict[str, int]:
        """
        Return how often what happened.

        asked, answered, failed: questions put to us. Of the exchanges made for them: shared, that
        a question joined one; timeouts, that nobody answered in time; and all bad_datagrams.
        """
        return dict(self._counts)

    def configure(self, config: Config, resolv_conf: tuple[Nameserver, ...]) -> None:
        """Use other servers from now on; resolv_conf: when the configuration has no upstreams."""
        self._routes = routing.build(config, resolv_conf, self._own)
        self._addresses.retain(self._routes.hosts())
        self._preferred.clear()

    def has_servers(self, qname: bytes) -> bool:
        """Tell whether there is anybody to ask about a folded name."""
        return bool(self._routes.find(qname).servers)

    async def ask(self, qname: bytes, qtype: int, *, do: bool, cd: bool) -> Response:
        """
        Ask about a name, in class IN; its letter case goes out as it is.

        The reply holds only what answers the question (see trust.py), without AD. A chain that ends
        in a CNAME with NOERROR may lead on to a name of the cluster. The rcode is NOERROR,
        NXDOMAIN, YXDOMAIN, or else what the best of the servers had to say: SERVFAIL, REFUSED,
        NOTIMP. Ends within 4.5 s.

        Raises:
            NoServersError: see there.
            UnreachableError: see there.
        """
        self._counts["asked"] += 1
        question = Question(qname, qtype, do, cd)
        resolving = Deferred.fromCoroutine(self._resolve(question))
        try:
            response: Response = await resolving.addTimeout(PATIENCE_S, self._reactor)
        except defer.TimeoutError:
            self._counts["failed"] += 1
            raise _unreachable(f"not within {PATIENCE_S} s", question, timed_out=True) from None
        except CrowdedError as error:
            self._counts["failed"] += 1
            raise _unreachable(str(error), question) from None
        except KubednsError:
            self._counts["failed"] += 1
            raise
        self._counts["answered"] += 1
        return response

    async def _resolve(self, question: Question) -> Response:
        """Follow a chain from route to route."""
        answer: list[rr.RRset] = []
        asked: set[bytes] = set()
        name = question.qname
        while True:
            folded = name.lower()
            if folded in asked or len(asked) >= _MAX_HOPS:
                raise _unreachable("its CNAMEs lead in a circle, or too far", question)
            asked.add(folded)
            route = self._routes.find(folded)
            response = await self._ask_route(route, replace(question, qname=name))
            kept = trust.keep(response, do=question.do, leaves=partial(self._leaves, route))
            answer += kept.answer
            response = replace(
                response,
                flags=response.flags & ~_AD,
                qname=question.qname.lower(),
                answer=tuple(answer),
                authority=kept.authority,
                additional=(),
            )
            if kept.onward is None:
                return response
            if self._in_zone(kept.onward.lower()) is not None:
                return replace(response, rcode=rr.NOERROR)
            name = kept.onward

    def _leaves(self, route: Route, name: bytes) -> bool:
        """Tell whether a folded name is not for the servers of this route to answer."""
        return self._routes.find(name).domain != route.domain or self._in_zone(name) is not None

    async def _ask_upstream(self, question: Question) -> Response:
        return await self._ask_route(self._routes.upstream, question)

    async def _ask_route(self, route: Route, question: Question) -> Response:
        if not route.servers:
            raise NoServersError(f"no nameserver for {names.to_text(question.qname)}")
        servers = await self._addresses.find(route.servers)
        others = self._own.without(servers)
        if not others:
            hosts = ", ".join(map(str, route.servers))
            raise _unreachable(f"no address for {hosts}", question)
        key = others, replace(question, qname=question.qname.lower())
        self._counts["shared"] += key in self._exchanges
        outcome = await self._exchanges.join(
            key, lambda: self._exchange(route.domain, others, question)
        )
        match outcome:
            case Answered(response):
                return response
            case GaveUp(reason, timed_out):
                raise _unreachable(reason, question, timed_out=timed_out)

    async def _exchange(
        self, domain: bytes, servers: Sequence[Nameserver], question: Question
    ) -> Answered | GaveUp:
        """Ask one question, first of the server that answered last."""
        preferred = self._preferred.get(domain)
        ordered = sorted(servers, key=lambda server: server != preferred)
        exchange = Exchange(question, ordered, partial(secrets.token_bytes, 2))
        try:
            outcome = await self._converse(exchange)
        finally:
            self._counts["bad_datagrams"] += exchange.bad_datagrams
        match outcome:
            case Answered(response, server) if response.rcode in (rr.NOERROR, rr.NXDOMAIN):
                self._preferred[domain] = server
            case GaveUp(timed_out=True):
                self._counts["timeouts"] += 1
        return outcome


def _unreachable(reason: str, question: Question, *, timed_out: bool = False) -> UnreachableError:
    text = f"no answer: {reason}; asked for {question}"
    return UnreachableError(text[:_MAX_TEXT], timed_out=timed_out)


def _warn_of_own(server: Server) -> None:
    log.warn("nameserver {server} is ourselves: not asked", server=str(server))
