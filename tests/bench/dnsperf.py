"""A load of questions, made by dnsperf; over TCP by a program of our own."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.machine import LOAD_CORES, pinned
from tests.bench.programs import compiled

_SOCKETS = 4
_FEW = 100  # in flight: as many as asked for, and never more
_LATENCY = re.compile(r"^> [A-Z]{2,} .* ([\d.]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Load:
    """
    How to ask: questions from a file, over and over.

    Four sockets with fifty questions in flight each keep a server busy that needs 6 us or more for
    one, and fit into a receive buffer of the default size; ``rate`` (questions a second) asks at
    that pace instead. Over TCP there are as many connections. good: the share of answers that are
    NOERROR, of a server that is right. edns: ask with EDNS.
    """

    questions: Path
    rate: float | None = None
    in_flight: int = 200
    tcp: bool = False
    good: float = 1.0
    edns: bool = False
    sockets: int = _SOCKETS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load: answers, questions without one; latencies only of a paced load."""

    answered: int
    lost: int
    noerror: int
    rate: float
    latencies_ms: Sequence[float] = field(default=(), repr=False)

    def percentile_ms(self, percent: int) -> float:
        """Return the latency that so many of a hundred answers kept to."""
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]


def missing() -> str | None:
    """Return why there is no dnsperf here, or None."""
    return None if shutil.which("dnsperf") else "dnsperf is not installed"


def run(load: Load, port: int, *, seconds: float, per_connection: int | None = None) -> Outcome:
    """
    Put a load on a port of 127.0.0.1 for some seconds.

    TCP connections are kept, or closed and opened anew after ``per_connection`` questions.
    """
    if load.tcp:
        each = load.in_flight // load.sockets
        numbers = [seconds, load.sockets, each, per_connection or 0]
        return _outcome([compiled("tcp_load.c"), str(port), load.questions, *map(str, numbers)])
    return _outcome(_dnsperf(load, port, "-l", str(seconds), *_pace(load)))


def run_once(load: Load, port: int) -> Outcome:
    """Ask a port of 127.0.0.1 every question of the file once, over UDP."""
    return _outcome(_dnsperf(load, port, "-n", "1", *_pace(load)))


def _pace(load: Load) -> list[str]:
    if load.rate is None:
        return ["-c", str(load.sockets), "-q", str(load.in_flight)]
    # Room for a stall of the server: else it would be asked less while it lasts.  But no more than
    # dnsperf's own socket holds: it sends and reads on one core, and replies that come at once to
    # what it made up for would be lost there.
    room = "250" if load.in_flight > _FEW else str(load.in_flight)
    return ["-c", "1", "-Q", str(round(load.rate)), "-q", room, "-v"]


def _dnsperf(load: Load, port: int, *how: str) -> list[str | Path]:
    edns = ["-e"] if load.edns else []
    where = ["-s", "127.0.0.1", "-p", str(port), "-d", str(load.questions)]
    return ["dnsperf", *where, "-t", "2", *how, *edns]


def _outcome(argv: Sequence[str | Path]) -> Outcome:
    with pinned(LOAD_CORES):
        text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    latencies_ms = [float(each) * 1000 for each in _LATENCY.findall(text)]
    return Outcome(
        answered=int(_number(text, r"Queries completed:\s+(\d+)")),
        lost=int(_number(text, r"Queries lost:\s+(\d+)")),
        noerror=int(_number(text, r"(?<!> )NOERROR (\d+)")),
        rate=_number(text, r"Queries per second:\s+([\d.]+)"),
        latencies_ms=latencies_ms,
    )


def _number(text: str, pattern: str) -> float:
    match = re.search(pattern, text)
    return float(match[1]) if match else 0.0
