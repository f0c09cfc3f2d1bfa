"""The load of a soak gives way to others on the machine, and comes back."""

from __future__ import annotations

from tests.soak.pace import Pace

MUCH = 0.7


def test_a_busy_machine_gets_fewer_questions_but_some() -> None:
    pace = Pace(2200.0)
    assert [pace.looked(0.9, MUCH) for _ in range(3)] == [False, False, True]
    for _ in range(60):
        pace.looked(0.9, MUCH)
    assert 300 < pace.rate < 400


def test_an_idle_one_gets_all_again() -> None:
    pace = Pace(
        2200.0,
    )
    for waited in [0.9] * 30 + [0.1] * 60:
        pace.looked(waited, MUCH)
    assert pace.rate == 2200.0


def test_one_busy_second_changes_nothing() -> None:
    pace = Pace(2200.0)
    assert not any(pace.looked(waited, MUCH) for waited in [0.9, 0.6] * 10)
