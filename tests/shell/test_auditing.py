"""When audits are made and what follows from them, without a network: the pages are ours."""

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from kubedns.cluster import auditing
from kubedns.cluster.auditing import Auditing
from kubedns.cluster.listwatch import ApiError, Event, ListWatch, Request
from kubedns.cluster.objects import EndpointNames, Kind, Reader
from tests.builders import Cluster, Object, service


class Source:
    """A cluster's API server and what is kept of it; what it is asked and told."""

    def __init__(self, truth: list[Object], kept: list[Object]) -> None:
        self.cluster = Cluster()
        for each in kept:
            self.cluster.pairing.put(Kind.SERVICE, self.cluster.decode(each))
        self.cluster.pairing.flush(1.0)
        self.truth = truth
        self.machine = ListWatch(Reader(Kind.SERVICE), rng=random.Random(1))
        self.machine.listed(b'{"metadata": {"resourceVersion": "100"}, "items": []}', 0.0)
        self.machine.request(0.0)
        self.requests: list[Request] = []
        self.distrusted: list[str] = []
        self.fails: list[Exception] = []
        self.between: Callable[[], None] = lambda: None
        self.version = "100"

    async def page(self, request: Request) -> bytes:
        self.requests.append(request)
        if self.fails:
            raise self.fails.pop(0)
        start = int(request.query.get("continue", "0"))
        rest = self.truth[start + 2 :]
        meta = {"resourceVersion": self.version, "continue": str(start + 2) if rest else ""}
        self.between()
        return json.dumps({"metadata": meta, "items": self.truth[start : start + 2]}).encode()

    def machines(self) -> list[ListWatch]:
        return [self.machine]

    def kept(self, kind: Kind) -> Any:
        return self.cluster.pairing.kept(kind)

    def repair(self, kind: Kind, events: list[Event]) -> None:
        for event in events:
            if event.deleted:
                self.cluster.pairing.drop(kind, event.object.key)
            else:
                self.cluster.pairing.put(kind, event.object)
        self.cluster.pairing.flush(1.0)

    def distrust(self, kind: Kind, reason: str) -> None:
        self.distrusted.append(reason)

    def services(self) -> Sequence[Any]:
        return self.cluster.pairing.services()

    def repair_zone(self, services: Sequence[Any]) -> list[str]:
        found = self.cluster.pairing.astray(services)
        self.cluster.pairing.flush(1.0)
        return [f"{a.decode()}/{b.decode()}" for a, b in found]

    def names(self) -> set[str]:
        return {key.partition("/")[2] for key in self.kept(Kind.SERVICE)}


class Time:
    """A clock whose sleeping costs nothing."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wakes: list[Callable[[], None]] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await _sleep(0)


_sleep = asyncio.sleep


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(auditing.asyncio, "sleep", time.sleep)  # type: ignore[attr-defined]
    return time


@pytest.fixture
def said() -> Any:
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    yield lines
    globalLogPublisher.removeObserver(note)


def _audits(source: Source, time: Time, until_s: float, interval_s: float = 3600.0) -> Auditing:
    auditing = Auditing(
        source, source, interval_s=interval_s, naming=EndpointNames.IP,
        clock=lambda: time.now, rng=random.Random(1), wall_clock=lambda: 1000.0 + time.now,
    )  # fmt: skip

    async def run() -> None:
        task = asyncio.ensure_future(auditing.run())
        while time.now < until_s:
            assert not task.done(), task
            await _sleep(0)
        task.cancel()

    asyncio.run(run())
    return auditing


def _services(count: int) -> list[Object]:
    return [service(f"s{i}", ip=f"10.0.0.{i}") for i in range(1, count + 1)]


def test_all_is_compared_about_once_an_hour(time: Time) -> None:
    """Replicas that started together do not list together."""
    source = Source(_services(5), _services(5))
    report = _audits(source, time, 3 * 3600.0).reports["services"]
    assert 2 <= report.runs <= 3
    assert (report.differences, report.failures, report.last_error) == (0, 0, None)
    assert report.last is not None
    assert len(source.requests) == 3 * report.runs


def test_pages_are_small_and_there_are_pauses_between_them(time: Time) -> None:
    """Neither the API server nor the queries feel an audit."""
    source = Source(_services(20), _services(20))
    moments: list[float] = []
    source.between = lambda: moments.append(time.now)
    _audits(source, time, 5000.0)
    limits = {request.query["limit"] for request in source.requests}
    assert limits == {"100", "500"}, "more when they cost nothing, as on this clock"
    assert not any(
        request.watch or "resourceVersion" in request.query for request in source.requests
    )
    pauses = [after - before for before, after in itertools.pairwise(moments[:10])]
    assert min(pauses) >= auditing.PAUSE_S / 2


def test_pages_that_take_long_to_read_are_made_smaller(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of a hundred endpoints each: queries must not wait for a page of them."""
    source = Source(_services(20), _services(20))
    read = Reader.page

    def slow(reader: Reader, octets: bytes) -> Any:
        time.now += 0.02
        return read(reader, octets)

    monkeypatch.setattr(Reader, "page", slow)
    _audits(source, time, 4000.0)
    limits = [request.query["limit"] for request in source.requests]
    assert limits[0] == "100"
    assert set(limits[1:10]) == {"50"}


