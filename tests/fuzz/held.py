"""What a forwarder holds while it is told of changes, and what must be true of it."""

from collections.abc import Iterator, Sequence
from typing import Any

from dnsmasq_py.nameindex import NameIndex
from dnsmasq_py.stored import Stored
from kubedns.wire import name as names
from kubedns.wire import response
from tests.fwdreplay import Replay

_MAX_REASONS = 30


class Held:
    """The answers of a replayed forwarder."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def state(self) -> tuple[Any, ...]:
        """Return what only the cluster's server may change."""
        feed, cache = self._replay.forwarder.feed, self._replay.cache
        known = {key: (id(stored), stored.expires) for key, stored in cache.entries.items()}
        return feed.alive, feed.instance, feed.serial, self._replay.forwarder.purges.count, known

    def _entries(self, *, cluster: bool) -> dict[bytes, Stored]:
        is_clusters = self._replay.forwarder.routes.find
        return {
            key: stored
            for key, stored in self._replay.cache.entries.items()
            if is_clusters(key[:-5]).cluster is cluster
        }

    def foreign(self) -> dict[bytes, tuple[int, float]]:
        """Return what no change of the cluster may touch, and when it expires."""
        return {k: (id(s), s.expires) for k, s in self._entries(cluster=False).items()}

    def of_cluster(self) -> dict[bytes, Stored]:
        """Return the answers of the cluster's names."""
        return self._entries(cluster=True)

    def fresh(self) -> dict[bytes, Stored]:
        """Return those of them that have not expired."""
        now = self._replay.clock.now
        return {key: s for key, s in self.of_cluster().items() if now < s.expires}

    def are_gone(self, changed: list[bytes]) -> None:
        """Assert that no record of these is kept, and nothing that says they are missing."""
        for key, stored in self.of_cluster().items():
            owners = [key[:-5], *_owners(stored)]
            for name in changed:
                assert not any(names.is_below(owner, name) for owner in owners), (
                    "kept, and it changed"
                )
                assert not (stored.is_negative and names.is_below(name, key[:-5])), (
                    "kept as missing"
                )

    def are_far(self, key: bytes, stored: Stored, changed: Sequence[bytes]) -> bool:
        """Tell whether names that change have nothing to do with an answer."""
        owners = [key[:-5], *_owners(stored)]
        return self._replay.forwarder.feed.out_of_step == 0 and not any(
            names.is_below(owner, name) or names.is_below(name, owner)
            for owner in owners
            for name in changed
        )

    def nothing_is_trusted(self) -> None:
        """Whatever is kept of the cluster may only be given stale."""
        now = self._replay.clock.now
        for stored in self.of_cluster().values():
            assert now >= stored.expires
            assert not stored.is_negative
        for ready in self._replay.cache.ready.values():
            given = now < ready.until or ready.age(now)
            assert not (given and ready.stored.marks), "a receiver still gives it"

    def is_consistent(self) -> None:
        """What is always so: keys, the index by name, and nothing missing while nobody tells."""
        cache, feed = self._replay.cache, self._replay.forwarder.feed
        index = NameIndex()
        for key, stored in cache.entries.items():
            assert key[:-5] == key[:-5].lower(), "a name that is not in lower case as a key"
            if stored.marks:
                index.add(key, stored.marks)
            if stored.is_negative and not feed.alive:
                assert not self._replay.forwarder.routes.find(key[:-5]).cluster, (
                    "kept while nobody tells"
                )
        assert cache.by_name == index
        assert not self._replay.counters.exceptions
        assert len(feed.refused) < _MAX_REASONS, "reasons that a message makes up"


def _owners(stored: Stored) -> Iterator[bytes]:
    parsed = response.read(b"\0\0" + stored.octets)
    for section in (parsed.answer, parsed.additional):
        for rrset in section:
            yield rrset.owner
