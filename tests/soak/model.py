"""
Every answer held against what was true, and against what the failure table allows.  No IO.

An answer is right if it was true at some moment between question and answer, and good if it is at
most `NEWS_S` behind.  Whatever else comes of a question must be excused by what happens meanwhile,
or did until `HEALS_S` ago; a disturbance excuses only answers that were true up to its beginning.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import NamedTuple

from tests.soak.history import History
from tests.soak.kinds import NEWS_S, Kind
from tests.soak.questions import (
    MISSING,
    NODATA,
    NOERROR,
    NXDOMAIN,
    REFUSED,
    Answer,
    Key,
    foreign,
)

FRESH_S = 0.25
"""How far an answer may be behind before it counts as stale: the goal for the p99 of news."""

RETRY_S, GIVE_UP_S = 2.0, 4.0
_SLACK_S = 0.3
_KEPT_S = 3.0  # for which an answer of which nothing became known stays in a cache that is full
_EXAMPLES = 8  # of each kind of broken promise
_SAMPLES = 200_000


class How(NamedTuple):
    """How a question was asked. tries: 1 or 2."""

    tcp: bool = False
    recurse: bool = True
    do: bool = False
    tries: int = 1


class Asked(NamedTuple):
    """
    What became of a question; sent, answered: monotonic seconds. fresh: never asked before.

    rcode SILENT: no reply to either try.
    """

    key: Key
    fresh: bool
    sent: float
    answered: float
    answer: Answer
    ttl: int
    how: How


class Verdict(Enum):
    """What an answer is worth."""

    RIGHT = "right"
    REFUSED = "refused"  # asked without recursion
    STALE = "stale"
    FAILED = "failed"
    NOBODY = "nobody was there"
    WRONG = "wrong"
    NOT_ALLOWED_STALE = "stale, which nothing allows"
    NOT_ALLOWED_FAILED = "failed, which nothing allows"


_BAD = {Verdict.STALE, Verdict.FAILED, Verdict.NOT_ALLOWED_STALE, Verdict.NOT_ALLOWED_FAILED}
_BROKEN = {Verdict.WRONG, Verdict.NOT_ALLOWED_STALE, Verdict.NOT_ALLOWED_FAILED}


@dataclass(slots=True, eq=False)
class Window:
    """A disturbance as it happened; healed_s: from its end to the last answer that was bad."""

    kind: Kind
    began: float
    over: float = inf
    healed_s: float = 0.0

    @property
    def until(self) -> float:
        return self.over + self.kind.heals_s


@dataclass
class Tally:
    """
    What came of questions; of a kind: of those that were asked while one excused, in any way.

    stale_s: how far behind those were.
    """

    times: int = 0
    asked: int = 0
    answered: int = 0
    late: int = 0
    failed: int = 0
    stale: int = 0
    wrong: int = 0
    stale_s: list[float] = field(default_factory=list)
    heal_s: list[float] = field(default_factory=list)


class Model:
    """All verdicts, summed up. broken: each promise that was not kept, counted; examples of it."""

    def __init__(self, history: History, say: Callable[[str], None] = lambda text: None) -> None:
        self._history = history
        self.say = say
        self.windows: deque[Window] = deque()
        self._nobody: list[tuple[float, float]] = []
        self._good: dict[tuple[Key, bool], float] = {}
        self.all, self.calm = Tally(), Tally()
        self.kinds: dict[str, Tally] = {}
        self.verdicts: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.examples: list[str] = []
        self.started = 0.0

    def begins(self, kind: Kind, now: float) -> Window:
        """Note that something begins to happen."""
        window = Window(kind, now)
        self.windows.append(window)
        self.kinds.setdefault(kind.name, Tally()).times += 1
        return window

    def ends(self, window: Window, now: float) -> None:
        """Note that it is over: of a kubedns that was killed, not before the API server is back."""
        window.over = now
        if "api" in window.kind.uses:
            for each in self.windows:
                if each.kind.hides == "kubedns" and window.began <= each.over < now:
                    each.over = now

    def nobody(self, since: float, until: float) -> None:
        """Note from when to when there was no process to be asked."""
        self._nobody.append((since, until))

    def is_calm(self, now: float) -> bool:
        """Tell whether nothing excuses anything."""
        return all(window.until < now for window in self.windows)

    def closes(self, before: float) -> None:
        """Sum up the windows that excuse nothing any more of what was asked so early or later."""
        for window in [each for each in self.windows if each.until < before]:
            self.windows.remove(window)
            self.kinds[window.kind.name].heal_s.append(window.healed_s)

    def judge(self, each: Asked) -> Verdict:
        """Judge one question, and count it."""
        active = [
            window
            for window in self.windows
            if window.began <= each.answered and each.sent <= window.until
        ]
        verdict, behind_s = self._verdict(each, active)
        self.verdicts[verdict.value] += 1
        tallies = [self.all, *(self.kinds[name] for name in {w.kind.name for w in active})]
        if not active:
            tallies.append(self.calm)
        for tally in tallies:
            _count(tally, each, verdict, behind_s)
        if verdict in _BAD:
            for window in active:
                window.healed_s = max(window.healed_s, each.sent - window.over)
        if verdict in _BROKEN:
            self._breaks(each, verdict, behind_s, active)
        return verdict

    def _verdict(self, each: Asked, active: list[Window]) -> tuple[Verdict, float]:
        if each.answer[0] in (NOERROR, NXDOMAIN):
            return self._of_answer(each, active)
        if each.answer[0] == REFUSED and not each.how.recurse:
            return Verdict.REFUSED, 0.0
        if self._was_nobody(each):
            return Verdict.NOBODY, 0.0
        excused = self._excused(each, active)
        return (Verdict.FAILED if excused else Verdict.NOT_ALLOWED_FAILED), 0.0

    def _of_answer(self, each: Asked, active: list[Window]) -> tuple[Verdict, float]:
        if each.fresh:
            right = each.answer == foreign(each.key.name)
            return (Verdict.RIGHT if right else Verdict.WRONG), 0.0
        ended = self._history.ended(each.key, each.answer, each.answered)
        if ended is None:
            return Verdict.WRONG, 0.0
        behind_s = max(each.sent - ended, 0.0)
        if behind_s <= NEWS_S:
            if not behind_s:
                self._good[each.key, each.how.do] = each.sent
            return (Verdict.STALE if behind_s > FRESH_S else Verdict.RIGHT), behind_s
        side = "stub" if self._history.group(each.key) == "stub" else "cluster"
        since = min(
            (w.began - w.kind.back_s for w in active if w.kind.stale in (side, "any")), default=inf
        )
        return (Verdict.STALE if ended >= since else Verdict.NOT_ALLOWED_STALE), behind_s

    def _was_nobody(self, each: Asked) -> bool:
        second = each.sent + RETRY_S
        return any(
            since - _SLACK_S <= each.sent and second <= until + _SLACK_S
            for since, until in self._nobody
        )

    def _excused(self, each: Asked, active: list[Window]) -> bool:
        """Tell whether a question may go without an answer."""
        if each.fresh:
            return any(window.kind.outside_fails for window in active)
        group = self._history.group(each.key)
        foreign_too = group in ("outside", "stub", "reverse", "alias")
        if foreign_too and any(window.kind.outside_fails for window in active):
            return True
        if group in ("outside", "stub") or not self._kubedns_away(active):
            return False
        if group == "reverse":  # also those that kubedns does not know
            return True
        if any("cache" in window.kind.hides for window in active):
            return True
        lately = self._history.were(each.key, each.sent - NEWS_S, each.answered)
        if any(answer in (MISSING, NODATA) for answer in lately):
            return True  # not among the names that clients cannot do without
        good = self._good.get((each.key, each.how.do), -inf)
        return good < each.sent - _KEPT_S or self._history.touched(each.key) > good - NEWS_S

    def _kubedns_away(self, active: Iterable[Window]) -> bool:
        return any("kubedns" in window.kind.hides for window in active)

    def _breaks(self, each: Asked, verdict: Verdict, behind_s: float, active: list[Window]) -> None:
        kinds = ", ".join(sorted({window.kind.name for window in active})) or "calm"
        broken = f"{verdict.value} ({kinds})"
        self.broken[broken] += 1
        if self.broken[broken] > _EXAMPLES:
            return
        rcode, found = each.answer
        text = (
            f"{verdict.value}: {each.key} at {each.sent - self.started:.2f} s,"
            f" +{1000 * (each.answered - each.sent):.0f} ms: rcode {rcode}"
            f" {','.join(sorted(found))} ttl {each.ttl} {_how(each)}"
        )
        if behind_s:
            text += f"; behind by {behind_s:.1f} s"
        if not each.fresh:
            right = self._history.were(each.key, each.sent - NEWS_S, each.answered)
            text += f"; right: {[(rcode, sorted(found)) for rcode, found in right]}"
        self.examples.append(f"{text}; {kinds}")
        self.say(self.examples[-1])


def _how(each: Asked) -> str:
    told = (each.how.tcp, "TCP"), (not each.how.recurse, "RD=0"), (each.how.do, "DO")
    return " ".join([*(text for so, text in told if so), f"try {each.how.tries}"])


def _count(tally: Tally, each: Asked, verdict: Verdict, behind_s: float) -> None:
    tally.asked += 1
    if verdict in (Verdict.FAILED, Verdict.NOT_ALLOWED_FAILED, Verdict.NOBODY):
        tally.failed += 1
    elif verdict is Verdict.WRONG:
        tally.wrong += 1
    else:
        tally.answered += 1
        tally.late += each.how.tries > 1
    if verdict in (Verdict.STALE, Verdict.NOT_ALLOWED_STALE):
        tally.stale += 1
        if len(tally.stale_s) < _SAMPLES:
            tally.stale_s.append(behind_s)
