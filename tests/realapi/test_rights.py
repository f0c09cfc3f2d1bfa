"""kube-dns with the rights of the stock role, with fewer, and with rights that come and go."""

from __future__ import annotations

from functools import partial

from tests.realapi.api import Api, Object
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import KUBE_DNS_USER, ControlPlane
from tests.realapi.objects import (
    dual_stack,
    endpoints,
    headless,
    namespace,
    new_ip,
    pod,
    port,
    running,
    service,
)
from tests.realapi.product import KubeDns, Steady, reverse
from tests.realapi.relay import Relay
from tests.realapi.rights import STOCK_ROLE, Account, binding, role
from tests.realapi.waiting import becomes, until

SLICES = {"endpointslices": "discovery.k8s.io"}
NAMESPACES = {"namespaces": ""}
SQL = port("sql", 5432)


def test_with_the_stock_role_endpoints_are_served_instead_of_slices(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    fqdn = f"db.{ns}.svc.cluster.local."
    api.create(headless("db", ns, SQL))
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(KUBE_DNS_USER)}").ready()
    kube_dns.shows(fqdn, "NXDOMAIN")
    first, second = {"ip": "10.1.14.1", "hostname": "db-0"}, {"ip": "10.1.14.2"}
    api.create(endpoints("db", ns, first, second, ports=[SQL]))
    kube_dns.shows(fqdn, "10.1.14.1", "10.1.14.2")
    srv = [f"10 50 5432 db-0.{fqdn}", f"10 50 5432 10-1-14-2.{fqdn}"]
    kube_dns.shows(f"_sql._tcp.{fqdn}", *srv, rdtype="SRV")
    kube_dns.shows(reverse("10.1.14.1"), f"db-0.{fqdn}", rdtype="PTR")
    api.patch(endpoints("db", ns, second, ports=[SQL]))
    kube_dns.shows(fqdn, "10.1.14.2")
    kube_dns.shows(f"db-0.{fqdn}", "NXDOMAIN")
    api.delete(endpoints("db", ns, ports=[]))
    kube_dns.shows(fqdn, "NXDOMAIN")


def test_with_the_stock_role_a_namespace_exists_if_it_holds_a_service(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns, api: Api, ns: str
) -> None:
    web = service("web", ns)
    kube_dns = start_kube_dns(f"--kubecfg-file={control_plane.kubeconfig(KUBE_DNS_USER)}").ready()
    kube_dns.shows(f"{ns}.svc", "NXDOMAIN")
    api.create(web)
    kube_dns.shows(f"{ns}.svc", "NODATA")
    kube_dns.shows(f"10-1-2-3.{ns}.pod", "10.1.2.3")
    kube_dns.shows("10-1-2-3.no-service-here.pod", "10.1.2.3")
    api.delete(web)
    kube_dns.shows(f"{ns}.svc", "NXDOMAIN")


def test_the_fall_back_is_said_once_in_the_log_and_shown_in_status_and_metrics(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns
) -> None:
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(KUBE_DNS_USER)}", "--forbidden-retry=100ms"
    ).ready()
    for resource in ("endpointslices", "namespaces"):
        kube_dns.logs(resource)
        series = f'kubedns_watch_forbidden{{resource="{resource}"}}'
        becomes(partial(kube_dns.metric, series), 1.0)
        becomes(partial(_states, kube_dns, resource), ["forbidden"])
        until(partial(_has_been_refused, kube_dns, resource, 5))
        said = [line for line in kube_dns.log().splitlines() if "cannot list" in line]
        assert sum(resource in line for line in said) == 1, said
    becomes(lambda: _states(kube_dns, "services", "endpoints"), ["watching"] * 2)


