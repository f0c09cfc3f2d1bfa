"""Why a name does not resolve, in one sentence, and what to do: each situation with both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from sidecar.explain.inquiry import Around
from tests.explaining import Cluster, Name, resolving, rule, service

WEB = "web.prod.svc.cluster.local."
NAMESPACE = {"name": "prod", "exists": True}
STUB = rule("stub", "acme.local.", "192.0.2.9:53")
SLICE = {"name": "web-1", "ready": 0, "unready": 2, "unready_pods": ["web-a", "web-b"]}
UNREADY = {**service("web"), "ready": 0, "unready": 2, "slices": [SLICE]}


@dataclass(frozen=True)
class Case:
    """What is asked for, what is in the cluster, and what is said about it."""

    story: str
    name: str
    names: Mapping[str, Name]
    text: str
    good: bool = False
    hints: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    away: Mapping[str, str] = field(default_factory=dict)
    pods: Mapping[str, object] = field(default_factory=dict)


V4 = {"aaaa": "that there is no AAAA record is normal: its addresses are IPv4"}
CASES = [
    Case(
        "a service", "web", {WEB: resolving()}, "web resolves to 192.0.2.1", good=True, hints=V4,
    ),
    Case(
        "a service of another namespace",
        "web.test", {"web.test.svc.cluster.local.": resolving()},
        "web.test resolves to 192.0.2.1, after 2 questions in vain", good=True, hints=V4,
    ),
    Case(
        "an external name costs questions in the search list",
        "github.com", {"github.com.": resolving()},
        "github.com resolves to 192.0.2.1, after 6 questions in vain", good=True,
        hints=V4 | {
            "ndots": "set ndots:2 in the pod's dnsConfig, or ask for github.com. with a final dot: "
            "that saves 6 questions each time",
        },
    ),
    Case(
        "the service is misspelt",
        "wbe", {"wbe.prod.svc.cluster.local.": Name(
            ours={"namespace": NAMESPACE, "did_you_mean": [WEB]}
        )},
        "there is no service wbe in namespace prod",
        hints={"did-you-mean": f"did you mean {WEB}?"},
    ),
    Case(
        "the service is elsewhere",
        "web", {WEB: Name(ours={"namespace": NAMESPACE, "elsewhere": ["test", "dev"]})},
        "there is no service web in namespace prod; there is one in test and dev",
        hints={"namespace": "from another namespace ask for web.test or web.dev"},
    ),
    Case(
        "the namespace does not exist",
        "web.prodd", {"web.prodd.svc.cluster.local.": Name(
            ours={"namespace": {"name": "prodd", "exists": False}}
        )},
        "namespace prodd does not exist, and outside of the cluster web.prodd. does not exist "
        "either",
    ),
    Case(
        "the service is missing, and the upstreams are away as well",
        "web", {
            WEB: Name(ours={"namespace": NAMESPACE}),
            "web.": Name("SERVFAIL", ede="upstream 192.0.2.53 timed out"),
        },
        "there is no service web in namespace prod",
    ),
    Case(
        "no endpoint is ready",
        "web", {WEB: Name(ours=UNREADY | {
            "unready_reasons": [{"pod": "web-a", "reason": "readiness probe fails"}]
        })},
        "service web in namespace prod exists, but none of its 2 endpoints is ready",
        hints={"readiness": "pod web-a: readiness probe fails"},
    ),
    Case(
        "no endpoint is ready, and the pods may not be looked at",
        "web", {WEB: Name(ours=UNREADY)},
        "service web in namespace prod exists, but none of its 2 endpoints is ready",
        hints={"readiness": "not ready: pod web-a, web-b"},
    ),
    Case(
        "a cluster IP resolves without a ready endpoint",
        "web", {WEB: resolving(ours=UNREADY | service("web", cluster_ips=["192.0.2.1"]))},
        "web resolves to 192.0.2.1", good=True,
        hints={
            "readiness": "the name resolves, but no endpoint is ready, so connections fail: not "
            "ready: pod web-a, web-b",
        } | V4,
    ),
    Case(
        "the selector fits nothing",
        "web", {WEB: Name("NOERROR", ours=service("web"))},
        "service web in namespace prod exists, but has no endpoints",
        hints={"selector": "look whether the service's selector matches the labels of any pod"},
    ),
    Case(
        "no such endpoint",
        "web-9.web", {"web-9.web.prod.svc.cluster.local.": Name(
            ours=service("web") | {"kind": "endpoint", "ready": 2, "unready": 0}
        )},
        "service web in namespace prod exists, but it has no ready endpoint named web-9",
    ),
    Case(
        "no such port",
        "_htp._tcp.web", {"_htp._tcp.web.prod.svc.cluster.local.": Name(
            ours=service("web", ports=[{"name": "http", "protocol": "TCP", "port": 80}])
            | {"kind": "port", "ready": 1}
        )},
        "service web in namespace prod has no port named htp for that protocol; it has http (TCP)",
        query={"type": "SRV"},
        hints={
            "port": "an SRV name is _<port name>._<tcp or udp>.<service>: the port needs a name in "
            "the Service",
        },
    ),
    Case(
        "the alias is an address",
        "web", {WEB: Name("NOERROR", ours=service("web", external_name="10.1.2.3"))},
        "service web in namespace prod is of type ExternalName with the IP address 10.1.2.3: DNS "
        "can make no alias of an address",
        hints={
            "external-name": "make it a headless Service without selector, and an EndpointSlice "
            "with the address 10.1.2.3",
        },
    ),
    Case(
        "the alias leads nowhere",
        "web", {WEB: Name(
            ours=service("web", external_name="x.example.") | {"outside": "x.example."}
        )},
        "service web in namespace prod is an alias of x.example., and that has no address",
        hints={"external-name": "explain x.example. next: the alias is as good as its target"},
    ),
    Case(
        "the target of an alias fails",
        "web", {WEB: Name(
            "SERVFAIL", ede="upstream 192.0.2.53 timed out",
            ours=service("web", external_name="x.example.") | {"outside": "x.example."},
        )},
        "service web in namespace prod is an alias of x.example., and that fails with SERVFAIL: "
        "upstream 192.0.2.53 timed out",
        hints={"external-name": "explain x.example. next: the alias is as good as its target"},
    ),
    Case(
        "the servers of a stub domain are silent",
        "db.acme.local.", {"db.acme.local.": Name(
            "SERVFAIL", ede="stub domain acme.local: 192.0.2.9 timed out", theirs=STUB
        )},
        "db.acme.local. fails with SERVFAIL: it is of the stub domain acme.local. with the servers "
        "192.0.2.9:53: stub domain acme.local: 192.0.2.9 timed out",
        hints={
            "stub-domain": "look at the servers of the stub domain acme.local. in the ConfigMap "
            "kube-dns, and whether a NetworkPolicy or a firewall keeps this pod from them",
        },
    ),
    Case(
        "a name that a stub domain does not have",
        "db.acme.local.", {"db.acme.local.": Name(theirs=STUB)},
        "db.acme.local. does not exist: so say the servers of the stub domain acme.local.",
    ),
    Case(
        "the upstream servers are silent",
        "x.example.", {"x.example.": Name("SERVFAIL", theirs={
            "upstreams": [{"server": "192.0.2.53:53", "state": "down"}],
            "failure": {"text": "upstream 192.0.2.53 timed out", "left_s": 4.2},
        })},
        "x.example. fails with SERVFAIL: upstream 192.0.2.53 timed out",
        hints={
            "upstream": "the upstream servers are those of the ConfigMap kube-dns or of the node: "
            "down are 192.0.2.53:53",
            "cache": "the failure of x.example. is kept for 4 s more, then asked again",
        },
    ),
    Case(
        "there are no upstream servers",
        "x.example.", {"x.example.": Name("REFUSED", theirs=rule("none"))},
        "x.example. fails with REFUSED: the upstream servers do not answer",
        hints={
            "upstream": "no upstream servers are known: give upstreamNameservers in the ConfigMap "
            "kube-dns",
        },
    ),
    Case(
        "a name that does not exist anywhere",
        "x.example.", {}, "x.example. does not exist: so say the upstream servers",
    ),
    Case(
        "a live try says more than the reply",
        "x.example.", {"x.example.": Name("SERVFAIL")},
        "x.example. fails with SERVFAIL: 192.0.2.53:53 timed out after 2.0 s",
        query={"try": "1"},
        hints={
            "upstream": "the upstream servers are those of the ConfigMap kube-dns or of the node: "
            "none of them is known to be down",
        },
    ),
    Case(
        "kubedns has not read the cluster yet",
        "web", {WEB: Name("SERVFAIL", ede="not synced", ours={"synced": False})},
        "kubedns has not read the whole cluster yet: until it has, unknown names fail",
        hints={
            "kubedns": "look at what kubedns waits for: its log, or the status page under Sources",
        },
    ),
    Case(
        "kubedns is away",
        "web", {each: Name("SERVFAIL", ede="kubedns is away")
                for each in (WEB, "web.svc.cluster.local.", "web.cluster.local.")},
        f"{WEB} fails with SERVFAIL: kubedns is away",
        away={"kubedns": "connection refused"},
        hints={
            "kubedns": "look at the container kubedns of this pod: its log, and whether it "
            "restarts",
            "kubedns-away": "kubedns: connection refused; this is explained without it",
        },
    ),
    Case(
        "the forwarder is away: what kubedns knows is no answer for anybody",
        "web", {WEB: resolving()},
        "the DNS of this pod does not answer: connection refused by 127.0.0.1:53: no name resolves "
        f"for who asks it; kubedns knows {WEB}: 192.0.2.1",
        away={"dnsmasq": "connection refused", "dns": "connection refused by 127.0.0.1:53"},
        hints=V4 | {
            "dns": "look at the container dnsmasq of this pod: its log, and whether it restarts",
            "forwarder-away": "the forwarder: connection refused; this is explained without it",
        },
    ),
    Case(
        "the API server is away",
        "web", {WEB: resolving(ours={"api_away_s": 40.2})}, "web resolves to 192.0.2.1", good=True,
        hints=V4 | {
            "api-server": "the API server has not been heard for 40 s: later changes are not known",
        },
    ),
    Case(
        "an old answer, for who should answer is away",
        "web", {WEB: resolving(
            ede="kubedns has not answered for 12 s", theirs={"cache": {"expired": True}}
        )},
        "web resolves to 192.0.2.1", good=True,
        hints={"stale": "the answer is an old one from the cache: who should answer does not"} | V4,
    ),
    Case(
        "a missing name that the cache holds",
        "x.example.", {"x.example.": Name(theirs={"cut_by": "NXDOMAIN of example."})},
        "x.example. does not exist: so say the upstream servers",
        hints={
            "cache": "it is not asked for again as long as this is kept: NXDOMAIN of example.",
        },
    ),
    Case(
        "there are no records of that type",
        "web", {WEB: Name("NOERROR", ede="web has no AAAA records: its addresses are IPv4")},
        f"{WEB} exists, but has no AAAA record: web has no AAAA records: its addresses are IPv4",
        query={"type": "AAAA"},
    ),
    Case(
        "a search domain that has a wildcard without addresses stops musl",
        "web.test", {
            "web.test.prod.svc.cluster.local.": Name("NOERROR"),
            "web.test.svc.cluster.local.": resolving(),
        },
        "web.test resolves to 192.0.2.1 for glibc, but not for musl: it stops at "
        "web.test.prod.svc.cluster.local., which exists without such records",
        hints=V4 | {
            "resolvers": "the full name with a final dot works for both: "
            "web.test.svc.cluster.local.",
        },
    ),
    Case(
        "musl does not search for a name with enough dots",
        "web.test", {"web.test.svc.cluster.local.": resolving()},
        "web.test resolves to 192.0.2.1 for glibc, but not for musl: a name with 1 dot and "
        "ndots:1 is tried only as it is there",
        query={"ndots": "1"},
        hints=V4 | {
            "resolvers": "the full name with a final dot works for both: "
            "web.test.svc.cluster.local.",
        },
    ),
    Case(
        "a broken search domain costs nothing but time to glibc, and stops musl",
        "github.com", {"github.com.corp.example.": Name("SERVFAIL"), "github.com.": resolving()},
        "github.com resolves to 192.0.2.1 for glibc, but not for musl: it stops at "
        "github.com.corp.example., which fails with SERVFAIL",
        query={"search": "corp.example"},
        hints={
            "resolvers": "the full name with a final dot works for both: github.com.",
            "search": "the search domain corp.example. costs time at each look-up: "
            "github.com.corp.example. takes 0.0 s and ends with SERVFAIL",
        } | V4,
    ),
    Case(
        "half of the answer fails, and stops musl however the name is written",
        "web", {WEB: resolving(otherwise="SERVFAIL")},
        "web resolves to 192.0.2.1 for glibc, but not for musl: it stops at "
        "web.prod.svc.cluster.local., which fails with SERVFAIL",
        hints={"kubedns": "look at the container kubedns of this pod: its log, and whether it "
               "restarts"},
    ),
    Case(
        "a name that fails before the search list is gone through is no search domain",
        "web.test", {"web.test.": Name("SERVFAIL"), "web.test.corp.example.": resolving()},
        "web.test resolves to 192.0.2.1 for glibc, but not for musl: a name with 1 dot and "
        "ndots:1 is tried only as it is there",
        query={"ndots": "1", "search": "corp.example"},
        hints=V4 | {
            "resolvers": "the full name with a final dot works for both: web.test.corp.example.",
        },
    ),
    Case(
        "no pod has such an address",
        "10.1.2.3", {}, "3.2.1.10.in-addr.arpa. has no PTR record",
    ),
    Case(
        "a pod's name that is none",
        "10-1-2-300.prod.pod.cluster.local.",
        {"10-1-2-300.prod.pod.cluster.local.": Name(
            ede="10-1-2-300 is no IP address with dashes", ours={"kind": "pod"}
        )},
        "10-1-2-300.prod.pod.cluster.local. is no name of a pod: 10-1-2-300 is no IP address with "
        "dashes",
    ),
    Case(
        "the search list is too long for musl",
        "web.test", {"web.test.a.example.": resolving()},
        "web.test resolves to 192.0.2.1 for glibc, but not for musl: it ignores the search list, "
        "which is too long for it",
        query={"search": ",".join(["a.example", *(f"{n}.{'x' * 60}.example" for n in range(4))])},
        hints={
            "resolvers": "the full name with a final dot works for both: web.test.a.example."
        } | V4,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.story)
def test_verdict(case: Case) -> None:
    """One sentence, and hints."""
    cluster = Cluster(case.names, away=dict(case.away), pods=case.pods)
    found = cluster.explain(case.name, **case.query)
    assert found.verdict.text == case.text
    assert found.verdict.good is case.good
    assert {each.id: each.text for each in found.verdict.hints} == dict(case.hints)


def test_the_dns_of_the_pod_is_silent() -> None:
    """One time-out is waited for, not one for each question."""
    cluster = Cluster({}, away={"dns": "no reply from 127.0.0.1:53 within 5 s"})
    found = cluster.explain("x.example.")
    assert found.verdict.text == (
        "the DNS of this pod does not answer: no reply from 127.0.0.1:53 within 5 s: no name "
        "resolves for who asks it"
    )
    assert sum(each.startswith("dns ") for each in cluster.asked) <= 2  # A and AAAA together


def test_the_time_is_over() -> None:
    """Slow search domains: what was not asked any more is told, and blamed on nobody."""
    domains = [f"{name}.example" for name in "abcdef"]
    cluster = Cluster({f"web.{each}.": Name("SERVFAIL", took_s=2.25) for each in domains})
    found = cluster.explain("web", Around(), search=",".join(domains))
    assert found.walks[0].steps[-1].ede == "not asked: there was no time left"
    assert found.notes == ("after 12 s nothing more was asked",)
    assert found.verdict.text.startswith("web.a.example. fails with SERVFAIL")
    assert cluster.now < 1000 + 12 + 2 * 2.25


def test_more_addresses_than_fit_into_a_sentence() -> None:
    """Three are told, and how many more there are."""
    web = resolving("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
    assert Cluster({WEB: web}).explain("web").verdict.text.endswith(" and 1 more")


def test_a_name_that_a_search_domain_makes_too_long() -> None:
    """musl gives up before it asks anybody."""
    name = ".".join([*["x" * 60] * 4, "zzzz"])
    found = Cluster({f"{name}.": resolving()}).explain(name, search="aa.bb")
    assert found.walks[1].steps == ()
    assert found.verdict.text.endswith(
        " for glibc, but not for musl: with a search domain behind it the name is too long"
    )


def test_every_question_is_put_once() -> None:
    """To each process; musl's walk takes the replies of glibc's."""
    cluster = Cluster({})
    cluster.explain("web", type="A")
    assert len(cluster.asked) == len(set(cluster.asked)) == 12


def test_nothing_further_is_asked_once_there_is_an_answer() -> None:
    """No name of the cluster goes to an upstream because somebody wants to know about it."""
    cluster = Cluster({WEB: resolving()})
    cluster.explain("web")
    assert {each.split()[1] for each in cluster.asked if each.startswith("dns ")} == {WEB}


def test_the_pod_of_an_address() -> None:
    """Its namespace is where the walk begins."""
    pods = {"pods": {"10.1.2.3": {"namespace": "shop", "name": "web-1"}}, "allowed": True}
    found = Cluster({}, pods=pods).explain("web", origin="10.1.2.3")
    assert found.client.pod == ("shop", "web-1")
    assert found.client.search[0] == "shop.svc.cluster.local."


def test_an_address_without_a_pod() -> None:
    """It is explained all the same, and told."""
    found = Cluster({}, pods={"pods": {"10.1.2.3": None}}).explain("web", origin="10.1.2.3")
    assert (found.client.pod, found.client.namespace) == (None, None)
    assert found.notes == (
        "cannot tell which pod has 10.1.2.3: no pod has it; as a pod of the namespace default asks",
    )


def test_pods_are_looked_at_only_when_none_is_ready() -> None:
    """That costs the API server something."""
    cluster = Cluster({WEB: Name(ours=UNREADY)})
    cluster.explain("web", type="A")
    assert sum("pods=1" in each for each in cluster.asked) == 1
    cluster = Cluster({WEB: resolving(ours={**UNREADY, "ready": 1})})
    cluster.explain("web", type="A")
    assert not [each for each in cluster.asked if "pods=1" in each]


def test_servers_are_asked_live_only_for_the_last_name() -> None:
    """And only if that is wanted."""
    cluster = Cluster({})
    found = cluster.explain("web", type="A", **{"try": "1"})
    assert [each for each in cluster.asked if "try=1" in each] == [
        "dnsmasq /explain?name=web.&type=A&try=1"
    ]
    assert found.tried
    assert found.questions[-1].forwarder is not None
    assert found.questions[-1].forwarder["live"]


@pytest.mark.parametrize(
    "page",
    [{}, {"kind": 7, "service": [], "namespace": "x", "ready": "many", "slices": {}, "ours": "yes"},
     {"service": {"ports": [1, None], "cluster_ips": "x"}, "did_you_mean": [None, {}]}],
)  # fmt: skip
def test_pages_of_any_shape(page: dict[str, object]) -> None:
    """Another version's, or a broken one: there is a verdict, whatever it is."""
    cluster = Cluster({WEB: Name(ours=page, theirs={"rule": page, "cache": page, "upstreams": 3})})
    assert cluster.explain("web").verdict.text
