"""A zone as a file and back: all of it or nothing. The lists that come later have the last word."""

import hashlib
import random
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubedns import sealed
from kubedns.cluster.objects import Kind
from kubedns.snapshot import contents
from kubedns.snapshot.contents import Contents, SnapshotError
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone.branch import Headless
from kubedns.zone.lookup import PodNames
from tests.builders import (
    Cluster,
    Served,
    conformance_cluster,
    external,
    headless,
    namespace,
    pod,
    service,
    slice_,
)
from tests.core.test_any_order_of_events import (
    BATCHES,
    LISTED,
    WIRE,
    Event,
    Model,
    apply,
    said,
    started,
    zone_of,
)
from tests.listening import covers

GOLDEN = Path(__file__).parents[1] / "fixtures" / "snapshot-1"


def _filled() -> Cluster:
    """Build a cluster with everything that a snapshot can hold."""
    cluster = Cluster()
    cluster.load(
        [
            *conformance_cluster(),
            external("www.example.com", "out", "testns"),
            pod("p", "podns", ips=["10.240.0.1", "fd00::1"]),
        ]
    )
    return cluster


def _restored(taken: Contents) -> Cluster:
    cluster = Cluster()
    cluster.tree.serial = taken.serial
    cluster.pairing.restore(taken.services, taken.namespaces, taken.pods)
    return cluster


def _same(one: Cluster, other: Cluster) -> bool:
    trees = one.tree, other.tree
    branches, known, holders, pods = (
        [dict(tree.branches()) for tree in trees],
        [tree.known_namespaces for tree in trees],
        [tree._holders for tree in trees],
        [dict(tree.pods()) for tree in trees],
    )
    return all(first == second for first, second in (branches, known, holders, pods))


def test_what_was_served_comes_back() -> None:
    """Services of all kinds, namespaces, pods, reverse names, the serial."""
    cluster = _filled()
    taken = contents.of(cluster.tree)
    back = contents.decode(contents.encode(taken))
    assert back == taken
    restored = _restored(back)
    assert _same(restored, cluster)
    assert restored.tree.serial == cluster.tree.serial


def test_an_empty_zone() -> None:
    """A cluster without services."""
    taken = contents.of(Cluster().tree)
    assert contents.decode(contents.encode(taken)) == taken


def test_several_parts() -> None:
    """More services than stand in one piece."""
    cluster = Cluster()
    cluster.load([service(f"s{i}", ip=f"10.0.{i >> 8}.{i & 255}") for i in range(1001)])
    taken = contents.of(cluster.tree)
    assert contents.decode(contents.encode(taken)) == taken


def test_a_file_of_this_version_is_read_for_ever() -> None:
    """The golden file: when this fails, the form is another one and needs another version."""
    assert _same(_restored(contents.decode(GOLDEN.read_bytes())), _filled())


def test_every_prefix_is_refused() -> None:
    """A file that was cut off anywhere, by a full disk or a crash of the node."""
    octets = contents.encode(contents.of(_filled().tree))
    for end in range(len(octets)):
        with pytest.raises(SnapshotError):
            contents.decode(octets[:end])
    with pytest.raises(SnapshotError):
        contents.decode(octets + b"\0")


def test_every_changed_octet_is_found() -> None:
    """One bit is enough."""
    octets = contents.encode(contents.of(_filled().tree))
    for place in range(len(octets)):
        changed = bytearray(octets)
        changed[place] ^= 1 << place % 8
        with pytest.raises(SnapshotError):
            contents.decode(bytes(changed))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "it is empty"),
        (bytes(100), "it is no snapshot"),
        (b"kube-dns-py snapshot 2\n" + bytes(100), "its version is 2, not 1"),
        (b"kube-dns-py snapshot \x1b[31m\n", r"its version is \\027\[31m, not 1"),
        (b"kube-dns-py snapshot 1\n", "it is damaged or cut short"),
    ],
    ids=["empty", "zeros", "a later version", "an odd version", "the head alone"],
)
def test_what_is_no_snapshot_is_named(octets: bytes, reason: str) -> None:
    """In words that a log can show."""
    with pytest.raises(SnapshotError, match=reason):
        contents.decode(octets)


def _body(octets: bytes) -> bytes:
    return sealed.opened(contents._HEAD, octets, 1 << 30)


