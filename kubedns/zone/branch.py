"""
What one Service contributes to the zone.

A branch hangs in the tree where the Service's name ends and answers for everything below it. It
keeps its addresses packed and works records out when they are asked for: a headless Service with
5,000 endpoints is a few strings of octets, not 15,000 records, and replacing it is one assignment.

Three kinds, by Kubernetes DNS specification 1.1.0: Addressed (2.3, ClusterIP), Headless (2.4) and
Alias (2.5, ExternalName). `below` is always the labels between the question's name and the
Service, leftmost first: () is the Service itself, (b"_http", b"_tcp") one of its ports.

The structs stand in snapshots as they are (snapshot/contents.py): another field is another version.

`find` gives the RDATA of one type at a name: () where the name exists without such records
(NODATA), None where there is no such name.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

import msgspec

from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address

PRIORITY = 10  # of every SRV record, as kube-dns
_MAX_ADDITIONAL = 1000  # SRV targets above which no message could hold their addresses as well

Below = tuple[bytes, ...]
Rdatas = tuple[bytes, ...]


class Port(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One port: service is `_http` (empty without a name), protocol `_tcp`."""

    service: bytes
    protocol: bytes
    number: int


class Group(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """
    Ready endpoints that share a family and a list of ports: what DNS needs of one EndpointSlice.

    addresses: packed, width octets each. labels: one for each address, None where it has no
    hostname; the whole tuple is None when nobody has.
    """

    width: int
    addresses: bytes
    labels: tuple[bytes | None, ...] | None
    ports: tuple[Port, ...]

    @property
    def count(self) -> int:
        """Count the endpoints."""
        return len(self.addresses) // self.width

    def part(self, start: int, end: int) -> "Group":
        """Return some of the endpoints."""
        labels = None if self.labels is None else self.labels[start:end]
        width = self.width
        return Group(width, self.addresses[start * width : end * width], labels, self.ports)

    def endpoints(self) -> Iterator[tuple[bytes, bytes]]:
        """Give (label, packed address) of every endpoint."""
        packed = address.split(self.addresses, self.width)
        if self.labels is None:
            return ((address.dashed(each), each) for each in packed)
        return (
            (label or address.dashed(each), each)
            for label, each in zip(self.labels, packed, strict=True)
        )

    def raw(self) -> Iterator[tuple[bytes | None, bytes]]:
        """Give (hostname or None, packed address) of every endpoint: cheaper, for comparisons."""
        packed = address.split(self.addresses, self.width)
        return zip(repeat(None) if self.labels is None else self.labels, packed, strict=False)

    def position(self, packed: bytes) -> Iterator[int]:
        """Give the places at which an address stands."""
        at = self.addresses.find(packed) if len(packed) == self.width else -1
        while at >= 0:
            if at % self.width == 0:  # else it straddles two addresses
                yield at // self.width
            at = self.addresses.find(packed, at + 1)


class Addressed(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """
    A Service with cluster IPs, packed; both families of a dual-stack Service.

    pointed: whether the reverse names of its addresses lead here.
    """

    owner: bytes
    cluster_ips: tuple[bytes, ...]
    ports: tuple[Port, ...]
    pointed: bool = True

    def find(self, below: Below, rtype: int) -> Rdatas | None:
        """See the head of this module."""
        match below:
            case ():
                if rtype == rr.SRV:
                    numbers = dict.fromkeys(port.number for port in self.ports) or (0,)
                    return tuple(_srv(100, number, self.owner) for number in numbers)
                return _of_family(rtype, self.cluster_ips)
            case (service, protocol):
                ports = [p for p in self.ports if _matches(p, service, protocol)]
                if not ports:
                    return None
                numbers = dict.fromkeys(port.number for port in ports)
                if rtype != rr.SRV:
                    return ()
                return tuple(_srv(100, number, self.owner) for number in numbers)
            case (protocol,) if _has_protocol(self.ports, protocol):
                return ()
        return None

    def additional(self, below: Below, ttl: int) -> list[rr.RRset]:
        """Return the addresses behind the SRV records at a name, TTL in seconds."""
        return _address_sets(self.owner, self.cluster_ips, ttl)

    def addresses(self) -> set[bytes]:
        """Return every packed address whose reverse name leads here."""
        return set(self.cluster_ips) if self.pointed else set()

    def holds(self, packed: bytes) -> bool:
        """Tell whether an address is among them."""
        return self.pointed and packed in self.cluster_ips

    def pointers(self, packed: bytes) -> list[bytes]:
        """Return the names that the reverse name of an address has in this Service."""
        return [self.owner] if self.holds(packed) else []

    def size(self) -> int:
        """Count the records: addresses with their pointers, and SRV."""
        return (1 + self.pointed) * len(self.cluster_ips) + sum(
            bool(port.service) for port in self.ports
        )

    def owners(self) -> Iterator[bytes]:
        """Give every name that holds records."""
        yield self.owner
        yield from _port_names(self.owner, self.ports)


class Headless(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """A Service without cluster IP and with at least one ready endpoint."""

    owner: bytes
    groups: tuple[Group, ...]

    def find(self, below: Below, rtype: int) -> Rdatas | None:
        """See the head of this module."""
        match below:
            case ():
                if rtype == rr.SRV:
                    return self._srv(None, None)
                return self._addresses_of(rtype)
            case (service, protocol):
                if not any(_matches(p, service, protocol) for g in self.groups for p in g.ports):
                    return None
                return self._srv(service, protocol) if rtype == rr.SRV else ()
            case (label,) if label.startswith(b"_"):
                return () if any(_has_protocol(g.ports, label) for g in self.groups) else None
            case (label,):
                packed = self._addresses_at(label)
                if rtype == rr.SRV and packed:
                    return self._srv_of(label, packed)
                return _of_family(rtype, packed) if packed else None
        return None

    def _addresses_of(self, rtype: int) -> Rdatas:
        """All addresses of the family that a type asks for, each once."""
        width = _WIDTH.get(rtype)
        runs = [group.addresses for group in self.groups if group.width == width]
        return tuple(dict.fromkeys(chain.from_iterable(address.split(r, width or 1) for r in runs)))

    def _addresses_at(self, label: bytes) -> Rdatas:
        """All addresses of one endpoint name: a hostname may stand in several groups."""
        found: dict[bytes, None] = {}
        by_address = address.undashed(label)
        for group in self.groups:
            if group.labels is not None and label in group.labels:
                for place, known in enumerate(group.labels):
                    if known == label:
                        found[group.addresses[place * group.width :][: group.width]] = None
            if by_address is not None and address.dashed(by_address) == label:
                for place in group.position(by_address):
                    if group.labels is None or group.labels[place] is None:
                        found[by_address] = None
        return tuple(found)

    def _srv(self, service: bytes | None, protocol: bytes | None) -> Rdatas:
        """SRV of one port, or of all; without any port of number 0, so that there is an answer."""
        pairs: dict[tuple[int, bytes], None] = {}
        targets = set()
        no_port = [] if any(group.ports for group in self.groups) else [0]
        for group in self.groups:
            if service is None or protocol is None:
                numbers = [port.number for port in group.ports] or no_port
            else:
                numbers = [p.number for p in group.ports if _matches(p, service, protocol)]
            if not numbers:
                continue
            for label, _ in group.endpoints():
                targets.add(label)
                for number in numbers:
                    pairs[number, label] = None
        weight = max(1, 100 // len(targets)) if targets else 0
        owner = self.owner
        return tuple(_srv(weight, number, names.child(label, owner)) for number, label in pairs)

    def _srv_of(self, label: bytes, packed: Rdatas) -> Rdatas:
        """SRV of every port that one endpoint has; packed: its addresses."""
        holding = [g for g in self.groups if any(True for p in packed for _ in g.position(p))]
        numbers = dict.fromkeys(port.number for group in holding for port in group.ports)
        target = names.child(label, self.owner)
        return tuple(_srv(100, number, target) for number in numbers or (0,))

    def additional(self, below: Below, ttl: int) -> list[rr.RRset]:
        """Return the addresses behind the SRV records at a name, TTL in seconds."""
        if len(below) == 1:
            name = names.child(below[0], self.owner)
            return _address_sets(name, self._addresses_at(below[0]), ttl)
        some_port = any(group.ports for group in self.groups)
        targets: set[bytes] = set()
        for group in self.groups:
            if len(below) == 2:
                meant = any(_matches(port, *below) for port in group.ports)
            else:
                meant = bool(group.ports) or not some_port
            if meant:
                targets.update(label for label, _ in group.endpoints())
        if len(targets) > _MAX_ADDITIONAL:
            return []
        # A hostname has all its addresses, also those of groups without the port.
        by_label: dict[bytes, list[bytes]] = {}
        for group in self.groups:
            for label, packed in group.endpoints():
                if label in targets:
                    by_label.setdefault(label, []).append(packed)
        return [
            rrset
            for label, packed in by_label.items()
            for rrset in _address_sets(
                names.child(label, self.owner), tuple(dict.fromkeys(packed)), ttl
            )
        ]

    def addresses(self) -> set[bytes]:
        """Return every packed address whose reverse name leads here."""
        return set(chain.from_iterable(address.split(g.addresses, g.width) for g in self.groups))

    def holds(self, packed: bytes) -> bool:
        """Tell whether an address is among them."""
        return any(True for group in self.groups for _ in group.position(packed))

    def size(self) -> int:
        """Count the records: two addresses and a pointer for each endpoint, and its SRV."""
        return sum(
            len(g.addresses) // g.width * (3 + sum(bool(port.service) for port in g.ports))
            for g in self.groups
        )

    def pointers(self, packed: bytes) -> list[bytes]:
        """Return the names that the reverse name of an address has in this Service."""
        found: dict[bytes, None] = {}
        for group in self.groups:
            for place in group.position(packed):
                label = group.labels[place] if group.labels is not None else None
                found[names.child(label or address.dashed(packed), self.owner)] = None
        return list(found)

    def owners(self) -> Iterator[bytes]:
        """Give every name that holds records."""
        yield self.owner
        for label in {label for group in self.groups for label, _ in group.endpoints()}:
            yield names.child(label, self.owner)
        yield from _port_names(self.owner, [port for group in self.groups for port in group.ports])


class Alias(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """An ExternalName Service: target is its name as written, in wire form."""

    owner: bytes
    target: bytes

    def find(self, below: Below, rtype: int) -> Rdatas | None:
        """See the head of this module; the CNAME is found under its own type only."""
        if below:
            return None
        return (self.target,) if rtype == rr.CNAME else ()

    def additional(self, below: Below, ttl: int) -> list[rr.RRset]:
        """Return nothing: an alias has no SRV records."""
        return []

    def addresses(self) -> set[bytes]:
        """Return nothing: no reverse name leads to an alias."""
        return set()

    def holds(self, packed: bytes) -> bool:
        """Tell that there is no address."""
        return False

    def size(self) -> int:
        """Count the records: the CNAME."""
        return 1

    def pointers(self, packed: bytes) -> list[bytes]:
        """Return nothing: no reverse name leads to an alias."""
        return []

    def owners(self) -> Iterator[bytes]:
        """Give every name that holds records."""
        yield self.owner


Branch = Addressed | Headless | Alias

_WIDTH = {rr.A: 4, rr.AAAA: 16}


def changed_owners(old: Branch | None, new: Branch | None) -> set[bytes]:
    """
    Return the names below and at one Service whose records differ between two branches of it.

    Groups that both hold are passed over, so one changed slice costs what that slice costs. The
    names of an endpoint that moved between groups may be in the set although nothing differs.
    """
    if old is None or new is None or not (isinstance(old, Headless) and isinstance(new, Headless)):
        changed = set() if old is None else set(old.owners())
        changed.update(() if new is None else new.owners())
        return changed
    before, after = _apart(old.groups, new.groups)
    old_endpoints, new_endpoints = _raw(before), _raw(after)
    if {group.ports for group in before} == {group.ports for group in after}:
        moved = old_endpoints ^ new_endpoints
    else:
        moved = old_endpoints | new_endpoints  # their SRV records differ
    changed = {names.child(label or address.dashed(each), old.owner) for label, each in moved}
    changed.add(old.owner)
    changed.update(_port_names(old.owner, [p for g in (*before, *after) for p in g.ports]))
    return changed


def touched_addresses(old: Branch | None, new: Branch | None) -> set[bytes]:
    """Return the packed addresses whose reverse names may differ between two branches."""
    if isinstance(old, Headless) and isinstance(new, Headless):
        before, after = _apart(old.groups, new.groups)
        return {packed for _, packed in _raw(before) ^ _raw(after)}
    before_, after_ = (set() if b is None else b.addresses() for b in (old, new))
    return before_ ^ after_ if type(old) is type(new) else before_ | after_


def _raw(groups: Iterable[Group]) -> set[tuple[bytes | None, bytes]]:
    return {endpoint for group in groups for endpoint in group.raw()}


def _apart(old: Sequence[Group], new: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """
    Return what only one has of two lists of groups.

    Of a slice that has changed without its ports, the endpoints in the middle: one or two, as a
    rule, of a hundred. What else is the same in both may be among them.
    """
    before, after = only_in(old, new), only_in(new, old)
    if len(before) != 1 or len(after) != 1:
        return before, after
    one, two = before[0], after[0]
    if (one.width, one.ports, one.labels is None) != (two.width, two.ports, two.labels is None):
        return before, after
    a, b, width = one.addresses, two.addresses, one.width
    c, d = one.labels or (), two.labels or ()
    most = min(one.count, two.count)
    begin = bisect_left(
        range(1, most + 1), True, key=lambda n: a[: n * width] != b[: n * width] or c[:n] != d[:n]
    )
    end = bisect_left(
        range(1, most - begin + 1),
        True,
        key=lambda n: a[-n * width :] != b[-n * width :] or c[-n:] != d[-n:],
    )
    return [one.part(begin, one.count - end)], [two.part(begin, two.count - end)]


def only_in(groups: Sequence[Group], others: Sequence[Group]) -> list[Group]:
    """Return the groups that are not among others; most are the very same object in both."""
    same = {id(group) for group in others}
    return [group for group in groups if id(group) not in same and group not in others]


def _port_names(owner: bytes, ports: Sequence[Port]) -> Iterator[bytes]:
    for port in ports:
        if port.service:
            yield names.child(port.service, names.child(port.protocol, owner))


def _matches(port: Port, service: bytes, protocol: bytes) -> bool:
    return port.service == service and port.protocol == protocol and bool(service)


def _has_protocol(ports: Sequence[Port], label: bytes) -> bool:
    return any(port.protocol == label and port.service for port in ports)


def _srv(weight: int, number: int, target: bytes) -> bytes:
    return rr.srv(PRIORITY, weight, number, target)


def _of_family(rtype: int, addresses: Sequence[bytes]) -> Rdatas:
    width = _WIDTH.get(rtype)
    return tuple(each for each in addresses if len(each) == width)


def _address_sets(owner: bytes, addresses: tuple[bytes, ...], ttl: int) -> list[rr.RRset]:
    return [
        rr.RRset(owner, rtype, ttl, found)
        for rtype in (rr.A, rr.AAAA)
        if (found := _of_family(rtype, addresses))
    ]
