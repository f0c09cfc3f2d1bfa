"""
What the log says of start, configuration and statistics, in dnsmasq's words.

Alerts and scripts match on these lines; where ours is another machine, the words are others.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dnsmasq_py.chaos import Statistics
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.rules import Match
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.wording import name_text, printable
from kubedns.wire import name as names

CLEARED = "cleared cache"
NO_SERVERS = "warning: no upstream servers configured"
_MAX_SERVERS = 30  # lines of one configuration, as dnsmasq
_MAX_LOCAL = 8


class Asked(NamedTuple):
    """What became of the queries to one server; failed: answered with an error, or not at all."""

    server: Server
    sent: int
    retried: int
    failed: int
    nxdomain: int
    latency_ms: float


class Tcp(NamedTuple):
    """Connections of clients; highest: since the last report."""

    open: int
    highest: int
    allowed: int


def where(server: Server) -> str:
    """Write a server as statistics do: with its port, whatever that is."""
    if server.transport is Transport.UDP:
        return f"{server.address}#{server.port}"
    return str(server)


def started(version: str, cache_size: int) -> str:
    """Return the first line of all."""
    cache = f"cachesize {cache_size}" if cache_size else "cache disabled"
    return f"started, version {version} {cache}"


def using(routes: Iterable[Route]) -> list[str]:
    """Return the lines of the servers in use, domains that have none last."""
    servers, local = [], []
    for route in routes:
        servers += [_using(route, server) for server in route.servers]
        if route.kind is Kind.NXDOMAIN:
            local.append(f"using only locally-known addresses for {domain_text(route)}")
        elif route.kind is Kind.REFUSED:
            local.append(NO_SERVERS)
    return [
        *_at_most(_MAX_SERVERS, servers, "nameservers"),
        *_at_most(_MAX_LOCAL, local, "local addresses"),
    ]


def domain_text(route: Route) -> str:
    """Write the names that a route is for as dnsmasq does."""
    match route.match:
        case Match.SUFFIX:
            return name_text(route.domain)
        case Match.DOTLESS:
            return "unqualified names"
        case Match.TEXT:
            return f"*{printable(route.domain)}"


def _at_most(limit: int, lines: Sequence[str], noun: str) -> list[str]:
    more = len(lines) - limit
    return [*lines[:limit], *([f"using {more} more {noun}"] if more > 0 else [])]


def _using(route: Route, server: Server) -> str:
    line = f"using nameserver {where(server)}"
    if route.match is Match.DOTLESS:
        return f"{line} for unqualified names"
    if route.domain != names.ROOT:
        return f"{line} for domain {domain_text(route)}"
    return f"{line}(via {server.interface})" if server.interface else line


def looping(server: Server) -> str:
    """Tell that queries to a server come back to us, so that it is not asked any more."""
    return f"NOT using nameserver {where(server)} - query loop detected"


def reading(path: str) -> str:
    """Tell that the servers of a resolv.conf are taken over."""
    return f"reading {path}"


def read(path: str, number: int) -> str:
    """Tell of a hosts file with so many names."""
    return f"read {path} - {number} names"


def overloaded(limit: int, *, of_group: bool = False) -> str:
    """Tell that old questions gave way to new ones; of_group: those to the servers of one route."""
    to = " to one group of servers" if of_group else ""
    return f"Maximum number of concurrent DNS queries{to} reached (max: {limit})"


def statistics(
    now_s: float,
    told: Statistics,
    tcp: Tcp,
    servers: Iterable[Asked],
    *,
    stale: int | None = None,
) -> list[str]:
    """
    Return the lines of SIGUSR1.

    now_s: since the epoch. stale: answers past their time, None where that is off.
    """
    lines = [
        f"time {int(now_s)}",
        f"cache size {told.cachesize}, {told.evictions}/{told.insertions} "
        "cache insertions re-used unexpired cache entries.",
        f"queries forwarded {told.misses}, queries answered locally {told.hits}",
    ]
    if stale is not None:
        lines.append(f"queries answered from stale cache {stale}")
    lines.append(
        f"connections for TCP requests: in use {tcp.open}, "
        f"highest since last SIGUSR1 {tcp.highest}, max allowed {tcp.allowed}."
    )
    lines += [
        f"server {where(each.server)}: queries sent {each.sent}, retried {each.retried}, "
        f"failed {each.failed}, nxdomain replies {each.nxdomain}, "
        f"avg. latency {round(each.latency_ms)}ms"
        for each in servers
    ]
    return lines
