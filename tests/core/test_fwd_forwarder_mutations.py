"""
A hundred thousand mutated packets of clients, as many of servers: no exception, no odd reply.

Fixed seeds: bits flipped, octets replaced, packets cut, spliced, repeated. The same packets through
the process itself are in tests/forwarder.
"""

import contextlib
import random
import time
from collections.abc import Iterator

import dns.edns
import dns.exception
import dns.message
import dns.name

from dnsmasq_py import scrub
from dnsmasq_py.attempt import Attempt
from dnsmasq_py.stored import Stored
from kubedns.wire import name as names
from kubedns.wire import question as questions
from kubedns.wire import response, rr
from kubedns.wire.question import WireError
from tests.builders import query
from tests.fwdreplay import Replay, reply_to, soa
from tests.mutation import MUTATIONS

CLIENTS = 100_000
READS = 100_000
WHOLE_WAY = 20_000
SLOW_S = 0.1
NAME = "www.example.com."
QUERIES = [
    query(f"{NAME} A", edns=False, flags="RD").to_wire(),
    query(f"{NAME} A", flags="RD").to_wire(),
    query("wWw.eXample.com. AAAA", flags="RD DO").to_wire(),
    query("x.stub.example. SRV", flags="RD").to_wire(),
    query("web.shop.svc.cluster.local. A", flags="RD CD").to_wire(),
    query("4.3.2.198.in-addr.arpa. PTR", flags="RD").to_wire(),
    query("hits.bind. TXT CH", flags="RD").to_wire(),
    query("localhost. ANY", flags="RD").to_wire(),
    query("example.com. IXFR", flags="RD").to_wire(),
    query(
        f"{NAME} TXT",
        options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")],
        flags="RD",
    ).to_wire(),
]


def mutated(
    seed: int, count: int, good: list[bytes], keep: int = 0
) -> Iterator[tuple[bytes, bytes]]:
    """Give (the good packet, what became of it behind its first `keep` octets)."""
    rng = random.Random(seed)
    for _ in range(count):
        whole = rng.choice(good)
        octets = bytearray(whole[keep:])
        if rng.random() < 0.05:
            other = rng.choice(good)[keep:]
            octets[rng.randrange(len(octets)) :] = other[rng.randrange(len(other)) :]
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
            if octets:
                rng.choice(MUTATIONS)(rng, octets)
        yield whole, whole[:keep] + bytes(octets)


