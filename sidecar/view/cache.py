"""The cache of the forwarder: what is in it, and how many questions it answered over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.state import Neighbour, Sample, State
from sidecar.view import charts
from sidecar.view.charts import Chart
from sidecar.view.told import Told
from sidecar.view.words import (
    NONE,
    When,
    count,
    octets,
    per_second,
    percent,
    span,
    when,
)

_ROWS = 10  # of the table below the charts


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the numbers of a chart's last spans."""

    at: When
    queries: str
    hit_rate: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart with its words. now: the last value. scale, between: from, to. said: a sentence."""

    name: str
    chart: Chart
    now: str
    scale: str
    between: str
    said: str


@dataclass(frozen=True, slots=True)
class Cache:
    """drawings: none before there are samples. window: how much time they show."""

    facts: tuple[tuple[str, str], ...]
    drawings: tuple[Drawing, ...]
    window: str
    rows: tuple[Row, ...]


def cache(state: State, forwarder: Neighbour | None, now: float) -> Cache:
    """Return what the forwarder's status says, or what its counters say if there is none."""
    status = Told(forwarder.status if forwarder else None)
    told = status.inner("cache")
    samples = state.samples
    window = span(samples[-1].at - samples[0].at + samples[0].span_s) if samples else ""
    return Cache(
        facts=tuple((*_told(told), *_fed(status)) if told else _counted(state)),
        drawings=tuple(_drawings(samples, window)),
        window=window,
        rows=tuple(
            Row(when(each.at, now), per_second(charts.rate(each)), percent(charts.share(each)))
            for each in reversed(samples[-_ROWS:])
        ),
    )


def _fed(status: Told) -> Iterator[tuple[str, str]]:
    """Tell whether the cluster's server says what changed; nothing of a version without a feed."""
    feed = status.inner("feed")
    alive = feed.flag("alive")
    if alive is not None:
        yield "told of changes", "yes" if alive else "no"
        yield "dropped for changes", count(feed.number("purged"))


def _told(told: Told) -> Iterator[tuple[str, str]]:
    yield "entries", _of(count(told.number("entries")), count(told.number("max_entries")))
    yield "memory", _of(octets(told.number("bytes")), octets(told.number("max_bytes")))
    yield "hits", count(told.number("hits"))
    yield "misses", count(told.number("misses"))
    yield "hit rate since start", percent(told.number("hit_rate"))
    yield "evicted early", count(told.number("evictions"))
    yield "answered stale", count(told.number("stale"))
    yield "prefetched", count(told.number("prefetched"))
    yield "failures remembered", count(told.number("failures_remembered"))


def _of(value: str, limit: str) -> str:
    return f"{value} of {limit}"


def _counted(state: State) -> Iterator[tuple[str, str]]:
    counted = state.statistics
    asked = counted.hits + counted.misses
    yield "size", count(counted.max_size) + " entries" if counted.max_size else NONE
    yield "hits", count(counted.hits)
    yield "misses", count(counted.misses)
    yield "hit rate", percent(counted.hits / asked if asked else None)
    yield "insertions", count(counted.insertions)
    yield "evicted early", count(counted.evictions)


def _drawings(samples: Sequence[Sample], window: str) -> Iterator[Drawing]:
    if not samples:
        return
    wide = charts.merged(samples)
    for name, chart, last, words in (
        ("Hit rate", charts.hit_rate(wide), charts.share(samples[-1]), percent),
        ("Queries", charts.queries(wide), charts.rate(samples[-1]), per_second),
    ):
        between = f"{words(chart.least)} to {words(chart.most)}"
        yield Drawing(
            name=name,
            chart=chart,
            now=words(last),
            scale=f"0 to {words(chart.top).replace('.0', '')}",
            between=between,
            said=f"{name} over {window}: {between}, at last {words(last)}",
        )
