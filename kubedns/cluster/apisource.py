"""
Objects from an API server: a list and watch for each kind, and what to do without some of them.

With the rights of the stock role `system:kube-dns` only Services and Endpoints may be read. What
is forbidden (or unknown to an old server) is done without, said once, and asked for again every
minute:

    EndpointSlices  → Endpoints instead, until slices may be read
    Namespaces      → a namespace exists if it holds a service
    Pods            → pod names are answered unverified
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from kubedns.cluster.apiserver import ApiServer, Reflector
from kubedns.cluster.feed import Feed
from kubedns.cluster.listwatch import Event, State
from kubedns.cluster.objects import ConfigMap, Decoded, EndpointNames, Kind

log = Logger()

_REPEAT_LOG_S = 60.0


class ApiSource:
    """Reads from an API server. synced: called when nothing is missing for the first time."""

    def __init__(
        self,
        server: ApiServer,
        feed: Feed,
        *,
        reactor: Any,
        naming: EndpointNames,
        pods: bool,
        silence_s: float,
        forbidden_retry_s: float,
        settled: Callable[[], None],
        pods_forbidden: Callable[[bool], None],
        config_map: tuple[str, str] | None = None,
        configured: Callable[[dict[str, str]], None] | None = None,
    ) -> None:
        self._server = server
        self._feed = feed
        self._reactor = reactor
        self._settled = settled
        self._pods_forbidden = pods_forbidden
        self._configured = configured
        self._forbidden_retry_s = forbidden_retry_s
        self._tasks: dict[Kind, asyncio.Task[None]] = {}
        self._listed: set[Kind] = set()
        self._logged_at: dict[Kind, float] = {}
        self._without: set[Kind] = set()  # forbidden, and said so
        self._config: dict[str, str] | None = None

        def reflector(kind: Kind, one: tuple[str, str] | None = None) -> Reflector:
            return Reflector(
                server, kind, self, clock=reactor.seconds, naming=naming, silence_s=silence_s,
                forbidden_retry_s=forbidden_retry_s, rng=random.Random(), one=one,
            )  # fmt: skip

        kinds = [Kind.SERVICE, Kind.SLICE, Kind.NAMESPACE, *([Kind.POD] if pods else [])]
        self._reflectors = {kind: reflector(kind) for kind in kinds}
        if config_map is not None:
            self._reflectors[Kind.CONFIG_MAP] = reflector(Kind.CONFIG_MAP, config_map)
        self._fallback = reflector(Kind.ENDPOINTS)

    async def start(self) -> None:
        """Begin to read; raises CredentialsError when there are none."""
        await _deferred(self._server.load())
        for reflector in list(self._reflectors.values()):
            self._run(reflector)

    async def stop(self) -> None:
        """End reading, and close all connections."""
        for task in self._tasks.values():
            task.cancel()
        await _deferred(asyncio.gather(*self._tasks.values(), return_exceptions=True))
        await _deferred(self._server.close())

    def missing(self) -> list[str]:
        """Name what has not been read yet."""
        missing = []
        for kind, reflector in self._reflectors.items():
            if kind in self._listed or kind is Kind.CONFIG_MAP:
                continue
            if reflector.machine.state is State.FORBIDDEN:
                if kind in (Kind.NAMESPACE, Kind.POD):
                    continue
                if kind is Kind.SLICE and Kind.ENDPOINTS in self._listed:
                    continue
            missing.append(kind.value)
        return missing

    def status(self, now: float) -> list[dict[str, object]]:
        """Describe each resource."""
        return [
            {
                "resource": kind.value,
                "state": machine.state.value,
                "synced": kind in self._listed,
                "resource_version": machine.resource_version,
                "objects": self._feed.count(kind),
                "age_s": round(now - machine.heard, 3) if machine.heard else None,
                "lists": machine.lists,
                "relists": machine.relists,
                "errors": machine.errors,
                "last_error": machine.last_error,
                "events": self._feed.events[kind],
            }
            for kind, machine in self._machines()
        ]

    def _machines(self) -> list[tuple[Kind, Any]]:
        running = [r for k, r in self._reflectors.items()]
        if Kind.ENDPOINTS in self._tasks:
            running.append(self._fallback)
        return [(reflector.kind, reflector.machine) for reflector in running]

    # What the reflectors report

    def listed(self, kind: Kind, objects: list[Decoded]) -> None:
        """All objects of a kind."""
        first = kind not in self._listed
        self._listed.add(kind)
        self._without.discard(kind)
        self._recovered(kind)
        log.info("listed {count} {kind}", count=len(objects), kind=kind.value)
        self._report(kind)
        if kind is Kind.CONFIG_MAP:
            self._configure(objects[-1] if objects else None)
            return
        self._feed.listed(kind, objects)
        if kind is Kind.SLICE and Kind.ENDPOINTS in self._tasks:
            self._stop_fallback()
        elif kind is Kind.ENDPOINTS and Kind.SLICE in self._listed:
            # Slices could be read once and may not any more: what they said grows old.
            self._listed.discard(Kind.SLICE)
            self._feed.forget_kind(Kind.SLICE)
        elif kind is Kind.POD:
            self._pods_forbidden(False)
        if first:
            self._feed.settled(self._settled)

    def changed(self, kind: Kind, events: list[Event], received: float) -> None:
        """Events that arrived together."""
        self._recovered(kind)
        self._report(kind)
        if kind is Kind.CONFIG_MAP:
            self._configure(None if events[-1].deleted else events[-1].object)
        else:
            self._feed.changed(kind, events, received)

    def forbidden(self, kind: Kind, reason: str) -> None:
        """Do without a kind, and say so."""
        if kind not in self._without:
            self._without.add(kind)
            log.warn(
                "may not read {kind}: {reason}; {instead}; asking again every {s:.0f} s",
                kind=kind.value, reason=reason, instead=_INSTEAD.get(kind, "nothing replaces them"),
                s=self._forbidden_retry_s,
            )  # fmt: skip
        if kind is Kind.SLICE and Kind.ENDPOINTS not in self._tasks:
            self._run(self._fallback)
        elif kind is Kind.NAMESPACE:
            self._listed.discard(kind)
            self._feed.forget_kind(kind)
        elif kind is Kind.POD:
            self._listed.discard(kind)
            self._pods_forbidden(True)
        self._feed.settled(self._settled)

    def failing(self, kind: Kind, reason: str) -> None:
        """Say that a request failed: at first, and then once a minute."""
        now = self._reactor.seconds()
        last = self._logged_at.get(kind)
        if last is None or now - last >= _REPEAT_LOG_S:
            self._logged_at[kind] = now
            log.warn("cannot read {kind}, trying again: {reason}", kind=kind.value, reason=reason)

    def _configure(self, decoded: Decoded | None) -> None:
        value = decoded.value if decoded is not None else None
        data = dict(value.data) if isinstance(value, ConfigMap) else {}
        if self._configured is not None and data != self._config:
            self._config = data
            self._configured(data)

    def _recovered(self, kind: Kind) -> None:
        if self._logged_at.pop(kind, None) is not None:
            log.info("reading {kind} again", kind=kind.value)

    def _report(self, kind: Kind) -> None:
        reflector = self._fallback if kind is Kind.ENDPOINTS else self._reflectors[kind]
        reader = reflector.machine.reader
        if reader.problems or reader.remarks:
            self._feed.report(reader.problems, reader.remarks)

    def _run(self, reflector: Reflector) -> None:
        self._tasks[reflector.kind] = asyncio.ensure_future(reflector.run())

    def _stop_fallback(self) -> None:
        self._tasks.pop(Kind.ENDPOINTS).cancel()
        self._listed.discard(Kind.ENDPOINTS)
        self._fallback.machine.restart()
        self._feed.forget_kind(Kind.ENDPOINTS)
        log.info("endpointslices may be read now: endpoints are not watched any more")


_INSTEAD = {
    Kind.SLICE: "watching endpoints instead (IPv4 or one family only, at most 1000 addresses each)",
    Kind.NAMESPACE: "a namespace exists if it holds a service",
    Kind.POD: "pod names are answered unverified",
}


def _deferred(awaitable: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> "Deferred[Any]":
    return Deferred.fromFuture(asyncio.ensure_future(awaitable))
