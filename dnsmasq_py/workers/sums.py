"""
One answer out of those of all workers: statistics, metrics, the status page. JSON in, JSON out.

Counts are summed up, over workers that have ended too, so that none ever falls. Of other numbers
the sum is told where it is one of things (connections, entries), else the worst; what all workers
say alike, since they hear and read the same, is told as the first one says it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

REPORT = "report"
METRICS = "metrics"
STATUS = "status"
RESET = "reset"
LASTING = (REPORT, METRICS, STATUS, RESET)
"""What is remembered of each worker, for when it is late or has ended; all else is of a moment."""
TOP = "top"
FINDINGS = "findings"
SUMMARY = "recorder"
LIVE_RECORDS = "records live"
BURST_RECORDS = "records burst"
EXPLAIN = "explain "
"""With a question behind it, see explain.account.Asked.text."""

Tree = dict[str, Any]
Family = list[Any]
"""Name, type, help, and samples: [name, labels, value]."""

# Metrics that are neither summed up nor the largest one's.
_LEAST = {
    "kubedns_forwarder_feed_alive",
    "kubedns_forwarder_feed_serial",
    "kubedns_forwarder_upstream_up",
    "process_start_time_seconds",
    "process_max_fds",
}
_MOST = {
    "kubedns_forwarder_draining",
    "kubedns_forwarder_hot_file_age_seconds",
    "kubedns_forwarder_listeners",
    "kubedns_forwarder_upstream_srtt_seconds",
    "kubedns_forwarder_upstream_badness",
    "kubedns_forwarder_upstream_looping",
    "kubedns_forwarder_config_info",
    "kubedns_forwarder_config_bad",
    "kubedns_forwarder_config_last_error_timestamp_seconds",
    "kubedns_forwarder_config_last_error_info",
    "python_info",
}
_ALIKE = {
    "kubedns_forwarder_config_errors",
    "kubedns_forwarder_feed_begun",
    "kubedns_forwarder_feed_unexpected_serials",
    "kubedns_forwarder_feed_purges",
}
_COUNTED = ("counter", "histogram")
_TOP_NAMES = "kubedns_forwarder_top_name_queries"
_MOST_NAMES = 10

# Numbers of the status page, by their last key; all others are summed up.
_OF_STATUS: dict[str, Callable[[list[Any]], Any]] = {
    "uptime_s": max,
    "age_s": max,
    "heard_s_ago": max,
    "srtt_ms": max,
    "rttvar_ms": max,
    "bad": max,
    "losses_in_a_row": max,
    "serial": min,
    "alive": all,
    "draining": any,
    "state": lambda states: next((s for s in ("looping", "down") if s in states), states[0]),
    "unready": lambda reasons: next(filter(None, reasons), ""),
    **dict.fromkeys(("begun", "out_of_step", "purges"), lambda counts: counts[0]),
}
# What counts of a worker that has ended, and how to find it.
_COUNTS = {
    "hits", "misses", "stale", "prefetched", "insertions", "evictions", "limits_reached",
    "messages", "refused", "purged", "suspected", "dropped", "malformed", "bad_replies",
    "exceptions", "lines_dropped", "queries_suppressed", "sent", "retried", "failed", "timeouts",
}  # fmt: skip
_NAMES = {"domain", "server"}
_MAX_WARNINGS = 50


def bury(what: str, gone: bytes | None, said: bytes) -> bytes:
    """Return what stays of a worker that has ended, with what is left of others."""
    add = _BURY.get(what)
    if add is None:
        return gone or b"null"
    left = [json.loads(gone)] if gone is not None else []
    return json.dumps(add([*left, json.loads(said)])).encode()


# Statistics, as for the report of SIGUSR1


def report(parts: Sequence[Tree], gone: Tree | None) -> Tree:
    """Sum up what `worker.Worker.told` says for REPORT."""
    first = parts[0]
    all_parts = [*parts, *([gone] if gone else [])]
    stale = None if first["stale"] is None else sum(part["stale"] or 0 for part in all_parts)
    summed = _bury_report(all_parts)
    shown = {each["server"] for part in parts for each in part["servers"]}
    return {
        **summed,
        "stale": stale,
        "counts": {**summed["counts"], "cachesize": first["counts"]["cachesize"]},
        "tcp": [sum(values) for values in zip(*(part["tcp"] for part in parts), strict=True)],
        "servers": [each for each in summed["servers"] if each["server"] in shown],
    }


def _bury_report(parts: Sequence[Tree]) -> Tree:
    servers: dict[str, Tree] = {}
    for each in (each for part in parts for each in part["servers"]):
        known = servers.setdefault(each["server"], {**dict.fromkeys(each, 0), **_named(each)})
        sent = known["sent"] + each["sent"]
        times = known["sent"] * known["latency_ms"] + each["sent"] * each["latency_ms"]
        for key in ("sent", "retried", "failed", "nxdomain"):
            known[key] += each[key]
        known["latency_ms"] = times / sent if sent else max(known["latency_ms"], each["latency_ms"])
    keys = parts[0]["counts"]
    return {
        "counts": {key: sum(part["counts"][key] for part in parts) for key in keys},
        "stale": sum(part["stale"] or 0 for part in parts),
        "servers": list(servers.values()),
    }


def _named(tree: Tree) -> Tree:
    return {key: tree[key] for key in _NAMES & tree.keys()}


# Metrics


def metrics(parts: Sequence[list[Family]], gone: list[Family] | None) -> list[Family]:
    """Return one list of families."""
    found = _merged([*parts, *([gone] if gone else [])])
    for family in found:
        if family[0] == _TOP_NAMES:
            family[3] = _ranked(family[3])
    return found


def _ranked(samples: list[list[Any]]) -> list[list[Any]]:
    """Rank the names that workers are asked for most anew: each of them told its own ten."""
    sums: dict[str, float] = {}
    for _, labels, value in samples:
        sums[labels["name"]] = sums.get(labels["name"], 0) + value
    best = sorted(sums.items(), key=lambda each: (-each[1], each[0]))[:_MOST_NAMES]
    return [
        [_TOP_NAMES, {"rank": str(rank), "name": name}, value]
        for rank, (name, value) in enumerate(best, 1)
    ]


def _bury_metrics(parts: Sequence[list[Family]]) -> list[Family]:
    counted = ([each for each in part if each[1] in _COUNTED] for part in parts)
    return _merged([[each for each in part if each[0] not in _ALIKE] for part in counted])


def _merged(parts: Sequence[list[Family]]) -> list[Family]:
    found: dict[str, tuple[Family, dict[str, list[Any]]]] = {}
    for name, kind, text, samples in (family for part in parts for family in part):
        family, by_key = found.setdefault(name, ([name, kind, text, []], {}))
        if name in _ALIKE and family[3]:
            continue
        for sample, labels, value in samples:
            key = json.dumps([sample, labels], sort_keys=True)
            known = by_key.get(key)
            if known is None:
                by_key[key] = known = [sample, labels, value]
                family[3].append(known)
            elif name in _LEAST:
                known[2] = min(known[2], value)
            elif name in _MOST:
                known[2] = max(known[2], value)
            else:
                known[2] += value
    return [family for family, _ in found.values()]


# The status page


def status(parts: Sequence[Tree], gone: Tree | None) -> Tree:
    """Return one page; `worker` of each part becomes an item of `workers`."""
    workers = [part["worker"] for part in parts]
    texts = {each["text"]: each for part in parts for each in part["warnings"]}
    bare = [{k: v for k, v in part.items() if k not in ("worker", "warnings")} for part in parts]
    page: Tree = _status([*bare, *([gone] if gone else [])], "")
    cache = page["cache"]
    asked = cache["hits"] + cache["misses"]
    cache["hit_rate"] = round(cache["hits"] / asked, 4) if asked else None
    warnings = sorted(texts.values(), key=lambda each: str(each["time"]))[-_MAX_WARNINGS:]
    return {**page, "workers": workers, "warnings": warnings}


def _bury_status(parts: Sequence[Tree]) -> Tree:
    return dict(_status([_counts(part) for part in parts], ""))


def _status(values: list[Any], key: str) -> Any:
    """Merge what stands under one key."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    first = present[0]
    if key in _OF_STATUS:
        return _OF_STATUS[key](present)
    if isinstance(first, dict):
        trees = [value for value in present if isinstance(value, dict)]
        keys = dict.fromkeys(each for tree in trees for each in tree)
        return {
            each: _status([tree[each] for tree in trees if each in tree], each) for each in keys
        }
    if key in ("routes", "upstreams"):
        return _by_name(present)
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return sum(present)
    return first


def _by_name(lists: Iterable[list[Tree]]) -> list[Tree]:
    """Merge items of the same domain or server; only those that the first list has."""
    first, *others = lists
    found: dict[str, list[Tree]] = {_name(item): [item] for item in first}
    for item in (item for each in others for item in each):
        found.get(_name(item), []).append(item)
    return [_status(list(items), "") for items in found.values()]


def _name(item: Tree) -> str:
    return json.dumps([item.get("domain"), item.get("server"), item.get("kind")])


def _counts(tree: Any) -> Any:
    """Return the counts in a tree, and what leads there."""
    if isinstance(tree, list):
        return [_counts(item) for item in tree if isinstance(item, dict)]
    kept = {}
    for key, value in tree.items():
        if key in _COUNTS or key in _NAMES or (key == "kind" and "domain" in tree):
            kept[key] = value
        elif isinstance(value, dict) or key in ("routes", "upstreams"):
            below = _counts(value)
            if below:
                kept[key] = below
    return kept


_BURY: dict[str, Callable[[list[Any]], Any]] = {
    REPORT: _bury_report,
    METRICS: _bury_metrics,
    STATUS: _bury_status,
}
