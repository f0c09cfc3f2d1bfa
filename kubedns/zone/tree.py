"""
The label tree: zone → svc → namespace → service, with a branch at each service.

It is SkyDNS's tree with its lowest levels folded into branches (see branch.py). Beside it stands
one index, from addresses back to the services that hold them, for reverse names.

Invariants
- One writer, one thread. A change replaces the branch of one service in one assignment, so a
  question never sees half of it, and it costs what that service costs, not what the cluster holds.
- A service without a branch does not exist: there are no empty branches.
- `serial` moves (`advance`) when an answer may have changed, and only then: max(previous + 1, Unix
  time), so that a restart never repeats one.
- Every change comes back as a `Change`: its tags are what answers.py forgets by, its names are what
  a cache in front must forget. Whoever adds a kind of record here gives it a tag in lookup.py.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.branch import Branch, changed_owners, touched_addresses

Service = tuple[bytes, bytes]  # (namespace, service), folded labels


@dataclass(slots=True)
class Change:
    """
    What one change touched.

    tags: what answers depend on: the names of services and namespaces, packed addresses.
    """

    tags: set[bytes] = field(default_factory=set)
    _names: list[Callable[[], Iterable[bytes]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.tags)

    def names(self) -> set[bytes]:
        """Return all owner names, folded, whose records or existence changed; worked out now."""
        return {name for part in self._names for name in part()}

    def add(self, tags: Iterable[bytes], changed: Callable[[], Iterable[bytes]]) -> None:
        """Note a change."""
        self.tags.update(tags)
        self._names.append(changed)

    def merge(self, other: "Change") -> None:
        """Take in what another change touched."""
        self.tags |= other.tags
        self._names += other._names


class Tree:
    """
    See the head of this module.

    zone: the cluster domain, folded, in wire form. dns_service: whose cluster IPs ns.dns has.
    """

    def __init__(self, zone: bytes, dns_service: Service = (b"kube-system", b"kube-dns")) -> None:
        self.zone = zone
        self.dns_service = dns_service
        self.name_server = names.child(b"ns", names.child(b"dns", zone))
        self.services_root = names.child(b"svc", zone)
        self.pods_root = names.child(b"pod", zone)
        self.serial = 0
        self._services: dict[bytes, dict[bytes, Branch]] = {}
        self._holders: dict[bytes, tuple[Service, ...]] = {}
        self._namespaces: frozenset[bytes] | None = None
        self._pods: dict[bytes, set[bytes]] = {}

    # What is there

    def branch(self, namespace: bytes, service: bytes) -> Branch | None:
        """Return the branch of a service."""
        return self._services.get(namespace, {}).get(service)

    def namespace_exists(self, namespace: bytes) -> bool:
        """Tell whether a namespace is known to exist, or holds a service."""
        known = self._namespaces
        return (known is not None and namespace in known) or namespace in self._services

    @property
    def namespaces_known(self) -> bool:
        """Tell whether the names of all namespaces are known (rights to list them)."""
        return self._namespaces is not None

    @property
    def known_namespaces(self) -> frozenset[bytes] | None:
        """Return the names of all namespaces; None: not known."""
        return self._namespaces

    def namespaces(self) -> set[bytes]:
        """Return every namespace that exists."""
        return set(self._services) | (self._namespaces or frozenset())

    def services(self, namespace: bytes) -> Iterator[tuple[bytes, Branch]]:
        """Give (name, branch) of every service in a namespace."""
        yield from self._services.get(namespace, {}).items()

    def having(self, service: bytes) -> Iterator[bytes]:
        """Give the namespaces that have a service of this name; looks at all of them."""
        return (each for each, services in self._services.items() if service in services)

    def holders(self, packed: bytes) -> tuple[Service, ...]:
        """Return the services that an address leads back to, in a stable order."""
        return self._holders.get(packed, ())

    def pod_exists(self, namespace: bytes, packed: bytes) -> bool:
        """Tell whether a pod of a namespace has an address; for `--pods=verified`."""
        return packed in self._pods.get(namespace, ())

    def has_pods(self, namespace: bytes) -> bool:
        """Tell whether a namespace has any pod; for `--pods=verified`."""
        return namespace in self._pods

    def pods(self) -> Iterator[tuple[bytes, set[bytes]]]:
        """Give each namespace with the addresses of its pods; for `--pods=verified`."""
        yield from self._pods.items()

    def owner_of(self, service: Service) -> bytes:
        """Return the name of a service."""
        return names.child(service[1], names.child(service[0], self.services_root))

    def branches(self) -> Iterator[tuple[Service, Branch]]:
        """Give every service with its branch."""
        for namespace, services in self._services.items():
            for name, branch in services.items():
                yield (namespace, name), branch

    # How it changes

    def advance(self, now: float) -> None:
        """Move the serial, once for all changes that were applied together; now: Unix time."""
        # RFC 1982 arithmetic is not needed before 2106.
        self.serial = max(self.serial + 1, int(now))

    def replace(self, service: Service, new: Branch | None) -> Change:
        """Put the branch of one service in place of its last one; None takes it away."""
        change = Change()
        namespace, name = service
        siblings = self._services.get(namespace, {})
        old = siblings.get(name)
        if old == new:
            if new is not None:
                siblings[name] = new  # its parts are those that the pairing holds, too
            return change
        existed = self.namespace_exists(namespace)
        if new is not None:
            self._services.setdefault(namespace, siblings)[name] = new
        else:
            del siblings[name]
            if not siblings:
                del self._services[namespace]
        moved = self._move_addresses(service, old, new)
        owner = self.owner_of(service)
        change.add(
            {owner, *moved},
            lambda: changed_owners(old, new) | {address.reverse_name(each) for each in moved},
        )
        if service == self.dns_service:
            change.add((), lambda: {self.name_server})
        if existed != self.namespace_exists(namespace):
            self._namespace_changed(change, namespace)
        return change

    def _move_addresses(
        self, service: Service, old: Branch | None, new: Branch | None
    ) -> set[bytes]:
        """Bring the index of addresses up to date; return those whose reverse name changed."""
        touched = touched_addresses(old, new)
        alone = (service,)  # one tuple for all addresses of a large service
        for packed in touched:
            before = old is not None and old.holds(packed)
            after = new is not None and (old is None or new.holds(packed))
            if after and not before:
                holders = self._holders.get(packed)
                self._holders[packed] = (
                    alone if holders is None else tuple(sorted((*holders, service)))
                )
            elif before and not after:
                rest = tuple(each for each in self._holders[packed] if each != service)
                if rest:
                    self._holders[packed] = rest
                else:
                    del self._holders[packed]
        return touched

    def server_moved(self) -> Change:
        """Note that our own addresses changed, which the name server's name has at times."""
        change = Change()
        change.add({self.owner_of(self.dns_service)}, lambda: {self.name_server})
        return change

    def set_namespaces(self, known: frozenset[bytes] | None) -> Change:
        """Say which namespaces exist; None: nobody may tell (403), those with services do."""
        change = Change()
        old = self._namespaces
        if known == old:
            return change
        self._namespaces = known
        for namespace in (old or frozenset()) ^ (known or frozenset()):
            if namespace not in self._services:
                self._namespace_changed(change, namespace)
        if (old is None) != (known is None):
            # Pod names answer in any namespace while none is known.
            change.add({self.pods_root}, lambda: {self.pods_root})
        return change

    def change_pods(self, namespace: bytes, gone: set[bytes], come: set[bytes]) -> Change:
        """Take addresses of pods out of a namespace and put others in; for `--pods=verified`."""
        change = Change()
        pods = self._pods.setdefault(namespace, set())
        changed = (gone & pods) | (come - pods)
        pods -= gone
        pods |= come
        if not pods:
            del self._pods[namespace]
        if changed:
            root = names.child(namespace, self.pods_root)
            change.add({root}, lambda: {_pod_name(p, root) for p in changed})
        return change

    def _namespace_changed(self, change: Change, namespace: bytes) -> None:
        both = {names.child(namespace, root) for root in (self.services_root, self.pods_root)}
        change.add(both, lambda: both)


def _pod_name(packed: bytes, root: bytes) -> bytes:
    """Return the name that all names of a pod's address are, or lie below."""
    # An IPv6 address has many spellings, and each of them is answered.
    return names.child(address.dashed(packed), root) if len(packed) == 4 else root
