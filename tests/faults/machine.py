"""How much of the machine others take: whoever shares it loses questions for want of time."""

from __future__ import annotations

import os
from pathlib import Path

_PPID, _TIMES = 1, slice(11, 15)  # of /proc/PID/stat, after the name; proc(5)
_BUSY = 3  # user, nice and system, at the begin of /proc/stat; not what interrupts take


class Share:
    """What others take of all processors since this was made; others are no children of ours."""

    def __init__(self) -> None:
        self._all, self._busy = _machine()
        self._own = _own()

    def of_others(self) -> float:
        """Return it, from 0 to 1."""
        total, busy = _machine()
        others = busy - self._busy - (_own() - self._own)
        return max(others, 0) / max(total - self._all, 1)


def _machine() -> tuple[int, int]:
    """Return all time of all processors so far, and how much of it processes had, in ticks."""
    line = Path("/proc/stat").read_text().partition("\n")[0]
    times = [int(each) for each in line.split()[1:9]]
    return sum(times), sum(times[:_BUSY])


def _own() -> int:
    """Return what this process and all below it had so far, those that ended too, in ticks."""
    parents: dict[int, int] = {}
    times: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            parents[int(folder.name)] = int(fields[_PPID])
            times[int(folder.name)] = sum(map(int, fields[_TIMES]))
    return sum(ticks for pid, ticks in times.items() if _is_ours(pid, parents))


def _is_ours(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == os.getpid():
            return True
        pid = parents[pid]
    return False
