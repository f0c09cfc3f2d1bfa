"""A chart of a figure: a bar for each system, its spread, and where ours had to be."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from tests.bench.figures import Figure, short

# The same figures make the same file, in the fonts of the reader.
matplotlib.rcParams.update({"svg.hashsalt": "figures", "svg.fonttype": "none", "font.size": 9})

_OURS, _THEIRS, _GOAL = "#1f6feb", "#9aa4b2", "#b35900"
_WIDTH, _ROW, _REST = 7.2, 0.34, 1.0  # inches


def draw(figure: Figure, path: Path) -> None:
    """Write the chart of a figure as SVG."""
    rows = len(figure.series)
    drawn, axes = pyplot.subplots(figsize=(_WIDTH, _ROW * rows + _REST), layout="constrained")
    medians = [one.median for one in figure.series]
    least = [one.median - one.spread[0] for one in figure.series]
    most = [one.spread[1] - one.median for one in figure.series]
    axes.barh(
        range(rows),
        medians,
        height=0.7,
        xerr=[least, most],
        color=[_OURS, *[_THEIRS] * (rows - 1)],
        error_kw={"elinewidth": 1, "capsize": 3, "ecolor": "#57606a"},
    )
    axes.set_yticks(range(rows), [one.system for one in figure.series])
    axes.invert_yaxis()
    _write_values(figure, axes)
    _mark_goals(figure, axes)
    axes.set_title(figure.title, loc="left", fontsize=10)
    marked = any(map(figure.goal, figure.series))
    axes.set_xlabel(figure.unit + ("; lines: what ours may take at most" if marked else ""))
    axes.set_xlim(left=0)
    axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    drawn.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(drawn)


def _write_values(figure: Figure, axes: Axes) -> None:
    for row, one in enumerate(figure.series):
        ratio = figure.ratio(one)
        text = short(one.median) + ("" if ratio is None else f"   (ours: {ratio:.2f} of it)")
        axes.annotate(
            text, (max(one.spread[1], one.median), row), (6, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip


def _mark_goals(figure: Figure, axes: Axes) -> None:
    """Put a mark for each goal where ours had to end at the latest."""
    for row, one in enumerate(figure.series):
        goal = figure.goal(one)
        if goal is None:
            continue
        at = goal.bound if row == 0 else goal.bound * one.median
        axes.plot([at, at], [-0.45, 0.45], color=_GOAL, linewidth=1.5)
