"""
One account of a question out of those of all workers, each of which has a cache of its own.

Told is what the worker knows that holds the answer freshest, or the first one where none has it; of
servers, what all of them met; and who holds it, so that nobody takes one for all.
"""

from collections.abc import Sequence
from typing import Any

Tree = dict[str, Any]
_SUMMED = ("timeouts", "sent", "failed")
_STATES = ("looping", "down")


def merged(parts: Sequence[Tree]) -> Tree:
    """Return one account; `worker`, its number, becomes `workers`."""
    best = max(parts, key=_freshness)
    cached = [part["worker"] for part in parts if part["cache"] is not None]
    failures = [part["failure"] for part in parts if part["failure"] is not None]
    return {
        **{key: value for key, value in best.items() if key != "worker"},
        "cut_by": next((part["cut_by"] for part in parts if part["cut_by"]), None),
        "failure": max(failures, key=lambda each: float(each["left_s"]), default=None),
        "in_flight": any(part["in_flight"] for part in parts),
        "upstreams": _upstreams(parts),
        "workers": {
            "asked": len(parts),
            "holding": cached,
            "note": _note(len(parts), cached, best["worker"]),
        },
    }


def _freshness(part: Tree) -> float:
    cache = part["cache"]
    return float("-inf") if cache is None else float(cache["left_s"])


def _note(count: int, holding: list[int], best: int) -> str:
    if not holding:
        return f"none of {count} workers has it in its cache"
    return f"{len(holding)} of {count} workers have it in their caches; told is that of {best}"


def _upstreams(parts: Sequence[Tree]) -> list[Tree]:
    found: dict[str, Tree] = {}
    for each in (each for part in parts for each in part["upstreams"]):
        known = found.get(each["server"])
        if known is None:
            found[each["server"]] = dict(each)
            continue
        for key in _SUMMED:
            known[key] += each[key]
        states = (known["state"], each["state"])
        known["state"] = next((state for state in _STATES if state in states), "up")
        known["losses_in_a_row"] = max(known["losses_in_a_row"], each["losses_in_a_row"])
        known["heard_s_ago"] = _least(known["heard_s_ago"], each["heard_s_ago"])
        known["srtt_ms"] = _most(known["srtt_ms"], each["srtt_ms"])
    return list(found.values())


def _least(*numbers: float | None) -> float | None:
    return min((each for each in numbers if each is not None), default=None)


def _most(*numbers: float | None) -> float | None:
    return max((each for each in numbers if each is not None), default=None)
