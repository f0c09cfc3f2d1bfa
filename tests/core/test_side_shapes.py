"""/status of a neighbour: what the sidecar takes for one, and what it does not."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar import shapes, verdict
from sidecar.shapes import DNSMASQ, KUBEDNS, ShapeError
from sidecar.state import Neighbour
from tests.sidepages import DNSMASQ_PAGE, KUBEDNS_PAGE

PAGES = [
    pytest.param(KUBEDNS_PAGE, KUBEDNS, id="kubedns"),
    pytest.param(DNSMASQ_PAGE, DNSMASQ, id="dnsmasq"),
]
ODD: list[Any] = [None, True, -1, 0.5, "", "<b>", [], [1], {}, {"x": None}, [[]], [{}]]


def octets(value: object) -> bytes:
    """Return a value as a page."""
    return json.dumps(value).encode()


@pytest.mark.parametrize(("page", "shape"), PAGES)
def test_pages_of_ours(page: dict[str, Any], shape: object) -> None:
    """They come out as they are; what is missing, or unknown, does not matter."""
    assert shapes.read(octets(page), shape) == page
    assert shapes.read(b'{"version": "9", "new": {"x": [1]}}', shape) == {
        "version": "9",
        "new": {"x": [1]},
    }


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"version"',
        b'{"version": 1}',
        b"{}",
        b'{"version": "1", "uptime_s": NaN}',
        b'{"version": "1", "uptime_s": -Infinity}',
        b'{"version":' * 100_000,
        b"[" * 1_000_000,
    ],
)
@pytest.mark.parametrize("shape", [KUBEDNS, DNSMASQ])
def test_what_is_no_page_of_ours(page: bytes, shape: object) -> None:
    """Some other server has this port."""
    with pytest.raises(ShapeError):
        shapes.read(page, shape)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside a value."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, each in inner:
        yield (*path, key)
        yield from _places(each, (*path, key))


@pytest.mark.parametrize(("page", "shape"), PAGES)
def test_odd_values_everywhere(page: dict[str, Any], shape: object) -> None:
    """Each value of a page replaced: refused, or verdict and remarks can live with it."""
    rng = random.Random(1)
    for place in _places(page):
        for odd in rng.sample(ODD, 4):
            changed = copy.deepcopy(page)
            at: Any = changed
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = odd
            try:
                status = shapes.read(octets(changed), shape)
            except ShapeError:
                continue
            read = Neighbour("x", "127.0.0.1:1", 0.0, status=status, error="")
            assert all(isinstance(line, str) for line in verdict.troubles(read))
            assert all(isinstance(line, str) for line in verdict.remarks_of(read))


@pytest.mark.parametrize(
    ("changes", "shape", "place"),
    [
        ({"sources": {}}, KUBEDNS, ".sources"),
        ({"sources": ["x"]}, KUBEDNS, ".sources"),
        ({"synced": 1}, KUBEDNS, ".synced"),
        ({"records": True}, KUBEDNS, ".records"),
        ({"config": {"errors": []}}, KUBEDNS, ".config.errors"),
        ({"config": {"errors": {}}}, DNSMASQ, ".config.errors"),
        ({"routes": [{"upstreams": [{"srtt_ms": "fast"}]}]}, DNSMASQ, ".routes.upstreams.srtt_ms"),
        ({"cache": {"hits": "many"}}, DNSMASQ, ".cache.hits"),
    ],
)
def test_the_place_of_what_is_odd_is_told(
    changes: dict[str, Any], shape: object, place: str
) -> None:
    """So that it can be found."""
    with pytest.raises(ShapeError, match=f'at "{place}"'):
        shapes.read(octets({"version": "1"} | changes), shape)
