"""The table, third part: a pod on a bad day, in the order in which things happen to it."""

from __future__ import annotations

from tests.realapi.explained.cluster import CART, CLIENT_POD
from tests.realapi.explained.situation import (
    BLOCKED,
    FILTERED,
    NETWORK,
    NOT_READY,
    OTHER,
    STALE,
    STALE_NXDOMAIN,
    Situation,
)

OPTIONS = ("--domain-needed", "--bogus-priv", "--filter-AAAA")
"""Of the forwarder, which has a stub domain and no upstream servers."""

NOT_SYNCED = (
    Situation(
        "kubedns has not reached the API server yet",
        "cart.prod.svc.cluster.local A", "SERVFAIL",
        (NOT_READY, "not yet in sync with the cluster"),
        "kubedns has not read the whole cluster yet...", ("kubedns",), name="cart",
    ),
    Situation(
        "a stub domain while kubedns waits for the API server",
        "www.corp.example A", "NOERROR", None, "www.corp.example. resolves to 192.0.2.90",
        good=True,
    ),
)  # fmt: skip

WELL = (
    Situation(
        "no upstream servers are known",
        "www.example.org A", "REFUSED",
        (NOT_READY, "no server for this name: no upstream nameservers are known"),
        "www.example.org. fails with REFUSED: no server for this name: ...", ("upstream",),
    ),
    Situation(
        "names of one label stay here",
        "printer A", "NXDOMAIN",
        (BLOCKED, "--domain-needed: names of one label are asked of nobody"),
        "printer. does not exist: --domain-needed: ...",
    ),
    Situation(
        "reverse names of private addresses stay here",
        "-x 192.168.77.7", "NXDOMAIN",
        (BLOCKED, "--bogus-priv: reverse names of private addresses stay here"),
        "7.77.168.192.in-addr.arpa. has no PTR record: --bogus-priv: ...",
    ),
    Situation(
        "a type that is filtered",
        "www.corp.example AAAA", "NOERROR",
        (FILTERED, "addresses of this family are left out: --filter-A, --filter-AAAA"),
        "www.corp.example. exists, but has no AAAA record: ... left out: --filter-A...",
    ),
    Situation(
        "a namespace without services, for who may not list namespaces",
        "cart.prodd.svc.cluster.local A", "NXDOMAIN",
        (OTHER, "no service cart in namespace prodd; did you mean prod?; there is a service cart "
                "in prod"),
        "there is no service cart in namespace prodd; there is one in prod", ("did-you-mean",),
        name="cart.prodd",
    ),
    Situation(
        "a client's address, for who may not list pods",
        "cart.prod.svc.cluster.local A", "NOERROR", None,
        "there is no service cart in namespace default; there is one in prod", ("namespace",),
        name="cart", asked_from=CLIENT_POD, answers=(CART,),
    ),
    Situation(
        "an answer of a stub domain that expires soon",
        "brief.corp.example A", "NOERROR", None, "brief.corp.example. resolves to 192.0.2.91",
        good=True,
    ),
    Situation(
        "a missing name of a stub domain that expires soon",
        "gone.corp.example A", "NXDOMAIN", None,
        "gone.corp.example. does not exist: so say the servers of the stub domain corp.example.",
    ),
)  # fmt: skip

API_AWAY = (
    Situation(
        "an unknown service while the API server is away",
        "nope.prod.svc.cluster.local A", "NXDOMAIN",
        (STALE, "the API server has not been heard from for ... s; known then: no service nope in "
                "namespace prod"),
        "there is no service nope in namespace prod", ("api-server",), name="nope",
    ),
    Situation(
        "a service of another namespace while the API server is away",
        "stock.prod.svc.cluster.local A", "NXDOMAIN",
        (STALE, "the API server has not been heard from for ... s; ..."),
        "there is no service stock in namespace prod; there is one in qa-prod and test",
        ("api-server", "namespace"), name="stock",
    ),
    Situation(
        "a service that resolves while the API server is away",
        "till.prod.svc.cluster.local A", "NOERROR",
        (STALE, "the API server has not been heard from for ... s; this is what was known then"),
        "till resolves to ...", ("api-server",), name="till", good=True,
    ),
)  # fmt: skip

STUB_SILENT = (
    Situation(
        "a stub domain is silent, and its old answer is given",
        "brief.corp.example A", "NOERROR",
        (STALE, "upstream of stub domain corp.example has not answered for ... s"),
        "brief.corp.example. resolves to 192.0.2.91", good=True, answers=("192.0.2.91",),
    ),
    Situation(
        "a stub domain is silent, and it is an old answer that there is none",
        "gone.corp.example A", "NXDOMAIN",
        (STALE_NXDOMAIN, "upstream of stub domain corp.example has not answered for ... s"),
        "gone.corp.example. does not exist...",
    ),
)  # fmt: skip

KUBEDNS_AWAY = (
    Situation(
        "kubedns is away, and its old answer is given",
        "cart.prod.svc.cluster.local A", "NOERROR",
        (STALE, "kubedns ...not answer..."),
        f"cart.prod.svc.cluster.local. resolves to {CART}", ("kubedns-away",), good=True,
        answers=(CART,),
    ),
    Situation(
        "kubedns is away, and nothing is known of a name",
        "fresh.prod.svc.cluster.local A", "SERVFAIL",
        (NETWORK, "kubedns is away and nothing is known of this name"),
        "fresh.prod.svc.cluster.local. fails with SERVFAIL: kubedns is away and nothing is "
        "known...",
        ("kubedns", "kubedns-away"),
    ),
)  # fmt: skip
