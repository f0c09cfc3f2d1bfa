"""Each container killed and frozen: the kubelet mends it, and what pods that ask see meanwhile."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass

import pytest
import yaml

from tests.cluster import podtext
from tests.cluster.cluster import Cluster, Json, Load, is_ready, restarts
from tests.cluster.questions import FULL
from tests.cluster.report import Report
from tests.cluster.service import reaches_service

CONTAINERS = ("kubedns", "dnsmasq", "sidecar")
NAMES = (f"kubernetes.{FULL}", f"web.{FULL}", f"web-vip.{FULL}")
# The published probes begin after 60 s, fail five times in 50 s, and leave 30 s of grace.
PATIENCE_S = 240.0


@dataclass(slots=True)
class Victim:
    """A pod of its own, of which one container is disturbed; times in seconds since then."""

    manifest: str
    container: str
    address: str
    page_s: float | None = None  # until /healthz said so
    unready_s: float | None = None
    restarted_s: float | None = None
    ready_s: float | None = None  # and the container had been started again
    others: str = ""

    @property
    def name(self) -> str:
        return f"victim-{self.manifest}-{self.container}"

    def pod(self, cluster: Cluster) -> Json:
        """Return the pod as it is now."""
        [pod] = cluster.pods(f"k8s-app={self.name}")
        return pod


@pytest.fixture(scope="module")
def victims(cluster: Cluster) -> list[Victim]:
    """Six pods: for each container one of the published manifest, and one of ours."""
    kinds = {
        "published": list(yaml.safe_load_all(podtext.with_our_images())),
        "ours": podtext.rendered(cluster),
    }
    found, things = [], []
    for manifest, described in kinds.items():
        for container in CONTAINERS:
            victim = Victim(manifest, container, f"10.96.0.{100 + len(found)}")
            things += podtext.beside(described, victim.name, victim.address)
            found.append(victim)
    cluster.apply(podtext.text(things))
    for victim in found:
        cluster.rolled_out(f"deployment/{victim.name}")
        reaches_service(cluster, victim.address)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_container_disturbed(
    cluster: Cluster, victims: list[Victim], report: Report, number: signal.Signals
) -> None:
    """A dead or frozen container is started again, and names resolve again."""
    before = {victim.name: restarts(victim.pod(cluster)) for victim in victims}
    with contextlib.ExitStack() as stack:
        loads = {
            victim.name: stack.enter_context(cluster.load_from("client", victim.address, *NAMES))
            for victim in victims
        }
        time.sleep(2)
        for victim in victims:
            cluster.signal_container(victim.pod(cluster), victim.container, number)
        start = time.monotonic()
        for victim in victims:
            victim.page_s = victim.unready_s = victim.restarted_s = victim.ready_s = None
        while any(victim.ready_s is None for victim in victims):
            elapsed = time.monotonic() - start
            assert elapsed < PATIENCE_S, victims
            _look(cluster, victims, before, start)
            time.sleep(0.3)
        for victim in victims:
            reaches_service(cluster, victim.address)
        _note(report, victims, loads, number)
    for victim in victims:
        if victim.manifest == "ours":  # with the published probes the sidecar speaks for all
            assert victim.others == "", victim


def _look(
    cluster: Cluster, victims: list[Victim], before: dict[str, dict[str, int]], start: float
) -> None:
    """Take down what has changed since the last look."""
    pods = {
        pod["metadata"]["labels"]["k8s-app"]: pod
        for pod in cluster.pods("k8s-app in (" + ",".join(victim.name for victim in victims) + ")")
    }
    urls = {
        victim.name: f"http://{pods[victim.name]['status']['podIP']}:10054/healthz"
        for victim in victims
    }
    codes = cluster.script_on_node("pages.py", *urls.values())
    now = time.monotonic() - start
    for victim in victims:
        pod = pods[victim.name]
        now_and_then = restarts(pod).items() - before[victim.name].items()
        again = {name for name, _ in now_and_then}
        if victim.page_s is None and codes[urls[victim.name]] != 200:
            victim.page_s = now
        if victim.unready_s is None and not is_ready(pod):
            victim.unready_s = now
        if victim.restarted_s is None and victim.container in again:
            victim.restarted_s = now
        if victim.ready_s is None and victim.restarted_s is not None and is_ready(pod):
            victim.ready_s = now
        victim.others = " ".join(sorted(again - {victim.container}))


def _note(
    report: Report, victims: list[Victim], loads: dict[str, Load], number: signal.Signals
) -> None:
    """Put what was seen into the report: seconds, and failed queries of one per 20 ms."""
    for victim in victims:
        counts = loads[victim.name].end()
        seconds = {
            "healthz_s": victim.page_s,
            "unready_s": victim.unready_s,
            "restarted_s": victim.restarted_s,
            "ready_s": victim.ready_s,
        }
        report.row(
            "containers disturbed",
            manifest=victim.manifest,
            container=victim.container,
            signal=number.name,
            **{name: "" if value is None else round(value, 1) for name, value in seconds.items()},
            asked=counts["asked"],
            lost=counts["lost"],
            wrong=counts["wrong"],
            also_restarted=victim.others,
        )
