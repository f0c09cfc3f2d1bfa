"""
The file of a snapshot: read at the start, written some seconds after a change, and when we stop.

Written only while in sync, so that half a zone never takes the place of a whole one; in a thread,
to a second file that then takes the name of the first: whoever reads it finds all of it, or the
last one. While nothing changes the file's time is set once a minute, so that its age tells how long
ago its contents were known to be right.

A file that cannot be read or written is said so in one line and done without.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from kubedns.snapshot import contents
from kubedns.snapshot.contents import Contents, SnapshotError
from kubedns.wire import name as names
from kubedns.zone.lookup import Zone

log = Logger()

_LOOK_S = 2.0  # between two looks at whether there is something to write
_PAUSE_S = 10.0  # between two writes, whatever the churn
_CONFIRM_S = 60.0
_MAX_OCTETS = 256 << 20


class Saving:
    """
    See the head of this module.

    path: None for no snapshot. in_thread: runs a function in a thread, returns an awaitable.
    loaded: how many services the start found. confirmed: Unix time at which the file was last known
    to be right.
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
        self._path = Path(path) if path else None
        self._zone = zone
        self._wall_clock = wall_clock
        self._in_thread = in_thread
        self._changed = False
        self._loop = LoopingCall(self._look)
        self._loop.clock = self._reactor = reactor
        self._last = float("-inf")  # monotonic seconds of the last try to write
        self._looking: Any = None
        self.loaded: int | None = None
        self.confirmed: float | None = None
        self.writes = 0
        self.errors = 0
        self.octets = 0
        self.last_error: str | None = None

    def load(self) -> Contents | None:
        """Return what the file holds, if it can be used."""
        if self._path is None:
            return None
        try:
            octets, written = _read(self._path)
            found = contents.decode(octets)
            if found.zone != self._zone.tree.zone:
                raise SnapshotError(f"it is of the zone {names.to_text(found.zone)}")
        except FileNotFoundError:
            log.info("no snapshot {path} yet", path=self._shown)
        except OSError as error:
            self._failed(f"cannot read the snapshot {self._shown}: {error.strerror}")
        except SnapshotError as error:
            self._failed(f"the snapshot {self._shown} is ignored: {error}")
        else:
            self.loaded, self.confirmed = len(found.services), written
            self.octets = len(octets)
            log.info(
                "{count} services from the snapshot {path}, {age:.0f} s old, until they are listed",
                count=self.loaded, path=self._shown, age=self.age_s,
            )  # fmt: skip
            return found
        return None

    def start(self) -> None:
        """Begin to write."""
        if self._path is not None:
            self._looking = self._loop.start(_LOOK_S, now=False)

    async def stop(self) -> None:
        """Write what has changed, a last time."""
        if self._loop.running:
            self._loop.stop()
            await self._looking  # a write that is under way
        if self._path is not None and self._changed and self._zone.synced:
            await self._write(self._path)

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
        if self._path is None:
            return None
        return {
            "file": self._shown,
            "loaded": self.loaded,
            "stale": self.stale,
            "age_s": None if self.age_s is None else round(self.age_s, 3),
            "octets": self.octets,
            "writes": self.writes,
            "errors": self.errors,
            "last_error": self.last_error,
        }

    @property
    def _shown(self) -> str:
        return str(self._path).encode("unicode_escape").decode("ascii")

    async def _look(self) -> None:
        if self._path is None or not self._zone.synced:
            return
        with log.failuresHandled("while writing the snapshot"):
            if self._changed or self.age_s is None:
                if self._reactor.seconds() - self._last >= _PAUSE_S:
                    await self._write(self._path)
            elif self.age_s >= _CONFIRM_S:
                self._confirm(self._path)

    def _confirm(self, path: Path) -> None:
        now = self._wall_clock()
        try:
            os.utime(path, (now, now))
            self.confirmed = now
        except OSError:  # somebody removed it
            self._changed = True

    async def _write(self, path: Path) -> None:
        now, self._last = self._wall_clock(), self._reactor.seconds()
        taken = contents.of(self._zone.tree)
        self._changed = False
        try:
            self.octets = await self._in_thread(_write, path, taken)
        except OSError as error:
            self._changed = True
            self._failed(f"cannot write the snapshot {self._shown}: {error.strerror}")
        else:
            self.writes += 1
            self.confirmed = now
            if self.last_error is not None:
                self.last_error = None
                log.info("the snapshot {path} is written again", path=self._shown)

    def _failed(self, text: str) -> None:
        """Count what went wrong, and log it unless it was the last thing that did."""
        self.errors += 1
        if text != self.last_error:
            log.warn("{text}", text=text)
        self.last_error = text


def _read(path: Path) -> tuple[bytes, float]:
    """Return what a file holds, and its time."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise SnapshotError("it is no file")
    if status.st_size > _MAX_OCTETS:
        raise SnapshotError(f"it has {status.st_size} octets")
    return path.read_bytes(), status.st_mtime


def _write(path: Path, taken: Contents) -> int:
    """Put a file in place of the last one, for good; return its octets. In a thread."""
    octets = contents.encode(taken)
    fresh = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return len(octets)
