"""What traffic shows that somebody should do something about."""

from types import SimpleNamespace
from typing import Any

import pytest

from dnsmasq_py.observed import records
from dnsmasq_py.observed.findings import KINDS, OTHERS, Findings
from dnsmasq_py.observed.retries import Retries
from dnsmasq_py.server import Server
from tests.observing import NOW, SEARCH, Seen

CLIENT = "10.0.0.1"


@pytest.fixture
def seen() -> Seen:
    """Show it some traffic, then ask for what it found."""
    return Seen()


def test_ordinary_traffic_means_nothing(seen: Seen) -> None:
    """Answers, a missing name and a failure now and then are no finding."""
    for number in range(100):
        client = f"10.0.0.{number % 7}"
        seen.asks(f"svc{number}.prod.svc.cluster.local.", client=client, number=number)
        seen.asks(f"svc{number}.prod.svc.cluster.local.", "AAAA", client=client, answers=False)
        seen.time_passes(0.1)
    seen.asks("gone.example.", rcode="NXDOMAIN", times=20)
    seen.asks("bad.example.", rcode="SERVFAIL", times=5)
    assert {each.split()[0] for each in seen.findings()} <= {"aaaa-on-ipv4-only"}


def test_five_seconds_between_two_questions_mean_a_lost_packet(seen: Seen) -> None:
    """The same client, port and ID ask the same again after 5 s, although we had answered."""
    for pause in (0.0, 5.1):
        seen.time_passes(pause)
        seen.asks("web.example.", number=77)
    found = seen.findings()
    assert found[f"conntrack-race {CLIENT}"]["count"] == 1
    assert found[f"conntrack-race {CLIENT}"]["chapter"] == "findings-conntrack-race"
    assert "connection tracking" in found[f"conntrack-race {CLIENT}"]["text"]


@pytest.mark.parametrize(
    "second",
    [
        {"number": 78},
        {"port": 40001},
        {"client": "10.0.0.2"},
        {"rtype": "AAAA"},
        {"tcp": True},
        {"pause": 4.0},
        {"pause": 6.0},
    ],
)
def test_other_second_questions_mean_nothing(seen: Seen, second: dict[str, Any]) -> None:
    """Who asks anew, or at another pace, has lost nothing."""
    seen.asks("web.example.", number=77)
    seen.time_passes(second.pop("pause", 5.0))
    seen.asks("web.example.", **{"number": 77, **second})
    assert not seen.findings()


def test_a_retry_after_a_late_answer_is_our_own_fault(seen: Seen) -> None:
    """Where the first answer took four seconds, nothing was lost on the way."""
    seen.time_passes(4)
    seen.asks("web.example.", number=77, took=4.0)
    seen.time_passes(1)
    seen.asks("web.example.", number=77)
    assert not seen.findings()


def test_questions_remembered_for_retries_are_bounded() -> None:
    """Any number of questions takes the memory of a few thousand."""
    retries = Retries()
    blank = records.Record(0, None, b"", 0, b"", 0, 1, 0, False, 1, bytes(16))
    for number in range(30_000):
        query = number.to_bytes(4)
        retries.seen(blank._replace(at=number * 100, query=query), query)
    assert len(retries) <= 8192


def test_a_search_domain_that_never_exists(seen: Seen) -> None:
    """A domain in clients' search lists below which nothing is found is named."""
    for number in range(12):
        seen.walks(f"host{number}.example", search=(*SEARCH, "corp.example."))
    found = seen.findings()
    assert found["search-domain-never-exists corp.example."]["count"] == 24
    assert len([each for each in found if each.startswith("search-domain")]) == 1


def test_a_search_domain_with_something_in_it_is_none(seen: Seen) -> None:
    """One name that exists there is enough."""
    for number in range(12):
        seen.walks(f"host{number}.example", search=(*SEARCH, "corp.example."))
        seen.asks("intra.corp.example.")
    assert not any(each.startswith("search-domain") for each in seen.findings())


def test_search_waste(seen: Seen) -> None:
    """When most questions are steps of search lists, the advice is ndots:2."""
    for number in range(30):
        seen.walks(f"host{number}.example")
    found = seen.findings()["search-waste "]
    assert found["count"] == 180
    assert "ndots:2" in found["text"]
    assert "75 %" in found["text"]


