"""
What traffic shows that somebody should do something about, each with a sentence that says what.

A finding is of a kind and about something: a server, a domain, a client. Bounded in number, and
forgotten an hour after it was seen last. The kinds are those of README's chapter "Findings".
"""

from typing import Any

from dnsmasq_py.observed.records import time_text

KINDS = (
    "aaaa-on-ipv4-only",
    "burst",
    "conntrack-race",
    "missing-name",
    "mtu-or-truncation",
    "one-client-floods",
    "search-domain-never-exists",
    "search-waste",
    "upstream-loops-back",
    "upstream-slow-or-silent",
)
OTHERS = "others"
_KEPT_S = 3600.0
_MAX = 50
_MAX_OF_KIND = 10


class _Finding:
    __slots__ = ("count", "first", "last", "text")

    def __init__(self, now: float) -> None:
        self.count = 0.0
        self.first = self.last = now
        self.text = ""


class Findings:
    """See the head of this module; now: seconds since the epoch."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], _Finding] = {}

    def seen(self, kind: str, about: str, text: str, now: float, times: float = 1) -> None:
        """Take in that something was seen so many times more."""
        self._forget(now)
        key = kind, about
        if key not in self._found:
            if sum(known == kind for known, _ in self._found) >= _MAX_OF_KIND - 1:
                key = kind, OTHERS
            if key not in self._found and len(self._found) >= _MAX:
                del self._found[min(self._found, key=lambda each: self._found[each].last)]
        found = self._found.setdefault(key, _Finding(now))
        found.count += times
        found.last = now
        found.text = text

    def all(self, now: float) -> list[dict[str, Any]]:
        """Return them, fit for JSON, the one seen last first."""
        self._forget(now)
        found = sorted(self._found.items(), key=lambda each: (-each[1].last, each[0]))
        return [
            {
                "id": kind,
                "about": about,
                "count": round(each.count),
                "first": time_text(each.first),
                "last": time_text(each.last),
                "text": each.text,
                "chapter": chapter(kind),
            }
            for (kind, about), each in found
        ]

    def of_kinds(self, now: float) -> dict[str, int]:
        """Return how many there are of each kind."""
        self._forget(now)
        return {kind: sum(known == kind for known, _ in self._found) for kind in KINDS}

    def _forget(self, now: float) -> None:
        for key in [k for k, found in self._found.items() if found.last < now - _KEPT_S]:
            del self._found[key]


def chapter(kind: str) -> str:
    """Return the anchor of what README says about a kind."""
    return f"findings-{kind}"
