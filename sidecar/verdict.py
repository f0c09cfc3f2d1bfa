"""
Is the pod well, and is it ready: the whole truth, from all that is known.

Not for liveness: that is `Health.alive`. Values in, values out.

- trouble makes the pod unwell: somebody who asks it now gets no answer, or an old one. Of names
  outside the cluster that is so when no server of the default route answers.
- a remark does not: a last good value is in force, a stub domain's servers are away, something is
  old. What an operator should know before it hurts.
- ready is less than well: a pod that is taken out of service because the API server is away, or a
  neighbour's page, takes the cluster's DNS with it, since all replicas see the same.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.health import Health, Make
from sidecar.state import Neighbour, State

# A watch says something at least once a minute and is begun anew after 90 s of silence: who has
# heard nothing for so long has tried in vain, again and again.
STALE_S = 180.0
_FRONT = "dnsmasq"  # label of the probe of what listens on port 53, in the published manifests
_DEFAULT = "."  # how the forwarder calls the route of all names without one of their own
_STALLS = re.compile(r"^kubedns_forwarder_event_loop_stalls_total ([0-9.e+]+)$", re.M)


@dataclass(frozen=True, slots=True)
class Verdict:
    """reasons: what is wrong, one sentence each, the worst first; none: all is well."""

    reasons: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.reasons


def healthz(state: State) -> Verdict:
    """Return whether every probe is good and every neighbour of ours says that it is well."""
    return Verdict(tuple(_reasons(state)))


def readyz(state: State) -> Verdict:
    """
    Return whether queries should come: not while shutting down, and not before every probe has had
    its first round; then as long as the forwarder's probe is good, which pods ask. If none is
    called `dnsmasq`: as long as any is.

    Without probes nothing is known that would speak against it.
    """
    if state.draining:
        return Verdict(("sidecar is shutting down",))
    health = state.health
    waiting = [each for each in health.values() if each.last is None]
    asked = [health[_FRONT]] if _FRONT in health else list(health.values())
    bad = [each for each in asked if not each.good]
    if waiting or (bad and len(bad) == len(asked)):
        return Verdict(tuple(map(_bad, waiting or bad)))
    return Verdict(())


def remarks(state: State) -> tuple[str, ...]:
    """Return what an operator should know although the pod is not unwell for it."""
    return tuple(
        remark
        for neighbour in state.neighbours.values()
        for remark in remarks_of(neighbour, state.health.get(neighbour.name))
    )


def _reasons(state: State) -> Iterator[str]:
    if state.draining:
        yield "sidecar is shutting down"
    for health in state.health.values():
        if not health.good:
            yield _bad(health)
    for neighbour in state.neighbours.values():
        yield from troubles(neighbour, state.health.get(neighbour.name))


def _bad(health: Health) -> str:
    return f"probe {health.probe.label}: {health.error}"


def troubles(neighbour: Neighbour, health: Health | None = None) -> Iterator[str]:
    """
    Yield what a neighbour says of itself that makes the pod unwell.

    health: of the probe with its name, if there is one. That the page of a neighbour cannot be read
    is trouble if it once could, and no other make has taken its place since.
    """
    name, status = neighbour.name, neighbour.status
    if status is None or (health is not None and health.make is Make.FOREIGN):
        return
    if neighbour.error:
        yield f"{name}: /status cannot be read any more: {neighbour.error}"
        return
    if status.get("draining"):
        yield f"{name} is shutting down"
    elif status.get("unready"):
        yield f"{name} is not ready: {status['unready']}"
    if status.get("synced") is False:
        yield f"{name} is not in sync with the cluster{_waiting(status)}"
    else:
        for source in _stale(status):
            yield (
                f"{name} has heard nothing of {source['resource']} for {source['age_s']:.0f} s, "
                f"its answers may be old{_last_error(source)}"
            )
    for domain, servers in _silent(status):
        if domain == _DEFAULT:
            yield f"{name}: no server for names outside the cluster answers ({servers})"


def _waiting(status: Mapping[str, Any]) -> str:
    """Tell what is waited for, and why it does not come."""
    waiting = status.get("waiting_for") or ["the first records"]
    errors = dict.fromkeys(
        source["last_error"] for source in status.get("sources", ()) if source.get("last_error")
    )
    why = f" ({'; '.join(errors)})" if errors else ""
    snapshot = status.get("snapshot") or {}
    old = f"; known names are answered as {snapshot.get('age_s') or 0:.0f} s ago"
    return f", it waits for {', '.join(waiting)}{why}{old if snapshot.get('stale') else ''}"


def _last_error(source: Mapping[str, Any]) -> str:
    return f" ({source['last_error']})" if source.get("last_error") else ""


def _stale(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what was read once and has not been for long; not what something else stands in for."""
    for source in status.get("sources", ()):
        lost = source.get("state") in ("waiting", "listing") and source.get("synced")
        if lost and (source.get("age_s") or 0) > STALE_S:
            yield source


