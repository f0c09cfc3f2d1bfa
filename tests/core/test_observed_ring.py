"""What was answered last, in a fixed piece of memory: the same in C and in Python."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from dnsmasq_py.observed import records
from kubedns import batch, plainring

pytestmark = pytest.mark.usefixtures("both_ways")

CLIENT = ("10.1.2.3", 40000)
KEPT = 512


def add(ring: Any, query: bytes, reply: bytes = b"reply", **more: Any) -> None:
    given: dict[str, Any] = {
        "client": CLIENT, "source": records.UPSTREAM, "now": 5.0, "took": 0.25, "tcp": False,
    } | more  # fmt: skip
    ring.add(query, reply, *given.values())


def held(ring: Any) -> list[records.Record]:
    return list(records.read(ring.read(0, ring.slots)[1]))


@pytest.fixture
def ring() -> Iterator[Any]:
    yield batch.Ring(100, 1 << 16)


def test_a_record_is_what_was_noted(ring: Any) -> None:
    """Everything that is told of a transaction comes out as it went in."""
    add(ring, b"a query", b"and its reply", now=12.5, took=0.0015, tcp=True, source=records.STALE)
    (record,) = held(ring)
    assert record == (
        12_500_000, 1500, b"a query", 7, b"and its reply", 13, 40000, records.STALE, True, 1,
        bytes(10) + b"\xff\xff\x0a\x01\x02\x03",
    )  # fmt: skip
    assert records.address_text(record.address) == "10.1.2.3"


@pytest.mark.parametrize(
    ("client", "text"),
    [
        (("2001:db8::7", 53, 0, 0), "2001:db8::7"),
        (("::ffff:10.1.2.3", 53, 0, 0), "10.1.2.3"),
        (("fe80::1%eth0", 53, 0, 2), "fe80::1"),
        (("no address", 53), "::"),
        (None, "::"),
    ],
)
def test_a_client_of_any_family_is_noted(ring: Any, client: Any, text: str) -> None:
    """IPv4 is told as such on a socket for both families, and what is no address breaks nothing."""
    add(ring, b"query", client=client)
    assert records.address_text(held(ring)[0].address) == text


def test_the_oldest_give_way_when_all_places_are_taken(ring: Any) -> None:
    """The last so many transactions are there, whatever came before."""
    for number in range(250):
        add(ring, number.to_bytes(2))
    assert (ring.first, ring.next) == (150, 250)
    assert [int.from_bytes(each.query) for each in held(ring)] == list(range(150, 250))


def test_the_oldest_give_way_when_the_memory_is_full() -> None:
    """Large replies mean that fewer are held, and none of them is broken."""
    ring: Any = batch.Ring(1000, 8192)
    rng = random.Random(7)
    for number in range(3000):
        add(ring, number.to_bytes(2), bytes((number & 255,)) * rng.randrange(600))
        found = held(ring)
        numbers = [int.from_bytes(each.query) for each in found]
        assert numbers == list(range(number + 1 - len(numbers), number + 1))
        assert all(set(each.reply) <= {int.from_bytes(each.query) & 255} for each in found)
        assert len(found) >= 6 or number < 6


def test_of_a_long_message_the_beginning_is_kept_and_its_size(ring: Any) -> None:
    """A message is cut at a bound; how long it was is told."""
    add(ring, b"q" * 4000, b"r" * 70000)
    (record,) = held(ring)
    assert (len(record.query), record.whole_query) == (KEPT, 4000)
    assert (len(record.reply), record.whole_reply) == (KEPT, 65535)


def test_reading_goes_on_where_it_ended(ring: Any) -> None:
    """Who reads in pieces gets each record once, and passes over what is lost meanwhile."""
    for number in range(120):
        add(ring, number.to_bytes(2))
    begin, octets = ring.read(30, 5)
    assert (begin, [each.query[1] for each in records.read(octets)]) == (30, [30, 31, 32, 33, 34])
    for number in range(120, 140):
        add(ring, number.to_bytes(2))
    begin, octets = ring.read(35, 2)
    assert (begin, [each.query[1] for each in records.read(octets)]) == (40, [40, 41])
    assert ring.read(140, 5) == (140, b"")
    assert ring.read(99999, 5) == (140, b"")
    assert ring.read(50, -1) == (50, b"")


def test_odd_times_are_bounded(ring: Any) -> None:
    """A clock that stands still or jumps makes no record unreadable."""
    for took, told in ((-1.0, None), (0.0, 0), (1e9, 4_000_000_000)):
        add(ring, b"query", took=took, now=-5.0)
        assert (held(ring)[-1].took, held(ring)[-1].at) == (told, 0)


@pytest.mark.parametrize(("slots", "octets"), [(0, 8192), (10, 100), (10, 8193), (-1, 8192)])
def test_a_ring_without_room_is_refused(slots: int, octets: int) -> None:
    """What cannot hold a single record is not made."""
    with pytest.raises(ValueError, match="a ring needs places"):
        batch.Ring(slots, octets)


@pytest.mark.parametrize("octets", [b"", b"a" * 11, bytes(300), b"\xff" * 300])
def test_a_query_that_is_none_can_be_told(ring: Any, octets: bytes) -> None:
    """Whatever a client sends makes a line of JSON, with or without a name."""
    add(ring, octets, octets)
    told = records.described(held(ring)[0], 0.0)
    assert told["name"] in (None, ".")
    assert records.line(held(ring)[0], 0.0).endswith("}\n")


def test_both_rings_hold_the_same_octets() -> None:
    """The native ring and its twin cannot be told apart by what they hold."""
    rings: list[Any] = [batch.Ring(50, 8192), plainring.Ring(50, 8192)]
    rng = random.Random(3)
    for _ in range(500):
        query, reply = rng.randbytes(rng.randrange(700)), rng.randbytes(rng.randrange(700))
        client = (f"10.0.0.{rng.randrange(256)}", rng.randrange(65536))
        for each in rings:
            add(each, query, reply, client=client, now=1.0)
    assert rings[0].read(0, 99) == rings[1].read(0, 99)
