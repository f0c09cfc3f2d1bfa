"""
The same questions to kubedns and to CoreDNS on one API server: every difference has a reason.

Compared are rcode, answer records (SRV without priority and weight, which are free, SOA without its
numbers) and the owner of the SOA in authority, but for reverse names, whose zones are configured. A
difference that `REASONS` does not name is a bug of
one of the two.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from tests.absent import unavailable
from tests.realapi.api import Api
from tests.realapi.controlplane import ControlPlane, program
from tests.realapi.objects import (
    dual_stack,
    endpoint,
    external_name,
    headless,
    new_ip,
    port,
    service,
    slice_,
)
from tests.realapi.ports import free_port
from tests.realapi.product import KubeDns
from tests.realapi.program import Program
from tests.realapi.waiting import until

ZONE = "cluster.local."
TYPES = ("A", "AAAA", "SRV", "TXT", "PTR", "CNAME", "NS", "SOA", "MX", "HTTPS")

Answer = tuple[str, list[tuple[str, str, str]], list[str]]

# CoreDNS answers some names by how they look, not by what there is. What we do instead:
REASONS = {
    "SOA of a name below the apex": "NXDOMAIN where there is no such name, as for any other type",
    "TXT between the zone and a service": "NODATA: the name exists, whatever the type",
    "address of a port's name": "NODATA: only SRV stands there (the original gives a CNAME)",
    "protocol label": "NODATA: ports stand below it (RFC 8020)",
    "alias": "CNAME for every type (RFC 1034 3.6.2), also when its target has no such records",
    "name of the zone's server": "the addresses behind ns.dns, and NODATA for what stands above it",
    "version": "NODATA for other types than TXT: the name exists",
    "SRV of a pod": "NODATA: a pod's name has no port",
}


def reason(qname: str, qtype: str, alias: str) -> str | None:
    """Name the reason for which answers to this question may differ; None: they must not."""
    labels = qname.removesuffix(ZONE).rstrip(".").split(".")
    inside = qname.endswith(ZONE)
    match labels:
        case [*_] if inside and qname != ZONE and qname.endswith(f"{alias}."):
            return "alias"
        case ["ns", "dns"] | ["dns"]:
            return "name of the zone's server"
        case ["dns-version"]:
            return "version"
        case _ if inside and qtype == "SOA" and qname != ZONE:
            return "SOA of a name below the apex"
        case [""] if qtype == "NS":
            return "name of the zone's server"
        case [""] | ["svc"] | ["pod"] | [_, "svc"] | [_, "pod"] if qtype == "TXT":
            return "TXT between the zone and a service"
        case [one, two, _, _, "svc"] if one[0] == two[0] == "_" and qtype in ("A", "AAAA"):
            return "address of a port's name"
        case [one, _, _, "svc"] if one.startswith("_"):
            return "protocol label"
        case [_, _, "pod"] if qtype == "SRV":
            return "SRV of a pod"
        case _:
            return None


@pytest.fixture
def core_dns(control_plane: ControlPlane, tmp_path: Path) -> Iterator[int]:
    """CoreDNS on the same API server; its port."""
    binary = program("coredns")
    if binary is None:
        unavailable("not installed: coredns; tests/setup-tools.sh builds it")
    number = free_port()
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        f".:{number} {{\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\n"
        f"  kubeconfig {control_plane.kubeconfig()}\n  pods insecure\n  ttl 30\n }}\n}}\n"
    )
    running = Program([binary, "-conf", corefile], log=tmp_path / "coredns.log")
    yield number
    running.stop()


def ask(port_: int, qname: str, qtype: str) -> Answer:
    """Ask one server; return what is compared."""
    query = dns.message.make_query(qname, qtype, use_edns=0, payload=4096)
    reply = dns.query.udp(query, "127.0.0.1", port=port_, timeout=10)
    answer = sorted(
        (rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype), _free(rdata.to_text(), rrset))
        for rrset in reply.answer
        for rdata in rrset
    )
    return dns.rcode.to_text(reply.rcode()), answer, _owners(reply)


def _owners(reply: dns.message.Message) -> list[str]:
    return [o for r in reply.authority if not (o := r.name.to_text()).endswith(".arpa.")]


def _free(text: str, rrset: dns.rrset.RRset) -> str:
    """Leave out of RDATA what the specification leaves to the server."""
    match rrset.rdtype:
        case dns.rdatatype.SRV:
            return text.split(" ", 2)[2].lower()
        case dns.rdatatype.SOA:
            return ""
    return text


def fill(api: Api, ns: str) -> list[str]:
    """Create services of every kind; return the addresses whose reverse names are asked."""
    http, dns_udp = port("http", 80), port("dns", 53, "UDP")
    web, cart = new_ip(), new_ip()
    api.create(service("web", ns, http, port("grpc", 9000), clusterIP=web))
    api.create(service("plain", ns, {"port": 8000}, clusterIP=cart))
    api.create(dual_stack("dual", ns, http))
    api.create(service("six", ns, http, dns_udp, ipFamilies=["IPv6"]))
    api.create(external_name("alias", ns, f"web.{ns}.svc.cluster.local"))
    api.create(headless("sts", ns, port("db", 5432)))
    named = [endpoint("10.9.1.1", hostname="sts-0"), endpoint("10.9.1.2", hostname="sts-1")]
    late = endpoint("10.9.1.3", hostname="sts-2", ready=False)
    api.create(slice_("sts-a", ns, "sts", [*named, late], [port("db", 5432)]))
    api.create(slice_("sts-b", ns, "sts", [endpoint("10.9.1.4", hostname="sts-0")], []))
    api.create(headless("pods", ns, http))
    v4 = [endpoint("10.9.2.1"), endpoint("10.9.2.2")]
    v6 = [endpoint("fd00:9::1"), endpoint("fd00:9::2:0")]
    api.create(slice_("pods-4", ns, "pods", v4, [http]))
    api.create(slice_("pods-6", ns, "pods", v6, [http], family="IPv6"))
    api.create(headless("empty", ns, http))
    api.create(headless("waiting", ns, http))
    api.create(slice_("waiting-a", ns, "waiting", [endpoint("10.9.3.1", ready=False)]))
    return [web, cart, "10.9.1.1", "10.9.1.4", "10.9.2.1", "fd00:9::1", "fd00:9::2:0", "10.9.3.1"]


def questions(ns: str, addresses: list[str]) -> Iterator[tuple[str, str]]:
    services = ("web", "plain", "dual", "six", "alias", "sts", "pods", "empty", "waiting", "nope")
    bases = [f"{name}.{ns}.svc" for name in services]
    bases += [f"web.{ns}.pod", "web.nowhere.svc", "kubernetes.default.svc", f"WEB.{ns}.svc"]
    below = [f"_{p}._{t}" for p in ("http", "grpc", "db", "dns", "x") for t in ("tcp", "udp")]
    below += ["_tcp", "_udp", "_sctp", "sts-0", "sts-1", "sts-2", "10-9-2-1", "10-9-9-9"]
    below += ["fd00-9--1", "fd00-9--2-0", "a.b", "_x", "-"]
    names = ["", "svc.", "pod.", "foo.", "ns.dns.", "dns.", "dns-version.", "a.b.c.d.e.svc."]
    names += [f"{base}." for base in bases] + [f"{b}.{base}." for base in bases for b in below]
    names += [f"{each}.{tree}." for each in (ns, "nowhere") for tree in ("svc", "pod", "foo")]
    names += [f"{each}.{ns}.pod." for each in ("10-1-2-3", "10-1-2-300", "01-2-3-4", "fd00--1")]
    names += ["10-1-2-3.nowhere.pod.", f"web.{ns}.", "web.", f"10-9-2-1.pods.{ns}.pod."]
    for name in names:
        yield from ((name + ZONE, qtype) for qtype in TYPES)
    for each in addresses:
        yield ipaddress.ip_address(each).reverse_pointer + ".", "PTR"


def test_every_difference_from_coredns_has_a_reason(
    kube_dns: KubeDns, core_dns: int, api: Api, ns: str
) -> None:
    addresses = fill(api, ns)
    asked = list(questions(ns, addresses))
    last = f"10-9-2-1.pods.{ns}.svc.{ZONE}"
    for number in (kube_dns.port, core_dns):
        until(lambda number=number: _is_there(number, last), wanted=f"{last} on port {number}")
    alias = f"alias.{ns}.svc.{ZONE}".rstrip(".")
    bare: list[str] = []
    used = set()
    for qname, qtype in asked:
        ours, theirs = ask(kube_dns.port, qname, qtype), ask(core_dns, qname, qtype)
        if ours != theirs:
            why = reason(qname.lower(), qtype, alias)
            used.add(why)
            if why is None:
                bare.append(f"{qname} {qtype}\n  ours   {ours}\n  theirs {theirs}")
    print(f"{len(asked)} questions, differences: {sorted(filter(None, used))}")
    assert not bare, "\n".join(bare)
    assert used <= REASONS.keys()


def _is_there(number: int, qname: str) -> bool:
    try:
        return bool(ask(number, qname, "A")[1])
    except (OSError, dns.exception.Timeout):
        return False
