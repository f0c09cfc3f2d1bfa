"""The index beside the cache: in step with it whatever happens, exact, small and cheap."""

import sys
import time
import tracemalloc
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsmasq_py.cache import Cache
from dnsmasq_py.counters import Counters
from dnsmasq_py.domains import EVERYTHING
from dnsmasq_py.failures import Failures
from dnsmasq_py.nameindex import NameIndex
from dnsmasq_py.purge import Purges
from dnsmasq_py.question import Question
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.rules import Match
from dnsmasq_py.stored import Stored, compose
from kubedns.wire import name as names
from kubedns.wire import response, rr
from tests.fwdteller import wire

NOW = 1000.0
ZONES = [wire("cluster.local"), wire("in-addr.arpa"), wire("ip6.arpa")]
CLUSTER = Route((ZONES[0], Match.SUFFIX), Kind.CLUSTER, ())
OTHER = Route(EVERYTHING, Kind.DEFAULT, ())
RDATA = {rr.A: bytes(4), rr.AAAA: bytes(16), rr.SRV: bytes(6) + ZONES[0], rr.TXT: b"\1x"}
SOA = rr.RRset(ZONES[0], rr.SOA, 5, (bytes(2) + bytes(16) + b"\0\0\0\5",))


def is_clusters(name: bytes) -> bool:
    """A stub domain lies inside the zone."""
    if names.is_below(name, wire("corp.svc.cluster.local")):
        return False
    return any(names.is_below(name, zone) for zone in ZONES)


NAMES = [
    *("cluster.local", "svc.cluster.local", "a.svc.cluster.local", "b.svc.cluster.local"),
    *("w.a.svc.cluster.local", "ww.a.svc.cluster.local", "w.b.svc.cluster.local"),
    *("p.w.a.svc.cluster.local", "q.w.a.svc.cluster.local", "x.p.w.a.svc.cluster.local"),
    *("www.w.a.svc.cluster.local.a.svc.cluster.local", "*.a.svc.cluster.local"),
    *("*.w.a.svc.cluster.local", r"\001*.a.svc.cluster.local", "1-2-3-4.a.pod.cluster.local"),
    *("corp.svc.cluster.local", "www.corp.svc.cluster.local", "example.com", "www.example.com"),
    *("xcluster.local", "1.0.0.10.in-addr.arpa", "2.0.0.10.in-addr.arpa", "0.0.10.in-addr.arpa"),
    *("x.1.0.0.10.in-addr.arpa", "in-addr.arpa", "arpa", "local", "com", "."),
    *("1." + "0." * 30 + "d.ip6.arpa", "0." * 30 + "d.ip6.arpa", "*.example.com"),
]
WIRE = [wire(text) for text in NAMES]
names_st = st.sampled_from(WIRE)


def route_of(name: bytes) -> Route:
    return CLUSTER if is_clusters(name) else OTHER


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Stored]:
    """Give an answer with its key: with records or none, perhaps behind a chain."""
    chain = draw(st.lists(names_st, min_size=1, max_size=3, unique=True))
    asked, last = chain[0], chain[-1]
    qtype = draw(st.sampled_from((rr.A, rr.AAAA, rr.SRV, rr.TXT)))
    records = [rr.RRset(owner, rr.CNAME, 30, (target,)) for owner, target in pairwise(chain)]
    missing = draw(st.booleans())
    if not missing:
        records.append(rr.RRset(last, qtype, 30, (RDATA[qtype],)))
    beside: tuple[rr.RRset, ...] = ()
    if not missing and qtype == rr.SRV:
        targets = draw(st.lists(names_st, max_size=2, unique=True))
        beside = tuple(rr.RRset(each, rr.A, 30, (bytes(4),)) for each in targets)
    rcode = rr.NXDOMAIN if missing and draw(st.booleans()) else rr.NOERROR
    question = Question(
        asked + qtype.to_bytes(2) + b"\0\1", asked, qtype, do=False, cd=False, rd=True
    )
    authority = (SOA,) if missing else ()
    stored = compose(question, rcode, tuple(records), authority, beside, route_of(asked), NOW)
    # As resolutions do: without the last link's target where one reply held all of it.
    known = chain[1:-1] if missing and draw(st.booleans()) else chain[1:]
    stored.chain = tuple((each, route_of(each)) for each in known)
    return question.key, stored


class World:
    """A cache with purges, and what ought to be in it by the definition alone."""

    def __init__(self, entries: int = 12) -> None:
        self.cache = Cache(entries, 1 << 20, 60.0, Counters())
        self.purges = Purges(self.cache, Failures(), is_clusters)

    def put(self, key: bytes, stored: Stored) -> None:
        self.purges.mark(key, stored)
        self.cache.put(key, stored, NOW)

    def check(self) -> None:
        anew = NameIndex()
        for key, stored in self.cache.entries.items():
            if stored.marks:
                anew.add(key, stored.marks)
        assert self.cache.by_name == anew


