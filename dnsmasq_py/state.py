"""What the service knows beside its parts: it writes, metrics and pages read."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from twisted.logger import LogEvent, LogLevel, formatEvent

from dnsmasq_py.routing import NOTHING, Routes
from dnsmasq_py.server import Server
from kubedns.serve.counters import Histogram

LAG_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_MAX_WARNINGS = 50
_MAX_WARNING = 500  # characters


class Problem(NamedTuple):
    """
    Something bad in the configuration, which stays as it was for that.

    file: where it stands. key: of the ConfigMap, or what else was read (`resolv.conf`). position:
    the field or the line. at: seconds since the epoch.
    """

    file: str
    key: str
    position: str
    reason: str
    at: float


class Warned(NamedTuple):
    """A warning of the log; at: seconds since the epoch."""

    at: float
    text: str


@dataclass(slots=True)
class State:
    """
    See the head of this module.

    began: monotonic seconds. listeners: returns the addresses where queries are taken now, as
    `10.0.0.10#53`, `*#53` for all of the machine's; none until the sockets are open.
    config: what is in force, fit for JSON; version: a hash of it. bad: what is bad in the last
    configuration; problems: one for each key; last_problem: also one that has been mended since.
    looping: servers that are not asked because they ask us. lag: how late the event loop was, in
    seconds, at each look at it; stalls: how often it was so late that we were the problem.
    """

    began: float
    draining: bool = False
    listeners: Callable[[], list[str]] = list
    config: dict[str, object] = field(default_factory=dict)
    version: str = ""
    bad: Sequence[Problem] = ()
    problems: dict[str, Problem] = field(default_factory=dict)
    problem_counts: Counter[str] = field(default_factory=Counter)
    last_problem: Problem | None = None
    routes: Routes = NOTHING
    looping: set[Server] = field(default_factory=set)
    lag: Histogram = field(default_factory=lambda: Histogram(LAG_S))
    stalls: int = 0
    warnings: deque[Warned] = field(default_factory=lambda: deque(maxlen=_MAX_WARNINGS))

    def configured(
        self, config: dict[str, object], version: str, problems: Sequence[Problem]
    ) -> list[Problem]:
        """
        Take in a configuration that was applied, and what of it was not.

        Return the problems that the last one did not have; these alone are counted.
        """
        known = {problem[:-1] for problem in self.bad}  # at any time
        fresh = [problem for problem in problems if problem[:-1] not in known]
        self.config = config
        self.version = version
        self.bad = problems
        self.problems = {problem.key: problem for problem in problems}
        self.problem_counts.update({problem.key for problem in fresh})
        if fresh:
            self.last_problem = fresh[-1]
        return fresh

    def observe(self, event: LogEvent) -> None:
        """Keep what the log says of warnings and errors; an observer of twisted.logger."""
        if event.get("log_level", LogLevel.info) >= LogLevel.warn:
            text = formatEvent(event)[:_MAX_WARNING]
            self.warnings.append(Warned(event["log_time"], text))

    def unready(self) -> str:
        """Return why no queries should come, nothing if they may."""
        if self.draining:
            return "shutting down"
        return "" if self.listeners() else "not listening"
