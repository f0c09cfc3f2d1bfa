"""The original's own tests as cases (behaviour document 8.1 to 8.3), wildcards included."""

import json

import pytest

from kubedns.cluster.objects import Kind
from kubedns.wire import name as names
from kubedns.zone import address, dump
from tests.builders import (
    Object,
    Served,
    endpoints,
    external,
    headless,
    namespace,
    serve,
    service,
    slice_,
    subset,
)

FQDN = "testservice.default.svc.cluster.local."
SPELLINGS = [
    FQDN,
    "testservice.default.*.cluster.local.",
    "testservice.*.svc.cluster.local.",
    "testservice.*.*.cluster.local.",
    f"*.{FQDN}",
]
V4, V6 = "1.2.3.4", "2001:db8::8a2e:370:7334"
VARIANTS = [[V4], [V6], [V4, V6], [V6, V4]]
SLICE_OF_DEFAULT = {"service": "testservice", "namespace": "default"}


def _reverse(ip: str) -> str:
    return names.to_text(address.reverse_name(address.pack(ip) or b""))


def _put(served: Served, *values: Object) -> None:
    served.answers.forget(served.cluster.put(*values).tags)


def _drop(served: Served, *values: Object) -> None:
    served.answers.forget(served.cluster.drop(*values).tags)


def _addresses(served: Served, name: str) -> list[str]:
    return served.answer(f"{name} A") + served.answer(f"{name} AAAA")


def _check_gone(served: Served, *ips: str) -> None:
    for name in SPELLINGS:
        assert served.rcode(f"{name} A") == "NXDOMAIN"
    for ip in ips:
        assert served.rcode(f"{_reverse(ip)} PTR") == "REFUSED"


def test_pod_dns() -> None:
    """TestPodDns: without any object."""
    assert serve().answer("1-2-3-4.default.pod.cluster.local. A") == ["1.2.3.4"]


@pytest.mark.parametrize("ips", VARIANTS, ids="+".join)
def test_unnamed_single_port_service(ips: list[str]) -> None:
    """TestUnnamedSinglePortService: every spelling has exactly the cluster IPs; then none has."""
    made = service("testservice", "default", ip=ips, ports=[{"port": 80, "protocol": "TCP"}])
    served = serve(made, wildcards=True)
    for name in SPELLINGS:
        assert sorted(_addresses(served, name)) == sorted(ips)
    for ip in ips:
        assert served.answer(f"{_reverse(ip)} PTR") == [FQDN]
    _drop(served, made)
    _check_gone(served, *ips)


@pytest.mark.parametrize("ips", VARIANTS, ids="+".join)
def test_named_single_port_service(ips: list[str]) -> None:
    """TestNamedSinglePortService: a renamed port is found under its new name alone."""
    made = service("testservice", "default", ip=ips, ports=["http1:80"])
    served = serve(made, wildcards=True)
    for name in SPELLINGS:
        assert sorted(_addresses(served, name)) == sorted(ips)
    for name in (FQDN, "testservice.*.svc.cluster.local.", "*.default.svc.cluster.local."):
        assert served.answer(f"_http1._tcp.{name} SRV") == [f"10 100 80 {FQDN}"]
    _put(served, service("testservice", "default", ip=ips, ports=["http2:80"]))
    assert served.answer(f"_http2._tcp.{FQDN} SRV") == [f"10 100 80 {FQDN}"]
    assert served.rcode(f"_http1._tcp.{FQDN} SRV") == "NXDOMAIN"
    for name in SPELLINGS:
        assert sorted(_addresses(served, name)) == sorted(ips)
    _drop(served, made)
    _check_gone(served, *ips)


@pytest.mark.parametrize(
    ("addresses", "labels"),
    [
        (["10.0.0.1", "10.0.0.2"], ["10-0-0-1", "10-0-0-2"]),
        ([("10.0.0.1", "ep-0"), ("10.0.0.2", "ep-1")], ["ep-0", "ep-1"]),
    ],
    ids=["TestSkySimpleSRVLookup", "TestSkyPodHostnameSRVLookup"],
)
def test_srv_of_a_headless_service(addresses: list[str], labels: list[str]) -> None:
    """SRV at the bare name: a target and its address for each endpoint."""
    for made in (endpoints, slice_):
        served = serve(
            headless("testservice", "default"),
            made("testservice", "default", addresses=addresses, ports=["80"]),
        )
        reply = served.ask(f"{FQDN} SRV")
        assert sorted(r[0].target.to_text() for r in reply.answer) == [
            f"{n}.{FQDN}" for n in labels
        ]
        assert sorted(r[0].address for r in reply.additional) == ["10.0.0.1", "10.0.0.2"]


