"""The revision from which a watch would go on is compacted away: 410 Gone, so list again."""

from __future__ import annotations

from tests.realapi.api import Api
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import endpoint, headless, new_ip, service, slice_
from tests.realapi.product import Steady
from tests.realapi.relay import Relay
from tests.realapi.waiting import until


def test_what_went_while_nobody_watched_is_deleted_and_what_came_is_there(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay, api: Api, ns: str
) -> None:
    gone, steady, created, later = (new_ip() for _ in range(4))
    deleted = service("deleted", ns, clusterIP=gone)
    slices = [slice_(f"set-{i}", ns, "set", [endpoint(f"10.1.12.{i}")]) for i in range(3)]
    api.create(deleted, service("steady", ns, clusterIP=steady), headless("set", ns), *slices)
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}")
    kube_dns.ready()
    kube_dns.shows(f"set.{ns}.svc", "10.1.12.0", "10.1.12.1", "10.1.12.2")
    lists = kube_dns.source("services")["relists"]

    with Steady(kube_dns, f"steady.{ns}.svc", steady):
        relay.cut()
        api.delete(deleted, slices[1])
        api.create(service("created", ns, clusterIP=created))
        control_plane.restart_apiserver()
        control_plane.compact()
        relay.mend()
        kube_dns.shows(f"created.{ns}.svc", created)
        kube_dns.shows(f"deleted.{ns}.svc", "NXDOMAIN")
        kube_dns.shows(f"set.{ns}.svc", "10.1.12.0", "10.1.12.2")
        assert kube_dns.source("services")["relists"] > lists

    # What comes after is watched again, not listed.
    until(lambda: kube_dns.source("services")["state"] == "watching")
    lists = kube_dns.source("services")["relists"]
    api.create(service("later", ns, clusterIP=later))
    kube_dns.shows(f"later.{ns}.svc", later)
    assert kube_dns.source("services")["relists"] == lists