def test_ipv6_asked_for_where_there_is_none(seen: Seen) -> None:
    """Half of the questions for addresses ask for AAAA, and none has an answer."""
    for rtype in ("A", "AAAA"):
        seen.asks("web.example.", rtype, answers=rtype == "A", times=120)
    assert "50 %" in seen.findings()["aaaa-on-ipv4-only "]["text"]


def test_ipv6_where_there_is_some(seen: Seen) -> None:
    """One answer with an IPv6 address is enough for the questions to make sense."""
    seen.asks("web.example.", times=120)
    seen.asks("web.example.", "AAAA", answers=False, times=120)
    seen.asks("six.example.", "AAAA")
    assert "aaaa-on-ipv4-only " not in seen.findings()


def test_one_client_that_floods(seen: Seen) -> None:
    """Who asks more than all others together, and much, is named with the rate."""
    seen.asks("web.example.", client="10.0.0.2", times=10)
    seen.findings()
    for _ in range(10):
        seen.asks("web.example.", client="10.0.0.3", times=200)
        seen.asks("web.example.", client="10.0.0.2", times=50)
        seen.time_passes(0.5)
        seen.observed.look()
    found = seen.findings()
    assert [each for each in found if each.startswith("one-client")] == [
        "one-client-floods 10.0.0.3"
    ]
    assert "80 %" in found["one-client-floods 10.0.0.3"]["text"]


def test_a_name_that_does_not_exist_and_is_asked_for_all_the_time(seen: Seen) -> None:
    """A wrong name in some configuration is named."""
    for _ in range(6):
        seen.asks("wbe.prod.svc.cluster.local.", rcode="NXDOMAIN", times=100)
        seen.time_passes(1)
        seen.observed.look()
    found = seen.findings()["missing-name wbe.prod.svc.cluster.local."]
    assert found["count"] >= 500


def test_truncated_answers_that_cannot_be_had_over_tcp(seen: Seen) -> None:
    """An upstream whose TCP does not work shows when an answer is large."""
    seen.asks("large.example.", source=records.CUT)
    assert "mtu-or-truncation large.example." in seen.findings()


def test_a_burst_of_failures_is_a_finding(seen: Seen) -> None:
    """It leads to what the recorder has kept."""
    seen.asks("web.example.", rcode="SERVFAIL", times=30)
    found = seen.findings()["burst SERVFAIL"]
    assert found["count"] == 1
    assert "which=burst" in found["text"]


def test_upstreams_that_are_silent_slow_or_ask_us(seen: Seen) -> None:
    """Each is told with its address and what it does."""
    silent, slow, good = (
        SimpleNamespace(server=Server(f"192.0.2.{i}", 53), sent=100, timeouts=3, srtt=srtt)
        for i, srtt in ((1, 0.02), (2, 0.9), (3, 0.02))
    )
    seen.upstreams = [silent, slow, good]
    assert not seen.findings()
    for each in seen.upstreams:
        each.sent += 20
    silent.timeouts += 8
    seen.looping.add(Server("192.0.2.9", 53))
    found = seen.findings()
    assert {each: found[each]["count"] for each in found} == {
        f"upstream-slow-or-silent {silent.server}": 8,
        f"upstream-slow-or-silent {slow.server}": 20,
        f"upstream-loops-back {Server('192.0.2.9', 53)}": 1,
    }
    again = seen.findings()
    assert again[f"upstream-loops-back {Server('192.0.2.9', 53)}"]["count"] == 1


def test_findings_are_bounded_and_forgotten() -> None:
    """At most 50, at most ten of a kind, and an hour after it was seen last it is gone."""
    findings = Findings()
    for kind in KINDS:
        for number in range(30):
            findings.seen(kind, f"about {number}", "text", NOW + number)
    told = findings.all(NOW + 30)
    assert len(told) <= 50
    assert all(sum(each["id"] == kind for each in told) <= 10 for kind in KINDS)
    assert any(each["about"] == OTHERS and each["count"] == 21 for each in told)
    assert findings.all(NOW + 3700) == []
