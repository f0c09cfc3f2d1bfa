"""
The Kubernetes DNS specification 1.1.0, section by section, and what Kubernetes' own end-to-end
tests ask (behaviour document sections 6, 8.7 and 8.9).
"""

from operator import attrgetter

import pytest

from kubedns.wire import rr
from tests.builders import (
    Reply,
    World,
    external,
    headless,
    namespace,
    record,
    serve,
    service,
    slice_,
)
from tests.dnscase import Case, missing, negative, records

N = "default.svc.cluster.local."
READY = {"conditions": {"ready": True}}

SERVED = serve(
    namespace("default"),
    service("kubernetes", "default", ip=["10.3.0.1", "2001:db8::1"], ports=["https:443", "8080"]),
    service("unnamed", "default", ip="10.3.0.2", ports=[{"port": 80, "protocol": "TCP"}]),
    headless("headless", "default", ports=["https:443"]),
    slice_(
        "headless", "default", ports=["https:443", "dns:53/UDP"],
        addresses=[
            ("10.3.0.100", "my-pet"), ("10.3.0.101", "my-pet-2"), "10.3.0.102",
            {"addresses": ["10.3.0.103"], "conditions": {"ready": False}},
            {"addresses": ["10.3.0.104"], "conditions": {"ready": None}},
            {"addresses": ["10.3.0.105"]},
        ],
    ),
    slice_("headless", "default", addresses=[("2001:db8::100", "my-pet")], ports=["https:443"]),
    headless("idle", "default"),
    slice_("idle", "default",
           addresses=[{"addresses": ["10.3.0.110"], "conditions": {"ready": False}}]),
    external("www.example.com", "foo", "default"),
)  # fmt: skip

KUBERNETES = [
    *records("kubernetes.default", "A", "10.3.0.1"),
    *records("kubernetes.default", "AAAA", "2001:db8::1"),
]
ADDRESSES = {
    "my-pet": "10.3.0.100",
    "my-pet-2": "10.3.0.101",
    "10-3-0-102": "10.3.0.102",
    "10-3-0-104": "10.3.0.104",
    "10-3-0-105": "10.3.0.105",
}
SIX = "0.0.1.0." + 19 * "0." + "0.8.b.d.0.1.0.0.2.ip6.arpa."
ONE = "1.0.0.0." + 19 * "0." + "0.8.b.d.0.1.0.0.2.ip6.arpa."

