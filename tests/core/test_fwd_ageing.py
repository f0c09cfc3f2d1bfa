"""A day in a minute: memory stays flat, TTLs stay right."""

import gc
import random
import struct
import sys
from bisect import bisect_left
from itertools import accumulate

from dnsmasq_py.attempt import Attempt
from kubedns.wire import name as names
from tests.fwdreplay import Replay

HOURS = 24
NAMES = 1500
ENTRIES = 400
QUERIES_PER_HOUR = 1500
TTLS = (1, 5, 10, 30, 60, 300, 1800, 3600, 20_000, 86_400, 700_000)
DAY = 86400


class Weather:
    """
    Servers that know what they said of each name and when, so that every TTL can be judged.

    Names are asked by Zipf's law; one in seven does not exist, one in fifty fails.
    """

    def __init__(self) -> None:
        self.random = random.Random(20261)
        self.replay = Replay(cache_size=ENTRIES)
        self.weights = list(accumulate(1 / (rank + 1) for rank in range(NAMES)))
        self.longest: dict[int, float] = {}  # until when what servers said is good, by number
        self.asked = self.answered = self.failed = self.stale = 0

    def qname(self, number: int) -> bytes:
        zone = (b"\7example\3com\0", b"\4stub\7example\0", b"\3svc\7cluster\5local\0")[number % 3]
        label = b"n%d" % number
        return bytes((len(label),)) + label + zone

    def ask_one(self) -> None:
        number = bisect_left(self.weights, self.random.random() * self.weights[-1])
        qname = self.qname(number)
        body = struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + qname + b"\0\1\0\1"
        self.asked += 1
        replay = self.replay
        known = replay.at_once(b"id" + body)
        if known is not None:
            self.check(number, known[2:])
            replay.settle()
        else:
            sender = (f"10.1.0.{number % 50}", 1024 + self.asked % 50_000)
            replay.forwarder.handle(b"id" + body, sender, lambda o: self.check(number, o[2:]))
        self.serve()

    def serve(self) -> None:
        """Let the servers answer all that waits."""
        replay = self.replay
        while replay.sent:
            attempt = replay.sent.pop()
            if attempt.open:
                message = self.message(attempt)
                attempt.exchange.received(attempt, message, replay.clock.now)

    def message(self, attempt: Attempt) -> bytes:
        octets = attempt.octets
        number = int(octets[2 : 1 + octets[0]])
        head = b"\0\0\x81"
        if self.random.random() < 0.02:
            return head + b"\x82\0\1\0\0\0\0\0\0" + octets
        ttl = TTLS[(number * 7 + number // 11) % len(TTLS)]
        now = self.replay.clock.now
        # Negative answers of the cluster are passed on as they are, since they are not kept.
        cap = DAY if number % 7 else 10_800 if number % 3 != 2 else ttl
        self.longest[number] = max(now + min(ttl, cap), self.longest.get(number, 0.0))
        if number % 7 == 0:
            zone = 0xC000 | 12 + 1 + octets[0]
            rdata = struct.pack(">HHIIIII", zone, zone, 1, 2, 3, 4, ttl)
            record = struct.pack(">HHHIH", zone, 6, 1, 700_000, len(rdata)) + rdata
            return head + b"\x83\0\1\0\0\0\1\0\0" + octets + record
        count = 1 + number % 4
        records = b"".join(
            b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", ttl, 4) + bytes((192, 0, 2, i))
            for i in range(count)
        )
        return head + b"\x80\0\1" + struct.pack(">HHH", count, 0, 0) + octets + records

    def check(self, number: int, reply: bytes) -> None:
        """Judge the TTL of a reply behind its ID."""
        self.answered += 1
        assert reply[10:].startswith(self.qname(number)), "somebody else's answer"
        rcode = reply[1] & 15
        if rcode == 2:
            self.failed += 1
            return
        assert rcode == (3 if number % 7 == 0 else 0)
        if reply[4:8] == b"\0\0\0\0":
            return
        at = names.skip(reply, names.skip(reply, 10) + 4) + 4
        ttl = int.from_bytes(reply[at : at + 4])
        left = self.longest[number] - self.replay.clock.now
        if left <= 0:
            self.stale += 1
            assert ttl in (5, 30)
        else:
            assert 1 <= ttl <= max(left + 1, 30)

    def hour(self) -> None:
        replay = self.replay
        pause = 3600 / QUERIES_PER_HOUR
        for number in range(QUERIES_PER_HOUR):
            replay.clock.run(replay.clock.now + self.random.expovariate(1 / pause))
            self.ask_one()
            if number % 5 == 0:
                replay.cache.sweep(replay.clock.now)
                replay.forwarder.failures.sweep(replay.clock.now)

    def sizes(self) -> dict[str, int]:
        replay = self.replay
        forwarder = replay.forwarder
        return {
            "entries": len(replay.cache),
            "ready": len(replay.cache.ready),
            "queue": len(replay.cache._queue),
            "octets": replay.cache.octets,
            "failures": len(forwarder.failures),
            "flights": len(forwarder.flights),
            "waiting": forwarder.crowd.total,
            "agenda": len(replay.agenda._heap),
            "timers": len(replay.clock.waiting()),
        }


BOUNDS = {
    "entries": ENTRIES, "ready": ENTRIES * 2, "queue": 2 * ENTRIES + 1200, "octets": 1 << 20,
    "failures": 200, "flights": 0, "waiting": 0, "agenda": 20, "timers": 1,
}  # fmt: skip


def blocks() -> int:
    """Count the blocks of memory that Python has in use."""
    gc.collect()
    return sys.getallocatedblocks()


def test_after_24_hours_nothing_has_grown_and_all_ttls_were_right() -> None:
    weather = Weather()
    for _ in range(6):
        weather.hour()
    before = blocks()
    for _ in range(HOURS - 6):
        weather.hour()
        sizes = weather.sizes()
        assert all(size <= BOUNDS[what] for what, size in sizes.items()), sizes
    assert blocks() - before < 5000, "an answer takes about ten"
    assert weather.answered == weather.asked == HOURS * QUERIES_PER_HOUR
    assert weather.failed < weather.asked / 20
    counters = weather.replay.counters
    weather.replay.cache.collect()
    assert counters.hits > weather.asked / 4
    assert counters.evictions > 100
    assert counters.prefetched > 0
    assert not counters.exceptions


def test_when_all_is_forgotten_nothing_is_left() -> None:
    weather = Weather()
    weather.hour()
    weather.replay.cache.clear()
    weather.replay.time_passes(10)
    sizes = weather.sizes()
    sizes.pop("failures")
    assert not any(sizes.values()), sizes
