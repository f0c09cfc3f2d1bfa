"""Services, their endpoints and aliases: the tables A, B and C of the conformance cases."""

from operator import attrgetter

import pytest

from kubedns.cluster.objects import EndpointNames
from kubedns.wire import rr
from tests.builders import (
    Reply,
    World,
    conformance_cluster,
    headless,
    lines,
    pod,
    record,
    serve,
    service,
    slice_,
)
from tests.dnscase import SOA, Case, missing, negative, records

N = "testns.svc.cluster.local."
SERVED = serve(*conformance_cluster())

SVC1_A = records("svc1.testns", "A", "10.0.0.1")
SVC6_AAAA = records("svc6.testns", "AAAA", "1234:abcd::1")
DUAL = [
    *records("svc-dual-stack.testns", "A", "10.0.0.3"),
    *records("svc-dual-stack.testns", "AAAA", "10::3"),
]
HDLS1_ADDITIONAL = [
    *records("172-0-0-2.hdls1.testns", "A", "172.0.0.2"),
    *records("172-0-0-3.hdls1.testns", "A", "172.0.0.3"),
    *records("dup-name.hdls1.testns", "A", "172.0.0.4", "172.0.0.5"),
    *records("5678-abcd--1.hdls1.testns", "AAAA", "5678:abcd::1"),
    *records("5678-abcd--2.hdls1.testns", "AAAA", "5678:abcd::2"),
]
HDLS1_TARGETS = ("172-0-0-2", "172-0-0-3", "dup-name", "5678-abcd--1", "5678-abcd--2")

SERVICES = [
    Case("A1 a service has its cluster IP", f"svc1.{N} A", SVC1_A),
    Case("A2 a service without endpoints has its cluster IP too", f"svcempty.{N} A",
         records("svcempty.testns", "A", "10.0.0.1")),
    negative("A3 no IPv6 is NODATA, not NXDOMAIN", f"svc1.{N} AAAA"),
    Case("A4 an IPv6 service has its address", f"svc6.{N} AAAA", SVC6_AAAA),
    negative("A4 an IPv6 service has no IPv4 address", f"svc6.{N} A"),
    Case("A5 a dual-stack service has its IPv4 address", f"svc-dual-stack.{N} A", DUAL[:1]),
    Case("A5 a dual-stack service has its IPv6 address", f"svc-dual-stack.{N} AAAA", DUAL[1:]),
    Case("A6 SRV at the bare name of a service", f"svc1.{N} SRV",
         records("svc1.testns", "SRV", f"10 100 80 svc1.{N}"), additional=SVC1_A),
    Case("A7 SRV at the bare name of an IPv6 service", f"svc6.{N} SRV",
         records("svc6.testns", "SRV", f"10 100 80 svc6.{N}"), additional=SVC6_AAAA),
    Case("A8 SRV of a named port", f"_http._tcp.svc1.{N} SRV",
         records("_http._tcp.svc1.testns", "SRV", f"10 100 80 svc1.{N}"), additional=SVC1_A),
    Case("A8 SRV of a named port without endpoints", f"_http._tcp.svcempty.{N} SRV",
         records("_http._tcp.svcempty.testns", "SRV", f"10 100 80 svcempty.{N}"),
         additional=records("svcempty.testns", "A", "10.0.0.1")),
    Case("A8 SRV of a named port of an IPv6 service", f"_http._tcp.svc6.{N} SRV",
         records("_http._tcp.svc6.testns", "SRV", f"10 100 80 svc6.{N}"), additional=SVC6_AAAA),
    Case("A9 a dual-stack service is one SRV target with two addresses", f"svc-dual-stack.{N} SRV",
         records("svc-dual-stack.testns", "SRV", f"10 100 80 svc-dual-stack.{N}"), additional=DUAL),
    missing("A10 an unknown service, A", f"svc0.{N} A"),
    missing("A10 an unknown service, AAAA", f"svc0.{N} AAAA"),
    missing("A11 an unknown namespace, A", "svc0.svc-nons.svc.cluster.local. A"),
    missing("A11 an unknown namespace, TXT", "svc0.svc-nons.svc.cluster.local. TXT"),
    negative("A12 a service has no TXT", f"svc1.{N} TXT"),
    negative("A13 the SOA of a service's name stands in authority", f"svc1.{N} SOA"),
    missing("A14 a known service in an unknown namespace", "svc1.nsnoexist.svc.cluster.local. A"),
    missing("a port that the service has not", f"_https._tcp.svc1.{N} SRV"),
    missing("a port under the wrong protocol", f"_http._udp.svc1.{N} SRV"),
    missing("endpoints of a service with cluster IP have no names", f"ep1a.svc1.{N} A"),
    missing("nor by their address", f"172-0-0-1.svc1.{N} A"),
]  # fmt: skip

