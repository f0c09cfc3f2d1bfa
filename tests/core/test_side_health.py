"""What a probe found out: good as the original has it, alive so that nothing cascades."""

import json

import pytest

from sidecar import report
from sidecar.health import BUCKETS_MS, Health, Make, Round
from sidecar.probe import Probe

PROBE = Probe("kubedns", "127.0.0.1", 10053, "kubernetes.default.svc.cluster.local.", 5, "SRV")
OURS = "kube-dns-py 0.1.0"


def found(at: float = 1.0, error: str = "", **rest: object) -> Round:
    """Make a round: good unless it has an error."""
    values = {"latency_s": 0.000434639, "replied": True} | rest
    return Round(at=at, error=error, **values)  # type: ignore[arg-type]


SILENT = found(latency_s=None, replied=False, error="no reply from 127.0.0.1:10053 within 2 s")
SERVFAIL = found(error='no RRs for domain "x." (SERVFAIL)')


def health(*rounds: Round) -> Health:
    """Return what is known after some rounds."""
    known = Health(PROBE, since=0.0)
    for each in rounds:
        known = known.after(each)
    return known


def test_before_the_first_round() -> None:
    """Neither good nor alive, in the original's words."""
    assert not health().alive
    assert report.healthcheck(health()) == (
        '{"IsOk":false,"LatencySeconds":0,"Err":"waiting for first probe"}'
    )


def test_healthy_as_the_original_says_it() -> None:
    """Octet by octet."""
    told = report.healthcheck(health(found()))
    assert told == '{"IsOk":true,"LatencySeconds":0.000434639,"Err":""}'


def test_unhealthy_as_the_original_says_it() -> None:
    """A foreign server that answers without a record: no latency, the reason quoted."""
    told = report.healthcheck(health(found(error='no RRs for domain "x."', version="dnsmasq-2.90")))
    assert told == '{"IsOk":false,"LatencySeconds":0,"Err":"no RRs for domain \\"x.\\""}'


@pytest.mark.parametrize(
    ("latency_s", "text"),
    [
        (0.0000434, "0.0000434"),
        (1.5, "1.5"),
        (2.0, "2"),
        (0.1000000004, "0.1"),
        (1e-9, "0.000000001"),
    ],
)
def test_latencies_have_no_exponent(latency_s: float, text: str) -> None:
    """As Go writes them; to the nanosecond."""
    told = report.healthcheck(health(found(latency_s=latency_s)))
    assert f'"LatencySeconds":{text},' in told


def test_markup_in_an_error_is_escaped_as_go_does() -> None:
    """And stays the same text to who reads the JSON."""
    hostile = '</script><b>&\u2028"\\'
    told = report.healthcheck(health(found(error=hostile)))
    assert not set("<>&") & set(told)
    assert json.loads(told)["Err"] == hostile


@pytest.mark.parametrize(
    ("rounds", "make", "alive"),
    [
        pytest.param([SERVFAIL], Make.UNKNOWN, False, id="unknown make, no record"),
        pytest.param(
            [found(error="x", version=OURS)], Make.OURS, True, id="ours before its first sync"
        ),
        pytest.param(
            [found(error="timeout", latency_s=None, version=OURS)], Make.OURS, True,
            id="our forwarder, its upstream is down",
        ),
        pytest.param(
            [found(version=OURS), SERVFAIL], Make.OURS, True, id="ours, replies to the question"
        ),
        pytest.param([found(version=OURS), SILENT], Make.OURS, False, id="ours has died"),
        pytest.param(
            [found(error="x", version="dnsmasq-2.90")], Make.FOREIGN, False, id="dnsmasq"
        ),
        pytest.param([found(error="x", version="")], Make.FOREIGN, False, id="tells no version"),
        pytest.param(
            [found(version=OURS), found(error="x", version="2.5.3a")], Make.FOREIGN, False,
            id="the original has taken the place of ours",
        ),
        pytest.param(
            [found(version="CoreDNS"), found(error="x", version=OURS)], Make.OURS, True,
            id="ours has taken the place of another",
        ),
    ],
)  # fmt: skip
def test_who_is_alive(rounds: list[Round], make: Make, alive: bool) -> None:
    """Ours: any reply in time. Another: as the original, a record."""
    known = health(*rounds)
    assert (known.make, known.alive) == (make, alive)


def test_ours_is_alive_with_its_reason() -> None:
    """The reason stands in Err, the latency is that of the reply."""
    told = json.loads(report.healthcheck(health(found(version=OURS), SERVFAIL)))
    assert told == {
        "IsOk": True,
        "LatencySeconds": 0.000434639,
        "Err": 'no RRs for domain "x." (SERVFAIL)',
    }


def test_since_when() -> None:
    """The time of the change, kept through rounds that change nothing."""
    known = health(found(10.0), found(20.0), found(30.0, "x"), found(40.0, "y"))
    assert (known.since, known.error, known.rounds, known.errors) == (30.0, "y", 4, 2)
    known = known.after(found(50.0)).after(found(60.0))
    assert (known.since, known.error) == (50.0, "")
    assert known.failed == found(40.0, "y"), "the last failure is remembered"


def test_latencies_are_those_of_good_rounds() -> None:
    """In the original's buckets, whose upper borders belong to them."""
    assert BUCKETS_MS[0] == 0.25
    assert BUCKETS_MS[-1] == 8192
    known = health(
        found(latency_s=0.00025), found(latency_s=0.003), found(latency_s=9.0), SERVFAIL, SILENT
    )
    assert sum(known.latencies) == 3
    assert [known.latencies[i] for i in (0, 4, -1)] == [1, 1, 1]
    assert known.latency_sum_ms == pytest.approx(9003.25)
