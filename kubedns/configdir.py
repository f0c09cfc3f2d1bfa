"""
The configuration as files: a mounted ConfigMap, and a single file such as /etc/resolv.conf.

The kubelet changes a mounted ConfigMap by one rename: the visible files are links into
`..data`, itself a link to a dated folder. A load therefore reads all files and reads again if
`..data` moved or a file vanished meanwhile, so nobody sees half of a change.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubedns.pathwatch import LoadError, PathWatch

# All files of a folder together; a ConfigMap holds at most 1 MiB.
MAX_BYTES = 4 << 20
# How often a load starts, because the folder changes under it.
_ATTEMPTS = 3


class _VanishedError(LoadError):
    """A file that is not there, perhaps because it was just replaced."""


class ConfigDir(PathWatch[dict[str, str]]):
    """The files of a mounted ConfigMap; version is what kube-dns calls this state."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        period_s: float,
        reactor: Any,
        on_data: Callable[[dict[str, str]], None],
        on_error: Callable[[str], None],
    ) -> None:
        super().__init__(
            path, period_s, reactor, load_folder, {}, on_data, on_error, repeat_errors=True
        )

    @property
    def version(self) -> str:
        return version_of(self.data)


class FileWatch(PathWatch[str]):
    """The text of one file, such as /etc/resolv.conf; empty if it is missing at start."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        period_s: float,
        reactor: Any,
        on_data: Callable[[str], None],
        on_error: Callable[[str], None],
    ) -> None:
        super().__init__(
            path, period_s, reactor, load_file, "", on_data, on_error, repeat_errors=False
        )


def version_of(data: Mapping[str, str]) -> str:
    """
    Return the version of the contents of a folder, empty for no data.

    Hex SHA-256 over name, NUL, content, NUL of each file in lexical order, as in kube-dns.
    """
    digest = hashlib.sha256()
    for name, content in sorted(data.items()):
        digest.update(os.fsencode(name) + b"\0" + content.encode() + b"\0")
    return digest.hexdigest() if data else ""


def load_folder(path: Path) -> dict[str, str]:
    """
    Return the files of a folder: name → content.

    Names that start with a dot and folders are left out; links are followed.

    Raises:
        LoadError: not a folder, or a file that cannot be read, is no UTF-8 or too large.
    """
    failure = LoadError(f"{path}: changes while it is read")
    for _ in range(_ATTEMPTS):
        generation = _link(path / "..data")
        try:
            data = _load_files(path)
        except _VanishedError as error:
            failure = error
        else:
            if _link(path / "..data") == generation:
                return data
    raise failure


def load_file(path: Path) -> str:
    """
    Return the content of a file.

    Raises:
        LoadError: it cannot be read, is no regular file, no UTF-8 or too large.
    """
    try:
        # Reading a pipe would stop the whole process.
        if not stat.S_ISREG(path.stat().st_mode):
            raise LoadError(f"{path}: not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _VanishedError(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise LoadError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise LoadError(f"{path}: not UTF-8 at byte {error.start}") from None


def _load_files(path: Path) -> dict[str, str]:
    """Return the files of a folder, at whatever moment each of them is read."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if not entry.is_dir()]
    except OSError as error:
        raise LoadError(f"{error.filename}: {error.strerror}") from None
    data = {}
    room = MAX_BYTES
    for name in names:
        if not name.startswith("."):
            data[name] = load_file(path / name)
            room -= len(data[name])
            if room < 0:
                raise LoadError(f"{path}: larger than {MAX_BYTES} bytes")
    return data


def _link(path: Path) -> Path | None:
    """Return the target of a symbolic link, None if there is none."""
    try:
        return path.readlink()
    except OSError:
        return None
