"""The network between kube-dns and the API server breaks, hangs, forgets, or is slow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.realapi.api import Api
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import (
    endpoint,
    external_name,
    headless,
    new_ip,
    service,
    slice_,
)
from tests.realapi.product import Steady
from tests.realapi.relay import Relay

DISTURBANCES: dict[str, tuple[Callable[[Relay], None], bool]] = {
    # What happens, and whether it must be mended before anything can arrive.
    "refused": (Relay.cut, True),
    "reset": (Relay.reset, False),
    "frozen": (Relay.freeze, True),
    "streams open but forgotten": (Relay.silence, False),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_changes_made_meanwhile_arrive_and_answers_go_on(
    disturbance: str,
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    relay: Relay,
    api: Api,
    ns: str,
) -> None:
    gone, steady, created = new_ip(), new_ip(), new_ip()
    disturb, must_be_mended = DISTURBANCES[disturbance]
    deleted = service("deleted", ns, clusterIP=gone)
    first = slice_("set-a", ns, "set", [endpoint("10.1.13.1")])
    second = slice_("set-b", ns, "set", [endpoint("10.1.13.2")])
    api.create(deleted, service("steady", ns, clusterIP=steady), headless("set", ns), first, second)
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}", "--watch-silence=2s"
    )
    kube_dns.ready()
    kube_dns.shows(f"set.{ns}.svc", "10.1.13.1", "10.1.13.2")
    with Steady(kube_dns, f"steady.{ns}.svc", steady):
        disturb(relay)
        api.delete(deleted, first)
        api.create(service("created", ns, clusterIP=created))
        if must_be_mended:
            assert kube_dns.look(f"created.{ns}.svc") == {"NXDOMAIN"}
            assert kube_dns.page("/readiness") == (200, "ok\n")
            relay.mend()
        kube_dns.shows(f"created.{ns}.svc", created)
        kube_dns.shows(f"deleted.{ns}.svc", "NXDOMAIN")
        kube_dns.shows(f"set.{ns}.svc", "10.1.13.2")
    api.delete(second)
    kube_dns.shows(f"set.{ns}.svc", "NXDOMAIN")


def test_a_connection_that_breaks_again_and_again_loses_nothing(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay, api: Api, ns: str
) -> None:
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}")
    kube_dns.ready()
    last = new_ip()
    for i in range(20):
        relay.reset()
        api.create(external_name(f"ext-{i}", ns, f"target-{i}.example.com"))
        if i:
            api.delete(external_name(f"ext-{i - 1}", ns, ""))
    api.create(service("last", ns, clusterIP=last))
    kube_dns.shows(f"last.{ns}.svc", last)
    for i in range(19):
        kube_dns.shows(f"ext-{i}.{ns}.svc", "NXDOMAIN", rdtype="CNAME")
    kube_dns.shows(f"ext-19.{ns}.svc", "target-19.example.com.", rdtype="CNAME")
