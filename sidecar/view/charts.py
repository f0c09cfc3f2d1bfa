"""
Samples of the cache's counters become drawings, as coordinates only: left is old, right is now.

A drawing is WIDTH by HEIGHT units, its zero at the top left, as in SVG. Where nobody counted, or
nobody asked, there is a gap and no line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.state import Sample

WIDTH, HEIGHT = 300, 60
_MOST = 120  # columns of a drawing, or a few more: what is narrower is added up
_GAP = 1.5  # a sample that is missing for so many spans breaks the line


@dataclass(frozen=True, slots=True)
class Chart:
    """
    What was measured in each span, None where nothing could be, and how to draw it.

    line: the path through the middle of each span. area: the path of what is below. top: the value
    at the upper edge.
    """

    line: str
    area: str
    top: float
    least: float | None
    most: float | None


def merged(samples: Sequence[Sample]) -> list[Sample]:
    """Add neighbouring samples up until each is wide enough to be seen in a drawing of them all."""
    if not samples:
        return []
    least_s = (samples[-1].at - samples[0].at) / _MOST
    groups: list[list[Sample]] = [[]]
    for sample in samples:
        group = groups[-1]
        full = group and sample.at - (group[0].at - group[0].span_s) > least_s
        if full or (group and _late(sample, group[-1])):
            groups.append([])
        groups[-1].append(sample)
    return [_sum(group) for group in groups]


def _late(sample: Sample, before: Sample) -> bool:
    """Tell whether nobody counted between two samples."""
    return sample.at - sample.span_s - before.at > _GAP * sample.span_s


def _sum(group: Sequence[Sample]) -> Sample:
    return Sample(
        at=group[-1].at,
        span_s=sum(each.span_s for each in group),
        hits=sum(each.hits for each in group),
        misses=sum(each.misses for each in group),
    )


def share(sample: Sample) -> float | None:
    """Return the hit rate, 0 to 1; None if nobody asked."""
    asked = sample.hits + sample.misses
    return sample.hits / asked if asked > 0 else None


def rate(sample: Sample) -> float | None:
    """Return how many were asked in a second."""
    return (sample.hits + sample.misses) / sample.span_s if sample.span_s > 0 else None


def hit_rate(samples: Sequence[Sample]) -> Chart:
    """Draw the hit rate."""
    return _chart(samples, [share(each) for each in samples], top=1.0)


def queries(samples: Sequence[Sample]) -> Chart:
    """Draw how many were asked in a second."""
    values = [rate(each) for each in samples]
    return _chart(samples, values, top=_round_up(max((v for v in values if v), default=1.0)))


def _round_up(value: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below the value and not below 1."""
    step = 1.0
    while True:
        for times in (1, 2, 5):
            if times * step >= value:
                return times * step
        step *= 10


_Run = list[tuple[Sample, float]]
_Points = list[tuple[float, float]]


def _chart(samples: Sequence[Sample], values: Sequence[float | None], top: float) -> Chart:
    known = [value for value in values if value is not None]
    lines: list[_Points] = []
    if samples:
        begin = samples[0].at - samples[0].span_s
        unit = WIDTH / max(samples[-1].at - begin, 1e-9)
        lines = [_points(run, begin, unit, top) for run in _runs(samples, values)]
    return Chart(
        line="".join(f"M{_path(line)}" for line in lines),
        area="".join(f"M{line[0][0]:g} {HEIGHT}L{_path(line)}V{HEIGHT}Z" for line in lines),
        top=top,
        least=min(known, default=None),
        most=max(known, default=None),
    )


def _runs(samples: Sequence[Sample], values: Sequence[float | None]) -> Iterator[_Run]:
    """Yield what can be drawn in one go."""
    run: _Run = []
    for sample, value in zip(samples, values, strict=True):
        if run and (value is None or _late(sample, run[-1][0])):
            yield run
            run = []
        if value is not None:
            run.append((sample, value))
    if run:
        yield run


def _points(run: _Run, begin: float, unit: float, top: float) -> _Points:
    """Return the left end of the first span, the middle of each, and the right end of the last."""
    first, last = run[0][0], run[-1][0]
    moments = [first.at - first.span_s, *(s.at - s.span_s / 2 for s, _ in run), last.at]
    values = [run[0][1], *(value for _, value in run), run[-1][1]]
    return [
        (round((at - begin) * unit, 1), round(HEIGHT * (1 - value / top), 1))
        for at, value in zip(moments, values, strict=True)
    ]


def _path(points: _Points) -> str:
    return "L".join(f"{x:g} {y:g}" for x, y in points)