def test_verified_pod_names_without_the_right_to_see_pods_are_those_of_any_address(
    control_plane: ControlPlane, start_kube_dns: StartKubeDns
) -> None:
    kube_dns = start_kube_dns(
        f"--kubecfg-file={control_plane.kubeconfig(KUBE_DNS_USER)}", "--pods=verified"
    ).ready()
    kube_dns.shows("10-1-2-3.default.pod", "10.1.2.3")
    kube_dns.logs("pods")


def test_rights_that_are_granted_later_are_picked_up_and_revoked_ones_given_up(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    relay: Relay,
    api: Api,
    ns: str,
    objects: list[Object],
) -> None:
    account = Account(control_plane, ns, "kube-dns")
    more = role(f"more-{ns}", **SLICES, **NAMESPACES)
    stock, extra = binding(STOCK_ROLE, account), binding(f"more-{ns}", account)
    api.create(stock, more)
    objects += [stock, more]
    web = pod("web-0", ns, "web", hostname="web-0", subdomain="web")
    api.create(dual_stack("web", ns, clusterIP="None", selector={"app": "web"}), web)
    api.patch(running(web, "10.1.15.1", "fd00:1:15::1"), subresource="/status")
    empty = f"{ns}-empty"
    api.create(namespace(empty))

    config = control_plane.write_kubeconfig({"token": account.token()}, port=relay.port)
    kube_dns = start_kube_dns(f"--kubecfg-file={config}", "--forbidden-retry=500ms").ready()
    kube_dns.shows(f"web.{ns}.svc", "10.1.15.1")
    kube_dns.shows(f"web.{ns}.svc", "NODATA", rdtype="AAAA")
    kube_dns.shows(f"{empty}.svc", "NXDOMAIN")

    with Steady(kube_dns, f"web.{ns}.svc", "10.1.15.1"):
        api.create(extra)
        kube_dns.shows(f"web.{ns}.svc", "fd00:1:15::1", rdtype="AAAA")
        kube_dns.shows(f"{empty}.svc", "NODATA")
        becomes(lambda: _states(kube_dns, "endpointslices", "namespaces"), ["watching"] * 2)

        api.delete(extra)
        _wait_until_forbidden(control_plane, api, account)
        relay.reset()
        becomes(lambda: _states(kube_dns, "endpointslices", "namespaces"), ["forbidden"] * 2)
        kube_dns.shows(f"{empty}.svc", "NXDOMAIN")
    another = pod("web-1", ns, "web")
    api.create(another)
    api.patch(running(another, "10.1.15.2"), subresource="/status")
    kube_dns.shows(f"web.{ns}.svc", "10.1.15.1", "10.1.15.2")


def test_an_account_without_any_rights_is_unready_until_they_are_granted(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    api: Api,
    ns: str,
    objects: list[Object],
) -> None:
    account = Account(control_plane, ns, "kube-dns")
    api.create(service("web", ns, clusterIP=(address := new_ip())))
    config = control_plane.write_kubeconfig({"token": account.token()})
    kube_dns = start_kube_dns(f"--kubecfg-file={config}")
    kube_dns.logs('cannot list resource "services"')
    assert kube_dns.page("/readiness")[0] == 503
    assert kube_dns.look(f"web.{ns}.svc") == {"SERVFAIL"}
    stock = binding(STOCK_ROLE, account)
    api.create(stock)
    objects.append(stock)
    kube_dns.ready().shows(f"web.{ns}.svc", address)


def _has_been_refused(kube_dns: KubeDns, resource: str, times: int) -> bool:
    errors: int = kube_dns.source(resource)["errors"]
    return errors >= times


def _states(kube_dns: KubeDns, *resources: str) -> list[str]:
    return [kube_dns.source(resource)["state"] for resource in resources]


def _wait_until_forbidden(control_plane: ControlPlane, api: Api, account: Account) -> None:
    theirs = Api(control_plane.port, control_plane.authority, account.token())
    path = "/apis/discovery.k8s.io/v1/endpointslices?limit=1"
    becomes(lambda: theirs.request("GET", path)[0], 403)
    theirs.close()
