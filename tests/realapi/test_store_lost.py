"""The store behind the API server goes away, or comes back as it was some time ago."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.realapi.api import Api
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import endpoint, headless, new_ip, service, slice_
from tests.realapi.product import KubeDns, Steady


def test_answers_go_on_without_etcd_and_changes_arrive_when_it_is_back(
    control_plane: ControlPlane, kube_dns: KubeDns, api: Api, ns: str
) -> None:
    web = service("web", ns, clusterIP=(steady := new_ip()))
    first = slice_("set-a", ns, "set", [endpoint("10.1.18.1")])
    api.create(web, headless("set", ns), first)
    kube_dns.shows(f"web.{ns}.svc", steady)
    kube_dns.shows(f"set.{ns}.svc", "10.1.18.1")
    with Steady(kube_dns, f"web.{ns}.svc", steady):
        control_plane.kill_etcd()
        control_plane.start_etcd()
        api.delete(first)
        kube_dns.shows(f"set.{ns}.svc", "NXDOMAIN")
        api.create(service("created", ns, clusterIP=(created := new_ip())))
        kube_dns.shows(f"created.{ns}.svc", created)


@pytest.mark.usefixtures("tools")
def test_a_cluster_that_was_restored_from_a_backup_is_served_as_it_is_now(
    start_kube_dns: StartKubeDns, tmp_path: Path
) -> None:
    """The revisions that kube-dns saw are in the future then: the server has nothing to say."""
    with ControlPlane(tmp_path / "control-plane") as control_plane:
        before, between = service("before", "default"), service("between", "default")
        control_plane.api.create(before)
        address = control_plane.api.get("Service", "before", "default")["spec"]["clusterIP"]
        control_plane.back_up()
        control_plane.api.create(between)
        control_plane.api.delete(before)
        kube_dns = start_kube_dns(
            f"--kubecfg-file={control_plane.kubeconfig()}", "--watch-silence=2s"
        ).ready()
        control_plane.restore()
        kube_dns.shows("before.default.svc", address)
        kube_dns.shows("between.default.svc", "NXDOMAIN")
