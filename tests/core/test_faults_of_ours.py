"""A fault in one of our own functions costs one service, not the zone."""

from typing import Any

from kubedns.cluster import pairing
from kubedns.cluster.objects import Kind
from tests.builders import Cluster, serve, service


def test_a_service_that_cannot_be_built_costs_no_other_one(monkeypatch: Any) -> None:
    """The next list tries it again."""
    cluster = Cluster()
    good = pairing.records.branch

    def faulty(owner: bytes, *others: Any) -> Any:
        if owner.startswith(b"\x03bad"):
            raise ZeroDivisionError
        return good(owner, *others)

    monkeypatch.setattr(pairing.records, "branch", faulty)
    for name, ip in (("bad", "10.0.0.1"), ("web", "10.0.0.2")):
        decoded = cluster.readers[Kind.SERVICE].convert(service(name, ip=ip))
        assert decoded is not None
        cluster.pairing.put(Kind.SERVICE, decoded)
    cluster.pairing.flush(0.0)
    assert cluster.pairing.tree.branch(b"shop", b"web") is not None
    assert list(cluster.pairing.failed) == [(b"shop", b"bad")]
    monkeypatch.undo()
    cluster.pairing.replace(Kind.NAMESPACE, [])
    cluster.pairing.flush(0.0)
    assert cluster.pairing.tree.branch(b"shop", b"bad") is not None


def test_a_serial_past_32_bits_is_still_a_serial() -> None:
    """A clock that was wild at boot must not break every negative answer."""
    served = serve(service("web", ip="10.0.0.7"))
    served.zone.tree.advance(2.0**33 + 7)
    assert served.rcode("nope.shop.svc.cluster.local. A") == "NXDOMAIN"
