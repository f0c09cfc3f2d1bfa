"""The change feed reaches every worker, whichever of them the kernel hands the message to."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kubedns.wire import notify
from kubedns.wire.notify import Kind, Notice
from tests.forwarder.conftest import Start
from tests.forwarder.crew import SOCKETS, Crew, crew
from tests.forwarder.program import Forwarder
from tests.forwarder.telling import Cluster
from tests.forwarder.test_fwd_feed_end_to_end import Cluster as Whole
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

WEB = "web.shop.svc.cluster.local."
MISSES = "kubedns_forwarder_misses_total"
RETRY_S = 2.0  # of a client


class Persistent(Cluster):
    """Says everything again until there is a receipt, as kubedns does."""

    def says(
        self, forwarder: Forwarder, kind: Kind, before: int = 0, after: int = 0, *changed: str
    ) -> Notice:
        octets = self.notice(kind, before, after, *changed)

        def receipt() -> bytes | None:
            self.sends(forwarder, octets)
            deadline = time.monotonic() + 0.2
            while time.monotonic() < deadline:
                if found := self._reply(octets[:2]):
                    return found
                time.sleep(0.01)
            return None

        return notify.read(until(receipt, wanted="a receipt"))


@pytest.fixture
def cluster() -> Iterator[Persistent]:
    with Persistent(address="127.64.7.1") as server:
        yield server


def pair(start: Start, cluster: Cluster, *options: str) -> Crew:
    return crew(
        start, *cluster.options(), *options, "--cache-size=1000",
        nanny=[f"-kubednsServer={cluster.nameserver}"],
    )  # fmt: skip


def test_a_receipt_means_that_every_worker_has_purged(start: Start, cluster: Persistent) -> None:
    two = pair(start, cluster)
    cluster.begin(two.forwarder)
    cluster.addresses[WEB] = "10.0.0.1"
    for number in range(1, 30):
        for _ in range(2):
            assert two.looks(WEB) == {f"10.0.0.{number}": SOCKETS}
        # Questions, not packets: on a loaded machine one is sent again.
        assert two.forwarder.metric(MISSES) == 2 * number, "each worker asks once"
        cluster.addresses[WEB] = f"10.0.0.{number + 1}"
        cluster.changes(two.forwarder, WEB)
    feed = two.forwarder.status()["feed"]
    assert (feed["alive"], feed["serial"], feed["out_of_step"]) == (True, 30, 0)
    assert feed["messages"] == {"hello": 1, "heartbeat": 1, "names": 29}
    assert two.forwarder.metric("kubedns_forwarder_feed_alive") == 1
    assert two.forwarder.metric("kubedns_forwarder_feed_purges_total") == 30
    assert len(two.forwarder.logs("change feed from 127.64.7.1#10053 at serial 1")) == 1


def test_missing_names_are_kept_by_both_until_they_come(start: Start, cluster: Persistent) -> None:
    two = pair(start, cluster, "--no-negcache")
    cluster.begin(two.forwarder)
    for _ in range(5):
        assert two.looks(WEB) == {"NXDOMAIN": SOCKETS}
    assert two.forwarder.metric(MISSES) == 2
    cluster.addresses[WEB] = "10.0.0.1"
    cluster.changes(two.forwarder, WEB, "shop.svc.cluster.local.")
    assert two.looks(WEB) == {"10.0.0.1": SOCKETS}


def test_when_the_feed_ends_it_ends_in_both(start: Start, cluster: Persistent) -> None:
    two = pair(start, cluster)
    cluster.begin(two.forwarder)
    two.looks(WEB)
    becomes(lambda: two.forwarder.status()["feed"]["alive"], False)
    until(lambda: two.forwarder.metric("kubedns_forwarder_cache_entries") == 0)
    before = cluster.count(WEB)
    two.looks(WEB)
    two.looks(WEB)
    assert cluster.count(WEB) >= before + 4, "nothing missing is kept"


def test_a_worker_started_again_keeps_nothing_missing_until_it_was_told(
    start: Start, cluster: Persistent
) -> None:
    two = pair(start, cluster)
    cluster.begin(two.forwarder)
    for number in (0, 1):
        assert two.looks(WEB) == {"NXDOMAIN": SOCKETS}
        killed = two.each(number)
        killed.kill()
        two.anew(killed)
        before = cluster.count(WEB)
        for _ in range(2):
            two.looks(WEB, sockets=SOCKETS)
        assert cluster.count(WEB) >= before + 2, "the fresh one asks each time"
        cluster.changes(two.forwarder)  # a heartbeat
        two.looks(WEB)
        before = two.forwarder.metric(MISSES)
        two.looks(WEB)
        assert two.forwarder.metric(MISSES) == before
    cluster.addresses[WEB] = "10.0.0.1"
    cluster.changes(two.forwarder, WEB)
    assert two.looks(WEB) == {"10.0.0.1": SOCKETS}
    assert two.forwarder.status()["feed"]["out_of_step"] == 0


@pytest.mark.parametrize("number", [0, 1])
def test_with_a_frozen_worker_the_receipt_comes_when_that_has_ended(
    start: Start, cluster: Persistent, number: int
) -> None:
    """Also if it is the one that the messages come to."""
    two = pair(start, cluster)
    cluster.begin(two.forwarder)
    cluster.addresses[WEB] = "10.0.0.1"
    cluster.changes(two.forwarder, WEB)
    for _ in range(3):
        assert two.looks(WEB) == {"10.0.0.1": SOCKETS}
    frozen = two.each(number)
    frozen.send_signal(signal.SIGSTOP)
    cluster.addresses[WEB] = "10.0.0.2"
    cluster.changes(two.forwarder, WEB)
    assert not frozen.is_running() or frozen.status() == psutil.STATUS_ZOMBIE
    found = two.looks(WEB, within_s=RETRY_S)
    assert found.keys() <= {"10.0.0.2", ""}, "nobody has the old one"
    two.anew(frozen)
    assert two.looks(WEB) == {"10.0.0.2": SOCKETS}


def test_changes_while_workers_are_killed(start: Start, cluster: Persistent) -> None:
    """After each receipt the new answer is the only one, whoever has just ended or begun."""
    two = pair(start, cluster)
    cluster.begin(two.forwarder)
    for number in range(1, 13):
        cluster.addresses[WEB] = f"10.0.0.{number}"
        cluster.changes(two.forwarder, WEB)
        found = two.looks(WEB, within_s=RETRY_S)
        assert found.keys() <= {f"10.0.0.{number}", ""}
        if number % 3 == 0:
            workers = two.workers()
            workers[number % len(workers)].kill()
    until(lambda: len(two.forwarder.status()["workers"]) == 2)
    assert two.looks(WEB) == {"10.0.0.12": SOCKETS}


def test_kubedns_tells_both(tmp_path: Path, start: Start) -> None:
    """With kubedns itself: services come and change, and all clients get the new at once."""

    def two_of_them(*options: str, **rest: object) -> Forwarder:
        nanny = ["--workers=2", *rest.pop("nanny", ())]  # type: ignore[misc]
        return start(*options, nanny=nanny, **rest)  # type: ignore[arg-type]

    whole = Whole(tmp_path, two_of_them)  # type: ignore[arg-type]
    two = Crew(whole.forwarder, 2)
    with whole.kubedns:
        for number in range(1, 6):
            for _ in range(3):
                two.looks(WEB)
            whole.put("web", f"10.0.0.{number}")
            becomes(lambda: whole.direct.look(WEB), {f"10.0.0.{number}"})
            until(lambda n=number: two.looks(WEB), lambda found: len(found) == 1)
            becomes(lambda: two.looks(WEB), {f"10.0.0.{number}": SOCKETS})
        feed = whole.feed()
        assert (feed["out_of_step"], feed["refused"]) == (0, {})