def goes(key: bytes, stored: Stored, changed: set[bytes]) -> bool:
    """Tell by the definition whether an answer goes with a purge, from its octets."""
    parsed = response.read(b"\0\0" + stored.octets)
    held = {r.owner for r in (*parsed.answer, *parsed.additional)}
    held |= {rdata.lower() for r in parsed.answer if r.type == rr.CNAME for rdata in r.rdatas}
    held = set(filter(is_clusters, {key[:-5], *held}))
    if any(b"*" in names.labels(name) for name in held):
        return True
    return any(
        names.is_below(name, each) or (stored.is_negative and names.is_below(each, name))
        for name in held
        for each in changed
    )


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            answers(),
            st.sets(names_st, min_size=1, max_size=3),
            st.sampled_from(["drop", "clear", "sweep", "suspect", "leave alone", "all"]),
        ),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_happens_a_purge_drops_what_it_should_and_the_index_is_in_step(
    steps: list[tuple[bytes, Stored] | set[bytes] | str], rng: Random
) -> None:
    world = World()
    cache, purges = world.cache, world.purges
    for step in steps:
        match step:
            case (key, stored):
                world.put(key, stored)
            case set():
                stay = {k for k, each in cache.entries.items() if not goes(k, each, step)}
                purges.purge(step)
                assert set(cache.entries) == stay
            case "drop" if cache.entries:
                cache.drop(rng.choice(list(cache.entries)))
            case "clear":
                cache.clear()
            case "sweep":
                cache.sweep(NOW + 500)
            case "suspect":
                purges.suspect_all(NOW)
                of_cluster = [each for each in cache.entries.values() if each.marks]
                assert all(e.expires <= NOW and not e.is_negative for e in of_cluster)
            case "leave alone":
                purges.leave_alone(NOW)
            case "all":
                purges.purge_all()
                assert not len(cache.by_name)
        world.check()
        cost = sum(300 + len(k) + len(e.octets) + 100 * len(e.marks)
                   for k, e in cache.entries.items())  # fmt: skip
        assert cache.octets == cost


@settings(max_examples=300)
@given(answers(), st.lists(st.sets(names_st, min_size=1, max_size=3), min_size=1, max_size=5))
def test_an_answer_comes_late_exactly_when_it_would_have_been_dropped(
    answer: tuple[bytes, Stored], changes: list[set[bytes]]
) -> None:
    key, stored = answer
    world = World()
    since = world.purges.count
    for changed in changes:
        world.purges.purge(changed)
    world.purges.mark(key, stored)
    dropped = any(goes(key, stored, changed) for changed in changes)
    assert world.purges.came_late(key, stored, since) is dropped
    assert not world.purges.came_late(key, stored, world.purges.count)


def test_what_the_cluster_has_no_part_in_is_not_in_the_index() -> None:
    world = World()
    for name in ("www.example.com", "*.example.com", "www.corp.svc.cluster.local", "com"):
        world.put(*address(name))
    assert len(world.cache) == 4
    assert not len(world.cache.by_name)
    assert not world.cache.by_name.wild


def test_zones_of_any_depth() -> None:
    zone = wire("a.b.c.d.example")
    cache = Cache(100, 1 << 20, 0.0, Counters(), depth=8)
    purges = Purges(cache, Failures(), lambda name: names.is_below(name, zone))
    for service in ("web", "db"):
        for below in ("", "x.", "y.x."):
            key, stored = address(f"{below}{service}.shop.svc.a.b.c.d.example")
            purges.mark(key, stored)
            cache.put(key, stored, NOW)
    assert len(cache.by_name) == 2
    purges.purge({wire("x.web.shop.svc.a.b.c.d.example")})
    assert len(cache) == 4
    purges.purge({wire("shop.svc.a.b.c.d.example")})
    assert not len(cache)


def address(name: str, qtype: int = rr.A) -> tuple[bytes, Stored]:
    folded = wire(name)
    question = Question(
        folded + qtype.to_bytes(2) + b"\0\1", folded, qtype, do=False, cd=False, rd=True
    )
    rrset = rr.RRset(folded, qtype, 30, (bytes(4 if qtype == rr.A else 16),))
    return question.key, compose(question, 0, (rrset,), (), (), route_of(folded), NOW)


def services(count: int) -> list[tuple[bytes, Stored]]:
    return [
        address(f"service-{i}.namespace-{i % 50}.svc.cluster.local", qtype)
        for i in range(count // 2)
        for qtype in (rr.A, rr.AAAA)
    ]


def test_the_index_takes_little_memory() -> None:
    """Two types of each service, as most clients ask for both."""
    index = NameIndex()
    filled = services(10_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for key, _ in filled:
            index.add(key, (b"",))
        each = (tracemalloc.get_traced_memory()[0] - before) / len(filled)
    finally:
        tracemalloc.stop()
    print(f"{each:.0f} octets each")
    assert each < 130


@pytest.mark.skipif("coverage" in sys.modules, reason="everything costs more")
def test_what_the_index_costs_a_put_and_a_change() -> None:
    """Far from what an answer costs that had to be asked for, about 200 microseconds."""
    world = World(20_000)
    filled = services(10_000)
    for key, stored in filled:
        world.put(key, stored)
    best = min(timed(lambda: [one_put(world, *each) for each in filled[:1000]]) for _ in range(5))
    print(f"{best * 1000:.2f} us for mark, remove and add")
    assert best < 0.1
    changed = [
        wire(f"service-{i}.namespace-{i % 50}.svc.cluster.local") for i in range(9000, 10000)
    ]
    best = min(timed(lambda: [world.purges.purge({each}) for each in changed]) for _ in range(5))
    print(f"{best * 1000:.2f} us for a change of a service")
    assert best < 0.5


def one_put(world: World, key: bytes, stored: Stored) -> None:
    world.cache.by_name.remove(key, stored.marks)
    world.purges.mark(key, stored)
    world.cache.by_name.add(key, stored.marks)


def timed(do: object) -> float:
    began = time.process_time()
    do()  # type: ignore[operator]
    return time.process_time() - began
