"""
When which exchange is to be called: a heap, and at most one timer of the reactor for all of them.

An exchange is entered with its `due` of that time (`booked`). If it is due earlier after that, it
enters itself again and the old entry is skipped; if it is due later or never, the old entry finds
out when its time comes. So an answered question costs one push and one pop, and no timer.

When the timer itself comes late, what was waiting in sockets meanwhile is read first, in one round
of the reactor: else every stall of ours would look like the loss of all that is in flight. While it
comes very late, and for a second after, nothing is sent but what is necessary (`is_lagging`).
"""

from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, Protocol

GRAIN_S = 0.01  # the timer comes no oftener
_LATE_S = 0.01  # beyond this, replies are perhaps waiting that we have not read
LAG_S = 0.25  # beyond this, we are the problem
_LAG_MEMORY_S = 1.0


class Due(Protocol):
    """What waits for its time, in monotonic seconds: exchanges, and whoever waits for those."""

    due: float
    booked: float
    agenda: Any

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        """Be called when `due` has come; extras: False while we ourselves are late."""


class Agenda:
    """
    Calls `timed_out` of exchanges that were added. clock: seconds() and callLater(), as a reactor.

    lags: how often the timer came more than 250 ms late.
    """

    def __init__(self, clock: Any) -> None:
        self.lags = 0
        self._clock = clock
        self._heap: list[tuple[float, int, Due]] = []
        self._numbers = count()
        self._timer: Any = None
        self._timer_at = inf
        self._last = -inf
        self._lag_until = -inf
        self._closed = False

    def add(self, exchange: Due) -> None:
        """Call an exchange when it is due."""
        due = exchange.due
        exchange.booked = due
        exchange.agenda = self
        if due == inf:
            return
        heappush(self._heap, (due, next(self._numbers), exchange))
        if due < self._timer_at:
            self._arm(due)

    def close(self) -> None:
        """Call nobody any more."""
        self._closed = True
        self._heap.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._timer_at = -inf

    def is_lagging(self, now: float) -> bool:
        """Tell whether this process was far behind its time lately."""
        return now < self._lag_until

    def _arm(self, due: float) -> None:
        now = self._clock.seconds()
        at = max(due, self._last + GRAIN_S, now)
        if at >= self._timer_at:
            return
        self._timer_at = at
        if self._timer is not None:
            self._timer.reset(at - now)
        else:
            self._timer = self._clock.callLater(at - now, self._tick)

    def _tick(self) -> None:
        now = self._clock.seconds()
        late = now - self._timer_at
        self._timer = None
        if late > _LATE_S:
            if late > LAG_S:
                self.lags += 1
                self._lag_until = now + _LAG_MEMORY_S
            self._timer_at = now
            self._timer = self._clock.callLater(0, self._run)
        else:
            self._run()

    def _run(self) -> None:
        now = self._last = self._clock.seconds()
        extras = not self.is_lagging(now)
        heap = self._heap
        self._timer = None
        self._timer_at = -inf  # whoever adds itself below, arms nothing
        try:
            while heap and heap[0][0] <= now:
                booked, _, exchange = heappop(heap)
                if booked != exchange.booked:
                    continue  # entered again meanwhile
                exchange.booked = inf
                if exchange.due <= now:
                    exchange.timed_out(now, extras=extras)
                if exchange.due < exchange.booked:
                    self.add(exchange)
        finally:  # whoever failed must not stop the others
            if not self._closed:
                self._timer_at = inf
                if heap:
                    self._arm(heap[0][0])
