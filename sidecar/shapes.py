"""
/status of a neighbour, read: what anything else relies on is of the right kind, or all is refused.

What stands here may be missing in a page, of an older version of ours, and what else there is in
one passes unseen: readers ask with `get`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from kubedns.nameserver import quote

# A shape: a type, a tuple of types, [shape of each item], {key: shape}, {None: shape of each}, or
# Maybe(shape) for what may be null.
Shape = Any


@dataclass(frozen=True, slots=True)
class Maybe:
    """Of this shape, or null."""

    shape: Shape


_NUMBER = (int, float)
_MAYBE = (int, float, type(None))
_TEXT = (str, type(None))
_COUNTS = {None: _NUMBER}
_WARNINGS = [{"time": str, "text": str}]
_PROBLEM = {"file": str, "key": str, "position": str, "reason": str, "time": str}

KUBEDNS: Shape = {
    "version": str,
    "zone": str,
    "uptime_s": _NUMBER,
    "time": str,
    "synced": bool,
    "waiting_for": [str],
    "initial_sync_timed_out": bool,
    "draining": bool,
    "sources": [
        {
            "resource": str,
            "state": str,
            "synced": bool,
            "resource_version": _TEXT,
            "objects": int,
            "age_s": _MAYBE,
            "lists": int,
            "relists": int,
            "errors": int,
            "last_error": _TEXT,
            "events": int,
        }
    ],
    "objects": _COUNTS,
    "object_problems": int,
    "serial": int,
    "snapshot": Maybe({"stale": bool, "age_s": _MAYBE}),
    "services": int,
    "records": int,
    "ready_answers": int,
    "pods": str,
    "exceptions": int,
    "dropped": _COUNTS,
    "outside": _COUNTS,
    "config": {
        "stub_domains": {None: [str]},
        "upstream_nameservers": [str],
        "resolv_conf": [str],
        "errors": {None: str},
    },
}

DNSMASQ: Shape = {
    "version": str,
    "uptime_s": _NUMBER,
    "time": str,
    "unready": str,
    "draining": bool,
    "listeners": [str],
    "config": {
        "version": str,
        "stub_domains": {None: [str]},
        "upstream_nameservers": [str],
        "errors": [_PROBLEM],
        "last_error": Maybe(_PROBLEM),
        "ignored_servers": [str],
    },
    "cache": {None: _MAYBE},
    "feed": {"alive": bool, "begun": int, "purged": int},
    "load": {"in_flight": int, "limits": _COUNTS, "limits_reached": _COUNTS},
    "dropped": _COUNTS,
    "malformed": _COUNTS,
    "bad_replies": _COUNTS,
    "exceptions": int,
    "log": {"lines_dropped": int, "problem": str, "queries_suppressed": int},
    "looping_servers": [str],
    "warnings": _WARNINGS,
    "routes": [
        {
            "domain": str,
            "kind": str,
            "means": str,
            "policy": str,
            "in_flight": int,
            "retry_tokens": _NUMBER,
            "upstreams": [
                {
                    "server": str,
                    "state": str,
                    "srtt_ms": _MAYBE,
                    "rttvar_ms": _MAYBE,
                    "bad": _NUMBER,
                    "losses_in_a_row": int,
                    "sent": int,
                    "retried": int,
                    "failed": int,
                    "timeouts": int,
                    "edns": str,
                    "case": str,
                }
            ],
        }
    ],
}


class ShapeError(ValueError):
    """A page that is none of ours; str() tells what is wrong with it."""


def read(octets: bytes, shape: Shape) -> Mapping[str, Any]:
    """
    Return a /status page as values.

    Raises:
        ShapeError: it is no JSON, or something in it has another shape.
    """
    try:
        found = json.loads(octets, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise ShapeError("its /status is no JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("version"), str):
        raise ShapeError("its /status is not that of a program of ours")
    _check(found, shape, "")
    return found


def _not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _check(value: Any, shape: Shape, where: str) -> None:
    """Raise ShapeError for a value, or one inside it, of another shape."""
    match shape:
        case Maybe(inner):
            if value is not None:
                _check(value, inner, where)
        case {None: each} if isinstance(value, dict):
            for key, inner in value.items():
                _check(inner, each, f"{where}.{key}")
        case dict() if isinstance(value, dict) and None not in shape:
            for key in shape.keys() & value.keys():
                _check(value[key], shape[key], f"{where}.{key}")
        case list() if isinstance(value, list):
            for inner in value:
                _check(inner, shape[0], where)
        case type() | tuple() if isinstance(value, shape):
            # A truth value is an int to Python, and no number to anybody else.
            if isinstance(value, bool) and shape is not bool:
                raise _other(where)
        case _:
            raise _other(where)


def _other(where: str) -> ShapeError:
    return ShapeError(f"its /status has something else than expected at {quote(where)}")
