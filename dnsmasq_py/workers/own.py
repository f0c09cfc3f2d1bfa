"""What one worker tells of itself, fit for JSON; sums.py makes one of several."""

import os
import time
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from prometheus_client.core import Metric

from dnsmasq_py import metrics as measured
from dnsmasq_py import pages
from dnsmasq_py.chaos import Statistics
from dnsmasq_py.metrics import Parts
from dnsmasq_py.observed import pages as observed_pages
from dnsmasq_py.observed.recorder import SLOTS
from dnsmasq_py.observed.watch import Observed
from dnsmasq_py.report import Tcp
from dnsmasq_py.upstream import Upstream
from dnsmasq_py.workers import sums


def report(
    told: Statistics, tcp: Tcp, upstreams: Iterable[Upstream], *, stale: int | None
) -> sums.Tree:
    """Return what CHAOS names and the report of SIGUSR1 need; stale: None where that is off."""
    counts = told._asdict()
    del counts["servers"]
    return {
        "counts": counts,
        "tcp": list(tcp),
        "stale": stale,
        "servers": [
            {
                "server": str(each.server),
                "sent": each.sent,
                "retried": each.retried,
                "failed": each.failed + each.timeouts,
                "nxdomain": each.nxdomain,
                "latency_ms": each.srtt * 1000,
            }
            for each in upstreams
        ],
    }


def metrics(parts: Parts) -> list[sums.Family]:
    """Return all metrics."""
    return [family(each) for each in measured.all_of(parts).collect()]


def observed(what: str, seen: Observed, count: int) -> Any:
    """Return what this worker saw of the traffic, or None; count: workers that tell it."""
    match what:
        case sums.TOP:
            return seen.top(observed_pages.MOST)
        case sums.FINDINGS:
            return seen.found()
        case sums.SUMMARY:
            return seen.recorder.summary()
        case sums.LIVE_RECORDS:
            ring = seen.recorder.ring
            # All together as many as one alone would hold: they go through the parent.
            begin = max(ring.first, ring.next - SLOTS // count)
            _, octets = ring.read(begin, ring.next - begin)
            return _records(octets, seen.recorder.offset)
        case sums.BURST_RECORDS if seen.recorder.burst is not None:
            seen.recorder.look()
            burst = seen.recorder.burst
            return _records(burst.before + burst.after, burst.offset)
    return None


def _records(octets: bytes, offset: float) -> sums.Tree:
    return {"offset": offset, "octets": b64encode(octets).decode("ascii")}


def family(metric: Metric) -> sums.Family:
    """Return one metric with its samples."""
    samples = [[each.name, each.labels, each.value] for each in metric.samples]
    return [metric.name, metric.type, metric.documentation, samples]


def status(parts: Parts, number: int) -> sums.Tree:
    """Return the status page with its routes, and a line about the worker with this number."""
    mine = pages.Pages(parts, time.monotonic)
    page = mine.status()
    page["worker"] = {
        "number": number,
        "pid": os.getpid(),
        "uptime_s": page["uptime_s"],
        "hits": page["cache"]["hits"],
        "misses": page["cache"]["misses"],
    }
    page["routes"] = [mine.route(route) for route in parts.state.routes.all]
    return page
