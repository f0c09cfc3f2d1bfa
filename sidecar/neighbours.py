"""
What the other two processes tell of themselves, read from their loopback pages again and again.

A page that hangs holds up nobody: it is given up after two seconds, and nothing waits for it but
the next look at the same page.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sidecar import shapes
from sidecar.fetch import Page, fetch
from sidecar.probe import where
from sidecar.state import Neighbour

log = Logger()

STATUS_S = 2.0
_METRICS_S = 5.0  # how old the metrics that we pass on may be; they cost more than /status
_PATIENCE_S = 2.0
_OFF = "not read: it is switched off"


class Reader:
    """
    Reads one neighbour; told hears of it after each look.

    address: None: there is nothing to read. reactor: for TCP and timers. clock: monotonic seconds.
    wall: seconds since the epoch. metrics: whether its /metrics are wanted too.
    """

    def __init__(
        self,
        name: str,
        address: tuple[str, int] | None,
        shape: shapes.Shape,
        told: Callable[[Neighbour], None],
        *,
        reactor: Any,
        clock: Callable[[], float],
        wall: Callable[[], float],
        metrics: bool,
    ) -> None:
        self.address = address
        self.neighbour = Neighbour(name, "", wall(), error=_OFF)
        if address is not None:
            self.neighbour = Neighbour(name, where(*address), wall())
        self._shape = shape
        self._told = told
        self._reactor = reactor
        self._clock = clock
        self._wall = wall
        self._metrics = metrics
        self._metrics_at = float("-inf")
        self._next: Any = None
        self._stopped = False

    def start(self) -> None:
        """Begin."""
        if self.address is not None:
            self._go()

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _go(self) -> None:
        Deferred.fromCoroutine(self._look()).addErrback(
            lambda failure: log.failure("while reading {name}", failure, name=self.neighbour.name)
        )

    async def _look(self) -> None:
        try:
            page = await self._get("/status")
            found = self._read(page)
            if not found.error and self._metrics:
                found = await self._with_metrics(found)
            if not self._stopped:
                self.neighbour = found
                self._told(found)
        finally:
            if not self._stopped:
                self._next = self._reactor.callLater(STATUS_S, self._go)

    async def look(self, patience_s: float) -> Page:
        """Get the page now, and tell nobody."""
        return await self._get("/status", patience_s)

    async def _get(self, path: str, patience_s: float = _PATIENCE_S) -> Page:
        assert self.address is not None
        return await fetch(self._reactor, self.address, path, patience_s)

    def _read(self, page: Page) -> Neighbour:
        before, now = self.neighbour, self._wall()
        error = page.error
        status = before.status
        if not error:
            try:
                status = shapes.read(page.body, self._shape)
            except shapes.ShapeError as refused:
                error = str(refused)
        changed = bool(error) is not bool(before.error)
        return replace(
            before,
            status=status,
            at=before.at if error else now,
            error=error,
            refused=page.refused,
            since=now if changed else before.since,
            metrics="" if error else before.metrics,
        )

    async def _with_metrics(self, found: Neighbour) -> Neighbour:
        now = self._clock()
        if now - self._metrics_at < _METRICS_S and found.metrics:
            return found
        self._metrics_at = now
        page = await self._get("/metrics")
        return replace(found, metrics=page.body.decode("utf-8", "replace"))
