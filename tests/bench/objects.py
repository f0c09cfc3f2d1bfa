"""
The services and EndpointSlices of a cluster of a given size, as JSON for the API server.

A tenth of the services are headless, with one hundred endpoints each; the others have a cluster IP
and two endpoints.  5,000 services have 59,000 addresses so.  Slices look as the control plane's
own: node name, conditions, the pod behind each address.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from tests.realapi.api import Object

NAMESPACES = tuple(f"bench-{number:02}" for number in range(20))

_HEADLESS_ENDPOINTS = 100
_CLUSTER_IP_ENDPOINTS = 2
_PODS = int(ipaddress.IPv4Address("10.128.0.0"))
_CLUSTER_IPS = int(ipaddress.IPv4Address("10.0.64.0"))


@dataclass(frozen=True, slots=True)
class BenchService:
    """
    One service of the benchmark and the addresses behind it.

    The cluster IP is given: when the API server has to pick one it takes 12 ms in a large cluster.
    """

    name: str
    namespace: str
    cluster_ip: str | None
    addresses: tuple[str, ...]

    @property
    def answer(self) -> tuple[bytes, ...]:
        """Return the packed addresses that an A question is answered with."""
        shown = self.addresses if self.cluster_ip is None else (self.cluster_ip,)
        return tuple(ipaddress.IPv4Address(address).packed for address in shown)

    @property
    def dns_name(self) -> str:
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    def service(self) -> Object:
        """Return the Service object; without a selector, so that no controller touches it."""
        ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]
        spec = {"type": "ClusterIP", "ports": ports, "clusterIP": self.cluster_ip or "None"}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {"app": self.name},
            },
            "spec": spec,
        }

    def slice_(self, extra: tuple[str, ...] = ()) -> Object:
        """Return its EndpointSlice, with more addresses if asked."""
        labels = {"app": self.name, "kubernetes.io/service-name": self.name}
        if self.cluster_ip is None:
            labels["service.kubernetes.io/headless"] = ""
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{self.name}-x7k2p",
                "namespace": self.namespace,
                "labels": labels,
            },
            "addressType": "IPv4",
            "endpoints": [self._endpoint(address) for address in (*self.addresses, *extra)],
            "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        }

    def _endpoint(self, address: str) -> Object:
        pod = f"{self.name}-{int(ipaddress.IPv4Address(address)):08x}"
        return {
            "addresses": [address],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"node-{int(ipaddress.IPv4Address(address)) % 100:03}",
            "targetRef": {
                "kind": "Pod",
                "namespace": self.namespace,
                "name": pod,
                "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, pod)),
            },
        }


def fleet(first: int, count: int) -> Iterator[BenchService]:
    """Return ``count`` services of the fleet, from number ``first`` on; every tenth is headless."""
    for number in range(first, first + count):
        headless = number % 10 == 0
        endpoints = _HEADLESS_ENDPOINTS if headless else _CLUSTER_IP_ENDPOINTS
        start = _PODS + number // 10 * (_HEADLESS_ENDPOINTS + 9 * _CLUSTER_IP_ENDPOINTS)
        if not headless:
            start += _HEADLESS_ENDPOINTS + (number % 10 - 1) * _CLUSTER_IP_ENDPOINTS
        yield BenchService(
            name=f"{'headless' if headless else 'web'}-{number:05}",
            namespace=NAMESPACES[number // 10 % len(NAMESPACES)],
            cluster_ip=None if headless else str(ipaddress.IPv4Address(_CLUSTER_IPS + number)),
            addresses=tuple(str(ipaddress.IPv4Address(start + i)) for i in range(endpoints)),
        )


def of_ten() -> BenchService:
    """Return the headless service of ten endpoints whose endpoints change."""
    addresses = tuple(f"10.9.0.{number}" for number in range(1, 11))
    return BenchService("of-ten", NAMESPACES[0], cluster_ip=None, addresses=addresses)
