"""Our manifests and their overlays, as an operator applies them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.cluster import podtext, questions
from tests.cluster.cluster import Cluster
from tests.cluster.podtext import MANIFESTS
from tests.cluster.questions import dig
from tests.cluster.service import reaches_service, settled

OVERLAYS = sorted(path.parent for path in (MANIFESTS / "overlays").glob("*/kustomization.yaml"))
OPERATOR = "monitoring.coreos.com"


@pytest.fixture(scope="module")
def prometheus_kinds(cluster: Cluster) -> None:
    """The kinds of the Prometheus operator, with any content."""
    kinds = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}
    version = {
        "name": "v1", "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": True,
        }},
    }  # fmt: skip
    cluster.apply(podtext.text([
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{OPERATOR}"},
            "spec": {
                "group": OPERATOR, "scope": "Namespaced", "versions": [version],
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            },
        }
        for kind, plural in kinds.items()
    ]))  # fmt: skip
    for plural in kinds.values():
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{plural}.{OPERATOR}")


@pytest.mark.parametrize("folder", [MANIFESTS, *OVERLAYS], ids=lambda path: path.name)
def test_accepted_without_a_warning(cluster: Cluster, prometheus_kinds: None, folder: Path) -> None:
    """The API server takes every object, and neither it nor kubectl has anything to say."""
    things = podtext.rendered(cluster, folder)
    for thing in things:  # this cluster's service range
        if thing["kind"] == "Service" and thing["spec"].get("clusterIP") not in (None, "None"):
            thing["metadata"]["name"], thing["spec"]["clusterIP"] = "elsewhere", "10.96.0.99"
    how = ("apply", "--dry-run=server", "-f", "-")
    said = cluster.on_node("kubectl", *how, stdin=podtext.text(things))
    assert said.stderr == ""
    assert len(said.stdout.splitlines()) == len(things)


@pytest.mark.parametrize("installed", ["ours"], indirect=True)
@pytest.mark.parametrize(
    "folder", [path for path in OVERLAYS if path.name != "cluster"], ids=lambda path: path.name
)
def test_overlay_serves(
    cluster: Cluster, installed: str, prometheus_kinds: None, folder: Path
) -> None:
    """`kubectl apply -k` of an overlay over the base: Ready, and all names resolve."""
    podtext.rendered(cluster, folder)
    said = cluster.on_node("kubectl", "apply", "-k", str(folder))
    assert said.stderr == ""
    cluster.rolled_out("deployment/kube-dns")
    settled(cluster)
    asked = [*questions.FULL_NAMES, *questions.BOTH_FAMILIES]
    assert questions.differences(cluster, asked) == []


def test_overlay_for_another_domain(cluster: Cluster, tmp_path: Path) -> None:
    """The overlay with another domain and address: its pod answers for that domain there."""
    copy = tmp_path / "manifests"
    shutil.copytree(MANIFESTS, copy)
    settings = copy / "overlays" / "cluster" / "cluster.yaml"
    setting = yaml.safe_load(settings.read_text())
    setting["data"] = {"domain": "other.example", "dnsAddress": "10.96.0.53"}
    settings.write_text(yaml.safe_dump(setting))
    things = podtext.rendered(cluster, settings.parent)
    [service] = [
        thing for thing in things
        if thing["kind"] == "Service" and thing["metadata"]["name"] == "kube-dns"
    ]  # fmt: skip
    assert service["spec"]["clusterIP"] == "10.96.0.53"
    cluster.apply(podtext.text(podtext.beside(things, "kube-dns-other", "10.96.0.53")))
    cluster.rolled_out("deployment/kube-dns-other")
    reaches_service(cluster, "10.96.0.53")
    name = "kubernetes.default.svc.other.example"
    asked = [
        dig(f"{name} A", f"{name}. A 10.96.0.1"),
        dig("-x 10.96.0.1", f"1.0.96.10.in-addr.arpa. PTR {name}."),
    ]
    assert questions.differences(cluster, asked, server="10.96.0.53") == []
