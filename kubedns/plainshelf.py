"""
Answers as a cache keeps them, and whole replies made of them for any client, in one step.

A `Kept` is looked up by the question alone: its name in lower case, type, class and one octet for
DO and CD. So one entry answers every client's spelling, flags and EDNS size, and nothing has to be
made, or kept, in advance. It is the second of the two tables that a receiver looks into, where the
first has exact queries (plainbatch.py); dearer for each reply, and as large as the whole cache.

No query is parsed: its head is one of sixteen, an OPT record has one form, and what lies between is
a question if there is an answer to it. What is out of the ordinary is left to others: options, an
extended error to be told, a reply that would have to be cut, and an answer in its last tenth, which
somebody may want to ask for anew.

Threads: any may call `Shelf.reply`. Of a Kept only `epoch`, `expires` and `refreshing` change while
it stands there, each in one step; its uses count turns, and one that is lost repeats a turn.
"""

import struct
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any, TypeVar

T = TypeVar("T")
JITTER = 0.05  # of its TTL an answer dies early, so that pods do not ask all at once
MAX_JITTER_S = 5.0
LEAST_PREFETCHED_S = 3  # an answer that is good for less is not asked for before it is over
_PREFETCH_S = 30  # an answer asked for in its last tenth is refreshed, at most so long before
_JITTERS = 61  # objects stand at multiples of a power of two; by a prime they all differ
_OFTEN = 4  # uses in one second with which a reply made in advance pays
_U32 = struct.Struct(">I")
_HEADER = 12
_OPT_SIZE = 11
_MIN_UDP, _MAX_UDP = 512, 1232  # as in kubedns.wire
_OPT = b"\0\0\x29"
_DO = {bytes(6): 0, b"\0\0\x80\0\0\0": 1}  # the end of an OPT without options
_OUR_OPTS = tuple(
    _OPT + _MAX_UDP.to_bytes(2) + rest + b"\0\0" for rest in (bytes(4), b"\0\0\x80\0")
)
_AD = 0x20
_QR_RA = 0x8080
_ECHOED = 0x0110  # RD, CD
# By the ten octets behind the ID: octets of OPT, CD for the key, flags that are asked for.
_HEADS = {
    bytes((rd, ad | cd, 0, 1, 0, 0, 0, 0, 0, opt)): (opt * _OPT_SIZE, cd >> 3, rd << 8 | cd, ad)
    for rd in (0, 1)
    for ad in (0, _AD)
    for cd in (0, 0x10)
    for opt in (0, 1)
}


