"""
Services joined with their endpoints; which service must be rebuilt.

Every source of objects reports here, whatever it reads: `put` and `drop` for single events,
`replace` for a whole list, which also drops what the list no longer has. Nothing reaches the tree
before `flush`, so what arrives together is applied together: a slice that hands endpoints to
another one never shows an empty moment that the API did not have.

Invariants
- One writer for all kinds, so no order of events can bring back what was deleted.
- A service is built from its slices if it has any, else from its Endpoints object: the API's
  fall-back (403 on slices) and files that hold either need no other rule.
- A headless service is not built before the first list of its endpoints is complete; what a
  snapshot knew of it stays until then, and a service of the snapshot until services are listed.
- A value that equals the one before is no change: neither tree nor serial hear of it. Its notes
  (resourceVersion, what is not ready) are taken over all the same.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from kubedns.cluster import records
from kubedns.cluster.objects import Decoded, Kind, Namespace, Pod, Service, Slice, Value
from kubedns.zone.branch import Branch
from kubedns.zone.tree import Change, Tree
from kubedns.zone.tree import Service as Key


class Pairing:
    """See the head of this module."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._objects: dict[Kind, dict[str, Value]] = {kind: {} for kind in Kind}
        self._services: dict[Key, Service] = {}
        self._endpoints: dict[Kind, dict[Key, dict[str, Slice]]] = {
            Kind.SLICE: {},
            Kind.ENDPOINTS: {},
        }
        self._dirty: dict[Key, None] = {}
        self.failed: dict[Key, Exception] = {}  # could not be built; tried again with the next list
        self._pods: dict[bytes, Counter[bytes]] = {}
        self._touched_pods: set[tuple[bytes, bytes]] = set()
        self._namespaces_known = False
        self._namespaces_dirty = False
        self._endpoints_listed = False
        self._restored: dict[Key, None] = {}  # services of which a snapshot alone knows
        self._restored_pods: set[tuple[bytes, bytes]] = set()

    def restore(
        self,
        services: Iterable[tuple[Key, Branch]],
        namespaces: Iterable[bytes] | None,
        pods: Iterable[tuple[bytes, Collection[bytes]]],
    ) -> None:
        """Put into the tree what it held once; each part of it stays until its list is complete."""
        for key, branch in services:
            self.tree.replace(key, branch)
            self._restored[key] = None
        if namespaces is not None:
            self.tree.set_namespaces(frozenset(namespaces))
            self._namespaces_known = True
        for namespace, addresses in pods:
            self.tree.change_pods(namespace, set(), set(addresses))
            self._restored_pods.update((namespace, packed) for packed in addresses)

    # Events

    def put(self, kind: Kind, decoded: Decoded, now: float = 0.0) -> None:
        """Take in an object that was added or changed; now: Unix time."""
        if decoded.value is None:
            self.drop(kind, decoded.key)
            return
        value = decoded.value
        old = self._objects[kind].get(decoded.key)
        if old == value:
            if isinstance(old, Slice | Service) and isinstance(value, Slice | Service):
                old.notes.renew(value.notes, now)
            return
        if isinstance(value, Slice | Service):
            value.notes.changed = now
        if old is not None:
            self._remove(kind, decoded.key, old)
        self._objects[kind][decoded.key] = value
        self._add(kind, decoded.key, value)

    def drop(self, kind: Kind, key: str) -> None:
        """Forget an object; key: namespace/name."""
        old = self._objects[kind].pop(key, None)
        if old is not None:
            self._remove(kind, key, old)

    def replace(self, kind: Kind, listed: Iterable[Decoded], now: float = 0.0) -> None:
        """Take in a complete list: what is not in it is gone; now: Unix time."""
        present = set()
        for decoded in listed:
            present.add(decoded.key)
            self.put(kind, decoded, now)
        for key in self._objects[kind].keys() - present:
            self.drop(kind, key)
        self._dirty.update(dict.fromkeys(self.failed))
        self.failed.clear()
        if kind is Kind.SERVICE:
            self._dirty.update(self._restored)
            self._restored = {}
        elif kind is Kind.POD:
            self._touched_pods |= self._restored_pods
            self._restored_pods = set()
        if kind in self._endpoints:
            self.endpoints_listed()
        elif kind is Kind.NAMESPACE:
            self._namespaces_known = self._namespaces_dirty = True

    def endpoints_listed(self) -> None:
        """Allow headless services: their endpoints have been listed once."""
        if not self._endpoints_listed:
            self._endpoints_listed = True
            self._dirty.update(
                dict.fromkeys(k for k, s in self._services.items() if not s.cluster_ips)
            )

    def forget(self, kind: Kind) -> None:
        """Forget all objects of a kind that may not be read any more (403)."""
        for key in list(self._objects[kind]):
            self.drop(kind, key)
        if kind is Kind.NAMESPACE and self._namespaces_known:
            self._namespaces_known = False
            self._namespaces_dirty = True

    # What follows from them

    @property
    def waiting(self) -> int:
        """Count the services that the next `flush` rebuilds."""
        return len(self._dirty)

    def flush(self, now: float, limit: int | None = None) -> Change:
        """
        Bring the tree up to date; return what changed.

        now: Unix time. limit: the most services to rebuild; the rest waits for the next call.
        """
        change = Change()
        if self._namespaces_dirty:
            self._namespaces_dirty = False
            known = frozenset(
                value.name
                for value in self._objects[Kind.NAMESPACE].values()
                if isinstance(value, Namespace)
            )
            change.merge(self.tree.set_namespaces(known if self._namespaces_known else None))
        self._flush_pods(change)
        left = len(self._dirty) if limit is None else limit
        while self._dirty and left > 0:
            left -= 1
            key = next(iter(self._dirty))
            del self._dirty[key]
            try:
                change.merge(self.tree.replace(key, self._build(key)))
            except Exception as error:  # a fault of ours in one service must not cost the others
                self.failed[key] = error
        if change:
            self.tree.advance(now)
        return change

    def _build(self, key: Key) -> Branch | None:
        service = self._services.get(key)
        if service is None:
            return self.tree.branch(*key) if key in self._restored else None
        headless = service.alias is None and not service.cluster_ips
        if headless and not self._endpoints_listed:
            return self.tree.branch(*key)  # as it was, perhaps from a snapshot
        slices: list[Slice] = []
        if headless:
            slices = [each for _, each in sorted(self.endpoints(key).items())]
        return records.branch(self.tree.owner_of(key), service, slices)

    def kept(self, kind: Kind) -> Mapping[str, Value]:
        """Return the objects of a kind by namespace/name, as they are at any time."""
        return self._objects[kind]

    def service(self, key: Key) -> Service | None:
        """Return the object of a service."""
        return self._services.get(key)

    def endpoints(self, key: Key) -> Mapping[str, Slice]:
        """Return what a service's records are made of, by namespace/name of the object."""
        slices, whole = self._endpoints[Kind.SLICE], self._endpoints[Kind.ENDPOINTS]
        return slices.get(key) or whole.get(key) or {}

    def services(self) -> list[Key]:
        """Return every service that has objects, or records."""
        return list({**self._services, **dict(self.tree.branches())})

    def astray(self, services: Iterable[Key]) -> list[Key]:
        """
        Have those rebuilt whose branch is not what their objects make; return them.

        What could not be built is tried again, too, but not returned.
        """
        found = []
        for key in services:
            if key in self.failed:
                del self.failed[key]
                self._dirty[key] = None
            elif key not in self._dirty and self._build(key) != self.tree.branch(*key):
                self._dirty[key] = None
                found.append(key)
        return found

    def counts(self) -> dict[Kind, int]:
        """Count the objects that are kept, by kind."""
        return {kind: len(objects) for kind, objects in self._objects.items()}

    def _add(self, kind: Kind, key: str, value: Value) -> None:
        match value:
            case Service():
                self._services[value.namespace, value.name] = value
                self._dirty[value.namespace, value.name] = None
            case Slice():
                owner = (value.namespace, value.service)
                self._endpoints[kind].setdefault(owner, {})[key] = value
                self._dirty[owner] = None
            case Namespace():
                self._namespaces_dirty = True
            case Pod():
                self._count_pod(value, 1)

    def _remove(self, kind: Kind, key: str, value: Value) -> None:
        match value:
            case Service():
                del self._services[value.namespace, value.name]
                self._dirty[value.namespace, value.name] = None
            case Slice():
                owner = (value.namespace, value.service)
                siblings = self._endpoints[kind][owner]
                del siblings[key]
                if not siblings:
                    del self._endpoints[kind][owner]
                self._dirty[owner] = None
            case Namespace():
                self._namespaces_dirty = True
            case Pod():
                self._count_pod(value, -1)

    def _count_pod(self, pod: Pod, step: int) -> None:
        """Two pods may show one address for a moment: count them."""
        counts = self._pods.setdefault(pod.namespace, Counter())
        for packed in pod.addresses:
            counts[packed] += step
            if not counts[packed]:
                del counts[packed]
            self._touched_pods.add((pod.namespace, packed))
        if not counts:
            del self._pods[pod.namespace]

    def _flush_pods(self, change: Change) -> None:
        by_namespace: dict[bytes, tuple[set[bytes], set[bytes]]] = {}
        for namespace, packed in self._touched_pods:
            gone, come = by_namespace.setdefault(namespace, (set(), set()))
            (come if packed in self._pods.get(namespace, ()) else gone).add(packed)
        self._touched_pods.clear()
        for namespace, (gone, come) in by_namespace.items():
            change.merge(self.tree.change_pods(namespace, gone, come))
