"""
Which of many rules a name falls under, as dnsmasq decides it: the longest domain wins.

Lengths are those of the domains as text. A rule for a text (`/*d/`) may thus beat one for a shorter
domain; where both are equally long, whole labels come first. Behind all of these come the rule for
names of one label, and then the one for every name.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

from dnsmasq_py.rules import Match
from kubedns.wire import name as names

T = TypeVar("T")
Key = tuple[bytes, Match]

EVERYTHING: Key = (names.ROOT, Match.SUFFIX)
_EVERYTHING_RANK = 0
_DOTLESS_RANK = 1
_MANY_TOPS = 16


class Domains(Generic[T]):
    """
    Values by domain; see rules.ServerRule for what a domain is.

    Rank: a number that is higher the more specific a rule is, comparable between tables.
    """

    __slots__ = ("_dotless", "_everything", "_suffixes", "_texts", "_tops")

    def __init__(self, rules: Mapping[Key, T]) -> None:
        self._everything = rules.get(EVERYTHING)
        self._dotless: T | None = None
        self._suffixes: dict[bytes, T] = {}
        self._texts: list[tuple[bytes, T]] = []
        for key, value in rules.items():
            match key:
                case (domain, Match.SUFFIX) if domain != names.ROOT:
                    self._suffixes[domain] = value
                case (text, Match.TEXT):
                    self._texts.append((text, value))
                case (_, Match.DOTLESS):
                    self._dotless = value
        # Most names lie in no rule's domain, and their last label says so at once.
        tops = {_top(domain) for domain in self._suffixes}
        self._tops = tuple(tops) if len(tops) <= _MANY_TOPS else (names.ROOT,)

    def find(self, folded: bytes) -> T | None:
        """Return the value of the most specific rule that a folded name falls under."""
        if self._texts:
            found = self.matches(folded)
            return found[0][1] if found else None
        if folded.endswith(self._tops):
            get = self._suffixes.get
            i = 0
            while length := folded[i]:
                value = get(folded[i:])
                if value is not None:
                    return value
                i += 1 + length
        if self._dotless is not None and is_dotless(folded):
            return self._dotless
        return self._everything

    def matches(self, folded: bytes) -> list[tuple[int, T]]:
        """Return (rank, value) of all rules that a folded name falls under, the winner first."""
        found = [
            (2 * (len(suffix) - 2) + 1, self._suffixes[suffix])
            for _, suffix in names.suffixes(folded)
            if suffix in self._suffixes
        ]
        if self._texts:
            written = _text(folded)
            found += [(2 * len(text), v) for text, v in self._texts if written.endswith(text)]
            found.sort(key=lambda ranked: ranked[0], reverse=True)
        if self._dotless is not None and is_dotless(folded):
            found.append((_DOTLESS_RANK, self._dotless))
        if self._everything is not None:
            found.append((_EVERYTHING_RANK, self._everything))
        return found

    def rank(self, folded: bytes) -> int:
        """Return the rank of the winner; 0 too if there is none."""
        found = self.matches(folded)
        return found[0][0] if found else _EVERYTHING_RANK


def is_dotless(folded: bytes) -> bool:
    """Tell whether a name has one label; the root has none."""
    return len(folded) > 1 and len(folded) == folded[0] + 2


def _top(domain: bytes) -> bytes:
    """Return the last label of a domain, as a name."""
    while not is_dotless(domain):
        domain = names.parent(domain)
    return domain


def _text(folded: bytes) -> bytes:
    """Write a name for comparison with texts; dots inside labels are none."""
    return b".".join(label.replace(b".", b"\0") for label in names.labels(folded))
