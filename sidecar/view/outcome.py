"""What was answered, in a few words: rcode, answers, and what an extended DNS error says."""

from sidecar.view.mark import Mark
from sidecar.view.told import Told

_MOST = 20  # answers

# RFC 8914, section 4, as far as our servers tell them.
_EDE = {
    0: "Other",
    3: "Stale Answer",
    13: "Cached Error",
    14: "Not Ready",
    19: "Stale NXDOMAIN Answer",
    20: "Not Authoritative",
    22: "No Reachable Authority",
    23: "Network Error",
}


def outcome(told: Told) -> tuple[Mark, str]:
    """Return what an answer is worth, and the answer; NXDOMAIN is nothing bad in a walk."""
    rcode = told.text("rcode", 40)
    if rcode != "NOERROR":
        return (Mark.IDLE if rcode == "NXDOMAIN" else Mark.BAD), rcode
    if not told.texts("answers"):
        return Mark.IDLE, "no such records"
    return Mark.GOOD, _answers(told)


def _answers(told: Told) -> str:
    """Write what is answered, with how many more there are than are told."""
    texts = told.texts("answers", 160)[:_MOST]
    more = int(told.number("answer_count") or 0) - len(texts)
    return ", ".join(texts) + (f" and {more:,} more" if more > 0 else "")


def ede(told: Told) -> str:
    """Write an extended DNS error; empty if there is none."""
    code, text = told.number("code"), told.text("text")
    if code is None:
        return text
    name = _EDE.get(int(code))
    head = f"EDE {code:.0f} ({name})" if name else f"EDE {code:.0f}"
    return f"{head}: {text}" if text else head
