"""The API server dies and comes back: answers go on, and what changed meanwhile is made up."""

from __future__ import annotations

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
from tests.realapi.product import KubeDns, Steady


def test_answers_go_on_and_changes_arrive_when_the_server_is_back(
    control_plane: ControlPlane, kube_dns: KubeDns, api: Api, ns: str
) -> None:
    steady, deleted, created = new_ip(), new_ip(), new_ip()
    api.create(
        service("steady", ns, clusterIP=steady),
        service("deleted", ns, clusterIP=deleted),
        external_name("moved", ns, "old.example.com"),
        headless("set", ns),
        slice_("set-a", ns, "set", [endpoint("10.1.11.1")]),
        slice_("set-b", ns, "set", [endpoint("10.1.11.2")]),
    )
    kube_dns.shows(f"set.{ns}.svc", "10.1.11.1", "10.1.11.2")
    kube_dns.shows(f"steady.{ns}.svc", steady)
    with Steady(kube_dns, f"steady.{ns}.svc", steady):
        control_plane.kill_apiserver()
        # Another API server of the cluster may go on working: what it would write is in etcd.
        control_plane.forget(f"services/specs/{ns}/deleted")
        control_plane.store(
            f"services/specs/{ns}/moved", external_name("moved", ns, "new.example.com")
        )
        control_plane.forget(f"endpointslices/{ns}/set-a")
        kube_dns.shows(f"deleted.{ns}.svc", deleted)
        control_plane.start_apiserver()
        api.create(service("created", ns, clusterIP=created))
        kube_dns.shows(f"created.{ns}.svc", created)
        kube_dns.shows(f"deleted.{ns}.svc", "NXDOMAIN")
        kube_dns.shows(f"moved.{ns}.svc", "new.example.com.", rdtype="CNAME")
        kube_dns.shows(f"set.{ns}.svc", "10.1.11.2")
    assert kube_dns.page("/readiness") == (200, "ok\n")


def test_it_stays_ready_while_the_server_is_away(
    control_plane: ControlPlane, kube_dns: KubeDns
) -> None:
    control_plane.kill_apiserver()
    kube_dns.logs("services")
    assert kube_dns.page("/readiness") == (200, "ok\n")
    assert kube_dns.look("kubernetes.default.svc") == {"10.0.0.1"}
    control_plane.start_apiserver()


def test_a_process_that_slept_through_a_restart_catches_up(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    before, after = new_ip(), new_ip()
    deleted = service("deleted", ns, clusterIP=before)
    api.create(deleted)
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig()}").ready()
    kube_dns.shows(f"deleted.{ns}.svc", before)
    kube_dns.pause()
    api.delete(deleted)
    control_plane.restart_apiserver()
    api.create(service("created", ns, clusterIP=after))
    kube_dns.go_on()
    kube_dns.shows(f"created.{ns}.svc", after)
    kube_dns.shows(f"deleted.{ns}.svc", "NXDOMAIN")
