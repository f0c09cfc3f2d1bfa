"""Pods come and go, and pods that ask do not notice."""

from __future__ import annotations

import time

import pytest

from tests.cluster.cluster import SYSTEM, Cluster, Json
from tests.cluster.questions import FULL
from tests.cluster.report import Report
from tests.cluster.service import settled
from tests.cluster.watch import Seen, Watch
from tests.realapi.waiting import until

NAMES = (f"kubernetes.{FULL}", f"web.{FULL}", f"web-vip.{FULL}")
AROUND_S = 4.0  # of load before and after
ASKED = 2000  # at least, so that shares mean something
GONE_S = 10.0
# With the published probes the old pod counts as serving until it is gone, see README.md.
LOST = {"published": 2, "ours": 0}


@pytest.fixture
def old(cluster: Cluster, installed: str) -> list[str]:
    """The names of the pods in service before the test, once nobody else is on the way out."""
    return [pod["metadata"]["name"] for pod in settled(cluster)]


def test_rollout_under_load(
    cluster: Cluster, installed: str, old: list[str], report: Report
) -> None:
    """`kubectl rollout restart` loses nothing; old pods end by themselves, soon and with 0."""
    with Watch(cluster) as watch, cluster.load_from("client", "-", *NAMES) as load:
        time.sleep(AROUND_S)
        cluster.kubectl("-n", SYSTEM, "rollout", "restart", "deployment/kube-dns")
        cluster.rolled_out("deployment/kube-dns")
        left = gone(watch, old)
        time.sleep(max(AROUND_S, ASKED / 50 - (time.time() - load.started)))
        counts = load.end()
    new = [seen for name, seen in watch.pods.items() if name not in old]
    ready = max(seen.ready - seen.created for seen in new)
    note(report, "rollout", installed, counts, left, ready_s=round(ready, 1))
    check(installed, counts, left)


def test_scaling_up_and_down(
    cluster: Cluster, installed: str, old: list[str], report: Report
) -> None:
    """One more pod and back again: nothing is lost, and the one too many ends well."""
    count = len(old)
    with Watch(cluster) as watch, cluster.load_from("client", "-", *NAMES) as load:
        time.sleep(AROUND_S)
        for replicas in (count + 1, count):
            scale = ("scale", "deployment/kube-dns", f"--replicas={replicas}")
            cluster.kubectl("-n", SYSTEM, *scale)
            cluster.rolled_out("deployment/kube-dns")
            time.sleep(AROUND_S)
        [extra] = until(lambda: [name for name, seen in watch.pods.items() if seen.deleted])
        left = gone(watch, [extra])
        time.sleep(max(AROUND_S, ASKED / 50 - (time.time() - load.started)))
        counts = load.end()
    note(report, "scaled up and down", installed, counts, left)
    check(installed, counts, left)


def gone(watch: Watch, names: list[str]) -> dict[str, Seen]:
    """Wait until these pods are gone."""
    left = {name: watch.pods[name] for name in names}
    until(lambda: all(seen.gone for seen in left.values()), within_s=90, wanted="gone")
    return left


def note(
    report: Report, what: str, installed: str, counts: Json, left: dict[str, Seen], **more: object
) -> None:
    """Put what was seen into the report."""
    for seen in left.values():
        seconds = round(seen.gone - seen.deleted, 1)
        codes = ",".join(map(str, seen.exit_codes.values()))
        columns = {"manifest": installed, "what": what, **counts, **more}
        report.row("pods replaced", **columns, gone_s=seconds, exit_codes=codes)


def check(installed: str, counts: Json, left: dict[str, Seen]) -> None:
    """Hold what was seen against what was promised."""
    for seen in left.values():
        assert set(seen.exit_codes) == {"kubedns", "dnsmasq", "sidecar"}
        assert set(seen.exit_codes.values()) == {0}, seen.exit_codes
        assert seen.gone - seen.deleted < GONE_S
    assert counts["asked"] >= ASKED * 0.9
    assert counts["wrong"] == 0, counts
    assert counts["lost"] <= LOST[installed] * max(1.0, counts["asked"] / ASKED), counts
