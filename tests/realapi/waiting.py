"""Waiting for what another process will show sooner or later: polled, and never without an end."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long before a test gives up.  Never a measure of speed: benchmarks are for that."""


def becomes(look: Callable[[], T], expected: T, *, within_s: float = PATIENCE_S) -> None:
    """
    Look until what is seen equals ``expected``.

    Raises:
        AssertionError: it never did; holds what was seen last.
    """
    until(look, lambda seen: seen == expected, within_s=within_s, wanted=repr(expected))


def until(
    look: Callable[[], T],
    accept: Callable[[T], bool] = bool,
    *,
    within_s: float = PATIENCE_S,
    wanted: str = "something else",
) -> T:
    """
    Look until what is seen is accepted, and return it.

    Raises:
        AssertionError: it never was; holds what was seen last.
    """
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if accept(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within_s:g} s still {seen!r}, not {wanted}")
        time.sleep(0.02)


def ready(connection: Any, event: int, within_s: float) -> bool:
    """Wait for a `select.POLL…` event on what has a fileno(); select() stops at number 1024."""
    poll = select.poll()
    poll.register(connection, event)
    return bool(poll.poll(within_s * 1000))