def test_named_port_srv_lookup() -> None:
    """TestSkyNamedPortSRVLookup: the endpoint's port, not the service's."""
    served = serve(
        headless("testservice", "default", ports=["http:80"]),
        endpoints("testservice", "default", addresses=["10.0.0.1"], ports=["http:8081"]),
    )
    reply = served.ask(f"_http._tcp.{FQDN} SRV")
    assert reply.answer[0][0].to_text() == f"10 100 8081 10-0-0-1.{FQDN}"
    assert reply.additional[0][0].to_text() == "10.0.0.1"


def test_simple_external_service() -> None:
    """TestSimpleExternalService."""
    made = external("foo.bar.example.com", "testservice", "default")
    made["spec"]["clusterIP"] = "None"
    served = serve(made)
    assert served.answer(f"{FQDN} A") == ["foo.bar.example.com."]
    _drop(served, made)
    assert served.rcode(f"{FQDN} A") == "NXDOMAIN"


def test_simple_headless_service() -> None:
    """TestSimpleHeadlessService: two subsets of two addresses; unlike there, all have PTRs."""
    addresses = [["10.0.0.1", "10.0.0.2"], ["10.0.0.3", "10.0.0.4"]]
    made = endpoints("testservice", "default", subsets=[subset(each, []) for each in addresses])
    service_ = headless("testservice", "default")
    served = serve(service_, made)
    ips = [ip for each in addresses for ip in each]
    assert served.answer(f"{FQDN} A") == ips
    assert served.answer(f"{_reverse('10.0.0.3')} PTR") == [f"10-0-0-3.{FQDN}"]
    _drop(served, service_)
    _check_gone(served, *ips)


def test_headless_service_with_named_ports() -> None:
    """TestHeadlessServiceWithNamedPorts: each port has the endpoints of its own subset."""
    first = subset(["10.0.0.1", "10.0.0.2"], ["http1:80", "http2:81"])
    second = subset(["10.0.0.3", "10.0.0.4"], ["https:443"])
    served = serve(
        headless("testservice", "default"),
        endpoints("testservice", "default", subsets=[first, second]),
    )
    assert len(served.answer(f"{FQDN} A")) == 4
    for name, number, ips in (
        ("_http1", 80, ["10.0.0.1", "10.0.0.2"]),
        ("_http2", 81, ["10.0.0.1", "10.0.0.2"]),
        ("_https", 443, ["10.0.0.3", "10.0.0.4"]),
    ):
        reply = served.ask(f"{name}._tcp.{FQDN} SRV")
        assert {r[0].port for r in reply.answer} == {number}
        assert {r[0].weight for r in reply.answer} == {50}
        targets = [r[0].target.to_text() for r in reply.answer]
        assert sorted(ip for t in targets for ip in served.answer(f"{t} A")) == ips
    _put(served, endpoints("testservice", "default", subsets=[first]))
    assert served.answer(f"{FQDN} A") == ["10.0.0.1", "10.0.0.2"]
    assert served.rcode(f"_https._tcp.{FQDN} SRV") == "NXDOMAIN"


def test_headless_service_endpoints_update() -> None:
    """TestHeadlessServiceEndpointsUpdate: 2, 4, none, deleted."""
    service_ = headless("testservice", "default")
    served = serve(service_, slice_(**SLICE_OF_DEFAULT, addresses=["10.0.0.1", "10.0.0.2"]))
    assert len(served.answer(f"{FQDN} A")) == 2
    four = [f"10.0.0.{i}" for i in range(1, 5)]
    _put(served, slice_(**SLICE_OF_DEFAULT, addresses=four))
    assert served.answer(f"{FQDN} A") == four
    _put(served, slice_(**SLICE_OF_DEFAULT, addresses=[]))
    _check_gone(served, *four)
    _drop(served, service_)
    _check_gone(served, *four)


def test_named_headless_service_endpoint() -> None:
    """TestNamedHeadlessServiceEndpointAdd, …Update, …Delete (the address goes too: Q15)."""
    served = serve(
        headless("testservice", "default"),
        endpoints("testservice", "default", addresses=[("10.0.0.1", "foo")], ports=[]),
    )
    assert served.answer(f"{FQDN} A") == ["10.0.0.1"]
    assert served.answer(f"{_reverse('10.0.0.1')} PTR") == [f"foo.{FQDN}"]
    moved = endpoints("testservice", "default", addresses=[("10.0.0.2", "foo")], ports=[])
    _put(served, moved)
    assert served.answer(f"foo.{FQDN} A") == ["10.0.0.2"]
    assert served.rcode(f"{_reverse('10.0.0.1')} PTR") == "REFUSED"
    assert served.answer(f"{_reverse('10.0.0.2')} PTR") == [f"foo.{FQDN}"]
    _drop(served, moved)
    _check_gone(served, "10.0.0.1", "10.0.0.2")


