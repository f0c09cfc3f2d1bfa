"""Measured figures beside their goals: the table for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.goals import GOALS


@dataclass(frozen=True, slots=True)
class Series:
    """What one system took, one value a round."""

    system: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.values), max(self.values)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound and what was measured: of ours alone, or ours to that of another system."""

    figure: str
    system: str
    bound: float
    measured: float

    @property
    def reached(self) -> bool:
        return self.measured <= self.bound


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One thing measured, for every system in the same run; the first one is ours.

    key: the group and what of it, as in :mod:`tests.bench.goals`. goals: those that are not there.
    """

    key: str
    title: str
    unit: str
    series: Sequence[Series]
    note: str = ""
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def group(self) -> str:
        return self.key.partition(".")[0].partition("-")[0]

    def ratio(self, other: Series) -> float | None:
        """Return how much ours took for each unit that the other system took."""
        ours = self.series[0]
        if other is ours or not other.median:
            return None
        if len(ours.values) == len(other.values) and all(other.values):
            pairs = zip(ours.values, other.values, strict=True)
            return statistics.median(mine / theirs for mine, theirs in pairs)
        return ours.median / other.median

    def goal(self, one: Series) -> Goal | None:
        """Return the goal for a system, or None."""
        bound = {**GOALS.get(self.key, {}), **self.bounds}.get(one.system)
        measured = one.median if one is self.series[0] else self.ratio(one)
        if bound is None or measured is None:
            return None
        return Goal(self.title, one.system, bound, measured)


def figure(
    key: str, title: str, unit: str, values: Mapping[str, Sequence[float]], note: str = ""
) -> Figure:
    """Return the figure of these values, by system, ours first."""
    return Figure(key, title, unit, [Series(*each) for each in values.items()], note)


def goals(figures: Iterable[Figure]) -> Iterator[Goal]:
    """Return all goals of these figures."""
    for each in figures:
        for one in each.series:
            if goal := each.goal(one):
                yield goal


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as text, a block for each, one line a system."""
    head = f"{'':34}{'median':>10}  {'min - max':>19}  {'ours/theirs':>11}  {'goal':>8}"
    lines = [head]
    for each in figures:
        lines += ["", f"{each.title} [{each.unit}]"]
        for one in each.series:
            ratio, goal = each.ratio(one), each.goal(one)
            spread = " - ".join(map(short, one.spread))
            lines.append(
                f"  {one.system:32}{short(one.median):>10}  {spread:>19}"
                f"  {'' if ratio is None else f'{ratio:.2f}':>11}"
                f"  {'' if goal is None else f'<= {goal.bound:g}':>8}"
                f"  {'' if goal is None else 'reached' if goal.reached else 'MISSED'}".rstrip()
            )
        lines += [f"  {each.note}"] if each.note else []
    return "\n".join(lines)


def verdict(figures: Iterable[Figure]) -> str:
    """Return every goal, what was measured, and whether that reaches it; missed ones last."""
    found = sorted(goals(figures), key=lambda goal: not goal.reached)
    lines = [f"{sum(goal.reached for goal in found)} of {len(found)} goals reached"]
    for goal in found:
        word = "reached" if goal.reached else "MISSED"
        measured = f"{short(goal.measured):>6} <= {goal.bound:g}"
        lines.append(f"  {word:8}{measured:18}{goal.figure} ({goal.system})")
    return "\n".join(lines)


def as_json(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """Return the figures as values that the json module takes."""
    return [
        {
            "key": each.key,
            "title": each.title,
            "unit": each.unit,
            "note": each.note,
            "series": [_series(each, one) for one in each.series],
        }
        for each in figures
    ]


def _series(of: Figure, one: Series) -> dict[str, Any]:
    goal = of.goal(one)
    return {
        "system": one.system,
        "values": list(one.values),
        "median": one.median,
        "ours_to_theirs": of.ratio(one),
        "goal": goal and goal.bound,
        "reached": goal and goal.reached,
    }


def short(value: float) -> str:
    """Return three significant digits, and never an exponent."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"
