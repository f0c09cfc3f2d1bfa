"""Verdicts on names that exist without what was asked for, and on which name was meant at all."""

from __future__ import annotations

from typing import Any

from sidecar.explain.shapes import Verdict
from tests.explaining import Cluster, Name, rule, service

PORTS = [{"name": "http", "protocol": "TCP", "port": 80}]
CART = service("cart", type="ClusterIP", cluster_ips=["10.0.0.1"], ports=PORTS)
NAMESPACE = {"name": "cart", "exists": False}


def verdict(name: str, names: dict[str, Name], **query: str) -> Verdict:
    """Return the verdict on a name that a pod of the namespace prod asks for."""
    return Cluster(names).explain(name, **query).verdict


def empty(ede: str = "", **ours: Any) -> Name:
    """Return a name that exists without records."""
    return Name("NOERROR", ede=ede, ours=ours)


def ids(found: Verdict) -> set[str]:
    """Return which hints there are."""
    return {each.id for each in found.hints}


def test_the_address_of_a_port_that_exists() -> None:
    """The port is not missing: it has no address."""
    name = "_http._tcp.cart.prod.svc.cluster.local."
    said = "ports have SRV records, not A"
    found = verdict("_http._tcp.cart", {name: empty(said, **CART, kind="port")}, type="A")
    assert found.text == f"{name} exists, but has no A record: {said}"


def test_ipv6_of_an_endpoint_that_is_ready() -> None:
    """The endpoint is not missing: it has the other family."""
    name = "db-0.db.prod.svc.cluster.local."
    said = "db-0 has no AAAA records: its addresses are IPv4"
    ours = {**service("db"), "kind": "endpoint", "ready": 1}
    found = verdict(name, {name: empty(said, **ours)}, type="AAAA")
    assert found.text == f"{name} exists, but has no AAAA record: {said}"
    assert ids(found) == {"aaaa"}


def test_that_addresses_are_ipv4_is_said_only_where_it_is_known() -> None:
    filtered = Name("NOERROR", ede="addresses of this family are left out: --filter-AAAA")
    found = verdict("www.example.com.", {"www.example.com.": filtered}, type="AAAA")
    assert ids(found) == set()


def test_a_service_and_a_namespace_that_changed_places() -> None:
    """A service with a cluster IP has no names of endpoints, so `prod` was meant as none."""
    names = {
        "prod.cart.prod.svc.cluster.local.": Name(ours={**CART, "kind": "endpoint"}),
        "prod.cart.svc.cluster.local.": Name(
            ours={"namespace": NAMESPACE, "did_you_mean": ["cart.prod.svc.cluster.local."]}
        ),
    }
    found = verdict("prod.cart", names)
    assert found.text.startswith("namespace cart does not exist")
    assert "did-you-mean" in ids(found)


def test_an_endpoint_of_a_service_with_a_cluster_ip() -> None:
    names = {
        "pod-1.cart.prod.svc.cluster.local.": Name(ours={**CART, "kind": "endpoint"}),
        "pod-1.cart.svc.cluster.local.": Name(ours={"namespace": NAMESPACE}),
    }
    text = "service cart in namespace prod exists, but it has no ready endpoint named pod-1"
    assert verdict("pod-1.cart", names).text == text


def test_an_external_name_that_exists_without_the_type_is_not_blamed_on_the_cluster() -> None:
    ours = {"ours": False, "ede": {"code": 20, "text": "not a name of the cluster"}}
    found = verdict("six.example.org.", {"six.example.org.": Name("NOERROR", ours=ours)}, type="A")
    assert found.text == "six.example.org. exists, but has no A record"


def test_a_name_of_another_cluster() -> None:
    told = "not a name of this cluster, whose domain is cluster.local"
    name = "cart.prod.svc.cluster.lan."
    names = {name: Name(ours={"ours": False, "ede": {"code": 20, "text": told}})}
    assert verdict(name, names).text == (
        f"{name} does not exist: so say the upstream servers; it is {told}"
    )


def test_an_address_that_neither_a_service_nor_anybody_outside_has() -> None:
    told = "no service has the address 198.51.100.9: not a name of the cluster"
    name = "9.100.51.198.in-addr.arpa."
    names = {name: Name(ours={"ours": False, "ede": {"code": 20, "text": told}})}
    assert verdict("198.51.100.9", names).text == f"{name} has no PTR record: {told}"


def test_an_alias_tells_where_it_ends() -> None:
    told = "the externalName of ring leads in a circle"
    ours = {**service("ring", external_name="ring.test.svc.cluster.local."), "kind": "service"}
    names = {"ring.prod.svc.cluster.local.": empty(told, **ours)}
    assert verdict("ring", names).text == (
        "service ring in namespace prod is an alias of ring.test.svc.cluster.local., and that has "
        f"no address: {told}"
    )


def test_a_star_is_no_service() -> None:
    told = "names with * are not answered (--wildcards is off)"
    name = "*.prod.svc.cluster.local."
    assert verdict(name, {name: Name(ede=told)}).text == f"{name} does not exist: {told}"


def test_the_only_endpoint_is_not_ready() -> None:
    ours = {**service("web"), "ready": 0, "unready": 1}
    found = verdict("web", {"web.prod.svc.cluster.local.": Name(ours=ours)})
    assert found.text == "service web in namespace prod exists, but its only endpoint is not ready"


def test_a_stub_domain_that_denies_a_name() -> None:
    theirs = rule("stub", "corp.example.", "192.0.2.9:53")
    found = verdict("www.corp.example.", {"www.corp.example.": Name(theirs=theirs)})
    assert found.text == (
        "www.corp.example. does not exist: so say the servers of the stub domain corp.example."
    )
