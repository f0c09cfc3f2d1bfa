"""
The HTTP pages of kubedns: readiness, metrics, the records, and what /status tells.

The same pages answer on every public port, as the original's; /status and those of
kubedns/explain are on the loopback port only.
"""

import json
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from kubedns import __version__, metrics
from kubedns.cluster.source import Source
from kubedns.config import Config
from kubedns.nameserver import Nameserver
from kubedns.options import Options
from kubedns.serve import http
from kubedns.wire import name as names
from kubedns.zone import dump


@dataclass(slots=True)
class State:
    """
    What the service knows beside its parts; it writes, the pages read.

    began: monotonic seconds. late: --initial-sync-timeout has passed before the first sync.
    config_errors: the last error of each bad key.
    """

    began: float
    draining: bool = False
    late: bool = False
    config: Config = field(default_factory=Config)
    config_errors: dict[str, str] = field(default_factory=dict)
    config_error_counts: Counter[str] = field(default_factory=Counter)
    resolv_conf: tuple[Nameserver, ...] = ()


class Pages:
    """See the head of this module. clock: monotonic seconds."""

    def __init__(
        self,
        parts: metrics.Parts,
        state: State,
        source: Source,
        options: Options,
        *,
        clock: Callable[[], float],
        explaining: http.Pages,
    ) -> None:
        """explaining: pages for the loopback port beside our own."""
        self._explaining = explaining
        self._parts = parts
        self._state = state
        self._source = source
        self._options = options
        self._clock = clock
        prefix = f"{options.prometheus_namespace}_{options.prometheus_subsystem}_"
        self._exposition = metrics.exposition(parts, prefix)

    def public(self) -> dict[str, Callable[[], http.Page]]:
        """Return the pages for probes and Prometheus, by path."""
        pages: dict[str, Callable[[], http.Page]] = {
            "/readiness": self._readiness,
            "/healthz": lambda: http.Page("ok\n"),
            self._options.prometheus_path: self._metrics,
        }
        if self._options.serve_cache:
            pages["/cache"] = self._cache
        return pages

    def private(self) -> http.Pages:
        """Return the pages for the loopback port, by path."""
        own = {**self.public(), "/metrics": self._metrics, "/status": self._status}
        return {**own, **self._explaining}

    def _readiness(self) -> http.Page:
        if self._state.draining:
            return http.Page("shutting down\n", 503)
        saving = self._parts.saving
        if saving.stale:
            return http.Page(f"ok, from a snapshot {saving.age_s:.0f} s old\n")
        if not self._parts.zone.synced:
            missing = ", ".join(self._source.missing()) or "the first records"
            return http.Page(f"not in sync with the cluster: waiting for {missing}\n", 503)
        return http.Page("ok\n")

    def _metrics(self) -> http.Page:
        return http.Page(self._exposition(), media_type=http.METRICS)

    def _cache(self) -> http.Page:
        return http.Page(dump.pieces(self._parts.zone))

    def _status(self) -> http.Page:
        return http.Page(json.dumps(self.status(), indent=2) + "\n", media_type=http.JSON)

    def status(self) -> dict[str, object]:
        """Return what /status shows."""
        now = self._clock()
        parts, state = self._parts, self._state
        tree = parts.zone.tree
        sizes = [branch.size() for _, branch in tree.branches()]
        return {
            "version": __version__,
            "zone": names.to_text(tree.zone),
            "uptime_s": round(now - state.began, 3),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "synced": parts.zone.synced,
            "waiting_for": self._source.missing(),
            "initial_sync_timed_out": state.late,
            "draining": state.draining,
            "sources": self._source.status(now),
            "audits": self._source.audits(now),
            "zone_waiting_s": round(parts.waiting_s(), 3),
            "objects": {kind.value: count for kind, count in parts.pairing.counts().items()},
            "object_problems": parts.feed.problems,
            "serial": tree.serial,
            "services": len(sizes),
            "records": sum(sizes),
            "ready_answers": len(parts.answers.table),
            "pods": parts.zone.pods.value,
            "exceptions": parts.counters.exceptions,
            "dropped": dict(parts.counters.dropped),
            "outside": dict(parts.outside()),
            "notify": parts.teller.status(),
            "snapshot": parts.saving.status(),
            "explain": self._options.explain.value,
            "config": {
                "stub_domains": {
                    domain: [str(server) for server in servers]
                    for domain, servers in state.config.stub_domains.items()
                },
                "upstream_nameservers": [str(s) for s in state.config.upstream_nameservers],
                "resolv_conf": [str(server) for server in state.resolv_conf],
                "errors": state.config_errors,
            },
        }


def stacks() -> http.Page:
    """Show what every thread does (--profiling)."""
    frames = sys._current_frames()
    return http.Page(
        "\n".join(
            f"{thread.name}\n{''.join(traceback.format_stack(frames[thread.ident]))}"
            for thread in threading.enumerate()
            if thread.ident in frames
        )
    )
