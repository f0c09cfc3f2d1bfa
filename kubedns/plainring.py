"""
What was answered last: records of different sizes in a fixed piece of memory.

Records lie one behind the other, none across the end, and the oldest give way: to a newer one's
octets, or to its place among `slots`. Each has a head (HEAD) and what was kept of query and reply,
and is padded to a multiple of eight octets.

This is what the native piece does (_ring.c), in Python: held to the same tests, and so much dearer
that of hits only one of `every` is noted, which then stands for all of them. Several threads add:
who finds another one at it goes on without, so nobody ever waits here.
"""

import mmap
import socket
import struct
import threading
from typing import Any

HEAD = struct.Struct("=QIIHHHHHBBI16s")
"""
Monotonic microseconds, the record's size, what the answer took in microseconds (NOT_TAKEN: it was
ready); octets kept of the query, octets it had, the same of the reply; port, source with TCP,
nothing, how many transactions this one stands for, and the client's address, that of IPv4 mapped.
"""
KEPT = 512  # octets of a message; of the rest only the size is told
NOT_TAKEN = 0xFFFFFFFF
TCP = 16  # beside the source
_HIT = 0
_LEAST = 4096
_EVERY = 7  # at first, and while little is asked; odd: clients ask for A and AAAA in turns
_LONGEST = 4_000_000_000
_MAPPED = bytes(10) + b"\xff\xff"
_NOBODY = bytes(16)


class Ring:
    """
    See the head of this module.

    next: number of the next record; first: of the oldest one that is there. every: may be set.
    """

    def __init__(self, slots: int, octets: int) -> None:
        if slots < 1 or octets < _LEAST or octets % 8:
            raise ValueError("a ring needs places, and 4096 octets or more, by eight")
        self.slots = slots
        self.octets = octets
        self.next = self.first = 0
        self.every = _EVERY
        # No page of it is there before it is written to, as in the native piece.
        self._arena = mmap.mmap(-1, octets, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._starts = [0] * slots
        self._end = self._lap = 0  # positions, which grow for ever; lap: of the arena's begin
        self._lock = threading.Lock()

    def add(
        self,
        query: bytes,
        reply: bytes,
        client: Any,
        source: int,
        now: float,
        took: float,
        tcp: bool,
    ) -> None:
        """
        Note a transaction.

        client: its socket address; None: not known. source: 0 to 15. now: monotonic seconds. took:
        seconds; less than nothing: the reply was ready.
        """
        self._put(query, reply, client, source | (TCP if tcp else 0), now, took, 1)

    def hit(self, query: bytes, turn: bytes, client: Any, now: float, weight: int) -> None:
        """Note a reply that was ready: the query's ID and a turn; it stands for so many."""
        reply = query[:2] + turn
        self._put(query, reply, client, _HIT, now, -1.0, weight)

    def read(self, number: int, most: int) -> tuple[int, bytes]:
        """Return a record's number and its octets, with those of the records behind it."""
        with self._lock:
            number = min(max(number, self.first), self.next)
            end = min(self.next, number + max(0, most))
            found = bytearray()
            for each in range(number, end):
                at = self._starts[each % self.slots] % self.octets
                size = int.from_bytes(self._arena[at + 8 : at + 12], _ORDER)
                found += self._arena[at : at + size]
            return number, bytes(found)

    def _put(
        self,
        query: bytes,
        reply: bytes,
        client: Any,
        kind: int,
        now: float,
        took: float,
        weight: int,
    ) -> None:
        if client is None:
            port, address = 0, _NOBODY
        else:
            port, address = client[1], _address(client[0])
        asked, told = query[:KEPT], reply[:KEPT]
        taken = NOT_TAKEN if took < 0 else min(int(took * 1e6), _LONGEST)
        size = HEAD.size + len(asked) + len(told) + 7 & ~7
        if not self._lock.acquire(blocking=False):
            return
        try:
            at = self._begin(size)
            HEAD.pack_into(
                self._arena, at, max(0, int(now * 1e6)), size, taken, len(asked),
                min(len(query), 0xFFFF), len(told), min(len(reply), 0xFFFF), port, kind, 0, weight,
                address,
            )  # fmt: skip
            at += HEAD.size
            self._arena[at : at + len(asked)] = asked
            at += len(asked)
            self._arena[at : at + len(told)] = told
        finally:
            self._lock.release()

    def _begin(self, size: int) -> int:
        """Make room for the next record, and return where in the arena it stands."""
        position = self._end
        if position + size > self._lap + self.octets:
            self._lap += self.octets
            position = self._lap
        end = position + size
        starts, slots = self._starts, self.slots
        first, number = self.first, self.next
        while first < number and (
            starts[first % slots] + self.octets < end or number - first >= slots
        ):
            first += 1
        self.first = first
        starts[number % slots] = position
        self.next = number + 1
        self._end = end
        return position - self._lap


_ORDER: Any = "little" if struct.pack("=H", 1) == b"\1\0" else "big"


def _address(host: str) -> bytes:
    """Return an IP address in 16 octets, the unspecified one for what is none."""
    try:
        if ":" in host:
            return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return _MAPPED + socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return _NOBODY
