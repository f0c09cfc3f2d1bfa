"""The DNS that is in service: wait until it is as it should be."""

from __future__ import annotations

from tests.cluster.cluster import SYSTEM, Cluster, Json, is_ready
from tests.realapi.waiting import until


def settled(cluster: Cluster) -> list[Json]:
    """Return the pods in service, once there are as many as wanted and nobody is leaving."""
    wanted = cluster.get("deployment", "kube-dns", "-n", SYSTEM)["spec"]["replicas"]
    return until(
        cluster.pods,
        lambda pods: len(pods) == wanted and all(map(is_ready, pods)),
        within_s=90, wanted=f"{wanted} pods",
    )  # fmt: skip


def reaches_service(cluster: Cluster, address: str = "10.96.0.10") -> None:
    """Wait until kube-proxy leads a service address to a pod that answers."""
    question = ("version.bind", "CH", "TXT", "+short", "+time=1", "+tries=1")
    until(
        lambda: cluster.pod_exec("client", "dig", f"@{address}", *question, check=False).stdout,
        lambda seen: seen.startswith('"'),
        within_s=60,
        wanted="an answer",
    )


def last_words(cluster: Cluster) -> str:
    """Return how all pods are, and what the DNS pods said last."""
    said = [cluster.kubectl("get", "pods", "-A", "-o", "wide", check=False)]
    for pod in cluster.get("pods", "-n", SYSTEM)["items"]:
        for container in pod["spec"]["containers"]:
            said.append(f"--- {pod['metadata']['name']} {container['name']}")
            said.append(cluster.logs(pod, container["name"], "--tail=12"))
    return "\n".join(said)
