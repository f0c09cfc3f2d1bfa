"""
What the figures should be, by the key of a figure and the system.

For ours a goal is an upper bound of what it takes; for every other system it is one of the ratio
ours to theirs.  All are of medians.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubedns import batch
from tests.bench.systems import COREDNS, DNSMASQ, ECHO, KUBEDNS, POD, UNBOUND

ONE_WORKER = "one worker"
WITHOUT_FEED = "without feed"
WITHOUT_RECORDER = "without recorder"

_PYTHON_ALONE = {DNSMASQ: 0.6, COREDNS: 0.35, UNBOUND: 1.15, ECHO: 1.4}
_NATIVE = {DNSMASQ: 0.5, COREDNS: 0.35, UNBOUND: 1.1, ECHO: 1.2}
_P99 = {DNSMASQ: 1.0, COREDNS: 1.0, UNBOUND: 1.5}

GOALS: Mapping[str, Mapping[str, float]] = {
    "a.cpu": _NATIVE if batch.is_native() else _PYTHON_ALONE,
    "a-plain.cpu": _PYTHON_ALONE,
    "a.p99": _P99,
    "b.p99": _P99,
    "c.cpu": {DNSMASQ: 0.8, COREDNS: 0.7, UNBOUND: 0.7},
    "c.p99": _P99,
    "c-room.cpu": {DNSMASQ: 0.8, COREDNS: 0.7, UNBOUND: 0.7},
    "d.cpu": {DNSMASQ: 0.2, COREDNS: 0.4},
    "d.p99": _P99,
    "e.cpu": {COREDNS: 0.35},
    "i.memory-5000": {COREDNS: 0.75},
    "i.memory-10000": {COREDNS: 0.65},
    "i.names-cpu-growth": {UNBOUND: 1.0},
    "k.cpu": {DNSMASQ: 1.05, COREDNS: 0.4},
    "workers.cpu": {ONE_WORKER: 1.1},
    "workers.split": {POD: 0.2},
    "explain.new": {POD: 100.0},
    "explain.known": {POD: 100.0},
    "explain.hit": {WITHOUT_RECORDER: 1.05},
    "explain.hit-plain": {WITHOUT_RECORDER: 1.05},
    "pod.pss": {POD: 105.0},
    "fresh.median": {POD: 50.0},
    "fresh.p99": {POD: 250.0},
    "fresh.hit": {WITHOUT_FEED: 1.03},
    "startup.first": {KUBEDNS: 1.0},
    "recovery.10": {KUBEDNS: 3.0},
    "recovery.45": {KUBEDNS: 3.0},
}
