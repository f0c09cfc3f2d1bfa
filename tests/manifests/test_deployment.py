"""The Deployment: the published one's names and arguments, and none of its privileges."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from dnsmasq_py import options as dnsmasq_options
from kubedns import __version__
from kubedns import options as kubedns_options
from sidecar import options as sidecar_options
from tests.manifests.kustomized import MANIFESTS, ROOT, base, containers
from tests.realapi.api import Object

OURS_ALONE = {
    "--cache-size=10000",
    "--healthz-port=10059",
    "--hot-file=/var/lib/dnsmasq-nanny/hot",
    "--snapshot=/var/lib/kube-dns/snapshot",
}
THEIRS_ALONE = {"--cache-size=1000", "--no-negcache"}
NAMES = ["kubedns", "dnsmasq", "sidecar"]

PARSERS: dict[str, Any] = {
    "kubedns": lambda args: kubedns_options.parse(args, {"PROMETHEUS_PORT": "10055"}),
    "dnsmasq": lambda args: dnsmasq_options.parse(args, conf_file="", memory=1 << 30),
    "sidecar": sidecar_options.parse,
}


@pytest.fixture
def deployment() -> Object:
    return base("deployment")


@pytest.fixture
def ours(deployment: Object) -> dict[str, dict[str, Any]]:
    return containers(deployment)


@pytest.fixture
def published() -> Object:
    text = (ROOT / "tests" / "cluster" / "manifests" / "published.yaml").read_text()
    (found,) = (t for t in yaml.safe_load_all(text) if t["kind"] == "Deployment")
    return dict(found)


def test_what_others_refer_to_is_as_published(deployment: Object, published: Object) -> None:
    """Selectors of services, network policies, dashboards; annotations of Prometheus."""
    assert deployment["metadata"]["name"] == published["metadata"]["name"]
    assert deployment["metadata"]["labels"] == published["metadata"]["labels"]
    assert deployment["spec"]["selector"] == published["spec"]["selector"]
    assert deployment["spec"]["template"]["metadata"] == published["spec"]["template"]["metadata"]
    assert list(containers(deployment)) == list(containers(published)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_arguments_and_mounts_are_the_published_ones(
    name: str, ours: dict[str, dict[str, Any]], published: Object
) -> None:
    """In the same order, with few of our own."""
    theirs = containers(published)[name]
    kept = [each for each in theirs["args"] if each not in THEIRS_ALONE]
    assert [each for each in ours[name]["args"] if each not in OURS_ALONE] == kept
    assert ours[name].get("env") == theirs.get("env")
    mounts = [m for m in ours[name].get("volumeMounts", []) if m["name"] == "kube-dns-config"]
    assert mounts == theirs.get("volumeMounts", [])


def test_every_published_port_is_there(ours: dict[str, dict[str, Any]], published: Object) -> None:
    """By number and protocol; names too, but for the second `metrics`."""
    for name, container in containers(published).items():
        for port in container["ports"]:
            known = [
                each for each in ours[name]["ports"] if each | {"name": ""} == port | {"name": ""}
            ]
            assert len(known) == 1, port
            assert known[0]["name"] == port["name"] or port["name"] == "metrics"


def test_no_port_name_stands_twice(ours: dict[str, dict[str, Any]]) -> None:
    """The API server would warn, and a Service could not tell which is meant."""
    names = [port["name"] for each in ours.values() for port in each["ports"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_understood_without_a_warning(
    name: str, ours: dict[str, dict[str, Any]]
) -> None:
    """By the program of this version."""
    assert PARSERS[name](ours[name]["args"]).warnings == ()


@pytest.mark.parametrize("name", NAMES)
def test_liveness_is_asked_of_the_container_itself(
    name: str, ours: dict[str, dict[str, Any]]
) -> None:
    """At a port that it opens: a broken sidecar, or a broken neighbour, kills nobody."""
    asked = ours[name]["livenessProbe"]["httpGet"]
    assert asked["port"] in {port["containerPort"] for port in ours[name]["ports"]}
    others = chain.from_iterable(o["ports"] for n, o in ours.items() if n != name)
    assert asked["port"] not in {port["containerPort"] for port in others}


def test_the_page_of_the_whole_pod_is_no_liveness(ours: dict[str, dict[str, Any]]) -> None:
    """/healthz of the sidecar tells the whole truth: an API server that is away would kill it."""
    assert ours["sidecar"]["livenessProbe"]["httpGet"]["path"] == "/metrics"
    assert "readinessProbe" not in ours["sidecar"], "DNS works without it"


@pytest.mark.parametrize("name", ["kubedns", "dnsmasq"])
def test_readiness_shows_within_two_seconds(name: str, ours: dict[str, dict[str, Any]]) -> None:
    """Asked every second from the start."""
    probe = ours[name]["readinessProbe"]
    assert probe["periodSeconds"] == 1
    assert "initialDelaySeconds" not in probe
    assert "startupProbe" not in ours[name]


def test_there_is_time_to_drain(deployment: Object, ours: dict[str, dict[str, Any]]) -> None:
    """For the one that goes last, and for a loaded node."""
    parsed = {name: PARSERS[name](ours[name]["args"]) for name in NAMES}
    longest = max(
        parsed["kubedns"].lame_duck_s, parsed["dnsmasq"].drain_s, parsed["sidecar"].drain_s
    )
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= longest + 5


@pytest.mark.parametrize("name", NAMES)
def test_no_container_has_a_privilege(
    name: str, deployment: Object, ours: dict[str, dict[str, Any]]
) -> None:
    pod = deployment["spec"]["template"]["spec"]["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"]) == (True, 1001, 1001)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert ours[name]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": []},
    }
    assert ours[name]["resources"]["limits"].keys() == {"memory"}
    assert ours[name]["resources"]["requests"].keys() == {"cpu", "memory"}


def test_port_53_is_open_to_all_users_of_the_pod(deployment: Object) -> None:
    """So none of them needs root or a capability for it."""
    assert deployment["spec"]["template"]["spec"]["securityContext"]["sysctls"] == [
        {"name": "net.ipv4.ip_unprivileged_port_start", "value": "53"}
    ]


def test_the_token_is_where_the_api_is_asked(
    deployment: Object, ours: dict[str, dict[str, Any]]
) -> None:
    """And in no other container."""
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    # Else a rollback to the published Deployment would find no token.
    assert "automountServiceAccountToken" not in base("serviceaccount")
    holders = [
        name
        for name, each in ours.items()
        if any(mount["name"] == "kube-api-access" for mount in each.get("volumeMounts", []))
    ]
    assert holders == ["kubedns"]


@pytest.mark.parametrize(
    ("name", "file"),
    [("kubedns", "snapshot"), ("dnsmasq", "hot_file")],
)
def test_what_is_kept_for_a_restart_has_a_place_of_its_own(
    name: str, file: str, deployment: Object, ours: dict[str, dict[str, Any]]
) -> None:
    """A bounded one that outlives the container, and that no other container can write to."""
    folder = Path(getattr(PARSERS[name](ours[name]["args"]), file)).parent
    (mount,) = (m for m in ours[name]["volumeMounts"] if Path(m["mountPath"]) == folder)
    assert not mount.get("readOnly")
    holders = [
        other
        for other, each in ours.items()
        if any(m["name"] == mount["name"] for m in each.get("volumeMounts", []))
    ]
    assert holders == [name]
    volumes = deployment["spec"]["template"]["spec"]["volumes"]
    (volume,) = (each for each in volumes if each["name"] == mount["name"])
    assert volume["emptyDir"]["sizeLimit"].endswith("Mi")


def test_one_version_everywhere() -> None:
    """Of the programs, of the images' tags, of the image's label."""
    kustomization = yaml.safe_load((MANIFESTS / "base" / "kustomization.yaml").read_text())
    assert {image["newTag"] for image in kustomization["images"]} == {__version__}
    assert {image["name"] for image in kustomization["images"]} == {
        each["image"] for each in containers(base("deployment")).values()
    }
    assert f"ARG VERSION={__version__}\n" in (MANIFESTS / "Dockerfile").read_text()


def test_every_file_holds_one_object_and_is_used() -> None:
    """One file for each kind, named after it."""
    for folder in (MANIFESTS / "base", *(MANIFESTS / "components").iterdir()):
        listed = yaml.safe_load((folder / "kustomization.yaml").read_text()).get("resources", [])
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert set(listed) == files, folder
        for name in listed:
            (thing,) = yaml.safe_load_all((folder / name).read_text())
            assert Path(name).stem == thing["kind"].lower()
