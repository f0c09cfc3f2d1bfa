"""What the other tests rely on: the control plane, and that it fails when it is told to."""

from __future__ import annotations

import json

import pytest

from tests.realapi.api import Api, ApiError
from tests.realapi.controlplane import KUBE_DNS_USER, ControlPlane
from tests.realapi.objects import external_name, headless, pod, running, service
from tests.realapi.relay import Relay
from tests.realapi.waiting import becomes, until

WATCH = "/api/v1/services?watch=1&timeoutSeconds=1&resourceVersion="


def test_the_controllers_make_slices_of_the_pods_a_test_plays(api: Api, ns: str) -> None:
    web = pod("web-0", ns, "web", hostname="web-0", subdomain="web")
    api.create(headless("web", ns, selector={"app": "web"}), web)
    api.patch(running(web, "10.1.0.7"), subresource="/status")

    def addresses() -> list[str]:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"
        slices = api.ask("GET", path)["items"]
        return [one for s in slices for e in s["endpoints"] or [] for one in e["addresses"]]

    becomes(addresses, ["10.1.0.7"])


def test_a_watch_from_a_compacted_revision_is_gone(
    control_plane: ControlPlane, api: Api, ns: str
) -> None:
    web = service("web", ns)
    api.create(web)
    then = api.get("Service", "web", ns)["metadata"]["resourceVersion"]
    api.delete(web)
    control_plane.restart_apiserver()
    control_plane.compact()
    status, text = api.request("GET", WATCH + then)
    assert status == 200
    assert json.loads(text)["object"]["code"] == 410


def test_what_is_written_past_the_api_server_is_served_by_it(
    control_plane: ControlPlane, api: Api, ns: str
) -> None:
    odd = external_name("odd", ns, "..")
    with pytest.raises(ApiError) as refused:
        api.create(odd)
    assert refused.value.status == 422
    control_plane.store(f"services/specs/{ns}/odd", odd)
    until(lambda: _external_name(api, ns) == "..")
    control_plane.forget(f"services/specs/{ns}/odd")
    until(lambda: _external_name(api, ns) is None)


def test_the_stock_role_allows_services_and_endpoints_only(control_plane: ControlPlane) -> None:
    config = json.loads(control_plane.kubeconfig(KUBE_DNS_USER).read_text())
    token = config["users"][0]["user"]["token"]
    kube_dns = Api(control_plane.port, control_plane.authority, token)
    assert kube_dns.request("GET", "/api/v1/services")[0] == 200
    assert kube_dns.request("GET", "/api/v1/endpoints")[0] == 200
    assert kube_dns.request("GET", "/api/v1/namespaces")[0] == 403
    assert kube_dns.request("GET", "/api/v1/pods")[0] == 403
    assert kube_dns.request("GET", "/apis/discovery.k8s.io/v1/endpointslices")[0] == 403
    kube_dns.close()


def test_the_relay_passes_freezes_and_cuts(control_plane: ControlPlane, relay: Relay) -> None:
    config = json.loads(control_plane.kubeconfig().read_text())
    token = config["users"][0]["user"]["token"]
    api = Api(relay.port, control_plane.authority, token, patience_s=0.5)
    assert api.request("GET", "/readyz")[0] == 200
    relay.reset()
    assert api.request("GET", "/readyz")[0] == 200, "a new connection works"
    relay.silence()
    with pytest.raises(TimeoutError):
        api.request("GET", "/readyz")
    assert api.request("GET", "/readyz")[0] == 200, "a new connection works"
    relay.cut()
    with pytest.raises(ConnectionRefusedError):
        api.request("GET", "/readyz")
    relay.mend()
    assert api.request("GET", "/readyz")[0] == 200
    relay.freeze()
    with pytest.raises(TimeoutError):
        api.request("GET", "/readyz")
    relay.mend()
    assert api.request("GET", "/readyz")[0] == 200
    api.close()


def _external_name(api: Api, ns: str) -> str | None:
    try:
        name: str = api.get("Service", "odd", ns)["spec"]["externalName"]
    except ApiError:
        return None
    return name
