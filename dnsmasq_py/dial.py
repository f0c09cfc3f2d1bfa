"""
Questions on their way to servers: over UDP where that does, else over TCP or TLS.

All of it runs in the reactor's thread. Nothing is kept for an attempt but its place among those
that wait on a socket: no timer, no Deferred. `Dialer.sweep` goes over all sockets once a second
while there are any.
"""

import errno
import resource
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.counters import Counters
from dnsmasq_py.datagrams import Datagrams, reason_of
from dnsmasq_py.options import Options
from dnsmasq_py.pools import Pool
from dnsmasq_py.ports import Ports
from dnsmasq_py.randomness import triples
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.trunks import Streams, Trunk

if TYPE_CHECKING:
    from ssl import SSLContext

    from dnsmasq_py.tls import Channel
    from dnsmasq_py.upstream import Upstream

_MOST = 16_384  # UDP sockets: of about 28,000 ports enough must be left to choose from
_SWEEP_S = 1.0
_MAX_DATAGRAM = 4096


class Dialer:
    """
    Sends attempts, and hands replies and failures to their exchanges.

    clock: the monotonic seconds in which all of them reckon. most: UDP sockets at once; None: as
    `file_room` says. At the bound sockets are used for longer, and no attempt fails for it.
    """

    def __init__(
        self,
        reactor: Any,
        counters: Counters,
        options: Options,
        *,
        clock: Callable[[], float] = time.monotonic,
        most: int | None = None,
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._ca_file = options.tls_ca
        self._context: SSLContext | None = None
        self._ports = Ports(options)
        self._random = triples()
        self.datagrams = Datagrams(
            reactor,
            counters,
            clock,
            self._keep_clean,
            most=file_room() if most is None else most,
            max_size=max(_MAX_DATAGRAM, options.edns_packet_max),
        )
        self._streams = Streams(reactor, counters, clock, self._keep_clean, self._random)
        self._pools: dict[Server, Pool] = {}
        self._trunks: dict[Server, Trunk] = {}
        # The same by upstream, which is found faster: a Server is hashed field by field.
        self._ways: dict[Upstream, Pool | Trunk] = {}
        self._tcp_ways: dict[Upstream, Pool | Trunk] = {}
        self._timer: Any = None
        self._closed = False

    @property
    def sockets(self) -> int:
        """Return how many UDP sockets are open."""
        return self.datagrams.count

    @property
    def connections(self) -> int:
        """Return how many TCP and TLS connections there are."""
        return self._streams.count

    def send(self, attempt: Attempt, now: float) -> None:
        """
        Send an attempt.

        Raises:
            OSError: it cannot be sent, and counts as failed.
        """
        ways = self._tcp_ways if attempt.tcp else self._ways
        way = ways.get(attempt.upstream)
        if way is None:
            way = ways[attempt.upstream] = self._way(attempt.upstream.server, tcp=attempt.tcp)
        way.send(attempt, now)

    def cancel(self, attempt: Attempt) -> None:
        """Forget an attempt; nothing happens when it is over already, or was never sent."""
        if place := getattr(attempt, "line", None):
            line, query_id = place
            line.forget(query_id, attempt)

    def retain(self, servers: Iterable[Server]) -> None:
        """
        Ask no other servers than these any more; what is on its way to others may still come back.

        The CA file is read anew when it is needed next.
        """
        kept = set(servers)
        self._ways.clear()
        self._tcp_ways.clear()
        self._context = None
        for ways in (self._pools, self._trunks):
            for server in ways.keys() - kept:
                ways.pop(server).retire()

    def problems(self, servers: Iterable[Server]) -> list[str]:
        """
        Return why servers could not be asked as configured; one line for each that could not.

        Nothing is sent: this is about what is here, that is devices, addresses, and the CA file.
        """
        return [
            f"server {server} cannot be asked: {problem}"
            for server in servers
            if (problem := self._problem(server))
        ]

    def close(self) -> None:
        """Close everything; no exchange hears of it, and further attempts fail at once."""
        self._closed = True
        self._ways.clear()
        self._tcp_ways.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.datagrams.close_all()
        self._streams.close_all()

    def _way(self, server: Server, *, tcp: bool) -> Pool | Trunk:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "stopped")
        if server.transport is Transport.UDP and not tcp:
            if server not in self._pools:
                self._pools[server] = Pool(server, self._ports, self.datagrams, self._random)
            return self._pools[server]
        if server not in self._trunks:
            channel = self._channels(server) if server.transport is Transport.TLS else None
            self._trunks[server] = Trunk(server, self._streams, channel)
        return self._trunks[server]

    def _channels(self, server: Server) -> "Callable[[], Channel]":
        """Return what makes TLS channels to a server."""
        from dnsmasq_py import tls  # some megabytes, which most do not need

        def channel() -> tls.Channel:
            if self._context is None:
                self._context = tls.context(self._ca_file)
            return tls.Channel(self._context, server.tls_name or server.address)

        return channel

    def _problem(self, server: Server) -> str:
        """Return why a server cannot be asked; empty: it can."""
        origin = [text for text in (server.source, server.interface) if text]
        try:
            self._ports.bound(server).close()
        except OSError as error:
            return f"from {' at '.join(origin) or 'here'}: {reason_of(error)}"
        try:
            if server.transport is Transport.TLS:
                self._channels(server)()
        except OSError as error:
            return reason_of(error)
        return ""

    def _keep_clean(self) -> None:
        if self._timer is None:
            self._timer = self._reactor.callLater(_SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock()
        self.datagrams.sweep(now)
        self._streams.sweep(now)
        if self.datagrams.count or self._streams.count:
            self._keep_clean()


def file_room() -> int:
    """
    Raise the limit of open files as far as this process may; return how many may be UDP sockets.

    That is half of them at most: clients, who come over TCP too, have the rest.
    """
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _MOST if hard == resource.RLIM_INFINITY else min(_MOST, hard // 2)
