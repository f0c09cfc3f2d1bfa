"""
The audit of all kinds that are watched: when, how gently, and what follows; see audit.py.

One kind after the other, page by page with pauses between them. What differs is counted, logged
and handed on as events, the way that all events go. An audit that fails (the API server is away,
the list expired, rights were taken) only says so, and is tried again a little later.

At last comes the zone: whether it holds what the kept objects make of it, in steps as well.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from kubedns.cluster.audit import Audit, AuditError
from kubedns.cluster.listwatch import ApiError, Event, ListWatch, Request, State
from kubedns.cluster.objects import EndpointNames, Kind, Reader, Value
from kubedns.cluster.supervision import NEVER

log = Logger()

ZONE = "zone"
PAGE = (50, 100, 500)  # objects: the fewest, at first, the most
PAUSE_S = 0.2  # between pages, 100,000 services in a minute; shorter after a list that expired
_TURN_S = 0.01  # of the reactor's time that a page may take: 60 slices of 100 endpoints
JITTER = 0.1  # of the interval, either way
RETRY_S = 300.0
LAG_S = 150.0  # bookmarks come about once a minute
_STEP = 100  # services of the zone that are compared in one turn
_TICK_S = 0.1
_REST_S = 1.0  # until the next look, while nothing is due: a wake-up costs 0.2 ms
_SLACK_S = 30.0  # what any step may take beyond what it is meant to
_PAGE_S = 330.0  # more than a page may ever take
_NAMED = 10


class Pages(Protocol):
    """Who gets pages: ApiServer."""

    async def page(self, request: Request) -> bytes:
        """Return the body of one page; raises ApiError."""


class Audited(Protocol):
    """What is audited: ApiSource."""

    def machines(self) -> list[ListWatch]:
        """Return what is watched."""

    def kept(self, kind: Kind) -> Mapping[str, Value]:
        """Return the objects of a kind that are held, by namespace/name, at any time."""

    def repair(self, kind: Kind, events: list[Event]) -> None:
        """Take in what was missed."""

    def distrust(self, kind: Kind, reason: str) -> None:
        """Begin the watch of a kind anew, with a list."""

    def services(self) -> Sequence[Any]:
        """Return every service that has a name, or ought to have one."""

    def repair_zone(self, services: Sequence[Any]) -> list[str]:
        """Build those services anew whose records are not what they ought to be; name them."""


@dataclass(slots=True)
class Report:
    """
    What came of the audits of one resource.

    due: monotonic seconds; last: Unix time of the last that was complete, or None. in_vain: how
    many failed since.
    """

    due: float
    runs: int = 0
    differences: int = 0
    failures: int = 0
    in_vain: int = 0
    last: float | None = None
    took_s: float = 0.0
    last_error: str | None = None


class Auditing:
    """See the head of this module. clock: monotonic seconds; interval_s: more than 0."""

    name = "audit"

    def __init__(
        self,
        pages: Pages,
        source: Audited,
        *,
        interval_s: float,
        naming: EndpointNames,
        clock: Callable[[], float],
        rng: random.Random,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.overdue_at = NEVER
        self.reports: dict[str, Report] = {}
        self._pages = pages
        self._source = source
        self._interval_s = interval_s
        self._naming = naming
        self._clock = clock
        self._rng = rng
        self._wall_clock = wall_clock
        self._running: tuple[Kind, Audit] | None = None

    def heard(self, kind: Kind, events: list[Event]) -> None:
        """Take note of what the watch says, before or after it is applied."""
        if self._running is not None and self._running[0] is kind:
            self._running[1].heard(events)

    def interrupted(self, reason: str) -> None:
        """Forget the audit that was under way."""
        self._running = None

    def status(self, now: float) -> dict[str, dict[str, object]]:
        """Describe the audits of each resource for /status; now: monotonic seconds."""
        return {
            resource: {
                "runs": report.runs,
                "differences": report.differences,
                "failures": report.failures,
                "last": report.last,
                "took_s": round(report.took_s, 3),
                "due_in_s": round(report.due - now, 1),
                "last_error": report.last_error,
            }
            for resource, report in self.reports.items()
        }

    async def run(self) -> None:
        """Audit what is due, until cancelled."""
        while True:
            for machine in self._source.machines():
                report = self._report(machine.kind.value)
                if self._clock() >= report.due and machine.state is State.WATCHING:
                    await self._audit(machine, report)
            report = self._report(ZONE)
            if self._clock() >= report.due:
                await self._audit_zone(report)
            due = min(report.due for report in self.reports.values())
            await self._sleep(min(max(_TICK_S, due - self._clock()), _REST_S))

    def _report(self, resource: str) -> Report:
        report = self.reports.get(resource)
        if report is None:
            report = self.reports[resource] = Report(self._next(self._interval_s))
        return report

    def _next(self, pause_s: float) -> float:
        return self._clock() + pause_s * self._rng.uniform(1 - JITTER, 1 + JITTER)

    async def _sleep(self, seconds: float) -> None:
        self.overdue_at = self._clock() + seconds + _SLACK_S
        await asyncio.sleep(seconds)

    async def _audit(self, machine: ListWatch, report: Report) -> None:
        kind = machine.kind
        began = self._clock()
        report.due = self._next(min(self._interval_s, RETRY_S))  # should anything go wrong
        try:
            reader = Reader(kind, self._naming)
            audit = Audit(reader, self._source.kept(kind), machine.resource_version)
            self._running = kind, audit
            await self._read(machine, audit, PAUSE_S / 2 ** min(report.in_vain, 5))
            found = await self._settled(machine, audit)
            report.differences += len(found)
            if found:
                self._say(kind.value, [event.object.key for event in found], audit.version)
                self._source.repair(kind, found)
        except Exception as error:  # whatever it is, it must neither end the audits nor the watch
            self._failed(kind, report, error)
            return
        finally:
            self._running = None
        self._done(report, began)

    async def _read(self, machine: ListWatch, audit: Audit, pause_s: float) -> None:
        """
        Read the list, a little at a time.

        Raises:
            ApiError, AuditError: no list, or nothing to compare it with.
        """
        lists = machine.lists
        fewest, limit, most = PAGE
        complete = False
        while not complete:
            self.overdue_at = self._clock() + _PAGE_S + _SLACK_S
            octets = await self._pages.page(machine.page(audit.following, limit))
            _check(machine, lists)
            began = self._clock()
            complete = audit.page(octets)
            took = max(self._clock() - began, _TURN_S / 100)
            limit = max(fewest, min(most, int(limit * _TURN_S / took)))
            await self._sleep(0 if complete else pause_s * self._rng.uniform(0.5, 1.5))
            _check(machine, lists)

    async def _settled(self, machine: ListWatch, audit: Audit) -> list[Event]:
        """
        Return what differs, when the watch has got to where the list was.

        Raises:
            AuditError: it does not get there.
        """
        lists, errors, until = machine.lists, machine.errors, self._clock() + LAG_S
        while (found := audit.differences(machine.resource_version)) is None:
            if self._clock() > until:
                steady = machine.errors == errors and machine.state is State.WATCHING
                raise AuditError(
                    f"the watch is at version {machine.resource_version} only, "
                    f"{LAG_S:.0f} s after a list of version {audit.version}",
                    distrust=steady,
                )
            await self._sleep(_TICK_S)
            _check(machine, lists)
        return found

    def _failed(self, kind: Kind, report: Report, error: Exception) -> None:
        report.failures += 1
        report.in_vain += 1
        report.last_error = str(error)[:300]
        if isinstance(error, AuditError) and error.distrust:
            report.due = self._next(self._interval_s)  # the list in place of the watch compares
            self._source.distrust(kind, str(error))
        elif isinstance(error, AuditError | ApiError):
            log.info("audit of {kind}: {error}; later again", kind=kind.value, error=str(error))
        else:
            log.failure("while auditing {kind}", kind=kind.value)

    async def _audit_zone(self, report: Report) -> None:
        began = self._clock()
        report.due = self._next(min(self._interval_s, RETRY_S))
        found: list[str] = []
        try:
            services = self._source.services()
            for first in range(0, len(services), _STEP):
                wrong = self._source.repair_zone(services[first : first + _STEP])
                report.differences += len(wrong)
                found += wrong
                await self._sleep(_TICK_S / 10)
        except Exception as error:
            report.failures += 1
            report.last_error = str(error)[:300]
            log.failure("while auditing the zone")
            return
        if found:
            self._say(ZONE, found)
        self._done(report, began)

    def _done(self, report: Report, began: float) -> None:
        report.runs += 1
        report.in_vain = 0
        report.last = self._wall_clock()
        report.took_s = self._clock() - began
        report.last_error = None
        report.due = self._next(self._interval_s)

    def _say(self, resource: str, keys: list[str], version: str = "") -> None:
        names = ", ".join(key.encode("unicode_escape").decode("ascii") for key in keys[:_NAMED])
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        log.error(
            "audit: {count} {resource} were not as {truth}: {names}{more}; repaired",
            count=len(keys),
            resource=resource if resource != ZONE else "services in the zone",
            truth=f"the API server has them at version {version}"
            if version
            else "their objects say",
            names=names,
            more=more,
        )


def _check(machine: ListWatch, lists: int) -> None:
    """Raise AuditError if a kind was listed since; lists: how often it had been."""
    if machine.lists != lists or not machine.resource_version:
        raise AuditError("the kind was listed anew meanwhile")
