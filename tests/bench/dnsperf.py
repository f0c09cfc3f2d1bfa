"""A load of questions, made by dnsperf."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.machine import LOAD_CORES, pinned


@dataclass(frozen=True, slots=True)
class Load:
    """
    How to ask: questions from a file, over and over.

    Four sockets with fifty questions in flight each keep a server busy that needs 6 us or more for
    one, and fit into a receive buffer of the default size; ``rate`` (questions a second) asks at
    that pace instead.
    """

    questions: Path
    edns: bool = False
    rate: int | None = None


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


def run(load: Load, port: int, *, seconds: float) -> Outcome:
    """Put a load on a port of 127.0.0.1 for some seconds."""
    argv = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(load.questions)]
    argv += ["-l", str(seconds), "-t", "2"]
    argv += ["-e"] if load.edns else []
    argv += ["-c", "1", "-Q", str(load.rate)] if load.rate else ["-c", "4", "-q", "200"]
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
