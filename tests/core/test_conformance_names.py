"""
Names around the services, letter case, pods, reverse names, the serial: tables D to H, and M.
"""

import ipaddress
from operator import attrgetter

import dns.flags
import pytest

from kubedns.cluster.objects import Kind
from kubedns.wire import rr
from kubedns.zone import address
from kubedns.zone.lookup import PodNames
from tests.builders import (
    SERIAL,
    Cluster,
    Object,
    Reply,
    World,
    conformance_cluster,
    endpoints,
    external,
    headless,
    lines,
    namespace,
    pod,
    record,
    serve,
    service,
    slice_,
)
from tests.dnscase import SOA, Case, missing, negative, records

N = "testns.svc.cluster.local."
CLUSTER = conformance_cluster()
SERVED = serve(*CLUSTER, own_addresses=(address.pack("127.0.0.1") or b"",))
APEX_SOA = SOA.replace(" 5 IN", " 30 IN")

NAMES = [
    negative("D1 the tree of services exists", "svc.cluster.local. A"),
    negative("D1 the tree of pods exists", "pod.cluster.local. A"),
    negative("D2 a namespace exists", "testns.svc.cluster.local. A"),
    negative("D2 a namespace without services exists", "podns.svc.cluster.local. A"),
    negative("D3 no NS at the tree of services", "svc.cluster.local. NS"),
    negative("D3 no NS at a namespace", "testns.svc.cluster.local. NS"),
    missing("D4 an unknown tree", "foo.cluster.local. NS"),
    missing("D4 an unknown namespace", "foo.svc.cluster.local. NS"),
    Case("D5 the zone has an SOA", "cluster.local. SOA", [APEX_SOA]),
    *(
        negative(f"D6 the zone has no {rtype}", f"cluster.local. {rtype}")
        for rtype in ("A", "AAAA", "SRV", "HINFO")
    ),
    Case("D7 the zone's server, when no service of its own leads to it", "cluster.local. NS",
         records("cluster.local.", "NS", "ns.dns.cluster.local."),
         additional=records("ns.dns.cluster.local.", "A", "127.0.0.1")),
    Case("D9 the zone's server has its address", "ns.dns.cluster.local. A",
         records("ns.dns.cluster.local.", "A", "127.0.0.1")),
    negative("D9 and none of the other family", "ns.dns.cluster.local. AAAA"),
    negative("D9 what stands above it exists", "dns.cluster.local. A"),
    Case("D10 the version of the schema", "dns-version.cluster.local. TXT",
         records("dns-version.cluster.local.", "TXT", '"1.1.0"', ttl=28800)),
    negative("D10 and nothing else at that name", "dns-version.cluster.local. A"),
    missing("D11 neither services nor pods", "svc1.testns.foo.cluster.local. A"),
    missing("D11 too many labels before a service", f"a.b.c.svc1.{N} A"),
    missing("D11 too many labels before a pod", "a.10-240-0-1.podns.pod.cluster.local. A"),
    missing("D11 three labels before a port", f"a._http._tcp.svc1.{N} SRV"),
    negative("D12 what stands above a port exists", f"_tcp.svc1.{N} SRV"),
    negative("D12 a port has no addresses", f"_http._tcp.svc1.{N} A"),
    missing("D12 a protocol without ports does not", f"_udp.svc1.{N} SRV"),
    missing("below the server of the zone", "a.ns.dns.cluster.local. A"),
    missing("below the version of the schema", "a.dns-version.cluster.local. TXT"),
    missing("G6 a foreign name with our domain behind it", "example.org.cluster.local. PTR"),
    missing("G6 a reverse name with our domain behind it", "100.0.0.10.cluster.local. PTR"),
    negative("G7 a service has no PTR", f"svc1.{N} PTR"),
]  # fmt: skip


@pytest.mark.parametrize("case", NAMES, ids=attrgetter("story"))
def test_names_around_services(case: Case) -> None:
    """Names that hold no service, but exist or not."""
    case.check(SERVED)


