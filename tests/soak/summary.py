"""The tables at the end.  No IO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.soak.model import Model, Tally
from tests.soak.trend import Sample

_HEAD = (
    f"{'while':20} {'times':>5} {'asked':>9} {'answered':>9} {'late':>6} {'failed':>7} {'stale':>6}"
    f" {'p50 s':>6} {'max s':>6} {'wrong':>5} {'heals s':>8} {'max s':>6}"
)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share is, 0 of none."""
    found = sorted(values)
    return found[min(int(share * len(found)), len(found) - 1)] if found else 0.0


def table(model: Model) -> Iterator[str]:
    """Yield one line for each kind, one for calm times and one for all."""
    yield _HEAD
    for name, tally in sorted(model.kinds.items()):
        yield _line(name, tally)
    yield _line("calm", model.calm)
    yield _line("all", model.all)


def _line(name: str, tally: Tally) -> str:
    stale, heal = tally.stale_s, tally.heal_s
    return (
        f"{name:20} {tally.times or '':>5} {tally.asked:9,} {tally.answered:9,} {tally.late:6,}"
        f" {tally.failed:7,} {tally.stale:6,} {percentile(stale, 0.5):6.1f}"
        f" {max(stale, default=0.0):6.1f} {tally.wrong:5,} {percentile(heal, 0.5):8.1f}"
        f" {max(heal, default=0.0):6.1f}"
    )


def news(seconds: Sequence[float]) -> str:
    """Say how soon changes were in the answers at calm times."""
    if not seconds:
        return "no change was looked at"
    shares = ", ".join(
        f"{label} {1000 * percentile(seconds, share):.0f} ms"
        for label, share in (("median", 0.5), ("p99", 0.99), ("most", 1.0))
    )
    return f"{len(seconds)} changes at calm times were in the answers after: {shares}"


def taken(samples: Sequence[Sample]) -> Iterator[str]:
    """Yield what each part took at calm times: first, least, most, last."""
    for part in sorted({sample.part for sample in samples}):
        mine = [sample for sample in samples if sample.part == part]
        texts = []
        for what in ("rss_mib", "descriptors", "threads"):
            values = [float(getattr(each, what)) for each in mine]
            texts.append(
                f"{what} {values[0]:.0f}, {min(values):.0f}-{max(values):.0f}, {values[-1]:.0f}"
            )
        yield f"{part}: {'; '.join(texts)} (first, least-most, last of {len(mine)})"


def as_json(model: Model) -> dict[str, Any]:
    """Return all figures of the model."""
    tallies: Mapping[str, Tally] = {**model.kinds, "calm": model.calm, "all": model.all}
    return {
        "tallies": {name: _figures(tally) for name, tally in tallies.items()},
        "verdicts": dict(model.verdicts),
        "broken": dict(model.broken),
        "examples": model.examples,
    }


def _figures(tally: Tally) -> dict[str, Any]:
    counts = ("times", "asked", "answered", "late", "failed", "stale", "wrong")
    return {
        **{name: getattr(tally, name) for name in counts},
        "stale_p50_s": percentile(tally.stale_s, 0.5),
        "stale_max_s": max(tally.stale_s, default=0.0),
        "heal_s": tally.heal_s,
    }
