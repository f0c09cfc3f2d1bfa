"""The sentence in an answer: for every way in which a name of the cluster does not resolve."""

import functools
import ipaddress
from typing import Any

import pytest

from kubedns.explain import sentences
from kubedns.explain.border import Border
from kubedns.zone.lookup import PodNames
from tests.builders import Reply, World, headless, namespace, record, service, slice_
from tests.explainedcluster import Explained, explained, shop, unready

S = "svc.cluster.local"
P = f"prod.{S}"


@functools.cache
def _shop() -> Explained:
    return explained(*shop(), reverse_zones=())


NO_SERVICE = [
    (f"api.{P} A", "NXDOMAIN 0 no service api in namespace prod; there is one in prod-eu, dev, qa"),
    (f"wbe.{P} A", "NXDOMAIN 0 no service wbe in namespace prod; did you mean web?"),
    (f"other.{P} A", "NXDOMAIN 0 no service other in namespace prod"),
    (f"_http._tcp.other.{P} SRV", "NXDOMAIN 0 no service other in namespace prod"),
    (
        f"web.pord.{S} A",
        "NXDOMAIN 0 namespace pord does not exist; did you mean prod?; "
        "there is a service web in prod",
    ),
    (f"nothing.nowhere.{S} A", "NXDOMAIN 0 namespace nowhere does not exist"),
    (f"nowhere.{S} A", "NXDOMAIN 0 namespace nowhere does not exist"),
    (
        f"prod.web.{S} A",
        "NXDOMAIN 0 namespace web does not exist; the other way round, web.prod.svc, it exists",
    ),
    (
        "web.prod.cluster.local A",
        "NXDOMAIN 0 the label svc is missing: web.prod.svc.cluster.local",
    ),
    (
        "web.cluster.local A",
        "NXDOMAIN 0 no such name; names of services end in svc.cluster.local",
    ),
    (f"*.{P} A", "NXDOMAIN 0 names with * are not answered (--wildcards is off)"),
]

SEARCH_PATH = [
    (
        f"github.com.{P} A",
        "NXDOMAIN 0 looks like a search-path product of github.com; "
        "no service com in namespace prod",
    ),
    (
        f"api.github.com.{S} A",
        "NXDOMAIN 0 looks like a search-path product of api.github.com; "
        "namespace com does not exist",
    ),
    (
        "github.com.cluster.local A",
        "NXDOMAIN 0 looks like a search-path product of github.com; "
        "names of services end in svc.cluster.local",
    ),
    (
        f"web.{P}.{P} A",
        "NXDOMAIN 0 search-path product of web.prod.svc.cluster.local; "
        "no service local in namespace prod",
    ),
    (f"web.{P}.cluster.local A", "NXDOMAIN 0 search-path product of web.prod.svc.cluster.local"),
    (
        f"pkg.go.{P} A",
        "NXDOMAIN 0 no service go in namespace prod; perhaps a search-path product of pkg.go",
    ),
    (
        f"localhost.{P} A",
        "NXDOMAIN 0 looks like a search-path product of localhost; "
        "no service localhost in namespace prod",
    ),
]

NOT_READY = [
    (f"dead.{P} A", "NXDOMAIN 0 service dead exists, 0 of 3 endpoints ready"),
    (f"_pg._tcp.dead.{P} SRV", "NXDOMAIN 0 service dead exists, 0 of 3 endpoints ready"),
    (f"none.{P} A", "NXDOMAIN 0 service none exists, headless and without endpoints"),
    (f"db-2.db.{P} A", "NXDOMAIN 0 endpoint db-2 of db is not ready"),
]

BELOW = [
    (f"db-7.db.{P} A", "NXDOMAIN 0 no endpoint of db has the name db-7; it has db-0, db-1"),
    (f"a.web.{P} A", "NXDOMAIN 0 web has a cluster IP, so its endpoints have no names"),
    (f"a.b.web.{P} A", "NXDOMAIN 0 a.b is no name of an endpoint or a port of web"),
    (f"_htp._tcp.web.{P} SRV", "NXDOMAIN 0 no port named htp; web has http, metrics"),
    (f"_x._tcp.db.{P} SRV", "NXDOMAIN 0 no port named x; db has pg"),
    (f"_http._udp.web.{P} SRV", "NXDOMAIN 0 port http of web is TCP, not UDP"),
    (
        f"_http._tcp.nameless.{P} SRV",
        "NXDOMAIN 0 no port named http; no port of nameless has a name",
    ),
    (f"_udp.web.{P} SRV", "NXDOMAIN 0 no port of web has a name and the protocol udp"),
    (f"_a._b._c.web.{P} SRV", "NXDOMAIN 0 below web there are names like _http._tcp only"),
    (f"a.alias.{P} A", "NXDOMAIN 0 alias is an externalName: it has no ports and no endpoints"),
]

