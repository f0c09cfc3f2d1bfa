"""
Objects of the API, recorded and hand-made, good and full of nonsense: what of them is served.

A fault costs the part that it is in, and gives one line that names the object, escaped.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from kubedns.cluster.objects import EndpointNames, Kind, Reader
from kubedns.zone.lookup import PodNames
from tests.builders import (
    Cluster,
    Object,
    Served,
    endpoints,
    external,
    headless,
    kind_of,
    namespace,
    octets,
    pod,
    serve,
    service,
    slice_,
    subset,
)

RECORDED = Path(__file__).parents[1] / "fixtures" / "apiserver"
N = "shop.svc.cluster.local."


def _recorded(*kinds: Kind, **options: Any) -> Served:
    """Serve the recorded cluster as its lists show it."""
    served = serve(**options)
    for kind in kinds:
        page = served.cluster.readers[kind].page(
            (RECORDED / f"{kind.value}.list.json").read_bytes()
        )
        served.cluster.pairing.replace(kind, page.objects)
    served.cluster.flush()
    return served


def _play(served: Served, kind: Kind) -> None:
    """Let happen what was recorded while the cluster changed."""
    for line in (RECORDED / f"{kind.value}.watch.jsonl").read_bytes().splitlines():
        event = json.loads(line)
        if event["type"] == "BOOKMARK":
            continue
        decoded = served.cluster.readers[kind].read(json.dumps(event["object"]).encode())
        assert decoded is not None
        if event["type"] == "DELETED":
            served.cluster.pairing.drop(kind, decoded.key)
        else:
            served.cluster.pairing.put(kind, decoded)
        served.answers.forget(served.cluster.flush().tags)


@pytest.mark.parametrize("kind", [Kind.SLICE, Kind.ENDPOINTS])
def test_the_recorded_cluster(kind: Kind) -> None:
    """Slices and Endpoints of one cluster give the same names, but for the second family."""
    served = _recorded(Kind.SERVICE, Kind.NAMESPACE, kind)
    assert served.problems() == []
    assert served.answer("kubernetes.default.svc.cluster.local. A") == ["10.96.0.1"]
    assert served.answer(f"cart.{N} A") == ["10.96.20.1"]
    assert len(served.answer(f"cart.{N} SRV")) == 2
    assert served.answer(f"payments.{N} CNAME") != []
    assert served.rcode(f"promo.{N} A") == "NXDOMAIN"
    (endpoint,) = served.answer(f"stock-0.stock.{N} A")
    reverse = ".".join(reversed(endpoint.split("."))) + ".in-addr.arpa."
    assert served.answer(f"{reverse} PTR") == [f"stock-0.stock.{N}"]


@pytest.mark.parametrize("kind", [Kind.SLICE, Kind.ENDPOINTS])
def test_the_recorded_changes(kind: Kind) -> None:
    """A service comes and goes, an alias moves, a pod becomes ready, another one is deleted."""
    served = _recorded(Kind.SERVICE, Kind.NAMESPACE, kind)
    before = set(served.answer(f"stock.{N} A"))
    alias = served.answer(f"payments.{N} CNAME")
    assert served.rcode(f"search.{N} A") == "NOERROR"
    for each in (kind, Kind.SERVICE, Kind.NAMESPACE):
        _play(served, each)
    assert set(served.answer(f"stock.{N} A")) > before
    assert served.answer(f"payments.{N} CNAME") not in ([], alias)
    for gone in ("search", "promo"):
        assert served.rcode(f"{gone}.{N} A") == "NXDOMAIN"
    assert served.rcode("pop-up.svc.cluster.local. A") == "NXDOMAIN"
    assert served.problems() == []


def test_the_recorded_pods() -> None:
    """--pods=verified."""
    served = _recorded(Kind.SERVICE, Kind.NAMESPACE, Kind.POD, pods=PodNames.VERIFIED)
    assert served.answer("10-200-1-4.shop.pod.cluster.local. A") == ["10.200.1.4"]
    assert served.rcode("10-200-1-4.infra.pod.cluster.local. A") == "NXDOMAIN"
    assert served.rcode("10-99-99-99.shop.pod.cluster.local. A") == "NXDOMAIN"
    _play(served, Kind.POD)
    assert served.problems() == []


# Endpoints


def test_slices_of_a_service_are_one() -> None:
    """Both families, an endpoint in two slices at once: each address once."""
    served = serve(
        headless(),
        slice_(name="one", addresses=["10.1.0.1", "10.1.0.2"]),
        slice_(name="two", addresses=["10.1.0.2", "10.1.0.3", "10.1.0.3"]),
        slice_(name="six", addresses=["fd00:1::1"]),
    )
    assert served.answer(f"db.{N} A") == ["10.1.0.1", "10.1.0.2", "10.1.0.3"]
    assert served.answer(f"db.{N} AAAA") == ["fd00:1::1"]
    assert len(served.answer(f"_http._tcp.db.{N} SRV")) == 4
    assert len(served.answer("2.0.1.10.in-addr.arpa. PTR")) == 1


@pytest.mark.parametrize(
    ("conditions", "counts"),
    [
        ({"ready": True}, True), ({"ready": False}, False), ({}, True), ({"ready": None}, True),
        (None, True), ({"ready": False, "serving": True}, False),
        ({"ready": True, "terminating": True}, True), ({"serving": False}, True),
    ],
)  # fmt: skip
def test_which_endpoints_count(conditions: Object | None, counts: bool) -> None:
    """`ready` true or absent, nothing else: publishNotReadyAddresses has already set it."""
    endpoint = {"addresses": ["10.1.0.1"], "conditions": conditions}
    served = serve(headless(), slice_(addresses=[endpoint]))
    assert served.answer(f"db.{N} A") == (["10.1.0.1"] if counts else [])


def test_slices_that_have_no_names() -> None:
    """FQDN slices, those of nobody, those of an unknown family."""
    fqdn = slice_(addresses=[{"addresses": ["db.example.com"]}], family="FQDN", name="fqdn")
    nobody = slice_(name="nobody")
    del nobody["metadata"]["labels"]
    other = slice_(name="other")
    other["metadata"]["labels"] = {"app": "db"}
    served = serve(headless(), fqdn, nobody, other, slice_(family="IPX", name="ipx"))
    assert served.rcode(f"db.{N} A") == "NXDOMAIN"


def test_endpoints_stand_in_for_slices() -> None:
    """While slices may not be read; the first slice of a service takes over, and back."""
    served = serve(headless(), endpoints(addresses=["10.1.0.1"]))
    assert served.answer(f"db.{N} A") == ["10.1.0.1"]
    served.answers.forget(served.cluster.put(slice_(addresses=["10.1.0.2"])).tags)
    assert served.answer(f"db.{N} A") == ["10.1.0.2"]
    served.answers.forget(served.cluster.drop(slice_()).tags)
    assert served.answer(f"db.{N} A") == ["10.1.0.1"]


def test_subsets_have_their_own_ports_and_both_families() -> None:
    """An Endpoints object by hand may hold IPv6 beside IPv4."""
    served = serve(
        headless(),
        endpoints(subsets=[
            subset(["10.1.0.1", ("fd00::1", "six")], ["http:80"]),
            subset([("10.1.0.1", "again")], ["https:443"]),
            {"notReadyAddresses": [{"ip": "10.1.0.9"}], "ports": [{"port": 80}]},
            {},
        ]),
    )  # fmt: skip
    assert served.answer(f"db.{N} A") == ["10.1.0.1"]
    assert served.answer(f"six.db.{N} AAAA") == ["fd00::1"]
    assert served.answer(f"_https._tcp.db.{N} SRV") == [f"10 100 443 again.db.{N}"]
    assert served.rcode(f"10-1-0-9.db.{N} A") == "NXDOMAIN"


def test_a_hostname_of_several_addresses_in_several_slices() -> None:
    """All of them at its name; one SRV target; a PTR each."""
    served = serve(
        headless(),
        slice_(name="one", addresses=[("10.1.0.1", "a"), ("10.1.0.2", "b")]),
        slice_(name="two", addresses=[("10.1.0.3", "a")], ports=["https:443"]),
        slice_(name="six", addresses=[("fd00:1::1", "a")]),
    )
    assert served.answer(f"a.db.{N} A") == ["10.1.0.1", "10.1.0.3"]
    assert served.answer(f"a.db.{N} AAAA") == ["fd00:1::1"]
    assert served.answer(f"_http._tcp.db.{N} SRV") == [
        f"10 50 80 {label}.db.{N}" for label in ("a", "b")
    ]
    assert served.answer(f"_https._tcp.db.{N} SRV") == [f"10 100 443 a.db.{N}"]
    assert served.answer("3.0.1.10.in-addr.arpa. PTR") == [f"a.db.{N}"]


def test_ports_of_slices_may_differ() -> None:
    """A named target port has another number in each generation of pods."""
    served = serve(
        headless(),
        slice_(name="old", addresses=["10.1.0.1"], ports=["http:8080"]),
        slice_(name="new", addresses=["10.1.0.2"], ports=["http:9090"]),
    )
    assert served.answer(f"_http._tcp.db.{N} SRV") == [
        f"10 50 8080 10-1-0-1.db.{N}",
        f"10 50 9090 10-1-0-2.db.{N}",
    ]


@pytest.mark.parametrize("naming", list(EndpointNames))
def test_the_name_of_a_pod_that_is_no_label(naming: EndpointNames) -> None:
    """Then the address names the endpoint, whatever the mode."""
    target = {"kind": "Pod", "name": "web.0"}
    endpoint = {"addresses": ["10.1.0.1"], "targetRef": target}
    served = serve(headless(), slice_(addresses=[endpoint]), naming=naming)
    assert served.answer(f"10-1-0-1.db.{N} A") == ["10.1.0.1"]
    assert served.problems() == []


def test_a_service_becomes_another_kind() -> None:
    """ClusterIP, headless, ExternalName, and back: nothing of the last kind stays."""
    served = serve(service("db", ip="10.0.0.1", ports=["http:80"]), slice_())
    for made, a, srv in (
        (headless("db"), ["10.1.0.1"], f"10 100 80 10-1-0-1.db.{N}"),
        (service("db", ip="10.0.0.2", ports=["http:80"]), ["10.0.0.2"], f"10 100 80 db.{N}"),
        (external("a.test", "db"), ["a.test."], None),
        (headless("db"), ["10.1.0.1"], f"10 100 80 10-1-0-1.db.{N}"),
    ):
        served.answers.forget(served.cluster.put(made).tags)
        assert served.answer(f"db.{N} A") == a
        assert served.answer(f"_http._tcp.db.{N} SRV") == ([srv] if srv else [])
    assert not served.zone.tree.holders(b"\x0a\0\0\1")
    assert not served.zone.tree.holders(b"\x0a\0\0\2")


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("www.example.com", "www.example.com."), ("www.example.com.", "www.example.com."),
        ("WWW.Example.com", "WWW.Example.com."), ("_spf.example.com", "_spf.example.com."),
        ("localhost", "localhost."), ("a" * 63 + ".test", "a" * 63 + ".test."),
    ],
)  # fmt: skip
def test_targets_of_aliases(target: str, shown: str) -> None:
    """As written."""
    assert serve(external(target)).answer(f"ext.{N} CNAME") == [shown]


# Nonsense


def _spec(**spec: Any) -> Object:
    made = service("odd")
    made["spec"] |= spec
    return made


def _named(kind: Object, **metadata: Any) -> Object:
    return kind | {"metadata": kind["metadata"] | metadata}


HOSTILE = "a\n\x1b[31m\u2028\"';--" + "x" * 1000
SKIPPED = {
    "an upper-case name": _named(service(), name="Odd"),
    "a name with a dot": _named(service(), name="a.b"),
    "a name of 64 characters": _named(service(), name="a" * 64),
    "an empty name": _named(service(), name=""),
    "a wildcard for a name": _named(service(), name="*"),
    "a hostile name": _named(service(), name=HOSTILE),
    "a hostile namespace": _named(service(), namespace=HOSTILE),
    "no namespace": _named(service(), namespace=""),
    "a number for a name": _named(service(), name=7),
    "an empty externalName": external(""),
    "an externalName that is no host name": external("a b"),
    "an externalName with an empty label": external("a..b"),
    "an externalName with a long label": external("a" * 64 + ".test"),
    "an externalName of 300 characters": external("a." * 150),
    "a hostile externalName": external(HOSTILE),
    "a list for a type": _spec(type=[]),
    "text for cluster IPs": _spec(clusterIPs="10.0.0.1"),
    "a number for a cluster IP": _spec(clusterIP=7),
    "text for ports": _spec(ports="http"),
    "text for a port number": _spec(ports=[{"name": "http", "port": "80"}]),
    "a slice of a hostile service": _named(
        slice_(), labels={"kubernetes.io/service-name": HOSTILE}
    ),
    "text for endpoints": slice_() | {"endpoints": "10.1.0.1"},
    "text for readiness": slice_(
        addresses=[{"addresses": ["10.1.0.1"], "conditions": {"ready": "yes"}}]
    ),
    "subsets that are none": endpoints() | {"subsets": {"addresses": []}},
    "a namespace with a dot": namespace("a.b"),
    "a hostile namespace object": namespace(HOSTILE),
}


@pytest.mark.parametrize("value", SKIPPED.values(), ids=SKIPPED.keys())
def test_nonsense_is_skipped(value: Object) -> None:
    """The object is left out with one line; its neighbours are served."""
    served = serve(service("good", ip="10.0.0.99"), value)
    assert served.answer(f"good.{N} A") == ["10.0.0.99"]
    assert [key for key, _ in served.zone.tree.branches()] == [(b"shop", b"good")]
    (problem,) = served.problems()
    assert problem.isprintable()
    assert problem.isascii()
    assert len(problem) <= 300


NAMELESS: list[Any] = [None, 7, "text", [], {}, {"metadata": None}, {"metadata": []}, {"spec": {}}]


@pytest.mark.parametrize(
    "kind", [Kind.SERVICE, Kind.SLICE, Kind.ENDPOINTS, Kind.NAMESPACE, Kind.POD]
)
@pytest.mark.parametrize("value", NAMELESS, ids=repr)
def test_what_is_no_object(value: Any, kind: Kind) -> None:
    """In a list between two good ones, as JSON and as YAML gives it."""
    reader = Reader(kind)
    assert reader.read(json.dumps(value).encode()) is None
    assert reader.convert(value) is None
    assert len(reader.problems) == 2
    good = {"metadata": {"name": "good", "namespace": "shop"}}
    page = {"metadata": {"resourceVersion": "1"}, "items": [good, value, good]}
    assert len(reader.page(json.dumps(page).encode()).objects) == 2


def test_octets_that_are_no_json() -> None:
    """A problem, no exception."""
    reader = Reader(Kind.SERVICE)
    for broken in (b"", b"{", b"\xff\xfe", b'{"metadata": {"name": "\xff"}}', b"\0" * 100):
        reader.read(broken)
    assert len(reader.problems) == 5
    assert all(problem.isprintable() for problem in reader.problems)


CUT: list[tuple[str, list[Object], str, list[str], int]] = [
    ("one bad cluster IP of two", [service("odd", ip=["10.0.0.7", "10.0.0.256"])],
     "A", ["10.0.0.7"], 1),
    ("a leading zero in a cluster IP", [service("odd", ip=["10.0.0.7", "010.0.0.8"])],
     "A", ["10.0.0.7"], 1),
    ("a scope in a cluster IP", [service("odd", ip=["10.0.0.7", "fe80::1%eth0"])],
     "A", ["10.0.0.7"], 1),
    ("port numbers out of range", [service("odd", ports=["a:0", "b:65536", "c:-1", "d:65535"])],
     "SRV", [f"10 100 65535 odd.{N}"], 3),
    ("port names that are none",
     [service("odd", ports=[
         {"name": "a b", "port": 1}, {"name": "-a", "port": 2}, {"name": "a.b", "port": 3},
         {"name": "x" * 63, "port": 4}, {"name": HOSTILE, "port": 5}, {"name": "ok", "port": 6},
     ])], "SRV", [f"10 100 6 odd.{N}"], 5),
    ("an unknown protocol", [service("odd", ports=["a:1/ICMP", "b:2/sctp"])],
     "SRV", [f"10 100 2 odd.{N}"], 1),
    ("an endpoint that is no address",
     [headless("odd"), slice_("odd", addresses=["10.1.0.1", "10.1.0.300", HOSTILE, ""])],
     "A", ["10.1.0.1"], 3),
    ("the other family in a slice",
     [headless("odd"), slice_("odd", addresses=["10.1.0.1", "fd00::1"])], "A", ["10.1.0.1"], 1),
    ("a hostname that is none",
     [headless("odd"), slice_("odd", addresses=[("10.1.0.1", "a.b"), ("10.1.0.2", HOSTILE)])],
     "SRV", [f"10 50 80 10-1-0-{i}.odd.{N}" for i in (1, 2)], 2),
    ("an Endpoints address that is none",
     [headless("odd"), endpoints("odd", addresses=["10.1.0.1", "nope"])], "A", ["10.1.0.1"], 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "rtype", "answer", "problems"),
    [case[1:] for case in CUT],
    ids=[case[0] for case in CUT],
)
def test_nonsense_is_cut_off(
    values: list[Object], rtype: str, answer: list[str], problems: int
) -> None:
    """The valid part of the object is served; one line for each fault, escaped, of bounded size."""
    served = serve(*values)
    assert served.answer(f"odd.{N} {rtype}") == answer
    found = served.problems()
    assert len(found) == problems
    for problem in found:
        assert problem.startswith("shop/odd")
        assert problem.isprintable()
        assert len(problem) <= 300


def test_a_service_whose_only_cluster_ip_is_nonsense() -> None:
    """It is skipped: to take it for headless would answer with its pods instead."""
    served = serve(service("odd", ip="10.0.0.256"), slice_("odd"))
    assert served.rcode(f"odd.{N} A") == "NXDOMAIN"
    assert len(served.problems()) == 1


@pytest.mark.parametrize("ip", ["", "None"])
def test_a_service_without_cluster_ip_is_headless(ip: str) -> None:
    """Also one that has none yet, as the original."""
    served = serve(service("odd", ip=ip), slice_("odd"))
    assert served.answer(f"odd.{N} A") == ["10.1.0.1"]
    assert served.problems() == []


def test_unknown_fields_are_nothing() -> None:
    """Objects of later versions."""
    value = service("odd") | {"status": {"x": [1, {}]}, "extra": None}
    value["spec"] |= {"trafficDistribution": "PreferClose", "ports": [{"port": 80, "new": {}}]}
    served = serve(value)
    assert served.answer(f"odd.{N} A") == ["10.0.0.7"]
    assert served.problems() == []


def test_pods_that_count() -> None:
    """Running and pending ones with an address; ended ones and those on their way out do not."""
    for made, counts in (
        (pod(), True), (pod(phase="Pending"), True), (pod(phase="Unknown"), True),
        (pod(phase="Succeeded"), False), (pod(phase="Failed"), False),
        (pod(deletionTimestamp="2026-01-01T00:00:00Z"), False), (pod(ips=["nope"]), False),
    ):  # fmt: skip
        served = serve(namespace(), made, pods=PodNames.VERIFIED)
        assert (served.rcode("10-240-0-1.shop.pod.cluster.local. A") == "NOERROR") is counts


def test_the_same_object_twice_in_a_list() -> None:
    """The last one counts, and the next identical list changes nothing."""
    cluster = Cluster()
    listed = [service("a", ip="10.0.0.1"), service("a", ip="10.0.0.2")]
    cluster.load(listed)
    assert cluster.tree.holders(b"\x0a\0\0\2")
    assert not cluster.tree.holders(b"\x0a\0\0\1")
    assert not cluster.load(listed)


def test_octets_that_recur_are_kept_once() -> None:
    """Port lists and labels of a large cluster: the memory of 59,000 endpoints depends on it."""
    reader = Reader(Kind.SLICE)
    groups = [
        reader.read(octets(slice_("db", name=f"db-{i}", ports=["http:80"]))).value.groups[0]  # type: ignore[union-attr]
        for i in range(3)
    ]
    assert groups[0].ports is groups[1].ports is groups[2].ports
    for i in range(50_000):
        reader._share(b"%d" % i)
    assert len(reader._shared) <= 20_001


def test_builders_know_their_kinds() -> None:
    """Each builder's object is of the kind that it says."""
    assert [kind_of(each) for each in (service(), slice_(), endpoints(), namespace(), pod())] == [
        Kind.SERVICE, Kind.SLICE, Kind.ENDPOINTS, Kind.NAMESPACE, Kind.POD,
    ]  # fmt: skip
