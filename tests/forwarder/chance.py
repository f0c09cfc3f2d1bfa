"""Whether numbers look drawn at random, well enough to catch counters, slices and fixed values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

_DEVIATIONS = 5.0
"""A fair source fails once in about 3 million tests."""


def fair(values: Iterable[int], low: int, high: int, bins: int = 64) -> None:
    """
    Chi-squared test: are values spread evenly over low..high, both included?

    Raises:
        AssertionError: surely not; holds the counts.
    """
    width = (high - low + 1) / bins
    counts = Counter(int((value - low) / width) for value in values)
    expected = sum(counts.values()) / bins
    assert expected >= 5, f"too few values: {expected:.1f} in each of {bins} bins"
    chi = sum((counts[i] - expected) ** 2 / expected for i in range(bins))
    limit = _limit(bins - 1)
    spread = [counts[i] for i in range(bins)]
    assert set(counts) <= set(range(bins)), f"outside of {low}..{high}: {sorted(counts)}"
    assert chi < limit, f"chi-squared {chi:.0f}, not below {limit:.0f}: {spread}"


def _limit(freedom: int) -> float:
    """Wilson and Hilferty's approximation."""
    part = 2 / (9 * freedom)
    value: float = freedom * (1 - part + _DEVIATIONS * part**0.5) ** 3
    return value


def no_steps(values: list[int], modulus: int) -> None:
    """
    Is the difference from one value to the next anything but the same?

    Raises:
        AssertionError: one difference makes up a tenth of all.
    """
    steps = Counter((b - a) % modulus for a, b in pairwise(values))
    step, count = steps.most_common(1)[0]
    assert count <= max(len(values) / 10, 5), f"{count} of {len(values)} steps are {step}"