def test_headless_service_with_delayed_endpoints() -> None:
    """TestHeadlessServiceWithDelayedEndpointsAddition."""
    served = serve(headless("testservice", "default"))
    assert served.rcode(f"{FQDN} A") == "NXDOMAIN"
    _put(served, slice_(**SLICE_OF_DEFAULT, addresses=["10.0.0.1"]))
    assert served.answer(f"{FQDN} A") == ["10.0.0.1"]


# 8.2: the tree


def _tree() -> Served:
    return serve(
        namespace("p1"),
        headless("p2", "p1"),
        slice_("p2", "p1", addresses=[("10.0.0.1", "key1"), ("10.0.0.2", "key2")]),
        headless("p3", "p1"),
        slice_("p3", "p1", addresses=[("10.0.0.3", "key3")]),
        wildcards=True,
    )


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("p1", 0), ("p2.p1", 2), ("p3.p1", 1), ("key1.p2.p1", 1), ("key3.p2.p1", 0),
        ("key3.p3.p1", 1), ("*.p2.p1", 2), ("*.*.p1", 3), ("p4.p1", 0), ("key1.*.p1", 1),
        ("*.p1", 0), ("*.*.*", 3), ("p2.*", 2),
    ],
)  # fmt: skip
def test_what_a_path_leads_to(path: str, count: int) -> None:
    """Exact names and wildcards; a `*` in front is the rest of the name itself."""
    assert len(_tree().answer(f"{path}.svc.cluster.local. A")) == count


def test_what_is_deleted_is_deleted_once() -> None:
    """Its neighbour is untouched; after both nothing is left."""
    served = _tree()
    p2, p3 = headless("p2", "p1"), headless("p3", "p1")
    assert served.cluster.drop(p2)
    assert not served.cluster.drop(p2)
    assert served.answer("p3.p1.svc.cluster.local. A") == ["10.0.0.3"]
    assert served.cluster.drop(p3)
    assert list(served.zone.tree.branches()) == []
    assert served.zone.tree._services == {}
    assert served.zone.tree._holders == {}


@pytest.mark.parametrize(
    "name",
    [
        "*.svc.cluster.local.", "*.cluster.local.", "*._tcp.p2.p1.svc.cluster.local.",
        "_http.*.p2.p1.svc.cluster.local.", "*.pod.cluster.local.", "1-2-3-4.*.pod.cluster.local.",
        "*.p1.pod.cluster.local.", "any.p2.p1.svc.cluster.local.",
    ],
)  # fmt: skip
def test_wildcards_that_lead_nowhere(name: str) -> None:
    """1.11 of the behaviour document."""
    assert _tree().answer(f"{name} A") == []
    if "_tcp" not in name:
        assert _tree().rcode(f"{name} A") == "NXDOMAIN"


def test_wildcards_of_ports() -> None:
    """1.11: every service of a namespace, every namespace of a service."""
    served = serve(
        service("a", "one", ip="10.0.0.1", ports=["https:443"]),
        service("b", "one", ip="10.0.0.2", ports=["https:8443"]),
        service("a", "two", ip="10.0.0.3", ports=["https:444"]),
        wildcards=True,
    )
    in_one = ["10 100 443 a.one.svc.cluster.local.", "10 100 8443 b.one.svc.cluster.local."]
    of_a = ["10 100 443 a.one.svc.cluster.local.", "10 100 444 a.two.svc.cluster.local."]
    assert served.answer("_https._tcp.*.one.svc.cluster.local. SRV") == in_one
    assert served.answer("_https._tcp.a.*.svc.cluster.local. SRV") == of_a
    assert served.answer("*._https._tcp.a.one.svc.cluster.local. SRV") == in_one[:1]
    assert served.answer("a.*.svc.cluster.local. A") == ["10.0.0.1", "10.0.0.3"]
    (owner,) = {r.name.to_text() for r in served.ask("a.*.svc.cluster.local. A").answer}
    assert owner == "a.*.svc.cluster.local."


