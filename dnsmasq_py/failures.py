"""
What could not be resolved lately is not asked again at once (RFC 9520).

A failure is remembered for 5 s, and each time that it repeats for twice as long, at most 5 minutes;
one of the cluster's own server for 1 s at most, or until that tells of a change (purge.py). An
answer ends it. Where nobody answered at all it says more of the servers than of the name: it is
remembered for 10 s at most, and forgotten as soon as one of them has answered anything. Where a
stale answer is there instead, the next try comes 30 s later (RFC 8767 section 5).
"""

from dnsmasq_py.limits import Failed
from dnsmasq_py.upstreams import Group

FIRST_S = 5.0
MOST_S = 300.0
MOST_SILENT_S = 10.0
CLUSTER_S = 1.0
STALE_REFRESH_S = 30.0
_TRYING_S = 5.0  # that the next try may take before it counts as a failure in a row
_MAX_KEPT = 10_000
_UNREACHABLE = (22, 23)  # extended errors: silence, and what the network says


class Remembered:
    """A failure; since, until: when it happened, and when it may be tried again (monotonic)."""

    __slots__ = ("failed", "for_s", "group", "since", "until")

    def __init__(self, failed: Failed, for_s: float, now: float, group: Group | None) -> None:
        self.failed = failed
        self.for_s = for_s
        self.since = now
        self.until = now + for_s
        self.group = group  # the servers that were silent

    def is_over(self) -> bool:
        """Tell whether one of the servers has answered something since."""
        group = self.group
        return group is not None and any(u.last_ok > self.since for u in group.upstreams)


class Failures:
    """Failures by cache key; now: monotonic seconds."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Remembered] = {}
        self._clusters: set[bytes] = set()
        self._silent: dict[Group, float] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes, now: float) -> Failed | None:
        """Return the failure that is not to be tried again yet."""
        kept = self.kept(key, now)
        return None if kept is None else kept.failed

    def kept(self, key: bytes, now: float) -> Remembered | None:
        """Return the same with its times."""
        kept = self._kept.get(key)
        if kept is None or now >= kept.until or kept.is_over():
            return None
        return kept

    def last(self, key: bytes) -> Failed | None:
        """Return how the last try ended, also when it is time for the next one."""
        kept = self._kept.get(key)
        return None if kept is None or kept.is_over() else kept.failed

    def silent_since(self, group: Group) -> float | None:
        """Return since when servers that were asked answered nothing at all; None: they did."""
        since = self._silent.get(group)
        if since is None or any(u.last_ok > since for u in group.upstreams):
            return None
        return since

    def add(
        self,
        key: bytes,
        failed: Failed,
        now: float,
        group: Group | None,
        *,
        cluster: bool,
        stale: bool,
        asked_at: float | None = None,
    ) -> None:
        """
        Remember one.

        group: who was asked, asked_at: when, if not now; stale: there is an answer to give instead.
        """
        before = self._kept.pop(key, None)
        silent = failed.error[0] in _UNREACHABLE
        if cluster:
            for_s = CLUSTER_S
        elif stale:
            for_s = STALE_REFRESH_S
        elif before is not None and now < before.until + before.for_s + _TRYING_S:
            for_s = min(2 * before.for_s, MOST_SILENT_S if silent else MOST_S)
        else:
            for_s = FIRST_S
        if silent and group is not None and self.silent_since(group) is None:
            self._silent[group] = now if asked_at is None else asked_at
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        if not cluster:
            self._clusters.discard(key)
        else:
            if len(self._clusters) >= _MAX_KEPT:
                self._clusters &= self._kept.keys()
            self._clusters.add(key)
        self._kept[key] = Remembered(failed, for_s, now, group if silent else None)

    def end(self, key: bytes) -> None:
        """Forget one: there was an answer."""
        self._kept.pop(key, None)

    def end_clusters(self) -> None:
        """Forget those of the cluster's server: something has changed there."""
        for key in self._clusters:
            self._kept.pop(key, None)
        self._clusters.clear()

    def clear(self) -> None:
        """Forget all: other servers may do better."""
        self._kept.clear()
        self._clusters.clear()
        self._silent.clear()

    def sweep(self, now: float) -> None:
        """Drop those whose repeat would count as a first one."""
        old = [
            key for key, kept in self._kept.items() if now >= kept.until + kept.for_s + _TRYING_S
        ]
        for key in old:
            del self._kept[key]
        self._clusters &= self._kept.keys()
