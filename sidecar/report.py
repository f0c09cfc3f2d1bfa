"""What /healthcheck and /healthz say, as values fit for JSON."""

import json
import time
from typing import Any

from sidecar import verdict
from sidecar.health import Health, Make
from sidecar.state import Neighbour, State

# As Go writes JSON: safe to be put into HTML.
_GO = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def healthcheck(health: Health) -> str:
    """
    Return the JSON of /healthcheck/<label>, octet by octet as the original's.

    A neighbour of ours that is alive and not good has the reason in Err.
    """
    latency_s = health.latency_s if health.alive else None
    fields = (
        f'"IsOk":{json.dumps(health.alive)}',
        f'"LatencySeconds":{_seconds(latency_s or 0.0)}',
        f'"Err":{json.dumps(health.error).translate(_GO)}',
    )
    return f"{{{','.join(fields)}}}"


def _seconds(seconds: float) -> str:
    """Write seconds to the nanosecond, without an exponent and without idle zeroes."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


def healthz(state: State, now: float) -> dict[str, Any]:
    """Return the JSON of /healthz; times are UTC, now in seconds since the epoch."""
    told = verdict.healthz(state)
    return {
        "ok": told.well,
        "reasons": list(told.reasons),
        "remarks": list(verdict.remarks(state)),
        "ready": verdict.readyz(state).well,
        "draining": state.draining,
        "time": utc(now),
        "uptime_s": round(max(0.0, now - state.began), 3),
        "probes": {label: _probe(health) for label, health in state.health.items()},
        "neighbours": {
            name: _neighbour(state, neighbour, now) for name, neighbour in state.neighbours.items()
        },
    }


def _probe(health: Health) -> dict[str, Any]:
    probe, latency_s, failed = health.probe, health.latency_s, health.failed
    state = "waiting" if health.last is None else "good" if health.good else "bad"
    return {
        "state": state,
        "since": utc(health.since),
        "alive": health.alive,
        "error": health.error,
        "last_error": None if failed is None else failed.error,
        "last_error_at": None if failed is None else utc(failed.at),
        "latency_s": None if latency_s is None else round(latency_s, 9),
        "rounds": health.rounds,
        "errors": health.errors,
        "server": probe.server,
        "question": f"{probe.qname} {probe.rtype}",
        "interval_s": probe.interval_s,
        "make": health.make.value,
        "version": health.version,
    }


def _neighbour(state: State, neighbour: Neighbour, now: float) -> dict[str, Any]:
    health = state.health.get(neighbour.name)
    foreign = health is not None and health.make is Make.FOREIGN
    return {
        "ok": not any(verdict.troubles(neighbour, health)),
        "troubles": list(verdict.troubles(neighbour, health)),
        "ours": neighbour.status is not None and not foreign,
        "status_page": neighbour.address or None,
        "readable": not neighbour.error,
        "error": neighbour.error,
        "since": utc(neighbour.since),
        "age_s": round(max(0.0, now - neighbour.at), 3) if neighbour.at else None,
        "version": (neighbour.status or {}).get("version"),
    }


def utc(at: float) -> str:
    """Write a time as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
