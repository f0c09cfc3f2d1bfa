"""
One more endpoint in a service of ten: CPU for it, and how soon the answer has it.

The API server has one core with the questions; the server under test has the other.  The change is
a PUT of the service's one slice; the clock starts when its response has been read.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, Series
from tests.bench.objects import of_ten
from tests.bench.question import Question
from tests.bench.systems import KUBEDNS, Running
from tests.realapi.api import Api, path_of

_PATIENCE_S = 20.0
_POLL_PAUSE_S = 0.0001
_BETWEEN_S = 0.01
_SETTLE_S = 1.0  # what a server still does after its start is not part of a change
_NEW = itertools.count(int(IPv4Address("10.10.0.1")))


def one_more(api: Api) -> bytes:
    """Put the slice of ``of_ten()`` with an eleventh address, a new one; return that packed."""
    added = IPv4Address(next(_NEW))
    slice_ = of_ten().slice_(extra=(str(added),))
    api.ask("PUT", path_of(slice_), slice_)
    return added.packed


def measure(bench: Bench, size: str) -> Iterator[Figure]:
    """Change the endpoints of ``of_ten()``, which the cluster must have."""
    rounds, changes = (2, 15) if bench.quick else (3, 25)
    latency_ms: dict[str, list[float]] = {system.name: [] for system in bench.watchers}
    cpu_us: dict[str, list[float]] = {system.name: [] for system in bench.watchers}
    for _, system in itertools.product(range(rounds), bench.watchers):
        say(f"endpoint changes seen by {system.name}, {size}")
        with bench.running(system) as one, bench.cluster.connect() as api:
            question = Question(of_ten().dns_name, one.dns_port)
            _see(question, one_more(api))
            time.sleep(_SETTLE_S)
            latency_ms[system.name] += [_latency_s(question, api) * 1e3 for _ in range(changes)]
            cpu_us[system.name].append(_cpu_s(one, question, api, count=4 * changes) * 1e6)
            question.close()

    def figure(title: str, unit: str, taken: dict[str, list[float]], goal: float | None) -> Figure:
        series = [
            Series(name, values, goal if name == KUBEDNS else None)
            for name, values in taken.items()
        ]
        return Figure(f"{title}, {size}", unit, series)

    yield figure("API response to new answer", "ms", latency_ms, 5.0)
    yield figure("CPU for one changed endpoint", "us", cpu_us, None)


def _see(question: Question, address: bytes) -> float:
    deadline = time.monotonic() + _PATIENCE_S
    return question.wait_for([address], deadline=deadline, pause_s=_POLL_PAUSE_S)


def _latency_s(question: Question, api: Api) -> float:
    time.sleep(_BETWEEN_S)
    added = one_more(api)
    responded = time.monotonic()
    return _see(question, added) - responded


def _cpu_s(one: Running, question: Question, api: Api, *, count: int) -> float:
    """Return the CPU seconds for one change, of ``count`` that no one asks about."""
    time.sleep(0.2)
    before_s = one.process.cpu_s()
    for _ in range(count):
        added = one_more(api)
        time.sleep(_BETWEEN_S)
    _see(question, added)
    return (one.process.cpu_s() - before_s) / count


def same_cost(small: list[Figure], large: list[Figure]) -> Iterator[Figure]:
    """Say how much more one change costs in the large cluster than in the empty one."""
    empty, full = small[1], large[1]
    yield Figure(
        "CPU for one changed endpoint, large to empty cluster",
        "ratio",
        [
            Series(ours.system, [theirs.median / ours.median], 1.2)
            if ours.system == KUBEDNS
            else Series(ours.system, [theirs.median / ours.median])
            for ours, theirs in zip(empty.series, full.series, strict=True)
        ],
    )
