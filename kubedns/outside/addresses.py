"""
Servers as configured → servers with an address: the host names among them are looked up.

A name of the cluster is looked up in the zone, at each use; any other through the upstream
nameservers, and kept as hosts.py says.
"""

import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from kubedns.config import Nameserver, Server
from kubedns.errors import KubednsError
from kubedns.outside import trust
from kubedns.outside.hosts import Hosts
from kubedns.outside.query import Question
from kubedns.outside.sharing import CrowdedError, Shared
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

_MOST_LOOK_UPS = 1000
_MOST_WAITING = 1000
_FAMILIES = {rr.A: socket.AF_INET, rr.AAAA: socket.AF_INET6}


class Addresses:
    """clock: monotonic seconds. in_zone: see Outside. ask puts a question to the upstreams."""

    def __init__(
        self,
        clock: Callable[[], float],
        in_zone: Callable[[bytes], Sequence[str] | None],
        ask: Callable[[Question], Awaitable[Response]],
    ) -> None:
        self._clock = clock
        self._in_zone = in_zone
        self._ask = ask
        self._hosts = Hosts()
        self._look_ups: Shared[str, None] = Shared(_MOST_LOOK_UPS, _MOST_WAITING)

    def retain(self, hosts: Collection[str]) -> None:
        """Forget all other host names."""
        self._hosts.retain(hosts)

    async def find(self, servers: Iterable[Server]) -> tuple[Nameserver, ...]:
        """
        Return the servers with their addresses, as many as are known; perhaps none.

        Waits for look-ups only as long as there is no address at all.
        """
        known, due = self._known(servers)
        look_ups = [
            self._look_ups.join(host, partial(self._look_up, host)).addErrback(_crowded)
            for host in due
        ]
        for look_up in look_ups:
            if known:
                break
            await look_up
            known, _ = self._known(servers)
        return known

    def _known(self, servers: Iterable[Server]) -> tuple[tuple[Nameserver, ...], list[str]]:
        """Return what can be told at once, and the hosts to look up."""
        known: list[Nameserver] = []
        due: list[str] = []
        for server in servers:
            if isinstance(server, Nameserver):
                known.append(server)
                continue
            inside = self._in_zone(names.from_text(server.name))
            if inside is None:
                known += map(Nameserver, self._hosts.addresses(server.name))
                if self._hosts.is_due(server.name, self._clock()):
                    due.append(server.name)
            else:
                known += map(Nameserver, inside)
        return tuple(known), due

    async def _look_up(self, host: str) -> None:
        """Ask for both kinds of address of a host."""
        qname = names.from_text(host)
        both = [
            Deferred.fromCoroutine(self._ask_for(Question(qname, rtype))) for rtype in _FAMILIES
        ]
        rrsets = [
            rrset for found in await gatherResults(both, consumeErrors=True) for rrset in found
        ]
        addresses = [
            socket.inet_ntop(_FAMILIES[rrset.type], rdata)
            for rrset in rrsets
            if rrset.type in _FAMILIES
            for rdata in rrset.rdatas
        ]
        ttl = min((rrset.ttl for rrset in rrsets), default=0)
        self._hosts.found(host, addresses, ttl, self._clock())

    async def _ask_for(self, question: Question) -> tuple[rr.RRset, ...]:
        try:
            response = await self._ask(question)
        except KubednsError:
            return ()
        return trust.keep(response, do=False, leaves=lambda _: False).answer


def _crowded(failure: Failure) -> None:
    """Do without a look-up that is one too many."""
    failure.trap(CrowdedError)
