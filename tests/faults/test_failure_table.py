"""Every row of the failure table, shortly, with ours alone: what is promised of each holds."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import pytest

from tests.faults.pods import Ours
from tests.faults.promises import broken
from tests.faults.rows import ROWS
from tests.faults.stage import Row, Stage, play
from tests.faults.table import HEAD, details, line


@pytest.mark.alone
@pytest.mark.realapi
@pytest.mark.parametrize("row", ROWS, ids=attrgetter("number"))
def test_row(row: Row, stage_of: Callable[[str], Stage]) -> None:
    """No wrong answer, and as few missing and old ones as the row allows."""
    stage = stage_of(row.number)
    outcomes = play(row, stage)
    ours = outcomes[Ours.name]
    print(HEAD)
    print(line(row.number, row.story, Ours.name, ours))
    print(*details(ours, stage.notes), sep="\n")
    assert not list(broken(row, stage, outcomes))
    # What a starved generator was too late for says nothing of ours.
    assert ours.rate * (ours.asked + ours.skipped) / ours.asked > 2_000
