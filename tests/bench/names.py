"""From a thousand cached names to a million, asked uniformly: CPU for a hit, memory for a name."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from tests.bench import upstream
from tests.bench.bench import Bench, say
from tests.bench.compare import Cell, Cells, WrongError, check, costs, rounds
from tests.bench.dnsperf import Load, Outcome, run_once
from tests.bench.figures import Figure, figure
from tests.bench.fronts import FRONTS
from tests.bench.question_files import DOMAIN
from tests.bench.systems import COREDNS, DNSMASQ, POD, UNBOUND, Address, Running

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_MOST = {POD: 1_000_000, UNBOUND: 1_000_000, COREDNS: 100_000, DNSMASQ: 100_000}
"""Names for each; to fill a cache takes its time, and the goal is about two."""

_KEEP_S = 3_600  # as long as the upstream says
_ASKED = 200_000  # names of one round
_AT_A_TIME = 100
_ROUNDS = 3
_LOST = 0.02


@dataclass(frozen=True, slots=True)
class Full:
    """What was measured with so many names in each cache."""

    names: int
    cells: Cells
    memory_mb: Mapping[str, float]


def measure(bench: Bench) -> Iterator[Figure]:
    """Fill the caches step by step, and ask for what they hold."""
    bench.release()
    sizes = _SIZES[:2] if bench.quick else _SIZES
    with ExitStack() as stack:
        running = []
        for system in FRONTS:
            # Twice as much room: CoreDNS keeps half of it for answers, in small parts.
            room = 4 * min(_MOST[system.name], sizes[-1])
            setting = replace(bench.apart(), room=room, keep_s=_KEEP_S)
            running += bench.start([system], setting, stack)
        steps: list[Full] = []
        for names in sizes:
            running = [one for one in running if names <= _MOST[one.name]]
            steps.append(_step(bench, running, steps[-1].names if steps else 0, names))
            yield costs(f"i-names-{names}", f"(i) {names:,} cached names, uniform", steps[-1].cells)
    yield from _growth(steps)


def _step(bench: Bench, running: Sequence[Running], before: int, names: int) -> Full:
    memory_mb = {}
    for one in running:
        say(f"(i) {names:,} names for {one.name}")
        more = bench.files.write("fill", (f"{_name(each)}. A" for each in range(before, names)))
        fill = Load(more, in_flight=_AT_A_TIME)
        check(one, fill, run_once(fill, one.dns_port))
        for _ in range(2):  # ours keeps what it is asked for again in another form
            run_once(_uniform(bench, names, -1), one.dns_port)
        memory_mb[one.name] = one.memory_mb()
    loads = (_uniform(bench, names, number) for number in range(_ROUNDS))
    also = _Held(bench.upstream)
    cells = rounds(running, loads, bench.pace.seconds, also=also, failed=bench.leave_out)
    return Full(names, cells, memory_mb)


def _uniform(bench: Bench, names: int, number: int) -> Load:
    """Return some of the names, each once, others in each round."""
    asked = random.Random(number).sample(range(names), min(names, _ASKED))
    return Load(bench.files.write("uniform", (f"{_name(each)}. A" for each in asked)))


def _name(number: int) -> str:
    return f"m{number:07}.{DOMAIN}"


def _growth(steps: Sequence[Full]) -> Iterator[Figure]:
    first = steps[0]
    for step in steps[1:]:
        title = f"{first.names:,} to {step.names:,} cached names"
        octets = {
            name: [(taken - first.memory_mb[name]) * 1e6 / (step.names - first.names)]
            for name, taken in step.memory_mb.items()
        }
        note = "dnsmasq takes the memory for all names at its start"
        yield figure(f"i.names-memory-{step.names}", f"(i) memory for one more name, {title}",
                     "octets", octets, note)  # fmt: skip
    grown = {name: _grown(first.cells[name], made) for name, made in steps[-1].cells.items()}
    yield figure("i.names-cpu-growth", f"(i) CPU per query, {title}", "ratio", grown)


def _grown(small: Sequence[Cell], large: Sequence[Cell]) -> list[float]:
    base = statistics.median(each.cpu_us for each in small)
    return [each.cpu_us / base for each in large]


class _Held:
    """The check that what was answered came from the cache."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._before = upstream.questions(address)

    def __call__(self, one: Running, outcome: Outcome) -> None:
        now = upstream.questions(self._address)
        sent, self._before = now - self._before, now
        if sent > _LOST * outcome.answered:
            raise WrongError(f"{one.name} asked {sent} upstream for {outcome.answered} answers")
