"""
A question about the zone becomes a Result: what stands in the reply, or why there is nothing.

Pure: values in, values out; nothing is encoded here and nobody else is asked. Names are folded.
The forms of names are those of the Kubernetes DNS specification 1.1.0, with the corrections of
kube-dns' faults that README lists.

A Result carries the tags of all that it depends on (see tree.py): an answer that was kept is
forgotten when one of them changes. A result that depends on more than tags can say is `volatile`
and is never kept.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address
from kubedns.zone.branch import Addressed, Alias, Branch, Rdatas
from kubedns.zone.tree import Service, Tree

SCHEMA_VERSION = "1.1.0"
_SCHEMA_TTL = 28800
_MAX_CHAIN = 8  # CNAMEs in one answer, as kube-dns
_WILDCARD = b"*"

EDE_NOT_READY = 14  # RFC 8914


class PodNames(StrEnum):
    """Which pod names are answered: any address, those of pods that exist, or none."""

    INSECURE = "insecure"
    VERIFIED = "verified"
    DISABLED = "disabled"


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(slots=True)
class Zone:
    """
    What the answers are made of. Times in seconds.

    own_addresses: what ns.dns.<zone> has while the tree's dns_service is not there.
    reverse_zones: ranges for which we answer alone. synced: all lists have been read.
    """

    tree: Tree
    pods: PodNames = PodNames.INSECURE
    ttl: int = 30
    negative_ttl: int = 5
    wildcards: bool = False
    own_addresses: tuple[bytes, ...] = ()
    reverse_zones: tuple[Network, ...] = ()
    synced: bool = False

    def soa(self, owner: bytes | None = None) -> rr.RRset:
        """Return the SOA of the zone, or of a reverse zone that we own, as authority."""
        return self.soa_set(self.tree.zone if owner is None else owner, self.negative_ttl)

    def soa_set(self, owner: bytes, ttl: int) -> rr.RRset:
        zone = self.tree.zone
        rdata = rr.soa(
            self.tree.name_server,
            names.child(b"hostmaster", zone),
            serial=self.tree.serial & 0xFFFFFFFF,
            refresh=7200,
            retry=1800,
            expire=86400,
            minimum=self.negative_ttl,
        )
        return rr.RRset(owner, rr.SOA, ttl, (rdata,))


@dataclass(slots=True)
class Result:
    """
    What a question leads to.

    authority: owner of the SOA that a negative answer carries. outside: the name at the end of
    `answer`'s chain that is not ours to know. error: extended DNS error (RFC 8914).
    """

    rcode: int = rr.NOERROR
    answer: list[rr.RRset] = field(default_factory=list)
    additional: list[rr.RRset] = field(default_factory=list)
    authority: bytes | None = None
    outside: bytes | None = None
    error: tuple[int, str] | None = None
    tags: set[bytes] = field(default_factory=set)
    volatile: bool = False


@dataclass(slots=True)
class _Found:
    """One name looked up: its RDATA, () for NODATA, None for no such name; where it led."""

    rdatas: Rdatas | None
    tags: tuple[bytes, ...] = ()
    alias: bytes | None = None
    additional: Sequence[rr.RRset] = ()
    ttl: int | None = None
    volatile: bool = False


def is_ours(zone: Zone, qname: bytes) -> bool:
    """
    Tell whether a folded name is for this zone to answer.

    Reverse names are when a service holds the address, or a reverse zone of ours the name.
    """
    if names.is_below(qname, zone.tree.zone):
        return True
    if not address.is_reverse(qname):
        return False
    if not zone.synced or _reverse_zone(zone, qname) is not None:
        return True  # before the lists are read nobody can know: not refused, not forwarded
    parsed = address.from_reverse(qname)
    return parsed is not None and bool(zone.tree.holders(parsed[0])) and _is_whole(parsed)


def lookup(zone: Zone, qname: bytes, qtype: int) -> Result:
    """
    Answer a question about a name for which `is_ours` holds.

    CNAMEs are followed as long as they stay in the zone (RFC 1034 3.6.2); the code of the last name
    is that of the answer (RFC 6604).
    """
    if not names.is_below(qname, zone.tree.zone):
        return _reverse(zone, qname, qtype)
    result = Result()
    follow(zone, qname, qtype, result)
    return result


def follow(zone: Zone, qname: bytes, qtype: int, result: Result) -> None:
    """Add to a result what a name of the zone has, and what its CNAMEs lead to."""
    seen = {qname}
    while True:
        found = _find(zone, qname, qtype)
        result.tags.update(found.tags)
        result.volatile |= found.volatile
        if found.alias is not None and qtype != rr.CNAME:
            result.answer.append(rr.RRset(qname, rr.CNAME, zone.ttl, (found.alias,)))
            qname = found.alias.lower()
            if not names.is_below(qname, zone.tree.zone):
                result.outside = found.alias
                return
            if qname in seen or len(result.answer) >= _MAX_CHAIN:
                return
            seen.add(qname)
            continue
        if found.rdatas:
            ttl = zone.ttl if found.ttl is None else found.ttl
            result.answer.append(rr.RRset(qname, qtype, ttl, found.rdatas))
            result.additional.extend(found.additional)
            return
        result.authority = zone.tree.zone
        if found.rdatas is None:
            if zone.synced:
                result.rcode = rr.NXDOMAIN
            else:
                _not_synced(result)
        return


def _not_synced(result: Result) -> None:
    """Say that nobody can know yet: never NXDOMAIN, which would be believed and kept."""
    result.rcode = rr.SERVFAIL
    result.error = (EDE_NOT_READY, "not yet in sync with the cluster")
    result.volatile = True


def _find(zone: Zone, qname: bytes, qtype: int) -> _Found:
    """Look up one name at or below the zone, without following its CNAME."""
    labels = names.labels(qname)[: -len(names.labels(zone.tree.zone)) or None]
    match labels:
        case ():
            return _apex(zone, qname, qtype)
        case (*below, service, namespace, b"svc"):
            if zone.wildcards and _WILDCARD in labels:
                return _wildcard(zone, tuple(below), service, namespace, qtype)
            return _service(zone, tuple(below), (namespace, service), qtype)
        case (namespace, b"svc"):
            return _namespace(zone, namespace, zone.tree.services_root)
        case (namespace, b"pod"):
            return _pod_namespace(zone, namespace)
        case (label, namespace, b"pod"):
            return _pod(zone, label, namespace, qtype)
        case (b"svc",) | (b"pod",) | (b"dns",):
            return _Found(())
        case (b"ns", b"dns"):
            return _name_server(zone, qtype)
        case (b"dns-version",):
            version = (rr.txt(SCHEMA_VERSION),) if qtype == rr.TXT else ()
            return _Found(version, ttl=_SCHEMA_TTL)
        case (*below, service, namespace, tree) if (
            zone.wildcards and tree == _WILDCARD and namespace != b"pod"
        ):
            return _wildcard(zone, tuple(below), service, namespace, qtype)
    return _Found(None)


def _apex(zone: Zone, qname: bytes, qtype: int) -> _Found:
    if qtype == rr.SOA:
        return _Found(zone.soa_set(qname, zone.ttl).rdatas, volatile=True)
    if qtype == rr.NS:
        server = zone.tree.name_server
        addresses, tags = _server_addresses(zone)
        glue = [
            rr.RRset(server, rtype, zone.ttl, rdatas)
            for rtype, width in ((rr.A, 4), (rr.AAAA, 16))
            if (rdatas := tuple(each for each in addresses if len(each) == width))
        ]
        return _Found((server,), tags=tags, additional=glue)
    return _Found(())


def _name_server(zone: Zone, qtype: int) -> _Found:
    addresses, tags = _server_addresses(zone)
    width = {rr.A: 4, rr.AAAA: 16}.get(qtype)
    return _Found(tuple(each for each in addresses if len(each) == width), tags)


def _server_addresses(zone: Zone) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Return the addresses at which clients reach us, and the tags they depend on."""
    branch = zone.tree.branch(*zone.tree.dns_service)
    addresses = branch.cluster_ips if isinstance(branch, Addressed) else zone.own_addresses
    return addresses, (zone.tree.owner_of(zone.tree.dns_service),)