def _summed(body: bytes) -> bytes:
    """Make a file of any contents, with the right check-sum."""
    packed = zlib.compress(body, 1)
    return contents._HEAD + hashlib.sha256(packed).digest() + packed


def test_contents_that_make_no_sense_are_refused_or_harmless() -> None:
    """Changed anywhere, with the right check-sum: refused, or every question is still answered."""
    rng = random.Random(6)
    body = _body(contents.encode(contents.of(_filled().tree)))
    refused = 0
    for _ in range(1500):
        changed = bytearray(body)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        if rng.random() < 0.2:
            del changed[rng.randrange(len(changed)) :]
        try:
            taken = contents.decode(_summed(bytes(changed)))
        except SnapshotError:
            refused += 1
            continue
        restored = _restored(taken)
        for key, branch in taken.services:
            owner = restored.tree.owner_of(key)
            zone = zone_of(restored, {"pods": PodNames.VERIFIED})
            if not names.is_below(owner, zone.tree.zone) or branch.owner != owner:
                continue
            for rtype in (rr.A, rr.AAAA, rr.SRV, rr.CNAME):
                said(zone, owner, rtype)
            assert Served(restored, zone).octets(_question(owner)) is not None
    assert refused > 100


def _question(owner: bytes) -> bytes:
    return b"\0\1\0\0\0\1\0\0\0\0\0\0" + owner + b"\0\x21\0\1"


@pytest.mark.parametrize(
    "odd",
    [
        {"serial": -1},
        {"namespaces": (b"",)},
        {"namespaces": (b"x" * 64,)},
        {"pods": ((b"a", (b"\1\2\3",)),)},
        {"pods": ((b"a", ()),)},
        {"zone": names.from_text("other.zone")},
        {"zone": b"\3no", "services": ()},
    ],
    ids=str,
)
def test_what_no_zone_holds_is_refused(odd: dict[str, object]) -> None:
    """Only a fault of ours, or somebody else, could write it."""
    taken = contents.of(_filled().tree)
    fields = {name: getattr(taken, name) for name in taken.__struct_fields__}
    with pytest.raises(SnapshotError, match="make no sense"):
        contents.decode(contents.encode(Contents(**(fields | odd))))


# What the lists say afterwards


def test_a_service_that_was_deleted_meanwhile_is_gone_with_the_list() -> None:
    """Not before: a list of something else says nothing about it."""
    old = Cluster()
    old.load([service("gone", ip="10.0.0.1"), service("stays", ip="10.0.0.2"), namespace()])
    cluster = _restored(contents.of(old.tree))
    cluster.listed(Kind.NAMESPACE, [namespace()])
    cluster.listed(Kind.SLICE, [slice_("gone")])
    assert not cluster.flush()
    assert cluster.tree.branch(b"shop", b"gone")
    cluster.listed(Kind.SERVICE, [service("stays", ip="10.0.0.2")])
    change = cluster.flush()
    assert cluster.tree.branch(b"shop", b"gone") is None
    assert names.from_text("gone.shop.svc.cluster.local") in change.names()
    assert names.from_text("stays.shop.svc.cluster.local") not in change.names()


def test_a_headless_service_keeps_its_endpoints_until_they_are_listed() -> None:
    """The list of services alone does not empty it."""
    old = Cluster()
    old.load([headless("db"), slice_("db", addresses=["10.1.0.1"])])
    cluster = _restored(contents.of(old.tree))
    cluster.listed(Kind.SERVICE, [headless("db")])
    cluster.flush()
    assert cluster.tree.holders(b"\x0a\1\0\1")
    cluster.listed(Kind.SLICE, [slice_("db", addresses=["10.1.0.2"])])
    cluster.flush()
    assert not cluster.tree.holders(b"\x0a\1\0\1")
    assert cluster.tree.holders(b"\x0a\1\0\2")


def test_a_pod_that_ended_meanwhile_is_gone_with_the_list() -> None:
    """With --pods=verified; a pod that runs on is not another one."""
    old = Cluster()
    old.load([pod("ended", ips=["10.240.0.1"]), pod("runs", ips=["10.240.0.2"])])
    cluster = _restored(contents.of(old.tree))
    cluster.listed(Kind.SERVICE, [])
    cluster.flush()
    assert cluster.tree.pod_exists(b"shop", b"\x0a\xf0\0\1")
    cluster.listed(Kind.POD, [pod("runs", ips=["10.240.0.2"])])
    change = cluster.flush()
    assert change.names() == {names.from_text("10-240-0-1.shop.pod.cluster.local")}
    assert cluster.tree.pod_exists(b"shop", b"\x0a\xf0\0\2")
    assert not cluster.tree.pod_exists(b"shop", b"\x0a\xf0\0\1")


