"""
Who is asked about a name: options, ConfigMap and resolv.conf become routes.

The longest matching domain wins, by whole labels, and replaces shorter ones (domains.py). Where
several sources speak of one domain their servers form one group, those of options first; one
`--server=/d/#` sends the domain to the servers without a domain instead, and `--local=/d/` counts
only while nobody names a server for it. All this as dnsmasq 2.90 does it.

Servers that cannot be asked (we ourselves, 0.0.0.0, multicast) are left out. Unlike dnsmasq we do
not forget a domain whose servers are all left out: its names would leak to the default servers.

A Route that a new configuration leaves as it was is the *same object* in the new Routes. So what is
known by a route (answers, round trips, questions in flight) stays valid for exactly those names for
which the old and the new Routes give the same object.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from dnsmasq_py.domains import EVERYTHING, Domains, Key, is_dotless
from dnsmasq_py.options import Options
from dnsmasq_py.rules import Match
from dnsmasq_py.server import Server
from dnsmasq_py.usable import Usable
from kubedns.nameserver import HostServer
from kubedns.outside.routing import Own
from kubedns.wire import name as names
from kubedns.zone.address import is_reverse

if TYPE_CHECKING:
    from dnsmasq_py.upstreams import Group

_DOTLESS: Key = (names.ROOT, Match.DOTLESS)
_ARPA = names.from_text("arpa")


class Configured(Protocol):
    """What a ConfigMap says about servers; domains as text without their final dot."""

    @property
    def stub_domains(self) -> Mapping[str, Sequence[Server | HostServer]]: ...
    @property
    def upstreams(self) -> Sequence[Server]: ...


class Kind(Enum):
    """What becomes of a question."""

    CLUSTER = "asked of kubedns, and of the next route if that answers REFUSED"
    STUB = "asked of a domain's own servers"
    DEFAULT = "asked of the servers without a domain"
    NXDOMAIN = "answered with NXDOMAIN (--local)"
    REFUSED = "refused: there is nobody to ask"


class Route:
    """
    The servers of one domain.

    servers: in order, each once. A STUB without servers has none with a usable address (yet): its
    names fail as if all its servers were down, and are never asked of others.
    group: whoever asks the servers keeps their state here.
    """

    __slots__ = ("domain", "group", "kind", "match", "servers")

    def __init__(self, key: Key, kind: Kind, servers: tuple[Server, ...]) -> None:
        self.domain, self.match = key
        self.kind = kind
        self.servers = servers
        self.group: Group | None = None

    def __repr__(self) -> str:
        return f"Route({self.domain!r}, {self.match.name}, {self.kind.name}, {self.servers})"

    @property
    def cluster(self) -> bool:
        """Tell whether kubedns is asked."""
        return self.kind is Kind.CLUSTER


# In a table: look at the servers without a domain. Never given out.
_HOLE = Route(EVERYTHING, Kind.DEFAULT, ())


class Routes:
    """
    All routes of a configuration.

    default: for names without a domain of their own; its kind is DEFAULT, or if it has no servers
    REFUSED or NXDOMAIN. all: every route, the default last.
    cluster_zones: domains of CLUSTER routes but those of reverse names.
    hosts: names among the stub servers, whose addresses are needed.
    warnings: a line for each server that was left out.
    """

    def __init__(
        self,
        table: Mapping[Key, Route],
        hosts: frozenset[str] = frozenset(),
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Take the routes by domain; the one for everything must be there and stand last."""
        self.default = table[EVERYTHING]
        self.all = tuple(route for route in table.values() if route is not _HOLE)
        self.hosts = hosts
        self.warnings = warnings
        self.cluster_zones = frozenset(
            route.domain
            for route in self.all
            if route.cluster and route.match is Match.SUFFIX and not _holds_reverse(route.domain)
        )
        self._table = table
        self._domains = Domains(table)
        dotless = table.get(_DOTLESS, _HOLE)
        self._dotless = None if dotless is _HOLE else dotless

    def find(self, folded: bytes) -> Route:
        """Return the route of a folded name."""
        route = self._domains.find(folded)
        return route if route is not None and route is not _HOLE else self._without_domain(folded)

    def after(self, folded: bytes, route: Route) -> Route:
        """
        Return where a name goes that kubedns, asked by this route, refused.

        That is the next less specific route which does not lead to kubedns too, or the default.
        """
        candidates = [candidate for _, candidate in self._domains.matches(folded)]
        behind = candidates.index(route) + 1 if route in candidates else 0
        for candidate in candidates[behind:]:
            if candidate is _HOLE:
                return self._without_domain(folded)
            if not candidate.cluster:
                return candidate
        return self.default

    def rank(self, folded: bytes) -> int:
        """Return how specific the rule is that gives a name its route; see Domains."""
        return self._domains.rank(folded)

    def reuse(self, route: Route) -> Route:
        """Return our route for the same domain if it is equal, else the given one."""
        known = self._table.get((route.domain, route.match))
        if known and known.kind is route.kind and known.servers == route.servers:
            return known
        return route

    def same_as(self, other: "Routes") -> bool:
        """Tell whether every name has the same route there, holes (`/d/#`) included."""
        return self._table == other._table  # of Route objects: identity

    def _without_domain(self, folded: bytes) -> Route:
        return self._dotless if self._dotless and is_dotless(folded) else self.default


