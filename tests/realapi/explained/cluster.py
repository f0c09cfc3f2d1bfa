"""The objects that all situations are about: three namespaces, services in all states."""

from __future__ import annotations

from tests.realapi.api import Api, Object
from tests.realapi.objects import (
    dual_stack,
    endpoint,
    external_name,
    headless,
    namespace,
    pod,
    port,
    running,
    service,
    slice_,
)

NAMESPACES = ("prod", "test", "qa-prod")
CART, STOCK = "10.0.0.201", "10.0.0.202"
"""Cluster IPs: beyond those that `new_ip` gives, below those that the API server takes."""
CLIENT_POD = "10.9.77.7"
NOBODYS = "10.0.0.209"

HTTP, METRICS = port("http", 80), port("metrics", 9090)


def create(api: Api) -> None:
    """Create all of it."""
    api.create(*map(namespace, NAMESPACES))
    api.create(*_services(), *_slices())
    client = pod("client-0", "prod", "client")
    broken = _probed("reports-0")
    api.create(client, broken)
    api.patch(running(client, CLIENT_POD), subresource="/status")
    api.patch(_running_but_not_ready(broken, "10.9.77.31"), subresource="/status")


def delete(api: Api) -> None:
    """Delete all of it; the namespaces' contents go with them."""
    api.delete(pod("client-0", "prod", "client"), pod("reports-0", "prod", "reports"))
    api.delete(*map(namespace, NAMESPACES))


def _services() -> list[Object]:
    return [
        service("cart", "prod", HTTP, METRICS, clusterIP=CART),
        service("stock", "test", HTTP, clusterIP=STOCK),
        service("stock", "qa-prod", HTTP),
        dual_stack("both", "prod", HTTP),
        service("nameless", "prod", {"port": 80}),
        service("till", "prod", HTTP),
        service("idle", "prod", HTTP),
        headless("orders", "prod", HTTP),
        headless("reports", "prod", HTTP),
        headless("unborn", "prod", HTTP),
        headless("db", "prod", port("sql", 5432)),
        external_name("partner", "prod", "192.0.2.7"),
        external_name("ring-a", "prod", "ring-b.prod.svc.cluster.local"),
        external_name("ring-b", "prod", "ring-a.prod.svc.cluster.local"),
        external_name("crm", "prod", "gone.corp.example"),
        external_name("legacy", "prod", "cart.test.svc.cluster.local"),
        external_name("dead", "prod", "b.silent.example"),
        external_name("erp", "prod", "www.corp.example"),
    ]


def _slices() -> list[Object]:
    return [
        slice_(
            "orders-1", "prod", "orders",
            [endpoint(f"10.9.77.{n}", ready=False) for n in (11, 12, 13)],
        ),
        slice_("idle-1", "prod", "idle", [endpoint("10.9.77.14", ready=False)]),
        slice_(
            "reports-1", "prod", "reports",
            [endpoint("10.9.77.31", ready=False) | {"targetRef": _reference("reports-0")}],
        ),
        slice_(
            "db-1", "prod", "db",
            [
                endpoint("10.9.77.21", hostname="db-0"),
                endpoint("10.9.77.22", hostname="db-1"),
            ],
            [port("sql", 5432)],
        ),
    ]  # fmt: skip


def _reference(name: str) -> Object:
    return {"kind": "Pod", "namespace": "prod", "name": name}


def _probed(name: str) -> Object:
    """Return a pod whose only container has a readiness probe."""
    container = {
        "name": "c",
        "image": "c",
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
    }
    return pod(name, "prod", name, containers=[container])


def _running_but_not_ready(made: Object, address: str) -> Object:
    """Return what a kubelet says of a pod whose readiness probe fails."""
    status = running(made, address, ready=False)
    status["status"]["containerStatuses"] = [
        {
            "name": "c",
            "image": "c",
            "imageID": "",
            "ready": False,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
    ]
    return status