def test_the_server_of_the_zone_is_the_dns_service() -> None:
    """D8, D9: clients reach us at the service's addresses, so those stand in NS and glue."""
    served = serve(
        *CLUSTER, service("kube-dns", "kube-system", ip=["10.0.0.111", "10::111"]),
        own_addresses=(b"\x7f\0\0\1",),
    )  # fmt: skip
    Case(
        "NS", "cluster.local. NS",
        records("cluster.local.", "NS", "ns.dns.cluster.local."),
        additional=[
            *records("ns.dns.cluster.local.", "A", "10.0.0.111"),
            *records("ns.dns.cluster.local.", "AAAA", "10::111"),
        ],
    ).check(served)  # fmt: skip


# Letter case


def test_the_soa_of_a_missing_name_has_the_letter_case_of_the_question() -> None:
    """E1: owner, server and mailbox end as the client spelled the zone."""
    reply = SERVED.ask("not-a-service.testns.svc.ClUsTeR.lOcAl. A")
    assert lines(reply.authority)[0].split()[:6:4] == ["ClUsTeR.lOcAl.", "ns.dns.ClUsTeR.lOcAl."]
    assert lines(reply.authority)[0].split()[5] == "hostmaster.ClUsTeR.lOcAl."


def test_the_owner_of_an_answer_is_spelled_as_asked() -> None:
    """E2."""
    assert lines(SERVED.ask("SvC1.TeStNs.SvC.cLuStEr.LoCaL. A").answer) == [
        "SvC1.TeStNs.SvC.cLuStEr.LoCaL. 30 IN A 10.0.0.1"
    ]


def test_an_srv_target_is_spelled_as_its_additional_address() -> None:
    """E3: a client that compares octets finds the one by the other."""
    reply = SERVED.ask("_HtTp._TcP.sVc1.TeStNs.SvC.cLuStEr.LoCaL. SRV")
    target = lines(reply.answer)[0].split()[-1]
    assert target.endswith("cLuStEr.LoCaL.")
    assert lines(reply.additional)[0].split()[0] == target
    reply = SERVED.ask("_HtTp._TcP.hDLs1.TeStNs.SvC.cLuStEr.LoCaL. SRV")
    targets = {line.split()[-1] for line in lines(reply.answer)}
    assert {line.split()[0] for line in lines(reply.additional)} == targets


def test_the_soa_of_the_zone_is_spelled_as_asked() -> None:
    """E4."""
    assert lines(SERVED.ask("Cluster.local. SOA").answer)[0].startswith(
        "Cluster.local. 30 IN SOA ns.dns.Cluster.local. hostmaster.Cluster.local. "
    )


def test_letter_case_of_the_question_finds_the_same_ready_answer_data() -> None:
    """A kept answer to the lower-case spelling is not given to another one."""
    SERVED.ask(f"svc1.{N} A")
    assert lines(SERVED.ask(f"SVC1.{N} A").answer)[0].startswith(f"SVC1.{N} ")


# Pods


