"""The loop that reads the counters of the forwarder: one poll, a pause, the next one."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sidecar import statistics
from sidecar.asking import Asks
from sidecar.history import History
from sidecar.state import Sample, Statistics

log = Logger()


class Poller:
    """
    Polls a server; told hears the sums and the samples after each poll.

    reactor: for timers. clock: monotonic seconds. wall: seconds since the epoch.
    """

    def __init__(
        self,
        server: tuple[str, int],
        pause_s: float,
        asker: Asks,
        told: Callable[[Statistics, tuple[Sample, ...]], None],
        *,
        reactor: Any,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._server = server
        self._pause_s = pause_s
        self._asker = asker
        self._told = told
        self._reactor = reactor
        self._clock = clock
        self._wall = wall
        self._sums = statistics.Sums()
        self._history = History()
        self._polled_at: float | None = None
        self._next: Any = None
        self._stopped = False

    def start(self) -> None:
        """Begin."""
        Deferred.fromCoroutine(self._poll()).addErrback(
            lambda failure: log.failure("while reading statistics", failure)
        )

    def stop(self) -> None:
        """Poll no more; a poll that is under way is forgotten."""
        self._stopped = True
        if self._next is not None and self._next.active():
            self._next.cancel()

    async def _poll(self) -> None:
        host, port = self._server
        try:
            found = await statistics.poll(
                lambda asked: self._asker.ask(host, port, asked, statistics.PATIENCE_S)
            )
        except statistics.PollError as error:
            if not self._stopped:
                self._failed(str(error))
        else:
            if not self._stopped:
                self._polled(found)
        finally:
            if not self._stopped:
                self._told(self._sums.statistics, self._history.samples)
                self._next = self._reactor.callLater(self._pause_s, self.start)

    def _failed(self, error: str) -> None:
        if not self._sums.statistics.error:
            log.warn("cannot read statistics: {error}", error=error)
        self._sums.failed(error)

    def _polled(self, found: Mapping[str, int]) -> None:
        before, last, now = self._sums.statistics, self._polled_at, self._clock()
        if before.error:
            log.info("reading statistics again")
        self._polled_at = now
        after = self._sums.polled(found, self._wall())
        # The first poll brings what there was before, nobody knows since when.
        if last is not None:
            hits, misses = after.hits - before.hits, after.misses - before.misses
            self._history.add(Sample(after.at, now - last, hits, misses))
