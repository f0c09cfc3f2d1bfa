"""
The hottest questions of the last process, asked again in the background: a machine without IO.

Hottest first, those of the cluster before all others: its server is next door. Each route has a
lane of its own, so that servers that are away hold up nobody else's questions. Of a lane so many
are asked at once, and of all lanes; none while there is much to do for clients. Where three fail in
a row the lane rests, then one question finds out whether its servers are back. What fails three
times is given up, and all that is left two minutes after the start: by then clients have asked for
what they need.

The cluster's lane waits for the change feed, for as long as that takes when it is there: what is
heard before its first message is not trusted after it.

Invariants: each question is asked by `ask` or counted as needless once; of what was asked,
`ended` is called once. `due` is inf when all is over.
"""

from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

STEP_S = 0.02
MOST_AT_ONCE = 16
_MOST_OF_OTHERS = 8  # of servers outside: 400 a second at most
_MOST_UNHEARD = 4  # of servers that have not answered yet: they must not fill all places
FEED_S = 3.0  # kubedns says hello every second
PATIENCE_S = 120.0
_IN_A_ROW = 3
_TRIES = 3
_FIRST_REST_S = 2.0
_LONGEST_REST_S = 30.0


class _Lane:
    """Questions for one route. answers: a server did; failures: in a row; until: of its rest."""

    __slots__ = ("answers", "asked", "cluster", "failures", "rest_s", "until", "waiting")

    def __init__(self, *, cluster: bool) -> None:
        self.cluster = cluster
        self.waiting: deque[bytes] = deque()
        self.asked = 0
        self.answers = False
        self.failures = 0
        self.rest_s = _FIRST_REST_S
        self.until = -inf

    @property
    def most(self) -> int:
        if self.failures >= _IN_A_ROW:
            return 1
        if not self.answers:
            return _MOST_UNHEARD
        return MOST_AT_ONCE if self.cluster else _MOST_OF_OTHERS


class WarmUp:
    """
    See the head of this module; due, booked, agenda: for the agenda. Times: monotonic seconds.

    ask: begins to ask a question, False if there is no need to; `ended` is to be called with what
    became of it, perhaps at once. is_told: whether the cluster tells of changes. is_busy: whether
    clients need all that there is. over: called at the end.
    refreshed, failed, needless: questions so far.
    """

    def __init__(
        self,
        ask: Callable[[bytes, float], bool],
        *,
        is_told: Callable[[float], bool],
        is_busy: Callable[[float], bool],
        over: Callable[[], object],
    ) -> None:
        self.refreshed = self.failed = self.needless = 0
        self.due = self.booked = inf
        self.agenda: Any = None
        self._ask = ask
        self._is_told = is_told
        self._is_busy = is_busy
        self._over = over
        self._lanes: list[_Lane] = []
        self._asked: dict[bytes, _Lane] = {}
        self._tries: dict[bytes, int] = {}
        self._began = inf

    @property
    def left(self) -> int:
        """Return how many questions wait or are being asked."""
        return len(self._asked) + sum(len(lane.waiting) for lane in self._lanes)

    def start(self, questions: Iterable[tuple[bytes, object, bool]], now: float) -> None:
        """Begin: key, route and whether that is the cluster's, the hottest first."""
        lanes: dict[int, _Lane] = {}
        for key, route, cluster in questions:
            lane = lanes.setdefault(id(route), _Lane(cluster=cluster))
            lane.waiting.append(key)
        self._lanes = sorted(lanes.values(), key=lambda lane: not lane.cluster)
        self._began = now
        self.due = now if self._lanes else inf

    def stop(self) -> None:
        """Ask no more."""
        for lane in self._lanes:
            lane.waiting.clear()
        self.due = inf

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        """Do what is due; extras: False while we are late."""
        if self.due == inf:
            return
        if now >= self._began + PATIENCE_S:
            self._give_up()
        elif extras and not self._is_busy(now):
            for lane in self._lanes:
                self._fill(lane, now)
        self.due = now + STEP_S
        if not self.left:
            self.due = inf
            self._over()

    def ended(self, key: bytes, *, good: bool, now: float) -> None:
        """Hear what became of a question; good: the servers said something."""
        lane = self._asked.pop(key, None)
        if lane is None:
            return
        lane.asked -= 1
        if good:
            self.refreshed += 1
            lane.answers = True
            lane.failures = 0
            lane.rest_s = _FIRST_REST_S
            return
        lane.failures += 1
        if lane.failures >= _IN_A_ROW and now >= lane.until:
            lane.until = now + lane.rest_s
            lane.rest_s = min(2 * lane.rest_s, _LONGEST_REST_S)
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        if tries < _TRIES and self.due < inf:
            lane.waiting.append(key)  # the next one finds out whether it was the question's fault
        else:
            self.failed += 1

    def _fill(self, lane: _Lane, now: float) -> None:
        if lane.cluster and not self._may_ask_cluster(now):
            return
        while lane.waiting and now >= lane.until and lane.asked < lane.most:
            if len(self._asked) >= MOST_AT_ONCE:
                return
            key = lane.waiting.popleft()
            self._asked[key] = lane
            lane.asked += 1
            if not self._ask(key, now):
                del self._asked[key]
                lane.asked -= 1
                self.needless += 1

    def _may_ask_cluster(self, now: float) -> bool:
        return self._is_told(now) or now >= self._began + FEED_S

    def _give_up(self) -> None:
        for lane in self._lanes:
            self.failed += len(lane.waiting)
            lane.waiting.clear()
