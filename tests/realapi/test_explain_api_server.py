"""What only the API server can tell: who has an address, and that it is not there itself."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.realapi.api import Api, Object
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import KUBE_DNS_USER, ControlPlane
from tests.realapi.objects import (
    endpoint,
    headless,
    new_ip,
    pod,
    running,
    service,
    slice_,
)
from tests.realapi.ports import free_port
from tests.realapi.relay import Relay
from tests.realapi.waiting import until


class Asked:
    """A product and its pages for operators."""

    def __init__(self, start: StartKubeDns, kubeconfig: Path) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        self.kube_dns = start(
            f"--kubecfg-file={kubeconfig}", f"--status-address={self._address}"
        ).ready()

    def page(self, path: str) -> Object:
        with urllib.request.urlopen(f"http://{self._address}{path}", timeout=10) as reply:
            found: Object = json.load(reply)
        return found

    def told(self, name: str) -> list[str]:
        """Return what a client with EDNS is told beside the answer."""
        reply = self.kube_dns.ask(name, recursion=False)
        return [f"{int(each.code)} {each.text}" for each in reply.extended_errors()]


def test_a_pod_is_found_by_its_address(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """With the right to list pods; unknown addresses are nobody's."""
    asked = Asked(start_kube_dns, control_plane.kubeconfig())
    made, address = pod("web-0", ns, "web"), new_ip()
    api.create(made)
    api.patch(running(made, address), subresource="/status")

    def found() -> Object:
        return asked.page(f"/pods?ip={address},192.0.2.77")

    wanted = {
        "pods": {address: {"namespace": ns, "name": "web-0"}, "192.0.2.77": None},
        "allowed": True,
        "problem": "",
    }
    until(found, lambda seen: seen == wanted, wanted=str(wanted), within_s=60)


def test_without_rights_to_pods_all_else_works(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """The published role has none: it is said once, at the first question."""
    api.create(headless("db", ns))
    asked = Asked(start_kube_dns, control_plane.kubeconfig(KUBE_DNS_USER))
    for _ in range(3):
        seen = asked.page("/pods?ip=10.0.0.1")
        assert (seen["pods"], seen["allowed"]) == ({"10.0.0.1": None}, False)
        assert "HTTP 403" in seen["problem"]
    name = f"db.{ns}.svc.cluster.local."
    assert asked.page(f"/explain?name={name}&pods=1")["unready_reasons"] == []
    assert asked.kube_dns.log().count("pods are not named") == 1


def test_what_is_not_ready_and_since_when(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    """The newest version of a slice is told, although nothing changed that DNS answers."""
    asked = Asked(start_kube_dns, control_plane.kubeconfig())
    name = f"db.{ns}.svc.cluster.local."
    broken = endpoint("10.1.77.1", ready=False)
    broken["targetRef"] = {"kind": "Pod", "name": "db-0", "namespace": ns}
    api.create(headless("db", ns), slice_("db-1", ns, "db", [broken]))
    wanted = "0 service db exists, 0 of 1 endpoints ready"
    until(lambda: asked.told(name), lambda seen: seen == [wanted], wanted=wanted)
    first = asked.page(f"/explain?name={name}")
    (slice_before,) = first["slices"]
    assert slice_before["unready_pods"] == ["db-0"]
    second = endpoint("10.1.77.2", ready=False)
    api.patch(slice_("db-1", ns, "db", [broken, second]))
    wanted = "0 service db exists, 0 of 2 endpoints ready"
    until(lambda: asked.told(name), lambda seen: seen == [wanted], wanted=wanted, within_s=20)
    (slice_after,) = asked.page(f"/explain?name={name}")["slices"]
    assert int(slice_after["resource_version"]) > int(slice_before["resource_version"])
    assert slice_after["changed"] >= slice_before["changed"]


def test_answers_say_that_the_api_server_is_away(
    relay: Relay, start_kube_dns: StartKubeDns, control_plane: ControlPlane, api: Api, ns: str
) -> None:
    """From ten seconds on, positive ones too; and not a moment longer than it is."""
    name = f"web.{ns}.svc.cluster.local."
    api.create(service("web", ns))
    asked = Asked(start_kube_dns, control_plane.kubeconfig(port=relay.port))
    until(lambda: asked.told(name) == [] and asked.kube_dns.look(name) != {"NXDOMAIN"}, wanted=name)
    relay.cut()
    stale = "3 the API server has not been heard from for "
    seen = until(lambda: asked.told(name), bool, wanted=stale, within_s=30)
    assert seen[0].startswith(stale), seen
    assert asked.page(f"/explain?name={name}")["api_away_s"] >= 10
    assert asked.told(f"nope.{ns}.svc.cluster.local.")[0].startswith(stale)
    relay.mend()
    until(lambda: asked.told(name), lambda seen: seen == [], wanted="no word", within_s=10)
    assert asked.page(f"/explain?name={name}")["api_away_s"] is None
