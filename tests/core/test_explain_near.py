"""Which names were perhaps meant, and which namespaces are nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedns.explain import near


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        (b"wbe", [b"web"]),
        (b"webb", [b"web"]),
        (b"frontend-v", [b"frontend", b"frontend-v2"]),
        (b"fronten", [b"frontend"]),
        (b"web", []),
        (b"w", []),
        (b"nothing", []),
        (b"x" * 41, []),
    ],
)
def test_a_slip_or_two(label: bytes, meant: list[bytes]) -> None:
    """One in a short label, two in a longer one; nothing for what is right."""
    there = [b"web", b"frontend", b"frontend-v2", b"a", b"x" * 40]
    assert set(near.nearest(label, there)) == set(meant)


_labels = st.text("abc-", min_size=1, max_size=8).map(str.encode)


def _by_the_book(one: bytes, other: bytes) -> int:
    """The optimal string alignment distance, without any shortcut."""
    d = {(i, 0): i for i in range(len(one) + 1)} | {(0, j): j for j in range(len(other) + 1)}
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            differ = one[i - 1] != other[j - 1]
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + differ)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return d[len(one), len(other)]


@given(_labels, _labels)
def test_a_distance_is_the_same_both_ways(one: bytes, other: bytes) -> None:
    """Nothing only for equal labels, and never more than the longer one has octets."""
    assert near.distance(one, other, 9) == _by_the_book(one, other)
    there, back = near.distance(one, other, 9), near.distance(other, one, 9)
    assert there == back <= max(len(one), len(other))
    assert (there == 0) == (one == other)
    assert near.distance(one, other, 2) == min(there, 3)


def test_the_nearest_namespaces_begin_or_end_alike() -> None:
    """At most three, then by name."""
    spaces = [b"qa", b"dev", b"shop-test", b"test", b"eu-prod", b"shop-qa"]
    assert near.ordered(b"shop-prod", spaces) == [b"eu-prod", b"shop-qa", b"shop-test"]
    assert near.ordered(b"prod", [b"test", b"dev", b"qa", b"a"]) == [b"a", b"dev", b"qa"]


def test_the_work_is_bounded() -> None:
    """However many names a cluster has."""
    looked_at = []

    def many() -> object:
        for number in range(1_000_000):
            looked_at.append(number)
            yield b"service-%d" % number

    near.nearest(b"servise-x", many())  # type: ignore[arg-type]
    assert len(looked_at) <= 2001
