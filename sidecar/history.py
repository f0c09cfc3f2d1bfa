"""
What the counters did over time, for charts: fine for the last ten minutes, coarse for two hours.

Bounded, however short the pause between polls: those of less than five seconds are put together.
"""

from sidecar.state import Sample

FINE_S = 5.0
FINE_KEPT_S = 600.0
COARSE_S = 60.0
COARSE_KEPT_S = 7200.0


class History:
    """Samples, oldest first; `samples` is replaced as a whole."""

    def __init__(self) -> None:
        self.samples: tuple[Sample, ...] = ()

    def add(self, sample: Sample) -> None:
        """Take in what happened since the last one."""
        kept: list[Sample] = []
        for each in (*self.samples, sample):
            age_s = sample.at - each.at
            if age_s > COARSE_KEPT_S:
                continue
            widest_s = COARSE_S if age_s > FINE_KEPT_S else FINE_S
            # Half a pause more or less is no reason for a sample of its own.
            if kept and kept[-1].span_s + each.span_s <= 1.1 * widest_s:
                each = _both(kept.pop(), each)
            kept.append(each)
        self.samples = tuple(kept)


def _both(first: Sample, second: Sample) -> Sample:
    return Sample(
        second.at,
        first.span_s + second.span_s,
        first.hits + second.hits,
        first.misses + second.misses,
    )
