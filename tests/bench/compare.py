"""One load put on several servers in turn, round by round: CPU per query, and the rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.bench import dnsperf
from tests.bench.dnsperf import Load, Outcome
from tests.bench.figures import Figure, Series
from tests.bench.systems import ECHO, Running

Check = Callable[[Running, Outcome], None]


class WrongError(Exception):
    """A server lost questions or gave wrong answers: its figure would mean nothing."""


def compare(
    title: str,
    running: Sequence[Running],
    loads: Sequence[Load],
    *,
    seconds: float,
    goals: Mapping[str, float],
    also: Check | None = None,
) -> Iterator[Figure]:
    """
    Put these loads, one a round, on each server for some seconds.

    ``also`` is a further check of what came back, beside :func:`check`.

    Raises:
        WrongError: one of the outcomes cannot be compared.
    """
    cost_us: dict[str, list[float]] = {one.name: [] for one in running}
    rates: dict[str, list[float]] = {one.name: [] for one in running}
    busy: dict[str, list[float]] = {one.name: [] for one in running}
    for load in loads:
        for one in running:
            before_s = one.process.cpu_s()
            outcome = dnsperf.run(
                load, one.dns_port, seconds=seconds, per_connection=one.per_connection
            )
            used_s = one.process.cpu_s() - before_s
            check(one, outcome)
            if also:
                also(one, outcome)
            cost_us[one.name].append(used_s / outcome.answered * 1e6)
            rates[one.name].append(outcome.rate / 1000)
            busy[one.name].append(used_s * outcome.rate / outcome.answered)
    note = ", ".join(f"{name} {max(shares):.0%}" for name, shares in busy.items())
    yield Figure(
        title,
        "us",
        [Series(name, values, goals.get(name)) for name, values in cost_us.items()],
        note=f"of its core each was using: {note}",
    )
    if loads[0].rate is None:
        yield Figure(
            title.replace("CPU per query", "rate"),
            "1,000 queries/s, more is better",
            [Series(name, values) for name, values in rates.items()],
        )


def check(one: Running, outcome: Outcome) -> None:
    """
    Refuse an outcome that says nothing about the server.

    Raises:
        WrongError: it ended, lost more than 1 % of the questions, or gave errors.
    """
    if not one.process.alive():
        raise WrongError(f"{one.name} ended: {one.process.last_words()}")
    if not outcome.answered or outcome.lost > outcome.answered / 100:
        raise WrongError(f"{one.name} lost {outcome.lost} of {outcome.answered + outcome.lost}")
    if outcome.not_noerror and one.name != ECHO:
        raise WrongError(f"{one.name} gave {outcome.not_noerror} answers that were not NOERROR")
