"""A cluster of more objects than one page of a list holds."""

from __future__ import annotations

import pytest

from tests.realapi.api import Api
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import endpoint, external_name, headless, namespace, slice_
from tests.realapi.product import KubeDns
from tests.realapi.relay import Relay
from tests.realapi.waiting import until

MANY = 620
NS = "many"


@pytest.fixture(scope="module")
def crowd(control_plane: ControlPlane) -> None:
    """More services, and more slices of one service, than a page of 500."""
    api = control_plane.api
    api.create(namespace(NS), headless("wide", NS))
    things = {}
    for i in range(MANY):
        alias = external_name(f"ext-{i}", NS, f"target-{i}.example.com")
        things[f"services/specs/{NS}/ext-{i}"] = alias
        part = slice_(f"wide-{i}", NS, "wide", [endpoint(_address(i))])
        things[f"endpointslices/{NS}/wide-{i}"] = part
    control_plane.store_all(things)


def _address(i: int) -> str:
    return f"10.2.{i // 250}.{i % 250}"


def _has_moved(relay: Relay, octets: int) -> None:
    before = relay.moved
    until(lambda: relay.moved >= before + octets, wanted=f"{octets} octets moved")


def _is_complete(kube_dns: KubeDns) -> None:
    for i in (0, 499, 500, MANY - 1):
        target = f"target-{i}.example.com."
        assert kube_dns.look(f"ext-{i}.{NS}.svc", "CNAME") == {target}
    addresses = {_address(i) for i in range(MANY)}
    assert kube_dns.look(f"wide.{NS}.svc", tcp=True) == addresses


@pytest.mark.usefixtures("crowd")
def test_lists_are_read_page_by_page_to_the_end(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns
) -> None:
    before = len(control_plane.requests("kube-dns"))
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig()}").ready()
    _is_complete(kube_dns)
    pages = [r for r in control_plane.requests("kube-dns")[before:] if "limit=" in r]
    for resource in ("services", "endpointslices"):
        following = [r for r in pages if f"/{resource}?" in r and "continue=" in r]
        assert following, f"{resource} were not read in pages: {pages}"


@pytest.mark.usefixtures("crowd")
def test_nothing_is_ready_before_the_last_page_of_a_slow_list(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay
) -> None:
    relay.slow(250_000)
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}")
    _is_complete(kube_dns.ready())


@pytest.mark.usefixtures("crowd")
def test_a_list_that_breaks_off_is_asked_for_again(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay
) -> None:
    relay.slow(250_000)
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}")
    for _ in range(3):
        # More than the handshakes of all connections, less than a list.
        _has_moved(relay, 100_000)
        relay.reset()
    assert kube_dns.page("/readiness")[0] == 503
    relay.mend()
    _is_complete(kube_dns.ready())


@pytest.mark.usefixtures("crowd")
def test_what_changes_between_two_pages_of_a_list_is_not_missed(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, relay: Relay, api: Api
) -> None:
    relay.slow(250_000)
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(port=relay.port)}")
    _has_moved(relay, 100_000)
    relay.freeze()
    for i in (1, MANY - 2):
        api.delete(external_name(f"ext-{i}", NS, ""))
    api.create(external_name("ext-new", NS, "new.example.com"))
    control_plane.compact()
    relay.mend()
    kube_dns.ready()
    for i in (1, MANY - 2):
        kube_dns.shows(f"ext-{i}.{NS}.svc", "NXDOMAIN", rdtype="CNAME")
    kube_dns.shows(f"ext-new.{NS}.svc", "new.example.com.", rdtype="CNAME")
    _is_complete(kube_dns)


@pytest.mark.usefixtures("crowd")
def test_a_whole_collection_that_is_deleted_is_gone(kube_dns: KubeDns, api: Api) -> None:
    kube_dns.shows(f"ext-{MANY - 1}.{NS}.svc", f"target-{MANY - 1}.example.com.", rdtype="CNAME")
    api.ask("DELETE", f"/apis/discovery.k8s.io/v1/namespaces/{NS}/endpointslices")
    kube_dns.shows(f"wide.{NS}.svc", "NXDOMAIN")
    api.ask("DELETE", f"/api/v1/namespaces/{NS}/services")
    kube_dns.shows(f"ext-0.{NS}.svc", "NXDOMAIN", rdtype="CNAME")
    kube_dns.shows(f"ext-{MANY - 1}.{NS}.svc", "NXDOMAIN", rdtype="CNAME")