def test_wildcard_answers_are_never_kept() -> None:
    """They depend on more services than can be told: an answer is always fresh."""
    served = serve(service("a", "one", ip="10.0.0.1"), wildcards=True)
    assert served.answer("a.*.svc.cluster.local. A") == ["10.0.0.1"]
    served.cluster.put(service("a", "two", ip="10.0.0.2"))
    assert served.answer("a.*.svc.cluster.local. A") == ["10.0.0.1", "10.0.0.2"]


def test_without_the_flag_there_are_no_wildcards() -> None:
    """Q51: they let any pod list the cluster."""
    served = serve(service("a", "one", ip="10.0.0.1"))
    for name in ("a.*", "*.one", "*.a.one"):
        assert served.rcode(f"{name}.svc.cluster.local. A") == "NXDOMAIN"


def test_the_dump_is_json_with_tabs() -> None:
    """8.2: `ChildNodes` and `Entries`, and what a record is."""
    served = serve(service("a", "one", ip="10.0.0.1", ports=["http:80"]))
    text = "".join(dump.pieces(served.zone))
    assert text.startswith('{\n\t"ChildNodes": {\n\t\t"local": {\n\t\t\t"ChildNodes": {\n')
    node = json.loads(text)
    for label in ("local", "cluster", "svc", "one", "a"):
        assert set(node) == {"ChildNodes", "Entries"}
        node = node["ChildNodes"][label]
    record = {"host": "10.0.0.1", "priority": 10, "weight": 10, "ttl": 30}
    assert node["Entries"] == {"10-0-0-1": record}
    port = node["ChildNodes"]["_tcp"]["ChildNodes"]["_http"]["Entries"]["10-0-0-1"]
    assert port == record | {"host": "a.one.svc.cluster.local.", "port": 80}


def test_the_dump_of_nothing_is_json() -> None:
    """An empty cluster."""
    assert json.loads("".join(dump.pieces(serve().zone)))["Entries"] == {}


# 8.3: reverse names, cluster IPs


@pytest.mark.parametrize(
    ("name", "ip"),
    [
        ("255.2.0.192.in-addr.arpa", "192.0.2.255"),
        ("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.0.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
         "4321::2:3:4:567:89ab"),
        ("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
         "4321:0:1:2:3:4:567:89ab"),
    ],
)  # fmt: skip
def test_reverse_names_that_are_addresses(name: str, ip: str) -> None:
    """They are read, and written, to the letter."""
    packed = address.pack(ip) or b""
    assert address.from_reverse(names.from_text(name)) == (packed, 8 * len(packed))
    assert address.reverse_name(packed) == names.from_text(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "255.2.0.192.ip6.arpa", "322.2.0.192.in-addr.arpa", "1.255.2.0.192.in-addr.arpa",
        "1." + 32 * "0." + "ip6.arpa", "z." + 31 * "0." + "ip6.arpa", "this.is.not.a.name",
        "-1.2.0.192.in-addr.arpa", "+1.2.0.192.in-addr.arpa", "\\178.2.0.192.in-addr.arpa",
        "00." + 31 * "0." + "ip6.arpa",
    ],
)  # fmt: skip
def test_reverse_names_that_are_none(name: str) -> None:
    """Too many labels, numbers too large, other digits, other trees."""
    assert address.from_reverse(names.from_text(name)) is None


def test_cluster_ips_in_any_spelling() -> None:
    """8.3: three spellings of one address, and a second one."""
    for spelling in ("2001:db8:0:0:aaaa::1", "2001:db8::aaaa:0:0:1", "2001:DB8:0:0:AAAA:0:0:1"):
        served = serve(service("a", ip=[spelling, "255.255.255.0"]))
        assert _addresses(served, "a.shop.svc.cluster.local.") == [
            "255.255.255.0",
            "2001:db8::aaaa:0:0:1",
        ]
        made = service("b", ip=spelling)
        del made["spec"]["clusterIPs"]
        assert _addresses(serve(made), "b.shop.svc.cluster.local.") == ["2001:db8::aaaa:0:0:1"]


def test_a_deletion_missed_during_an_outage_is_found_by_the_next_list() -> None:
    """Q14."""
    gone, stays = service("gone", ip="10.0.0.1"), service("stays", ip="10.0.0.2")
    served = serve(gone, stays)
    assert served.answer("gone.shop.svc.cluster.local. A") == ["10.0.0.1"]
    served.cluster.listed(Kind.SERVICE, [stays])
    served.answers.forget(served.cluster.flush().tags)
    assert served.rcode("gone.shop.svc.cluster.local. A") == "NXDOMAIN"
    assert served.rcode(f"{_reverse('10.0.0.1')} PTR") == "REFUSED"
    assert served.answer("stays.shop.svc.cluster.local. A") == ["10.0.0.2"]
