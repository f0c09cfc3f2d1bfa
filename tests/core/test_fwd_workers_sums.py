"""One answer out of those of several workers."""

import json
from typing import Any

import pytest
from prometheus_client.core import Metric

from dnsmasq_py import limits
from dnsmasq_py.options import Options, UsageError, parse
from dnsmasq_py.workers import own, shares, sums
from tests.core.test_fwd_metrics import made


def told(hits: int, **more: Any) -> sums.Tree:
    counts = {
        "cachesize": 1000,
        "insertions": 1,
        "evictions": 0,
        "misses": 2,
        "hits": hits,
        "auth": 0,
    }
    server = {
        "server": "192.0.2.1", "sent": hits, "retried": 1, "failed": 0, "nxdomain": 0,
        "latency_ms": float(hits),
    }  # fmt: skip
    return {"counts": counts, "tcp": [1, 2, 128], "stale": None, "servers": [server], **more}


def test_statistics_are_sums_but_for_the_size_of_a_cache() -> None:
    total = sums.report([told(10), told(30)], None)
    assert total["counts"] == {
        "cachesize": 1000, "insertions": 2, "evictions": 0, "misses": 4, "hits": 40, "auth": 0,
    }  # fmt: skip
    assert total["tcp"] == [2, 4, 256]
    assert total["stale"] is None
    (server,) = total["servers"]
    assert (server["sent"], server["retried"]) == (40, 2)
    assert server["latency_ms"] == pytest.approx((10 * 10 + 30 * 30) / 40)


def test_a_server_that_nobody_asked_yet_has_no_latency() -> None:
    (server,) = sums.report([told(0), told(0)], None)["servers"]
    assert (server["sent"], server["latency_ms"]) == (0, 0)


def test_counts_of_workers_that_ended_stay() -> None:
    gone = sums.bury(sums.REPORT, None, json.dumps(told(5)).encode())
    gone = sums.bury(sums.REPORT, gone, json.dumps(told(6)).encode())
    total = sums.report([told(1)], json.loads(gone))
    assert total["counts"]["hits"] == 12
    assert total["counts"]["cachesize"] == 1000
    assert total["tcp"] == [1, 2, 128], "its connections have ended"
    assert total["servers"][0]["sent"] == 12


def test_servers_that_are_asked_no_more_are_not_told() -> None:
    gone = sums.bury(sums.REPORT, None, json.dumps(told(5)).encode())
    assert sums.report([told(1, servers=[])], json.loads(gone))["servers"] == []


def test_what_nobody_counts_leaves_nothing_behind() -> None:
    assert sums.bury(sums.RESET, None, b"null") == b"null"


def family(name: str, kind: str, value: float, **labels: str) -> sums.Family:
    suffix = "_total" if kind == "counter" else ""
    return [name, kind, "help", [[name + suffix, labels, value]]]


def test_metrics_are_sums_or_the_worst() -> None:
    def page(value: float) -> list[sums.Family]:
        return [
            family("kubedns_forwarder_hits", "counter", value, protocol="udp"),
            family("kubedns_forwarder_cache_entries", "gauge", value),
            family("kubedns_forwarder_feed_alive", "gauge", value > 1),
            family("kubedns_forwarder_upstream_srtt_seconds", "gauge", value, upstream="a"),
            family("kubedns_forwarder_config_errors", "counter", value, key="stubDomains"),
            family("kubedns_forwarder_dropped", "counter", value, reason=f"r{value}"),
        ]

    gone = json.loads(sums.bury(sums.METRICS, None, json.dumps(page(100)).encode()))
    merged = {each[0].removeprefix("kubedns_forwarder_"): each[3] for each in sums.metrics(
        [page(1), page(2)], gone
    )}  # fmt: skip
    values = {name: [sample[2] for sample in samples] for name, samples in merged.items()}
    assert values == {
        "hits": [103],
        "cache_entries": [3],
        "feed_alive": [0],
        "upstream_srtt_seconds": [2],
        "config_errors": [1],
        "dropped": [1, 2, 100],
    }


def test_every_metric_of_one_worker_survives_being_one_of_two() -> None:
    """Names, types and labels are those of one process; histograms stay what they are."""
    mine = own.metrics(made())
    merged = sums.metrics(json.loads(json.dumps([mine, mine])), None)
    assert [each[:3] for each in merged] == [each[:3] for each in mine]
    for one, two in zip(mine, merged, strict=True):
        assert [each[:2] for each in two[3]] == [each[:2] for each in one[3]]
        if one[1] == "histogram":
            assert [each[2] for each in two[3]] == [2 * each[2] for each in one[3]]
        rebuilt = Metric(*(two[0], two[2], two[1]))
        assert rebuilt.type == one[1]


