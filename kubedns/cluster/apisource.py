"""
Objects from an API server: a list and watch for each kind, and what to do without some of them.

With the rights of the stock role `system:kube-dns` only Services and Endpoints may be read. What
is forbidden (or unknown to an old server) is done without, said once, and asked for again every
minute:

    EndpointSlices  → Endpoints instead, until slices may be read
    Namespaces      → a namespace exists if it holds a service
    Pods            → pod names are answered unverified

No reader may stop unnoticed (supervision.py), and what is kept is compared with a list about once
an hour (auditing.py).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from kubedns.cluster.apiserver import ApiServer, Reflector
from kubedns.cluster.auditing import Auditing
from kubedns.cluster.feed import Feed
from kubedns.cluster.listwatch import Event, ListWatch, State
from kubedns.cluster.objects import ConfigMap, Decoded, EndpointNames, Kind, Value
from kubedns.cluster.supervision import Supervisor, deferred
from kubedns.zone.tree import Service as Key

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
        audit_interval_s: float,
        settled: Callable[[], None],
        pods_forbidden: Callable[[bool], None],
        config_map: tuple[str, str] | None = None,
        configured: Callable[[dict[str, str]], None] | None = None,
    ) -> None:
        """audit_interval_s: 0: never."""
        self._server = server
        self._feed = feed
        self._reactor = reactor
        self._settled = settled
        self._pods_forbidden = pods_forbidden
        self._configured = configured
        self._forbidden_retry_s = forbidden_retry_s
        self._supervisor = Supervisor(reactor)
        self._listed: set[Kind] = set()
        self._logged_at: dict[Kind, float] = {}
        self._without: set[Kind] = set()  # forbidden, and said so
        self._config: dict[str, str] | None = None
        self._config_maps: dict[str, Value] = {}

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
        self._audit_interval_s = audit_interval_s
        self._auditing = Auditing(
            server, self, interval_s=audit_interval_s, naming=naming, clock=reactor.seconds,
            rng=random.Random(),
        )  # fmt: skip

    async def start(self) -> None:
        """Begin to read; raises CredentialsError when there are none."""
        await deferred(self._server.load())
        for reflector in self._reflectors.values():
            self._supervisor.start(reflector)
        if self._audit_interval_s:
            self._supervisor.start(self._auditing)
        self._supervisor.begin()

    async def stop(self) -> None:
        """End reading, and close all connections."""
        await self._supervisor.close()
        await deferred(self._server.close())

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
                "restarts": self._supervisor.restarts[kind.value],
            }
            for machine in self.machines()
            for kind in [machine.kind]
        ]

    def audits(self, now: float) -> dict[str, dict[str, object]]:
        """Describe what the audits of each resource found."""
        return self._auditing.status(now)

    def away_s(self, now: float) -> float | None:
        """Return for how long nothing has been heard from the API server; None: it is there."""
        return self._server.away_s(now)

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
            self._config_maps.clear()
            self._configure(objects[-1] if objects else None)
            return
        self._feed.listed(kind, objects)
        if kind is Kind.SLICE and self._supervisor.runs(Kind.ENDPOINTS.value):
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
        self._auditing.heard(kind, events)
        self._take_in(kind, events, received)

    def _take_in(self, kind: Kind, events: list[Event], received: float) -> None:
        if kind is Kind.CONFIG_MAP:
            last = events[-1]
            self._config_maps.pop(last.object.key, None)
            self._configure(None if last.deleted else last.object)
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
        if kind is Kind.SLICE and not self._supervisor.runs(Kind.ENDPOINTS.value):
            self._supervisor.start(self._fallback)
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

    # What the audit asks for

    def machines(self) -> list[ListWatch]:
        """Return what is watched."""
        running = list(self._reflectors.values())
        if self._supervisor.runs(Kind.ENDPOINTS.value):
            running.append(self._fallback)
        return [reflector.machine for reflector in running]

    def kept(self, kind: Kind) -> Mapping[str, Value]:
        """Return the objects of a kind that are held, as they are at any time."""
        return self._config_maps if kind is Kind.CONFIG_MAP else self._feed.kept(kind)

    def repair(self, kind: Kind, events: list[Event]) -> None:
        """Take in what a watch did not say, as if it had."""
        self._take_in(kind, events, self._reactor.seconds())

    def distrust(self, kind: Kind, reason: str) -> None:
        """Begin the watch of a kind anew, with a list."""
        reflector = self._fallback if kind is Kind.ENDPOINTS else self._reflectors[kind]
        reflector.machine.restart()
        self._supervisor.restart(reflector, reason)

    def services(self) -> Sequence[Key]:
        """Return every service that has objects or records."""
        return self._feed.services()

    def repair_zone(self, services: Sequence[Key]) -> list[str]:
        """Build those services anew whose records are not what their objects say; name them."""
        return self._feed.repair(services)

    def _configure(self, decoded: Decoded | None) -> None:
        value = decoded.value if decoded is not None else None
        if decoded is not None and value is not None:
            self._config_maps[decoded.key] = value
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

    def _stop_fallback(self) -> None:
        self._supervisor.end(Kind.ENDPOINTS.value)
        self._listed.discard(Kind.ENDPOINTS)
        self._fallback.machine.restart()
        self._feed.forget_kind(Kind.ENDPOINTS)
        log.info("endpointslices may be read now: endpoints are not watched any more")


_INSTEAD = {
    Kind.SLICE: "watching endpoints instead (IPv4 or one family only, at most 1000 addresses each)",
    Kind.NAMESPACE: "a namespace exists if it holds a service",
    Kind.POD: "pod names are answered unverified",
}
