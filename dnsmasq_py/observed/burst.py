"""
When it is worth to keep what the recorder holds: many failures at once, or many that are slow.

Looked at is what the reactor's thread answers. What receivers answer is neither late nor a failure,
and there may be so much of it that nothing would ever look like a burst.
"""

from collections import deque
from math import inf

SPAN_S = 2.0
REST_S = 60.0  # from one burst to the next
SLOW_S = 1.0
_PARTS = 10
_PART_S = SPAN_S / _PARTS
_LEAST = 20  # of them
_SHARE_FAILED = 0.2
_SHARE_SLOW = 0.5


class _Part:
    """A piece of the span: how many ended, failed, were asked of servers, were slow."""

    __slots__ = ("asked", "at", "ended", "failed", "slow")

    def __init__(self, at: int) -> None:
        self.at = at
        self.ended = self.failed = self.asked = self.slow = 0


class Bursts:
    """See the head of this module; all times in seconds of one clock."""

    def __init__(self) -> None:
        self._parts: deque[_Part] = deque(maxlen=_PARTS)
        self._last = -inf

    def ended(self, now: float, *, failed: bool, took: float | None) -> str | None:
        """
        Count an answer; return why, if a burst has just begun.

        took: how long servers needed; None: none was asked.
        """
        at = int(now / _PART_S)
        parts = self._parts
        if not parts or parts[-1].at != at:
            parts.append(_Part(at))
        part = parts[-1]
        part.ended += 1
        part.failed += failed
        if took is not None:
            part.asked += 1
            if took > SLOW_S:
                part.slow += 1
                return self._begins(now, at)
        return self._begins(now, at) if failed else None

    def _begins(self, now: float, at: int) -> str | None:
        if now < self._last + REST_S:
            return None
        span = [part for part in self._parts if part.at > at - _PARTS]
        for what, number, whole, share in (
            (
                "SERVFAIL: {} of {}",
                sum(part.failed for part in span),
                sum(part.ended for part in span),
                _SHARE_FAILED,
            ),
            (
                f"slower than {SLOW_S:g} s: {{}} of {{}} asked of servers",
                sum(part.slow for part in span),
                sum(part.asked for part in span),
                _SHARE_SLOW,
            ),
        ):
            if number >= _LEAST and number >= share * whole:
                self._last = now
                return f"{what.format(number, whole)} in {SPAN_S:g} s"
        return None
