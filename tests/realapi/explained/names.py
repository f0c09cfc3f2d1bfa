"""The table, first part: names of the cluster, with everything in good order around them."""

from __future__ import annotations

from tests.realapi.explained.cluster import CART, CLIENT_POD, NOBODYS, STOCK
from tests.realapi.explained.situation import OTHER, Situation

NAMES = (
    Situation(
        "a service of another namespace",
        "stock.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "no service stock in namespace prod; there is one in qa-prod, test"),
        "there is no service stock in namespace prod; there is one in qa-prod and test",
        ("namespace", "did-you-mean"), name="stock",
    ),
    Situation(
        "a slip of the finger in the service",
        "crt.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "no service crt in namespace prod; did you mean cart...?"),
        "there is no service crt in namespace prod", ("did-you-mean",), name="crt",
    ),
    Situation(
        "a slip of the finger in the namespace",
        "cart.prodd.svc.cluster.local", "NXDOMAIN",
        (OTHER, "namespace prodd does not exist; did you mean prod?; there is a service cart in "
                "prod"),
        "namespace prodd does not exist...", ("did-you-mean",), name="cart.prodd",
    ),
    Situation(
        "neither the service nor the namespace exists",
        "nothing.nowhere.svc.cluster.local", "NXDOMAIN",
        (OTHER, "namespace nowhere does not exist"),
        "namespace nowhere does not exist...", name="nothing.nowhere",
    ),
    Situation(
        "namespace and service the other way round",
        "prod.till.svc.cluster.local", "NXDOMAIN",
        (OTHER, "namespace till does not exist; the other way round, till.prod.svc, it exists"),
        "namespace till does not exist...", ("did-you-mean",), name="prod.till",
    ),
    Situation(
        "the label svc is missing",
        "cart.prod.cluster.local", "NXDOMAIN",
        (OTHER, "the label svc is missing: cart.prod.svc.cluster.local"),
        "cart.prod.cluster.local does not exist: the label svc is missing: ...",
        ("did-you-mean",), name="cart.prod.cluster.local",
    ),
    Situation(
        "a headless service whose three endpoints are not ready",
        "orders.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "service orders exists, 0 of 3 endpoints ready"),
        "service orders in namespace prod exists, but none of its 3 endpoints is ready",
        name="orders",
    ),
    Situation(
        "a pod whose readiness probe fails",
        "reports.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "service reports exists, 0 of 1 endpoints ready"),
        "service reports in namespace prod exists, but its only endpoint is not ready",
        ("readiness",), name="reports",
    ),
    Situation(
        "a headless service that selects nothing",
        "unborn.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "service unborn exists, headless and without endpoints"),
        "service unborn in namespace prod exists, but has no endpoints", ("selector",),
        name="unborn",
    ),
    Situation(
        "no port of that name",
        "_htp._tcp.cart.prod.svc.cluster.local SRV", "NXDOMAIN",
        (OTHER, "no port named htp; cart has http, metrics"),
        "service cart in namespace prod has no port named htp...; it has http (TCP), metrics (TCP)",
        ("port",), name="_htp._tcp.cart",
    ),
    Situation(
        "a port with another protocol",
        "_http._udp.cart.prod.svc.cluster.local SRV", "NXDOMAIN",
        (OTHER, "port http of cart is TCP, not UDP"),
        "service cart in namespace prod has no port named http for that protocol; ...",
        ("port",), name="_http._udp.cart",
    ),
    Situation(
        "a service whose port has no name",
        "_http._tcp.nameless.prod.svc.cluster.local SRV", "NXDOMAIN",
        (OTHER, "no port named http; no port of nameless has a name"),
        "service nameless in namespace prod has no port named http...; its ports have no names",
        ("port",), name="_http._tcp.nameless",
    ),
    Situation(
        "the address of a port",
        "_http._tcp.cart.prod.svc.cluster.local A", "NOERROR",
        (OTHER, "ports have SRV records, not A"),
        "_http._tcp.cart.prod.svc.cluster.local. exists, but has no A record...",
        name="_http._tcp.cart",
    ),
    Situation(
        "no endpoint of that name",
        "db-7.db.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "no endpoint of db has the name db-7; it has db-0, db-1"),
        "service db in namespace prod exists, but it has no ready endpoint named db-7",
        name="db-7.db",
    ),
    Situation(
        "an endpoint that is not ready",
        "reports-0.reports.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "...service reports exists, 0 of 1 endpoints ready"),
        "service reports in namespace prod exists, but its only endpoint is not ready",
        ("readiness",), name="reports-0.reports",
    ),
    Situation(
        "a name of an endpoint below a service with a cluster IP",
        "pod-1.cart.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "cart has a cluster IP, so its endpoints have no names"),
        "service cart in namespace prod exists, but ...pod-1...", name="pod-1.cart",
    ),
    Situation(
        "IPv6 of a service that has IPv4",
        "cart.prod.svc.cluster.local AAAA", "NOERROR",
        (OTHER, "cart has no AAAA records: its addresses are IPv4"),
        "cart.prod.svc.cluster.local. exists, but has no AAAA record: ...", name="cart",
    ),
    Situation(
        "IPv6 of an endpoint that has IPv4",
        "db-0.db.prod.svc.cluster.local AAAA", "NOERROR",
        (OTHER, "db-0 has no AAAA records: its addresses are IPv4"),
        "db-0.db.prod.svc.cluster.local. exists, but has no AAAA record...", name="db-0.db",
    ),
    Situation(
        "a type that services do not have",
        "cart.prod.svc.cluster.local TXT", "NOERROR", (OTHER, "cart has no TXT records"),
        "cart.prod.svc.cluster.local. exists, but has no TXT record...", name="cart",
    ),
    Situation(
        "the name of a namespace",
        "prod.svc.cluster.local", "NOERROR",
        (OTHER, "a namespace has no records; names of services are in front of it"),
        "prod.svc.cluster.local. exists, but has no...: a namespace has no records...",
    ),
    Situation(
        "an IP address as externalName",
        "partner.prod.svc.cluster.local AAAA", "NOERROR",
        (OTHER, "externalName is an IP address (192.0.2.7): partner has no AAAA records"),
        "service partner in namespace prod is of type ExternalName with the IP address "
        "192.0.2.7...",
        ("external-name",), name="partner",
    ),
    Situation(
        "externalNames that lead in a circle",
        "ring-a.prod.svc.cluster.local", "NOERROR",
        (OTHER, "the externalName of ring-a leads in a circle"),
        "service ring-a in namespace prod is an alias of ring-b.prod.svc.cluster.local., ...: "
        "the externalName of ring-a leads in a circle",
        ("external-name",), name="ring-a",
    ),
    Situation(
        "an externalName that leads to a service which is not there",
        "legacy.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "the externalName of legacy leads to cart.test.svc.cluster.local, "
                "which does not exist"),
        "service legacy in namespace prod is an alias of cart.test.svc.cluster.local., ...",
        ("external-name",), name="legacy", answers=("cart.test.svc.cluster.local.",),
    ),
    Situation(
        "an externalName that nobody outside knows",
        "crm.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "the externalName leads to gone.corp.example, which does not exist"),
        "service crm in namespace prod is an alias of gone.corp.example., ...",
        ("external-name",), name="crm", answers=("gone.corp.example.",),
    ),
    Situation(
        "an externalName that resolves",
        "erp.prod.svc.cluster.local", "NOERROR", None, "erp resolves to 192.0.2.90",
        name="erp", good=True, answers=("www.corp.example.", "192.0.2.90"),
    ),
    Situation(
        "a product of the search path",
        "github.com.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "looks like a search-path product of github.com; no service com in namespace prod"),
        "github.com.prod.svc.cluster.local. does not exist: looks like a search-path product of "
        "github.com...",
    ),
    Situation(
        "a product of the search path that is certain",
        "cart.prod.svc.cluster.local.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "search-path product of cart.prod.svc.cluster.local; ..."),
        "... does not exist: search-path product of cart.prod.svc.cluster.local...",
    ),
    Situation(
        "no address in the name of a pod",
        "10-9-77.prod.pod.cluster.local", "NXDOMAIN",
        (OTHER, "10-9-77 is no address with dashes; pod names are like 10-1-2-3.prod.pod"),
        "10-9-77.prod.pod.cluster.local. is no name of a pod: ...",
    ),
    Situation(
        "IPv6 of a pod's name that spells IPv4",
        "10-9-77-7.prod.pod.cluster.local AAAA", "NOERROR",
        (OTHER, "10-9-77-7 has no AAAA records; its address is IPv4"),
        "10-9-77-7.prod.pod.cluster.local. exists, but has no AAAA record...",
    ),
    Situation(
        "a pod's name of a namespace that does not exist",
        "10-9-77-7.prodd.pod.cluster.local", "NXDOMAIN",
        (OTHER, "namespace prodd does not exist; did you mean prod?"),
        "namespace prodd does not exist",
    ),
    Situation(
        "wildcards, which are off",
        "*.prod.svc.cluster.local", "NXDOMAIN",
        (OTHER, "names with * are not answered (--wildcards is off)"),
        "*.prod.svc.cluster.local. does not exist: names with * are not answered...",
    ),
    Situation(
        "an address that is nobody's",
        f"-x {NOBODYS}", "NXDOMAIN", (OTHER, f"no service has the address {NOBODYS}"),
        f"209.0.0.10.in-addr.arpa. has no PTR record: no service has the address {NOBODYS}",
    ),
    # What resolves
    Situation(
        "a cluster IP behind which no endpoint is ready",
        "idle.prod.svc.cluster.local", "NOERROR", None, "idle resolves to 10.0...", ("readiness",),
        name="idle", good=True,
    ),
    Situation(
        "a service",
        "cart.prod.svc.cluster.local", "NOERROR", None, f"cart resolves to {CART}", ("aaaa",),
        name="cart", good=True, answers=(CART,),
    ),
    Situation(
        "a service of another namespace, as it should be asked for",
        "stock.test.svc.cluster.local", "NOERROR", None,
        f"stock.test resolves to {STOCK}, after 2 questions in vain", ("aaaa",),
        name="stock.test", good=True, answers=(STOCK,),
    ),
    Situation(
        "a named port",
        "_metrics._tcp.cart.prod.svc.cluster.local SRV", "NOERROR", None,
        "_metrics._tcp.cart resolves to ...9090 cart.prod.svc.cluster.local. for glibc, but not "
        "for musl: ...",
        name="_metrics._tcp.cart",
    ),
    Situation(
        "the address of a service",
        f"-x {CART}", "NOERROR", None,
        "201.0.0.10.in-addr.arpa. resolves to cart.prod.svc.cluster.local.", good=True,
        answers=("cart.prod.svc.cluster.local.",),
    ),
    Situation(
        "a client known by its pod's address",
        "cart.prod.svc.cluster.local", "NOERROR", None, f"cart resolves to {CART}",
        name="cart", asked_from=CLIENT_POD, good=True,
    ),
)  # fmt: skip
