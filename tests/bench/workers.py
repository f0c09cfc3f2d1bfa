"""Two workers of the forwarder beside one, both on all cores of the machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.bench import Bench, say, warm_up
from tests.bench.compare import Cell, cell, costs, rates
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure, figure
from tests.bench.fronts import FRONTS
from tests.bench.goals import ONE_WORKER
from tests.bench.machine import ALL_CORES
from tests.bench.programs import UnavailableError
from tests.bench.systems import FORWARDER, POD, Running

_OPTION = "--workers"
_SOCKETS = 64
"""The kernel gives each socket of a client to one worker: with few of them that is a lottery."""

_CORES_FOR_A_RATE = 4


def measure(bench: Bench) -> Iterator[Figure]:
    """
    Put the workload (a) on both in turn.

    Raises:
        UnavailableError: the forwarder has no such option.
    """
    command = bench.commands.get(FORWARDER) or [sys.executable, "-m", "dnsmasq_py"]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True).stdout
    if _OPTION not in told:
        raise UnavailableError(f"{FORWARDER} has no {_OPTION}")
    say("workers: two beside one")
    load = Load(bench.files.cluster(bench.services(0)), sockets=_SOCKETS)
    two = FRONTS[0].named(POD, more=[f"{_OPTION}=2"], cores=ALL_CORES)
    one = FRONTS[0].named(ONE_WORKER, more=[f"{_OPTION}=1"], cores=ALL_CORES)
    cells: dict[str, list[Cell]] = {POD: [], ONE_WORKER: []}
    splits = []
    with ExitStack() as stack:
        running = bench.start([two, one], bench.setting, stack)
        warm_up(running, load)
        for _ in range(2 * bench.pace.rounds):
            for each in running:
                before = _shares_s(each)
                cells[each.name].append(cell(each, load, bench.pace.seconds))
                if each.name == POD:
                    splits.append(split(before, _shares_s(each)))
    yield costs("workers", "two workers and one, cached names", cells)
    title = "two workers: difference of their CPU, as a part of the mean"
    yield figure("workers.split", title, "ratio", {POD: splits})
    if len(ALL_CORES) >= _CORES_FOR_A_RATE:
        yield rates("workers", "two workers and one, cached names", cells)


def _shares_s(one: Running) -> dict[int, float]:
    return one.processes[0].shares_s()


def split(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the difference of the two processes that took the most, as a part of their mean."""
    used = sorted((taken - before.get(pid, 0.0) for pid, taken in after.items()), reverse=True)
    first, second = [*used, 0.0][:2]
    return (first - second) / ((first + second) / 2)
