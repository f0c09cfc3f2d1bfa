"""What each overlay changes, and that it changes nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.manifests.kustomized import (
    MANIFESTS,
    OVERLAYS,
    SETS,
    base,
    containers,
    objects,
    one,
    text,
)

pytestmark = pytest.mark.usefixtures("kubectl_there")

VALUES = yaml.safe_load((MANIFESTS / "overlays" / "cluster" / "cluster.yaml").read_text())["data"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_holds_all_objects_of_the_base(name: str) -> None:
    """It is applied alone, in place of manifests/."""
    wanted = {(t["kind"], t["metadata"]["name"]) for t in objects(MANIFESTS)}
    assert wanted <= {(t["kind"], t["metadata"]["name"]) for t in objects(SETS[name])}


def test_another_cluster_leaves_nothing_of_the_old_values() -> None:
    """Neither the domain nor the address."""
    made = text(SETS["cluster"])
    assert "cluster.local" not in made
    assert "10.96." not in made


def test_another_cluster_has_its_values_in_all_places() -> None:
    """The same objects, with other words in them."""
    made = objects(SETS["cluster"])
    assert one(made, "Service")["spec"]["clusterIP"] == VALUES["dnsAddress"]
    found = containers(one(made, "Deployment"))
    assert found["sidecar"].pop("env") == [{"name": "CLUSTER_DOMAIN", "value": VALUES["domain"]}]
    # The kubelet puts variables in.
    found["sidecar"]["args"] = [
        each.replace("$(CLUSTER_DOMAIN)", VALUES["domain"]) for each in found["sidecar"]["args"]
    ]
    domain = VALUES["domain"]
    for name, container in containers(base("deployment")).items():
        # The dot at the end of --domain is not needed.
        wanted = [each.replace("cluster.local.", domain) for each in container["args"]]
        wanted = [each.replace("cluster.local", domain) for each in wanted]
        assert found[name]["args"] == wanted
    names = [(t["kind"], t["metadata"]["name"]) for t in made]
    assert names == [(t["kind"], t["metadata"]["name"]) for t in objects(MANIFESTS)]


def test_the_number_of_pods_is_left_to_the_autoscaler() -> None:
    """Else applying the manifests again would set it back."""
    made = objects(SETS["autoscaler"])
    assert "replicas" not in one(made, "Deployment")["spec"]
    scaler = one(made, "HorizontalPodAutoscaler")["spec"]
    assert scaler["minReplicas"] == base("deployment")["spec"]["replicas"]
    assert scaler["scaleTargetRef"]["name"] == "kube-dns"
    (metric,) = scaler["metrics"]
    measured = metric["containerResource"]["container"]
    # Without a request the autoscaler would have nothing to go by.
    assert "cpu" in containers(base("deployment"))[measured]["resources"]["requests"]


def test_pods_are_watched_only_when_they_are_wanted() -> None:
    """Right and flag come together."""
    assert "kube-dns-pods" not in text(MANIFESTS)
    made = objects(SETS["verified-pods"])
    assert containers(one(made, "Deployment"))["kubedns"]["args"][-1] == "--pods=verified"
    (subject,) = one(made, "ClusterRoleBinding", "kube-dns-pods")["subjects"]
    assert (
        subject["name"] == one(made, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    )
    assert one(made, "ClusterRole", "kube-dns-pods")["rules"][0]["resources"] == ["pods"]


def test_prometheus_finds_every_port_with_metrics() -> None:
    """ServiceMonitor, Service and Deployment agree on names."""
    made = objects(SETS["monitoring"])
    service = one(made, "Service", "kube-dns-metrics")
    monitor = one(made, "ServiceMonitor")
    labels = service["metadata"]["labels"].items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels
    ports = {port["name"]: port for port in service["spec"]["ports"]}
    assert {each["port"] for each in monitor["spec"]["endpoints"]} == ports.keys()
    deployment = one(made, "Deployment")
    offered = {
        port["name"]: port["containerPort"]
        for each in containers(deployment).values()
        for port in each["ports"]
    }
    for port in ports.values():
        assert offered[port["targetPort"]] == port["port"]
    pod = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= pod.items()


def test_overlays_go_together(tmp_path: Path) -> None:
    """All parts at once: what an operator writes who wants them all."""
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    folder = tmp_path / "mine"
    shutil.copytree(MANIFESTS / "overlays" / "cluster", folder)
    mine = yaml.safe_load((folder / "kustomization.yaml").read_text())
    mine["resources"] = ["../manifests/base", "cluster.yaml"]
    mine["components"] = [f"../manifests/components/{name}" for name in OVERLAYS]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(mine))
    made = objects(folder)
    found = containers(one(made, "Deployment"))
    assert f"--domain={VALUES['domain']}" in found["kubedns"]["args"]
    assert "--pods=verified" in found["kubedns"]["args"]
    assert {"HorizontalPodAutoscaler", "ServiceMonitor"} <= {thing["kind"] for thing in made}
