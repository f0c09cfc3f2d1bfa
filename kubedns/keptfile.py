"""
A file of what we know, kept for the next start: read whole, and written whole or not at all.

Written in a thread, to a second file that then takes the name of the first: whoever reads it finds
all of it, or the last one. A file that cannot be read or written is said so in one line, once, and
done without.
"""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from kubedns.sealed import SealError

log = Logger()

_MAX_OCTETS = 256 << 20
_Contents = TypeVar("_Contents")


class KeptFile:
    """
    See the head of this module.

    path: None for no file. what: how lines of the log call it. in_thread: runs a function in a
    thread, returns an awaitable. octets: of the file as it was read or written last.
    """

    def __init__(self, path: str, what: str, in_thread: Callable[..., Any] = deferToThread) -> None:
        self.path = Path(path) if path else None
        self.writes = 0
        self.errors = 0
        self.octets = 0
        self.last_error: str | None = None
        self._what = what
        self._in_thread = in_thread

    @property
    def shown(self) -> str:
        """Return the path as a line of the log can hold it."""
        return str(self.path).encode("unicode_escape").decode("ascii")

    def read(self, decode: Callable[[bytes], _Contents]) -> tuple[_Contents, float] | None:
        """
        Return what the file holds, and its time (seconds since the epoch), if it can be used.

        decode raises SealError for what it cannot use.
        """
        if self.path is None:
            return None
        try:
            octets, written = _read(self.path)
            found = decode(octets)
        except FileNotFoundError:
            log.info("no {what} {path} yet", what=self._what, path=self.shown)
        except OSError as error:
            self.failed(f"cannot read the {self._what} {self.shown}: {error.strerror}")
        except SealError as error:
            self.failed(f"the {self._what} {self.shown} is ignored: {error}")
        else:
            self.octets = len(octets)
            return found, written
        return None

    async def write(self, encode: Callable[[], bytes]) -> bool:
        """Put these octets in place of the last ones, for good; tell whether that was possible."""
        try:
            self.octets = await self._in_thread(_write, self.path, encode)
        except OSError as error:
            self.failed(f"cannot write the {self._what} {self.shown}: {error.strerror}")
            return False
        self.writes += 1
        if self.last_error is not None:
            self.last_error = None
            log.info("the {what} {path} is written again", what=self._what, path=self.shown)
        return True

    def failed(self, text: str) -> None:
        """Count what went wrong, and log it unless it was the last thing that did."""
        self.errors += 1
        if text != self.last_error:
            log.warn("{text}", text=text)
        self.last_error = text


def _read(path: Path) -> tuple[bytes, float]:
    """Return what a file holds, and its time."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        raise SealError("it is no file")
    if status.st_size > _MAX_OCTETS:
        raise SealError(f"it has {status.st_size} octets")
    return path.read_bytes(), status.st_mtime


def _write(path: Path, encode: Callable[[], bytes]) -> int:
    """Write a file and return its octets; in a thread."""
    octets = encode()
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
