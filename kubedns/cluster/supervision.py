"""
Keeps the readers of the cluster at work: nothing that stopped may look as if it were only quiet.

A worker whose task ended, by whatever exception, and one that did not get on in the time it set
itself (`overdue_at`), is told so and run again. Each time is logged and counted.

The supervisor itself is a timer of the reactor, set before anything else is done. After a pause of
the whole process (SIGSTOP, a machine that slept) it waits a turn: everything is overdue then, and
most of it will have got on by the next look.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

log = Logger()

_LOOK_S = 1.0
_REST_S = 1.0  # before what ended at once is run again
NEVER = math.inf


class Worker(Protocol):
    """
    A coroutine that runs until it is cancelled.

    overdue_at: monotonic seconds when it must have got on, and moved this.
    """

    name: str
    overdue_at: float

    async def run(self) -> None:
        """Work until cancelled; called again after `interrupted`."""

    def interrupted(self, reason: str) -> None:
        """Note that `run` was ended from outside, or by a fault; it will be called anew."""


class Supervisor:
    """See the head of this module. reactor: IReactorTime."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._tasks: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        self._look_at = 0.0
        self._slept = False
        self._looking: Any = None
        self.restarts: Counter[str] = Counter()

    def begin(self) -> None:
        """Look after the workers from now on."""
        self._look_at = self._reactor.seconds() + _LOOK_S
        self._looking = self._reactor.callLater(_LOOK_S, self._look)

    async def close(self) -> None:
        """End all workers."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        tasks = [task for _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await deferred(asyncio.gather(*tasks, return_exceptions=True))

    def runs(self, name: str) -> bool:
        """Tell whether a worker was started and not ended."""
        return name in self._tasks

    def start(self, worker: Worker) -> None:
        """Run a worker."""
        worker.overdue_at = NEVER  # which it sets itself as soon as it runs
        task = asyncio.ensure_future(worker.run())
        self._tasks[worker.name] = worker, task
        task.add_done_callback(partial(self._ended, worker))

    def end(self, name: str) -> None:
        """Run a worker no more."""
        _, task = self._tasks.pop(name)
        task.cancel()

    def restart(self, worker: Worker, reason: str) -> None:
        """Run a worker anew; the caller has told it why."""
        self.restarts[worker.name] += 1
        log.error("{name}: {reason}: beginning anew", name=worker.name, reason=reason)
        self.end(worker.name)
        self.start(worker)

    def _ended(self, worker: Worker, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(worker.name) != (worker, task):
            return  # on purpose
        error = None if task.cancelled() else task.exception()
        reason = "the reader was cancelled" if task.cancelled() else f"the reader ended: {error!r}"
        self.restarts[worker.name] += 1
        log.error("{name}: {reason}; run again", name=worker.name, reason=reason[:300])
        worker.interrupted(reason)
        self._reactor.callLater(_REST_S, self._again, worker, task)

    def _again(self, worker: Worker, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(worker.name) == (worker, task):
            self.start(worker)

    def _look(self) -> None:
        self._looking = self._reactor.callLater(_LOOK_S, self._look)
        now = self._reactor.seconds()
        slept = now > self._look_at + _LOOK_S
        self._look_at = now + _LOOK_S
        if slept and not self._slept:  # a machine that is always late is looked after, too
            self._slept = True
            return
        self._slept = slept
        for worker, task in list(self._tasks.values()):
            if now > worker.overdue_at and not task.done():
                reason = "it does not get on"
                worker.interrupted(reason)
                self.restart(worker, reason)


def deferred(awaitable: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> "Deferred[Any]":
    """Let Twisted's code wait for asyncio's."""
    return Deferred.fromFuture(asyncio.ensure_future(awaitable))
