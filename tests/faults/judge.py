"""What became of a load: every answer compared with what the cluster was.  No IO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tests.faults.load import GIVE_UP_S, RETRY_S, Asked
from tests.faults.truth import NOERROR, NXDOMAIN, Truth

FRESH_S = 0.25
"""How far an answer may be behind the API before it counts as stale: the goal for its p99."""

_SLACK_S = 1.0  # by which a busy machine may delay the answer to a client's second try
_EXAMPLES = 5

Interval = tuple[float, float]
"""From when to when, in monotonic seconds."""


@dataclass
class Outcome:
    """
    The counts of one row.  answered includes late and stale; the rest is failed or wrong.

    late: only the client's second try was answered. failed: SERVFAIL, REFUSED, or nothing within
    4 s; failed_known: of names of the cluster that exist; failed_outside: of names outside.
    too_late_known: not even soon after the second try; excused: not in these three, since there was
    nobody to be asked, or the machine stood still. stale: was right once; stale_s: how long ago
    at most; stale_ttl: the highest TTL of these. heal_s: from the end of the fault to the sending
    of the last question that was failed, stale or wrong; healed: and so it stayed.
    skipped: questions that the generator was too late for.
    """

    asked: int = 0
    answered: int = 0
    late: int = 0
    failed: int = 0
    failed_known: int = 0
    failed_outside: int = 0
    too_late_known: int = 0
    excused: int = 0
    stale: int = 0
    stale_s: float = 0.0
    stale_ttl: int = -1
    wrong: int = 0
    heal_s: float = 0.0
    healed: bool = True
    skipped: int = 0
    rate: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what goes into the file."""
        # asdict() alone would make a Counter of pairs.
        return {**asdict(replace(self, reasons=Counter())), "reasons": dict(self.reasons)}


def judge(
    asked: Sequence[Asked],
    names: Sequence[str],
    truth: Truth,
    fresh: str,
    *,
    began: float,
    over: float,
    skipped: int = 0,
    nobody: Sequence[Interval] = (),
    stalls: Sequence[Interval] = (),
) -> Outcome:
    """
    Judge all answers.

    fresh: a name whose answer is that of all fresh ones. began, over: when the fault did and was.
    nobody: from when to when there was no process to be asked; a question of which both tries fell
    into that time tells how fast the machine starts programs. stalls: when the machine gave the
    load no time, and so perhaps nobody; they excuse what was asked up to 4 s before. Neither
    excuses an answer that is wrong or old.
    """
    made = Outcome(skipped=skipped)
    for each in asked:
        name = names[each.name] if each.name >= 0 else fresh
        excused = _is_bad(each) and (
            any(a <= each.sent and each.sent + RETRY_S <= b for a, b in nobody)
            or any(a <= each.sent + GIVE_UP_S and each.sent <= b for a, b in stalls)
        )
        bad = _one(made, each, name, truth, excused=excused)
        if bad:
            kind = "known" if name in truth.known else "outside" if name in truth.outside else ""
            made.reasons[f"{bad} {kind}".strip()] += 1
            if len(made.examples) < _EXAMPLES or bad == "wrong":
                at = f"{each.sent - began:+.2f} s"
                data = ",".join(sorted(each.addresses))
                made.examples.append(f"{bad}: {name} at {at}: rcode {each.rcode} {data}")
            made.heal_s = max(made.heal_s, each.sent - over)
    if asked:
        seconds = max(each.sent for each in asked) - min(each.sent for each in asked)
        made.rate = len(asked) / seconds if seconds else 0.0
    del made.examples[4 * _EXAMPLES :]
    return made


def _is_bad(each: Asked) -> bool:
    """Tell whether there was no answer, or not even soon after the second try."""
    is_late = each.answered - each.sent > RETRY_S + _SLACK_S
    return is_late or each.rcode not in (NOERROR, NXDOMAIN)


def _one(made: Outcome, each: Asked, name: str, truth: Truth, *, excused: bool) -> str:
    """Count one question; return what was bad about its answer, or nothing."""
    made.asked += 1
    made.excused += excused
    if each.rcode not in (NOERROR, NXDOMAIN):
        made.failed += 1
        made.failed_known += name in truth.known and not excused
        made.failed_outside += name in truth.outside and not excused
        if excused:
            return "failed, excused"
        return "failed" if each.rcode < 0 else f"failed with {each.rcode}"
    behind = truth.behind_s(name, (each.rcode, each.addresses), each.sent, each.answered)
    if behind is None:
        made.wrong += 1
        return "wrong"
    made.answered += 1
    if each.answered - each.sent >= RETRY_S:
        made.late += 1
    if _is_bad(each):
        made.too_late_known += name in truth.known and not excused
    if behind > FRESH_S:
        made.stale += 1
        made.stale_s = max(made.stale_s, behind)
        made.stale_ttl = max(made.stale_ttl, each.ttl)
        return "stale"
    return ""
