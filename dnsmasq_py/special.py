"""
Names and addresses with a meaning of their own, which no server outside need be asked about.

RFC 6761 (localhost, invalid), RFC 7686 (onion), RFC 9462 (resolver.arpa), and the address ranges of
RFC 6303 with those that dnsmasq 2.90 counts among them.
"""

import ipaddress
from typing import NamedTuple

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address

LOCALHOST = names.from_text("localhost")
RESOLVER_ARPA = names.from_text("resolver.arpa")
_NOWHERE = {
    names.from_text("invalid"): "special name: RFC 6761 invalid",
    names.from_text("onion"): "special name: RFC 7686 onion",
}
ENDS = (LOCALHOST, *_NOWHERE, names.from_text("arpa"))  # of all names that `answer` knows

_LOOPBACK = {rr.A: b"\x7f\0\0\1", rr.AAAA: bytes(15) + b"\1"}
_PRIVATE_STAYS = "--bogus-priv: reverse names of private addresses stay here"
_LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
_HERE_NETWORKS = ("0.0.0.0/8", "::/128")  # "this host", which systems take for loopback too
_PRIVATE_NETWORKS = (
    *_LOOPBACK_NETWORKS,
    *_HERE_NETWORKS,
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "255.255.255.255/32",
    "fd00::/8",
    "fe80::/10",
    "fec0::/10",
    "2001:db8::/32",
)
_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96

_OTHER = 0  # extended DNS errors (RFC 8914)
_BLOCKED = 15


class Answer(NamedTuple):
    """
    rcode and records; why: for people. code: the extended DNS error of an answer without records.
    """

    rcode: int
    records: tuple[rr.RRset, ...]
    why: str
    code: int = _OTHER


class Ranges:
    """Ranges of addresses of both families."""

    def __init__(self, *networks: str) -> None:
        self._ranges: dict[int, list[tuple[int, int, int]]] = {4: [], 16: []}
        for text in networks:
            network = ipaddress.ip_network(text)
            width = network.max_prefixlen
            host_bits = width - network.prefixlen
            prefix = int(network.network_address) >> host_bits
            self._ranges[width // 8].append((network.prefixlen, host_bits, prefix))

    def __contains__(self, packed: bytes) -> bool:
        """Tell whether a packed address lies in a range."""
        return self.covers(packed, 8 * len(packed))

    def covers(self, packed: bytes, bits: int) -> bool:
        """Tell whether all addresses that begin with these bits lie in one range."""
        number = int.from_bytes(packed)
        return any(
            bits >= length and number >> host_bits == prefix
            for length, host_bits, prefix in self._ranges[len(packed)]
        )


LOOPBACK = Ranges(*_LOOPBACK_NETWORKS)
THIS_HOST = Ranges(*_LOOPBACK_NETWORKS, *_HERE_NETWORKS)
PRIVATE = Ranges(*_PRIVATE_NETWORKS)


def unmapped(packed: bytes) -> bytes:
    """Return the IPv4 address that an IPv4-mapped IPv6 address stands for; any other as it is."""
    return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed


def answer(folded: bytes, qtype: int, *, ttl: int, bogus_priv: bool) -> Answer | None:
    """
    Answer what must not leave by a default route; None: it may.

    bogus_priv: reverse names of all private ranges stay here too, but only for PTR, as in dnsmasq.
    """
    if not folded.endswith(ENDS):
        return None
    if names.is_below(folded, LOCALHOST):
        records = tuple(
            rr.RRset(folded, rtype, ttl, (packed,))
            for rtype, packed in _LOOPBACK.items()
            if qtype in (rtype, rr.ANY)
        )
        return Answer(rr.NOERROR, records, "special name: RFC 6761 localhost")
    for zone, why in _NOWHERE.items():
        if names.is_below(folded, zone):
            return Answer(rr.NXDOMAIN, (), why)
    if names.is_below(folded, RESOLVER_ARPA):
        return Answer(rr.NOERROR, (), "special name: RFC 9462 resolver.arpa")
    return _reverse(folded, qtype, ttl=ttl, bogus_priv=bogus_priv)


def _reverse(folded: bytes, qtype: int, *, ttl: int, bogus_priv: bool) -> Answer | None:
    found = address.from_reverse(folded)
    if found is None:
        return None
    packed, bits = found
    if bits == 8 * len(packed):
        packed = unmapped(packed)
        bits = 8 * len(packed)
        if packed in LOOPBACK:
            pointer = rr.RRset(folded, rr.PTR, ttl, (LOCALHOST,))
            records = (pointer,) if qtype in (rr.PTR, rr.ANY) else ()
            return Answer(rr.NOERROR, records, "special name: RFC 6761 localhost")
    if bogus_priv and qtype == rr.PTR and PRIVATE.covers(packed, bits):
        return Answer(rr.NXDOMAIN, (), _PRIVATE_STAYS, _BLOCKED)
    return None