HEADLESS = [
    Case("B1 a headless service has the IPv4 addresses of its endpoints", f"hdls1.{N} A",
         records("hdls1.testns", "A", "172.0.0.2", "172.0.0.3", "172.0.0.4", "172.0.0.5")),
    Case("B2 and their IPv6 addresses", f"hdls1.{N} AAAA",
         records("hdls1.testns", "AAAA", "5678:abcd::1", "5678:abcd::2")),
    Case("B3 a headless service needs no ports", f"hdlsprtls.{N} A",
         records("hdlsprtls.testns", "A", "172.0.0.20")),
    Case("B3 nor do its endpoints", f"172-0-0-20.hdlsprtls.{N} A",
         records("172-0-0-20.hdlsprtls.testns", "A", "172.0.0.20")),
    Case("B4 SRV of a port names every endpoint once", f"_http._tcp.hdls1.{N} SRV",
         records("_http._tcp.hdls1.testns", "SRV",
                 *(f"10 20 80 {target}.hdls1.{N}" for target in HDLS1_TARGETS)),
         additional=HDLS1_ADDITIONAL),
    Case("B4 SRV at the bare name too", f"hdls1.{N} SRV",
         records("hdls1.testns", "SRV",
                 *(f"10 20 80 {target}.hdls1.{N}" for target in HDLS1_TARGETS)),
         additional=HDLS1_ADDITIONAL),
    Case("B5 an endpoint without hostname is named by its address", f"172-0-0-2.hdls1.{N} A",
         records("172-0-0-2.hdls1.testns", "A", "172.0.0.2")),
    Case("B5 and the next one", f"172-0-0-3.hdls1.{N} A",
         records("172-0-0-3.hdls1.testns", "A", "172.0.0.3")),
    negative("B5 such an endpoint has no address of the other family", f"172-0-0-2.hdls1.{N} AAAA"),
    Case("B6 an IPv6 endpoint is named by its groups", f"5678-abcd--1.hdls1.{N} AAAA",
         records("5678-abcd--1.hdls1.testns", "AAAA", "5678:abcd::1")),
    Case("B6 also when asked without a final dot", f"5678-abcd--2.hdls1.{N[:-1]} AAAA",
         records("5678-abcd--2.hdls1.testns", "AAAA", "5678:abcd::2")),
    Case("B7 endpoints that share a hostname are all kept", f"dup-name.hdls1.{N} A",
         records("dup-name.hdls1.testns", "A", "172.0.0.4", "172.0.0.5")),
    missing("B7 an endpoint with hostname has no name of its address", f"172-0-0-4.hdls1.{N} A"),
    missing("B8 an unknown endpoint", f"bogusendpoint.hdls1.{N} A"),
    missing("B8 an endpoint of an unknown service", f"bogusendpoint.svc0.{N} A"),
    missing("an address spelled in another way is no endpoint", f"172-0-0-02.hdls1.{N} A"),
    missing("nor is a long spelling of IPv6", f"5678-abcd-0-0-0-0-0-1.hdls1.{N} AAAA"),
]  # fmt: skip

ALIASES = [
    Case("C1 an alias asked for its CNAME", f"external.{N} CNAME",
         records("external.testns", "CNAME", "ext.interwebs.test.")),
    Case("C1 the forwarder gets the bare CNAME", f"external.{N} A",
         records("external.testns", "CNAME", "ext.interwebs.test.")),
    Case("C2 an alias inside the cluster is followed", f"external-to-service.{N} A",
         [*records("external-to-service.testns", "CNAME", f"svc1.{N}"), *SVC1_A]),
    Case("C2 its SOA tells that the target has no IPv6", f"external-to-service.{N} AAAA",
         records("external-to-service.testns", "CNAME", f"svc1.{N}"), [SOA]),
    missing("C4 nothing lies below an alias", f"endpoint.external.{N} CNAME"),
    missing("C4 at no depth", f"subdomain.subdomain.external.{N} CNAME"),
    missing("an alias has no ports", f"_http._tcp.external.{N} SRV"),
]  # fmt: skip


@pytest.mark.parametrize("case", SERVICES + HEADLESS + ALIASES, ids=attrgetter("story"))
def test_services(case: Case) -> None:
    """What a service, an endpoint, an alias is answered with."""
    case.check(SERVED)


WORLD = World(
    {
        "ext.interwebs.test": Reply(answer=[record("ext.interwebs.test", rr.A, "192.0.2.1")]),
        "many.test": Reply(
            answer=[record("many.test", rr.A, *(f"192.0.2.{i}" for i in range(60)))]
        ),
    }
)


