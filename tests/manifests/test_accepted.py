"""What a real API server says of the manifests: every object is accepted, without a warning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.manifests.conftest import Kubectl
from tests.manifests.kustomized import (
    MANIFESTS,
    ROOT,
    SETS,
    base,
    containers,
    objects,
    one,
)
from tests.realapi.api import Api, Object
from tests.realapi.controlplane import KUBE_DNS_USER, ControlPlane
from tests.realapi.product import KubeDns
from tests.realapi.waiting import until

PUBLISHED = ROOT / "tests" / "cluster" / "manifests" / "published.yaml"


def deployed(kubectl: Kubectl) -> Object:
    """Return the Deployment as it is in the cluster now."""
    found: Object = json.loads(
        kubectl("get", "deployment", "kube-dns", "-n", "kube-system", "-o", "json").stdout
    )
    return found


@pytest.mark.parametrize("name", SETS)
def test_a_dry_run_is_accepted_without_a_warning(
    name: str, kubectl: Kubectl, tmp_path: Path
) -> None:
    """Unknown fields and wrong types are errors of the server here."""
    folder = tmp_path / "manifests"
    shutil.copytree(MANIFESTS, folder)
    values = folder / "overlays" / "cluster" / "cluster.yaml"
    # The example's address is in the service range of another cluster.
    values.write_text(values.read_text().replace("172.20.0.10", "10.96.7.10"))
    done = kubectl("apply", "--dry-run=server", "-k", folder / SETS[name].relative_to(MANIFESTS))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    made = [line for line in done.stdout.splitlines() if line.endswith("(server dry run)")]
    assert len(made) == len(objects(SETS[name]))


def test_the_pod_meets_the_strictest_pod_security_standard(api: Api) -> None:
    """`restricted`, although the namespace kube-system asks for nothing."""
    api.create(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": "strict",
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
    )
    spec = base("deployment")["spec"]["template"]["spec"]
    del spec["priorityClassName"]  # only for kube-system
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dns"}, "spec": spec}
    made = api.ask("POST", "/api/v1/namespaces/strict/pods?dryRun=All&fieldValidation=Strict", pod)
    assert made["kind"] == "Pod"
    spec["containers"][2]["securityContext"]["allowPrivilegeEscalation"] = True
    status, text = api.request("POST", "/api/v1/namespaces/strict/pods?dryRun=All", pod)
    assert (status, b"violates PodSecurity" in text) == (403, True), "else nothing was checked"


def test_applied_again_it_leaves_the_configuration_alone(kubectl: Kubectl, tmp_path: Path) -> None:
    """Stub domains stay, also of a ConfigMap that was itself applied, as most are."""
    assert kubectl("apply", "-k", MANIFESTS).returncode == 0
    where = ("configmap", "kube-dns", "-n", "kube-system")
    stubs = yaml.safe_load((MANIFESTS / "configmap.yaml").read_text())
    stubs["data"] = {"stubDomains": '{"acme.local": ["192.0.2.53"]}'}
    (tmp_path / "stubs.yaml").write_text(yaml.safe_dump(stubs))
    assert kubectl("apply", "-f", tmp_path / "stubs.yaml").returncode == 0
    before = deployed(kubectl)["metadata"]["generation"]
    again = kubectl("apply", "-k", MANIFESTS)
    assert (again.returncode, again.stderr) == (0, "")
    assert deployed(kubectl)["metadata"]["generation"] == before, "or all pods would start anew"
    assert json.loads(kubectl("get", *where, "-o", "json").stdout)["data"] == stubs["data"]


def test_applied_over_the_published_manifest(kubectl: Kubectl, tmp_path: Path) -> None:
    """The same Deployment under the same selector: it becomes ours, and nothing else is left."""
    where = ("-n", "kube-system", "--ignore-not-found", "deployment/kube-dns", "service/kube-dns")
    assert kubectl("delete", *where).returncode == 0
    before = kubectl("apply", "-f", PUBLISHED)
    assert before.returncode == 0, before.stderr
    after = kubectl("apply", "-k", MANIFESTS)
    assert after.returncode == 0, after.stderr
    wanted = containers(one(objects(MANIFESTS), "Deployment"))
    found = containers(deployed(kubectl))
    for name, container in wanted.items():
        for field in ("args", "ports", "env", "volumeMounts", "image"):
            assert found[name].get(field) == container.get(field), f"{field} of {name}"
        del container["securityContext"]["capabilities"]["add"]  # empty, so it is left out
        assert found[name]["securityContext"] == container["securityContext"]
        assert found[name]["livenessProbe"]["httpGet"]["port"] != 10054 or name == "sidecar"


@pytest.mark.parametrize("name", ["manifests", "verified-pods"])
def test_its_rights_are_all_that_kube_dns_needs(
    name: str, kubectl: Kubectl, control_plane: ControlPlane, tmp_path: Path
) -> None:
    """With the rights of the ServiceAccount nothing is forbidden, and nothing done without."""
    assert kubectl("apply", "-k", SETS[name]).returncode == 0
    arguments = containers(one(objects(SETS[name]), "Deployment"))["kubedns"]["args"]
    ours = [each for each in arguments if each.startswith("--pods")]
    product = KubeDns(tmp_path, f"--kubecfg-file={control_plane.kubeconfig(KUBE_DNS_USER)}", *ours)
    try:
        # Bindings are in force a moment after they were made.
        until(lambda: watching(product), wanted="a watch of everything")
    finally:
        product.stop()


def watching(product: KubeDns) -> bool:
    """Tell whether all that is wanted is watched, slices among it."""
    sources = product.status().get("sources", [])
    states = {each["resource"]: each["state"] for each in sources}
    assert "forbidden" not in states.values(), states
    return "endpointslices" in states and set(states.values()) == {"watching"}


def test_no_right_is_given_beyond_reading() -> None:
    """What the zone is made of, and pods when somebody asks why; secrets and the like never."""
    read = {}
    for path in MANIFESTS.glob("**/clusterrole.yaml"):
        role = yaml.safe_load(path.read_text())
        for rule in role["rules"]:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}
            for resource in rule["resources"]:
                read[role["metadata"]["name"], resource] = rule["verbs"]
    assert read == {
        ("kube-dns-records", "services"): ["list", "watch"],
        ("kube-dns-records", "namespaces"): ["list", "watch"],
        ("kube-dns-records", "endpointslices"): ["list", "watch"],
        ("kube-dns-records", "pods"): ["get", "list"],
        ("kube-dns-pods", "pods"): ["list", "watch"],
    }


@pytest.fixture
def api(control_plane: ControlPlane) -> Api:
    return control_plane.api
