"""
Objects with odd content: what the API server lets in, and what a store can hold all the same.

Rules of the API server change from release to release, and what an older one let in stays. So the
second half writes to etcd past its validation.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.realapi.api import Api, Object
from tests.realapi.conftest import StartKubeDns
from tests.realapi.controlplane import ControlPlane
from tests.realapi.objects import (
    endpoint,
    external_name,
    headless,
    new_ip,
    port,
    service,
    slice_,
)
from tests.realapi.product import KubeDns, reverse

LONGEST = "a" + "b" * 61 + "c"


def test_every_type_of_service_with_a_cluster_ip_is_served_alike(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    specs: list[Object] = [
        {"type": "NodePort"},
        {"type": "LoadBalancer"},
        {"externalIPs": ["192.0.2.10"]},
        {"sessionAffinity": "ClientIP"},
    ]
    for i, spec in enumerate(specs):
        address = new_ip()
        api.create(service(f"web-{i}", ns, clusterIP=address, **spec))
        kube_dns.shows(f"web-{i}.{ns}.svc", address)


def test_the_longest_names_are_served(kube_dns: KubeDns, api: Api, ns: str) -> None:
    fqdn, address = f"{LONGEST}.{ns}.svc.cluster.local.", new_ip()
    api.create(service(LONGEST, ns, port("x" * 15, 65535), clusterIP=address))
    kube_dns.shows(fqdn, address)
    kube_dns.shows(f"_{'x' * 15}._tcp.{fqdn}", f"10 100 65535 {fqdn}", rdtype="SRV")


def test_ports_without_name_have_no_srv_record_and_harm_nobody(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    address = new_ip()
    api.create(service("web", ns, {"port": 80}, clusterIP=address))
    kube_dns.shows(f"web.{ns}.svc", address)
    kube_dns.shows(f"_http._tcp.web.{ns}.svc", "NXDOMAIN", rdtype="SRV")


def test_one_port_name_for_each_protocol(kube_dns: KubeDns, api: Api, ns: str) -> None:
    fqdn = f"dns.{ns}.svc.cluster.local."
    ports = [port("dns", 53, "UDP"), port("dns-tcp", 53), port("m3ua", 2905, "SCTP")]
    api.create(service("dns", ns, *ports))
    for name in ("_dns._udp", "_dns-tcp._tcp"):
        kube_dns.shows(f"{name}.{fqdn}", f"10 100 53 {fqdn}", rdtype="SRV")
    kube_dns.shows(f"_m3ua._sctp.{fqdn}", f"10 100 2905 {fqdn}", rdtype="SRV")
    kube_dns.shows(f"_dns._tcp.{fqdn}", "NXDOMAIN", rdtype="SRV")


def test_an_external_name_with_a_final_dot(kube_dns: KubeDns, api: Api, ns: str) -> None:
    api.create(external_name("ext", ns, "www.example.com."))
    kube_dns.shows(f"ext.{ns}.svc", "www.example.com.", rdtype="CNAME")


def test_an_external_name_that_is_an_address_is_answered_as_one(
    kube_dns: KubeDns, api: Api, ns: str
) -> None:
    api.create(external_name("ext", ns, "192.0.2.1"))
    kube_dns.shows(f"ext.{ns}.svc", "192.0.2.1")


def test_events_longer_than_any_buffer_are_read(kube_dns: KubeDns, api: Api, ns: str) -> None:
    wide = [endpoint(f"10.3.{i // 250}.{i % 250}") for i in range(1000)]
    noted = headless("web", ns)
    noted["metadata"]["annotations"] = {"note": 'é"\\\n\t\u2028' * 20_000}
    api.create(noted, slice_("web-a", ns, "web", wide))
    kube_dns.shows(f"web.{ns}.svc", *(e["addresses"][0] for e in wide), tcp=True)
    api.patch(slice_("web-a", ns, "web", wide[:1]))
    kube_dns.shows(f"web.{ns}.svc", "10.3.0.0")


def test_slices_that_are_not_for_dns_are_left_out(kube_dns: KubeDns, api: Api, ns: str) -> None:
    fqdn = slice_("web-fqdn", ns, "web", [endpoint("web.example.com")], family="FQDN")
    nobody = slice_("nobody", ns, "web", [endpoint("10.1.16.2")])
    del nobody["metadata"]["labels"]
    other = slice_("other", ns, "no-such-service", [endpoint("10.1.16.3")])
    bare = slice_("web-bare", ns, "web", [endpoint("10.1.16.1")], ports=[])
    api.create(fqdn, nobody, other, headless("web", ns), bare)
    kube_dns.shows(f"web.{ns}.svc", "10.1.16.1")
    kube_dns.shows(f"no-such-service.{ns}.svc", "NXDOMAIN")
    kube_dns.shows(f"_http._tcp.web.{ns}.svc", "NXDOMAIN", rdtype="SRV")


def test_a_slice_that_is_handed_to_another_service(kube_dns: KubeDns, api: Api, ns: str) -> None:
    api.create(headless("old", ns), headless("new", ns))
    api.create(slice_("s", ns, "old", [endpoint("10.1.16.9")]))
    kube_dns.shows(f"old.{ns}.svc", "10.1.16.9")
    api.patch(slice_("s", ns, "new", [endpoint("10.1.16.9")]))
    kube_dns.shows(f"new.{ns}.svc", "10.1.16.9")
    kube_dns.shows(f"old.{ns}.svc", "NXDOMAIN")
    kube_dns.shows(reverse("10.1.16.9"), f"10-1-16-9.new.{ns}.svc.cluster.local.", rdtype="PTR")


# Past the API server's validation

EVIL = "evil\nE0101 00:00:00.000000 1 forged.py:1] \x1b[31m%s {name}\u2028"

NONSENSE: list[Object] = [
    service("bad-address", "", clusterIP="not-an-address", clusterIPs=["not-an-address"]),
    service("bad-octets", "", clusterIP="10.0.0.256", clusterIPs=["10.0.0.256"]),
    service("zero-octets", "", clusterIP="010.0.0.9", clusterIPs=["010.0.0.9"]),
    service("evil-address", "", clusterIP=EVIL, clusterIPs=[EVIL]),
    external_name("no-name", "", "."),
    external_name("two-dots", "", "a..b"),
    external_name("long-label", "", f"{'a' * 64}.example.com"),
    external_name("long-name", "", ".".join(["abcdefgh"] * 40)),
    external_name("evil-name", "", EVIL),
    external_name("nothing", "", ""),
    service("UPPER_case", "", clusterIP="10.0.0.250", clusterIPs=["10.0.0.250"]),
    service("a.dotted.name", "", clusterIP="10.0.0.251", clusterIPs=["10.0.0.251"]),
    service(EVIL.replace("/", ""), "", clusterIP="10.0.0.252", clusterIPs=["10.0.0.252"]),
]


@pytest.fixture
def stored(control_plane: ControlPlane) -> Iterator[list[tuple[str, Object]]]:
    """A list for what was written to etcd, by key; it is removed when the test is over."""
    written: list[tuple[str, Object]] = []
    yield written
    for key, _ in written:
        control_plane.forget(key)


def test_objects_with_nonsense_inside_are_left_out_and_the_others_served(
    control_plane: ControlPlane,
    start_kube_dns: StartKubeDns,
    api: Api,
    ns: str,
    stored: list[tuple[str, Object]],
) -> None:
    config = control_plane.kubeconfig()
    watching = start_kube_dns(f"--kubecfg-file={config}").ready()
    for i, thing in enumerate(NONSENSE):
        thing = {**thing, "metadata": {**thing["metadata"], "namespace": ns}}
        stored.append((f"services/specs/{ns}/nonsense-{i}", thing))
        control_plane.store(*stored[-1])
    api.create(service("sane", ns, clusterIP=(sane := new_ip())))
    listing = start_kube_dns(f"--kubecfg-file={config}").ready()
    for kube_dns in (watching, listing):
        kube_dns.shows(f"sane.{ns}.svc", sane)
        for thing in NONSENSE[:10]:
            name = f"{thing['metadata']['name']}.{ns}.svc"
            assert kube_dns.look(name) <= {"NXDOMAIN", "NODATA"}, name
        kube_dns.logs("bad-address")
        assert not [line for line in kube_dns.log().splitlines() if line.startswith("E0101")]
        assert "\x1b" not in kube_dns.log()
        assert kube_dns.metric("kubedns_object_problems_total") >= len(NONSENSE) - 1
        said = [line for line in kube_dns.log().splitlines() if "bad-octets" in line]
        assert len(said) == 1, said


def test_nonsense_in_a_slice_costs_only_itself(
    control_plane: ControlPlane,
    kube_dns: KubeDns,
    api: Api,
    ns: str,
    stored: list[tuple[str, Object]],
) -> None:
    odd = [
        endpoint("10.1.17.1", hostname="one"),
        endpoint("not-an-address"),
        endpoint("fd00::1"),
        endpoint("10.1.17.2", hostname="Not_A.Label"),
        endpoint("10.1.17.3", hostname=EVIL),
        {"addresses": None},
        {"addresses": ["10.1.17.4"], "conditions": None, "targetRef": {"kind": "Pod"}},
    ]
    ports = [port("http", 8080), port("zero", 0), port("big", 70000), port("e" * 64, 1)]
    ports += [{"name": None, "port": None, "protocol": None}, port("p", 1, "no such")]
    api.create(headless("web", ns))
    stored.append((f"endpointslices/{ns}/web-a", slice_("web-a", ns, "web", odd, ports)))
    control_plane.store(*stored[-1])
    kube_dns.shows(f"web.{ns}.svc", *(f"10.1.17.{i}" for i in (1, 2, 3, 4)))
    kube_dns.shows(f"one.web.{ns}.svc", "10.1.17.1")
    kube_dns.shows(f"10-1-17-2.web.{ns}.svc", "10.1.17.2")
    targets = ["one", "10-1-17-2", "10-1-17-3", "10-1-17-4"]
    srv = [f"10 25 8080 {target}.web.{ns}.svc.cluster.local." for target in targets]
    kube_dns.shows(f"_http._tcp.web.{ns}.svc", *srv, rdtype="SRV")


def test_a_name_that_two_services_would_have_is_never_mixed(
    control_plane: ControlPlane,
    kube_dns: KubeDns,
    api: Api,
    ns: str,
    stored: list[tuple[str, Object]],
) -> None:
    """Names of objects are unique, but an older store may hold one that only differs in case."""
    api.create(service("web", ns, clusterIP=(address := new_ip())))
    upper = service("WEB", ns, clusterIP="10.0.0.253", clusterIPs=["10.0.0.253"])
    stored.append((f"services/specs/{ns}/WEB", upper))
    control_plane.store(*stored[-1])
    api.create(service("later", ns, clusterIP=(later := new_ip())))
    kube_dns.shows(f"later.{ns}.svc", later)
    assert kube_dns.look(f"web.{ns}.svc") == {address}
