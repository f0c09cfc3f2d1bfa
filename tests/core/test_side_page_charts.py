"""The charts of the status page, and how it writes times and numbers."""

import pytest

from sidecar.state import Sample
from sidecar.view import charts, words


def every(span_s: float, *counts: tuple[int, int]) -> list[Sample]:
    """Return samples without a pause between them; counts: hits and misses of each."""
    return [Sample((n + 1) * span_s, span_s, *each) for n, each in enumerate(counts)]


def test_no_samples():
    """Before the first sample there is nothing to draw."""
    assert charts.hit_rate([]).line == ""
    assert charts.merged([]) == []


def test_one_sample_is_a_level_line():
    """One sample is drawn over all of its span."""
    assert charts.hit_rate(every(5, (3, 1))).line == "M0 15L150 15L300 15"


def test_hit_rate():
    """All hits are at the upper edge, none at the lower."""
    chart = charts.hit_rate(every(5, (4, 0), (0, 4), (2, 2)))
    assert chart.line == "M0 0L50 0L150 60L250 30L300 30"
    assert chart.area == "M0 60L0 0L50 0L150 60L250 30L300 30V60Z"
    assert (chart.least, chart.most) == (0.0, 1.0)


def test_nobody_asked():
    """While nobody asks there is no hit rate: a gap, and not a rate of nothing."""
    chart = charts.hit_rate(every(5, (4, 0), (0, 0), (4, 0)))
    assert chart.line == "M0 0L50 0L100 0M200 0L250 0L300 0"
    assert charts.queries(every(5, (4, 0), (0, 0), (4, 0))).line.count("M") == 1


def test_nobody_counted():
    """While the counters could not be read there is a gap."""
    first, second = Sample(5, 5, 4, 0), Sample(60, 5, 4, 0)
    assert charts.queries([first, second]).line.count("M") == 2
    assert charts.merged([first, second]) == [first, second]


@pytest.mark.parametrize(
    ("asked", "top"), [(0, 1.0), (5, 1.0), (10, 2.0), (60, 20.0), (99, 20.0), (101, 50.0)]
)
def test_scale_is_round(asked, top):
    """The upper edge of the chart of queries is a round number."""
    assert charts.queries(every(5, (asked, 0))).top == top


def test_two_hours():
    """Two hours of coarse and fine samples become few columns, and no query is lost."""
    coarse = every(60, *[(50, 10)] * 110)
    fine = [Sample(6600 + 5 * n, 5, 4, 1) for n in range(1, 121)]
    found = charts.merged([*coarse, *fine])
    assert len(found) <= 125
    assert sum(each.hits for each in found) == 110 * 50 + 120 * 4
    assert sum(each.span_s for each in found) == pytest.approx(7200)
    assert len(charts.hit_rate(found).line) < 2_500


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7265, "2 h 1 min"),
        (86400, "1 d"),
        (200000, "2 d 7 h"),
    ],
)
def test_spans(seconds, text):
    """A length of time is written in its two largest units."""
    assert words.span(seconds) == text


def test_times():
    """A time is UTC, with its date only if that is another day's, and with its age."""
    at = words.moment("2026-11-21T17:43:39Z")
    assert at is not None
    assert words.when(at, at + 3) == words.When("2026-11-21T17:43:39Z", "17:43:39 UTC", "3 s ago")
    assert words.when(at, at + 90000).text == "2026-11-21 17:43:39 UTC"
    assert words.when(at, at - 5).ago == "0 s ago"
    assert words.moment("yesterday") is None


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (words.milliseconds(0.412), "0.4 ms"),
        (words.milliseconds(412.3), "412 ms"),
        (words.milliseconds(2500), "2.5 s"),
        (words.octets(98120), "95.8 KiB"),
        (words.octets(16777216), "16.0 MiB"),
        (words.octets(3 << 30), "3.0 GiB"),
        (words.percent(0.8409), "84.1 %"),
        (words.per_second(1234.5), "1,234/s"),
        (words.count(None), "—"),
        (words.counted(1, "route"), "1 route"),
    ],
)
def test_numbers(written, text):
    """Numbers come with their unit."""
    assert written == text