def test_a_list_that_expires_is_read_faster_the_next_time(time: Time) -> None:
    """So that it comes to an end before the API server forgets its version."""
    source = Source(_services(20), _services(20))
    source.fails = [ApiError("HTTP 410 expired", 410)] * 3
    moments: list[float] = []
    source.between = lambda: moments.append(time.now)
    report = _audits(source, time, 3600.0 * 1.1 + 4 * auditing.RETRY_S).reports["services"]
    assert report.runs == 1
    assert moments[9] - moments[0] < 9 * auditing.PAUSE_S / 4


def test_what_differs_is_repaired_counted_and_named(time: Time, said: list[str]) -> None:
    """Ten names are enough."""
    source = Source(_services(20), [*_services(8)[1:], service("gone", ip="10.0.9.9")])
    report = _audits(source, time, 4000.0).reports["services"]
    assert report.differences == 14
    assert source.names() == {f"s{i}" for i in range(1, 21)}
    line = next(line for line in said if "audit: 14 services" in line)
    assert "shop/s1, " in line
    assert "and 4 more" in line
    assert "version 100" in line


@pytest.mark.parametrize(
    "error", [ApiError("HTTP 410 expired", 410), ApiError("HTTP 403", 403), ValueError("a fault")]
)
def test_an_audit_that_fails_is_made_a_little_later(
    time: Time, said: list[str], error: Exception
) -> None:
    """It is not the watch's affair; a fault of ours does not end the audits either."""
    source = Source(_services(5), _services(4))
    source.fails = [error, error]
    report = _audits(source, time, 3600.0 * 1.1 + 3 * auditing.RETRY_S).reports["services"]
    assert (report.failures, report.runs, report.differences) == (2, 1, 1)
    assert not source.distrusted
    assert source.machine.errors == 0


def test_a_kind_that_was_listed_meanwhile_is_compared_already(time: Time) -> None:
    """The watch had expired: what that list repaired is no difference."""
    source = Source(_services(5), _services(4))

    def relist() -> None:
        source.between = lambda: None
        source.machine.restart()

    source.between = relist
    report = _audits(source, time, 4000.0).reports["services"]
    assert report.last_error == "the kind was listed anew meanwhile"
    assert (report.runs, report.differences) == (0, 0)


def test_a_kind_that_is_not_watched_is_not_audited(time: Time) -> None:
    """Its list is under way, or may not be read."""
    source = Source(_services(5), _services(4))
    source.machine.restart()
    assert _audits(source, time, 4000.0).reports["services"].runs == 0
    assert not source.requests


def test_a_watch_that_stands_behind_the_list_for_minutes_is_not_trusted(time: Time) -> None:
    """It is open, has bookmarks even, and is frozen all the same."""
    source = Source(_services(5), _services(4))
    source.version = "200"
    report = _audits(source, time, 3600 * 1.1 + auditing.LAG_S + 10).reports["services"]
    assert report.failures == 1
    assert "version 100 only" in source.distrusted[0]
    assert source.names() == {f"s{i}" for i in range(1, 5)}, "the list in its place does that"


def test_a_watch_that_catches_up_is_trusted(time: Time) -> None:
    """A bookmark comes about once a minute."""
    source = Source(_services(5), _services(4))
    source.version = "200"

    def catch_up() -> None:
        source.machine.resource_version = "200" if source.requests[2:] else "100"

    source.between = catch_up
    report = _audits(source, time, 4100.0).reports["services"]
    assert (report.runs, report.differences) == (1, 1)
    assert not source.distrusted


def test_a_store_that_was_set_back_makes_the_watch_begin_anew(time: Time) -> None:
    """It would wait for a version from the future."""
    source = Source(_services(5), _services(4))
    source.version = "50"
    report = _audits(source, time, 4000.0).reports["services"]
    assert report.failures == 1
    assert "version 50" in source.distrusted[0]


def test_a_zone_that_is_not_what_its_objects_make_is_repaired(time: Time, said: list[str]) -> None:
    """By whatever fault of ours."""
    source = Source(_services(5), _services(5))
    tree = source.cluster.tree
    tree.replace((b"shop", b"s1"), None)
    tree.replace((b"shop", b"ghost"), tree.branch(b"shop", b"s2"))
    report = _audits(source, time, 4000.0).reports["zone"]
    assert (report.runs, report.differences) == (1, 2)
    assert tree.branch(b"shop", b"s1") is not None
    assert tree.branch(b"shop", b"ghost") is None
    assert any("audit: 2 services in the zone" in line and "shop/ghost" in line for line in said)


def test_no_step_of_an_audit_is_without_a_limit(time: Time) -> None:
    """The supervisor runs it again if one is overdue."""
    source = Source(_services(5), _services(5))
    made: list[Auditing] = []
    source.between = lambda: seen.append(made[0].overdue_at - time.now)
    seen: list[float] = []
    auditing_ = Auditing(
        source, source, interval_s=1.0, naming=EndpointNames.IP,
        clock=lambda: time.now, rng=random.Random(1),
    )  # fmt: skip
    made.append(auditing_)

    async def run() -> None:
        task = asyncio.ensure_future(auditing_.run())
        while time.now < 10:
            await _sleep(0)
            assert auditing_.overdue_at < time.now + 400
        task.cancel()

    asyncio.run(run())
    assert seen
    assert max(seen) < 400
