"""
Who is asked about a name: the servers of the longest stub domain it lies in, else the upstreams.

A stub domain replaces the upstream nameservers even when it names no server: then nobody is asked.
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from kubedns.config import Config, HostServer, Nameserver, Server
from kubedns.wire import name as names

S = TypeVar("S", bound=Server)


class Route(NamedTuple):
    """The servers of one stub domain; domain: its folded name, the root for the upstreams."""

    domain: bytes
    servers: tuple[Server, ...]


_NOBODY = Route(names.ROOT, ())


@dataclass(frozen=True, slots=True)
class Routes:
    """Routes by domain. upstream: that of all names in no stub domain."""

    stubs: Mapping[bytes, Route] = field(default_factory=dict)
    upstream: Route = _NOBODY

    def find(self, qname: bytes) -> Route:
        """Return the route of a folded name."""
        for _, suffix in names.suffixes(qname):
            if route := self.stubs.get(suffix):
                return route
        return self.upstream

    def hosts(self) -> set[str]:
        """Return the host names among the servers."""
        return {
            server.name
            for route in self.stubs.values()
            for server in route.servers
            if isinstance(server, HostServer)
        }


def build(config: Config, resolv_conf: Sequence[Nameserver], own: "Own") -> Routes:
    """
    Make the routes of a configuration, without the servers that are ourselves.

    resolv_conf: the upstreams of a configuration that names none. Stub domains and hosts whose text
    is no possible name (a label of more than 63 octets) are left out.
    """
    stubs = {}
    for text, servers in config.stub_domains.items():
        if _is_name(text):
            domain = names.from_text(text).lower()
            possible = (s for s in servers if isinstance(s, Nameserver) or _is_name(s.name))
            stubs[domain] = Route(domain, own.without(possible))
    upstream = config.upstream_nameservers or resolv_conf
    return Routes(stubs, Route(names.ROOT, own.without(upstream)))


def _is_name(text: str) -> bool:
    try:
        names.from_text(text)
    except names.BadNameError:
        return False
    return True


class Own:
    """
    Where we listen ourselves, so that no question comes back to us.

    listening: (address, port) of each listener. One on a wildcard or loopback address stands for
    all of 127.0.0.0/8 and ::1 on its port. told hears of each server that is ourselves, once.
    """

    def __init__(
        self, listening: Collection[tuple[str, int]], told: Callable[[Nameserver], None]
    ) -> None:
        self._listening = frozenset(listening)
        self._loopback_ports = {port for host, port in listening if _is_local(host)}
        self._told = told
        self._known: set[Nameserver] = set()

    def __contains__(self, server: Nameserver) -> bool:
        if (server.address, server.port) in self._listening:
            return True
        loopback = ipaddress.ip_address(server.address).is_loopback
        return loopback and server.port in self._loopback_ports

    def without(self, servers: Iterable[S]) -> tuple[S, ...]:
        """Return the servers that are not ourselves, each once."""
        others = []
        for server in dict.fromkeys(servers):
            if not isinstance(server, Nameserver) or server not in self:
                others.append(server)
            elif server not in self._known:
                self._known.add(server)
                self._told(server)
        return tuple(others)


def _is_local(host: str) -> bool:
    """Tell whether a listening address is a wildcard ("" is one) or a loopback address."""
    if not host:
        return True
    address = ipaddress.ip_address(host)
    return address.is_unspecified or address.is_loopback
