"""
What is counted about queries: plain integers, turned into metrics when somebody scrapes.

Ready answers are not counted one by one: each counts its own uses (zone/answers.py), and those are
added here by their Outcome when the answer leaves the table, or at a scrape.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from kubedns.wire import rr
from kubedns.zone.answers import Answer

# Bucket borders of the original (third_party/forked/skydns/metrics).
DURATION_S = (0.001, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZE_OCTETS = (0, 512, 1024, 1500, 2048, *range(4096, 65537, 4096))

AUTH = "auth"
RECURSIVE = "recursive"
REVERSE = "reverse"


class Outcome(NamedTuple):
    """How a query ended. system: in kube-dns' words (auth, recursive, reverse); size in octets."""

    system: str
    rcode: int
    truncated: bool
    size: int


class Histogram:
    """Observations by upper border; the last count is of what lies above all borders."""

    __slots__ = ("borders", "counts", "total")

    def __init__(self, borders: tuple[float, ...]) -> None:
        self.borders = borders
        self.counts = [0] * (len(borders) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, or several equal ones."""
        self.counts[bisect_left(self.borders, value)] += times
        self.total += value * times


class Counters:
    """All counts of one process."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, int]] = Counter()
        self.truncated: Counter[str] = Counter()
        self.lookups = 0  # in-zone questions that no ready answer was there for
        self.dropped: Counter[str] = Counter()  # datagrams and connections, by reason
        self.exceptions = 0
        self.durations: dict[str, Histogram] = {}
        self.sizes: dict[str, Histogram] = {}
        self.hit_duration_s = 1e-5  # of a ready answer: nearly all of it is the sending

    def ended(self, outcome: Outcome, duration_s: float) -> None:
        """Count one query that was looked up."""
        self._add(outcome, duration_s, 1)

    def sample_hit(self, duration_s: float) -> None:
        """Take in what sending one ready answer took; keeps a moving average."""
        self.hit_duration_s += (duration_s - self.hit_duration_s) / 16

    def left(self, answer: Answer) -> None:
        """Count the uses of a ready answer, from now on anew."""
        now = answer.uses  # once: a receiver may count on
        uses = now - answer.first
        if uses and isinstance(answer.label, Outcome):
            answer.first = now
            self._add(answer.label, self.hit_duration_s, uses)

    def collect(self, answers: Iterable[Answer]) -> None:
        """Count the uses of all answers that are still there; before a scrape."""
        for answer in answers:
            self.left(answer)

    def _add(self, outcome: Outcome, duration_s: float, times: int) -> None:
        self.outcomes[outcome.system, outcome.rcode] += times
        if outcome.truncated:
            self.truncated[outcome.system] += times
        self._histogram(self.durations, outcome.system, DURATION_S).observe(duration_s, times)
        self._histogram(self.sizes, outcome.system, SIZE_OCTETS).observe(outcome.size, times)

    @staticmethod
    def _histogram(
        histograms: dict[str, Histogram], system: str, borders: tuple[float, ...]
    ) -> Histogram:
        if system not in histograms:
            histograms[system] = Histogram(borders)
        return histograms[system]

    def errors(self) -> dict[tuple[str, str], int]:
        """Return the original's error counts by (system, cause)."""
        causes = {rr.SERVFAIL: "servfail", rr.REFUSED: "refused", rr.NXDOMAIN: "nxdomain"}
        found = {
            (system, causes[rcode]): count
            for (system, rcode), count in self.outcomes.items()
            if rcode in causes
        }
        found.update({(system, "truncated"): count for system, count in self.truncated.items()})
        return found