CASES = [
    Case("2.2 schema version", "dns-version.cluster.local. TXT",
         records("dns-version.cluster.local.", "TXT", '"1.1.0"', ttl=28800)),
    Case("2.3.1 A", f"kubernetes.{N} A", KUBERNETES[:1]),
    Case("2.3.1 AAAA", f"kubernetes.{N} AAAA", KUBERNETES[1:]),
    Case("2.3.2 SRV of a named port", f"_https._tcp.kubernetes.{N} SRV",
         records("_https._tcp.kubernetes.default", "SRV", f"10 100 443 kubernetes.{N}"),
         additional=KUBERNETES),
    missing("2.3.2 no SRV of an unnamed port", f"_8080._tcp.unnamed.{N} SRV"),
    missing("2.3.2 nor of its number", f"_80._tcp.unnamed.{N} SRV"),
    missing("2.3.2 nothing below its protocol", f"_tcp.unnamed.{N} SRV"),
    Case("2.3.3 PTR, IPv4", "1.0.3.10.in-addr.arpa. PTR",
         records("1.0.3.10.in-addr.arpa.", "PTR", f"kubernetes.{N}")),
    Case("2.3.3 PTR, IPv6", f"{ONE} PTR", records(ONE, "PTR", f"kubernetes.{N}")),
    Case("2.4.1 headless A, every ready endpoint", f"headless.{N} A",
         records("headless.default", "A", *ADDRESSES.values())),
    Case("2.4.1 headless AAAA", f"headless.{N} AAAA",
         records("headless.default", "AAAA", "2001:db8::100")),
    missing("2.4.1 no ready endpoint: no such name", f"idle.{N} A"),
    missing("2.4.1 at all", f"idle.{N} TXT"),
    Case("2.4.1 endpoint A", f"my-pet.headless.{N} A",
         records("my-pet.headless.default", "A", "10.3.0.100")),
    Case("2.4.1 endpoint AAAA, from another slice", f"my-pet.headless.{N} AAAA",
         records("my-pet.headless.default", "AAAA", "2001:db8::100")),
    missing("2.4.1 an endpoint that is not ready has no name", f"10-3-0-103.headless.{N} A"),
    Case("2.4.2 headless SRV: every ready endpoint of a named port",
         f"_https._tcp.headless.{N} SRV",
         records("_https._tcp.headless.default", "SRV",
                 *(f"10 20 443 {label}.headless.{N}" for label in ADDRESSES)),
         additional=[
             *(line for label, ip in ADDRESSES.items()
               for line in records(f"{label}.headless.default", "A", ip)),
             *records("my-pet.headless.default", "AAAA", "2001:db8::100"),
         ]),
    Case("2.4.2 the second port", f"_dns._udp.headless.{N} SRV",
         records("_dns._udp.headless.default", "SRV",
                 *(f"10 20 53 {label}.headless.{N}" for label in ADDRESSES)),
         additional=[
             *(line for label, ip in ADDRESSES.items()
               for line in records(f"{label}.headless.default", "A", ip)),
             *records("my-pet.headless.default", "AAAA", "2001:db8::100"),
         ]),
    Case("2.4.3 PTR of an endpoint, IPv4", "100.0.3.10.in-addr.arpa. PTR",
         records("100.0.3.10.in-addr.arpa.", "PTR", f"my-pet.headless.{N}")),
    Case("2.4.3 PTR of an endpoint, IPv6", f"{SIX} PTR",
         records(SIX, "PTR", f"my-pet.headless.{N}")),
    Case("2.5 ExternalName", f"foo.{N} CNAME",
         records("foo.default", "CNAME", "www.example.com.")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=attrgetter("story"))
def test_specification(case: Case) -> None:
    """Required records, in their required form; comparisons ignore letter case."""
    case.check(SERVED)


E2E = serve(
    namespace("default"), namespace("dns-1"),
    service("kubernetes", "default", ip="10.0.0.1", ports=["https:443"]),
    headless("dns-test-service", "dns-1", ports=["http:80"]),
    slice_("dns-test-service", "dns-1", addresses=["10.244.0.5"], ports=["http:80"]),
    service("test-service-2", "dns-1", ip="10.0.0.20", ports=["http:80"]),
    headless("dns-test-service-2", "dns-1"),
    slice_("dns-test-service-2", "dns-1", addresses=[("10.244.0.6", "dns-querier-2")], ports=[]),
)  # fmt: skip
D = "dns-1.svc.cluster.local."

E2E_CASES = [
    Case("the API's own service", "kubernetes.default.svc.cluster.local. A",
         records("kubernetes.default", "A", "10.0.0.1")),
    missing("the same through the search path of another namespace",
            f"kubernetes.default.{D} A"),
    Case("a headless service", f"dns-test-service.{D} A",
         records("dns-test-service.dns-1", "A", "10.244.0.5")),
    Case("its port", f"_http._tcp.dns-test-service.{D} SRV",
         records("_http._tcp.dns-test-service.dns-1", "SRV",
                 f"10 100 80 10-244-0-5.dns-test-service.{D}"),
         additional=records("10-244-0-5.dns-test-service.dns-1", "A", "10.244.0.5")),
    Case("the port of a regular service", f"_http._tcp.test-service-2.{D} SRV",
         records("_http._tcp.test-service-2.dns-1", "SRV", f"10 100 80 test-service-2.{D}"),
         additional=records("test-service-2.dns-1", "A", "10.0.0.20")),
    Case("PTR of its cluster IP", "20.0.0.10.in-addr.arpa. PTR",
         records("20.0.0.10.in-addr.arpa.", "PTR", f"test-service-2.{D}")),
    Case("a pod with hostname and subdomain", f"dns-querier-2.dns-test-service-2.{D} A",
         records("dns-querier-2.dns-test-service-2.dns-1", "A", "10.244.0.6")),
    Case("the service that gives the subdomain", f"dns-test-service-2.{D} A",
         records("dns-test-service-2.dns-1", "A", "10.244.0.6")),
    negative("no IPv6 in an IPv4 cluster", "kubernetes.default.svc.cluster.local. AAAA"),
]  # fmt: skip


@pytest.mark.parametrize("case", E2E_CASES, ids=attrgetter("story"))
def test_questions_of_kubernetes_own_tests(case: Case) -> None:
    """Behaviour document 8.7 and 8.9."""
    case.check(E2E)


def test_an_alias_is_pointed_elsewhere_and_made_a_service() -> None:
    """8.9: CNAME, another CNAME, then the address of the service that it became."""
    name = f"ext.{D} A"
    served = serve(namespace("dns-1"), external("foo.example.com", "ext", "dns-1"))
    assert served.answer(name) == ["foo.example.com."]
    served.answers.forget(served.cluster.put(external("bar.example.com", "ext", "dns-1")).tags)
    assert served.answer(name) == ["bar.example.com."]
    served.answers.forget(served.cluster.put(service("ext", "dns-1", ip="10.0.0.30")).tags)
    assert served.answer(name) == ["10.0.0.30"]


def test_a_foreign_pointer_through_other_nameservers_without_restart() -> None:
    """8.7: first nobody knows 192.0.2.123, then another nameserver does, TTL as it says."""
    name = "123.2.0.192.in-addr.arpa."
    world = World({})
    served = serve(namespace("default"), world=world)
    assert served.rcode(f"{name} PTR", flags="RD") == "NXDOMAIN"
    world.learn({name: Reply(answer=[record(name, rr.PTR, "my.test", ttl=0)])})
    assert served.answer(f"{name} PTR", flags="RD") == ["my.test."]
