"""What the benchmarks claim about themselves; nothing here measures."""

from __future__ import annotations

import json
import os

import pytest

from tests.bench import memory
from tests.bench.figures import Figure, Series, as_json, table, verdict
from tests.bench.objects import fleet
from tests.bench.systems import COREDNS, ECHO, KUBEDNS

_FIGURE = Figure(
    "CPU per query",
    "us",
    [
        Series(KUBEDNS, [6.0, 9.0, 6.5]),
        Series(COREDNS, [20.0, 30.0, 20.0], goal=0.35),
        Series(ECHO, [4.0, 4.0, 4.0], goal=1.5),
    ],
)


def test_the_large_cluster_has_the_size_that_the_figures_name() -> None:
    """5,000 services, 500 of them headless with 100 endpoints each, have 59,000 addresses."""
    services = list(fleet(0, 5_000))
    assert sum(service.cluster_ip is None for service in services) == 500
    addresses = [address for service in services for address in service.addresses]
    assert len(addresses) == len(set(addresses)) == 59_000


def test_a_cluster_that_grows_repeats_nothing() -> None:
    """Numbers go on where the last step ended, so names and cluster IPs stay unique."""
    services = [*fleet(0, 300), *fleet(300, 700)]
    assert len({service.dns_name for service in services}) == 1_000
    assert len({service.cluster_ip for service in services}) == 901  # one of them is None


def test_a_ratio_compares_round_by_round() -> None:
    """A round that was slow for all systems does not move the ratio."""
    ours, coredns, echo = _FIGURE.series
    assert _FIGURE.ratio(ours) is None
    assert _FIGURE.ratio(coredns) == 0.3
    assert _FIGURE.met(coredns) is True
    assert _FIGURE.met(echo) is False


def test_a_missed_goal_is_named() -> None:
    """The table marks it, and the last lines list it."""
    assert "NO" in table([_FIGURE])
    assert verdict([_FIGURE]) == "1 of 2 goals met\n  not met: CPU per query (C echo)"


def test_json_holds_every_round() -> None:
    """So that a reader can draw the spread."""
    figure = json.loads(json.dumps(as_json([_FIGURE])))[0]
    assert figure["series"][0]["values"] == [6.0, 9.0, 6.5]
    assert figure["series"][1]["ours_to_theirs"] == 0.3


def test_a_process_alone_takes_all_that_is_resident_of_it() -> None:
    """And each page of a file counts once, however many processes have it."""
    mine = memory.of(os.getpid())
    assert mine.own < mine.proportional <= mine.resident
    assert memory.alone([os.getpid()]) == pytest.approx(mine.resident, rel=0.05)
    twice = memory.alone([os.getpid(), os.getpid()])
    assert twice == pytest.approx(mine.resident + mine.own, rel=0.05)