def _service(zone: Zone, below: tuple[bytes, ...], service: Service, qtype: int) -> _Found:
    branch = zone.tree.branch(*service)
    tags = (zone.tree.owner_of(service),)
    return _Found(None, tags) if branch is None else _in_branch(zone, branch, below, qtype, tags)


def _in_branch(
    zone: Zone, branch: Branch, below: tuple[bytes, ...], qtype: int, tags: tuple[bytes, ...]
) -> _Found:
    rdatas = branch.find(below, qtype)
    if isinstance(branch, Alias) and rdatas is not None:
        return _Found(rdatas, tags, alias=branch.target)
    additional = branch.additional(below, zone.ttl) if qtype == rr.SRV and rdatas else ()
    return _Found(rdatas, tags, additional=additional)


def _namespace(zone: Zone, namespace: bytes, root: bytes) -> _Found:
    exists = zone.tree.namespace_exists(namespace)
    return _Found(() if exists else None, (names.child(namespace, root),))


def _pod_namespace(zone: Zone, namespace: bytes) -> _Found:
    tree = zone.tree
    tags = (names.child(namespace, tree.pods_root), tree.pods_root)
    match zone.pods:
        case PodNames.DISABLED:
            return _Found(None)
        case PodNames.VERIFIED:
            exists = tree.namespace_exists(namespace) or tree.has_pods(namespace)
        case PodNames.INSECURE:
            exists = tree.namespace_exists(namespace) or (zone.synced and not tree.namespaces_known)
    return _Found(() if exists else None, tags)


