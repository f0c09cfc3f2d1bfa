"""
Events on their way into the zone: paired, put into the tree, and told to whoever keeps answers.

A change that was announced is in the answers when `changed` returns, unless a whole list is being
worked off: that goes in batches, with the reactor's turn between them, so that queries never wait.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from kubedns.cluster.listwatch import Event
from kubedns.cluster.objects import Decoded, Kind, Value
from kubedns.cluster.pairing import Pairing
from kubedns.zone.tree import Change
from kubedns.zone.tree import Service as Key

log = Logger()

_BATCH = 100  # services rebuilt in one turn of the reactor
_AGAIN_S = 1.0  # after a fault that ended a batch
_MANY = 1000  # problems that are remembered as logged

LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Feed:
    """
    See the head of this module.

    changed: called with every change, and whether more of the same list follows; the last call of a
    list may bring an empty change. all_changed: called when what changed cannot be known.
    """

    def __init__(
        self,
        pairing: Pairing,
        changed: Callable[[Change, bool], None],
        all_changed: Callable[[], None],
        reactor: Any,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._pairing = pairing
        self._changed = changed
        self._all_changed = all_changed
        self._reactor = reactor
        self._wall_clock = wall_clock
        self._later: Any = None
        self._on_settled: list[Callable[[], None]] = []
        self._logged: set[str] = set()
        self.events = dict.fromkeys(Kind, 0)
        self.problems = 0
        self.faults = 0
        self.changes = 0
        self.waiting_since: float | None = None  # work that is not in the tree yet
        self.latency_counts = [0] * (len(LATENCY_S) + 1)
        self.latency_total_s = 0.0

    def listed(self, kind: Kind, objects: Iterable[Decoded]) -> None:
        """Take in a complete list of a kind."""
        self._pairing.replace(kind, objects, self._wall_clock())
        self._work()

    def changed(self, kind: Kind, events: Iterable[Event], received: float) -> None:
        """Take in events that arrived together; received: seconds of the reactor's clock."""
        now = self._wall_clock()
        for event in events:
            self.events[kind] += 1
            if event.deleted:
                self._pairing.drop(kind, event.object.key)
            else:
                self._pairing.put(kind, event.object, now)
        self._on_settled.append(partial(self._observe, received))
        self._work()

    def _observe(self, received: float) -> None:
        """Note how long events took that are in the answers now."""
        took = self._reactor.seconds() - received
        self.latency_counts[bisect_left(LATENCY_S, took)] += 1
        self.latency_total_s += took

    def count(self, kind: Kind | None = None) -> int:
        """Count the objects that are kept, of one kind or of all."""
        counts = self._pairing.counts()
        return sum(counts.values()) if kind is None else counts[kind]

    def kept(self, kind: Kind) -> Mapping[str, Value]:
        """Return the objects of a kind by namespace/name, as they are at any time."""
        return self._pairing.kept(kind)

    def services(self) -> list[Key]:
        """Return every service that has objects, or records."""
        return self._pairing.services()

    def repair(self, services: Iterable[Key]) -> list[str]:
        """Build those anew whose records are not what their objects make; name them."""
        found = self._pairing.astray(services)
        self._work()
        return [f"{namespace.decode()}/{name.decode()}" for namespace, name in found]

    def forget_kind(self, kind: Kind) -> None:
        """Drop all objects of a kind that is not read any more."""
        self._pairing.forget(kind)
        self._work()

    def settled(self, then: Callable[[], None]) -> None:
        """Call when everything that has arrived is in the tree; perhaps at once."""
        self._on_settled.append(then)
        if self._later is None:
            self._settle()

    def report(self, problems: list[str], remarks: list[str]) -> None:
        """Count what was wrong with objects, log each line once, and empty the lists."""
        self.problems += len(problems)
        for line in problems:
            if self._is_new(line):
                log.warn("object cut or skipped: {line}", line=line)
        for line in remarks:
            if self._is_new(line):
                log.info("{line}", line=line)
        problems.clear()
        remarks.clear()

    def _is_new(self, line: str) -> bool:
        """Tell whether a line was not logged yet, or so long ago that it is forgotten."""
        if line in self._logged:
            return False
        if len(self._logged) >= _MANY:
            log.warn("{count} different faults of objects: they may be said again", count=_MANY)
            self._logged.clear()
        self._logged.add(line)
        return True

    def stop(self) -> None:
        """Work off no more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _work(self) -> None:
        """Bring the tree up to date, a batch at a time while there is a lot to do."""
        if self._later is None:
            self._batch()

    def _batch(self) -> None:
        self._later = None
        if self.waiting_since is None:
            self.waiting_since = self._reactor.seconds()
        try:
            self._apply()
        except Exception:  # not a service's, those are caught: nobody would go on with the rest
            log.failure("while bringing the zone up to date")
            self.faults += 1
            self._later = self._reactor.callLater(_AGAIN_S, self._batch)
            with log.failuresHandled("while forgetting all answers"):
                self._all_changed()
            return
        if self._pairing.waiting:
            self._later = self._reactor.callLater(0, self._batch)
        else:
            self.waiting_since = None
            self._settle()

    def _apply(self) -> None:
        known = len(self._pairing.failed)
        change: Change = self._pairing.flush(self._wall_clock(), limit=_BATCH)
        if len(self._pairing.failed) > known:
            self._say_failed()
        self.changes += bool(change)
        self._changed(change, bool(self._pairing.waiting))

    def _say_failed(self) -> None:
        """Log what could not be built; nobody knows what it touched, so no answer may be kept."""
        for key, error in self._pairing.failed.items():
            fault = Failure(error)
            log.failure("while building the records of {key}", failure=fault, key=key)
        self.faults += len(self._pairing.failed)
        self._all_changed()

    def _settle(self) -> None:
        waiting, self._on_settled = self._on_settled, []
        for then in waiting:
            with log.failuresHandled("while saying that the zone is up to date"):
                then()
