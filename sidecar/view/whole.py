"""All that the status page shows."""

from dataclasses import dataclass

from kubedns import __version__
from sidecar import verdict
from sidecar.state import Neighbour, State
from sidecar.view.cache import Cache, cache
from sidecar.view.load import Load, load
from sidecar.view.mark import Mark
from sidecar.view.processes import Process, processes
from sidecar.view.reading import Reading
from sidecar.view.routes import Routes, routes
from sidecar.view.seen import Seen, seen
from sidecar.view.settings import Settings, settings
from sidecar.view.sources import Sources, sources
from sidecar.view.told import Told, plain
from sidecar.view.warnings import Warnings, warnings
from sidecar.view.words import When, when

KUBEDNS, FORWARDER = "kubedns", "dnsmasq"
_MOST_REASONS = 8


@dataclass(frozen=True, slots=True)
class Whole:
    """
    reasons: why it is not well. remarks: what to know beside that. more: how many of both are not
    listed. sources, routes: None: unknown. operators: what only they may see; None: not for them.
    """

    at: When
    version: str
    zone: str
    mark: Mark
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    more: int
    processes: tuple[Process, ...]
    kubedns: Reading
    forwarder: Reading
    sources: Sources | None
    settings: Settings
    routes: Routes | None
    cache: Cache
    load: Load
    warnings: Warnings
    operators: Seen | None


def whole(state: State, now: float, *, operator: bool = False) -> Whole:
    """Look at the state once; now: seconds since the epoch. operator: with clients and names."""
    kubedns = state.neighbours.get(KUBEDNS)
    forwarder = state.neighbours.get(FORWARDER)
    reasons, remarks = verdict.healthz(state).reasons, verdict.remarks(state)
    return Whole(
        at=when(now, now),
        version=__version__,
        zone=Told(kubedns.status if kubedns else None).text("zone", 80),
        mark=Mark.BAD if reasons else Mark.GOOD,
        reasons=tuple(plain(each) for each in reasons[:_MOST_REASONS]),
        remarks=tuple(plain(each) for each in remarks[:_MOST_REASONS]),
        more=len(reasons[_MOST_REASONS:]) + len(remarks[_MOST_REASONS:]),
        processes=tuple(processes(state, now)),
        kubedns=_reading(kubedns, now),
        forwarder=_reading(forwarder, now),
        sources=sources(kubedns, now) if kubedns and kubedns.status else None,
        settings=settings(forwarder, kubedns, now),
        routes=routes(forwarder) if forwarder and forwarder.status else None,
        cache=cache(state, forwarder, now),
        load=load(forwarder, kubedns),
        warnings=warnings(state, now),
        operators=seen(state.seen, now) if operator else None,
    )


def _reading(neighbour: Neighbour | None, now: float) -> Reading:
    if neighbour is None:
        return Reading(None, "it is not looked at", "")
    error = plain(neighbour.error)
    if neighbour.status is None:
        return Reading(None, error or "not read yet", "")
    return Reading(when(neighbour.at, now), "", error)
