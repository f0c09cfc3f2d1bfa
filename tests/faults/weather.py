"""The weather between the pods and a server outside, which a row may change at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from tests.forwarder.behaviours import quick
from tests.forwarder.scripted import Act
from tests.forwarder.scripted import Asked as Query


@dataclass
class Weather:
    """What is between the pods and an upstream: dead, or loss (of round trips) and delay."""

    dead: bool = False
    loss: float = 0.0
    delay_s: float = 0.0
    rng: Random = field(default_factory=lambda: Random(1))

    def __call__(self, asked: Query) -> Sequence[Act]:
        """Play; see tests/forwarder/scripted.py."""
        if self.dead or self.rng.random() < self.loss:
            return []
        (act,) = quick(asked)
        return [Act(act.octets, after_s=self.delay_s)]
