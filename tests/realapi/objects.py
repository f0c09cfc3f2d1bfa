"""API objects in few words, as a test needs them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tests.realapi.api import Object
from tests.realapi.controlplane import NODE

_service_addresses = (f"10.0.0.{n}" for n in itertools.count(11))


def new_ip() -> str:
    """
    Return a service address that no other test has.

    The API server never takes one of the first 256 of its range when it may choose.
    """
    return next(_service_addresses)


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def port(name: str, number: int, protocol: str = "TCP") -> Object:
    return {"name": name, "port": number, "protocol": protocol}


def service(name: str, namespace: str, *ports: Object, **spec: object) -> Object:
    """Return a Service of type ClusterIP; ``spec`` adds to it or overrides it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": list(ports) or [port("http", 80)], **spec},
    }


def dual_stack(name: str, namespace: str, *ports: Object, **spec: object) -> Object:
    return service(name, namespace, *ports, ipFamilyPolicy="RequireDualStack", **spec)


def headless(name: str, namespace: str, *ports: Object, **spec: object) -> Object:
    """Return a headless Service; without a selector its endpoints are the test's to write."""
    return service(name, namespace, *ports, clusterIP="None", **spec)


def external_name(name: str, namespace: str, target: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": target},
    }


def endpoint(*addresses: str, hostname: str | None = None, ready: bool | None = True) -> Object:
    """Return an endpoint of a slice; ``ready`` None leaves the condition away."""
    found: Object = {"addresses": list(addresses)}
    if hostname is not None:
        found["hostname"] = hostname
    if ready is not None:
        found["conditions"] = {"ready": ready}
    return found


def slice_(
    name: str,
    namespace: str,
    service: str,
    endpoints: Sequence[Object],
    ports: Sequence[Object] = (port("http", 8080),),
    *,
    family: str = "IPv4",
) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": list(ports),
    }


def endpoints(name: str, namespace: str, *addresses: Object, ports: Sequence[Object]) -> Object:
    """Return Endpoints; an address is ``{"ip": …}`` with or without ``hostname``."""
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name, "namespace": namespace},
        "subsets": [{"addresses": list(addresses), "ports": list(ports)}],
    }


def pod(name: str, namespace: str, app: str, **spec: object) -> Object:
    """Return a Pod with the label ``app``, bound to the node that nobody plays."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}},
        "spec": {"nodeName": NODE, "containers": [{"name": "c", "image": "c"}], **spec},
    }


def running(pod: Object, *addresses: str, ready: bool = True) -> Object:
    """Return the status patch that a kubelet would send for a running Pod."""
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "status": {
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": [{"ip": address} for address in addresses],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }
