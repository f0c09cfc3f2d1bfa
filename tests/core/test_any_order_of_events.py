"""
Whatever happens to objects, in whatever order: the zone is the one that loading the final objects
at once gives, and no kept answer is stale. What is told to caches: test_told_names.py.

A small universe of objects that get into each other's way: services that share addresses, aliases
of services, ports, namespaces and pods, slices that change hands, hostnames in several slices.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubedns.cluster.objects import Decoded, Kind
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.reply import Turns
from kubedns.zone import address, dump
from kubedns.zone.lookup import PodNames, Result, Zone, is_ours, lookup
from kubedns.zone.tree import Change
from tests.builders import (
    SERIAL,
    Cluster,
    Object,
    Served,
    endpoints,
    external,
    headless,
    key_of,
    kind_of,
    namespace,
    pod,
    query,
    service,
    slice_,
)

Z = "cluster.local"
SERVICES = [("x", "a"), ("y", "a"), ("x", "b")]
TARGETS = [
    f"x.a.svc.{Z}", f"y.a.svc.{Z}", f"h1.x.a.svc.{Z}", f"a.svc.{Z}", f"1-2-3-4.a.pod.{Z}",
    f"_http._tcp.x.a.svc.{Z}", f"ns.dns.{Z}", Z, "www.example.com", "10.0.0.9",
]  # fmt: skip
ADDRESSES = [
    "10.0.0.1", "10.0.0.2", "fd00::1", "10.1.0.1", "10.1.0.2", "fd00:1::1", "10.0.0.9", "1.2.3.4",
]  # fmt: skip


def _services(name: str, ns: str) -> Iterator[Object]:
    yield service(name, ns, ip="10.0.0.1", ports=["http:80"])
    yield service(name, ns, ip=["10.0.0.1", "fd00::1"], ports=["http:80", "dns:53/UDP"])
    yield service(name, ns, ip="10.0.0.2")
    yield service(name, ns, ip="10.0.0.2", ports=["http:81", "http:82"])
    yield headless(name, ns)
    yield headless(name, ns)
    for target in TARGETS:
        yield external(target, name, ns)


def _slices(ns: str, name: str) -> Iterator[Object]:
    for owner in ("x", "y"):
        for addresses in (
            ["10.1.0.1"],
            [("10.1.0.1", "h1"), ("10.1.0.2", "h1")],
            [("10.1.0.2", "h2"), "10.0.0.1"],
            [{"addresses": ["10.1.0.2"], "conditions": {"ready": False}}, "10.1.0.1"],
        ):
            yield slice_(owner, ns, name=name, addresses=addresses)
        yield slice_(owner, ns, name=name, addresses=["10.1.0.1"], ports=["dns:53/UDP"])
        yield slice_(owner, ns, name=name, addresses=[("10.1.0.2", "h1")], ports=None)
        yield slice_(owner, ns, name=name, addresses=[("fd00:1::1", "h1")])
        yield slice_(owner, ns, name=name, addresses=[])


OBJECTS: list[Object] = [
    *(made for name, ns in SERVICES for made in _services(name, ns)),
    service("kube-dns", "kube-system", ip=["10.0.0.10", "fd00::10"], ports=["dns:53/UDP"]),
    service("kube-dns", "kube-system", ip="10.0.0.11"),
    external(f"x.a.svc.{Z}", "kube-dns", "kube-system"),
    *(made for name in ("s1", "s2") for made in _slices("a", name)),
    *_slices("b", "s1"),
    endpoints("x", "a", addresses=["10.1.0.1", ("10.1.0.2", "h2")]),
    endpoints("x", "a", subsets=[]),
    endpoints("x", "b", addresses=[("fd00:1::1", "h1")], ports=["dns:53/UDP"]),
    *map(namespace, ("a", "b", "c", "kube-system")),
    pod("p1", "a", ips=["1.2.3.4"]),
    pod("p1", "a", ips=["1.2.3.4", "fd00:1::1"]),
    pod("p2", "a", ips=["1.2.3.4"]),
    pod("p2", "a", ips=["10.1.0.1"], phase="Failed"),
    pod("p1", "c", ips=["10.1.0.1"]),
]


def _universe() -> Iterator[str]:
    """Give every name that could have an answer, and some that never have."""
    yield from (Z, f"svc.{Z}", f"pod.{Z}", f"dns.{Z}", f"ns.dns.{Z}", f"nope.{Z}")
    for ns in ("a", "b", "c", "kube-system", "nowhere"):
        yield from (f"{ns}.svc.{Z}", f"{ns}.pod.{Z}", f"nope.{ns}.svc.{Z}")
        for label in ("1-2-3-4", "10-1-0-1", "fd00-1--1", "fd00-1-0-0-0-0-0-1", "nope"):
            yield f"{label}.{ns}.pod.{Z}"
    for name, ns in (*SERVICES, ("kube-dns", "kube-system")):
        for below in (
            "", "h1.", "h2.", "10-1-0-1.", "10-1-0-2.", "fd00-1--1.", "_http._tcp.", "_tcp.",
            "_dns._udp.", "_udp.", "h1._http._tcp.",
        ):  # fmt: skip
            yield f"{below}{name}.{ns}.svc.{Z}"
    yield from (f"*.a.svc.{Z}", f"x.*.svc.{Z}", f"*.x.a.svc.{Z}", f"_http._tcp.x.*.svc.{Z}")
    for each in (*ADDRESSES, "10.0.0.10", "10.0.0.99"):
        yield ipaddress.ip_address(each).reverse_pointer


QUESTIONS = [
    (name, rtype)
    for name in _universe()
    for rtype in (
        ("PTR", "ANY", "A") if name.endswith(".arpa")
        else ("A", "AAAA", "SRV", "CNAME", "ANY", "NS", "SOA")
        if name.count(".") < 4
        else ("A", "AAAA", "SRV", "ANY")
    )
]  # fmt: skip
MESSAGES = [query(f"{name} {rtype}").to_wire() for name, rtype in QUESTIONS]
WIRE = [(names.from_text(name), getattr(rr, rtype)) for name, rtype in QUESTIONS if rtype != "ANY"]

_READER = Cluster()
DECODED = [(kind_of(value), _READER.decode(value)) for value in OBJECTS]
KEYS = sorted({(kind_of(value), key_of(value)) for value in OBJECTS}, key=str)
LISTED = (Kind.SERVICE, Kind.SLICE, Kind.ENDPOINTS, Kind.NAMESPACE, Kind.POD)


@dataclass(frozen=True)
class Put:
    """An object is new or changed."""

    number: int


@dataclass(frozen=True)
class Drop:
    """An object is gone."""

    number: int


@dataclass(frozen=True)
class Listed:
    """A whole list of a kind."""

    kind: Kind
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Forget:
    """A kind may not be read any more."""

    kind: Kind


Event = Put | Drop | Listed | Forget

_services_only = [n for n, value in enumerate(OBJECTS) if value["kind"] == "Service"]
_puts = st.one_of(st.integers(0, len(OBJECTS) - 1), st.sampled_from(_services_only)).map(Put)
_drops = st.integers(0, len(KEYS) - 1).map(Drop)
_lists = st.builds(
    Listed,
    st.sampled_from(LISTED),
    st.lists(st.integers(0, len(OBJECTS) - 1), max_size=20).map(tuple),
)
_forgets = st.sampled_from((Kind.NAMESPACE, Kind.SLICE, Kind.ENDPOINTS)).map(Forget)
# Puts outweigh the rest, or the universe would stay empty.
_rights = st.sampled_from(
    (
        Forget(Kind.NAMESPACE),
        Listed(Kind.NAMESPACE, ()),
        Listed(
            Kind.NAMESPACE,
            tuple(n for n, (kind, _) in enumerate(DECODED) if kind is Kind.NAMESPACE),
        ),
    )
)
_events = st.one_of(*[_puts] * 12, *[_drops] * 2, _lists, _forgets, _rights)
# What arrives together is applied together.
BATCHES = st.lists(st.lists(_events, min_size=1, max_size=3), min_size=1, max_size=24)
ZONES = st.builds(
    dict,
    pods=st.sampled_from(list(PodNames)),
    wildcards=st.booleans(),
    reverse_zones=st.sampled_from([(), (ipaddress.ip_network("10.0.0.0/16"),)]),
)


@dataclass
class Model:
    """What is there, kept in the simplest way."""

    objects: dict[tuple[Kind, str], Decoded] = field(default_factory=dict)
    namespaces_known: bool = False

    def apply(self, event: Event) -> None:
        """Follow an event."""
        match event:
            case Put(number):
                kind, decoded = DECODED[number]
                self.objects[kind, decoded.key] = decoded
            case Drop(number):
                self.objects.pop(KEYS[number], None)
            case Listed(kind, _) | Forget(kind):
                for key in [key for key in self.objects if key[0] is kind]:
                    del self.objects[key]
                if kind is Kind.NAMESPACE:
                    self.namespaces_known = isinstance(event, Listed)
                for decoded in _listed(event):
                    self.objects[kind, decoded.key] = decoded

    def loaded(self) -> Cluster:
        """Load everything at once."""
        cluster = Cluster()
        for kind in LISTED:
            if kind is not Kind.NAMESPACE or self.namespaces_known:
                found = [value for key, value in self.objects.items() if key[0] is kind]
                cluster.pairing.replace(kind, found)
            else:
                for key, value in self.objects.items():
                    if key[0] is kind:
                        cluster.pairing.put(kind, value)
        cluster.flush()
        return cluster


def _listed(event: Event) -> list[Decoded]:
    if not isinstance(event, Listed):
        return []
    return [DECODED[n][1] for n in event.numbers if DECODED[n][0] is event.kind]


def apply(cluster: Cluster, event: Event) -> None:
    pairing = cluster.pairing
    match event:
        case Put(number):
            pairing.put(*DECODED[number])
        case Drop(number):
            pairing.drop(*KEYS[number])
        case Listed(kind, _):
            pairing.replace(kind, _listed(event))
        case Forget(kind):
            pairing.forget(kind)


def started() -> Cluster:
    """Begin as a source does: the first lists of services and endpoints, both empty."""
    cluster = Cluster()
    cluster.load([])
    cluster.tree.serial = SERIAL
    return cluster


def zone_of(cluster: Cluster, options: dict[str, object]) -> Zone:
    zone = Zone(cluster.tree, **options)  # type: ignore[arg-type]
    zone.synced = True
    return zone


Said = tuple[object, ...]


def said(zone: Zone, name: bytes, rtype: int) -> tuple[Said, Result | None]:
    """Look a question up: what it says, whatever the order of records, and how."""
    if not is_ours(zone, name):
        return ("not ours",), None
    result = lookup(zone, name, rtype)
    chain = tuple((each.owner, each.type, frozenset(each.rdatas)) for each in result.answer)
    additional = frozenset(
        (each.owner, each.type, frozenset(each.rdatas)) for each in result.additional
    )
    if rtype == rr.SOA and chain:
        chain = ()  # the serial is looked at apart
    return (result.rcode, chain, additional, result.authority, result.outside), result


@settings(max_examples=150)
@given(BATCHES, ZONES)
def test_events_lead_where_loading_everything_leads(
    batches: list[list[Event]], options: dict[str, object]
) -> None:
    """Same branches, same addresses, same dump, same answers."""
    cluster, model = started(), Model()
    for batch in batches:
        for event in batch:
            apply(cluster, event)
            model.apply(event)
        cluster.flush()
    expected = model.loaded()
    tree = cluster.tree
    assert dict(tree.branches()) == dict(expected.tree.branches())
    assert tree.namespaces() == expected.tree.namespaces()
    for text in ADDRESSES:
        packed = address.pack(text) or b""
        assert tree.holders(packed) == expected.tree.holders(packed)
        for ns in (b"a", b"b", b"c"):
            assert tree.pod_exists(ns, packed) == expected.tree.pod_exists(ns, packed)
    assert tree._holders == expected.tree._holders
    assert tree._pods == expected.tree._pods
    assert cluster.pairing.counts() == expected.pairing.counts()
    zones = zone_of(cluster, options), zone_of(expected, options)
    assert "".join(dump.pieces(zones[0])) == "".join(dump.pieces(zones[1]))
    for name, rtype in WIRE:
        assert said(zones[0], name, rtype)[0] == said(zones[1], name, rtype)[0]


@example(
    [[Listed(Kind.NAMESPACE, ())], [Forget(Kind.NAMESPACE)]], {"pods": PodNames.INSECURE}, None
)
@example(
    [[Listed(Kind.NAMESPACE, ())], [Forget(Kind.NAMESPACE)]], {"pods": PodNames.VERIFIED}, None
)
@settings(max_examples=40)
@given(BATCHES, ZONES, st.sampled_from([None, 1, 2]))
def test_no_kept_answer_is_ever_stale(
    batches: list[list[Event]], options: dict[str, object], limit: int | None
) -> None:
    """Keep the answers to all questions, change something, forget: what is left is still true."""
    cluster = started()
    zone = zone_of(cluster, options)
    kept = _all_answers(cluster, zone)
    for batch in batches:
        for event in batch:
            apply(cluster, event)
        before = cluster.tree.serial
        change = cluster.pairing.flush(SERIAL, limit=limit)
        assert cluster.tree.serial == before + bool(change), "moves exactly when something changed"
        cluster.tree.serial = SERIAL
        kept.answers.forget(change.tags)
        fresh = _all_answers(cluster, zone)
        for message in MESSAGES:
            stays = kept.answers.table.get(message[2:])
            if stays is not None:
                new = fresh.answers.table.get(message[2:])
                assert new is not None, f"kept, but not to be kept any more: {message!r}"
                assert _turns(stays.turns) == _turns(new.turns), f"stale: {message!r}"
        kept = fresh


def _all_answers(cluster: Cluster, zone: Zone) -> Served:
    served = Served(cluster, zone)
    for message in MESSAGES:
        assert served.octets(message) is not None
    assert served.counters.exceptions == 0
    return served


def _turns(turns: Turns) -> frozenset[bytes]:
    return frozenset(turns)


def test_nothing_changed_tells_nothing() -> None:
    """The same objects again, in a list and one by one."""
    cluster = started()
    made = [service("x", "a"), headless("y", "a"), slice_("y", "a"), namespace("a")]
    assert cluster.load(made)
    for change in (cluster.load(made), cluster.put(*made), cluster.flush(), Change()):
        assert not change
        assert change.names() == set()


@pytest.mark.parametrize("first", [Kind.SERVICE, Kind.SLICE])
def test_lists_may_come_in_any_order(first: Kind) -> None:
    """A headless service waits for its endpoints, and has no empty moment."""
    cluster = Cluster()
    lists = {Kind.SERVICE: [headless("y", "a")], Kind.SLICE: [slice_("y", "a")]}
    for kind in sorted(lists, key=lambda kind: kind is not first):
        cluster.listed(kind, lists[kind])
        cluster.flush()
    assert [key for key, _ in cluster.tree.branches()] == [(b"a", b"y")]


def test_a_slice_that_hands_its_endpoints_on_shows_no_empty_moment() -> None:
    """Split and merged within what arrives together: the service is never without address."""
    cluster = started()
    cluster.put(headless("y", "a"), slice_("y", "a", name="one", addresses=["10.1.0.1"]))
    pairing = cluster.pairing
    pairing.drop(Kind.SLICE, "a/one")
    pairing.put(Kind.SLICE, cluster.decode(slice_("y", "a", name="two", addresses=["10.1.0.1"])))
    change = cluster.flush()
    assert cluster.tree.holders(b"\x0a\1\0\1")
    assert not change, "nothing that DNS shows is another"
