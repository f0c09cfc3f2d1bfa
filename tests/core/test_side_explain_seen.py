"""What the forwarder tells of the traffic, whatever its shape."""

import pytest

from sidecar.explain import seen, written
from sidecar.explain.shapes import Burst, Busy, Popular, Recorder


def test_top() -> None:
    """Each list, with numbers as they came."""
    found = seen.top(
        {
            "since": "2026-11-21T10:00:00Z", "seconds": 60.5, "transactions": 7, "sampled": 8,
            "clients": [{"client": "10.1.2.3", "queries": 5, "error": 1}],
            "names": [{"name": "a.", "type": "A", "queries": 4, "error": 0}],
            "rcodes": {"NOERROR": 6}, "failing": [{"name": "b.", "type": "A", "rcode": "SERVFAIL",
                                                   "queries": 1, "error": 0}],
            "search_waste": {"queries": 2, "share": 0.25,
                             "names": [{"name": "c.", "queries": 2, "error": 0}]},
        }
    )  # fmt: skip
    assert found.clients == (Busy("10.1.2.3", 5, 1),)
    assert found.names == (Popular("a.", "A", 4, 0),)
    assert found.failing == (Popular("b.", "A", 1, 0, "SERVFAIL"),)
    assert (found.waste, found.waste_share, found.wasted) == (2, 0.25, (Popular("c.", "", 2, 0),))
    text = written.top_text(found)
    assert "asked in vain in search lists: 2 queries, 25% of all\n           2  c.\n" in text


@pytest.mark.parametrize(
    "said",
    [{}, {"clients": 3, "names": [None, 7, {}], "rcodes": [], "search_waste": "x"},
     {"clients": [{"client": ["x"], "queries": -1}], "seconds": "long", "sampled": 0}],
)  # fmt: skip
def test_top_of_any_shape(said: dict[str, object]) -> None:
    """Of another version: what is there."""
    found = seen.with_pods(seen.top(said), {"pods": [1]})
    assert (found.transactions, found.sampled) == (0, 1)
    written.top(said, found)
    written.top_text(found)


def test_pods_are_not_told() -> None:
    """kubedns may not list pods, or is away: why is told."""
    found = seen.top({})
    assert seen.with_pods(found, {"allowed": False, "problem": "forbidden"}).pods_known is False
    assert seen.with_pods(found, None, "kubedns: away").pods_problem == "kubedns: away"


def test_the_recorder() -> None:
    """With and without a burst."""
    assert seen.recorder({"held": 5, "bytes": 9}) == Recorder(5, 9, 1, None)
    burst = {"why": "SERVFAIL: 31 of 40 in 2 s", "at": "t", "transactions": 40}
    assert seen.recorder({"burst": burst}).burst == Burst("SERVFAIL: 31 of 40 in 2 s", "t", 40)


def test_no_findings() -> None:
    """Told so."""
    assert written.findings_text(seen.findings({})) == "nothing was found\n"


@pytest.mark.parametrize("octets", [b"", b"[1]", b"{", b"[" * 100_000, b"\xff"])
def test_pages_that_are_none(octets: bytes) -> None:
    """Refused, whatever they are."""
    with pytest.raises(seen.SeenError):
        seen.page(octets)
