"""
The flight recorder: the last transactions, and those around the last burst, in constant memory.

Receivers note hits in the ring by themselves (kubedns/batch.py); all other replies come by `note`,
which neither raises nor waits. A burst keeps what was there before it at once, and what comes after
it when `look` finds it there; it stays until the next one.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dnsmasq_py.observed import records
from dnsmasq_py.observed.burst import Bursts
from kubedns import batch
from kubedns.wire import rr

SLOTS = 20_000
OCTETS = 6 << 20
_BEFORE = 4000  # records of a burst
_AFTER = 1000
_MAX_BEFORE = 3 << 19  # octets
_MAX_AFTER = 1 << 19
_PATIENCE_S = 2.0  # for those after it
_PIECE = 100  # records read at a time
_ASKED = (records.UPSTREAM, records.ERROR, records.CUT, records.STALE)


@dataclass(slots=True)
class Burst:
    """
    What a burst has kept. at: seconds since the epoch, offset: from monotonic seconds to these.

    before, after: records. ends: number of the first record after it; until: when these are taken,
    however few there are.
    """

    why: str
    at: float
    offset: float
    before: bytes
    ends: int
    until: float
    after: bytes = b""
    complete: bool = False


class Recorder:
    """See the head of this module; clock: monotonic seconds, wall: those since the epoch."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        *,
        slots: int = SLOTS,
        octets: int = OCTETS,
    ) -> None:
        self.ring = batch.Ring(slots, octets)
        self.burst: Burst | None = None
        self.bursts = 0
        self.faults = 0
        self._clock = clock
        self._wall = wall
        self._watched = Bursts()

    def note(
        self,
        query: bytes,
        reply: bytes,
        client: Any,
        source: int,
        came: float,
        rcode: int,
        *,
        tcp: bool,
    ) -> None:
        """Note a reply that is about to leave; came: when the query did, monotonic; 0: now."""
        try:
            now = self._clock()
            took = now - came if 0 < came < now else 0.0
            self.ring.add(query, reply, client, source, now, took, tcp)
            why = self._watched.ended(
                now, failed=rcode == rr.SERVFAIL, took=took if source in _ASKED else None
            )
            if why is not None:
                self._keep(why, now)
        except Exception:  # nobody's answer depends on it
            self.faults += 1

    def note_hit(self, query: bytes, reply: bytes, client: Any) -> None:
        """Note a reply that was ready, given over TCP by the reactor's thread."""
        try:
            self.ring.add(query, reply, client, records.READY, self._clock(), -1.0, True)
        except Exception:
            self.faults += 1

    def look(self) -> None:
        """Take what came after a burst, if it is time."""
        burst, ring = self.burst, self.ring
        if burst is None or burst.complete:
            return
        if ring.next - burst.ends >= _AFTER or self._clock() >= burst.until:
            burst.after = self._bounded(burst.ends, _AFTER, _MAX_AFTER)
            burst.complete = True

    def live(self) -> Iterator[list[records.Record]]:
        """Give what is held now in pieces, oldest first, passing over what is lost meanwhile."""
        ring = self.ring
        at, end = ring.first, ring.next
        while at < end:
            at, octets = ring.read(at, min(_PIECE, end - at))
            piece = list(records.read(octets))
            if not piece:
                return
            at += len(piece)
            yield piece

    def kept(self, burst: Burst) -> Iterator[list[records.Record]]:
        """Give what a burst has kept, in pieces, oldest first."""
        self.look()
        piece: list[records.Record] = []
        for octets in (burst.before, burst.after):
            for record in records.read(octets):
                piece.append(record)
                if len(piece) == _PIECE:
                    yield piece
                    piece = []
        if piece:
            yield piece

    @property
    def offset(self) -> float:
        """Return what makes seconds since the epoch of those in records, now."""
        return self._wall() - self._clock()

    def summary(self) -> dict[str, Any]:
        """Return what there is, fit for JSON."""
        self.look()
        burst, ring = self.burst, self.ring
        held = None
        size = 0
        if burst is not None:
            size = len(burst.before) + len(burst.after)
            held = {
                "why": burst.why,
                "at": records.time_text(burst.at),
                "transactions": sum(map(len, self.kept(burst))),
            }
        return {
            "held": ring.next - ring.first,
            "bytes": ring.octets + size,
            "sampled": ring.every,
            "bursts": self.bursts,
            "burst": held,
        }

    def _keep(self, why: str, now: float) -> None:
        ring = self.ring
        self.bursts += 1
        self.burst = Burst(
            why,
            self._wall(),
            self.offset,
            self._bounded(max(ring.first, ring.next - _BEFORE), _BEFORE, _MAX_BEFORE),
            ring.next,
            now + _PATIENCE_S,
        )

    def _bounded(self, number: int, most: int, octets: int) -> bytes:
        """Return records, fewer of them when they are large: the ones next to the burst."""
        end = min(self.ring.next, number + most)
        while True:
            _, found = self.ring.read(number, max(0, end - number))
            if len(found) <= octets:
                return found
            if most == _BEFORE:
                number = end - (end - number) // 2
            else:
                end = number + (end - number) // 2
