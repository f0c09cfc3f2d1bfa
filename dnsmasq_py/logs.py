"""
Lines in dnsmasq's form, written by a thread of their own.

    dnsmasq[17]: query[A] web.shop.svc.cluster.local from 10.1.2.3

Whoever has a line to write never waits: lines stand in a bounded queue, and when nobody reads
standard error, or the disk is full, lines are dropped and counted. A line is one line whatever is
in it: what does not print is escaped.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable

from dnsmasq_py import wording

_MAX_WAITING = 10_000  # lines
_BATCH = 4096  # octets: what a pipe takes in one piece, so that the lines of others stay whole
_MODE = 0o640  # of a file, as dnsmasq's
_STDERR = 2


class Lines:
    """
    Where lines go to.

    path: a file to append to, with a time stamp (UTC) in front of each line; empty: standard error,
    whose reader has its own stamps. clock: seconds since the epoch.
    dropped: lines that were not written; problem: what went wrong last, empty for nothing.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str = "", clock: Callable[[], float] = time.time) -> None:
        self.dropped = 0
        self.problem = ""
        self._path = path
        self._clock = clock
        self._prefix = f"dnsmasq[{os.getpid()}]: "
        self._stamp = (0, "")
        self._fd = _opened(path) if path else _STDERR
        self._waiting: deque[bytes] = deque()
        self._awake = threading.Event()
        self._reopening = self._closing = False
        # A daemon: a write that never returns must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Write one line, soon; from any thread."""
        if len(self._waiting) >= _MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(f"{self._stamped()}{self._prefix}{_printable(text)}\n".encode("ascii"))
        self._awake.set()

    def write_ready(self, text: str) -> None:
        """Write text of whole lines, with their ends, as it is; from any thread."""
        if len(self._waiting) >= _MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(text.encode("utf-8", "backslashreplace"))
        self._awake.set()

    def reopen(self) -> None:
        """Open the file anew (SIGUSR2): somebody has moved it away."""
        self._reopening = bool(self._path)
        self._awake.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is there, unless that takes longer than timeout_s."""
        self._closing = True
        self._awake.set()
        self._thread.join(timeout_s)

    def _stamped(self) -> str:
        if not self._path:
            return ""
        now = int(self._clock())
        if now != self._stamp[0]:
            self._stamp = (now, time.strftime("%b %e %H:%M:%S ", time.gmtime(now)))
        return self._stamp[1]

    def _run(self) -> None:
        closing = False
        while not closing:
            self._awake.wait()
            self._awake.clear()
            closing = self._closing  # read first: what was written before close() is still waiting
            if self._reopening:
                self._reopen()
            while self._waiting:
                self._out(self._batch())
        if self._path:
            os.close(self._fd)

    def _batch(self) -> bytes:
        octets = self._waiting.popleft()
        while self._waiting and len(octets) + len(self._waiting[0]) <= _BATCH:
            octets += self._waiting.popleft()
        return octets

    def _reopen(self) -> None:
        self._reopening = False
        try:
            fresh = _opened(self._path)
        except OSError as error:
            self.problem = f"cannot open log {self._path}: {error.strerror}"
            return  # on to the old file, wherever it is now
        os.close(self._fd)
        self._fd = fresh

    def _out(self, octets: bytes) -> None:
        try:
            while octets:
                octets = octets[os.write(self._fd, octets) :]
        except OSError as error:
            self.problem = f"cannot write the log: {error.strerror}"
            self.dropped += octets.count(b"\n")


class Stream:
    """What a logging library takes for a file: writes whole lines, and never waits."""

    def __init__(self, lines: Lines) -> None:
        self.write = lines.write_ready

    def flush(self) -> None:
        """Do nothing: lines are written as soon as somebody reads them."""


def _opened(path: str) -> int:
    # Without O_NONBLOCK a pipe that nobody reads would stop us here; with it, it is an error.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(path, flags, _MODE)
    os.set_blocking(fd, True)
    return fd


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return wording.printable(text.encode("utf-8", "backslashreplace"))
