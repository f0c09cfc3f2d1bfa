"""What may happen to a pod, and what the failure table allows while it does.  No IO."""

from __future__ import annotations

from dataclasses import dataclass

HEALS_S = 15.0
"""How long after its end what happened still excuses answers; as the table's promises have it."""

NEWS_S = 5.0
"""By which a change may come late on a loaded machine when nothing happens at all."""

SNAPSHOT_S = 15.0
"""How old a snapshot may be when its process dies: it is written at most 12 s after a change."""


@dataclass(frozen=True, slots=True)
class Kind:
    """
    One kind of disturbance.

    row: of the table. lasts: from and to, in seconds. uses: what it takes hold of; two that share
    one never happen together. stale: which names may be behind, "cluster", "stub" or none; by what
    was true up to `back_s` before it began. outside_fails: names outside may go unanswered. hides:
    "kubedns" cannot be asked, the "cache" may have lost what it knew.
    """

    name: str
    row: str
    lasts: tuple[float, float]
    uses: frozenset[str]
    stale: str = ""
    back_s: float = NEWS_S
    outside_fails: bool = False
    hides: str = ""
    heals_s: float = HEALS_S


def _kind(
    name: str,
    row: str,
    lasts: tuple[float, float],
    uses: str,
    *,
    stale: str = "",
    back_s: float = NEWS_S,
    outside_fails: bool = False,
    hides: str = "",
) -> Kind:
    return Kind(name, row, lasts, frozenset(uses.split()), stale, back_s, outside_fails, hides)


_EVERYTHING = "api kubedns forwarder sidecar outside config client disk feed clock"

BUSY = Kind("machine too busy", "-", (0, 0), frozenset(), "any", NEWS_S, True, "kubedns cache", 2.0)
"""No disturbance of ours: others take the processors, see busy.py.  Only what is wrong counts."""

KINDS = (
    _kind("API away", "1", (3, 20), "api", stale="cluster"),
    _kind("API killed", "1", (3, 12), "api clock", stale="cluster"),
    _kind("API late", "2a", (4, 15), "api", stale="cluster"),
    _kind("API 500", "2b", (3, 12), "api", stale="cluster"),
    _kind("API 429", "2c", (3, 12), "api", stale="cluster"),
    _kind("API compacted", "3", (2, 5), "api clock", stale="cluster"),
    _kind(
        "kubedns KILL", "4a", (2, 8), "kubedns clock", stale="cluster", back_s=SNAPSHOT_S,
        hides="kubedns",
    ),
    _kind("kubedns STOP", "4b", (2, 20), "kubedns", stale="cluster", hides="kubedns"),
    _kind("forwarder KILL", "6a", (2, 6), "forwarder", hides="cache"),
    _kind("pod rolled", "6b", (6, 10), _EVERYTHING, hides="cache"),
    _kind("sidecar KILL", "7", (2, 6), "sidecar"),
    _kind("one upstream dead", "8a", (4, 15), "outside"),
    _kind("upstreams dead", "8b", (3, 15), "outside", outside_fails=True),
    _kind("upstreams flap", "8c", (4, 12), "outside", outside_fails=True),
    _kind("10 % lost", "8d", (4, 12), "outside"),
    _kind("30 % lost", "8e", (4, 12), "outside", outside_fails=True),
    _kind("upstreams late", "8f", (4, 12), "outside", outside_fails=True),
    _kind("ConfigMap", "9", (4, 12), "config forwarder", stale="stub"),
    _kind("churn", "10", (3, 8), "api churn clock", stale="cluster", hides="cache"),
    _kind("unique names", "11", (3, 8), "client", hides="cache"),
    _kind("one client", "12a", (3, 6), "client", hides="cache"),
    _kind("TCP idle", "12b", (4, 10), "client"),
    _kind("TCP half-open", "12c", (4, 10), "client"),
    _kind("TCP not read", "12d", (4, 10), "client"),
    _kind("disk full", "13a", (4, 15), "disk", stale="cluster", back_s=SNAPSHOT_S),
    _kind("disk read-only", "13b", (4, 15), "disk", stale="cluster", back_s=SNAPSHOT_S),
    _kind("clock stepped", "14", (4, 10), "clock api kubedns"),
    _kind("NOTIFY forged", "15a", (3, 6), "feed"),
    _kind("NOTIFY replayed", "15b", (3, 6), "feed"),
    _kind("NOTIFY flooded", "15c", (3, 6), "feed"),
    _kind("NOTIFY lost", "15d", (4, 12), "feed", stale="cluster"),
)  # fmt: skip
