"""The change feed with real processes: what is told, and what clients then get."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from kubedns.wire.notify import MAX_MESSAGE, Kind
from tests.forwarder.behaviours import FORMERR, NOTIMP
from tests.forwarder.conftest import Start
from tests.forwarder.program import Forwarder
from tests.forwarder.telling import Cluster, from_elsewhere
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only")

WEB = "web.shop.svc.cluster.local."
# The port is the one that the feed must come from, so each run has addresses of its own.
_NET = f"127.{random.randrange(64, 128)}.{random.randrange(256)}"
KUBEDNS, STRANGER = f"{_NET}.1", f"{_NET}.2"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(address=KUBEDNS) as server:
        yield server


def started(start: Start, cluster: Cluster, *options: str) -> Forwarder:
    return start(
        *cluster.options(),
        *options,
        "--cache-size=1000",
        nanny=[f"-kubednsServer={cluster.nameserver}"],
    )


def test_the_next_answer_after_a_change_is_the_new_one_even_if_receivers_had_the_old(
    start: Start, cluster: Cluster
) -> None:
    forwarder = started(start, cluster)
    cluster.begin(forwarder)
    cluster.addresses[WEB] = "10.0.0.1"
    for number in range(1, 50):
        for _ in range(4):
            assert forwarder.look(WEB) == {f"10.0.0.{number}"}
        assert cluster.count(WEB) == number, "the cache answers"
        cluster.addresses[WEB] = f"10.0.0.{number + 1}"
        cluster.changes(forwarder, WEB)
    status = forwarder.status()
    assert status["feed"]["alive"]
    assert status["feed"]["serial"] == 50
    assert status["feed"]["purged"] >= 49
    assert forwarder.metric("kubedns_forwarder_feed_alive") == 1
    assert forwarder.metric("kubedns_forwarder_feed_messages_total") >= 51
    forwarder.logs(f"change feed from {KUBEDNS}#10053 at serial 1")


def test_missing_names_are_answered_from_the_cache_until_they_come(
    start: Start, cluster: Cluster
) -> None:
    """With the published manifest's --no-negcache too."""
    forwarder = started(start, cluster, "--no-negcache")
    walk = [f"www.example.com.{domain}" for domain in ("shop.svc.cluster.local.", "cluster.local.")]
    forwarder.look(WEB)
    forwarder.look(WEB)
    assert cluster.count(WEB) == 2, "not without a feed"
    cluster.begin(forwarder)
    for _ in range(10):
        cluster.changes(forwarder)  # a heartbeat
        for name in (WEB, *walk):
            assert forwarder.look(name) == {"NXDOMAIN"}
            assert forwarder.look(name, "AAAA") == {"NXDOMAIN"}
    assert [cluster.count(name) for name in (WEB, *walk)] == [3, 1, 1]
    cluster.addresses[WEB] = "10.0.0.1"
    cluster.changes(forwarder, WEB, "shop.svc.cluster.local.")
    assert forwarder.look(WEB) == {"10.0.0.1"}


def test_when_the_feed_ends_missing_names_are_asked_for_again(
    start: Start, cluster: Cluster
) -> None:
    forwarder = started(start, cluster)
    cluster.begin(forwarder)
    cluster.addresses["known.shop.svc.cluster.local."] = "10.0.0.1"
    forwarder.look("known.shop.svc.cluster.local.")
    for _ in range(4):
        forwarder.look(WEB)
    forwarder.logs(f"change feed from {KUBEDNS}#10053 ends")
    becomes(lambda: forwarder.status()["feed"]["alive"], False)
    before = cluster.count(WEB)
    for _ in range(3):
        forwarder.look(WEB)
    assert cluster.count(WEB) == before + 3
    forwarder.look("known.shop.svc.cluster.local.")
    assert cluster.count("known.shop.svc.cluster.local.") == 1


def test_nobody_else_on_the_machine_can_purge_anything(start: Start, cluster: Cluster) -> None:
    forwarder = started(start, cluster)
    cluster.begin(forwarder)
    cluster.addresses[WEB] = "10.0.0.1"
    forwarder.look(WEB)
    octets = cluster.notice(Kind.CHANGE, 1, 2, WEB)  # with the right key
    for source in ((KUBEDNS, 0), (STRANGER, 10053)):
        refusal = from_elsewhere(forwarder, octets, source)
        assert (refusal[:2], refusal[2] & 0x80, refusal[3] & 15) == (octets[:2], 0x80, NOTIMP)
    forwarder.look(WEB)
    assert cluster.count(WEB) == 1
    feed = forwarder.status()["feed"]
    assert feed["serial"] == 1
    assert feed["refused"] == {"from elsewhere": 2}
    series = 'kubedns_forwarder_feed_refused_total{reason="from elsewhere"}'
    assert forwarder.metric(series) == 2


def test_a_new_start_of_the_clusters_server_which_is_not_in_sync_yet(
    start: Start, cluster: Cluster
) -> None:
    forwarder = started(start, cluster)
    cluster.begin(forwarder)
    cluster.addresses[WEB] = "10.0.0.1"
    for _ in range(4):
        forwarder.look(WEB)
    cluster.serial = 7  # we missed something
    cluster.changes(forwarder)
    becomes(lambda: forwarder.status()["feed"]["out_of_step"], 1)
    forwarder.look(WEB)
    assert cluster.count(WEB) == 2, "asked for anew"
    until(lambda: forwarder.logs("out of step"), wanted="a line of the log")


def test_a_flood_of_forged_messages_purges_nothing_and_queries_are_answered(
    start: Start, cluster: Cluster
) -> None:
    """From the machine itself, with the right key: greetings, changes, some larger than allowed."""
    forwarder = started(start, cluster)
    cluster.begin(forwarder)
    cluster.addresses[WEB] = "10.0.0.1"
    forwarder.look(WEB)
    forged = [
        cluster.notice(Kind.HELLO),
        cluster.notice(Kind.ALL, 1, 2),
        cluster.notice(Kind.CHANGE, 1, 2, WEB),
        cluster.notice(Kind.CHANGE, 1, 2) + b"\1a\0" * 10_000,
    ]
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((STRANGER, 10053))
        for number in range(4000):
            sock.sendto(forged[number % 4], (forwarder.address, forwarder.port))
            if number % 400 == 0:
                cluster.changes(forwarder)  # a heartbeat
                assert forwarder.look(WEB) == {"10.0.0.1"}
    assert cluster.count(WEB) == 1
    feed = forwarder.status()["feed"]
    assert (feed["serial"], feed["out_of_step"]) == (1, 0)
    assert set(feed["refused"]) == {"from elsewhere"}


def test_what_is_larger_than_a_message_may_be_is_refused_whole(
    start: Start, cluster: Cluster
) -> None:
    forwarder = started(start, cluster)
    cluster.begin(forwarder)
    many = [f"service-{number}.namespace.svc.cluster.local." for number in range(200)]
    receipts = len(cluster.asked)
    octets = cluster.notice(Kind.CHANGE, 1, 2, *many)
    assert len(octets) > MAX_MESSAGE
    cluster.sends(forwarder, octets)
    until(lambda: len(cluster.asked) > receipts, wanted="a reply")
    assert cluster.asked[receipts].wire[3] & 15 == FORMERR
    feed = forwarder.status()["feed"]
    assert (feed["serial"], feed["refused"]) == (1, {"cut short": 1})