NO_TYPE = [
    (f"web.{P} AAAA", "NOERROR 0 web has no AAAA records: its addresses are IPv4"),
    (f"six.{P} A", "NOERROR 0 six has no A records: its addresses are IPv6"),
    (f"db-0.db.{P} AAAA", "NOERROR 0 db-0 has no AAAA records: its addresses are IPv4"),
    (f"web.{P} MX", "NOERROR 0 web has no MX records"),
    (f"web.{P} TYPE65", "NOERROR 0 web has no HTTPS records"),
    (f"web.{P} TYPE4711", "NOERROR 0 web has no TYPE4711 records"),
    (f"_http._tcp.web.{P} A", "NOERROR 0 ports have SRV records, not A"),
    (
        f"_tcp.web.{P} SRV",
        "NOERROR 0 no SRV records; ask for the SRV records of a port in front of it",
    ),
    (f"{P} A", "NOERROR 0 a namespace has no records; names of services are in front of it"),
    ("cluster.local A", "NOERROR 0 this name has no A records"),
    ("svc.cluster.local A", "NOERROR 0 this name has no A records"),
    (
        f"address.{P} AAAA",
        "NOERROR 0 externalName is an IP address (10.9.9.9): address has no AAAA records",
    ),
    ("1.0.0.10.in-addr.arpa A", "NOERROR 0 reverse names have PTR records only"),
    (
        "10-1-2-3.prod.pod.cluster.local AAAA",
        "NOERROR 0 10-1-2-3 has no AAAA records; its address is IPv4",
    ),
]

EXTERNAL = [
    (f"loop1.{P} A", "NOERROR 0 the externalName of loop1 leads in a circle"),
    (f"c0.{P} A", "NOERROR 0 more than 8 externalNames in a row behind c0"),
    (
        f"stray.{P} A",
        "NXDOMAIN 0 the externalName of stray leads to gone.prod.svc.cluster.local, "
        "which does not exist; no service gone in namespace prod",
    ),
    (
        f"alias.{P} AAAA",
        "NOERROR 0 the externalName of alias leads to api.test.svc.cluster.local, "
        "which has no AAAA records",
    ),
]

PODS = [
    (
        "10-1-2.prod.pod.cluster.local A",
        "NXDOMAIN 0 10-1-2 is no address with dashes; pod names are like 10-1-2-3.prod.pod",
    ),
    (
        "10-1-2-3.prdo.pod.cluster.local A",
        "NXDOMAIN 0 namespace prdo does not exist; did you mean prod?",
    ),
]

REFUSED = [
    (
        "web.prod.svc.old.example A",
        "REFUSED 20 not a name of this cluster, whose domain is cluster.local",
    ),
    ("www.example A", "REFUSED 20 not a name of the cluster"),
    (
        "9.9.9.9.in-addr.arpa PTR",
        "REFUSED 20 no service has the address 9.9.9.9: not a name of the cluster",
    ),
    (f"web.{P} AXFR", "REFUSED 20 no zone transfers here"),
]


@pytest.mark.parametrize(
    ("question", "told"),
    [
        *NO_SERVICE, *SEARCH_PATH, *NOT_READY, *BELOW, *NO_TYPE, *EXTERNAL, *PODS, *REFUSED,
    ],
)  # fmt: skip
def test_an_answer_without_records_says_why(question: str, told: str) -> None:
    """In one short sentence, with the code that RFC 8914 has for it."""
    assert _shop().told(question) == told


@pytest.mark.parametrize(
    "question",
    [f"web.{P} A", f"db.{P} A", f"_http._tcp.web.{P} SRV", f"address.{P} A", f"away.{P} A",
     f"alias.{P} CNAME", "cluster.local NS", f"alias.{P} A"],
)  # fmt: skip
def test_an_answer_with_records_says_nothing(question: str) -> None:
    """There is nothing to explain, and no octet to waste."""
    assert _shop().told(question) == "NOERROR"


def test_without_edns_nothing_is_said() -> None:
    """Such a client could not read it; its answer is kept until it is wrong."""
    served = explained(*shop())
    assert served.told(f"api.{P} A", edns=False) == "NXDOMAIN"
    assert [answer.until for answer in served.answers.table.values()] == [float("inf")]