def test_an_alias_out_of_the_cluster_is_resolved_for_clients() -> None:
    """C5: the CNAME, then what the nameservers say."""
    served = serve(*conformance_cluster(), world=WORLD)
    reply = served.ask(f"external.{N} A", flags="RD")
    assert lines(reply.answer) == [
        f"external.{N} 30 IN CNAME ext.interwebs.test.",
        "ext.interwebs.test. 300 IN A 192.0.2.1",
    ]


def test_an_alias_to_more_addresses_than_fit_is_cut() -> None:
    """C3: CNAME and as many addresses as fit, TC=1."""
    cluster = [*conformance_cluster()]
    cluster[-4]["spec"]["externalName"] = "many.test"
    served = serve(*cluster, world=WORLD)
    reply = served.ask(f"external.{N} A", flags="RD", edns=False)
    text = lines(reply.answer)
    assert "TC" in str(reply)
    assert text[0] == f"external.{N} 30 IN CNAME many.test."
    assert len(text) > 20
    assert len(lines(served.ask(f"external.{N} A", flags="RD", tcp=True).answer)) == 61


def test_a_chain_of_aliases_is_given_in_order() -> None:
    """C5: a CNAME never comes after what it points at."""
    chain = [
        {**service(f"a{i}", "testns"), "spec": {"type": "ExternalName", "externalName": target}}
        for i, target in enumerate(
            (f"a1.{N[:-1]}", f"a2.{N[:-1]}", f"A3.{N[:-1]}", f"hdls.{N[:-1]}")
        )
    ]
    served = serve(
        *chain, headless("hdls", "testns"), slice_("hdls", "testns", addresses=["10.1.0.1"])
    )
    assert [line.split()[3:] for line in lines(served.ask(f"a0.{N} A").answer)] == [
        ["CNAME", f"a1.{N}"],
        ["CNAME", f"a2.{N}"],
        ["CNAME", f"A3.{N}"],
        ["CNAME", f"hdls.{N}"],
        ["A", "10.1.0.1"],
    ]


@pytest.mark.parametrize(
    ("naming", "hostname", "pod_name", "label"),
    [
        (EndpointNames.IP, "", "", "10-1-0-1"),
        (EndpointNames.IP, "", "web-0", "10-1-0-1"),
        (EndpointNames.IP, "zero", "web-0", "zero"),
        (EndpointNames.POD, "", "", "10-1-0-1"),
        (EndpointNames.POD, "", "web-0", "web-0"),
        (EndpointNames.POD, "zero", "web-0", "zero"),
        (EndpointNames.POD, "", "web.0", "10-1-0-1"),
    ],
)
def test_what_an_endpoint_is_called(
    naming: EndpointNames, hostname: str, pod_name: str, label: str
) -> None:
    """B10: the hostname always wins; the pod's name only in that mode; else the dashed address."""
    endpoint = {"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": pod_name}}
    endpoint |= {"hostname": hostname} if hostname else {}
    served = serve(headless("db"), slice_("db", addresses=[endpoint]), pod(), naming=naming)
    for name in {"10-1-0-1", "web-0", "zero"}:
        found = served.answer(f"{name}.db.shop.svc.cluster.local. A")
        assert found == (["10.1.0.1"] if name == label else [])
    assert served.answer("db.shop.svc.cluster.local. SRV") == [
        f"10 100 80 {label}.db.shop.svc.cluster.local."
    ]


@pytest.mark.parametrize(
    ("ip", "label"),
    [
        ("2001:db8:3333:4444:5555:6666:7777:8888", "2001-db8-3333-4444-5555-6666-7777-8888"),
        ("2001:db8:3333:4444:5555:6666::", "2001-db8-3333-4444-5555-6666--0"),
        ("::1", "0--1"),
        ("::", "0--0"),
        ("2001:DB8:0:0::1", "2001-db8--1"),
        ("::ffff:10.1.2.3", "0--ffff-a01-203"),
    ],
)
def test_the_label_of_an_ipv6_endpoint(ip: str, label: str) -> None:
    """B11: groups joined by dashes; no label begins or ends with one; the name leads back."""
    served = serve(headless("db"), slice_("db", addresses=[ip], family="IPv6"))
    target = served.answer("db.shop.svc.cluster.local. SRV")[0].split()[-1]
    assert target == f"{label}.db.shop.svc.cluster.local."
    assert len(served.answer(f"{target} AAAA")) == 1


def test_sixty_endpoints_have_an_srv_record_each() -> None:
    """The weight is never below 1, and every target is different."""
    addresses = [f"10.1.{i // 100}.{i % 100}" for i in range(260)]
    served = serve(
        headless("db"),
        *(
            slice_("db", addresses=addresses[i : i + 100], name=f"db-{i}")
            for i in range(0, 260, 100)
        ),
    )
    found = served.answer("_http._tcp.db.shop.svc.cluster.local. SRV", tcp=True)
    assert len(found) == 260
    assert {line.split()[1] for line in found} == {"1"}
