"""
The words behind `--` become settings, in the manner of GNU getopt_long, which dnsmasq uses.

Long options by any unambiguous beginning, `--name=value` or `--name value`; short ones bundled
(`-kc1000`); an optional value only in the same word. What is no option is an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dnsmasq_py.optiontable import LETTERS, OPTIONS, Option, Takes
from kubedns.flags import UsageError
from kubedns.nameserver import quote


class OptionError(UsageError):
    """A bad option of dnsmasq, or one that is not supported: one line, exit status 1."""

    status = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One option as it was given.

    text: its value, which may be empty; None: it stood alone. place: `FILE line N`, empty for
    the command line.
    """

    option: Option
    text: str | None
    place: str = ""

    @property
    def label(self) -> str:
        """The option as an operator writes it here."""
        return self.option.name if self.place else f"--{self.option.name}"

    def line(self, text: str) -> str:
        """Return a line about this setting, with its place in front."""
        return f"{self.place}: {text}" if self.place else text


def settings(words: Sequence[str]) -> Iterator[Setting]:
    """
    Give the options of a command line in their order.

    Raises:
        OptionError: an unknown or ambiguous option, a value too few or too many, any other word.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            for stray in rest:
                _no_junk(stray)
        elif word.startswith("--"):
            yield _long(word[2:], rest)
        elif word.startswith("-") and word != "-":
            yield from _short(word, rest)
        else:
            _no_junk(word)


def unknown(spelled: str, name: str, dashes: str = "--") -> str:
    """Return the line for an option that dnsmasq does not have, with the one that was meant."""
    import difflib  # only for who errs: the process keeps what it imports

    near = difflib.get_close_matches(name, OPTIONS, n=1, cutoff=0.75)
    hint = f", did you mean {dashes}{near[0]}?" if near else ""
    return f"unknown option {quote(spelled)}{hint}"


def _long(word: str, rest: Iterator[str]) -> Setting:
    name, equals, value = word.partition("=")
    option = _by_beginning(name)
    text: str | None = value if equals else None
    if text is not None and option.takes is Takes.NOTHING:
        raise OptionError(f"--{option.name} takes no value")
    if text is None and option.takes is Takes.VALUE:
        text = next(rest, None)
        if text is None:
            raise OptionError(f"--{option.name} needs a value")
    return Setting(option, text)


def _by_beginning(name: str) -> Option:
    if option := OPTIONS.get(name):
        return option
    meant = [option for known, option in OPTIONS.items() if name and known.startswith(name)]
    if not meant:
        raise OptionError(unknown(f"--{name}", name))
    if len(meant) > 1:
        names = " ".join(f"--{option.name}" for option in meant[:4])
        more = " ..." if len(meant) > 4 else ""
        raise OptionError(f"--{name} may mean {names}{more}")
    return meant[0]


def _short(word: str, rest: Iterator[str]) -> Iterator[Setting]:
    for place in range(1, len(word)):
        option = LETTERS.get(word[place])
        if option is None:
            raise OptionError(unknown(f"-{word[place]}", word.lstrip("-")))
        if not option.letter_takes_value:
            yield Setting(option, None)
            continue
        text = word[place + 1 :] or next(rest, None)
        if text is None:
            raise OptionError(f"-{option.letter} (--{option.name}) needs a value")
        yield Setting(option, text)
        return


def _no_junk(word: str) -> None:
    """Refuse a word that belongs to no option; dnsmasq lets blank ones pass."""
    if word.strip():
        raise OptionError(f"{quote(word)} belongs to no option of dnsmasq")