POD_A = records("10-240-0-1.podns.pod.cluster.local.", "A", "10.240.0.1")
POD_CASES = {
    PodNames.DISABLED: [
        missing("F1 no pod names", "10-240-0-1.podns.pod.cluster.local. A"),
        missing("F1 nor this one", "172-0-0-2.podns.pod.cluster.local. A"),
        missing("F1 no namespaces of pods", "podns.pod.cluster.local. A"),
    ],
    PodNames.INSECURE: [
        Case("F2 a pod name is its address", "10-240-0-1.podns.pod.cluster.local. A", POD_A),
        Case("F2 also one that no pod has", "172-0-0-2.podns.pod.cluster.local. A",
             records("172-0-0-2.podns.pod.cluster.local.", "A", "172.0.0.2")),
        *(
            missing(f"F3 no address in the name, {rtype}", f"blah.podns.pod.cluster.local. {rtype}")
            for rtype in ("A", "AAAA", "HINFO")
        ),
        missing("F4 the namespace must exist", "blah.pod-nons.pod.cluster.local. A"),
        missing("F4 also for an address", "10-240-0-1.pod-nons.pod.cluster.local. A"),
        negative("F5 a namespace of pods exists", "podns.pod.cluster.local. A"),
    ],
    PodNames.VERIFIED: [
        negative("F5 a namespace of pods exists", "podns.pod.cluster.local. A"),
        Case("F6 a pod has its name", "10-240-0-1.podns.pod.cluster.local. A", POD_A),
        negative("F6 and no other family", "10-240-0-1.podns.pod.cluster.local. AAAA"),
        missing("F7 no pod has the address", "172-0-0-2.podns.pod.cluster.local. A"),
        missing("F7 not in this namespace", "10-240-0-1.svcns.pod.cluster.local. A"),
        negative("F8 a namespace without pods", "svcns.svc.cluster.local. A"),
        missing("F8 no such namespace", "pod-nons.pod.cluster.local. A"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "case"),
    [(mode, case) for mode, cases in POD_CASES.items() for case in cases],
    ids=lambda value: str(value),
)
def test_pod_names(mode: PodNames, case: Case) -> None:
    """Which names of pods are answered."""
    case.check(serve(*CLUSTER, pods=mode))


# Reverse names


def _range(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)


REVERSE = serve(
    *map(namespace, ("testns",)),
    headless("svc1", "testns"),
    slice_("svc1", "testns", addresses=[("10.0.0.100", "ep1a"), ("10.0.0.99", "double-ep")]),
    slice_("svc1", "testns", addresses=[("10.0.0.100", "ep1a")], name="again"),
    slice_("svc1", "testns",
           addresses=[("1234:abcd::1", "ep1b"), ("fd00:77:30::a", "ip6svc1ex"),
                      ("fd00:77:30::2:9ba6", "ip6svc1in")]),
    headless("svc2", "testns"),
    slice_("svc2", "testns", addresses=[("10.0.0.99", "double-ep"), "10.0.0.98"]),
    service("svc3", "testns", ip="192.168.1.100"),
    reverse_zones=(_range("10.0.0.0/16"), _range("192.168.0.0/16"), _range("fd00:77:30::/110")),
    world=World({"99.9.9.9.in-addr.arpa": Reply(
        answer=[record("99.9.9.9.in-addr.arpa", rr.PTR, "far.test")])}),
)  # fmt: skip
V4_SOA = SOA.replace("cluster.local. 5", "0.10.in-addr.arpa. 5")


def _reverse(text: str) -> str:
    return ipaddress.ip_address(text).reverse_pointer + "."


def _pointers(story: str, ip: str, *targets: str) -> Case:
    owner = _reverse(ip)
    return Case(story, f"{owner} PTR", records(owner, "PTR", *(f"{each}.{N}" for each in targets)))


REVERSE_CASES = [
    _pointers("G1 an endpoint in two slices has one PTR", "10.0.0.100", "ep1a.svc1"),
    _pointers("G2 a cluster IP leads to its service", "192.168.1.100", "svc3"),
    _pointers("G3 IPv6", "1234:abcd::1", "ep1b.svc1"),
    _pointers("G3 IPv6, two", "fd00:77:30::a", "ip6svc1ex.svc1"),
    _pointers("G3 IPv6, three", "fd00:77:30::2:9ba6", "ip6svc1in.svc1"),
    _pointers("G4 an endpoint of two services has two PTRs", "10.0.0.99",
              "double-ep.svc1", "double-ep.svc2"),
    _pointers("an endpoint without hostname has a PTR as well", "10.0.0.98", "10-0-0-98.svc2"),
    missing("G5 a range of ours is ours to deny", f"{_reverse('10.0.0.101')} PTR", V4_SOA),
    missing("G8 a service below a reverse zone", "svc1.testns.svc.0.10.in-addr.arpa. A", V4_SOA),
    negative("a cluster IP has no other type", f"{_reverse('10.0.0.100')} A", soa=V4_SOA),
    negative("an octet above a host", "0.0.10.in-addr.arpa. PTR", soa=V4_SOA),
    Case("the SOA of a reverse zone", "0.10.in-addr.arpa. SOA",
         [V4_SOA.replace(" 5 IN", " 30 IN")]),
    missing("an octet with a leading zero", "0100.0.0.10.in-addr.arpa. PTR", V4_SOA),
    missing("five octets", "1.100.0.0.10.in-addr.arpa. PTR", V4_SOA),
]  # fmt: skip


@pytest.mark.parametrize("case", REVERSE_CASES, ids=attrgetter("story"))
def test_reverse_names(case: Case) -> None:
    """What addresses lead back to."""
    case.check(REVERSE)


def test_a_reverse_name_that_is_not_ours_goes_to_the_nameservers() -> None:
    """G9: for a client; our forwarder (RD=0) is refused, and goes on itself."""
    assert REVERSE.answer("99.9.9.9.in-addr.arpa. PTR", flags="RD") == ["far.test."]
    assert REVERSE.rcode("99.9.9.9.in-addr.arpa. PTR") == "REFUSED"
    assert REVERSE.rcode("9.in-addr.arpa. NS", flags="RD") == "NXDOMAIN"


@pytest.mark.parametrize(
    ("cidr", "inside", "outside"),
    [
        ("10.96.0.0/12", "10.111.255.255", "10.112.0.0"),
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
        ("0.0.0.0/0", "255.255.255.255", ""),
        ("fd00::/110", "fd00::3:ffff", "fd00::4:0"),
        ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
    ],
)
def test_a_range_covers_exactly_its_addresses(cidr: str, inside: str, outside: str) -> None:
    """M17, with our flag --reverse-cidr: also a range that ends inside an octet."""
    served = serve(reverse_zones=(_range(cidr),))
    assert served.rcode(f"{_reverse(inside)} PTR") == "NXDOMAIN"
    (soa,) = lines(served.ask(f"{_reverse(inside)} PTR").authority)
    assert _reverse(inside).endswith(soa.split()[0])
    if outside:
        assert served.rcode(f"{_reverse(outside)} PTR") == "REFUSED"


# The serial


def _serial(cluster: Cluster) -> int:
    return cluster.tree.serial


def test_the_serial_moves_with_services() -> None:
    """H5: added, ports changed, externalName changed, removed."""
    cluster = Cluster()
    cluster.load([])
    before = _serial(cluster)
    for event in (
        lambda: cluster.put(service("a", ports=["http:80"])),
        lambda: cluster.put(service("a", ports=["http:81"])),
        lambda: cluster.put(external("a.test", "b")),
        lambda: cluster.put(external("b.test", "b")),
        lambda: cluster.drop(service("a")),
        lambda: cluster.drop(external("b.test", "b")),
    ):
        assert event()
        assert _serial(cluster) > before
        before = _serial(cluster)


def test_the_serial_is_unix_time_and_never_goes_back() -> None:
    """With the same clock it still moves, by one; RFC 1982 clients see every change."""
    cluster = Cluster()
    cluster.load([service("a")])
    assert _serial(cluster) == SERIAL
    cluster.put(service("b"))
    assert _serial(cluster) == SERIAL + 1
    cluster.tree.advance(SERIAL - 1000)
    assert _serial(cluster) == SERIAL + 2


SAME = [("10.1.0.1", "a"), "10.1.0.2"]


@pytest.mark.parametrize(
    "changed",
    [
        slice_(addresses=SAME, metadata=slice_()["metadata"] | {"resourceVersion": "9"}),
        slice_(addresses=SAME, metadata=slice_()["metadata"] | {"annotations": None}),
        slice_(addresses=SAME) | {"endpoints": [
            {"addresses": ["10.1.0.1"], "hostname": "a", "zone": "eu-1", "nodeName": "n"},
            {"addresses": ["10.1.0.2"], "conditions": {"ready": None, "serving": True}},
        ]},
        slice_(addresses=[*SAME, {"addresses": ["10.1.0.3"], "conditions": {"ready": False}}]),
    ],
    ids=["resourceVersion", "annotations", "zone and conditions", "an unready endpoint"],
)  # fmt: skip
def test_a_slice_that_says_the_same_is_no_change(changed: Object) -> None:
    """H7: what DNS does not show moves neither serial nor answers."""
    cluster = Cluster()
    cluster.load([headless(), slice_(addresses=SAME)])
    assert not cluster.put(changed)
    assert _serial(cluster) == SERIAL


@pytest.mark.parametrize(
    "changed",
    [
        slice_(addresses=[("10.1.0.9", "a"), "10.1.0.2"]),
        slice_(addresses=[("10.1.0.1", "b"), "10.1.0.2"]),
        slice_(addresses=["10.1.0.1", "10.1.0.2"]),
        slice_(addresses=SAME, ports=["http:81"]),
        slice_(addresses=SAME, ports=["https:80"]),
        slice_(addresses=SAME, ports=["http:80/UDP"]),
        slice_(addresses=[*SAME, "10.1.0.3"]),
    ],
    ids=["address", "hostname", "no hostname", "port", "port name", "protocol", "one more"],
)
def test_a_slice_that_says_something_else_is_a_change(changed: Object) -> None:
    """H8."""
    cluster = Cluster()
    cluster.load([headless(), slice_(addresses=SAME)])
    assert cluster.put(changed)
    assert _serial(cluster) == SERIAL + 1


def test_a_pod_that_keeps_its_address_is_no_change() -> None:
    """H9."""
    cluster = Cluster()
    cluster.load([namespace(), pod()])
    assert not cluster.put(pod(resourceVersion="7", labels={"app": "web"}))
    assert not cluster.put(pod("web-1"))  # shows the same address for a moment
    assert not cluster.drop(pod("web-1"))
    assert cluster.put(pod(ips=["10.240.0.2"]))


def test_a_pod_on_its_way_out_is_gone_at_once() -> None:
    """H10: its update with a deletion time, then its delete in the same batch."""
    served = serve(namespace(), pod(), pods=PodNames.VERIFIED)
    going = pod(deletionTimestamp="2026-01-01T00:00:00Z")
    served.cluster.pairing.put(Kind.POD, served.cluster.decode(going))
    change = served.cluster.drop(going)
    served.answers.forget(change.tags)
    assert served.rcode("10-240-0-1.shop.pod.cluster.local. A") == "NXDOMAIN"
    assert not served.cluster.drop(going)


def test_a_zone_is_not_given_away() -> None:
    """H1: neither whole nor in parts, ours or another one."""
    for rtype in ("AXFR", "IXFR"):
        for zone in ("cluster.local.", "example.com."):
            assert SERVED.rcode(f"{zone} {rtype}", tcp=True) == "REFUSED"
            assert SERVED.rcode(f"{zone} {rtype}", flags="RD") == "REFUSED"


# Before the first sync, and what is not ours


def test_before_the_first_sync_nobody_is_told_that_a_name_is_missing() -> None:
    """A18: SERVFAIL with the zone's SOA and the reason; what is known is answered."""
    served = serve(*CLUSTER[:6], synced=False)
    Case("A18", f"svc0.{N} A", authority=[SOA], rcode="SERVFAIL").check(served)
    (error,) = served.ask(f"svc0.{N} A").extended_errors()
    assert int(error.code) == 14
    assert served.answer(f"svc1.{N} A") == ["10.0.0.1"]
    served.zone.synced = True
    assert served.rcode(f"svc0.{N} A") == "NXDOMAIN"


def test_a_name_that_no_rule_matches_is_refused() -> None:
    """M15: another domain without nameservers, the class CH but for the *.bind names."""
    for question in ("example.com. A", "local. A", ". NS", "com. SOA", f"svc1.{N} A CH"):
        reply = SERVED.ask(question, flags="RD")
        assert str(reply.rcode().name) == "REFUSED"
        assert not reply.flags & dns.flags.AA
    for name in ("version.bind.", "version.server.", "hostname.bind.", "id.server."):
        assert len(SERVED.answer(f"{name} TXT CH")) == 1


def test_an_endpoints_object_names_what_slices_would() -> None:
    """Where slices may not be read."""
    served = serve(
        headless(), endpoints(addresses=[("10.1.0.1", "a"), "10.1.0.2"], ports=["http:8080"])
    )
    assert served.answer("db.shop.svc.cluster.local. A") == ["10.1.0.1", "10.1.0.2"]
    assert served.answer("_http._tcp.db.shop.svc.cluster.local. SRV") == [
        "10 50 8080 10-1-0-2.db.shop.svc.cluster.local.",
        "10 50 8080 a.db.shop.svc.cluster.local.",
    ]
