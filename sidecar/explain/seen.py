"""/top, /recorder and /findings of the forwarder become Seen; nothing in them is sure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sidecar.explain.shapes import (
    Burst,
    Busy,
    Finding,
    Popular,
    Recorder,
    Top,
)
from sidecar.view.told import Told

_MOST = 100  # of one list
_MOST_RCODES = 32


class SeenError(ValueError):
    """A page that is no JSON object."""


def page(octets: bytes) -> Mapping[str, Any]:
    """
    Return a JSON object.

    Raises:
        SeenError: it is none.
    """
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SeenError("what it says is no JSON object")
    return found


def top(said: Mapping[str, Any]) -> Top:
    """Read /top."""
    told = Told(said)
    waste = told.inner("search_waste")
    return Top(
        since=told.text("since", 60),
        seconds_s=told.number("seconds") or 0.0,
        transactions=_count(told, "transactions"),
        sampled=_count(told, "sampled") or 1,
        clients=tuple(
            Busy(each.text("client", 100), _count(each, "queries"), _count(each, "error"))
            for each in _first(told, "clients")
        ),
        names=tuple(map(_popular, _first(told, "names"))),
        rcodes={k: int(v) for k, v in list(told.counts("rcodes").items())[:_MOST_RCODES]},
        failing=tuple(map(_popular, _first(told, "failing"))),
        waste=_count(waste, "queries"),
        waste_share=min(1.0, waste.number("share") or 0.0),
        wasted=tuple(map(_popular, _first(waste, "names"))),
    )


def _popular(told: Told) -> Popular:
    return Popular(
        name=told.text("name"),
        type=told.text("type", 20),
        queries=_count(told, "queries"),
        error=_count(told, "error"),
        rcode=told.text("rcode", 20),
    )


def _first(told: Told, key: str) -> Iterable[Told]:
    return list(told.objects(key))[:_MOST]


def _count(told: Told, key: str) -> int:
    return int(told.number(key) or 0)


def with_pods(found: Top, said: Mapping[str, Any] | None, problem: str = "") -> Top:
    """Put what /pods says beside the clients; said: None: there is no page, see problem."""
    told = Told(said)
    pods = told.inner("pods")
    clients = tuple(
        replace(each, pod=(pod.text("namespace", 80), pod.text("name")))
        if (pod := pods.inner(each.client))
        else each
        for each in found.clients
    )
    known = said is not None and told.flag("allowed") is not False
    why = problem or told.text("problem")
    return replace(found, clients=clients, pods_known=known, pods_problem=why)


def recorder(said: Mapping[str, Any]) -> Recorder:
    """Read /recorder?format=summary."""
    told = Told(said)
    burst = told.inner("burst")
    return Recorder(
        held=_count(told, "held"),
        octets=_count(told, "bytes"),
        sampled=_count(told, "sampled") or 1,
        burst=Burst(burst.text("why"), burst.text("at", 60), _count(burst, "transactions"))
        if burst
        else None,
    )


def findings(said: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Read /findings."""
    return tuple(
        Finding(
            id=each.text("id", 60),
            about=each.text("about"),
            count=_count(each, "count"),
            first=each.text("first", 60),
            last=each.text("last", 60),
            text=each.text("text", 600),
            chapter=each.text("chapter", 80),
        )
        for each in _first(Told(said), "findings")
    )
