"""Work that several wait for is done once, and only while somebody waits (RFC 5452 section 5)."""

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from kubedns.errors import KubednsError

K = TypeVar("K")
V = TypeVar("V")


class CrowdedError(KubednsError):
    """More to do, or more waiting, than there may be."""


class _Work(Generic[V]):
    """One piece of work and who waits for it."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[V]] = []
        self.running: Deferred[None] | None = None


class Shared(Generic[K, V]):
    """Work by key. most: how much of it at once; most_waiting: for one piece."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._works: dict[K, _Work[V]] = {}

    def __len__(self) -> int:
        return len(self._works)

    def __contains__(self, key: K) -> bool:
        return key in self._works

    def join(self, key: K, start: Callable[[], Coroutine[Deferred[Any], Any, V]]) -> Deferred[V]:
        """
        Return the result to come of the work with this key, started when nobody did so yet.

        When all who wait have cancelled, the work is cancelled too. At the limits the result is
        CrowdedError.
        """
        work = self._works.get(key)
        if work is not None:
            if len(work.waiting) >= self._most_waiting:
                return fail(CrowdedError("too many wait for this answer"))
            return self._wait(key, work)
        if len(self._works) >= self._most:
            return fail(CrowdedError("too many questions in flight"))
        work = self._works[key] = _Work()
        waiter = self._wait(key, work)
        running = Deferred.fromCoroutine(start())
        work.running = running.addBoth(self._done, key, work)
        return waiter

    def _wait(self, key: K, work: _Work[V]) -> Deferred[V]:
        def leave(waiter: Deferred[V]) -> None:
            if waiter not in work.waiting:
                return
            work.waiting.remove(waiter)
            if not work.waiting and work.running is not None:
                self._drop(key, work)
                work.running.cancel()

        waiter: Deferred[V] = Deferred(leave)
        work.waiting.append(waiter)
        return waiter

    def _done(self, result: V | Failure, key: K, work: _Work[V]) -> None:
        self._drop(key, work)
        waiting, work.waiting = work.waiting, []
        for waiter in waiting:
            if waiter.called:  # cancelled by one that was told before it
                continue
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(result)

    def _drop(self, key: K, work: _Work[V]) -> None:
        if self._works.get(key) is work:
            del self._works[key]
