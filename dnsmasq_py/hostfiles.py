"""
Hosts files: /etc/hosts, --addn-hosts, and the folders of --hostsdir.

Files are read at start and again on `reload` (SIGHUP); a --hostsdir is followed by itself. What
cannot be read is left out, with one line in the log, and the rest is served.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from twisted.logger import Logger

from dnsmasq_py.local import HostLine
from dnsmasq_py.options import Options
from kubedns.nameserver import quote
from kubedns.pathwatch import LoadError, PathWatch
from kubedns.wire import name as names
from kubedns.zone import address

MAX_BYTES = 8 << 20  # one file
MAX_ALL_BYTES = 16 << 20  # what is read at a time
_PERIOD_S = 10.0  # between looks at a --hostsdir, where inotify does not see
_MAX_PROBLEMS = 10  # told of one file

_log = Logger()


class HostsFile(NamedTuple):
    """A file as it was read; error: why it was not."""

    path: str
    content: bytes = b""
    error: str = ""


class HostFiles:
    """
    Calls changed with the lines of all files: at start, on reload, and when a folder changed.

    Order: /etc/hosts, --addn-hosts, --hostsdir; files of a folder by name.
    """

    def __init__(
        self,
        options: Options,
        reactor: Any,
        changed: Callable[[Sequence[HostLine]], None],
        *,
        etc_hosts: str = "/etc/hosts",
    ) -> None:
        self._changed = changed
        self._domain = options.domain if options.expand_hosts else names.ROOT
        self._paths = [*([] if options.no_hosts else [etc_hosts]), *options.addn_hosts]
        self._files: list[HostsFile] = []
        self._folders: dict[str, list[HostsFile]] = {}
        self._told: set[HostsFile] = set()
        self._watches: list[PathWatch[list[HostsFile]]] = [
            PathWatch(
                folder,
                _PERIOD_S,
                reactor,
                read_folder,
                [],
                partial(self._folder_changed, folder),
                _warn,
                repeat_errors=False,
            )
            for folder in options.hostsdirs
        ]

    def start(self) -> None:
        """Read all files, and call `changed` for the first time."""
        self._files = read_paths(self._paths)
        for watch in self._watches:
            watch.start()
        self._use()

    def stop(self) -> None:
        """Follow no folder any more."""
        for watch in self._watches:
            watch.stop()

    def reload(self) -> None:
        """Read the files again, and log what all have; the folders are followed anyway."""
        self._told.clear()
        self._files = read_paths(self._paths)
        self._use()

    def _folder_changed(self, folder: str, files: list[HostsFile]) -> None:
        known = self._folders.get(folder)
        self._folders[folder] = files
        if known is not None:  # else it is the first time, within `start`
            self._use()

    def _use(self) -> None:
        """Pass on what the files say, and log those that are new."""
        files = self._files + [file for folder in self._folders.values() for file in folder]
        lines: list[HostLine] = []
        for file in files:
            found, problems = parse(file, self._domain)
            lines += found
            if file not in self._told:
                _tell(file, found, problems)
        self._told = set(files)
        self._changed(lines)


def read_paths(paths: Iterable[str]) -> list[HostsFile]:
    """Read files, and the files of folders; see HostsFile.error for what cannot be read."""
    files: list[HostsFile] = []
    room = MAX_ALL_BYTES
    for path in paths:
        for file in _files_of(Path(path)):
            room -= len(file.content)
            if room < 0:
                file = HostsFile(file.path, error=f"more than {MAX_ALL_BYTES} bytes in all")
            files.append(file)
    return files


def read_folder(path: Path) -> list[HostsFile]:
    """
    Read the files of a folder.

    Raises:
        LoadError: it is no folder, or cannot be read.
    """
    if not path.is_dir():
        raise LoadError(f"failed to load names from {path}: not a folder")
    return read_paths([str(path)])


def parse(file: HostsFile, domain: bytes = names.ROOT) -> tuple[list[HostLine], list[str]]:
    """
    Return the lines of a hosts file, and what is wrong with others.

    `ADDRESS NAME [NAME...]`, and `#` begins a comment. domain: one that names of one label are
    known in as well (--expand-hosts); that one is then the first.
    """
    lines: list[HostLine] = []
    problems: list[str] = []
    for number, text in enumerate(file.content.decode("ascii", "replace").splitlines(), 1):
        words = text.partition("#")[0].split()
        if not words:
            continue
        packed = address.pack(words[0])
        if packed is None:
            problems.append(f"bad address at {file.path} line {number}: {quote(words[0])}")
            continue
        found: list[bytes] = []
        for word in words[1:]:
            try:
                found += _expanded(names.from_text(word), domain)
            except names.BadNameError:
                problems.append(f"bad name at {file.path} line {number}: {quote(word)}")
        if found:
            lines.append(HostLine(packed, tuple(found), file.path))
    return lines, problems


def _expanded(name: bytes, domain: bytes) -> list[bytes]:
    if name == names.ROOT:
        raise names.BadNameError("the root is no host")
    labels = names.labels(name)
    if domain == names.ROOT or len(labels) > 1:
        return [name]
    return [names.from_labels((*labels, *names.labels(domain))), name]


def _files_of(path: Path) -> Iterator[HostsFile]:
    """Give a file, or the files of a folder but those that dnsmasq skips: hidden and left over."""
    try:
        if not path.is_dir():
            yield _read(path)
            return
        with os.scandir(path) as entries:
            inside = sorted(entry.name for entry in entries if not entry.is_dir())
    except OSError as error:
        yield HostsFile(str(path), error=error.strerror or str(error))
        return
    for name in inside:
        if not (name.startswith(".") or name.endswith("~") or name[0] == name[-1] == "#"):
            yield _read(path / name)


def _read(path: Path) -> HostsFile:
    try:
        # Reading a pipe would stop the whole process.
        if not stat.S_ISREG(path.stat().st_mode):
            return HostsFile(str(path), error="not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return HostsFile(str(path), error=error.strerror or str(error))
    if len(content) > MAX_BYTES:
        return HostsFile(str(path), error=f"larger than {MAX_BYTES} bytes")
    return HostsFile(str(path), content)


def _tell(file: HostsFile, lines: Sequence[HostLine], problems: Sequence[str]) -> None:
    """Log a file as dnsmasq does."""
    if file.error:
        _log.warn("failed to load names from {path}: {error}", path=file.path, error=file.error)
        return
    for problem in problems[:_MAX_PROBLEMS]:
        _warn(problem)
    if len(problems) > _MAX_PROBLEMS:
        more = len(problems) - _MAX_PROBLEMS
        _log.warn("{more} more such words in {path}", more=more, path=file.path)
    count = sum(len(line.names) for line in lines)
    _log.info("read {path} - {count} names", path=file.path, count=count)


def _warn(line: str) -> None:
    _log.warn("{line}", line=line)
