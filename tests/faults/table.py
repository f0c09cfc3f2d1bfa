"""The table as it is shown: one line for each row and system.  No IO."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.judge import Outcome

HEAD = (
    f"{'row':4} {'what happens':45} {'who':18} {'answered':>9} {'late':>6} {'failed':>7}"
    f" {'known':>6} {'stale':>6} {'by s':>6} {'wrong':>5} {'heals s':>7} {'q/s':>5}"
)


def line(number: str, story: str, who: str, made: Outcome) -> str:
    """Return one line; `known`: failed questions for names of the cluster that exist."""
    heal = f"{'' if made.healed else '>'}{max(made.heal_s, 0.0):.1f}"
    return (
        f"{number:4} {story[:45]:45} {who:18} {made.answered:9,} {made.late:6,} {made.failed:7,}"
        f" {made.failed_known:6,} {made.stale:6,} {made.stale_s:6.1f} {made.wrong:5,} {heal:>7}"
        f" {made.rate:5.0f}"
    )


def details(made: Outcome, notes: Iterable[str]) -> Iterable[str]:
    """Yield what stands below a line for whoever looks closer."""
    if made.reasons:
        yield f"       {dict(made.reasons)}"
    if made.skipped:
        yield f"       {made.skipped} were not asked: the generator was too late for them"
    if made.excused:
        yield f"       {made.excused} are excused: nobody was there, or the machine stood still"
    for each in (*made.examples[:4], *notes):
        yield f"       {each}"
