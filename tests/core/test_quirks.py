"""
What the original got wrong and this one does right: the "Do" column of the behaviour document's
section 7, as far as it is about records and replies.
"""

from operator import attrgetter

import dns.flags
import pytest

from kubedns.cluster.objects import EndpointNames
from kubedns.wire import rr
from tests.builders import (
    Reply,
    World,
    endpoints,
    external,
    headless,
    lines,
    namespace,
    record,
    serve,
    service,
    slice_,
)
from tests.dnscase import SOA, Case, missing, negative, records

N = "shop.svc.cluster.local."
HINFO = '"RFC8482" ""'
EIGHT_NINES = "9.9.9.9.in-addr.arpa."

SERVED = serve(
    namespace("shop"),
    service("web", ip="10.0.0.7", ports=["http:80", "metrics:9090"]),
    service("dual", ip=["10.0.0.8", "fd00::8"], ports=["http:80"]),
    service("portless", ip="10.0.0.9"),
    headless("twins"),
    slice_("twins", addresses=[("10.1.0.1", "twin"), ("10.1.0.2", "twin"), "10.1.0.3"]),
    slice_("twins", addresses=["fd00:1::1"]),
    headless("bare"),
    slice_("bare", addresses=["10.1.0.4"], ports=None),
    headless("noep"),
    headless("sets-a"), slice_("sets-a", addresses=[("10.1.0.50", "pod-0")]),
    headless("sets-b"), slice_("sets-b", addresses=[("10.1.0.50", "pod-0")]),
    external("9.9.9.9", "literal"),
    external("fd00::9", "literal6"),
    external(f"nope.{N[:-1]}", "dangling"),
    external(f"loop-b.{N[:-1]}", "loop-a"), external(f"loop-a.{N[:-1]}", "loop-b"),
    external(f"self.{N[:-1]}", "self"),
    external("1-2-3-4.x.pod.a.b", "podlike"),
    external("www.example.com", "far"),
    external("missing.example.com", "far-missing"),
    external("silent.example.com", "far-silent"),
    external("alias.example.com", "back"),
    world=World({
        "www.example.com": Reply(answer=[
            record("www.example.com", rr.CNAME, "real.example.com"),
            record("real.example.com", rr.A, "192.0.2.1"),
        ]),
        "silent.example.com": None,
        "alias.example.com": Reply(
            answer=[record("alias.example.com", rr.CNAME, f"web.{N}")]),
        "1-2-3-4.x.pod.a.b": Reply(rr.NXDOMAIN),
    }),
)  # fmt: skip
POD = "1-2-3-4.shop.pod.cluster.local."
WEB_A = records("web.shop", "A", "10.0.0.7")

