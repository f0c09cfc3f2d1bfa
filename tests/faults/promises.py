"""
What every row promises of our own, whatever the machine: truth, not time.  No IO.

Names of the cluster that exist are carried. Those that do not may fail while kubedns is away or
knows nothing yet: what the cache had of them goes when the news of kubedns stay out for some
seconds (dnsmasq_py/purge.py), and then nobody knows that they do not exist. So the answer is
SERVFAIL, never NXDOMAIN. That might be a lie about a service made a moment ago, which a client
believes and keeps, and a search list leads on from it, to the name of somebody else outside.

What resolvers make of SERVFAIL: glibc goes on in its search list, so names outside are still found,
and says "try again" only if none was. musl takes it for no answer: it asks again at once and after
half of its 5 s, by when kubedns is mostly back, and else says "try again" (EAI_AGAIN). It goes no
further in its search list, so a short name outside, which NXDOMAIN would lead it to, has to wait
for kubedns as those inside do; one with a final dot, or with ndots dots, does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.faults.judge import Outcome
from tests.faults.pods import Ours
from tests.faults.stage import CROWDED, Row, Stage

_HEALED_S = 15.0
_LOST_FOR_OTHERS = 0.25  # of all questions, on a machine that others need too
_NEWS_S = 5.0  # by which a change may come late on a loaded machine, or be lost for a heartbeat


def broken(row: Row, stage: Stage, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """Yield what was promised and not kept."""
    made = outcomes[Ours.name]
    yield from stage.faults
    if made.wrong:
        yield f"{made.wrong} wrong answers: {made.examples}"
    if stage.others > CROWDED:
        if made.failed > made.asked * _LOST_FOR_OTHERS:
            yield f"{made.failed} unanswered, on a crowded machine: {made.reasons}"
    else:
        yield from _unanswered(row, made)
    if not row.stale and made.stale_s > _NEWS_S:
        yield f"stale by {made.stale_s:.1f} s: {made.examples}"
    if not made.healed or (made.heal_s > _HEALED_S and stage.others <= CROWDED):
        yield f"not healed after {made.heal_s:.1f} s"
    for pod in stage.extra:
        if isinstance(pod, Ours) and (text := pod.tracebacks()):
            yield text


def _unanswered(row: Row, made: Outcome) -> Iterator[str]:
    if row.carries and made.failed_known:
        yield f"{made.failed_known} known names unanswered: {made.reasons} {made.examples}"
    if row.carries and made.too_late_known:
        yield f"{made.too_late_known} known names answered later than one client retry"
    if not row.outside_fails and made.failed_outside:
        yield f"{made.failed_outside} outside names unanswered: {made.reasons} {made.examples}"
