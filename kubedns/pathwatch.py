"""
Watches a path on disk and says what it holds whenever that changed.

How it works. inotify (through Twisted) watches the path and the nearest folder above it that
exists; a burst of events leads to one look after a few milliseconds. Polling looks too, every
period: it sees what inotify cannot (no inotify at all, a link target elsewhere, a bind mount).
A look first renews the watches if they are lost or a nearer folder appeared, then loads.

Invariants: watches before loads, so no change falls between the two; `on_data` is called once
at start and then only for other data; at most one notifier, hence one descriptor, is open,
and none after `stop`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from kubedns.errors import KubednsError

inotify: Any
try:
    from twisted.internet import inotify
except ImportError:  # A C library without inotify, or one that cannot be found: poll.
    inotify = None

T = TypeVar("T")

# Long enough for all events of one change, short enough for nobody to notice.
DEBOUNCE_S = 0.02
# How often a renewal of the watches starts, because folders appear meanwhile.
_RENEWALS = 3

_log = Logger()


class LoadError(KubednsError):
    """A folder or file that cannot be read whole; str() is one line with its path."""


class PathWatch(Generic[T]):
    """
    Calls on_data with what `load` makes of a path, at start and when it changed.

    on_data is called first within `start`, with the default if the load failed. A load
    that fails later changes nothing. on_error gets one line for each failure, a lasting one
    again every period if `repeat_errors`.

    period_s: seconds between looks; 0: load once at start, watch nothing.
    reactor: IReactorTime; IReactorFDSet too, or there is no inotify.
    data: what on_data was called with last.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        period_s: float,
        reactor: Any,
        load: Callable[[Path], T],
        default: T,
        on_data: Callable[[T], None],
        on_error: Callable[[str], None],
        *,
        repeat_errors: bool,
    ) -> None:
        self.data = default
        self._path = Path(path).absolute()
        self._period_s = period_s
        self._reactor = reactor
        self._load = load
        self._on_data = on_data
        self._on_error = on_error
        self._repeat_errors = repeat_errors
        self._notices = _Notices(self._path, reactor, self._noticed)
        self._poll = LoopingCall(self._look_again)
        self._poll.clock = reactor
        self._soon: Any = None  # the IDelayedCall of a look that events asked for
        self._failure = ""  # the last load's
        self._blind = ""  # why there is no inotify

    def start(self) -> None:
        """Look for the first time, and from then on again and again."""
        self._look(first=True)
        if self._period_s > 0:
            self._poll.start(self._period_s, now=False)

    def stop(self) -> None:
        """Watch nothing any more."""
        if self._poll.running:
            self._poll.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._notices.close()

    def _noticed(self) -> None:
        """Look soon, once for all events until then."""
        if self._soon is None:
            self._soon = self._reactor.callLater(DEBOUNCE_S, self._look_now)

    def _look_now(self) -> None:
        self._soon = None
        self._look()

    def _look_again(self) -> None:
        """Look once more; an exception would end the polling, and nobody would notice."""
        with _log.failuresHandled("while looking at {path}", path=str(self._path)):
            self._look(polled=True)

    def _look(self, *, first: bool = False, polled: bool = False) -> None:
        """Load, and pass on what is new: data to on_data, failures to on_error."""
        if self._period_s > 0:
            self._renew()
        try:
            data = self._load(self._path)
        except LoadError as error:
            if str(error) != self._failure or (polled and self._repeat_errors):
                self._on_error(str(error))
            self._failure = str(error)
            data = self.data
        else:
            self._failure = ""
        if first or data != self.data:
            self.data = data
            with _log.failuresHandled("while applying {path}", path=str(self._path)):
                self._on_data(data)

    def _renew(self) -> None:
        """See to it that inotify watches; say once if it cannot."""
        blind = self._notices.renew()
        if blind and blind != self._blind:
            self._on_error(f"{self._path}: no inotify ({blind}), looking every {self._period_s} s")
        self._blind = blind


class _Notices:
    """
    Calls on_event when something happens at `path`, as long as it is renewed.

    Watched are the path itself and the nearest folder above it. A watch stays with its
    inode, so both are compared with what the path leads to at each renewal.
    """

    def __init__(self, path: Path, reactor: Any, on_event: Callable[[], None]) -> None:
        self._path = path
        self._reactor = reactor
        self._on_event = on_event
        self._notifier: Any = None
        self._watched: list[tuple[Path, int, int]] = []

    def renew(self) -> str:
        """Watch what the path leads to now; return why that is impossible, or nothing."""
        if inotify is None or not IReactorFDSet.providedBy(self._reactor):
            return "not supported"
        try:
            for _ in range(_RENEWALS):
                wanted = self._wanted()
                if wanted == self._watched:
                    break
                # A folder may appear before the one above it is watched: compare again.
                self._watch(wanted)
        except (OSError, inotify.INotifyError) as error:
            self.close()
            return str(error)
        return ""

    def close(self) -> None:
        """Close the descriptor, if there is one."""
        self._watched = []
        if self._notifier is not None:
            self._notifier.loseConnection()
            self._notifier = None

    def _wanted(self) -> list[tuple[Path, int, int]]:
        """Return path, device and inode of what is to be watched."""
        wanted = []
        for path in (self._path, *self._path.parents):
            try:
                status = path.stat()
            except OSError:
                continue
            wanted.append((path, status.st_dev, status.st_ino))
            if path != self._path:
                break
        return wanted

    def _watch(self, wanted: list[tuple[Path, int, int]]) -> None:
        self.close()
        # Not IN_MODIFY: a file is read when its writer is done with it.
        mask = (
            inotify.IN_ATTRIB
            | inotify.IN_CLOSE_WRITE
            | inotify.IN_CREATE
            | inotify.IN_DELETE
            | inotify.IN_DELETE_SELF
            | inotify.IN_MOVED
            | inotify.IN_MOVE_SELF
        )
        self._notifier = inotify.INotify(self._reactor)
        for path, _, _ in wanted:
            self._notifier.watch(FilePath(str(path)), mask, callbacks=[self._event])
        self._notifier.startReading()
        self._watched = wanted

    def _event(self, _watch: object, file: "FilePath[bytes]", mask: int) -> None:
        path = Path(os.fsdecode(file.path))
        if mask & (inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF | inotify.IN_IGNORED):
            # A new folder may have the old one's inode, so comparing is not enough. On
            # deletion Twisted has closed the notifier as well.
            self._watched = []
        if self._path.is_relative_to(path) or path.parent == self._path:
            self._on_event()
