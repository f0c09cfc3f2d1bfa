"""
How much at once: bounds of questions on their way, in all, for a group of servers, for a client.

Nothing here is asked for a cache hit. While clients wait for less than half of the bound, each may
wait as often as it likes; above that, one that has its share or more gets no further place, and who
asks little still gets one: behind a node's cache or address translation a whole node is one client.
"""

import time
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import NamedTuple

MAX_QUESTIONS = 2000
MAX_GROUP_QUESTIONS = 1000
MAX_WAITERS = 500  # on one question
MAX_CLIENTS_WAITING = 10_000
_LEAST_SHARE = 16
_ERRORS_PER_S = 500  # to one client; who gets more is broken, or somebody else in his name
_MAX_CLIENTS = 4096
_SELDOM_S = 60.0
EARLY_WARNINGS = (50, 80)  # per cent of a bound


class Failed(NamedTuple):
    """
    Why there is no answer: what the client is told.

    error: extended DNS error, code and text (RFC 8914).
    """

    rcode: int
    error: tuple[int, str]


class Shed(Failed):
    """
    There was no room for the question, which says nothing of its name.

    So it is not remembered; and not asked once more where the name changed meanwhile: that would
    push out the next one, and so on.
    """

    __slots__ = ()


class Crowd:
    """Clients that wait for an answer, by address."""

    def __init__(self, most: int = MAX_CLIENTS_WAITING) -> None:
        self.total = 0
        self.most = most
        self._waiting: dict[str, int] = {}

    def admit(self, client: str) -> bool:
        """Count one more, unless he has more than his share while there are many."""
        mine = self._waiting.get(client, 0)
        if self.total >= self.most // 2:
            share = max(_LEAST_SHARE, self.most // (2 * (len(self._waiting) + 1)))
            if mine >= share or self.total >= self.most:
                return False
        self._waiting[client] = mine + 1
        self.total += 1
        return True

    def leave(self, client: str) -> None:
        """Count one that waits no more."""
        self.total -= 1
        left = self._waiting[client] - 1
        if left:
            self._waiting[client] = left
        else:
            del self._waiting[client]


class ErrorRate:
    """Refusals and the like, by client and second: the rest of a second's is not sent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._sent: Counter[str] = Counter()

    def allows(self, client: str) -> bool:
        """Count one, and tell whether it may be sent."""
        second = int(self._clock())
        if second != self._second or len(self._sent) > _MAX_CLIENTS:
            self._second = second
            self._sent.clear()
        self._sent[client] += 1
        return self._sent[client] <= _ERRORS_PER_S


class Seldom:
    """Watches a count that only grows, for whoever writes a line about it once a minute at most."""

    def __init__(self) -> None:
        self._told = 0
        self._next = -inf

    def grown(self, count: int, now: float) -> int:
        """Return by how much it grew since that was told last; 0 while it is too early to tell."""
        more = count - self._told
        if not more or now < self._next:
            return 0
        self._told = count
        self._next = now + _SELDOM_S
        return more


class Alarm:
    """Tells once when a number comes above 50 and 80 per cent of its bound, until it falls."""

    def __init__(self, name: str, most: int, limits: Counter[str]) -> None:
        self._name = name
        self._borders = [(per_cent, most * per_cent // 100) for per_cent in EARLY_WARNINGS]
        self._least = self._borders[0][1]
        self._limits = limits
        self._above = 0

    def see(self, number: int) -> None:
        """Look at the number now."""
        if number < self._least and not self._above:
            return
        above = sum(number >= border for _, border in self._borders)
        if above > self._above:
            per_cent, _ = self._borders[above - 1]
            self._limits[f"{self._name} {per_cent}%"] += 1
        self._above = above
