"""What a disturbance is: a function that does it, for a time, and puts all right."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.soak.scene import Scene

Act = Callable[[Scene, float, Random], None]
"""Takes for how long, and its own randomness; returns when all is put right."""