def test_before_the_first_list() -> None:
    """Not ready, as ever: nobody can know yet."""
    served = explained(*shop(), synced=False)
    assert served.told(f"api.{P} A") == "SERVFAIL 14 not yet in sync with the cluster"


def test_with_namespaces_that_nobody_may_list() -> None:
    """That a namespace does not exist is not claimed then."""
    served = explained(service("web", "prod"))
    assert served.told(f"web.pord.{S} A").startswith("NXDOMAIN 0 no service web in namespace pord")
    assert served.told(f"pord.{S} A").startswith("NXDOMAIN 0 no service in a namespace pord")


def test_pod_names_that_are_switched_off_or_verified() -> None:
    """Each mode has its own reason."""
    name = "10-1-2-3.prod.pod.cluster.local A"
    off = explained(*shop(), pods=PodNames.DISABLED)
    assert off.told(name) == "NXDOMAIN 0 pod names are not answered (--pods=disabled)"
    verified = explained(*shop(), pods=PodNames.VERIFIED)
    assert verified.told(name) == "NXDOMAIN 0 no pod of namespace prod has the address 10.1.2.3"


def test_a_reverse_name_in_a_range_of_ours() -> None:
    """NXDOMAIN is ours to say there, and to explain."""
    served = explained(*shop(), reverse_zones=(ipaddress.ip_network("10.0.0.0/8"),))
    assert served.told("7.7.7.10.in-addr.arpa PTR") == (
        "NXDOMAIN 0 no service has the address 10.7.7.7"
    )
    assert served.told("x.10.in-addr.arpa PTR") == "NXDOMAIN 0 not the reverse name of an address"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            Reply(3),
            "NXDOMAIN 0 the externalName of away leads to x.example, which does not exist",
        ),
        (
            Reply(),
            "NOERROR 0 the externalName of away leads to x.example, which has no A records",
        ),
        (
            Reply(5),
            "SERVFAIL 0 the externalName of away leads to x.example, which no nameserver resolves",
        ),
        (Reply(answer=[record("x.example", 1, "192.0.2.1")]), "NOERROR"),
        (None, "SERVFAIL 22 192.0.2.53:53: no reply"),
    ],
)
def test_an_external_name_that_leads_out_of_the_cluster(reply: Reply | None, told: str) -> None:
    """What is said outside is explained too, with the name that was asked there."""
    served = explained(*shop(), world=World({"x.example": reply}))
    assert served.told(f"away.{P} A", flags="RD") == told


def test_a_name_of_another_cluster_domain_that_nobody_outside_knows() -> None:
    """The domain may have been renamed; who still asks for the old one is told."""
    served = explained(*shop(), world=World({}))
    assert served.told("web.prod.svc.old.example A", flags="RD") == (
        "NXDOMAIN 0 not a name of this cluster, whose domain is cluster.local"
    )
    assert served.told("www.example A", flags="RD") == "NXDOMAIN"


def test_a_sentence_does_not_outlive_what_it_says() -> None:
    """Which endpoints are not ready changes no record, so no tag drops the answer: time does."""
    served = explained(*shop())
    assert "0 of 3 endpoints" in served.told(f"dead.{P} A")
    served.cluster.put(slice_("dead", "prod", addresses=[unready("10.2.0.1", "dead-1")]))
    (answer,) = served.answers.table.values()
    assert answer.until == served.now + 5
    assert not answer.age(served.now + 5)
    served.now += 5
    assert "0 of 1 endpoints" in served.told(f"dead.{P} A")
    assert len(served.answers.table) == 1


def test_a_kept_sentence_is_dropped_when_its_service_comes() -> None:
    """Long before its time is over."""
    served = explained(*shop())
    assert served.told(f"api.{P} A").startswith("NXDOMAIN 0")
    served.answers.forget(served.cluster.put(service("api", "prod", ip="10.0.9.9")).tags)
    assert served.told(f"api.{P} A") == "NOERROR"


def test_a_sentence_is_left_out_first_when_space_is_short() -> None:
    """The SOA and the records stay; nothing is truncated for a sentence."""
    label = "x" * 63
    name = ".".join([label] * 3)
    served = explained(*shop())
    reply = served.ask(f"{name}.prod.{S} A", payload=512)
    assert reply.authority
    assert not reply.flags & 0x0200
    assert len(reply.to_wire()) <= 512
    served.sentences.look(40.0)
    for question in (f"web.{P} A", f"_http._tcp.web.{P} SRV", f"db.{P} SRV"):
        reply = served.ask(question, payload=512)
        assert reply.answer and not reply.flags & 0x0200, question


