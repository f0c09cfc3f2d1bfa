"""
What the responder asks for when it makes an answer: an extended error (RFC 8914), and for how long.

A sentence may tell of things that the answer's tags do not cover: what is not ready, what other
namespaces have. So an answer with one is kept for no longer than a resolver keeps it anyway.

While the API server is away every answer of the zone may be wrong, and says so. Whether it is, the
service looks up once a second (`look`): when that begins and when it ends all answers are dropped.
"""

import time
from collections.abc import Callable
from math import inf

from twisted.logger import Logger

from kubedns.cluster.pairing import Pairing
from kubedns.explain.border import Border
from kubedns.explain.facts import Facts
from kubedns.explain.why import why
from kubedns.explain.wording import MAX_SENTENCE, dotted
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address
from kubedns.zone.lookup import Result, Zone

log = Logger()

AWAY_S = 10.0  # so long nothing must have been heard of the API server to say so
_RENEWED_S = 5.0  # how old the time in a sentence may grow
_MAX_KEPT_S = 30.0
_QUIET_S = 60.0  # between two lines of the log about faults in here
_SEARCHING_S = 0.02  # of a second, for names that were perhaps meant: a flood gets bare facts

_OTHER = 0  # INFO-CODEs of RFC 8914
_STALE = 3

Error = tuple[int, str]


class Sentences:
    """See the head of this module. clock: monotonic seconds; stopwatch: what measures our work."""

    def __init__(
        self,
        zone: Zone,
        pairing: Pairing,
        border: Border,
        clock: Callable[[], float] = time.monotonic,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._zone = zone
        self._pairing = pairing
        self._border = border
        self._clock = clock
        self._away_since: float | None = None
        self._stopwatch = stopwatch
        self._second = 0
        self._spent_s = 0.0  # in that second
        self._failed_at = -inf

    @property
    def away_s(self) -> float | None:
        """Return for how long nothing has been heard of the API server; None: it is there."""
        return None if self._away_since is None else self._clock() - self._away_since

    def look(self, away_s: float | None) -> bool:
        """Take in for how long the API server has been silent; return whether answers changed."""
        away = away_s is not None and away_s >= AWAY_S
        changed = away is not (self._away_since is not None)
        self._away_since = self._clock() - away_s if away and away_s is not None else None
        return changed and self._border is not Border.OFF

    def of(self, qname: bytes, qtype: int, result: Result) -> tuple[Error | None, float]:
        """
        Return the extended error of an answer, and for how many seconds it may be kept.

        qname: folded. A fault in here costs the sentence, not the answer.
        """
        if result.error is not None or self._border is Border.OFF:
            return result.error, inf
        text = None
        if result.rcode != rr.NOERROR or not _has_data(result, qtype):
            began = self._stopwatch()
            try:
                text = why(self._facts(), qname, qtype, result)
            except Exception:
                self._failed()
            self._spent_s += self._stopwatch() - began
        away_s = self.away_s
        if away_s is not None:
            return (_STALE, _stale(away_s, text)), min(_RENEWED_S, self._kept_s)
        return (None, inf) if text is None else ((_OTHER, text), self._kept_s)

    def _failed(self) -> None:
        """Log a fault that is being handled: seldom, as any question may meet it."""
        now = self._clock()
        if now - self._failed_at >= _QUIET_S:
            self._failed_at = now
            log.failure("while explaining an answer")

    def refusal(self, qname: bytes, reason: str) -> str:
        """Return the sentence for a folded name that is not ours; reason: in a few words."""
        if self._border is Border.OFF:
            return reason
        parsed = address.from_reverse(qname) if address.is_reverse(qname) else None
        if parsed is not None and parsed[1] == 8 * len(parsed[0]):
            return f"no service has the address {address.unpack(parsed[0])}: {reason}"
        return self.foreign(qname) or reason

    def foreign(self, qname: bytes) -> str | None:
        """Explain a name that looks like one of another cluster, or of this one's older days."""
        labels = names.labels(qname)
        if self._border is Border.OFF or not {b"svc", b"pod"} & set(labels[1:-1]):
            return None
        return f"not a name of this cluster, whose domain is {dotted(self._zone.tree.zone)}"

    @property
    def _kept_s(self) -> float:
        return max(1.0, min(float(self._zone.negative_ttl), _MAX_KEPT_S))

    def _facts(self) -> Facts:
        second = int(self._clock())
        if second != self._second:
            self._second, self._spent_s = second, 0.0
        return Facts(self._zone, self._pairing, self._border, self._spent_s < _SEARCHING_S)


def _has_data(result: Result, qtype: int) -> bool:
    return any(rrset.type == qtype or rrset.type != rr.CNAME for rrset in result.answer)


def _stale(away_s: float, text: str | None) -> str:
    fact = f"the API server has not been heard from for {away_s:.0f} s"
    whole = f"{fact}; known then: {text}"
    if text is not None and len(whole) <= MAX_SENTENCE:
        return whole
    return f"{fact}; this is what was known then"
