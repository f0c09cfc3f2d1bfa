"""
The names of class CHAOS, in which dnsmasq tells its statistics: hits.bind and the like.

The sidecar asks for five of them, and wants exactly one record with one string that is a number.
They are for the cluster alone (`is_allowed`): a small query brings all servers that there are.
"""

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import Query

IDENTITY = "kube-dns-py-forwarder"
_AUTHORS = "The kube-dns-py authors"
_COPYRIGHT = "Copyright The kube-dns-py authors, Apache License 2.0"
_TREES = (names.from_text("bind"), names.from_text("server"))
_NUMBERS = {
    names.from_text(f"{field}.bind"): field
    for field in ("cachesize", "insertions", "evictions", "misses", "hits", "auth")
}
_SERVERS = names.from_text("servers.bind")
_MAX_SERVERS = 800  # of servers.bind, of at most 68 octets: all must fit into one record

Answer = tuple[int, list[rr.RRset]]  # rcode and answer section


class Statistics(NamedTuple):
    """
    What is told.

    servers: (address as `IP#PORT`, queries sent, of these failed); an address may come repeatedly.
    """

    cachesize: int
    insertions: int
    evictions: int
    misses: int
    hits: int
    servers: Sequence[tuple[str, int, int]]
    auth: int = 0  # zones of ours, of which a forwarder has none


class Chaos:
    """
    Answers queries of any class but IN.

    version: of this program. ident: False for --no-ident, and all names are unknown.
    """

    def __init__(
        self, statistics: Callable[[], Statistics], version: str, *, ident: bool = True
    ) -> None:
        self._statistics = statistics
        said = {
            "version.bind": f"{IDENTITY} {version}",
            "authors.bind": _AUTHORS,
            "copyright.bind": _COPYRIGHT,
        }
        self._ident = ident
        self._fixed = {names.from_text(name): text for name, text in said.items()}

    def answer(self, query: Query) -> Answer:
        """
        Answer a query; an answer with records is authoritative, its TTL 0.

        NOTIMP: another name below `bind` or `server`, or another type than TXT. REFUSED: any other
        name, and any other class.
        """
        if query.qclass != rr.CH or not any(names.is_below(query.folded, tree) for tree in _TREES):
            return rr.REFUSED, []
        strings = self._strings(query.folded) if self._ident else None
        if strings is None or query.qtype not in (rr.TXT, rr.ANY):
            return rr.NOTIMP, []
        return rr.NOERROR, [rr.RRset(query.folded, rr.TXT, 0, (rr.txt(*strings),))]

    def _strings(self, folded: bytes) -> Sequence[str] | None:
        if folded in _NUMBERS:
            return (str(getattr(self._statistics(), _NUMBERS[folded])),)
        if folded == _SERVERS:
            return _summed(self._statistics().servers)
        return (self._fixed[folded],) if folded in self._fixed else None


_ALLOWED = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
         "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"),
    )
)  # fmt: skip


@lru_cache(maxsize=4096)
def is_allowed(address: str) -> bool:
    """
    Tell whether a client may be told these: it is this machine or has a private address.

    That is loopback, RFC 1918, RFC 6598 (100.64.0.0/10), RFC 4193 (fc00::/7), link-local. What is
    no address is not allowed.
    """
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address):
        client = client.ipv4_mapped or client
    return any(client in network for network in _ALLOWED)


def _summed(servers: Sequence[tuple[str, int, int]]) -> Sequence[str]:
    """Return one string for each address, over all groups that it is in."""
    sums: dict[str, tuple[int, int]] = {}
    for where, sent, failed in servers:
        before = sums.get(where, (0, 0))
        sums[where] = (before[0] + sent, before[1] + failed)
    texts = [f"{where} {sent} {failed}" for where, (sent, failed) in sums.items()]
    return texts[:_MAX_SERVERS] or [""]  # a TXT record has at least one string
