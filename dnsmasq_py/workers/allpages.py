"""/metrics and /status, out of what all workers told."""

import json

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

from dnsmasq_py import families, pages
from dnsmasq_py.workers import sums
from dnsmasq_py.workers.asking import Parts
from kubedns.serve import http


def metrics(parts: Parts) -> http.Page:
    """Return the exposition for Prometheus."""
    found: list[Metric] = [
        families.gauge("workers", "Processes that share the port.", len(parts["parts"])),
        families.total("worker_ends", "Workers that ended and began anew.", parts["ended"]),
    ]
    for name, kind, text, samples in sums.metrics(parts["parts"], parts["gone"]):
        family = Metric(name, text, kind)
        for sample, labels, value in samples:
            family.add_sample(sample, labels, value)
        found.append(family)
    return http.Page(generate_latest(_Found(found)), media_type=http.METRICS)


def status(parts: Parts) -> http.Page:
    """Return the status page."""
    page = sums.status(parts["parts"], parts["gone"])
    page["worker_ends"] = parts["ended"]
    routes = page.pop("routes")
    return http.Page(pages.text(page, map(json.dumps, routes)), media_type=http.JSON)


class _Found:
    """Metrics that are there, where a registry is wanted."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found
