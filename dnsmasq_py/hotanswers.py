"""
Answers that outlive the process: out of the cache into a file, and back.

What comes back has expired, however long it was good for: while we were away nobody told us of
changes, and purged answers may stand in the file. So it is served only where the cache would serve
what is stale, while nobody can be asked (RFC 8767; with a TTL of at most 5 s if it is the
cluster's), and ages on from its true expiry. A sentence that went with it (RFC 8914) is left
behind: it was said of a moment that is over, and what is stale gets one of its own.

It must be what the routes of now could have brought: each name in it has to go to the very servers
that it came from. It is read and made anew like any reply, so no octet of a file gets through to a
client unchecked. What is missing in the cluster is not kept, nor what is missing with an error.
"""

from collections.abc import Callable

from dnsmasq_py import purge
from dnsmasq_py.hotlist import HotAnswer
from dnsmasq_py.question import name_of, of_key
from dnsmasq_py.routing import Route, Routes
from dnsmasq_py.stored import TC, Stored, compose
from kubedns.wire import response, rr
from kubedns.wire.question import WireError

_MAX_OCTETS = 4096  # of one answer
_MAX_RECORDS = 200
_AA = 0x0400
_YXDOMAIN = 6
_RCODES = (rr.NOERROR, rr.NXDOMAIN, _YXDOMAIN)


def taken(stored: Stored, now: float, number: Callable[[Route], int]) -> HotAnswer | None:
    """Return an answer for the file; None: it is not to be kept. number: counts a route."""
    if len(stored.octets) > _MAX_OCTETS or stored.is_cut:
        return None
    if stored.is_negative and (stored.error is not None or purge.has_part(stored)):
        return None
    chain: list[tuple[bytes, int]] = []
    for name, route in stored.chain:
        if not isinstance(route, Route):
            return None
        chain.append((name, number(route)))
    if not isinstance(stored.route, Route):
        return None
    return HotAnswer(stored.octets, stored.expires - now, number(stored.route), tuple(chain))


def restored(
    key: bytes,
    answer: HotAnswer,
    elapsed_s: float,
    route_of: Callable[[bytes, int], Route],
    now: float,
) -> Stored | None:
    """
    Return the entry for the cache, expired; None: it cannot be used.

    elapsed_s: since the file was written. route_of: the route of a name by its number in the file;
    LookupError: the name does not go there any more.
    """
    asked = of_key(key)
    try:
        parsed = response.read(b"\0\0" + answer.octets)
        route = route_of(name_of(key), answer.route)
        chain = tuple((name, route_of(name, number)) for name, number in answer.chain)
    except (WireError, LookupError):
        return None
    sections = (parsed.answer, parsed.authority, parsed.additional)
    records = sum(len(rrset.rdatas) for section in sections for rrset in section)
    is_ours = (parsed.qname, parsed.qtype, parsed.qclass) == (asked.folded, asked.qtype, rr.IN)
    if not is_ours or parsed.rcode not in _RCODES or parsed.flags & TC or records > _MAX_RECORDS:
        return None
    authoritative = bool(parsed.flags & _AA)
    stored = compose(asked, parsed.rcode, *sections, route, now, authoritative=authoritative)
    stored.chain = chain
    if stored.is_cut or (stored.is_negative and purge.has_part(stored)):
        return None
    stored.expires = now + min(0.0, answer.left_s - elapsed_s)
    stored.since = stored.expires - stored.ttl
    stored.used = 1  # spared once: what is asked for once only must not push it out
    return stored


def identity(route: Route) -> str:
    """Return the text by which a route is known again in another process."""
    servers = " ".join(map(str, route.servers))
    return f"{route.domain.hex()} {route.match.name} {route.kind.name} {servers}"


def resolver(routes: Routes, written: tuple[str, ...]) -> Callable[[bytes, int], Route]:
    """Return `route_of` for `restored`; written: the routes of the file."""

    def route_of(name: bytes, number: int) -> Route:
        found = routes.find(name)
        if identity(found) != written[number] and found.cluster:
            found = routes.after(name, found)  # it refused, the next one answered
        if identity(found) != written[number]:
            raise LookupError("goes elsewhere now")
        return found

    return route_of
