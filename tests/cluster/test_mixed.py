"""One image of the pod exchanged for a program of others: each works with its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import yaml

from tests.cluster import podtext, questions
from tests.cluster.cluster import LONG_S, SYSTEM, Cluster, Json
from tests.cluster.images import FOREIGN
from tests.cluster.questions import Asked
from tests.cluster.service import reaches_service
from tests.realapi.waiting import until

COREDNS_RIGHTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: coredns, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
- {apiGroups: [""], resources: [services, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{kind: ServiceAccount, name: coredns, namespace: kube-system}]
"""


@pytest.fixture(scope="module")
def pods(cluster: Cluster) -> dict[str, str]:
    """Both pods, at work: their name -> service address."""
    published = list(yaml.safe_load_all(podtext.with_our_images()))
    dnsmasq = podtext.beside(
        published, "mixed-dnsmasq", "10.96.0.21", {"dnsmasq": FOREIGN["dnsmasq"]}
    )
    coredns = podtext.beside(
        published, "mixed-coredns", "10.96.0.22", {"kubedns": FOREIGN["coredns"]}
    )
    _as_coredns_wants(coredns)
    cluster.apply(COREDNS_RIGHTS)
    cluster.apply(podtext.text([*dnsmasq, *coredns]))
    found = {"mixed-dnsmasq": "10.96.0.21", "mixed-coredns": "10.96.0.22"}
    for name, address in found.items():
        cluster.rolled_out(f"deployment/{name}")
        reaches_service(cluster, address)
    return found


def _as_coredns_wants(things: list[Json]) -> None:
    """Change what CoreDNS does not have: the flags and pages of kube-dns, and its few rights."""
    for thing in things:
        if thing["kind"] == "Deployment":
            spec = thing["spec"]["template"]["spec"]
            spec["serviceAccountName"] = "coredns"
            kubedns = spec["containers"][0]
            kubedns["args"] = ["-conf", "/Corefile"]
            kubedns["readinessProbe"]["httpGet"]["path"] = "/ready"


def _dig(asked: Sequence[Asked], but: Sequence[str] = ()) -> list[Asked]:
    """Return those asked by dig, without those whose command holds one of these texts."""
    return [
        each
        for each in asked
        if each.command.startswith("dig") and not any(word in each.command for word in but)
    ]


def test_real_dnsmasq_in_front_of_our_kubedns(cluster: Cluster, pods: dict[str, str]) -> None:
    """All names resolve through dnsmasq, which knows nothing of its neighbours."""
    asked = _dig(questions.FULL_NAMES)
    found = questions.differences(cluster, asked, server=pods["mixed-dnsmasq"])
    assert found == []


def test_our_forwarder_in_front_of_coredns(cluster: Cluster, pods: dict[str, str]) -> None:
    """All names resolve; CoreDNS has its own priority of SRV, and more reverse names of a pod."""
    asked = _dig(questions.FULL_NAMES, but=(" SRV", "-x {web-1}"))
    assert questions.differences(cluster, asked, server=pods["mixed-coredns"]) == []


def test_the_sidecar_finds_foreign_neighbours_well(cluster: Cluster, pods: dict[str, str]) -> None:
    """/healthz says that the pod is well, and so do the pages of the published probes."""
    for name in pods:
        [pod] = cluster.pods(f"k8s-app={name}")
        base = f"http://{pod['status']['podIP']}:10054"
        pages = [f"{base}/healthz", f"{base}/healthcheck/kubedns", f"{base}/healthcheck/dnsmasq"]
        wanted = dict.fromkeys(pages, 200)
        until(
            lambda pages=pages: cluster.script_on_node("pages.py", *pages),
            lambda seen, wanted=wanted: seen == wanted, within_s=LONG_S, wanted="well",
        )  # fmt: skip
        assert cluster.get("deployment", name, "-n", SYSTEM)["status"]["readyReplicas"] == 1
