"""One page out of those of several workers: JSON in, JSON out."""

from typing import Any

Told = dict[str, Any]
_KEYS = ("client", "name", "type", "rcode")
_MOST_FINDINGS = 50


def merged_top(told: list[Told], most: int = 10) -> Told:
    """
    Return /top of all; told: that of each, with as many entries as there may be.

    An entry that one of them does not tell may be missing in the sum: at most as much as the last
    one that it tells.
    """
    rcodes: dict[str, int] = {}
    for each in told:
        for rcode, count in each["rcodes"].items():
            rcodes[rcode] = rcodes.get(rcode, 0) + count
    transactions = sum(each["transactions"] for each in told)
    waste = [each["search_waste"] for each in told]
    return {
        "since": min((each["since"] for each in told), default=""),
        "seconds": max((each["seconds"] for each in told), default=0.0),
        "transactions": transactions,
        "sampled": max((each["sampled"] for each in told), default=1),
        "clients": _summed([each["clients"] for each in told])[:most],
        "names": _summed([each["names"] for each in told])[:most],
        "rcodes": rcodes,
        "failing": _summed([each["failing"] for each in told])[:most],
        "search_waste": {
            "queries": sum(each["queries"] for each in waste),
            "share": round(
                sum(w["share"] * t["transactions"] for w, t in zip(waste, told, strict=True))
                / transactions,
                4,
            )
            if transactions
            else 0.0,
            "names": _summed([each["names"] for each in waste])[:most],
        },
    }


def merged_findings(told: list[list[Told]]) -> list[Told]:
    """Return the findings of all, the one seen last first, with the counts summed up."""
    sums: dict[tuple[str, str], Told] = {}
    for found in told:
        for each in found:
            key = each["id"], each["about"]
            known = sums.get(key)
            if known is None:
                sums[key] = dict(each)
                continue
            if each["last"] > known["last"]:
                known["text"] = each["text"]
            known["count"] += each["count"]
            known["first"] = min(known["first"], each["first"])
            known["last"] = max(known["last"], each["last"])
    found = sorted(sums.values(), key=lambda each: (each["id"], each["about"]))
    found.sort(key=lambda each: str(each["last"]), reverse=True)
    return found[:_MOST_FINDINGS]


def merged_summary(told: list[Told]) -> Told:
    """Return /recorder?format=summary of all; of bursts the last one."""
    bursts = [each["burst"] for each in told if each["burst"] is not None]
    return {
        "held": sum(each["held"] for each in told),
        "bytes": sum(each["bytes"] for each in told),
        "sampled": max((each["sampled"] for each in told), default=1),
        "bursts": sum(each["bursts"] for each in told),
        "burst": max(bursts, key=lambda each: str(each["at"]), default=None),
    }


def _summed(told: list[list[Told]]) -> list[Told]:
    sums: dict[tuple[Any, ...], Told] = {}
    for entries in told:
        for each in entries:
            key = tuple(each.get(name) for name in _KEYS)
            if key in sums:
                sums[key]["queries"] += each["queries"]
                sums[key]["error"] += each["error"]
            else:
                sums[key] = dict(each)
    return sorted(sums.values(), key=lambda each: (-each["queries"], str(each)))
