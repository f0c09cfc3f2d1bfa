"""Which cores a run uses, and what machine it was."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CORES = sorted(os.sched_getaffinity(0))

SERVER_CORES = frozenset(_CORES[:1])
"""The core of the server under test, which has it for itself where there are two or more."""

LOAD_CORES = frozenset(_CORES[1:] or _CORES)
"""Everything else: the load, the polling and the API server."""

ALL_CORES = frozenset(_CORES)


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Run this thread, and whatever it starts meanwhile, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def children(pid: int) -> list[int]:
    """Return the processes that the threads of a process started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def move(pids: Iterable[int], cores: frozenset[int]) -> None:
    """Put every thread of these processes on these cores."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), cores)


def describe() -> dict[str, str]:
    """Return what a reader of the figures must know; no names and no places."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": models[0] if models else platform.machine(),
        "cores": str(len(_CORES)),
        "memory": f"{pages / (1 << 30):.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load before the run": f"{os.getloadavg()[0]:.2f}",
    }
