"""
What happens when: episodes of one to three disturbances that overlap, and calm between them.

No IO; the same seed and length give the same plan.  Kinds come from a shuffled deck, so each comes
up before one does twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.soak.kinds import HEALS_S, KINDS, Kind

CALM_S = HEALS_S + 10.0
"""Of a calm: first all must heal, then 10 s follow in which nothing is excused."""

_FIRST_CALM_S = 10.0
_TOGETHER = (1, 2, 2, 2, 3, 3)
_SPREAD_S = 6.0  # within which those of one episode begin
_RESERVED_S = 10.0  # of calm at the end, beside that of the last episode


@dataclass(frozen=True, slots=True)
class Disturbance:
    """number: from 1 on, its own randomness is drawn with it. at: seconds after the start."""

    number: int
    kind: Kind
    at: float
    lasts: float

    @property
    def over(self) -> float:
        return self.at + self.lasts


@dataclass(frozen=True, slots=True)
class Episode:
    """Disturbances by their beginnings, and when the calm after them is over."""

    disturbances: tuple[Disturbance, ...]
    calm_over: float


def plan(seed: int, seconds: float, kinds: Sequence[Kind] = KINDS) -> list[Episode]:
    """Draw the episodes that fit into so many seconds."""
    rng = Random(seed)
    deck: list[Kind] = []
    found: list[Episode] = []
    number, now = 0, _FIRST_CALM_S
    while True:
        drawn: list[Disturbance] = []
        for kind in _compatible(deck, kinds, rng.choice(_TOGETHER), rng):
            at = now + (rng.uniform(0, _SPREAD_S) if drawn else 0.0)
            drawn.append(Disturbance(number + len(drawn) + 1, kind, at, rng.uniform(*kind.lasts)))
        number += len(drawn)
        now = max(each.over for each in drawn) + CALM_S
        if now > seconds - _RESERVED_S and found:
            return found
        found.append(Episode(tuple(sorted(drawn, key=lambda each: each.at)), now))


def _compatible(deck: list[Kind], kinds: Sequence[Kind], count: int, rng: Random) -> Iterator[Kind]:
    """Take kinds that do not share anything from the deck; refill it when it is empty."""
    used: set[str] = set()
    for _ in range(count):
        if not deck:
            deck.extend(rng.sample(kinds, len(kinds)))
        found = next((kind for kind in deck if not used & kind.uses), None)
        if found is None:
            return
        deck.remove(found)
        used |= found.uses
        yield found


def shown(episodes: Sequence[Episode]) -> Iterator[str]:
    """Yield the plan as lines."""
    for number, episode in enumerate(episodes, 1):
        texts = (f"{each.kind.name} {each.at:.1f}-{each.over:.1f}" for each in episode.disturbances)
        yield f"{number:3}. {', '.join(texts)}; calm to {episode.calm_over:.1f}"
