"""What a part of the forwarder costs a hit: with it and without, in many short rounds in turns."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from tests.bench.bench import Bench, say, warm_up
from tests.bench.compare import costs, rounds
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure
from tests.bench.systems import System


def hits(bench: Bench, key: str, title: str, with_it: System, without: System) -> Figure:
    """Return the CPU of cached cluster names, of the one and of the other."""
    say(title)
    load = Load(bench.files.cluster(bench.services(0)))
    with ExitStack() as stack:
        running = bench.start([with_it, without], bench.setting, stack)
        warm_up(running, load)
        pairs, seconds = (10, 0.3) if bench.quick else (24, 0.5)
        cells = rounds(running, [load] * pairs, seconds, failed=bench.leave_out)
        return replace(costs(key, title, cells), key=key)
