"""Whether a process takes ever more, by what it took at calm times."""

from __future__ import annotations

from tests.soak.trend import Sample, grows


def samples(rss_mib: list[float], *, age_s: float = 100.0, descriptors: int = 20) -> list[Sample]:
    """Make one sample each minute."""
    return [
        Sample(60.0 * number, "kubedns", age_s, rss, descriptors, 5)
        for number, rss in enumerate(rss_mib)
    ]


def test_growth_over_the_last_half_is_seen() -> None:
    (text,) = grows(samples([50.0 + 2 * minute for minute in range(20)]), 1200.0)
    assert text.startswith("kubedns: rss_mib went from ")


def test_what_levels_off_is_no_growth() -> None:
    assert not list(grows(samples([*range(40, 60, 2), *[60.0] * 10]), 1200.0))


def test_young_processes_and_few_samples_say_nothing() -> None:
    assert not list(grows(samples([50.0 + 2 * each for each in range(20)], age_s=10.0), 1200.0))
    assert not list(grows(samples([50.0, 90.0]), 120.0))
