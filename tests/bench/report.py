"""What a run leaves behind: a page with the table, JSON, and a chart for each figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.charts import draw
from tests.bench.figures import Figure, as_json, goals, short, verdict
from tests.bench.systems import COREDNS, DNSMASQ, ECHO, UNBOUND

RESULTS = Path(__file__).parent / "results"
"""Of the newest whole run."""

PARTIAL = RESULTS / "partial"
"""Of the newest short run, or one of some groups."""

README = Path(__file__).parents[2] / "README.md"
"""Of the project: it shows what a whole run found between two marks."""

_MARKS = "<!-- figures -->\n", "<!-- end of figures -->\n"
_SHOWN = (
    "a.cpu", "a-plain.cpu", "a.p99", "a.memory", "b.cpu", "c.cpu", "c-room.cpu", "d.cpu",
    "d.rate", "k.cpu", "g-many.cpu", "g-one.cpu", "g-dot.cpu", "h.cpu", "h.p99", "f.cpu", "e.cpu",
    "j-udp.cpu", "i-10000.cpu", "i.memory-5000", "i.memory-10000", "i.first-5000", "i-10000.update",
    "i-names-1000000.cpu", "i.names-memory-1000000", "fresh.median", "fresh.p99", "fresh.batch",
    "pod.pss",
)  # fmt: skip
_DRAWN = ("a.cpu", "k.cpu", "c.cpu", "d.cpu", "e.cpu", "fresh.batch")
_PEERS = (DNSMASQ, COREDNS, UNBOUND, ECHO)


def write(
    folder: Path, machine: Mapping[str, str], figures: Sequence[Figure], left_out: Sequence[str]
) -> None:
    """Write the results into a folder, in place of earlier ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for each in figures:
        draw(each, folder / chart_name(each))
    values = {
        "machine": dict(machine),
        "left_out": list(left_out),
        "figures": as_json(figures),
    }
    (folder / "results.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    (folder / "README.md").write_text(page(machine, figures, left_out))


def chart_name(figure: Figure) -> str:
    """Return the name of the file with the chart of a figure."""
    return f"{figure.key.replace('.', '-')}.svg"


def page(machine: Mapping[str, str], figures: Sequence[Figure], left_out: Sequence[str]) -> str:
    """Return the page in Markdown: goals, then every figure with its chart."""
    lines = [
        f"# Figures of {machine['date']}",
        "",
        ", ".join(f"{name}: {value}" for name, value in machine.items() if name != "date") + ".",
        "Medians; ours / theirs is the median of the ratios of each round.",
        "",
        *goal_rows(figures),
        "",
        *(f"- left out: {reason}" for reason in left_out),
    ]
    for each in figures:
        lines += ["", f"## {each.title}", "", *figure_rows(each), ""]
        lines += [f"{each.note[0].upper()}{each.note[1:]}.", ""] if each.note else []
        lines += [f"![{each.title}]({chart_name(each)})"]
    return "\n".join(lines) + "\n"


def show(readme: Path, machine: Mapping[str, str], figures: Sequence[Figure]) -> bool:
    """Write the newest figures between the marks of a README; False if it has no such marks."""
    before, first, rest = readme.read_text().partition(_MARKS[0])
    _, last, after = rest.partition(_MARKS[1])
    text = "\n".join(["", *summary(machine, figures), ""])
    if last:
        readme.write_text(f"{before}{first}{text}{last}{after}")
    return bool(last)


def summary(machine: Mapping[str, str], figures: Sequence[Figure]) -> list[str]:
    """Return what a README shows: a table with a column for each system, and some charts."""
    found = {each.key: each for each in figures}
    where = RESULTS.relative_to(README.parent)
    charts = [
        f"![{found[key].title}]({where}/{chart_name(found[key])})" for key in _DRAWN if key in found
    ]
    return [
        f"Medians of {machine['date']}; {machine['processor']}, {machine['cores']} cores, Python"
        f" {machine['python']}. {verdict(figures).partition(chr(10))[0]};"
        f" where one is missed, ours is bold; [all figures, goals and charts]({where}/README.md).",
        "",
        f"| | ours | {' | '.join(_PEERS)} |",
        "|---|---|" + "---|" * len(_PEERS),
        *(_row(found[key]) for key in _SHOWN if key in found),
        "",
        *charts,
    ]


def _row(figure: Figure) -> str:
    taken = {one.system: short(one.median) for one in figure.series[1:]}
    ours = short(figure.series[0].median)
    missed = any(not goal.reached for goal in goals([figure]))
    cells = [f"**{ours}**" if missed else ours, *(taken.get(name, "") for name in _PEERS)]
    return f"| {figure.title}, {figure.unit} | {' | '.join(cells)} |"


def goal_rows(figures: Sequence[Figure]) -> list[str]:
    """Return a table of all goals."""
    found = list(goals(figures))
    rows = [
        f"| {goal.figure} | {goal.system} | {short(goal.measured)} | ≤ {goal.bound:g}"
        f" | {'reached' if goal.reached else '**missed**'} |"
        for goal in found
    ]
    head = ["| figure | ours, or to that of | measured | goal | |", "|---|---|---|---|---|"]
    return [verdict(figures).partition("\n")[0] + ".", "", *head, *rows]


def figure_rows(figure: Figure) -> list[str]:
    """Return a table of what each system took."""
    rows = [f"| {figure.unit} | median | min to max | ours / theirs |", "|---|---|---|---|"]
    for one in figure.series:
        ratio = figure.ratio(one)
        spread = " to ".join(map(short, one.spread))
        compared = "" if ratio is None else f"{ratio:.2f}"
        rows.append(f"| {one.system} | {short(one.median)} | {spread} | {compared} |")
    return rows
