"""/metrics, /status and what operators ask for, out of what all workers told."""

import json
from base64 import b64decode
from collections.abc import Iterator
from heapq import merge
from itertools import islice

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

from dnsmasq_py import families, pages
from dnsmasq_py.explain import account
from dnsmasq_py.explain.live import Found
from dnsmasq_py.observed import merging, pcap, records
from dnsmasq_py.observed.pages import JSON_LINES, as_page
from dnsmasq_py.workers import explained, sums
from dnsmasq_py.workers.asking import Parts
from kubedns.serve import http

_PIECE = 100  # records made at a time


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


def explain(parts: Parts, live: list[Found] | None) -> http.Page:
    """Return the account of a question; live: what servers said just now, if they were asked."""
    return account.shown({**explained.merged(parts["parts"]), "live": live})


def top(parts: Parts, most: int) -> http.Page:
    """Return who and what comes most often."""
    return as_page(merging.merged_top(parts["parts"], most))


def findings(parts: Parts) -> http.Page:
    """Return the findings."""
    return as_page({"findings": merging.merged_findings(parts["parts"])})


def summary(parts: Parts) -> http.Page:
    """Return what the recorders hold."""
    return as_page(merging.merged_summary(parts["parts"]))


def recorded(parts: Parts, form: str) -> http.Page:
    """Return the records of all, oldest first; form: jsonl or pcap. A burst is that of each."""
    told = [each for each in parts["parts"] if each is not None]
    if not told:
        return http.Page("there was no burst\n", 404)
    # Monotonic clocks of one machine are one clock.
    offset = told[0]["offset"]
    found = merge(
        *(records.read(b64decode(each["octets"])) for each in told), key=lambda record: record.at
    )
    if form == "pcap":
        return http.Page(_pcap(found, offset), media_type=pcap.MEDIA_TYPE)
    return http.Page(_lines(found, offset), media_type=JSON_LINES)


def _lines(found: Iterator[records.Record], offset: float) -> Iterator[str]:
    while piece := list(islice(found, _PIECE)):
        yield "".join(records.line(record, offset) for record in piece)


def _pcap(found: Iterator[records.Record], offset: float) -> Iterator[bytes]:
    yield pcap.HEAD
    while piece := list(islice(found, _PIECE)):
        yield pcap.packets(piece, offset)


class _Found:
    """Metrics that are there, where a registry is wanted."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found
