"""
Which rule takes a name, and why: the order of forwarder.py, walked without asking anybody.

Local data first, then the route of the name, then what keeps it from being asked there. A name that
kubedns is asked for may go on: what it refuses, goes to the next route.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dnsmasq_py import wording
from dnsmasq_py.explain import texts
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.local import CONFIG, LocalAnswer
from dnsmasq_py.options import Options
from dnsmasq_py.routing import Configured, Kind, Route
from dnsmasq_py.rules import Match, ServerRule
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone.address import is_reverse

_MAX_SERVERS = 16
_KINDS = {Kind.CLUSTER: "cluster", Kind.STUB: "stub", Kind.DEFAULT: "upstream"}


@dataclass(frozen=True, slots=True)
class Origins:
    """
    What the routes were made of: the command line, the ConfigMap, and resolv.conf's servers.

    looping: servers without a domain that are left out because they ask us.
    """

    options: Options
    configured: Configured
    resolv_conf: Sequence[Server]
    looping: frozenset[Server] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """
    kind: cluster, stub, upstream, hosts, address (options with records), special (names that stay
    here) or none (nobody is asked). domain: whose names it takes, in wire form.

    means: one sentence. route: who is asked; None: nobody. local: what is answered here.
    then: the rule that holds where kubedns refuses, or where an alias of ours leads.
    """

    kind: str
    domain: bytes
    means: str
    route: Route | None = None
    local: LocalAnswer | None = None
    then: "Rule | None" = None

    def shown(self) -> dict[str, Any]:
        """Return it fit for JSON."""
        group = None if self.route is None else self.route.group
        servers = () if self.route is None else self.route.servers
        return {
            "kind": self.kind,
            "domain": names.to_text(self.domain),
            "means": self.means,
            "policy": "" if group is None else group.policy.value,
            "servers": [texts.place(each) for each in servers[:_MAX_SERVERS]],
            "then": None if self.then is None else self.then.shown(),
        }


def takes(forwarder: Forwarder, origins: Origins, folded: bytes, qtype: int) -> Rule:
    """Return the rule that a question falls under."""
    local = forwarder.local.answer(folded, qtype)
    if local is None:
        return _routed(forwarder, origins, folded, qtype, forwarder.routes.find(folded))
    kind = "address" if local.source == CONFIG else "hosts"
    if local.onward is None:
        return Rule(kind, folded, f"{local.why}: answered here", local=local)
    means = f"{local.why}: answered here, and its target {names.to_text(local.onward)} is asked for"
    then = _routed(
        forwarder, origins, target := local.onward.lower(), qtype, forwarder.routes.find(target)
    )
    return Rule(kind, folded, means, local=local, then=then)


def _routed(
    forwarder: Forwarder, origins: Origins, folded: bytes, qtype: int, route: Route
) -> Rule:
    inside = forwarder.local.inside(folded, qtype, route)
    if inside is not None:
        return _inside(inside, folded, route)
    domain = route.domain if route.match is Match.SUFFIX else names.ROOT
    means = _why(origins, folded, route)
    then = None
    if route.cluster:
        then = _routed(forwarder, origins, folded, qtype, forwarder.routes.after(folded, route))
    return Rule(_KINDS[route.kind], domain, means, route, then=then)


def _inside(found: LocalAnswer, folded: bytes, route: Route) -> Rule:
    """Return the rule of a name that is asked of nobody."""
    if found.rcode == rr.REFUSED:
        return Rule("none", names.ROOT, "no upstream nameservers are known: refused", local=found)
    if found.rcode == rr.SERVFAIL or route.kind is Kind.NXDOMAIN:
        return Rule("none", route.domain, found.why, local=found)
    return Rule("special", folded, found.why, local=found)


def _why(origins: Origins, folded: bytes, route: Route) -> str:
    domain = wording.name_text(route.domain)
    if route.match is Match.DOTLESS:
        return "a name of one label: --server=//"
    if route.match is Match.TEXT:
        return f"a name that ends in {wording.printable(route.domain)}: --server of that text"
    if route.cluster and is_reverse(route.domain):
        return f"reverse names of {domain}: kubedns is asked, and who is next where it refuses"
    if route.cluster:
        return f"cluster zone {domain}: kubedns is asked"
    if route.kind is Kind.STUB:
        return f"stub domain {domain} of {_told(origins, route)}, the longest match"
    hole = _hole(origins.options.servers, folded)
    if hole is not None:
        domain = wording.name_text(hole.domain)
        return f"--server=/{domain}/#, the servers without a domain: {_default(origins)}"
    return f"no domain of its own: {_default(origins)}"


def _told(origins: Origins, route: Route) -> str:
    """Tell where a domain was named."""
    keys = [
        text
        for text, servers in origins.configured.stub_domains.items()
        if servers and _folded(text) == route.domain
    ]
    found = ["the ConfigMap"] if keys else []
    if any(each.domain == route.domain and each.server for each in origins.options.servers):
        found.insert(0, "the command line (--server)")
    return " and ".join(found) or "the configuration"


def _default(origins: Origins) -> str:
    """Tell where the servers without a domain were named."""
    options = origins.options
    found = []
    if any(
        each.domain == names.ROOT and each.match is Match.SUFFIX and each.server
        for each in options.servers
    ):
        found.append("--server of the command line")
    if origins.configured.upstreams:
        found.append("upstreamNameservers of the ConfigMap")
    elif origins.resolv_conf and not options.no_resolv:
        found.append(" or ".join(options.resolv_files))
    return " and ".join(found) or "the upstream nameservers"


def _hole(servers: Sequence[ServerRule], folded: bytes) -> ServerRule | None:
    """Return the most specific rule that leads a name to the servers without a domain."""
    found = [
        each
        for each in servers
        if each.use_default
        and each.match is Match.SUFFIX
        and each.domain != names.ROOT
        and names.is_below(folded, each.domain)
    ]
    return max(found, key=lambda each: len(each.domain), default=None)


def _folded(text: str) -> bytes | None:
    try:
        return names.from_text(text).lower()
    except names.BadNameError:
        return None
