"""Whether the machine lets the processes run: for how long they waited for a processor."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

MUCH = 0.7
"""Share of a second for which a thread that wants to run waits: then nothing is to be expected."""


class Waits:
    """Looks at threads now and then."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._waited: dict[str, int] = {}

    def look(self, pids: Iterable[int]) -> float:
        """
        Return the largest share of the time since the last look that a thread of these waited.

        Ready to run, but without a processor; the kernel counts it (Documentation/scheduler,
        sched-stats).  0 where the kernel does not tell, and of threads that were not there before.
        """
        now = time.monotonic()
        passed_ns = max(now - self._at, 1e-3) * 1e9
        found: dict[str, int] = {}
        for pid in pids:
            for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    found[str(path)] = int(path.read_text().split()[1])
                except (OSError, IndexError):
                    continue  # it has ended meanwhile
        waited = (now_ns - self._waited.get(path, now_ns) for path, now_ns in found.items())
        share = min(max(waited, default=0) / passed_ns, 1.0)
        self._at, self._waited = now, found
        return share