class Kept:
    """
    An answer; for what it has see dnsmasq_py.stored.Stored, which it is the base of.

    second, recent: in which second it was given last, and how often within that.
    """

    __slots__ = ("cycle", "epoch", "error", "expires", "octets", "recent", "refreshing", "second",
                 "ttl", "ttls", "used")  # fmt: skip

    octets: bytes
    ttls: tuple[int, ...]
    cycle: tuple[int, ...]
    error: Any
    expires: float
    ttl: int
    used: int
    epoch: int
    refreshing: bool
    recent: int
    second: int

    def __new__(cls, *_: Any, **__: Any) -> "Kept":
        made = super().__new__(cls)
        made.second = made.recent = 0
        return made

    def dies(self) -> float:
        """Return when it stops being given out: a little before it expires, or just then."""
        early = min(self.ttl * JITTER, MAX_JITTER_S)
        return (
            self.expires - early * (id(self) % _JITTERS) / _JITTERS if early >= 1 else self.expires
        )

    def due(self) -> float:
        """Return when it is time to ask for it anew, if it is popular: in its last tenth."""
        return self.expires - min(max(1, self.ttl // 10), _PREFETCH_S)

    def left(self, now: float) -> int:
        """Return the TTL to give out: whole seconds, at least 1, never more than it was."""
        # Large clocks round: (now + ttl) - now may be more than ttl.
        return min(self.ttl, max(1, ceil(self.expires - now)))


class Shelf:
    """
    Where they stand; entries: by the question. max_ttl: what TTLs are cut to.

    epoch: only answers that have the same are given: to change it is to have all looked at anew.
    """

    __slots__ = ("_entries", "_given", "epoch", "max_ttl")

    def __init__(self, entries: Mapping[bytes, Kept]) -> None:
        self.epoch = 0
        self.max_ttl = 0x7FFFFFFF
        self._entries: Callable[[bytes], Any] = entries.get
        self._given = ([0] * 16, [0] * 16)

    def given(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return how many replies were made, by response code: over UDP, and over TCP."""
        udp, tcp = self._given
        return tuple(udp), tuple(tcp)

    def reply(self, message: bytes, now: float, tcp: bool = False) -> bytes | None:
        """Return the reply to a query; None: there is none, or it is not so simple."""
        head = _HEADS.get(message[2:12])
        if head is None:
            return None
        opt_size, bits, flags, wants_ad = head
        end = len(message) - opt_size
        limit = _MIN_UDP
        opt = b""
        if opt_size:
            do = _DO.get(message[end + 5 :])
            if do is None or message[end : end + 3] != _OPT:
                return None
            bits |= do
            wants_ad |= do
            opt = _OUR_OPTS[do]
            limit = min(max(limit, message[end + 3] << 8 | message[end + 4]), _MAX_UDP)
        key = message[_HEADER : end - 4].lower() + message[end - 4 : end] + bytes((bits,))
        kept = self._entries(key)
        if kept is None or kept.epoch != self.epoch:
            return None
        octets = kept.octets
        size = 2 + len(octets) + opt_size
        if (size > limit and not tcp) or size > 0xFFFF or (opt and kept.error is not None):
            return None
        if not _is_good(kept, now) or (not tcp and _is_often(kept, int(now))):
            return None
        ttl = min(kept.left(now), self.max_ttl)
        kept.used = turn = kept.used + 1
        flags |= (octets[0] << 8 | octets[1]) & ~_ECHOED | _QR_RA
        if not wants_ad:
            flags &= ~_AD
        start = end - 2
        if len(kept.ttls) == 1:
            (at,) = kept.ttls
            records = octets[start:at] + _U32.pack(ttl) + octets[at + 4 :]
        else:
            records = _aged(kept, ttl, turn)[start:]
        self._given[tcp][flags & 15] += 1
        counts = octets[2:9] + bytes((octets[9] + bool(opt),))  # 255 at the most, see scrub.py
        whole: bytes = (
            message[:2] + flags.to_bytes(2) + counts + message[_HEADER:end] + records + opt
        )
        return whole


class Table(dict[bytes, T]):
    """Answers in turns by the octets behind the ID; shelf: for what is not among them, or None."""

    __slots__ = ("shelf",)

    def __init__(self) -> None:
        self.shelf: Any = None


def _is_good(kept: Kept, now: float) -> bool:
    """Tell whether it may be given, and nobody has to know that it was."""
    if kept.refreshing or kept.ttl < LEAST_PREFETCHED_S:
        return now < kept.dies()
    return now < kept.due()  # before it dies, always


def _is_often(kept: Kept, second: int) -> bool:
    """Tell whether it is asked so often that a reply should be made in advance."""
    if kept.second != second:
        kept.second = second
        kept.recent = 0
    kept.recent = recent = kept.recent + 1
    return recent % _OFTEN == 0


def _aged(kept: Kept, ttl: int, turn: int) -> bytes:
    octets = bytearray(kept.octets)
    for offset in kept.ttls:
        _U32.pack_into(octets, offset, ttl)
    return rotated(octets, kept.cycle, turn) if kept.cycle else bytes(octets)


def rotated(octets: bytes | bytearray, cycle: tuple[int, ...], turn: int) -> bytes:
    """Return a message with another of the records first that rotate; see Stored.cycle."""
    start, end = cycle[0], cycle[-1]
    middle = cycle[turn % (len(cycle) - 1)]
    return bytes(octets[:start] + octets[middle:end] + octets[start:middle] + octets[end:])
