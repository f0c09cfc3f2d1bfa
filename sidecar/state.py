"""
All that pages and metrics read. The reactor's thread writes; Flask's threads read.

Every value is frozen and put into its place as a whole, so a reader needs no lock: it takes what it
wants once, and works with that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.explain.shapes import Seen
from sidecar.health import Health

NOT_YET = "not read yet"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """
    One of the other two processes, as it describes itself on its loopback page.

    name: `kubedns` or `dnsmasq`, as the containers are called. status: its /status when that was
    last read, None if it never was; at: when, seconds since the epoch. error: why it cannot be read
    now (it is away, or of another make), empty while it can. refused: nobody listens there. since:
    when that last changed. metrics: its /metrics as it came, empty while it cannot be read.
    """

    name: str
    address: str  # host:port; empty: not to be read
    since: float
    status: Mapping[str, Any] | None = None
    at: float = 0.0
    error: str = NOT_YET
    refused: bool = False
    metrics: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """
    Counters of the forwarder, summed up over its restarts (CHAOS hits.bind and so on).

    max_size: its cache's. errors: polls that failed. error: why the last one did, empty if it did
    not. at: of the last good one, seconds since the epoch, 0 before.
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    insertions: int = 0
    max_size: int = 0
    errors: int = 0
    error: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Statistics of one moment, for charts: what happened in the `span_s` seconds before `at`."""

    at: float
    span_s: float
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class Warned:
    """A line for the list of warnings; at: seconds since the epoch; who: `sidecar`, …"""

    at: float
    who: str
    text: str


@dataclass(slots=True)
class State:
    """
    See the head of this module.

    began: seconds since the epoch. health: by label, in the order of the flags. samples: oldest
    first, bounded. warned: of the sidecar itself, oldest first, bounded; those of the neighbours
    stand in their status. seen: what is seen of the traffic, for operators alone; None: never read.
    """

    began: float
    draining: bool = False
    health: Mapping[str, Health] = field(default_factory=dict)
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=Statistics)
    samples: tuple[Sample, ...] = ()
    warned: tuple[Warned, ...] = ()
    seen: Seen | None = None