CASES = [
    *(
        negative(f"Q1 a pod name asked for {rtype} crashes nothing", f"{POD} {rtype}")
        for rtype in ("SRV", "HTTPS", "SVCB", "SOA", "PTR", "CAA", "DS", "TXT", "MX", "NS", "NULL",
                      "TYPE65280", "TYPE0")
    ),
    missing("Q5 an alias of a name that the cluster has not says so", f"nope.{N} A"),
    Case("Q5 with the CNAME", f"dangling.{N} A",
         records("dangling.shop", "CNAME", f"nope.{N}"), [SOA], rcode="NXDOMAIN"),
    negative("Q7 a service asked for its CNAME is NODATA", f"web.{N} CNAME"),
    negative("Q7 a headless one as well", f"twins.{N} CNAME"),
    negative("Q7 an endpoint as well", f"twin.twins.{N} CNAME"),
    negative("Q8 the zone itself exists", "cluster.local. TXT"),
    *(
        negative(f"Q9 what stands above names exists: {name}", f"{name} A")
        for name in ("svc.cluster.local.", "pod.cluster.local.", "dns.cluster.local.", N,
                     f"_tcp.web.{N}", f"_tcp.twins.{N}", f"_http._tcp.web.{N}")
    ),
    missing("Q9 a headless service without ready endpoints does not", f"noep.{N} A"),
    *(
        missing(f"Q10 no address in a pod name: {label}", f"{label}.shop.pod.cluster.local. {t}")
        for label in ("foo", "1-2-3-400", "01-2-3-4", "1-2-3", "1-2-3-4-5", "-1-2-3-4", "1--2--3-4",
                      "1-2-3-4x", "fd00--1--2", "g--1", "12345--1", "\\046")
        for t in ("A", "SRV")
    ),
    Case("Q11 an IPv6 pod name", "fd00--1.shop.pod.cluster.local. AAAA",
         records("fd00--1.shop.pod.cluster.local.", "AAAA", "fd00::1")),
    Case("Q11 all eight groups", "fd00-1-2-3-4-5-6-7.shop.pod.cluster.local. AAAA",
         records("fd00-1-2-3-4-5-6-7.shop.pod.cluster.local.", "AAAA", "fd00:1:2:3:4:5:6:7")),
    Case("Q11 three dashes with two together are IPv6", "1--2-3.shop.pod.cluster.local. AAAA",
         records("1--2-3.shop.pod.cluster.local.", "AAAA", "1::2:3")),
    negative("Q11 no IPv4 there", "fd00--1.shop.pod.cluster.local. A"),
    Case("Q12 the version of the schema", "dns-version.cluster.local. TXT",
         records("dns-version.cluster.local.", "TXT", '"1.1.0"', ttl=28800)),
    Case("Q13 equal hostnames are all kept", f"twin.twins.{N} A",
         records("twin.twins.shop", "A", "10.1.0.1", "10.1.0.2")),
    Case("Q13 in the service as well", f"twins.{N} A",
         records("twins.shop", "A", "10.1.0.1", "10.1.0.2", "10.1.0.3")),
    Case("Q18 a pod in two services has both PTRs", "50.0.1.10.in-addr.arpa. PTR",
         records("50.0.1.10.in-addr.arpa.", "PTR", f"pod-0.sets-a.{N}", f"pod-0.sets-b.{N}")),
    *(
        Case(f"Q22 ANY is one HINFO: {name}", f"{name} ANY", records(name, "HINFO", HINFO))
        for name in (f"web.{N}", f"twins.{N}", "cluster.local.", "svc.cluster.local.", POD,
                     "7.0.0.10.in-addr.arpa.", f"_http._tcp.web.{N}")
    ),
    Case("Q22 ANY of an alias is its CNAME", f"far.{N} ANY",
         records("far.shop", "CNAME", "www.example.com.")),
    missing("Q22 ANY of a missing name", f"nope.{N} ANY"),
    Case("Q27 a dual-stack service is one target of weight 100", f"_http._tcp.dual.{N} SRV",
         records("_http._tcp.dual.shop", "SRV", f"10 100 80 dual.{N}"),
         additional=[*records("dual.shop", "A", "10.0.0.8"),
                     *records("dual.shop", "AAAA", "fd00::8")]),
    negative("Q28 a namespace lists nothing", f"{N} A"),
    negative("Q28 not even its aliases", f"{N} CNAME"),
    Case("Q30 an externalName that is an address", f"literal.{N} A",
         records("literal.shop", "A", "9.9.9.9")),
    Case("Q30 an IPv6 one", f"literal6.{N} AAAA", records("literal6.shop", "AAAA", "fd00::9")),
    negative("Q31 a reverse name has PTR alone",
             "8.0.0.0." + 24 * "0." + "0.0.d.f.ip6.arpa. A",
             soa=SOA.replace("cluster.local. 5", "8.0.0.0." + 24 * "0." + "0.0.d.f.ip6.arpa. 5")),
    Case("Q42 a dual-stack headless service shows both families", f"twins.{N} AAAA",
         records("twins.shop", "AAAA", "fd00:1::1")),
    negative("Q44 a port has no A", f"_http._tcp.web.{N} A"),
    negative("Q44 and no AAAA", f"_http._tcp.web.{N} AAAA"),
    missing("Q46 NS of a missing name", f"nope.{N} NS"),
    negative("Q46 NS of an existing one", f"web.{N} NS"),
    Case("Q43 SRV at the bare name, one for each port", f"web.{N} SRV",
         records("web.shop", "SRV", f"10 100 80 web.{N}", f"10 100 9090 web.{N}"),
         additional=WEB_A),
    Case("Q43 port 0 only without any port", f"portless.{N} SRV",
         records("portless.shop", "SRV", f"10 100 0 portless.{N}"),
         additional=records("portless.shop", "A", "10.0.0.9")),
    Case("Q43 the same for a headless service", f"bare.{N} SRV",
         records("bare.shop", "SRV", f"10 100 0 10-1-0-4.bare.{N}"),
         additional=records("10-1-0-4.bare.shop", "A", "10.1.0.4")),
    missing("Q45, Q52 hash labels are not served", f"3234633364383235.web.{N} A"),
    Case("a loop of aliases ends", f"loop-a.{N} A",
         [*records("loop-a.shop", "CNAME", f"loop-b.{N}"),
          *records("loop-b.shop", "CNAME", f"loop-a.{N}")]),
    Case("an alias of itself ends", f"self.{N} AAAA", records("self.shop", "CNAME", f"self.{N}")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=attrgetter("story"))
def test_quirk(case: Case) -> None:
    """One thing that the original got wrong."""
    case.check(SERVED)


def test_when_no_nameserver_answers_the_client_hears_so() -> None:
    """Q4: SERVFAIL, with the reason for clients that speak EDNS."""
    served = serve(world=World({"silent.example.com": None}))
    reply = served.ask("silent.example.com. A", flags="RD")
    assert str(reply.rcode().name) == "SERVFAIL"
    assert int(reply.extended_errors()[0].code) == 22


def test_an_alias_of_a_missing_foreign_name() -> None:
    """Q5: the CNAME, and the code of the last lookup (RFC 6604)."""
    reply = SERVED.ask(f"far-missing.{N} A", flags="RD")
    assert lines(reply.answer) == records("far-missing.shop", "CNAME", "missing.example.com.")
    assert str(reply.rcode().name) == "NXDOMAIN"


def test_an_alias_when_no_nameserver_answers() -> None:
    """Q5: the CNAME, and SERVFAIL."""
    reply = SERVED.ask(f"far-silent.{N} A", flags="RD")
    assert lines(reply.answer) == records("far-silent.shop", "CNAME", "silent.example.com.")
    assert str(reply.rcode().name) == "SERVFAIL"


def test_an_alias_of_a_foreign_alias() -> None:
    """The whole chain, in order; for our forwarder the first link alone."""
    assert lines(SERVED.ask(f"far.{N} A", flags="RD").answer) == [
        f"far.{N} 30 IN CNAME www.example.com.",
        "www.example.com. 300 IN CNAME real.example.com.",
        "real.example.com. 300 IN A 192.0.2.1",
    ]
    before = len(SERVED.world.asked)
    assert SERVED.answer(f"far.{N} A") == ["www.example.com."]
    assert SERVED.answer(f"far.{N} CNAME", flags="RD") == ["www.example.com."]
    assert len(SERVED.world.asked) == before


def test_a_chain_that_comes_back_into_the_cluster() -> None:
    """Out by externalName, back by a foreign CNAME."""
    assert lines(SERVED.ask(f"back.{N} A", flags="RD").answer) == [
        f"back.{N} 30 IN CNAME alias.example.com.",
        f"alias.example.com. 300 IN CNAME web.{N}",
        f"web.{N} 30 IN A 10.0.0.7",
    ]


def test_a_foreign_name_shaped_like_a_pod_is_foreign() -> None:
    """Q29."""
    assert SERVED.answer(f"podlike.{N} A", flags="RD") == ["1-2-3-4.x.pod.a.b."]
    assert SERVED.world.asked[-1] == ("1-2-3-4.x.pod.a.b.", rr.A)


def test_an_external_address_does_not_own_its_reverse_name() -> None:
    """1.6.3, Q30: it stays foreign, or its real PTR would be hidden from all pods."""
    assert SERVED.rcode(f"{EIGHT_NINES} PTR") == "REFUSED"


def test_pointers_go_with_their_service() -> None:
    """Q15, Q16, Q17: of endpoints, of services, of cluster IPs that are given up."""
    web, db = service("web", ip=["10.0.0.7", "fd00::7"]), headless("db")
    endpoints_ = endpoints("db", addresses=[("10.1.0.1", "a")])
    served = serve(web, db, endpoints_)
    holders = served.zone.tree.holders
    assert holders(b"\x0a\1\0\1")
    served.cluster.drop(db)
    assert not holders(b"\x0a\1\0\1")
    served.cluster.put(db)
    assert holders(b"\x0a\1\0\1")
    served.cluster.drop(endpoints_)
    assert not holders(b"\x0a\1\0\1")
    assert served.rcode(f"db.{N} A") == "NXDOMAIN"
    served.cluster.put(service("web", ip="10.0.0.8"))
    assert not holders(b"\x0a\0\0\7")
    assert served.answer("8.0.0.10.in-addr.arpa. PTR") == [f"web.{N}"]


def test_endpoints_that_come_after_their_service_went() -> None:
    """Q48: they bring nothing back."""
    db = headless("db")
    served = serve(db, slice_("db"))
    served.cluster.drop(db)
    served.cluster.put(slice_("db", addresses=["10.1.0.2"]))
    assert served.rcode(f"db.{N} A") == "NXDOMAIN"
    assert not served.zone.tree.holders(b"\x0a\1\0\2")


def test_negative_answers_are_authoritative() -> None:
    """Q23: AA and RA, so that no client warns."""
    for question in (f"nope.{N} A", f"web.{N} AAAA"):
        reply = SERVED.ask(question)
        assert reply.flags & dns.flags.AA
        assert reply.flags & dns.flags.RA


def test_foreign_names_of_one_label() -> None:
    """Q32: they go to the nameservers; REFUSED without any."""
    world = World({"com": Reply(), ".": Reply()})
    for name in ("com.", "."):
        assert serve(world=world).rcode(f"{name} NS", flags="RD") == "NOERROR"
        assert serve().rcode(f"{name} NS", flags="RD") == "REFUSED"
    assert world.asked == [("com.", rr.NS), (".", rr.NS)]


def test_a_weight_is_never_zero() -> None:
    """Q26: beyond 100 targets."""
    served = serve(headless(), slice_(addresses=[f"10.1.0.{i}" for i in range(150)]))
    assert {line.split()[1] for line in served.answer(f"_http._tcp.db.{N} SRV", tcp=True)} == {"1"}


def test_slices_before_endpoints() -> None:
    """Q41: more than 1,000 addresses; an Endpoints object of the same service is not looked at."""
    slices = [
        slice_(name=f"db-{i}", addresses=[f"10.{i}.{j // 256}.{j % 256}" for j in range(1000)])
        for i in range(1, 4)
    ]
    served = serve(headless(), *slices, endpoints(addresses=["10.9.9.9"]))
    found = served.answer(f"db.{N} A", tcp=True)
    assert len(found) == 3000
    assert "10.9.9.9" not in found


def test_endpoints_may_be_called_by_their_pods() -> None:
    """Q52."""
    endpoint = {"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": "db-0"}}
    served = serve(headless(), slice_(addresses=[endpoint]), naming=EndpointNames.POD)
    assert served.answer(f"db-0.db.{N} A") == ["10.1.0.1"]
    node = {"addresses": ["10.1.0.1"], "targetRef": {"kind": "Node", "name": "db-0"}}
    served = serve(headless(), slice_(addresses=[node]), naming=EndpointNames.POD)
    assert served.answer(f"10-1-0-1.db.{N} A") == ["10.1.0.1"]


def test_nothing_is_ever_refused_before_the_first_sync() -> None:
    """Q47 is not kept: REFUSED would send resolvers on, or end musl's search."""
    served = serve(synced=False)
    for question in (
        f"web.{N} A", f"web.{N} ANY", POD + " A", "7.0.0.10.in-addr.arpa. PTR",
        "8.b.d.0.1.0.0.2.ip6.arpa. PTR", f"_http._tcp.web.{N} SRV", "shop.svc.cluster.local. A",
    ):  # fmt: skip
        assert served.rcode(question) == "SERVFAIL"
        assert served.rcode(question, flags="RD") == "SERVFAIL"
    for question in (
        "cluster.local. SOA",
        "svc.cluster.local. A",
        "dns-version.cluster.local. TXT",
    ):
        assert served.rcode(question) == "NOERROR"
