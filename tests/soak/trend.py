"""What the processes take at calm times, and whether it grows.  No IO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

_SHARE = 0.10
_FEW = {"rss_mib": 4.0, "descriptors": 25.0, "threads": 2.0}
"""What is no growth: a tenth, and so little in all."""

_OLD_ENOUGH_S = 40.0  # a process that has just started has not taken yet what it needs
_LEAST = 6


@dataclass(frozen=True, slots=True)
class Sample:
    """
    What a process takes. part: which of the pod's; age_s: since its start.

    descriptors: but for the sockets to servers, which are as many as there are questions.
    """

    at_s: float
    part: str
    age_s: float
    rss_mib: float
    descriptors: int
    threads: int


def grows(samples: Sequence[Sample], seconds: float) -> Iterator[str]:
    """
    Yield what grew over the last half of so many seconds: its last quarter beside the one before.

    Too few samples of a part (less than `_LEAST`) say nothing.
    """
    for part in sorted({sample.part for sample in samples}):
        late = [
            each
            for each in samples
            if each.part == part and each.at_s >= seconds / 2 and each.age_s >= _OLD_ENOUGH_S
        ]
        if len(late) < _LEAST:
            continue
        for what, few in _FEW.items():
            values = [float(getattr(each, what)) for each in late]
            before, after = median(values[: len(values) // 2]), median(values[len(values) // 2 :])
            if after - before > max(few, _SHARE * before):
                yield f"{part}: {what} went from {before:.1f} to {after:.1f} at calm times"