def _silent(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield domain and servers of each route none of whose servers can be asked with success."""
    for route in status.get("routes", ()):
        upstreams = route.get("upstreams", ())
        if upstreams and all(each.get("state") in ("down", "looping") for each in upstreams):
            yield str(route.get("domain")), ", ".join(each.get("server", "") for each in upstreams)


def remarks_of(neighbour: Neighbour, health: Health | None = None) -> Iterator[str]:
    """Yield the remarks about one neighbour; health: see troubles."""
    name, status = neighbour.name, neighbour.status
    foreign = health is not None and health.make is Make.FOREIGN
    if neighbour.address and neighbour.error and (status is None or foreign):
        if foreign:
            assert health is not None
            make = f" ({health.version})" if health.version else ""
            yield f"{name} is of another make{make}: only its answers are looked at"
        elif health is not None and health.make is Make.OURS:
            yield f"{name}: {neighbour.address}/status cannot be read: {neighbour.error}"
        else:
            yield f"{name}: nothing is known but its answers ({neighbour.error})"
    if status is None or neighbour.error:
        return
    yield from _of_both(name, status)
    yield from _of_kubedns(name, status)
    yield from _of_forwarder(name, status)
    stalls = _STALLS.search(neighbour.metrics)
    if stalls and float(stalls[1]):
        yield f"{name} was busy for more than 250 ms {float(stalls[1]):.0f} times since it started"


def _of_both(name: str, status: Mapping[str, Any]) -> Iterator[str]:
    yield from bad_configuration(name, status)
    if status.get("exceptions"):
        yield f"{name} met {status['exceptions']} faults of its own, its log tells more"


def bad_configuration(name: str, status: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of its configuration a process does not take."""
    errors = status.get("config", {}).get("errors") or {}
    if isinstance(errors, Mapping):
        bad = [f"{key}: {text}" for key, text in errors.items()]
    else:
        bad = [f"{_place(each)}: {each.get('reason', '')}" for each in errors]
    for each in bad:
        yield f"{name} keeps its last good configuration of {each}"


def _place(problem: Mapping[str, str]) -> str:
    return " ".join(filter(None, (problem.get("key"), problem.get("position"))))


def _of_kubedns(name: str, status: Mapping[str, Any]) -> Iterator[str]:
    stale = list(_stale(status))
    for source in status.get("sources", ()):
        what, state = source.get("resource"), source.get("state")
        if state == "forbidden":
            yield f"{name} may not read {what}{_last_error(source)}"
        elif state == "waiting" and source.get("synced") and source not in stale:
            yield f"{name} cannot read {what} now{_last_error(source)}"
    if status.get("object_problems"):
        yield f"{name} read {status['object_problems']} objects that it could not use in full"


def _of_forwarder(name: str, status: Mapping[str, Any]) -> Iterator[str]:
    for server in status.get("looping_servers", ()):
        yield f"{name} does not ask {server}: it leads back to us"
    for server in status.get("config", {}).get("ignored_servers", ()):
        yield f"{name}: {server}"
    for domain, servers in _silent(status):
        if domain != _DEFAULT:
            yield f"{name}: no server of {domain} answers ({servers})"
    feed = status.get("feed") or {}
    if feed.get("begun") and not feed.get("alive"):
        yield f"{name} is not told of changes any more, its answers live for their TTL"
    if status.get("log", {}).get("problem"):
        yield f"{name} cannot write its log: {status['log']['problem']}"