class Judge:
    """Looks at replies with dnspython, each kind once."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def __call__(self, asked: bytes, reply: bytes) -> None:
        assert reply[:2] == asked[:2], "another ID"
        assert reply[2] & 0x80
        if reply[4:6] == b"\0\1":
            end = 12
            while asked[end]:
                end += 1 + asked[end]
            assert reply[12 : end + 5] == asked[12 : end + 5], "another question"
        else:
            assert len(reply) == 12
        if reply[2:] not in self.seen:
            self.seen.add(reply[2:])
            dns.message.from_wire(reply, raise_on_truncation=False)


def test_100_000_mutated_queries() -> None:
    replay = Replay(cache_size=500)
    judge = Judge()
    answered = 0

    def serve() -> None:
        while replay.sent:
            attempt = replay.sent.pop()
            if attempt.open:
                replay.deliver(attempt, b"\0\0\x81\x83\0\1\0\0\0\0\0\0" + attempt.octets)

    for number, (_, packet) in enumerate(mutated(4, CLIENTS, QUERIES)):
        replies: list[bytes] = []
        sender = (f"10.0.{number % 200}.1", 1024 + number % 60_000)
        replay.forwarder.handle(packet, sender, replies.append, tcp=number % 3 == 0)
        serve()
        if len(packet) < 12 or packet[2] & 0x80:
            assert not replies
        else:
            (reply,) = replies
            judge(packet, reply)
            answered += 1
        if number % 100 == 0:
            replay.time_passes(1)
    assert answered > CLIENTS // 2
    assert not replay.counters.exceptions
    assert replay.is_quiet()
    assert len(replay.counters.malformed) < 30, "no name of a packet's own"


FOLDED = names.from_text("www.example.com")
REPLIES: dict[int, list[bytes]] = {}


def replies_of(rtype: str, *contents: dict[str, object]) -> None:
    asked = query(f"{NAME} {rtype}", flags="RD")
    made = [reply_to(asked, **content).to_wire() for content in contents]  # type: ignore[arg-type]
    plain = query(f"{NAME} {rtype}", edns=False, flags="RD")
    made += [reply_to(plain, **content).to_wire() for content in contents]  # type: ignore[arg-type]
    REPLIES[int(asked.question[0].rdtype)] = made


replies_of(
    "A",
    {"answer": f"{NAME} 60 IN A 192.0.2.1"},
    {"answer": [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(5)]},
    {"answer": [f"{NAME} 60 IN CNAME t.example.com.", "t.example.com. 60 IN A 192.0.2.1"]},
    {"authority": soa("example.com.")},
    {"authority": soa("com."), "rcode": "NXDOMAIN", "ede": (18, "no")},
    {"answer": f"{NAME} 60 IN A 192.0.2.1", "authority": "example.com. 60 IN NS ns.example.com.",
     "additional": "ns.example.com. 60 IN A 192.0.2.1"},
    {"rcode": "SERVFAIL"},
)  # fmt: skip
replies_of("AAAA", {"answer": [f"{NAME} 60 IN AAAA 2001:db8::{i}" for i in range(3)]})
replies_of("MX", {"answer": [f"{NAME} 60 IN MX {i} m{i}.example.com." for i in range(3)]})
replies_of("SRV", {"answer": f"{NAME} 60 IN SRV 0 1 80 a.example.com."})
replies_of("SOA", {"answer": soa(NAME)})


def test_100_000_mutated_replies_are_read_or_refused() -> None:
    """
    Everything behind the question, which the dialer has compared, may be anything.

    The short way says the same as the long one, and what it keeps means the same in our reply.
    """
    head = 12 + len(FOLDED) + 4
    kept = 0
    slow: list[tuple[bytes, int]] = []
    for qtype, good in REPLIES.items():
        asked = questions.read(b"id\1\0\0\1" + bytes(6) + FOLDED + bytes((0, qtype, 0, 1)))
        for whole, packet in mutated(qtype, READS // len(REPLIES), good):
            packet = (
                packet[:2]
                + whole[2:3]
                + packet[3:4]
                + b"\0\1"
                + packet[6:12]
                + whole[12:head]
                + packet[head:]
            )
            began = time.perf_counter()
            try:
                accepted = scrub.read(packet, FOLDED, qtype)
            except WireError:
                continue
            finally:
                if time.perf_counter() - began > SLOW_S:
                    slow.append((packet, qtype))
            if accepted.octets is None:
                continue
            kept += 1
            said = response.read(packet)
            assert accepted.rcode == said.rcode
            stored = Stored(accepted.octets, accepted.ttls, accepted.cycle, accepted.ttl, 0.0, None)
            reply = stored.reply(asked, 9, 65535, 0)
            ours = response.read(reply)
            dns.message.from_wire(reply)
            assert [r._replace(ttl=0) for r in ours.answer] == [
                r._replace(ttl=0) for r in said.answer
            ]
            if stored.is_negative:
                assert [r._replace(ttl=0) for r in ours.authority] == [
                    r._replace(ttl=0) for r in said.authority
                ]
            least = [r.ttl for r in (*said.answer, *said.authority)]
            least += [int.from_bytes(r.rdatas[0][-4:]) for r in said.authority]
            assert accepted.ttl == min(ttl if ttl < 1 << 31 else 0 for ttl in least)
    assert kept > READS // 20
    for packet, qtype in slow:
        assert _cpu_s(packet, qtype) < SLOW_S, "a reply that costs some hundred times others"


def _cpu_s(packet: bytes, qtype: int) -> float:
    """
    Return the processor time of one reading.

    Once more, and only for what took long: while it was read the machine may have done other
    things, and this clock is a system call, which costs more than the reading.
    """
    began = time.process_time()
    with contextlib.suppress(WireError):
        scrub.read(packet, FOLDED, qtype)
    return time.process_time() - began


def test_20_000_mutated_replies_all_the_way() -> None:
    """The client gets a reply that can be read; a broken one only makes it wait."""
    replay = Replay(cache_size=50)
    judge = Judge()
    broken = 0
    for number, (_, packet) in enumerate(mutated(9, WHOLE_WAY, REPLIES[rr.A])):
        asked = replay.client_asks(QUERIES[number % 2])
        attempt: Attempt = replay.waiting[0]
        head = 12 + len(attempt.octets)
        flags = b"\0\0\x81" + packet[3:4].ljust(1, b"\x80")
        counts = b"\0\1" + packet[6:12].ljust(6, b"\0")
        replay.deliver(attempt, flags + counts + attempt.octets + packet[head:])
        if not asked.replies:
            broken += 1
            good = b"\0\0\x81\x80\0\1\0\0\0\0\0\0" + attempt.octets
            replay.deliver(replay.waiting[0], good)
        judge(asked.message, asked.octets)
        replay.time_passes(3)
        replay.cache.clear()
        replay.forwarder.failures.clear()
        replay.sent.clear()
    assert broken > WHOLE_WAY // 10
    assert not replay.counters.exceptions
    assert replay.is_quiet()
