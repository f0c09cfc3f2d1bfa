"""
What a probe found out about its server, and since when: values only.

Two questions are asked in a round: that of the probe, and, as long as the server is not known to be
of another make, its make (CHAOS TXT version.bind), which our processes answer by themselves,
whatever has happened around them.

- good: the probe's own question got a reply that holds a record, as the original wants it.
- alive: what liveness asks for. A server of another make: the same. One of ours: any well-formed
  reply came in time, to either question; an API server or an upstream that is away kills nobody.
"""

import enum
from bisect import bisect_left
from dataclasses import dataclass, replace

from sidecar.probe import Probe

OURS = "kube-dns-py"  # how the version of ours begins
# Upper borders of the original's histogram, in milliseconds.
BUCKETS_MS = tuple(0.25 * 2**power for power in range(16))


class Make(enum.Enum):
    """Whose program a server is."""

    UNKNOWN = "unknown"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Round:
    """
    What one round brought. at: seconds since the epoch, at its end.

    latency_s: of the probe's reply; None: there was none. error: why the round was not good, empty
    if it was. replied: a well-formed reply came, to either question. version: the text of
    version.bind; None: not asked, or no answer.
    """

    at: float
    latency_s: float | None
    error: str
    replied: bool
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """
    One probe's server as of its last round; last: None before the first.

    since: when `good` last changed, seconds since the epoch. version: last one told. failed: the
    last round that was not good. errors: how many there were. latencies: how many good rounds took
    how long, by BUCKETS_MS, those beyond last; latency_sum_ms: of all of them.
    """

    probe: Probe
    since: float
    make: Make = Make.UNKNOWN
    version: str = ""
    last: Round | None = None
    failed: Round | None = None
    rounds: int = 0
    errors: int = 0
    latencies: tuple[int, ...] = (0,) * (len(BUCKETS_MS) + 1)
    latency_sum_ms: float = 0.0

    @property
    def good(self) -> bool:
        """See the head of this module."""
        return self.last is not None and not self.last.error

    @property
    def alive(self) -> bool:
        """See the head of this module."""
        return self.good or (self.make is Make.OURS and self.last is not None and self.last.replied)

    @property
    def error(self) -> str:
        """Why it is not good, empty if it is."""
        return "waiting for first probe" if self.last is None else self.last.error

    @property
    def latency_s(self) -> float | None:
        """How long the last reply took, None if there was none."""
        return None if self.last is None else self.last.latency_s

    def after(self, found: Round) -> "Health":
        """Return what is known after one more round."""
        make, version = self.make, self.version
        if found.version is not None:
            version = found.version
            make = Make.OURS if version.startswith(OURS) else Make.FOREIGN
        known = replace(
            self,
            last=found,
            failed=found if found.error else self.failed,
            make=make,
            version=version,
            rounds=self.rounds + 1,
            errors=self.errors + bool(found.error),
        )
        if known.good and found.latency_s is not None:
            known = known._with_latency(1000 * found.latency_s)
        changed = self.last is None or known.good is not self.good
        return replace(known, since=found.at) if changed else known

    def _with_latency(self, latency_ms: float) -> "Health":
        counts = list(self.latencies)
        counts[bisect_left(BUCKETS_MS, latency_ms)] += 1
        return replace(
            self, latencies=tuple(counts), latency_sum_ms=self.latency_sum_ms + latency_ms
        )
