"""
The HTTP pages of the forwarder: /healthz, /metrics and /status, on the loopback port; and those for
the kubelet's probes, on a port that the node can reach.

/status is JSON, one route a line: there may be thousands, and each is made when the client has read
the last one.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dnsmasq_py import metrics
from dnsmasq_py.metrics import Parts
from dnsmasq_py.observed import pages as observed_pages
from dnsmasq_py.report import domain_text, where
from dnsmasq_py.routing import Route
from dnsmasq_py.state import Problem, State
from dnsmasq_py.upstream import Upstream
from dnsmasq_py.upstreams import Group
from kubedns import __version__
from kubedns.serve import http


def probed(state: State) -> dict[str, Callable[[], http.Page]]:
    """
    Return the pages for probes by path: /healthz for liveness, /readyz for readiness.

    Liveness asks whether the process turns, and nothing else. A restart mends neither a server that
    is away nor a bad configuration, and while draining it would cut off those who still ask.
    """
    return {"/healthz": lambda: http.Page("ok\n"), "/readyz": lambda: _ready(state)}


class Pages:
    """See the head of this module. clock: monotonic seconds, those of upstreams too."""

    def __init__(self, parts: Parts, clock: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._exposition = metrics.exposition(parts)

    def pages(self) -> dict[str, http.Asking | Callable[[], http.Page]]:
        """Return them by path."""
        return {
            "/healthz": lambda: _ready(self._parts.state),
            "/metrics": lambda: http.Page(self._exposition(), media_type=http.METRICS),
            "/status": lambda: http.Page(self._status(), media_type=http.JSON),
            **observed_pages.pages(self._parts.observed),
        }

    def _status(self) -> Iterator[str]:
        routes = self._parts.state.routes.all
        yield from text(self.status(), (json.dumps(self.route(route)) for route in routes))

    def status(self) -> dict[str, Any]:
        """Return what /status shows beside the routes."""
        parts, state, counters = self._parts, self._parts.state, self._parts.counters
        parts.cache.collect()
        tcp = parts.tcp()
        hits = counters.hits + counters.tcp_hits
        asked = hits + counters.misses + counters.tcp_misses
        return {
            "version": __version__,
            "uptime_s": round(self._clock() - state.began, 3),
            "time": _time(time.time()),
            "unready": state.unready(),
            "draining": state.draining,
            "listeners": state.listeners(),
            "config": {
                "version": state.version,
                **state.config,
                "errors": [_problem(each) for each in state.problems.values()],
                "last_error": None if state.last_problem is None else _problem(state.last_problem),
                "ignored_servers": state.routes.warnings,
            },
            "cache": {
                "entries": len(parts.cache),
                "max_entries": parts.cache.max_entries,
                "bytes": parts.cache.octets,
                "max_bytes": parts.cache.max_octets,
                "hits": hits,
                "misses": asked - hits,
                "hit_rate": round(hits / asked, 4) if asked else None,
                "stale": counters.stale,
                "prefetched": counters.prefetched,
                "insertions": counters.insertions,
                "evictions": counters.evictions,
                "failures_remembered": len(parts.failures),
            },
            "load": {
                "in_flight": parts.in_flight(),
                "waiting_clients": parts.waiting(),
                "tcp_connections": tcp.open,
                "upstream_sockets": parts.sockets.sockets,
                "upstream_connections": parts.sockets.connections,
                "limits": dict(parts.limits),
                "limits_reached": dict(counters.limits),
            },
            "feed": self._feed(),
            "hot_file": None if parts.warm is None else parts.warm.status(),
            "dropped": dict(counters.dropped),
            "malformed": dict(counters.malformed),
            "bad_replies": dict(counters.bad_replies),
            "exceptions": counters.exceptions,
            "log": {
                "lines_dropped": parts.lines.dropped if parts.lines else 0,
                "problem": parts.lines.problem if parts.lines else "",
                "queries_suppressed": parts.query_log.suppressed if parts.query_log else 0,
            },
            "looping_servers": sorted(map(where, state.looping)),
            "warnings": [
                {"time": _time(warned.at), "text": warned.text} for warned in state.warnings
            ],
        }

    def _feed(self) -> dict[str, Any] | None:
        feed, purges = self._parts.feed, self._parts.purges
        if feed is None or purges is None:
            return None
        known = feed.instance != b""
        return {
            "alive": feed.alive,
            "teller": str(feed.teller),
            "instance": feed.instance.hex(),
            "serial": feed.serial,
            "heard_s_ago": round(self._clock() - feed.heard, 3) if known else None,
            "begun": feed.begun,
            "out_of_step": feed.out_of_step,
            "messages": dict(feed.messages),
            "refused": dict(feed.refused),
            "purges": purges.count,
            "purged": purges.dropped,
            "suspected": purges.suspected,
        }

    def route(self, route: Route) -> dict[str, Any]:
        """Return what /status shows of one route."""
        shown: dict[str, Any] = {
            "domain": domain_text(route),
            "kind": route.kind.name.lower(),
            "means": route.kind.value,
        }
        if route.group is not None:
            shown |= {
                "policy": route.group.policy.value,
                "in_flight": route.group.in_flight,
                "retry_tokens": route.group.tokens,
                "upstreams": [self._upstream(each, route.group) for each in route.group.upstreams],
            }
        return shown

    def _upstream(self, upstream: Upstream, group: Group) -> dict[str, Any]:
        now, habits = self._clock(), upstream.habits
        folds = group.spelling is None or habits.folds_until > now
        looping = upstream.server in self._parts.state.looping
        known = upstream.srtt > 0
        return {
            "server": str(upstream.server),
            "state": "looping" if looping else "up" if upstream.up else "down",
            "srtt_ms": round(1000 * upstream.srtt, 3) if known else None,
            "rttvar_ms": round(1000 * upstream.rttvar, 3) if known else None,
            "bad": round(upstream.bad, 3),
            "losses_in_a_row": upstream.consec_loss,
            "sent": upstream.sent,
            "retried": upstream.retried,
            "failed": upstream.failed,
            "timeouts": upstream.timeouts,
            "edns": _edns(habits.plain_until > now, habits.knows_edns),
            "case": "as asked" if folds else "mixed",
        }


def text(page: dict[str, Any], routes: Iterable[str]) -> Iterator[str]:
    """Give /status in pieces; routes: each as JSON."""
    head = json.dumps(page, indent=2)
    yield head.removesuffix("\n}") + ',\n  "routes": ['
    for number, route in enumerate(routes):
        yield (",\n    " if number else "\n    ") + route
    yield "\n  ]\n}\n"


def _ready(state: State) -> http.Page:
    reason = state.unready()
    return http.Page(f"{reason}\n", 503) if reason else http.Page("ok\n")


def _edns(refused: bool, known: bool) -> str:
    return "refused" if refused else "known" if known else "unknown"


def _problem(problem: Problem) -> dict[str, str]:
    return {
        "file": problem.file,
        "key": problem.key,
        "position": problem.position,
        "reason": problem.reason,
        "time": _time(problem.at),
    }


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
