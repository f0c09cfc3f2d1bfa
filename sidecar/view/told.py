"""
What a neighbour told: values of any shape become those that a reader expects.

A neighbour may be of another version, of another make, or somebody else on its port. So nothing
here fails: what is missing, or of another type, is None or empty.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping

LONGEST = 300  # characters of one text
_LARGEST = 1e18  # a number beyond it counts nothing that exists
_MARKS = 2  # accents on one letter; more would run over the lines above


class Told:
    """A JSON object; false if it is empty, or was none."""

    __slots__ = ("_fields",)

    def __init__(self, value: object) -> None:
        self._fields: Mapping[str, object] = value if isinstance(value, Mapping) else {}

    def __bool__(self) -> bool:
        return bool(self._fields)

    def has(self, key: str) -> bool:
        """Tell whether there is anything but null."""
        return self._fields.get(key) is not None

    def text(self, key: str, longest: int = LONGEST) -> str:
        """Return a text as `plain` does, a number as a text too; empty if it is neither."""
        return plain(self._fields.get(key), longest)

    def number(self, key: str) -> float | None:
        """Return a finite number that is not negative."""
        return number(self._fields.get(key))

    def flag(self, key: str) -> bool | None:
        """Return yes or no; None: neither."""
        found = self._fields.get(key)
        return found if isinstance(found, bool) else None

    def inner(self, key: str) -> "Told":
        """Return an object in this one."""
        return Told(self._fields.get(key))

    def objects(self, key: str) -> Iterator["Told"]:
        """Yield the objects of a list."""
        return (Told(each) for each in _list(self._fields.get(key)) if isinstance(each, Mapping))

    def texts(self, key: str, longest: int = LONGEST) -> list[str]:
        """Return the texts of a list."""
        return [each for each in (plain(e, longest) for e in _list(self._fields.get(key))) if each]

    def counts(self, key: str) -> dict[str, float]:
        """Return an object whose values are numbers, without those that are none."""
        found = ((plain(k), number(v)) for k, v in self.inner(key).items())
        return {name: count for name, count in found if count is not None}

    def items(self) -> Iterable[tuple[str, object]]:
        """Return keys and values as they came."""
        return self._fields.items()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else list(value) if isinstance(value, tuple) else []


def number(value: object) -> float | None:
    """Return a finite number that is not negative; anything else: None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Neither NaN nor infinity is within; and no integer is too large to be compared.
    return value if 0 <= value < _LARGEST else None


def plain(value: object, longest: int = LONGEST) -> str:
    """
    Return one line that shows each character, cut to so many of them.

    Control characters, directions of writing and halves of surrogates would change the lines
    around them, or cannot be sent: they are written as escapes. Empty if it is no text.
    """
    if not isinstance(value, str):
        found = number(value)
        return "" if found is None else f"{found:g}" if isinstance(found, float) else str(found)
    cut = value[:longest]
    if not (cut.isascii() and cut.isprintable()):
        cut = "".join(_shown(cut))
        cut = cut[:longest]
    return f"{cut}…" if len(value) > longest else cut


def _shown(text: str) -> Iterator[str]:
    marks = 0
    for each in text:
        marks = marks + 1 if unicodedata.category(each)[0] == "M" else 0
        if each.isprintable() and marks <= _MARKS:
            yield each
        else:
            yield each.encode("unicode_escape").decode("ascii")