def page(hits: int, **more: Any) -> sums.Tree:
    return {
        "version": "1",
        "uptime_s": float(hits),
        "unready": "",
        "draining": False,
        "listeners": ["127.0.0.1#53"],
        "cache": {"hits": hits, "misses": 10, "hit_rate": 0.5, "max_entries": 100},
        "load": {"limits_reached": {"client": hits}},
        "feed": {"alive": True, "serial": hits, "heard_s_ago": None, "purges": hits},
        "exceptions": 0,
        "warnings": [
            {"time": f"2026-01-0{hits}", "text": f"w{hits}"},
            {"time": "2026-01-01", "text": "same"},
        ],
        "routes": [
            {
                "domain": "root",
                "kind": "forward",
                "in_flight": 1,
                "upstreams": [
                    {"server": "192.0.2.1", "state": "up", "srtt_ms": None, "sent": hits},
                    {"server": "192.0.2.2", "state": "down", "srtt_ms": 2.0, "sent": hits},
                ],
            }
        ],
        "worker": {"number": hits},
        **more,
    }


def test_the_status_page_of_two_workers_has_the_shape_of_ones() -> None:
    first = page(3)
    second = page(4, unready="not listening", feed=None)
    merged = sums.status([first, second], None)
    assert merged.keys() - first.keys() == {"workers"}
    assert merged["workers"] == [{"number": 3}, {"number": 4}]
    assert merged["uptime_s"] == 4
    assert merged["unready"] == "not listening"
    assert merged["draining"] is False
    assert merged["cache"] == {"hits": 7, "misses": 20, "hit_rate": 0.2593, "max_entries": 200}
    assert merged["feed"] == {"alive": True, "serial": 3, "heard_s_ago": None, "purges": 3}
    assert [each["text"] for each in merged["warnings"]] == ["same", "w3", "w4"]
    (route,) = merged["routes"]
    assert route["in_flight"] == 2
    assert [(u["state"], u["srtt_ms"], u["sent"]) for u in route["upstreams"]] == [
        ("up", None, 7),
        ("down", 2.0, 7),
    ]


def test_a_worker_with_other_routes_adds_to_those_that_both_have() -> None:
    """For a moment, while a changed configuration has reached one of them."""
    merged = sums.status([page(1), page(2, routes=[])], None)
    assert merged["routes"][0]["upstreams"][0]["sent"] == 1
    merged = sums.status([page(1, routes=[]), page(2)], None)
    assert merged["routes"] == []


def test_counts_of_the_status_page_never_fall() -> None:
    gone = sums.bury(sums.STATUS, None, json.dumps(page(5)).encode())
    gone = sums.bury(sums.STATUS, gone, json.dumps(page(5)).encode())
    merged = sums.status([page(1)], json.loads(gone))
    assert merged["cache"]["hits"] == 11
    assert merged["cache"]["max_entries"] == 100
    assert merged["load"]["limits_reached"] == {"client": 11}
    assert merged["uptime_s"] == 1
    assert merged["routes"][0]["upstreams"][1]["sent"] == 11
    assert merged["routes"][0]["in_flight"] == 1


# Limits and the command line


def test_what_is_promised_to_others_is_divided() -> None:
    one = shares.of(Options(dns_forward_max=150, log_interval_s=5.0), 4, 0)
    assert one.dns_forward_max == 38
    assert one.max_tcp_connections == 64
    assert one.log_queries_per_s == 25
    assert one.log_interval_s == 5.0
    assert one.hot_file == ""
    assert one.cache_size == Options().cache_size
    assert shares.of(Options(hot_file="/hot"), 2, 0).hot_file == "/hot"
    assert shares.of(Options(hot_file="/hot"), 2, 1).hot_file == "/hot.1", "each writes its own"
    other = shares.of(Options(log_queries_per_s=0, warnings=("w",)), 3, 2)
    assert other.log_queries_per_s == 0, "no bound stays none"
    assert other.dns_forward_max == -(-limits.MAX_GROUP_QUESTIONS // 3)
    assert (other.log_interval_s, other.warnings) == (0.0, ())
    assert [shares.per_client(20, count) for count in (2, 4, 64)] == [10, 5, 4]


@pytest.mark.parametrize("text", ["0", "-1", "x", "65", "", "1.5"])
def test_a_number_of_workers_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="--workers") as caught:
        parse([f"--workers={text}"], conf_file="")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["--query-port=5353", "--server=192.0.2.1@127.0.0.1#5353"])
def test_workers_cannot_share_a_port_to_ask_from(option: str) -> None:
    """The kernel would give the replies to one to another."""
    parse(["--", option], conf_file="")
    with pytest.raises(UsageError, match="--workers") as caught:
        parse(["--workers=2", "--", option], conf_file="")
    assert "\n" not in str(caught.value)


def test_one_worker_is_the_default_and_sixty_four_the_most() -> None:
    assert parse([], conf_file="").workers == 1
    assert parse(["--workers=64"], conf_file="").workers == 64
