"""A load of questions, made by dnsperf; over TCP by a program of our own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.machine import LOAD_CORES, pinned
from tests.bench.systems import compiled

_SOCKETS = 4


@dataclass(frozen=True, slots=True)
class Load:
    """
    How to ask: questions from a file, over and over.

    Four sockets with fifty questions in flight each keep a server busy that needs 6 us or more for
    one, and fit into a receive buffer of the default size; ``rate`` (questions a second) asks at
    that pace instead. Over TCP there are as many connections.
    """

    questions: Path
    edns: bool = False
    rate: int | None = None
    in_flight: int = 200
    tcp: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a load: answers, questions without one, answers that were not NOERROR."""

    answered: int
    lost: int
    not_noerror: int
    rate: float


def missing() -> str | None:
    """Return why there is no dnsperf here, or None."""
    return None if shutil.which("dnsperf") else "dnsperf is not installed"


def run(load: Load, port: int, *, seconds: float, per_connection: int | None = None) -> Outcome:
    """
    Put a load on a port of 127.0.0.1 for some seconds.

    TCP connections are kept, or closed and opened anew after ``per_connection`` questions.
    """
    if load.tcp:
        each = load.in_flight // _SOCKETS
        numbers = [seconds, _SOCKETS, each, per_connection or 0]
        return _outcome([compiled("tcp_load.c"), str(port), load.questions, *map(str, numbers)])
    pace = ["-c", "1", "-Q", str(load.rate)] if load.rate else _saturating(load)
    return _outcome(_dnsperf(load, port, "-l", str(seconds), *pace))


def run_once(load: Load, port: int) -> Outcome:
    """Ask a port of 127.0.0.1 every question of the file once, over UDP."""
    return _outcome(_dnsperf(load, port, "-n", "1", *_saturating(load)))


def _saturating(load: Load) -> list[str]:
    return ["-c", str(_SOCKETS), "-q", str(load.in_flight)]


def _dnsperf(load: Load, port: int, *how: str) -> list[str | Path]:
    edns = ["-e"] if load.edns else []
    where = ["-s", "127.0.0.1", "-p", str(port), "-d", str(load.questions)]
    return ["dnsperf", *where, "-t", "2", *how, *edns]


def _outcome(argv: Sequence[str | Path]) -> Outcome:
    with pinned(LOAD_CORES):
        text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    answered = int(_number(text, r"Queries completed:\s+(\d+)"))
    noerror = int(_number(text, r"NOERROR (\d+)"))
    return Outcome(
        answered=answered,
        lost=int(_number(text, r"Queries lost:\s+(\d+)")),
        not_noerror=answered - noerror,
        rate=_number(text, r"Queries per second:\s+([\d.]+)"),
    )


def _number(text: str, pattern: str) -> float:
    match = re.search(pattern, text)
    return float(match[1]) if match else 0.0
