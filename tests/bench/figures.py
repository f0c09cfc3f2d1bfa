"""Measured figures and their goals: the table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.systems import OURS


@dataclass(frozen=True, slots=True)
class Series:
    """
    What one system took, one value a round.

    ``goal`` is an upper bound: of the median for the system that is ours, of the ratio ours to
    theirs for every other one.
    """

    system: str
    values: Sequence[float]
    goal: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured, for every system in the same run."""

    title: str
    unit: str
    series: Sequence[Series]
    note: str = ""

    def ratio(self, other: Series) -> float | None:
        """Return how much ours took for each unit that the other system took."""
        ours = next((one for one in self.series if one.system in OURS), None)
        if ours is None or other.system in OURS or not other.median:
            return None
        if len(ours.values) == len(other.values) and all(other.values):
            pairs = zip(ours.values, other.values, strict=True)
            return statistics.median(mine / theirs for mine, theirs in pairs)
        return ours.median / other.median

    def met(self, one: Series) -> bool | None:
        """Tell whether the goal of this series is met; None where there is none."""
        if one.goal is None:
            return None
        measured = one.median if one.system in OURS else self.ratio(one)
        return None if measured is None else measured <= one.goal


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as text, a block for each, one line a system."""
    head = f"{'':34}{'median':>10}  {'min - max':>19}  {'ours/theirs':>11}  {'goal':>8}  met"
    lines = [head]
    for figure in figures:
        lines += ["", f"{figure.title} [{figure.unit}]"]
        for one in figure.series:
            ratio = figure.ratio(one)
            spread = f"{_short(min(one.values))} - {_short(max(one.values))}"
            lines.append(
                f"  {one.system:32}{_short(one.median):>10}  {spread:>19}"
                f"  {'' if ratio is None else f'{ratio:.2f}':>11}"
                f"  {'' if one.goal is None else f'<= {one.goal:g}':>8}"
                f"  {_yes_no(figure.met(one))}".rstrip()
            )
        lines += [f"  {figure.note}"] if figure.note else []
    return "\n".join(lines)


def verdict(figures: Iterable[Figure]) -> str:
    """Return how many goals there were, and which of them were not met."""
    met = {
        f"{figure.title} ({one.system})": yes
        for figure in figures
        for one in figure.series
        if (yes := figure.met(one)) is not None
    }
    missed = [name for name, yes in met.items() if not yes]
    return f"{len(met) - len(missed)} of {len(met)} goals met" + "".join(
        f"\n  not met: {name}" for name in missed
    )


def as_json(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """Return the figures as values that the json module takes."""
    return [
        {
            "title": figure.title,
            "unit": figure.unit,
            "note": figure.note,
            "series": [
                {
                    "system": one.system,
                    "values": list(one.values),
                    "median": one.median,
                    "ours_to_theirs": figure.ratio(one),
                    "goal": one.goal,
                    "met": figure.met(one),
                }
                for one in figure.series
            ],
        }
        for figure in figures
    ]


def _short(value: float) -> str:
    """Return three significant digits, and never an exponent."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"


def _yes_no(met: bool | None) -> str:
    return "" if met is None else "yes" if met else "NO"
