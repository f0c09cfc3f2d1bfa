"""What is in work against its limits, and what was counted that should not happen."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.state import Neighbour
from sidecar.view.mark import Mark
from sidecar.view.told import Told
from sidecar.view.words import NONE, count

_MOST = 20  # limits, kinds of faults

# The field of `load` that a limit is for; other limits hold for each of many, and have no one use.
_MEASURED = {
    "questions": "in_flight",
    "clients waiting": "waiting_clients",
    "tcp connections": "tcp_connections",
}
_FULL = 0.8  # of a limit: time to look


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what is in use now, and how often it was reached since the start."""

    name: str
    mark: Mark
    now: str
    limit: str
    reached: str


@dataclass(frozen=True, slots=True)
class Load:
    """facts: what has no limit. faults: what was counted and should not happen."""

    limits: tuple[Limit, ...]
    facts: tuple[tuple[str, str], ...]
    faults: tuple[tuple[str, str], ...]


def load(forwarder: Neighbour | None, kubedns: Neighbour | None) -> Load:
    """Return what both say."""
    ours = Told(forwarder.status if forwarder else None)
    theirs = Told(kubedns.status if kubedns else None)
    told = ours.inner("load")
    faults = [*_faults("dnsmasq", ours), *_faults("kubedns", theirs)]
    return Load(tuple(_limits(told)), tuple(_facts(told, theirs)), tuple(faults))


def _limits(told: Told) -> Iterator[Limit]:
    reached = told.inner("limits_reached")
    for name, limit in list(told.counts("limits").items())[:_MOST]:
        now = told.number(_MEASURED.get(name, ""))
        times = reached.number(name) or 0
        near = now is not None and now >= _FULL * limit
        mark = Mark.WARN if near or times else Mark.GOOD
        yield Limit(
            name, mark, count(now), count(limit), f"{count(times)} times" if times else "never"
        )


def _facts(told: Told, kubedns: Told) -> Iterator[tuple[str, str]]:
    if told:
        yield "sockets to upstreams", count(told.number("upstream_sockets"))
        yield "connections to upstreams", count(told.number("upstream_connections"))
    outside = kubedns.inner("outside")
    if outside.number("asked"):
        answered, asked = outside.number("answered"), outside.number("asked")
        yield "kubedns asked outside", f"{count(asked)}, {count(answered)} answered"


def _faults(who: str, told: Told) -> Iterator[tuple[str, str]]:
    for key in ("dropped", "malformed", "bad_replies"):
        yield from _counted(f"{who}, {key.replace('_', ' ')}", told.counts(key))
    if exceptions := told.number("exceptions"):
        yield f"{who}, faults of its own", count(exceptions)
    servers = told.texts("looping_servers")
    if servers:
        yield f"{who}, servers that ask us back", ", ".join(servers[:_MOST])
    log = told.inner("log")
    if lost := log.number("lines_dropped"):
        yield f"{who}, log lines dropped", count(lost)
    if problem := log.text("problem"):
        yield f"{who}, log", problem


def _counted(what: str, counts: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for name, number in list(counts.items())[:_MOST]:
        if number:
            yield f"{what}: {name or NONE}", count(number)
