"""The ConfigMap, changed by an operator while the cluster is at work."""

from __future__ import annotations

import json
import time

from tests.cluster.cluster import LONG_S, Cluster
from tests.cluster.configmap import ConfigMap
from tests.cluster.questions import FULL
from tests.cluster.report import Report
from tests.cluster.service import settled
from tests.realapi.waiting import until

STUB = {"stubDomains": json.dumps({"corp.test": ["172.30.0.1:5300"]})}


def test_a_stub_domain_comes_into_force(
    cluster: Cluster, installed: str, config_map: ConfigMap, report: Report
) -> None:
    """No query is lost meanwhile, and what was known stays known: nobody is restarted."""
    servers = [pod["status"]["podIP"] for pod in settled(cluster)]
    name = f"kept-{time.time():.0f}.upstream.test"
    before = {server: dig(cluster, server, name) for server in servers}
    assert set(before.values()) == {"192.0.2.53"}
    forwarded = asked_upstream(cluster, name)
    misses = {server: metric(cluster, server, "kubedns_dnsmasq_misses") for server in servers}
    hits = {server: metric(cluster, server, "kubedns_dnsmasq_hits") for server in servers}
    with cluster.load_from("client", "-", f"web-vip.{FULL}", f"web.{FULL}", name) as load:
        config_map.set(STUB)
        for server in servers:
            until(
                lambda server=server: dig(cluster, server, "git.corp.test"),
                lambda seen: seen == "192.0.2.77", within_s=LONG_S, wanted="the stub's answer",
            )  # fmt: skip
        counts = load.end()
    report.row("ConfigMap changed", manifest=installed, **counts)
    assert (counts["lost"], counts["wrong"]) == (0, 0), counts
    for server in servers:
        assert dig(cluster, server, name) == "192.0.2.53"
    # Of the server outside it was asked once by each forwarder, before the change.
    assert asked_upstream(cluster, name) == forwarded == len(servers)
    for server in servers:
        # The sidecar reads the counters every few seconds.
        until(
            lambda server=server: metric(cluster, server, "kubedns_dnsmasq_hits"),
            lambda seen, server=server: seen > hits[server], wanted="more hits",
        )  # fmt: skip
        assert metric(cluster, server, "kubedns_dnsmasq_misses") >= misses[server]


def dig(cluster: Cluster, server: str, name: str) -> str:
    """Ask one pod for an address."""
    command = ("dig", "+short", "+time=5", f"@{server}", name)
    return cluster.pod_exec("client", *command, check=False).stdout.strip()


def asked_upstream(cluster: Cluster, name: str) -> int:
    """Return how often the name server of the node was asked for the address of a name."""
    log = (cluster.folder / "log" / "upstream.log").read_text()
    return log.lower().count(f"query[a] {name} ")  # the forwarder plays with the case of letters


def metric(cluster: Cluster, server: str, name: str) -> float:
    """Return a metric of the pod with this address, without labels, as Prometheus gets it."""
    get = "import urllib.request,sys; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
    page = cluster.on_node("python3", "-c", get, f"http://{server}:10054/metrics").stdout
    [value] = [line.split()[1] for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(value)
