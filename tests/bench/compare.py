"""One load put on several systems in turn, round by round: what each took for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench import dnsperf
from tests.bench.dnsperf import Load, Outcome
from tests.bench.figures import Figure, figure
from tests.bench.systems import ECHO, Running

Check = Callable[[Running, Outcome], None]
_OFFERED = 0.7
"""The fixed rate, as a part of what the slowest system can do."""


class WrongError(Exception):
    """A server lost questions or gave wrong answers: its figure would mean nothing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one system did in one round: CPU in us for a question, the part of a core it used."""

    cpu_us: float
    busy: float
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Pace:
    """How many rounds of how many seconds."""

    rounds: int
    seconds: float


Cells = Mapping[str, Sequence[Cell]]


def cell(one: Running, load: Load, seconds: float, also: Check | None = None) -> Cell:
    """
    Put a load on one system for some seconds.

    ``also`` is a further check of what came back, beside :func:`check`.

    Raises:
        WrongError: the outcome cannot be compared.
    """
    before_s = one.cpu_s()
    outcome = dnsperf.run(load, one.dns_port, seconds=seconds, per_connection=one.per_connection)
    used_s = one.cpu_s() - before_s
    check(one, load, outcome)
    if also:
        also(one, outcome)
    used_us = used_s / outcome.answered * 1e6
    return Cell(used_us, used_us * outcome.rate / 1e6, outcome)


def rounds(
    running: Sequence[Running],
    loads: Iterable[Load],
    seconds: float,
    *,
    also: Check | None = None,
    failed: Callable[[str], None],
) -> Cells:
    """
    Put these loads, one a round, on each system in turn.

    What a system gets wrong once does not count; one that does so again is left out, and
    ``failed`` is told why.

    Raises:
        WrongError: the first system, ours, is such a one.
    """
    cells: dict[str, list[Cell]] = {one.name: [] for one in running}
    wrong: set[str] = set()
    for load in loads:
        for one in running:
            if one.name not in cells:
                continue
            try:
                cells[one.name].append(cell(one, load, seconds, also))
            except WrongError as error:
                if one.name not in wrong:
                    wrong.add(one.name)
                    continue
                if one is running[0]:
                    raise
                failed(str(error))
                del cells[one.name]
    return {name: made for name, made in cells.items() if made}


def check(one: Running, load: Load, outcome: Outcome) -> None:
    """
    Refuse an outcome that says nothing about the system.

    Raises:
        WrongError: it ended, lost more than 1 % of the questions, or gave wrong answers.
    """
    asked = outcome.answered + outcome.lost
    if not one.alive():
        raise WrongError(f"{one.name} ended: {one.last_words()}")
    if not outcome.answered or outcome.lost > asked / 100:
        raise WrongError(f"{one.name} lost {outcome.lost} of {asked} questions")
    good = outcome.noerror / outcome.answered
    if one.name != ECHO and abs(good - load.good) > 0.02:
        raise WrongError(f"{one.name}: {good:.1%} of the answers are NOERROR, not {load.good:.0%}")


def costs(key: str, title: str, cells: Cells, *, per: int = 1, unit: str = "query") -> Figure:
    """Return the CPU for a query, or for ``per`` of them under another name."""
    taken = {name: [each.cpu_us * per for each in made] for name, made in cells.items()}
    busy = ", ".join(
        f"{name} {max(each.busy for each in made):.0%}" for name, made in cells.items()
    )
    note = f"of its core each was using: {busy}"
    return figure(f"{key}.cpu", f"{title}: CPU per {unit}", "µs", taken, note)


def rates(key: str, title: str, cells: Cells, *, per: int = 1, unit: str = "query") -> Figure:
    """Return how many a second were answered."""
    many = {name: [each.outcome.rate / per / 1e3 for each in made] for name, made in cells.items()}
    what = f"1,000 {'queries' if unit == 'query' else unit + 's'}/s, more is better"
    return figure(f"{key}.rate", f"{title}: rate", what, many)


def offered(cells: Cells) -> float:
    """Return the fixed rate: 70 % of what the slowest system could do in these rounds."""
    slowest = min(
        statistics.median(each.outcome.rate for each in made)
        for name, made in cells.items()
        if name != ECHO
    )
    return _OFFERED * slowest


def latencies(key: str, title: str, cells: Cells) -> Iterator[Figure]:
    """Return the latencies of paced rounds."""
    rate = statistics.median(each.outcome.rate for made in cells.values() for each in made)
    for percent in (50, 99):
        taken = {
            name: [each.outcome.percentile_ms(percent) for each in made]
            for name, made in cells.items()
        }
        at = f"at {rate:,.0f} queries/s"
        yield figure(f"{key}.p{percent}", f"{title}: p{percent} {at}", "ms", taken)
