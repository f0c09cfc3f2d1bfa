"""
Who asks most, for what, and what of it comes to nothing: of the last ten to twenty minutes.

Counted in two windows, of which the older one is dropped every ten minutes. Each has a fixed size
(topmost.py). A transaction counts as many as it stands for: where only a sample is looked at, all
numbers are estimates.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dnsmasq_py.observed.records import address_text, time_text
from dnsmasq_py.observed.topmost import Count, Topmost, together
from kubedns.wire import name as names
from kubedns.wire import rr

WINDOW_S = 600.0
_CLIENTS = _FAILING = _WASTED = 256
_NAMES = 512
_A, _AAAA = rr.A.to_bytes(2), rr.AAAA.to_bytes(2)
Rcodes = Callable[[], Counter[int]]


@dataclass(slots=True)
class Window:
    """
    What was counted. began: seconds since the epoch; answered: by rcode, when it began.

    names: name and type; failing: with the rcode behind them; wasted: names. looked: transactions,
    by what they stand for. a, aaaa: questions for these; has_a, has_aaaa: those with an answer.
    """

    began: float
    answered: Counter[int]
    clients: Topmost = field(default_factory=lambda: Topmost(_CLIENTS))
    names: Topmost = field(default_factory=lambda: Topmost(_NAMES))
    failing: Topmost = field(default_factory=lambda: Topmost(_FAILING))
    wasted: Topmost = field(default_factory=lambda: Topmost(_WASTED))
    looked: float = 0
    waste: float = 0
    a: float = 0
    has_a: float = 0
    aaaa: float = 0
    has_aaaa: float = 0


class Tally:
    """See the head of this module; rcodes: returns all replies so far, by rcode, exactly."""

    def __init__(self, rcodes: Rcodes, now: float) -> None:
        self._rcodes = rcodes
        self.now = Window(now, rcodes())
        self.before: Window | None = None
        self.waste_total = 0.0
        self.sampled = 1.0

    def add(
        self,
        client: bytes,
        question: bytes,
        rcode: int,
        weight: float,
        *,
        answered: bool,
    ) -> None:
        """Count a transaction; question: folded name and type, answered: there are records."""
        window = self.now
        window.looked += weight
        window.clients.add(client, weight)
        window.names.add(question, weight)
        if rcode:
            window.failing.add(question + bytes((rcode & 15,)), weight)
        qtype = question[-2:]
        if qtype == _A:
            window.a += weight
            if answered:
                window.has_a += weight
        elif qtype == _AAAA:
            window.aaaa += weight
            if answered:
                window.has_aaaa += weight

    def wasted(self, name: bytes, weight: float) -> None:
        """Count a question that was but a step of a search list."""
        self.now.wasted.add(name, weight)
        self.now.waste += weight
        self.waste_total += weight

    def turn(self, now: float) -> None:
        """Begin a new window, if it is time."""
        if now - self.now.began >= WINDOW_S:
            self.before = self.now
            self.now = Window(now, self._rcodes())

    @property
    def windows(self) -> list[Window]:
        """Return those that count, the older one first."""
        return [each for each in (self.before, self.now) if each is not None]

    def top_names(self, most: int) -> list[Count]:
        """Return the names and types asked for most."""
        return together(*(each.names for each in self.windows))[:most]

    def top(self, most: int, now: float) -> dict[str, Any]:
        """Return the page, fit for JSON."""
        windows = self.windows
        began = windows[0]
        rcodes = self._rcodes() - began.answered
        looked = sum(each.looked for each in windows)
        waste = sum(each.waste for each in windows)
        return {
            "since": time_text(began.began),
            "seconds": round(max(0.0, now - began.began), 1),
            "transactions": sum(rcodes.values()),
            "sampled": round(self.sampled, 1),
            "clients": [
                {"client": address_text(key), **_numbers(count, error)}
                for key, count, error in together(*(w.clients for w in windows))[:most]
            ],
            "names": [
                {**_asked(key), **_numbers(count, error)}
                for key, count, error in self.top_names(most)
            ],
            "rcodes": {rcode_text(rcode): count for rcode, count in sorted(rcodes.items())},
            "failing": [
                {**_asked(key[:-1]), "rcode": rcode_text(key[-1]), **_numbers(count, error)}
                for key, count, error in together(*(w.failing for w in windows))[:most]
            ],
            "search_waste": {
                "queries": round(waste),
                "share": round(waste / looked, 4) if looked else 0.0,
                "names": [
                    {"name": names.to_text(key), **_numbers(count, error)}
                    for key, count, error in together(*(w.wasted for w in windows))[:most]
                ],
            },
        }


def rcode_text(rcode: int) -> str:
    """Name an rcode."""
    return rr.RCODE_NAMES.get(rcode, f"RCODE{rcode}")


def _asked(key: bytes) -> dict[str, str]:
    return {"name": names.to_text(key[:-2]), "type": rr.type_text(int.from_bytes(key[-2:]))}


def _numbers(count: float, error: float) -> dict[str, int]:
    return {"queries": round(count), "error": round(error)}
