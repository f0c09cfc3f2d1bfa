"""What operators see of the change feed: metrics, and its part of /status."""

from random import Random
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from dnsmasq_py import metrics
from dnsmasq_py.metrics import Parts
from dnsmasq_py.pages import Pages
from dnsmasq_py.report import Tcp
from dnsmasq_py.state import State
from dnsmasq_py.upstreams import Upstreams
from kubedns.wire.notify import Kind
from tests.fwdreplay import Replay
from tests.fwdteller import Teller, fed, is_held

PREFIX = "kubedns_forwarder_feed_"
WEB = "web.shop.svc.cluster.local."


def parts_of(replay: Replay) -> Parts:
    return Parts(
        state=State(began=0.0),
        counters=replay.counters,
        cache=replay.cache,
        upstreams=Upstreams(Random(1)),
        sockets=SimpleNamespace(sockets=0, connections=0),
        failures=(),
        in_flight=lambda: 0,
        waiting=lambda: 0,
        tcp=lambda: Tcp(0, 0, 256),
        limits={},
        feed=replay.forwarder.feed,
        purges=replay.forwarder.purges,
    )


def measured(replay: Replay) -> dict[str, float]:
    """Return the metrics of the feed, without their prefix; the label behind the name."""
    text = metrics.exposition(parts_of(replay))().decode()
    return {
        " ".join((sample.name.removeprefix(PREFIX), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }


def shown(replay: Replay) -> dict[str, Any]:
    found: dict[str, Any] = Pages(parts_of(replay), replay.clock.seconds).status()["feed"]
    return found


def test_before_anything_was_told() -> None:
    replay = Replay()
    found = measured(replay)
    assert found["alive"] == found["serial"] == found["purges_total"] == 0
    page = shown(replay)
    assert page["alive"] is False
    assert page["teller"] == "127.0.0.1#10053"
    assert page["heard_s_ago"] is None


def test_what_was_told_and_what_became_of_it() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", f"{WEB} 30 IN A 10.0.0.7")
    replay.resolve("db.shop.svc.cluster.local. A", "db.shop.svc.cluster.local. 30 IN A 10.0.0.8")
    teller.changes(WEB)
    teller.lives(2)
    teller.receipt(Kind.CHANGE, 5000, 5001)  # something was lost
    teller.key = b"k" * 16
    teller.receipt(Kind.ALL)
    teller.sender = ("127.0.0.1", 53)
    teller.says(teller.notice(Kind.ALL).encode())
    found = measured(replay)
    assert found["alive"] == 1
    assert found["serial"] == 5001
    assert found["messages_total hello"] == 1
    assert found["messages_total names"] == 1
    assert found["messages_total heartbeat"] == 4
    assert found["purged_entries_total"] == 1
    assert found["suspected_entries_total"] == 1
    assert found["unexpected_serials_total"] == 1
    assert found["refused_total without the key"] == 1
    assert found["refused_total from elsewhere"] == 1
    page = shown(replay)
    assert page["instance"] == b"instance".hex()
    assert (page["serial"], page["begun"], page["out_of_step"]) == (5001, 1, 1)
    assert page["heard_s_ago"] == 0


def test_when_the_feed_has_ended() -> None:
    replay, _ = fed()
    replay.time_passes(5)
    assert measured(replay)["alive"] == 0
    page = shown(replay)
    assert page["alive"] is False
    assert page["heard_s_ago"] == 5
    Teller(replay, instance=b"another!").begins()
    assert measured(replay)["begun_total"] == 2
    assert not is_held(replay, f"{WEB} A")
