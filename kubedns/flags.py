"""
A command line as Go's pflag reads it: a table of flags and argv in, values out.

`--flag value`, `--flag=value`, `-v2`, `-v=2`, `-v 2`. Underscores in names count as dashes.
A flag with a meaning of its own when bare (every boolean) never takes the next word. `--`
ends the flags. The last one of a flag counts, unless it repeats. No abbreviations.

Programs with Go's older package, flag, differ in one thing: see split_go.

What the text of a value means is the business of its reader, see readers.py.
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kubedns.errors import KubednsError
from kubedns.nameserver import quote

T = TypeVar("T")


class UsageError(KubednsError):
    """A bad command line: print usage and this one line, exit with status 2."""


class ShowText(KubednsError):  # noqa: N818 - it is none
    """Not an error: `text` was asked for (--help, --version). Print it, exit with status 0."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Flag:
    """
    One row of the table.

    name: in dashes, without those in front; a name of one letter also works as `-v`.
    read: the reader of its values.
    default: text for the reader when the flag is absent; None: it may be repeated, and its
        values are a tuple.
    meta: how usage calls the value; empty for booleans.
    field: where its value goes, if that is not its name.
    bare: the text that the flag alone stands for; None: it needs a value.
    """

    name: str
    read: Callable[[str], object]
    default: str | None
    meta: str
    help: str
    field: str = ""
    bare: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """Values by field, names of the flags that were given, words that belong to no flag."""

    values: dict[str, Any]
    given: frozenset[str]
    stray: tuple[str, ...]


def parse_flags(
    argv: Sequence[str],
    flags: Iterable[Flag],
    ignored: Iterable[Flag],
    usage: Callable[[], str],
    split: Callable[[str], tuple[str, str | None]] | None = None,
) -> Parsed:
    """
    Return what `argv`, without the program's name, says about `flags`.

    split: takes a word apart into name and value; None: as pflag.

    Raises:
        UsageError: an unknown flag, a missing value or one its reader refuses.
        ShowText: --help or -h came before any of those.
    """
    table = {flag.name: flag for flag in (*flags, *ignored)}
    found: dict[str, list[object]] = {}
    stray: list[str] = []
    split = split or _split
    words = iter(argv)
    for word in words:
        if word == "--":
            stray.extend(words)
        elif len(word) < 2 or not word.startswith("-"):
            stray.append(word)
        else:
            name, text = split(word)
            if name == "help":
                raise ShowText(usage())
            flag = table.get(name)
            if flag is None:
                raise UsageError(_unknown(word, table))
            text = _value_text(flag, text, words)
            found.setdefault(name, []).append(read_value(f"--{name}", flag.read, text))
    values = {
        flag.field or flag.name.replace("-", "_"): _value(flag, found.get(flag.name, []))
        for flag in flags
    }
    return Parsed(values, frozenset(found), tuple(stray))


def read_value(label: str, read: Callable[[str], T], text: str) -> T:
    """
    Return what a reader makes of the text of the setting called `label`.

    Raises:
        UsageError: the reader refused it; one line with label, text and reason.
    """
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"invalid value {quote(text)} for {label}: {error}") from None


def split_go(word: str) -> tuple[str, str | None]:
    """Return the name of a flag and its value as Go's package flag: one dash is as good as two."""
    name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
    return "help" if name == "h" else name.replace("_", "-"), text if equals else None


def describe(flags: Iterable[Flag]) -> str:
    """Return two or more lines for each flag: its form and default, then its help."""
    return "\n".join(line for flag in flags for line in _describe(flag))


def _split(word: str) -> tuple[str, str | None]:
    """Return the name of a flag and its value, None if it is not in the same word."""
    if word.startswith("--"):
        name, equals, text = word[2:].partition("=")
        return name.replace("_", "-"), text if equals else None
    letter, rest = word[1], word[2:]
    return "help" if letter == "h" else letter, rest.removeprefix("=") if rest else None


def _value_text(flag: Flag, text: str | None, words: Iterator[str]) -> str:
    """Return the text of a flag's value, from the next word if need be."""
    if text is None:
        text = flag.bare if flag.bare is not None else next(words, None)
    if text is None:
        raise UsageError(f"--{flag.name} needs a value")
    return text


def _value(flag: Flag, found: list[object]) -> object:
    """Return the value of one flag after the whole command line was read."""
    if flag.default is None:
        return tuple(found)
    return found[-1] if found else flag.read(flag.default)


def _unknown(word: str, table: dict[str, Flag]) -> str:
    """Return the line for a flag that is not in the table, with the one that was meant."""
    spelled = word.partition("=")[0]
    name = spelled.lstrip("-").replace("_", "-")
    import difflib  # only for who errs: the process keeps what it imports

    near = [name] if name in table else difflib.get_close_matches(name, table, n=1, cutoff=0.75)
    hint = f", did you mean --{near[0]}?" if near else ""
    return f"unknown flag {quote(spelled)}{hint}"


def _describe(flag: Flag) -> Iterator[str]:
    form = f"  --{flag.name}"
    if len(flag.name) == 1:
        form = f"  -{flag.name}, --{flag.name}"
    if flag.meta:
        form += f" {flag.meta}"
    if flag.default:
        form += f" (default {flag.default})"
    elif flag.default is None:
        form += " (repeatable)"
    yield form
    yield from textwrap.wrap(flag.help, 92, initial_indent=" " * 8, subsequent_indent=" " * 8)
