"""
How hot each question is: its uses, of which half count no more ten minutes later.

Uses are counted where they happen anyway (`Stored.used`, `Ready.uses`); whoever calls `look` now
and then for every entry of the cache makes heat of what they grew by. A reply that came anew counts
as one use too, or a name whose TTL is shorter than the time between two clients would be cold for
ever. A question that the cache has lost, because its name changed for instance, keeps its heat.

`ranked` may run in another thread, if nothing else is called meanwhile.
"""

from collections.abc import Container
from heapq import nlargest
from math import exp2
from operator import itemgetter

from dnsmasq_py.stored import Stored

HALF_LIFE_S = 600.0
MOST_WATCHED = 20_000  # questions: 2 MB or so; of a larger cache those that come first
_LEAST = 1.25  # asked for twice in 20 minutes
_COLD = 0.1


class _Heat:
    """
    heat: as it was at `at`. used, expires: of the entry when it was looked at.

    expires None: whenever the next answer is found to expire, nobody asked for it.
    """

    __slots__ = ("at", "expires", "heat", "used")

    def __init__(self, heat: float, at: float, used: int, expires: float | None) -> None:
        self.heat = heat
        self.at = at
        self.used = used
        self.expires = expires

    def now(self, now: float) -> float:
        return self.heat * exp2((self.at - now) / HALF_LIFE_S)


class Hotness:
    """See the head of this module; now: monotonic seconds. changed: by `look`, since set back."""

    def __init__(self) -> None:
        self.changed = False
        self._heats: dict[bytes, _Heat] = {}

    def look(self, key: bytes, stored: Stored, now: float) -> None:
        """Count how often an entry of the cache was used since the last look."""
        used = stored.used
        for ready in stored.forms or ():
            used += ready.uses - ready.seen
        known = self._heats.get(key)
        if known is None:
            if len(self._heats) < MOST_WATCHED:
                self._heats[key] = _Heat(1.0 + used, now, used, stored.expires)
                self.changed = True
            return
        # The cache sets the uses of what it spares back to none.
        uses = used - known.used if used >= known.used else used
        uses += known.expires is not None and stored.expires != known.expires
        known.used = used
        known.expires = stored.expires
        if uses:
            known.heat = known.now(now) + uses
            known.at = now
            self.changed = True

    def restore(self, key: bytes, heat: float, now: float, used: int) -> None:
        """Take over what was known before; used: the uses with which the entry was stored."""
        self._heats[key] = _Heat(heat, now, used, None)

    def renewed(self, key: bytes) -> None:
        """Do not count the answer that came last: no client had asked for it."""
        known = self._heats.get(key)
        if known is not None:
            known.expires = None
            self.changed = True

    def ranked(
        self, most: int, now: float, kept: Container[bytes] = ()
    ) -> list[tuple[bytes, float]]:
        """
        Return the hottest questions, the first one first, and forget what has got cold.

        kept: what the cache has, which stays known: it would count as new at the next look.
        """
        heats = [(key, each.now(now)) for key, each in self._heats.items()]
        for key, heat in heats:
            if heat < _COLD and key not in kept:
                del self._heats[key]
        return nlargest(most, (each for each in heats if each[1] >= _LEAST), key=itemgetter(1))
