"""
Configuration files of dnsmasq: lines become settings; folders of them.

One option on a line, `name` or `name=value`, by its whole long name. A # at the start or behind
a blank begins a comment. Between double quotes commas, blanks and # mean nothing; a backslash
there makes t, n, r, b, e, a quote or a backslash what they are in C.

This file does IO: it reads what an operator names.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from dnsmasq_py.getopt import OptionError, Setting, unknown
from dnsmasq_py.optiontable import OPTIONS, Takes
from dnsmasq_py.quoting import hide, items, reveal
from kubedns.nameserver import quote

_ESCAPES = {"t": "\t", "n": "\n", "e": "\33", "b": "\b", "r": "\r", '"': '"', "\\": "\\"}


def lines(path: str) -> Iterator[tuple[str, str]]:
    """
    Give the place, `FILE line N`, and the text of each line of a file; `-`: standard input.

    Raises:
        OptionError: it cannot be read.
    """
    try:
        octets = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    for number, line in enumerate(os.fsdecode(octets).split("\n"), 1):
        yield f"{path} line {number}", line


def setting(place: str, line: str) -> Setting | None:
    """
    Return what one line says, None if nothing.

    Raises:
        OptionError: no option is called so, or its value is missing or too much.
    """
    text = _uncommented(place, line).strip(" ")
    if not text:
        return None
    name, equals, value = text.partition("=")
    name = name.rstrip(" ")
    option = OPTIONS.get(name)
    if option is None:
        raise OptionError(f"{place}: {unknown(reveal(name), name, dashes='')}")
    if equals and option.takes is Takes.NOTHING:
        raise OptionError(f"{place}: {name} takes no value")
    if not equals and option.takes is Takes.VALUE:
        raise OptionError(f"{place}: {name} needs a value")
    return Setting(option, value.lstrip(" ") if equals else None, place)


def folder(text: str) -> list[str]:
    """
    Return the files that a --conf-dir `DIR[,EXT|*EXT...]` means, in the order of their names.

    EXT leaves such files out, *EXT leaves all others out. Never files that start with a dot,
    end with ~, or start and end with #; never folders.

    Raises:
        OptionError: the folder or something in it cannot be looked at.
    """
    directory, *extensions = items(text)
    wanted = [ext[1:] for ext in extensions if ext.startswith("*") and ext != "*"]
    unwanted = [ext for ext in extensions if ext and not ext.startswith("*")]
    if not directory:
        return []
    try:
        found = sorted(Path(directory).iterdir(), key=lambda path: path.name)
        return [str(path) for path in found if _counts(path, wanted, unwanted)]
    except OSError as error:
        raise unreadable(directory, error) from None


def unreadable(path: str, error: Exception) -> OptionError:
    """Return the error for a file or folder that the system does not give."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return OptionError(f"cannot read {quote(path)}: {reason}")


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from every other one, None if it is not there."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _counts(path: Path, wanted: list[str], unwanted: list[str]) -> bool:
    name = path.name
    if name[0] == "." or name[-1] == "~" or name[0] == name[-1] == "#":
        return False
    if _has_one(name, unwanted) or (wanted and not _has_one(name, wanted)):
        return False
    return stat.S_ISREG(path.stat().st_mode)


def _has_one(name: str, extensions: list[str]) -> bool:
    """Say whether a name ends in one of these; one that is nothing but extension does not."""
    return any(name.endswith(ext) and name != ext for ext in extensions)


def _uncommented(place: str, line: str) -> str:
    """Return a line without its comment; blanks are spaces, quoted characters are hidden."""
    out: list[str] = []
    chars = iter(line)
    for char in chars:
        if char == '"':
            out += _quoted(place, chars)
        elif char in " \t\v\f\r":
            out.append(" ")
        elif char == "#" and (not out or out[-1] == " "):
            break
        else:
            out.append(char)
    return "".join(out)


def _quoted(place: str, chars: Iterator[str]) -> Iterator[str]:
    """Give the stand-ins of what follows a quote, up to the next one."""
    for char in chars:
        if char == '"':
            return
        if char == "\\":
            following = next(chars, "")
            if following not in _ESCAPES:
                yield hide(char)
            char = _ESCAPES.get(following, following)
        if char:
            yield hide(char)
    raise OptionError(f'{place}: a " is missing')