NOTHING = Routes({EVERYTHING: Route(EVERYTHING, Kind.REFUSED, ())})
"""What holds before there is any configuration."""


def build(
    options: Options,
    configured: Configured,
    resolv_conf: Sequence[Server],
    *,
    own: Own,
    hosts: Callable[[str], tuple[str, ...]],
    previous: Routes = NOTHING,
) -> Routes:
    """
    Make the routes.

    resolv_conf: used when neither the options forbid it nor the ConfigMap names upstreams. own:
    where we listen. hosts: the addresses of a stub server by its host name, as far as known.
    """
    rules = _rules(options, configured, resolv_conf)
    usable = Usable(options.kubedns_server, own, hosts)
    default = rules.pop(EVERYTHING)
    table = {key: _route(key, rule, usable, previous) for key, rule in rules.items()}
    table[EVERYTHING] = _default(default, usable, previous)
    return Routes(table, frozenset(usable.hosts), tuple(usable.warnings))


class _Rule:
    """What all sources together say about one domain; without anything: NXDOMAIN."""

    __slots__ = ("local", "servers", "use_default")

    def __init__(self) -> None:
        self.servers: list[Server | HostServer] = []
        self.use_default = False
        self.local = False


def _rules(
    options: Options, configured: Configured, resolv_conf: Sequence[Server]
) -> dict[Key, _Rule]:
    """Gather what is said, in dnsmasq's order: options, ConfigMap, resolv.conf."""
    rules: dict[Key, _Rule] = {EVERYTHING: _Rule()}
    for named in options.servers:
        rule = rules.setdefault((named.domain, named.match), _Rule())
        if named.server is not None:
            rule.servers.append(named.server)
        elif named.use_default:
            rule.use_default = True
        else:
            rule.local = True
    for address in options.addresses:
        if not address.addresses:  # --address=/d/ is --local=/d/
            rules.setdefault((address.domain, address.match), _Rule()).local = True
    for text, servers in configured.stub_domains.items():
        # A domain without servers does nothing, as in kube-dns.
        if servers and (domain := _domain(text)):
            rules.setdefault((domain, Match.SUFFIX), _Rule()).servers += servers
    if configured.upstreams:
        rules[EVERYTHING].servers += configured.upstreams
    elif not options.no_resolv:
        rules[EVERYTHING].servers += resolv_conf
    return rules


def _domain(text: str) -> bytes | None:
    """Read a stub domain; None: no name can lie in it."""
    try:
        return names.from_text(text).lower()
    except names.BadNameError:
        return None


def _route(key: Key, rule: _Rule, usable: Usable, previous: Routes) -> Route:
    if rule.use_default:
        return _HOLE
    if not rule.servers:
        return previous.reuse(Route(key, Kind.NXDOMAIN, ()))
    servers = usable.of(rule.servers, but_kubedns=True)
    cluster = any(map(usable.is_kubedns, servers))
    return previous.reuse(Route(key, Kind.CLUSTER if cluster else Kind.STUB, servers))


def _default(rule: _Rule, usable: Usable, previous: Routes) -> Route:
    servers = usable.of(rule.servers, but_kubedns=False)
    if servers:
        kind = Kind.DEFAULT
    else:
        kind = Kind.NXDOMAIN if rule.local and not rule.servers else Kind.REFUSED
    return previous.reuse(Route(EVERYTHING, kind, servers))


def _holds_reverse(domain: bytes) -> bool:
    return is_reverse(domain) or domain == _ARPA
