"""
What could not be resolved lately is not asked again at once (RFC 9520).

A failure is remembered for 5 s, and each time that it repeats for twice as long, at most 5 minutes;
one of the cluster's own server for 1 s at most. An answer ends it. Where a stale answer is there
instead, the next try comes 30 s later (RFC 8767 section 5).
"""

from dnsmasq_py.limits import Failed

FIRST_S = 5.0
MOST_S = 300.0
CLUSTER_S = 1.0
STALE_REFRESH_S = 30.0
_MAX_KEPT = 10_000


class _Remembered:
    __slots__ = ("failed", "for_s", "until")

    def __init__(self, failed: Failed, for_s: float, until: float) -> None:
        self.failed = failed
        self.for_s = for_s
        self.until = until


class Failures:
    """Failures by cache key; now: monotonic seconds."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Remembered] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes, now: float) -> Failed | None:
        """Return the failure that is not to be tried again yet."""
        kept = self._kept.get(key)
        return kept.failed if kept is not None and now < kept.until else None

    def add(self, key: bytes, failed: Failed, now: float, *, cluster: bool, stale: bool) -> None:
        """Remember one; stale: there is an answer to give instead."""
        before = self._kept.pop(key, None)
        if cluster:
            for_s = CLUSTER_S
        elif stale:
            for_s = STALE_REFRESH_S
        elif before is not None and now < before.until + before.for_s:
            for_s = min(2 * before.for_s, MOST_S)
        else:
            for_s = FIRST_S
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Remembered(failed, for_s, now + for_s)

    def end(self, key: bytes) -> None:
        """Forget one: there was an answer."""
        self._kept.pop(key, None)

    def clear(self) -> None:
        """Forget all: other servers may do better."""
        self._kept.clear()

    def sweep(self, now: float) -> None:
        """Drop those that are over, repeats included; about once a minute."""
        old = [key for key, kept in self._kept.items() if now >= kept.until + kept.for_s]
        for key in old:
            del self._kept[key]
