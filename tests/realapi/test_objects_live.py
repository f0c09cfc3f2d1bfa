"""Every kind of object as it is created, changed and deleted, seen in the answers."""

from __future__ import annotations

import subprocess

import pytest

from tests.realapi.api import Api, Object
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import (
    dual_stack,
    endpoint,
    endpoints,
    external_name,
    headless,
    namespace,
    new_ip,
    pod,
    port,
    running,
    service,
    slice_,
)
from tests.realapi.product import KubeDns, reverse

HTTP = port("http", 8080)


def test_the_api_server_itself_has_a_name(kube_dns: KubeDns) -> None:
    kube_dns.shows("kubernetes.default.svc", "10.0.0.1")
    (answer,) = kube_dns.ask("kubernetes.default.svc").answer
    assert answer.ttl == 30


@pytest.mark.parametrize("client", ["dig", "kdig"])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_other_clients_read_the_answers(kube_dns: KubeDns, client: str, transport: str) -> None:
    name = "_https._tcp.kubernetes.default.svc.cluster.local"
    answer = subprocess.run(
        [client, "@127.0.0.1", f"-p{kube_dns.port}", "+short", transport, name, "SRV"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split() == ["10", "100", "443", "kubernetes.default.svc.cluster.local."]


def test_a_cluster_ip_service_comes_changes_and_goes(kube_dns: KubeDns, api: Api, ns: str) -> None:
    web, fqdn = service("web", ns, port("http", 80)), f"web.{ns}.svc.cluster.local."
    kube_dns.shows(fqdn, "NXDOMAIN")
    api.create(web)
    address = api.get("Service", "web", ns)["spec"]["clusterIP"]
    kube_dns.shows(fqdn, address)
    kube_dns.shows(fqdn, address, tcp=True)
    kube_dns.shows(fqdn, "NODATA", rdtype="AAAA")
    kube_dns.shows(f"_http._tcp.{fqdn}", f"10 100 80 {fqdn}", rdtype="SRV")
    kube_dns.shows(reverse(address), fqdn, rdtype="PTR")

    api.patch(service("web", ns, port("http2", 8080)))
    kube_dns.shows(f"_http2._tcp.{fqdn}", f"10 100 8080 {fqdn}", rdtype="SRV")
    kube_dns.shows(f"_http._tcp.{fqdn}", "NXDOMAIN", rdtype="SRV")
    kube_dns.shows(fqdn, address)

    api.delete(web)
    kube_dns.shows(fqdn, "NXDOMAIN")
    kube_dns.shows(f"_http2._tcp.{fqdn}", "NXDOMAIN", rdtype="SRV")
    kube_dns.shows(reverse(address), "NXDOMAIN", rdtype="PTR")


def test_a_service_made_again_has_its_new_address(kube_dns: KubeDns, api: Api, ns: str) -> None:
    old, new = new_ip(), new_ip()
    web = service("web", ns, clusterIP=old)
    api.create(web)
    kube_dns.shows(f"web.{ns}.svc", old)
    api.delete(web)
    api.create(service("web", ns, clusterIP=new))
    kube_dns.shows(f"web.{ns}.svc", new)
    kube_dns.shows(reverse(old), "NXDOMAIN", rdtype="PTR")


def test_a_dual_stack_service_has_both_addresses(kube_dns: KubeDns, api: Api, ns: str) -> None:
    fqdn = f"web.{ns}.svc.cluster.local."
    api.create(dual_stack("web", ns, port("http", 80)))
    v4, v6 = api.get("Service", "web", ns)["spec"]["clusterIPs"]
    kube_dns.shows(fqdn, v4)
    kube_dns.shows(fqdn, v6, rdtype="AAAA")
    kube_dns.shows(f"_http._tcp.{fqdn}", f"10 100 80 {fqdn}", rdtype="SRV")
    kube_dns.shows(reverse(v4), fqdn, rdtype="PTR")
    kube_dns.shows(reverse(v6), fqdn, rdtype="PTR")

    api.patch(service("web", ns, ipFamilyPolicy="SingleStack", ipFamilies=None, clusterIPs=[v4]))
    kube_dns.shows(fqdn, "NODATA", rdtype="AAAA")
    kube_dns.shows(reverse(v6), "NXDOMAIN", rdtype="PTR")
    kube_dns.shows(fqdn, v4)


def test_an_external_name_becomes_a_cluster_ip(kube_dns: KubeDns, api: Api, ns: str) -> None:
    address = new_ip()
    api.create(external_name("db", ns, "foo.example.com"))
    kube_dns.shows(f"db.{ns}.svc", "foo.example.com.", rdtype="CNAME")
    api.patch(external_name("db", ns, "bar.example.com"))
    kube_dns.shows(f"db.{ns}.svc", "bar.example.com.", rdtype="CNAME")
    api.patch(service("db", ns, type="ClusterIP", externalName=None, clusterIP=address))
    kube_dns.shows(f"db.{ns}.svc", address)
    kube_dns.shows(f"db.{ns}.svc", "NODATA", rdtype="CNAME")
    api.delete(service("db", ns))
    kube_dns.shows(f"db.{ns}.svc", "NXDOMAIN")


def test_an_external_name_inside_the_cluster_follows_what_it_names(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    address = new_ip()
    web = f"web.{ns}.svc.cluster.local."
    api.create(external_name("alias", ns, web.rstrip(".")))
    kube_dns.shows(f"alias.{ns}.svc", web, "NXDOMAIN")
    api.create(service("web", ns, clusterIP=address))
    kube_dns.shows(f"alias.{ns}.svc", web, address)


def test_the_pods_of_a_stateful_set_have_names(kube_dns: KubeDns, api: Api, ns: str) -> None:
    fqdn = f"db.{ns}.svc.cluster.local."
    pods = [pod(f"db-{i}", ns, "db", hostname=f"db-{i}", subdomain="db") for i in range(2)]
    api.create(headless("db", ns, port("sql", 5432), selector={"app": "db"}), *pods)
    kube_dns.shows(fqdn, "NXDOMAIN")
    for i, one in enumerate(pods):
        api.patch(running(one, f"10.1.7.{i}"), subresource="/status")
    kube_dns.shows(fqdn, "10.1.7.0", "10.1.7.1")
    kube_dns.shows(f"db-1.{fqdn}", "10.1.7.1")
    kube_dns.shows(reverse("10.1.7.1"), f"db-1.{fqdn}", rdtype="PTR")
    srv = [f"10 50 5432 db-{i}.{fqdn}" for i in range(2)]
    kube_dns.shows(f"_sql._tcp.{fqdn}", *srv, rdtype="SRV")

    api.patch(running(pods[1], "10.1.7.1", ready=False), subresource="/status")
    kube_dns.shows(fqdn, "10.1.7.0")
    kube_dns.shows(f"db-1.{fqdn}", "NXDOMAIN")
    kube_dns.shows(reverse("10.1.7.1"), "NXDOMAIN", rdtype="PTR")
    api.patch(running(pods[1], "10.1.7.1"), subresource="/status")
    kube_dns.shows(fqdn, "10.1.7.0", "10.1.7.1")

    api.delete(pods[0])
    kube_dns.shows(fqdn, "10.1.7.1")
    api.delete(pods[1])
    kube_dns.shows(fqdn, "NXDOMAIN")


def test_pods_that_are_not_ready_count_where_the_service_says_so(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    db = pod("db-0", ns, "db", hostname="db-0", subdomain="db")
    api.create(headless("db", ns, selector={"app": "db"}, publishNotReadyAddresses=True), db)
    api.patch(running(db, "10.1.7.9", ready=False), subresource="/status")
    kube_dns.shows(f"db-0.db.{ns}.svc", "10.1.7.9")


def test_a_headless_dual_stack_service_has_addresses_of_both_families(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    web = pod("web-0", ns, "web", hostname="web-0", subdomain="web")
    api.create(dual_stack("web", ns, HTTP, clusterIP="None", selector={"app": "web"}), web)
    api.patch(running(web, "10.1.7.20", "fd00:1:7::20"), subresource="/status")
    for name in (f"web.{ns}.svc", f"web-0.web.{ns}.svc"):
        kube_dns.shows(name, "10.1.7.20")
        kube_dns.shows(name, "fd00:1:7::20", rdtype="AAAA")
    kube_dns.shows(reverse("fd00:1:7::20"), f"web-0.web.{ns}.svc.cluster.local.", rdtype="PTR")


def test_many_slices_are_one_service(kube_dns: KubeDns, api: Api, ns: str) -> None:
    fqdn = f"web.{ns}.svc.cluster.local."
    first = slice_("web-a", ns, "web", [endpoint("10.1.8.1"), endpoint("10.1.8.2")], [HTTP])
    second = slice_("web-b", ns, "web", [endpoint("10.1.8.2"), endpoint("10.1.8.3")], [HTTP])
    third = slice_("web-c", ns, "web", [endpoint("fd00:1:8::1")], [HTTP], family="IPv6")
    api.create(first, second, third, headless("web", ns, HTTP))
    kube_dns.shows(fqdn, "10.1.8.1", "10.1.8.2", "10.1.8.3")
    kube_dns.shows(fqdn, "fd00:1:8::1", rdtype="AAAA")
    kube_dns.shows(f"10-1-8-2.{fqdn}", "10.1.8.2")
    labels = ["10-1-8-1", "10-1-8-2", "10-1-8-3", "fd00-1-8--1"]
    srv = [f"10 25 8080 {label}.{fqdn}" for label in labels]
    kube_dns.shows(f"_http._tcp.{fqdn}", *srv, rdtype="SRV")
    kube_dns.shows(reverse("10.1.8.2"), f"10-1-8-2.{fqdn}", rdtype="PTR")

    api.delete(first)
    kube_dns.shows(fqdn, "10.1.8.2", "10.1.8.3")
    api.patch(slice_("web-b", ns, "web", [endpoint("10.1.8.4", hostname="four")], [HTTP]))
    kube_dns.shows(fqdn, "10.1.8.4")
    kube_dns.shows(f"four.{fqdn}", "10.1.8.4")
    kube_dns.shows(reverse("10.1.8.2"), "NXDOMAIN", rdtype="PTR")
    api.delete(second)
    kube_dns.shows(fqdn, "NODATA")
    kube_dns.shows(fqdn, "fd00:1:8::1", rdtype="AAAA")
    api.delete(third)
    kube_dns.shows(fqdn, "NXDOMAIN")


def test_only_ready_endpoints_count(kube_dns: KubeDns, api: Api, ns: str) -> None:
    ready = [
        endpoint("10.1.9.1", ready=True),
        endpoint("10.1.9.2", ready=False),
        endpoint("10.1.9.3", ready=None),
    ]
    api.create(headless("web", ns, HTTP), slice_("web-a", ns, "web", ready, [HTTP]))
    kube_dns.shows(f"web.{ns}.svc", "10.1.9.1", "10.1.9.3")


def test_all_addresses_of_one_hostname_are_kept(kube_dns: KubeDns, api: Api, ns: str) -> None:
    twins = [endpoint("10.1.9.11", hostname="twin"), endpoint("10.1.9.12", hostname="twin")]
    api.create(headless("web", ns, HTTP), slice_("web-a", ns, "web", twins, [HTTP]))
    kube_dns.shows(f"twin.web.{ns}.svc", "10.1.9.11", "10.1.9.12")
    kube_dns.shows(f"web.{ns}.svc", "10.1.9.11", "10.1.9.12")


def test_endpoints_written_by_hand_arrive_through_their_mirrored_slices(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    by_hand = endpoints("db", ns, {"ip": "10.1.9.21"}, ports=[port("sql", 5432)])
    api.create(headless("db", ns, port("sql", 5432)), by_hand)
    kube_dns.shows(f"db.{ns}.svc", "10.1.9.21")
    api.delete(by_hand)
    kube_dns.shows(f"db.{ns}.svc", "NXDOMAIN")


def test_a_namespace_exists_also_when_it_is_empty(kube_dns: KubeDns, api: Api, ns: str) -> None:
    kube_dns.shows(f"{ns}.svc", "NODATA")
    kube_dns.shows(f"{ns}.pod", "NODATA")
    kube_dns.shows(f"10-1-2-3.{ns}.pod", "10.1.2.3")
    kube_dns.shows("no-such.svc", "NXDOMAIN")
    kube_dns.shows("10-1-2-3.no-such.pod", "NXDOMAIN")


def test_a_deleted_namespace_takes_its_services_along(kube_dns: KubeDns, api: Api, ns: str) -> None:
    address = new_ip()
    api.create(service("web", ns, clusterIP=address))
    kube_dns.shows(f"web.{ns}.svc", address)
    api.delete(namespace(ns))
    kube_dns.shows(f"web.{ns}.svc", "NXDOMAIN")
    kube_dns.shows(f"{ns}.svc", "NXDOMAIN")
    kube_dns.shows(reverse(address), "NXDOMAIN", rdtype="PTR")


def test_verified_pod_names_are_those_of_pods_that_run(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    before, after = pod("before", ns, "x"), pod("after", ns, "x")
    _run(api, before, "10.1.10.1")
    kube_dns = start_kube_dns("--pods=verified", f"--kubecfg-file={control_plane.kubeconfig()}")
    kube_dns.ready()
    kube_dns.shows(f"10-1-10-1.{ns}.pod", "10.1.10.1")
    kube_dns.shows(f"10-1-10-2.{ns}.pod", "NXDOMAIN")
    _run(api, after, "10.1.10.2", "fd00:1:10::2")
    kube_dns.shows(f"10-1-10-2.{ns}.pod", "10.1.10.2")
    kube_dns.shows(f"fd00-1-10--2.{ns}.pod", "fd00:1:10::2", rdtype="AAAA")
    kube_dns.shows("10-1-10-2.default.pod", "NXDOMAIN")
    api.delete(before)
    kube_dns.shows(f"10-1-10-1.{ns}.pod", "NXDOMAIN")


def _run(api: Api, one: Object, *addresses: str) -> None:
    api.create(one)
    api.patch(running(one, *addresses), subresource="/status")
