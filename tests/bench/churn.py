"""The workload (a) while a hundred endpoints change a second, which all systems are told of."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.bench.bench import Bench, others_paused, say, warm_up
from tests.bench.compare import Cell, WrongError, cell, costs, latencies
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure, figure
from tests.bench.fronts import FRONTS
from tests.bench.objects import NAMESPACES, BenchService
from tests.bench.systems import Running
from tests.bench.updates import new_address
from tests.realapi.api import path_of

CHANGES_PER_S = 100

_OFFERED = 5_000
_SETTLE_S = 1.0
_CHANGING = tuple(
    BenchService(
        f"churn-{number}", NAMESPACES[2], None, tuple(f"10.12.{number}.{n}" for n in range(1, 11))
    )
    for number in range(10)
)
"""Ten headless services with ten endpoints each."""


def measure(bench: Bench) -> Iterator[Figure]:
    """Ask each system at the same rate, without and with changes; the others are paused."""
    title = f"(h) cached, {CHANGES_PER_S} changes/s"
    running = bench.running(FRONTS)
    bench.cluster.load(_CHANGING)
    fixed = [each.dns_name for each in bench.services(0) if each.cluster_ip]
    names = fixed + 3 * [each.dns_name for each in _CHANGING]
    load = Load(bench.files.of("churn", names), rate=_OFFERED)
    seconds = 2 * bench.pace.seconds
    warm_up(running, replace(load, rate=None))
    still: dict[str, list[Cell]] = {one.name: [] for one in running}
    moving: dict[str, list[Cell]] = {one.name: [] for one in running}
    made = []
    for number, one in itertools.product(range(3), running):
        say(f"{title}: {one.name}, round {number + 1}")
        try:
            with others_paused(one, running):
                quiet = cell(one, load, seconds)
                with _changes(bench) as count:
                    moving[one.name].append(cell(one, load, seconds))
            still[one.name].append(quiet)
            made.append(count[0] / seconds)
        except WrongError as error:  # other rounds may be better
            bench.leave_out(f"(h) round {number + 1}: {error}")
        _catch_up(running)
    moving = {name: cells for name, cells in moving.items() if cells}
    if running[0].name not in moving:
        raise WrongError("nothing that is right of ours")
    yield costs("h", f"{title}, {_OFFERED:,} queries/s", moving)
    yield from latencies("h", title, moving)
    more = {name: _more_us(still[name], moving[name], made) for name in moving}
    note = f"changes made: {min(made):.0f} to {max(made):.0f} a second"
    yield figure("h.change", f"{title}: more CPU, for one change", "µs", more, note)


def _more_us(still: list[Cell], moving: list[Cell], made: list[float]) -> list[float]:
    each_s = min(made)
    return [(two.busy - one.busy) / each_s * 1e6 for one, two in zip(still, moving, strict=True)]


def _catch_up(running: list[Running]) -> None:
    time.sleep(_SETTLE_S)
    for one in running:
        one.wait()


@contextmanager
def _changes(bench: Bench) -> Iterator[list[int]]:
    """Replace an endpoint of one service after the other meanwhile; gives their number."""
    count = [0]
    over = threading.Event()

    def change() -> None:
        begun = time.monotonic()
        with bench.cluster.connect() as api:
            for service in itertools.cycle(_CHANGING):
                due = begun + count[0] / CHANGES_PER_S
                if over.wait(max(due - time.monotonic(), 0)):
                    return
                addresses = (*service.addresses[1:], str(new_address()))
                slice_ = replace(service, addresses=addresses).slice_()
                api.ask("PUT", path_of(slice_), slice_)
                count[0] += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield count
    finally:
        over.set()
        thread.join()
