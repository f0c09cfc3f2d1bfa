"""
The file of a snapshot: read at the start, written soon after a change, and when we stop.

What changed since the last write is what a successor does not know while the API server is away
too, so the pauses are short, and long only where writing takes long: it never has more than a
fiftieth of the time.

Written only while in sync, so that half a zone never takes the place of a whole one (how: see
kubedns.keptfile). While nothing changes the file's time is set once a minute, so that its age tells
how long ago its contents were known to be right.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from kubedns.keptfile import KeptFile
from kubedns.snapshot import contents
from kubedns.snapshot.contents import Contents, SnapshotError
from kubedns.wire import name as names
from kubedns.zone.lookup import Zone

log = Logger()

_LOOK_S = 0.5  # between two looks at whether there is something to write
_PAUSE_S = 2.0  # between two writes at least, whatever the churn
_SHARE = 50  # and so many times as long as the last one took
_CONFIRM_S = 60.0


class Saving(KeptFile):
    """
    See the head of this module, and KeptFile.

    path: empty or None for no snapshot. loaded: how many services the start found. confirmed: Unix
    time at which the file was last known to be right.
    """

    def __init__(
        self,
        path: str | None,
        zone: Zone,
        reactor: Any,
        *,
        wall_clock: Callable[[], float] = time.time,
        in_thread: Callable[..., Any] = deferToThread,
    ) -> None:
        super().__init__(path or "", "snapshot", in_thread)
        self._zone = zone
        self._wall_clock = wall_clock
        self._changed = False
        self._loop = LoopingCall(self._look)
        self._loop.clock = self._reactor = reactor
        self._next = float("-inf")  # monotonic seconds; not written before that
        self._looking: Any = None
        self.loaded: int | None = None
        self.confirmed: float | None = None

    def load(self) -> Contents | None:
        """Return what the file holds, if it can be used."""
        read = self.read(self._decode)
        if read is None:
            return None
        found, self.confirmed = read
        self.loaded = len(found.services)
        log.info(
            "{count} services from the snapshot {path}, {age:.0f} s old, until they are listed",
            count=self.loaded, path=self.shown, age=self.age_s,
        )  # fmt: skip
        return found

    def start(self) -> None:
        """Begin to write."""
        if self.path is not None:
            self._looking = self._loop.start(_LOOK_S, now=False)

    async def stop(self) -> None:
        """Write what has changed, a last time."""
        if self._loop.running:
            self._loop.stop()
            await self._looking  # a write that is under way
        if self.path is not None and self._changed and self._zone.synced:
            await self._save()

    def changed(self) -> None:
        """Note that the zone is another one."""
        self._changed = True

    @property
    def stale(self) -> bool:
        """Tell whether it is the snapshot that is served: the lists have not been read yet."""
        return self.loaded is not None and not self._zone.synced

    @property
    def age_s(self) -> float | None:
        """Return how long ago the file was known to be right; None: there is none."""
        return None if self.confirmed is None else max(0.0, self._wall_clock() - self.confirmed)

    def status(self) -> dict[str, object] | None:
        """Describe it for /status."""
        if self.path is None:
            return None
        return {
            "file": self.shown,
            "loaded": self.loaded,
            "stale": self.stale,
            "age_s": None if self.age_s is None else round(self.age_s, 3),
            "octets": self.octets,
            "writes": self.writes,
            "errors": self.errors,
            "last_error": self.last_error,
        }

    def _decode(self, octets: bytes) -> Contents:
        found = contents.decode(octets)
        if found.zone != self._zone.tree.zone:
            raise SnapshotError(f"it is of the zone {names.to_text(found.zone)}")
        return found

    async def _look(self) -> None:
        if self.path is None or not self._zone.synced:
            return
        with log.failuresHandled("while writing the snapshot"):
            if self._changed or self.age_s is None:
                if self._reactor.seconds() >= self._next:
                    await self._save()
            elif self.age_s >= _CONFIRM_S:
                self._confirm(self.path)

    def _confirm(self, path: Path) -> None:
        now = self._wall_clock()
        try:
            os.utime(path, (now, now))
            self.confirmed = now
        except OSError:  # somebody removed it
            self._changed = True

    async def _save(self) -> None:
        now, began = self._wall_clock(), self._reactor.seconds()
        taken = contents.of(self._zone.tree)
        self._changed = False
        if await self.write(partial(contents.encode, taken)):
            self.confirmed = now
        else:
            self._changed = True
        ended = self._reactor.seconds()
        self._next = began + max(_PAUSE_S, _SHARE * (ended - began))
