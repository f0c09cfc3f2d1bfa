"""
What is seen of the traffic, for Prometheus: a bounded number of series, without clients.

The names asked for most are told by their rank, so that there are never more series than ranks.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dnsmasq_py.observed.watch import Observed
from kubedns.wire import name as names

_RANKS = 10
_PREFIX = "kubedns_forwarder_"


def collect(observed: Observed | None) -> Iterator[Metric]:
    """Give all of them; none where nothing is recorded."""
    if observed is None:
        return
    top = GaugeMetricFamily(
        _PREFIX + "top_name_queries",
        "Queries of the last 10 to 20 minutes for the names asked for most.",
        labels=["rank", "name"],
    )
    ranked: dict[bytes, float] = {}
    for key, count, _ in observed.tally.top_names(2 * _RANKS):  # a name comes with several types
        ranked[key[:-2]] = ranked.get(key[:-2], 0) + count
    best = sorted(ranked.items(), key=lambda each: (-each[1], each[0]))[:_RANKS]
    for rank, (name, count) in enumerate(best, 1):
        top.add_metric([str(rank), names.to_text(name)], round(count))
    yield top
    yield CounterMetricFamily(
        _PREFIX + "search_waste_queries",
        "Queries that were but steps of a search list and ended with NXDOMAIN.",
        value=round(observed.tally.waste_total),
    )
    found = GaugeMetricFamily(
        _PREFIX + "findings", "Findings of the last hour; /findings tells them.", labels=["id"]
    )
    for kind, number in observed.findings.of_kinds(observed.wall()).items():
        found.add_metric([kind], number)
    yield found
    yield CounterMetricFamily(
        _PREFIX + "recorder_bursts",
        "Bursts of failures or of late answers that the recorder saw.",
        value=observed.recorder.bursts,
    )
