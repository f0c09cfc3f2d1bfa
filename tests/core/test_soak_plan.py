"""The plan of a soak: the same for a seed, bounded, with calm after everything."""

from __future__ import annotations

import pytest

from tests.soak.kinds import HEALS_S, KINDS
from tests.soak.plan import CALM_S, plan, shown

SECONDS = 1200.0


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_fits_into_its_time_and_each_episode_is_followed_by_calm(seed: int) -> None:
    episodes = plan(seed, SECONDS)
    before = 0.0
    for episode in episodes:
        assert episode.disturbances[0].at >= before
        over = max(each.over for each in episode.disturbances)
        assert episode.calm_over == pytest.approx(over + CALM_S)
        before = episode.calm_over
    assert before <= SECONDS
    assert CALM_S > HEALS_S


@pytest.mark.parametrize("seed", range(5))
def test_what_happens_together_shares_nothing(seed: int) -> None:
    for episode in plan(seed, SECONDS):
        uses = [name for each in episode.disturbances for name in each.kind.uses]
        assert len(uses) == len(set(uses))
        assert 1 <= len(episode.disturbances) <= 3


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_happens_in_twenty_minutes(seed: int) -> None:
    happened = {each.kind for episode in plan(seed, SECONDS) for each in episode.disturbances}
    assert happened == set(KINDS)


def test_a_seed_is_a_plan() -> None:
    assert plan(7, SECONDS) == plan(7, SECONDS)
    assert plan(7, SECONDS) != plan(8, SECONDS)
    assert len(list(shown(plan(7, SECONDS)))) == len(plan(7, SECONDS))


def test_even_a_short_soak_has_something_to_endure() -> None:
    assert len(plan(0, 1.0)) == 1