def test_namespaces_that_may_not_be_listed_any_more() -> None:
    """Those of the snapshot are forgotten: from then on a namespace is one with a service."""
    old = Cluster()
    old.load([service("web"), namespace("shop"), namespace("empty")])
    cluster = _restored(contents.of(old.tree))
    assert cluster.tree.namespace_exists(b"empty")
    cluster.pairing.forget(Kind.NAMESPACE)
    assert cluster.flush()
    assert not cluster.tree.namespaces_known
    assert not cluster.tree.namespace_exists(b"empty")


def test_what_a_snapshot_had_right_is_told_to_nobody() -> None:
    """The lists bring the same: no change, the serial stays."""
    made = [*conformance_cluster(), pod("p", "podns"), headless("db"), slice_("db")]
    old = Cluster()
    old.load(made)
    cluster = _restored(contents.of(old.tree))
    serial = cluster.tree.serial
    change = cluster.load(made)
    assert not change
    assert change.names() == set()
    assert cluster.tree.serial == serial
    (slice_of_db,) = cluster.pairing._endpoints[Kind.SLICE][b"shop", b"db"].values()
    branch = cluster.tree.branch(b"shop", b"db")
    assert isinstance(branch, Headless)
    assert branch.groups[0] is slice_of_db.groups[0], "the endpoints would be kept twice"


@settings(max_examples=80)
@given(BATCHES, BATCHES, st.permutations(LISTED), st.booleans())
def test_lists_lead_where_they_lead_without_a_snapshot(
    before: list[list[Event]], meanwhile: list[list[Event]], order: list[Kind], together: bool
) -> None:
    """
    Whatever was served, whatever happened while nobody looked, in whatever order the lists come:
    what they say is what there is, and every name that is another is told.
    """
    old, model = started(), Model()
    for event in (event for batch in before for event in batch):
        apply(old, event)
        model.apply(event)
    old.flush()
    for event in (event for batch in meanwhile for event in batch):
        model.apply(event)
    cluster = _restored(contents.decode(contents.encode(contents.of(old.tree))))
    was = {question: said(zone_of(cluster, {}), *question) for question in WIRE}
    assert was == {question: said(zone_of(old, {}), *question) for question in WIRE}
    told = _list(cluster, model, order, together=together)
    expected = Cluster()
    _list(expected, model, LISTED, together=True)
    assert _same(cluster, expected)
    assert cluster.pairing.counts() == expected.pairing.counts()
    for question, (before_, result) in was.items():
        now = said(zone_of(cluster, {}), *question)[0]
        if result is not None and before_[:2] != now[:2]:
            assert covers(told, question, result)


def _list(cluster: Cluster, model: Model, order: Iterable[Kind], *, together: bool) -> set[bytes]:
    told: set[bytes] = set()
    for kind in order:
        found = [value for key, value in model.objects.items() if key[0] is kind]
        if kind is Kind.NAMESPACE and not model.namespaces_known:
            cluster.pairing.forget(kind)
        else:
            cluster.pairing.replace(kind, found)
        if not together:
            told |= cluster.flush().names()
    return told | cluster.flush().names()


def test_names_that_nobody_knows_yet_are_servfail() -> None:
    """From a snapshot known names are answered; that others are missing nobody can say."""
    old = Cluster()
    old.load(conformance_cluster())
    cluster = _restored(contents.of(old.tree))
    zone = zone_of(cluster, {})
    zone.synced = False
    served = Served(cluster, zone)
    assert served.answer("svc1.testns.svc.cluster.local A") == ["10.0.0.1"]
    assert served.rcode("nope.testns.svc.cluster.local A") == "SERVFAIL"
    assert served.rcode("svc1.testns.svc.cluster.local TXT") == "NOERROR"
    assert served.answer("1.0.0.10.in-addr.arpa PTR")
    assert served.rcode("99.0.0.10.in-addr.arpa PTR") == "SERVFAIL"
