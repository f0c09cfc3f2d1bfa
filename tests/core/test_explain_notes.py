"""What is kept of an object beside what DNS needs, and that it changes no answer."""

import pytest

from kubedns.cluster.objects import Kind, Notes, Slice
from tests.builders import Cluster, endpoints, headless, key_of, service, slice_
from tests.explainedcluster import unready

WEB = (b"shop", b"db")


def _kept(cluster: Cluster) -> Notes:
    (each,) = cluster.pairing.endpoints(WEB).values()
    return each.notes


def test_what_is_not_ready_is_counted_and_five_pods_are_named() -> None:
    """Of a slice; the rest is only counted."""
    cluster = Cluster()
    waiting = [unready(f"10.1.1.{i}", f"db-{i}") for i in range(9)]
    cluster.load([headless(), slice_(addresses=["10.1.0.1", *waiting])])
    notes = _kept(cluster)
    assert notes.unready == 9
    assert notes.unready_pods == ("db-0", "db-1", "db-2", "db-3", "db-4")
    assert notes.resource_version == "1"


def test_an_endpoints_object_has_them_in_a_list_of_its_own() -> None:
    """With the rights of the stock role there is nothing else."""
    made = endpoints()
    pod = {"kind": "Pod", "name": "db-9"}
    made["subsets"][0]["notReadyAddresses"] = [{"ip": "10.1.1.1", "targetRef": pod}]
    cluster = Cluster()
    cluster.load([headless(), made])
    assert _kept(cluster).unready == 1
    assert _kept(cluster).unready_pods == ("db-9",)


def test_an_endpoint_that_is_no_pod_is_counted_only() -> None:
    cluster = Cluster()
    cluster.load([headless(), slice_(addresses=[{"addresses": ["10.1.1.1"],
                                                 "conditions": {"ready": False}}])])  # fmt: skip
    assert (_kept(cluster).unready, _kept(cluster).unready_pods) == (1, ())


def test_another_version_changes_no_answer_and_is_kept_all_the_same() -> None:
    """Nothing is rebuilt, no serial moves, nothing is told to caches; the notes are the newest."""
    cluster = Cluster()
    first = slice_(addresses=["10.1.0.1", unready("10.1.1.1", "db-1")])
    cluster.load([headless(), first])
    serial, branch = cluster.tree.serial, cluster.tree.branch(*WEB)
    second = slice_(addresses=["10.1.0.1", unready("10.1.1.2", "db-2"), unready("10.1.1.3", "x")])
    second["metadata"]["resourceVersion"] = "2"
    cluster.pairing.put(Kind.SLICE, cluster.decode(second), now=1234.0)
    assert cluster.pairing.waiting == 0
    assert not cluster.flush()
    assert cluster.tree.serial == serial
    assert cluster.tree.branch(*WEB) is branch
    notes = _kept(cluster)
    assert notes.resource_version == "2"
    assert notes.changed == 1234.0
    assert notes.unready_pods == ("db-2", "x")
    kept = cluster.pairing.kept(Kind.SLICE)[key_of(second)]
    assert isinstance(kept, Slice) and kept.notes is notes


def test_the_same_version_listed_again_is_no_change() -> None:
    """When it was seen first stays."""
    cluster = Cluster()
    made = service()
    cluster.pairing.put(Kind.SERVICE, cluster.decode(made), now=1.0)
    cluster.pairing.put(Kind.SERVICE, cluster.decode(made), now=2.0)
    kept = cluster.pairing.service((b"shop", b"web"))
    assert kept is not None and kept.notes.changed == 1.0


@pytest.mark.parametrize("other", [Notes(), Notes("7", 3, ("x",), 1.0)])
def test_notes_are_never_compared(other: Notes) -> None:
    """Two objects are equal when no answer could differ."""
    one = Slice(b"shop", b"db", (), Notes("1"))
    assert one == Slice(b"shop", b"db", (), other)
    assert hash(one) == hash(Slice(b"shop", b"db", (), other))
    assert one != Slice(b"shop", b"x", (), other)
