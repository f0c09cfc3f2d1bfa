"""A server as the operating system sees it: the CPU time of its process tree."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.machine import SERVER_CORES, children, pinned
from tests.realapi.program import Program

_REPOSITORY = Path(__file__).parent.parent.parent
_TICKS_S = os.sysconf("SC_CLK_TCK")


class Server(Program):
    """
    A program under test, on the core that is kept for it or on others.

    ``started`` is the monotonic time, in seconds, just before the program was started.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cores: frozenset[int] = SERVER_CORES,
    ) -> None:
        # Compiled modules are kept and used, as those of an installed package are.
        ours = {"PYTHONPATH": str(_REPOSITORY), "PYTHONDONTWRITEBYTECODE": ""}
        with pinned(cores):
            self.started = time.monotonic()
            super().__init__(argv, log=log, environment={**ours, **(environment or {})})

    def cpu_s(self) -> float:
        """Return the CPU time, user and system, that the process tree has taken so far."""
        while True:
            try:
                return sum(_cpu_s(pid) for pid in self.tree())
            except (FileNotFoundError, ProcessLookupError):  # a child ended while we looked
                if not self.alive():
                    raise

    def tree(self) -> list[int]:
        """Return this process and all that descend from it."""
        pids = [self.pid]
        for parent in pids:  # grows while it is walked
            pids += children(parent)
        return pids

    def shares_s(self) -> dict[int, float]:
        """Return the CPU time of each process of the tree so far."""
        return {pid: _cpu_s(pid) for pid in self.tree()}


def _cpu_s(pid: int) -> float:
    """
    Return the CPU seconds of one process and of its children that have ended.

    The scheduler's own sum (nanoseconds) knows only threads that still live, utime + stime of
    stat(5) all of them, but in ticks of 10 ms.  The larger one is the better one.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    exact_s = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks_s = (int(fields[11]) + int(fields[12])) / _TICKS_S
    ended_s = (int(fields[13]) + int(fields[14])) / _TICKS_S
    return ended_s + (ticks_s if ticks_s > exact_s + 0.05 else exact_s)
