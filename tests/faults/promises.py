"""What every row promises of our own, whatever the machine: truth, not time.  No IO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.faults.judge import Outcome
from tests.faults.pods import Ours
from tests.faults.stage import Row, Stage

_HEALED_S = 15.0
_NEWS_S = 5.0  # by which a change may come late on a loaded machine, or be lost for a heartbeat


def broken(row: Row, stage: Stage, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """Yield what was promised and not kept."""
    made = outcomes[Ours.name]
    yield from stage.faults
    if made.wrong:
        yield f"{made.wrong} wrong answers: {made.examples}"
    if row.carries and made.failed_known:
        yield f"{made.failed_known} known names unanswered: {made.reasons} {made.examples}"
    if row.carries and made.too_late_known:
        yield f"{made.too_late_known} known names answered later than one client retry"
    if not row.outside_fails and made.failed_outside:
        yield f"{made.failed_outside} outside names unanswered: {made.reasons} {made.examples}"
    if not row.stale and made.stale_s > _NEWS_S:
        yield f"stale by {made.stale_s:.1f} s: {made.examples}"
    if not made.healed or made.heal_s > _HEALED_S:
        yield f"not healed after {made.heal_s:.1f} s"
    for pod in stage.extra:
        if isinstance(pod, Ours) and (text := pod.tracebacks()):
            yield text
