"""Metrics put together: the prefix of all names, bounded labels, buckets."""

from collections.abc import Mapping
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from kubedns.serve.counters import Histogram
from kubedns.wire import rr

PREFIX = "kubedns_forwarder_"
MAX_LABELS = 200  # values of one label; all others are one
OTHER = "other"


class Sums:
    """A number for each value of one label, at most MAX_LABELS of them."""

    def __init__(self, name: str, text: str, label: str) -> None:
        self._name = name
        self._text = text
        self._label = label
        self._sums: dict[str, float] = {}

    def add(self, value: str, number: float) -> None:
        """Add to the number for a value."""
        if value not in self._sums and len(self._sums) >= MAX_LABELS:
            value = OTHER
        self._sums[value] = self._sums.get(value, 0) + number

    def counter(self) -> CounterMetricFamily:
        """Return it as a counter."""
        family = CounterMetricFamily(PREFIX + self._name, self._text, labels=[self._label])
        for value, number in self._sums.items():
            family.add_metric([value], number)
        return family

    def gauge(self) -> GaugeMetricFamily:
        """Return it as a gauge."""
        family = GaugeMetricFamily(PREFIX + self._name, self._text, labels=[self._label])
        for value, number in self._sums.items():
            family.add_metric([value], number)
        return family


def counter(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    """Return counts by one label."""
    sums = Sums(name, text, label)
    for value, count in dict(counts).items():  # receivers count on in their threads
        sums.add(value, count)
    return sums.counter()


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Return one number."""
    return GaugeMetricFamily(PREFIX + name, text, value=float(value))


def total(name: str, text: str, value: float) -> CounterMetricFamily:
    """Return one count."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def histogram(name: str, text: str, observed: Histogram) -> HistogramMetricFamily:
    """Return observations without labels."""
    family = HistogramMetricFamily(PREFIX + name, text)
    family.add_metric([], buckets(observed), observed.total)
    return family


def buckets(observed: Histogram) -> list[tuple[str, float]]:
    """Return cumulated counts; borders as Go writes them (`1`, not `1.0`)."""
    borders = [*(f"{border:g}" for border in observed.borders), "+Inf"]
    return list(zip(borders, accumulate(observed.counts), strict=True))


def rcode_text(rcode: int) -> str:
    """Name an rcode; a server may send any of 4,096, so the odd ones are one."""
    return rr.RCODE_NAMES.get(rcode, OTHER)