def test_a_large_answer_gives_its_room_to_records() -> None:
    """While the API server is away every answer has a sentence, unless records need its room."""
    addresses = [f"10.3.{i // 250}.{i % 250 + 1}" for i in range(28)]
    served = explained(
        namespace("prod"), headless("big", "prod"), slice_("big", "prod", addresses=addresses)
    )
    plain = served.ask(f"big.{P} A", payload=512)
    served.answers.clear()
    served.sentences.look(40.0)
    stale = served.ask(f"big.{P} A", payload=512)
    assert len(stale.answer) == len(plain.answer) == 28
    assert not stale.extended_errors()
    assert served.ask(f"big.{P} A").extended_errors()


def test_a_fault_of_ours_costs_the_sentence_alone(monkeypatch: Any) -> None:
    """The answer itself is right without it."""

    def broken(*_: object) -> str:
        raise ValueError

    monkeypatch.setattr(sentences, "why", broken)
    assert explained(*shop()).told(f"api.{P} A") == "NXDOMAIN"


def test_off() -> None:
    """No sentences; the codes that were there before stay, with their texts."""
    served = explained(*shop(), border=Border.OFF)
    assert served.told(f"api.{P} A") == "NXDOMAIN"
    assert served.told("web.prod.svc.old.example A") == "REFUSED 20 not a name of the cluster"
    assert not served.sentences.look(40.0)
    assert served.told(f"web.{P} A") == "NOERROR"
    (until,) = {answer.until for answer in served.answers.table.values()}
    assert until == float("inf")


def test_a_flood_of_names_is_not_searched_for_what_was_meant() -> None:
    """After 20 ms of a second the dear part is left out; the fact is still said."""
    served = explained(*shop())
    assert served.told(f"wbe.{P} A").endswith("did you mean web?")

    def dear() -> float:
        served.worked += 0.015
        return served.worked

    served.sentences._stopwatch = dear
    assert served.told(f"webb.{P} A").endswith("did you mean web?")
    assert served.told(f"wweb.{P} A").endswith("did you mean web?")
    assert served.told(f"weeb.{P} A") == "NXDOMAIN 0 no service weeb in namespace prod"
    served.now += 5
    assert served.told(f"weeb.{P} A").endswith("did you mean web?")


def test_while_the_api_server_is_away_every_answer_says_so() -> None:
    """Positive ones too; and what is not there may be there by now."""
    served = explained(*shop())
    assert served.told(f"web.{P} A") == "NOERROR"
    assert not served.sentences.look(9.9)
    assert served.sentences.look(10.0), "all answers are to be dropped"
    served.answers.clear()
    assert not served.sentences.look(40.2)
    assert served.told(f"web.{P} A") == (
        "NOERROR 3 the API server has not been heard from for 40 s; this is what was known then"
    )
    assert served.told(f"dead.{P} A") == (
        "NXDOMAIN 3 the API server has not been heard from for 40 s; "
        "known then: service dead exists, 0 of 3 endpoints ready"
    )
    assert served.told(f"github.com.{P} A") == (
        "NXDOMAIN 3 the API server has not been heard from for 40 s; this is what was known then"
    )
    served.now += 3
    assert " 40 s" in served.told(f"web.{P} A"), "kept for some seconds: it costs nothing"
    served.now += 3
    assert " 46 s" in served.told(f"web.{P} A")
    assert served.sentences.look(None)
    served.answers.clear()
    assert served.told(f"web.{P} A") == "NOERROR"


def test_sentences_are_short_and_ascii_whatever_is_asked() -> None:
    """A name may hold any octets, and be 255 of them."""
    served = explained(*shop())
    hostile = "\\000\\255\\034" * 15
    for name in (f"{hostile}.{P}", f"a.{hostile}.{S}", f"{'x' * 63}.{'y' * 63}.{S}",
                 f"{hostile}.{hostile}.web.{P}", f"_{'z' * 62}._tcp.web.{P}",
                 f"{hostile}.cluster.local", f"{hostile}.prod.pod.cluster.local"):  # fmt: skip
        (error,) = served.ask(f"{name} SRV").extended_errors()
        assert error.text.isascii() and error.text.isprintable() and len(error.text) <= 120, name
