"""The manifests of the pod as text: the published one, ours, and copies that stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.cluster import Cluster, Json
from tests.cluster.images import OURS, ROOT

PUBLISHED = (Path(__file__).parent / "manifests" / "published.yaml").read_text()
PUBLISHED_IMAGES = {
    target: f"registry.k8s.io/dns/k8s-dns-{target}:1.26.7"
    for target in ("kube-dns", "dnsmasq-nanny", "sidecar")
}
MANIFESTS = ROOT / "manifests"

_LABEL = "k8s-app"


def with_our_images() -> str:
    """Return the published text with nothing but its three image lines changed."""
    text = PUBLISHED
    for target, image in PUBLISHED_IMAGES.items():
        text = text.replace(f"image: {image}\n", f"image: {OURS[target]}\n")
    return text


def rendered(cluster: Cluster, folder: Path = MANIFESTS) -> list[Json]:
    """Return what `kubectl apply -k` would apply; the node gets the images that it names."""
    things: list[Json] = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(folder))))
    for thing in things:
        if thing["kind"] == "Deployment":
            for container in thing["spec"]["template"]["spec"]["containers"]:
                target = container["image"].rpartition("/")[2].partition(":")[0]
                cluster.tag(OURS[target], container["image"])
    return things


def beside(
    things: list[Json], name: str, address: str, images: Mapping[str, str] | None = None
) -> list[Json]:
    """
    Return the Deployment and the Service under another name, label and service address.

    They stand beside those in service and take nothing from them: one replica, which reserves no
    CPU, as many of them fit on no small machine. The token is mounted whatever the account says.
    images: container -> image, for those that are not to be ours.
    """
    made = [_renamed(thing, name) for thing in things if thing["kind"] in ("Deployment", "Service")]
    for thing in made:
        thing["metadata"] |= {"name": name, "namespace": "kube-system"}
        if thing["kind"] == "Service":
            thing["spec"]["clusterIP"] = address
        else:
            thing["spec"]["replicas"] = 1
            spec = thing["spec"]["template"]["spec"]
            spec.setdefault("automountServiceAccountToken", True)
            for container in spec["containers"]:
                container["resources"].pop("requests", None)
                container["image"] = (images or {}).get(container["name"], container["image"])
    return made


def text(things: list[Json]) -> str:
    """Return objects as YAML."""
    written: str = yaml.safe_dump_all(things)
    return written


def _renamed(thing: Any, name: str) -> Any:
    """Return a copy with another value of the label by which all finds each other."""
    if isinstance(thing, dict):
        return {
            key: name if key == _LABEL else _renamed(value, name) for key, value in thing.items()
        }
    if isinstance(thing, list):
        return [_renamed(each, name) for each in thing]
    return thing
