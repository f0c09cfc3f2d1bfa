"""What the benchmarks claim about themselves; nothing here measures."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import memory, report
from tests.bench.compare import Cell, WrongError, check, costs, offered
from tests.bench.dnsperf import Load, Outcome
from tests.bench.figures import Figure, Series, as_json, figure, table, verdict
from tests.bench.fresh import life
from tests.bench.goals import GOALS
from tests.bench.objects import fleet
from tests.bench.plan import GROUPS, chosen
from tests.bench.question_files import SEARCH, QuestionFiles
from tests.bench.systems import COREDNS, DNSMASQ, ECHO, POD, Running
from tests.bench.workers import split

_FIGURE = figure(
    "a.cpu",
    "CPU per query",
    "us",
    {POD: [6.0, 9.0, 6.5], COREDNS: [20.0, 30.0, 20.0], ECHO: [4.0, 4.0, 4.0]},
)
_MACHINE = {"date": "2026-01-01", "cores": "2"}


def test_the_large_cluster_has_the_size_that_the_figures_name() -> None:
    """5,000 services, 500 of them headless with 100 endpoints each, have 59,000 addresses."""
    services = list(fleet(0, 5_000))
    assert sum(service.cluster_ip is None for service in services) == 500
    addresses = [address for service in services for address in service.addresses]
    assert len(addresses) == len(set(addresses)) == 59_000


def test_a_cluster_that_grows_repeats_nothing() -> None:
    """Numbers go on where the last step ended, so names and cluster IPs stay unique."""
    services = [*fleet(0, 300), *fleet(300, 700)]
    assert len({service.dns_name for service in services}) == 1_000
    assert len({service.cluster_ip for service in services}) == 901  # one of them is None


def test_a_ratio_compares_round_by_round() -> None:
    """A round that was slow for all systems does not move the ratio."""
    ours, coredns, echo = _FIGURE.series
    assert _FIGURE.ratio(ours) is None
    assert _FIGURE.ratio(coredns) == 0.3
    assert [goal and goal.reached for goal in map(_FIGURE.goal, (ours, coredns, echo))] == [
        None, True, False,
    ]  # fmt: skip


def test_a_goal_of_ours_is_a_bound_and_one_of_a_peer_a_ratio() -> None:
    series = [Series(POD, [3.0]), Series(DNSMASQ, [4.0])]
    bounded = Figure("x.y", "time", "us", series, bounds={POD: 2.0, DNSMASQ: 0.8})
    ours, theirs = map(bounded.goal, series)
    assert ours
    assert theirs
    assert (ours.measured, ours.reached, theirs.measured, theirs.reached) == (3, False, 0.75, True)


def test_a_missed_goal_is_named() -> None:
    """The table marks it, and the last lines list it."""
    assert "MISSED" in table([_FIGURE])
    assert verdict([_FIGURE]).splitlines() == [
        "1 of 2 goals reached",
        "  reached   0.30 <= 0.35    CPU per query (CoreDNS)",
        f"  MISSED    1.62 <= {GOALS['a.cpu'][ECHO]}     CPU per query (C echo)",
    ]


def test_json_holds_every_round() -> None:
    """So that a reader can draw the spread."""
    values = json.loads(json.dumps(as_json([_FIGURE])))[0]
    assert values["series"][0]["values"] == [6.0, 9.0, 6.5]
    assert values["series"][1]["ours_to_theirs"] == 0.3


def test_a_run_leaves_a_page_and_a_chart_for_each_figure(tmp_path: Path) -> None:
    """Charts of an earlier run are gone, and the same figures make the same files."""
    (tmp_path / "old.svg").write_text("")
    for _ in range(2):
        report.write(tmp_path, _MACHINE, [_FIGURE], ["unbound: none here"])
    chart = (tmp_path / "a-cpu.svg").read_text()
    report.write(tmp_path, _MACHINE, [_FIGURE], [])
    assert (tmp_path / "a-cpu.svg").read_text() == chart
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "results.json",
        "a-cpu.svg",
    }
    page = (tmp_path / "README.md").read_text()
    assert "![CPU per query](a-cpu.svg)" in page
    assert f"| CPU per query | C echo | 1.62 | ≤ {GOALS['a.cpu'][ECHO]} | **missed** |" in page


def test_the_readme_shows_the_newest_figures_alone(tmp_path: Path) -> None:
    """What stood between the marks is replaced, what is around them stays."""
    readme = tmp_path / "README.md"
    readme.write_text("Before\n<!-- figures -->\nold\n<!-- end of figures -->\nAfter\n")
    machine = {**_MACHINE, "processor": "one", "python": "3"}
    for _ in range(2):
        report.show(readme, machine, [_FIGURE])
    text = readme.read_text()
    assert "| CPU per query, us | **6.50** |  | 20.0 |  | 4.00 |" in text
    assert "(tests/bench/results/a-cpu.svg)" in text
    assert "\nold\n" not in text
    assert text.startswith("Before\n<!-- figures -->\n\nMedians of 2026-01-01; one, 2 cores")
    assert text.endswith("\n<!-- end of figures -->\nAfter\n")


def test_the_groups_have_keys_of_their_own_and_every_goal_a_group() -> None:
    keys = [group.key for group in GROUPS]
    assert len(keys) == len(set(keys))
    assert {key.partition(".")[0].partition("-")[0] for key in GOALS} <= set(keys)
    assert {group.key for group in chosen((), quick=True)} < set(keys)
    assert [group.key for group in chosen(("weather",), quick=True)] == ["weather"]
    assert [group.key for group in chosen(("i",), quick=False)] == ["i-names", "i"]


def test_a_look_up_asks_ten_questions_in_the_order_of_glibc(tmp_path: Path) -> None:
    lines = QuestionFiles(tmp_path).walk().read_text().splitlines()
    assert len(lines) == 10_000
    names = [f"w0000.corp.example.com.{domain}." for domain in SEARCH] + ["w0000.corp.example.com."]
    assert lines[:10] == [f"{name} {qtype}" for name in names for qtype in ("A", "AAAA")]


def test_popular_names_are_asked_more_often(tmp_path: Path) -> None:
    """The n-th service as often as 1/n; only those with an address of their own."""
    lines = QuestionFiles(tmp_path).cluster(list(fleet(0, 30))).read_text().splitlines()
    asked = [lines.count(f"{each.dns_name}. A") for each in fleet(0, 30)]
    assert asked[0] == 0  # headless
    assert asked[1] == pytest.approx(2 * asked[2], rel=0.2)


def _cell(answered: int, rate: float, cpu_us: float = 5.0) -> Cell:
    return Cell(cpu_us, 0.5, Outcome(answered, 0, answered, rate))


def test_the_fixed_rate_is_one_that_every_system_can_keep() -> None:
    """But the echo, which is no server."""
    cells = {POD: [_cell(9, 90.0)], COREDNS: [_cell(5, 50.0)], ECHO: [_cell(1, 10.0)]}
    assert offered(cells) == 35.0


def test_a_look_up_costs_what_its_questions_cost() -> None:
    walked = costs("d", "walk", {POD: [_cell(1, 1.0, cpu_us=5.0)]}, per=10, unit="look-up")
    assert (walked.title, walked.series[0].median) == ("walk: CPU per look-up", 50.0)


@pytest.mark.parametrize(
    "outcome",
    [Outcome(0, 5, 0, 0.0), Outcome(97, 3, 97, 100.0), Outcome(100, 0, 90, 100.0)],
    ids=["no answer", "lost", "not NOERROR"],
)
def test_what_says_nothing_is_no_figure(outcome: Outcome, tmp_path: Path) -> None:
    one, load = Running(POD, [], 53), Load(tmp_path)
    check(one, load, Outcome(100, 0, 100, 100.0))
    with pytest.raises(WrongError):
        check(one, load, outcome)
    check(one, replace(load, good=0.9), Outcome(100, 0, 90, 100.0))


def test_workers_that_do_the_same_are_split_evenly() -> None:
    assert split({1: 1.0, 2: 1.0, 3: 5.0}, {1: 2.0, 2: 2.0, 3: 5.1}) == 0
    assert split({1: 0.0}, {1: 1.0}) == 2.0


def test_each_life_of_a_service_is_its_own() -> None:
    """Each change is seen by the name asked for: a new address, or none."""
    first, second = life(), life()
    assert not {each.name for each in first} & {each.name for each in second}
    assert [each.address is None for each in first].count(True) == 3


def test_a_process_alone_takes_all_that_is_resident_of_it() -> None:
    """And each page of a file counts once, however many processes have it."""
    mine = os.getpid()
    assert memory.of(mine) <= memory.alone([mine]) * 1.05
    assert memory.alone([mine]) < memory.alone([mine, mine]) < 2 * memory.alone([mine])