def _pod(zone: Zone, label: bytes, namespace: bytes, qtype: int) -> _Found:
    above = _pod_namespace(zone, namespace)
    packed = address.undashed(label)
    if packed is None or above.rdatas is None:
        return _Found(None, above.tags)
    if zone.pods is PodNames.VERIFIED and not zone.tree.pod_exists(namespace, packed):
        return _Found(None, above.tags)
    fits = qtype == (rr.A if len(packed) == 4 else rr.AAAA)
    return _Found((packed,) if fits else (), above.tags)


def _wildcard(
    zone: Zone, below: tuple[bytes, ...], service: bytes, namespace: bytes, qtype: int
) -> _Found:
    """
    Answer a name with `*` labels, as kube-dns (--wildcards).

    A `*` in front stands for the rest of the name itself, any other for all its siblings that do
    not begin with an underscore. CNAMEs are left out: an answer has room for one only.
    """
    if not below and service == _WILDCARD:
        rdatas = _namespace(zone, namespace, zone.tree.services_root).rdatas
        return _Found(rdatas, volatile=True)
    if below[:1] == (_WILDCARD,):
        below = below[1:]
    if _WILDCARD in below:
        return _Found(None)
    found: dict[bytes, None] = {}
    additional: list[rr.RRset] = []
    exists = False
    for branch in _matching(zone.tree, namespace, service):
        rdatas = branch.find(below, qtype)
        if rdatas is None or isinstance(branch, Alias):
            continue
        exists = True
        found.update(dict.fromkeys(rdatas))
        if qtype == rr.SRV and rdatas:
            additional += branch.additional(below, zone.ttl)
    return _Found(tuple(found) if exists else None, additional=additional, volatile=True)


def _matching(tree: Tree, namespace: bytes, service: bytes) -> Iterator[Branch]:
    for each in tree.namespaces() if namespace == _WILDCARD else {namespace}:
        if service == _WILDCARD:
            yield from (branch for _, branch in tree.services(each))
        elif (branch := tree.branch(each, service)) is not None:
            yield branch


def _reverse(zone: Zone, qname: bytes, qtype: int) -> Result:
    """Answer a reverse name: every service that holds the address (specification 2.3.3, 2.4.3)."""
    parsed = address.from_reverse(qname)
    owner = _reverse_zone(zone, qname)
    if owner is None and not zone.synced and (parsed is None or not zone.tree.holders(parsed[0])):
        result = Result()
        _not_synced(result)
        return result
    if parsed is None:
        return Result(rcode=rr.NXDOMAIN, authority=owner)
    packed, _ = parsed
    if not _is_whole(parsed):
        if qname == owner and qtype == rr.SOA:
            return Result(answer=[zone.soa_set(qname, zone.ttl)], volatile=True)
        return Result(authority=owner)
    pointers: list[bytes] = []
    tags = {packed}
    for service in zone.tree.holders(packed):
        branch = zone.tree.branch(*service)
        if branch is not None:
            pointers += branch.pointers(packed)
    if pointers:
        if qtype == rr.PTR:
            return Result(answer=[rr.RRset(qname, rr.PTR, zone.ttl, tuple(pointers))], tags=tags)
        # The SOA must not lie below the question: where we own no range, the name is its own zone.
        return Result(authority=owner or qname, tags=tags)
    result = Result(rcode=rr.NXDOMAIN, authority=owner, tags=tags)
    if not zone.synced:
        _not_synced(result)
    return result


def _reverse_zone(zone: Zone, qname: bytes) -> bytes | None:
    """
    Return the name of the reverse zone of ours that a folded name lies in.

    A range that ends inside an octet (a nibble for IPv6) is served as the zones one label below.
    """
    if not zone.reverse_zones:
        return None
    labels = names.labels(qname)
    step, base = (8, 4) if labels[-2:-1] == (b"in-addr",) else (4, 16)
    for network in zone.reverse_zones:
        if network.max_prefixlen != 8 * base:
            continue
        depth = -(-network.prefixlen // step)
        if len(labels) - 2 < depth:
            continue
        owner = names.from_labels(labels[len(labels) - 2 - depth :])
        parsed = address.from_reverse(owner)
        if parsed is not None and ipaddress.ip_address(parsed[0]) in network:
            return owner
    return None


def _is_whole(parsed: tuple[bytes, int]) -> bool:
    return parsed[1] == 8 * len(parsed[0])
