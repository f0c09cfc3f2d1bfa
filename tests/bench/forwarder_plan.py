"""The groups of figures that need no cluster: the forwarders, in fair weather and in foul."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.bench import dnsperf, forwarder_memory, weather
from tests.bench.figures import Figure
from tests.bench.forwarder_cost import ForwarderCost
from tests.bench.forwarder_systems import ALL_SERVERS, Forwarder
from tests.bench.systems import System

GROUPS = ("forward", "memory", "weather")


def measurements(
    groups: frozenset[str],
    found: Sequence[Forwarder],
    echo: System | None,
    scratch: Path,
    *,
    quick: bool,
) -> Iterator[tuple[str, Iterable[Figure]]]:
    """Return what is to be measured, by group, in the order in which it should be."""
    one_upstream = [each for each in found if each.name != ALL_SERVERS]  # there it is dnsmasq
    if "forward" in groups:
        cost = ForwarderCost(one_upstream, echo, scratch, quick)
        yield "forward", cost.hits()
        yield "forward", cost.misses_with_room()
        yield "forward", cost.misses_without_room()
    if "memory" in groups:
        yield "memory", forwarder_memory.measure(one_upstream, scratch, quick=quick)
    if "weather" in groups:
        yield "weather", weather.measure(found, scratch, quick=quick)


def missing(groups: frozenset[str]) -> str | None:
    """Return why these groups cannot be measured here, or None."""
    return dnsperf.missing() if groups & {"forward", "memory"} else None
