"""
Which of the servers that somebody named can be asked: not we ourselves, nor what is no address of
one server. Host names become addresses on the way.
"""

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache

from dnsmasq_py.server import Server
from kubedns.nameserver import HostServer, Nameserver
from kubedns.outside.routing import Own


class Usable:
    """
    See the head of this module.

    addresses: those of a host name, as far as known. hosts: the host names that came by. warnings:
    a line for each server that was left out, in order (the values mean nothing).
    """

    def __init__(
        self, kubedns: Server, own: Own, addresses: Callable[[str], tuple[str, ...]]
    ) -> None:
        self.hosts: set[str] = set()
        self.warnings: dict[str, None] = {}
        self._kubedns = (kubedns.address, kubedns.port)
        self._own = own
        self._addresses = addresses
        self._reasons: dict[tuple[str, int], str] = {}

    def is_kubedns(self, server: Server) -> bool:
        """Tell whether this is kubedns, by address and port."""
        return (server.address, server.port) == self._kubedns

    def of(
        self, servers: Iterable[Server | HostServer], *, but_kubedns: bool
    ) -> tuple[Server, ...]:
        """Return the servers to ask; but_kubedns: kubedns may be one, wherever it listens."""
        usable: dict[Server, None] = {}
        for server in servers:
            if isinstance(server, HostServer):
                self.hosts.add(server.name)
                for address in self._addresses(server.name):
                    self._take(Server(address), usable)
            elif but_kubedns and self.is_kubedns(server):
                usable[server] = None
            else:
                self._take(server, usable)
        return tuple(usable)

    def _take(self, server: Server, usable: dict[Server, None]) -> None:
        place = (server.address, server.port)
        reason = self._reasons.get(place)
        if reason is None:
            reason = self._reasons[place] = self._reason(*place)
        if reason:
            self.warnings[f"ignoring nameserver {server} - {reason}"] = None
        else:
            usable[server] = None

    def _reason(self, address: str, port: int) -> str:
        """Return why a server cannot be asked, nothing if it can."""
        plain, unfit = _looked_at(address)
        if unfit:
            return unfit
        if not port:
            return "nothing answers at port 0"
        return "local interface" if Nameserver(plain, port) in self._own else ""


@lru_cache(maxsize=4096)
def _looked_at(text: str) -> tuple[str, str]:
    """Return an address as Own wants it, and why nobody can have it (empty: somebody can)."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255":
        return str(address), "not the address of a server"
    return str(address), ""
