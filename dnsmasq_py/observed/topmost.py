"""
Who or what comes most often, of any number of keys, in memory for a fixed number.

The Space-Saving algorithm (Metwally, Agrawal, El Abbadi 2005): a key that is not known takes the
place of the one with the smallest count, and its count with it, as an error that may be in it. So
no count is ever too low, and whatever makes up more than 1/most of all is here.

Which count is the smallest is told by a heap with the counts as they were: one that has grown since
is put back when it comes up.
"""

from collections.abc import Iterable
from heapq import heappush, heapreplace
from typing import Any, NamedTuple


class Count(NamedTuple):
    """A key, how often it came at most, and how much too high that may be."""

    key: Any
    queries: float
    error: float


class Topmost:
    """See the head of this module; most: keys. Keys can be compared with each other."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[Any, float] = {}
        self._errors: dict[Any, float] = {}
        self._heap: list[tuple[float, Any]] = []

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: Any, weight: float = 1) -> None:
        """Count a key."""
        counts = self._counts
        known = counts.get(key)
        if known is not None:
            counts[key] = known + weight
            return
        heap = self._heap
        if len(counts) < self._most:
            counts[key] = weight
            heappush(heap, (weight, key))
            return
        while True:
            least, oldest = heap[0]
            actual = counts[oldest]
            if actual == least:
                break
            heapreplace(heap, (actual, oldest))
        del counts[oldest]
        self._errors.pop(oldest, None)
        counts[key] = least + weight
        self._errors[key] = least
        heapreplace(heap, (least + weight, key))

    @property
    def least(self) -> float:
        """Return how often something may have come that is not here."""
        return min(self._counts.values()) if len(self._counts) >= self._most else 0

    def get(self, key: Any) -> float:
        """Return how often a key came at least."""
        return self._counts.get(key, 0) - self._errors.get(key, 0)

    def all(self) -> list[Count]:
        """Return all, in no order."""
        errors = self._errors
        return [Count(key, count, errors.get(key, 0)) for key, count in self._counts.items()]


def together(*counted: Topmost) -> list[Count]:
    """
    Return the counts of several, the largest first, without those of which half may be error.

    What is not known to one of them may have been there as often as its least.
    """
    sums: dict[Any, Count] = {}
    leasts = [each.least for each in counted]
    for number, each in enumerate(counted):
        for key, count, error in each.all():
            before = sums.get(key)
            if before is None:
                missed = sum(leasts[:number])
                before = Count(key, missed, missed)
            sums[key] = Count(key, before.queries + count, before.error + error)
        for key in sums.keys() - each._counts.keys():
            known = sums[key]
            sums[key] = Count(key, known.queries + leasts[number], known.error + leasts[number])
    return certain(sums.values())


def certain(counts: Iterable[Count]) -> list[Count]:
    """Return counts, the largest first, without those of which half may be error."""
    kept = [each for each in counts if each.error * 2 <= each.queries]
    return sorted(kept, key=lambda each: (-each.queries, each.key))
