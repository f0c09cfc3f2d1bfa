"""Which servers a name is asked of, as dnsmasq 2.90 decides it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from dnsmasq_py.options import Options
from dnsmasq_py.routing import NOTHING, Kind, Route, Routes, build
from dnsmasq_py.server import Server
from dnsmasq_py.servertext import address_rules, rev_server_rules, server_rules
from kubedns.nameserver import HostServer
from kubedns.outside.routing import Own
from kubedns.wire import name as names

KUBEDNS = Server("127.0.0.1", 10053)
UP = Server("192.0.2.1")
ONE = Server("10.0.0.1")
TWO = Server("10.0.0.2")
THREE = Server("10.0.0.3", 5353)
RESOLV_CONF = (Server("192.0.2.53"), Server("192.0.2.54"))


@dataclass
class Configured:
    stub_domains: Mapping[str, Sequence[Server | HostServer]] = field(default_factory=dict)
    upstreams: Sequence[Server] = ()


def make(
    *servers: str,
    stubs: Mapping[str, Sequence[Server | HostServer]] | None = None,
    upstreams: Sequence[Server] = (),
    resolv_conf: Sequence[Server] = RESOLV_CONF,
    no_resolv: bool = False,
    addresses: Sequence[str] = (),
    listening: Sequence[tuple[str, int]] = (("0.0.0.0", 53),),
    hosts: Callable[[str], tuple[str, ...]] = lambda _: (),
    previous: Routes = NOTHING,
) -> Routes:
    options = Options(
        servers=tuple(rule for text in servers for rule in server_rules(text)),
        addresses=tuple(rule for text in addresses for rule in address_rules(text)),
        no_resolv=no_resolv,
    )
    own = Own(listening, lambda _: None)
    configured = Configured(stubs or {}, upstreams)
    return build(options, configured, resolv_conf, own=own, hosts=hosts, previous=previous)


def find(routes: Routes, text: str) -> Route:
    return routes.find(names.from_text(text).lower())


def asked(routes: Routes, text: str) -> str:
    """Tell in one word where a name goes."""
    route = find(routes, text)
    if not route.servers:
        return route.kind.name
    return " ".join(map(str, route.servers))


# Each line is what the real dnsmasq does with these options. The servers are 192.0.2.1 (without a
# domain), 10.0.0.1, 10.0.0.2 and 10.0.0.3.
DNSMASQ = [
    ("192.0.2.1 /d/10.0.0.1", {"d": 1, "x.d": 1, "xd": 0, "d.x": 0, ".": 0, "X.D": 1}),
    ("192.0.2.1 /d/10.0.0.1 /x.d/10.0.0.2", {"d": 1, "x.d": 2, "y.x.d": 2, "y.d": 1}),
    ("192.0.2.1 /d/10.0.0.1 /d/", {"d": 1, "x.d": 1}),
    ("/d/ 192.0.2.1 /d/10.0.0.1", {"d": 1, "x.d": 1}),
    ("192.0.2.1 /d/10.0.0.1 /d/#", {"x.d": 0}),
    ("192.0.2.1 /d/ /d/#", {"x.d": 0}),
    ("192.0.2.1 /d/10.0.0.1 /x.d/#", {"x.d": 0, "z.x.d": 0, "y.d": 1}),
    ("192.0.2.1 /d/10.0.0.1 /x.d/", {"x.d": "NXDOMAIN", "y.d": 1}),
    ("192.0.2.1 //10.0.0.1 /d/10.0.0.2", {"x": 1, "d": 2, "x.y": 0, ".": 0}),
    ("192.0.2.1 //", {"x": "NXDOMAIN", "x.y": 0, ".": 0}),
    ("192.0.2.1 //10.0.0.1 /d/#", {"x": 1, "d": 1, "x.d": 0}),
    ("192.0.2.1 /*d/10.0.0.1", {"d": 1, "xd": 1, "x.d": 1, "x.yd": 1, "d.x": 0, "xD": 1}),
    ("192.0.2.1 /*.d/10.0.0.1", {"d": 0, "xd": 0, "x.d": 1, "x.yd": 0, "y.x.d": 1}),
    ("192.0.2.1 /*d/10.0.0.1 /d/10.0.0.2", {"d": 2, "xd": 1, "x.d": 2, "x.yd": 1}),
    (
        "192.0.2.1 /*.d/10.0.0.1 /d/10.0.0.2 /x.d/10.0.0.3",
        {"d": 2, "xd": 0, "x.d": 3, "z.x.d": 3, "y.d": 1},
    ),
    (
        "192.0.2.1 /*xd.com/10.0.0.1 /com/10.0.0.2 /yxd.com/10.0.0.3",
        {"xd.com": 1, "yxd.com": 3, "zxd.com": 1, "a.yxd.com": 3, "a.zxd.com": 1, "q.com": 2},
    ),
    ("192.0.2.1 /*/10.0.0.1", {"d": "192.0.2.1 10.0.0.1"}),
    ("", {"d": "REFUSED", "x.d": "REFUSED", ".": "REFUSED"}),
    ("/d/10.0.0.1 /e/#", {"d": 1, "e": "REFUSED", "x.f": "REFUSED"}),
    ("192.0.2.1 /#/", {"d": 0}),
    ("/#/", {"d": "NXDOMAIN", "x.e": "NXDOMAIN"}),
    ("192.0.2.1 /a/b/10.0.0.1 /b/10.0.0.2", {"a": 1, "b": "10.0.0.1 10.0.0.2"}),
]
SERVERS = ["192.0.2.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"]


@pytest.mark.parametrize(("options", "expected"), DNSMASQ, ids=[line[0] for line in DNSMASQ])
def test_servers_are_chosen_as_dnsmasq_chooses_them(
    options: str, expected: Mapping[str, int | str]
) -> None:
    routes = make(*options.split(), no_resolv=True)
    for name, server in expected.items():
        where = SERVERS[server] if isinstance(server, int) else server
        assert asked(routes, name) == where, name


def test_an_address_rule_without_address_is_nxdomain_unless_a_server_is_named() -> None:
    routes = make("192.0.2.1", "/e/10.0.0.1", addresses=["/d/", "/e/", "/f/10.9.9.9"])
    assert asked(routes, "x.d") == "NXDOMAIN"
    assert asked(routes, "x.e") == "10.0.0.1"
    assert find(routes, "x.f") is routes.default


def test_a_label_that_holds_a_dot_is_no_border() -> None:
    routes = make("/*.d/10.0.0.1", "/a.d/10.0.0.2", "192.0.2.1", no_resolv=True)
    assert routes.find(names.from_labels([b"x.d"])).servers == (UP,)
    assert routes.find(names.from_labels([b"\x01a\x01d"])).servers == (UP,)


def test_rev_server_covers_the_reverse_names_of_its_network() -> None:
    rules = tuple(rev_server_rules("10.1.0.0/16,10.0.0.1"))
    own = Own((), lambda _: None)
    routes = build(Options(servers=rules), Configured(), (UP,), own=own, hosts=lambda _: ())
    assert asked(routes, "4.3.1.10.in-addr.arpa") == "10.0.0.1"
    assert asked(routes, "4.3.2.10.in-addr.arpa") == "192.0.2.1"


# Where servers come from


def test_resolv_conf_counts_only_without_upstreams_in_the_configmap() -> None:
    assert find(make(), "x.y").servers == RESOLV_CONF
    assert find(make(upstreams=(UP,)), "x.y").servers == (UP,)


def test_no_resolv_leaves_resolv_conf_out() -> None:
    assert find(make(no_resolv=True), "x.y").kind is Kind.REFUSED
    assert find(make("192.0.2.1", no_resolv=True), "x.y").servers == (UP,)


def test_servers_of_options_come_before_those_of_resolv_conf_and_of_the_configmap() -> None:
    assert find(make("10.0.0.1"), "x.y").servers == (ONE, *RESOLV_CONF)
    assert find(make("10.0.0.1", upstreams=(UP, ONE)), "x.y").servers == (ONE, UP)


def test_option_and_configmap_for_one_domain_make_one_group_with_each_server_once() -> None:
    routes = make("/d/10.0.0.1", "/d/10.0.0.2", stubs={"d": (TWO, THREE, ONE)})
    assert find(routes, "x.d").servers == (ONE, TWO, THREE)


def test_a_stub_domain_without_servers_does_nothing() -> None:
    assert find(make(stubs={"d": ()}, upstreams=(UP,)), "x.d").servers == (UP,)


def test_a_stub_domain_that_no_name_can_lie_in_does_nothing() -> None:
    routes = make(stubs={"x" * 64 + ".d": (ONE,)})
    assert routes.all == (routes.default,)


# Stub servers given by host name


def test_a_stub_server_given_by_name_is_asked_at_all_its_addresses() -> None:
    known = {"ns.example": ("10.0.0.1", "2001:db8::1")}
    routes = make(stubs={"d": (HostServer("ns.example"), TWO)}, hosts=lambda h: known.get(h, ()))
    assert find(routes, "x.d").servers == (ONE, Server("2001:db8::1"), TWO)
    assert routes.hosts == {"ns.example"}


def test_a_stub_domain_whose_servers_have_no_address_yet_is_asked_of_nobody_else() -> None:
    route = find(make(stubs={"d": (HostServer("ns.example"),)}, upstreams=(UP,)), "x.d")
    assert (route.kind, route.servers) == (Kind.STUB, ())


# The cluster


def test_rules_for_kubedns_are_the_cluster_group_and_its_forward_domains_the_zones() -> None:
    routes = make(
        "/cluster.local/127.0.0.1#10053",
        "/in-addr.arpa/127.0.0.1#10053",
        "/ip6.arpa/127.0.0.1#10053",
        "/acme.local/10.0.0.1",
        "192.0.2.1",
    )
    assert routes.cluster_zones == {names.from_text("cluster.local")}
    for name in ("a.cluster.local", "1.0.0.10.in-addr.arpa", "0.ip6.arpa"):
        route = find(routes, name)
        assert route.cluster
        assert route.servers == (KUBEDNS,)
    assert not find(routes, "x.acme.local").cluster
    assert not routes.default.cluster


def test_a_refusal_of_kubedns_leads_to_the_next_route_that_is_not_kubedns_too() -> None:
    routes = make(
        "/in-addr.arpa/127.0.0.1#10053",
        "/10.in-addr.arpa/10.0.0.1",
        "/1.10.in-addr.arpa/127.0.0.1#10053",
        "/2.10.in-addr.arpa/127.0.0.1#10053",
        "/9.2.10.in-addr.arpa/127.0.0.1#10053",
        upstreams=(UP,),
    )

    def after(text: str) -> tuple[Server, ...]:
        name = names.from_text(text)
        return routes.after(name, routes.find(name)).servers

    assert after("4.3.1.10.in-addr.arpa.") == (ONE,)
    assert after("4.9.2.10.in-addr.arpa.") == (ONE,)
    assert after("1.2.0.192.in-addr.arpa.") == (UP,)
    assert after("example.com.") == (UP,)


def test_a_refusal_of_kubedns_can_lead_to_a_hole_or_to_nobody() -> None:
    name = names.from_text("x.a.d")
    routes = make("/a.d/127.0.0.1#10053", "/d/#", "/e/10.0.0.1", no_resolv=True)
    assert routes.after(name, routes.find(name)).kind is Kind.REFUSED
    routes = make("/a.d/127.0.0.1#10053", "/d/#", upstreams=(UP,))
    assert routes.after(name, routes.find(name)) is routes.default


def test_kubedns_is_asked_even_where_it_looks_like_ourselves() -> None:
    routes = make("/d/127.0.0.1#10053", listening=[("0.0.0.0", 10053)])
    assert find(routes, "x.d").servers == (KUBEDNS,)
    assert routes.warnings == ()


# Servers that cannot be asked


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("127.0.0.1", "local interface"),
        ("127.0.0.53", "local interface"),
        ("::1", "local interface"),
        ("10.9.9.9", "local interface"),
        ("0.0.0.0", "not the address of a server"),
        ("::", "not the address of a server"),
        ("224.0.0.251", "not the address of a server"),
        ("ff02::fb", "not the address of a server"),
        ("255.255.255.255", "not the address of a server"),
        ("10.0.0.1#0", "nothing answers at port 0"),
    ],
)
def test_a_server_that_cannot_be_asked_is_left_out_with_one_warning(
    server: str, reason: str
) -> None:
    listening = [("0.0.0.0", 53), ("10.9.9.9", 53)]
    routes = make(server, f"/d/{server}", f"/e/{server}", "/e/10.0.0.2", "192.0.2.1",
                  listening=listening, no_resolv=True)  # fmt: skip
    assert routes.warnings == (f"ignoring nameserver {server} - {reason}",)
    assert routes.default.servers == (UP,)
    assert find(routes, "x.e").servers == (TWO,)
    assert asked(routes, "x.d") == "STUB"


def test_a_loopback_server_on_another_port_is_not_ourselves() -> None:
    assert find(make("127.0.0.1#5353"), "x.y").servers[0] == Server("127.0.0.1", 5353)


def test_a_resolv_conf_that_names_only_ourselves_leaves_nobody_to_ask() -> None:
    routes = make(resolv_conf=(Server("127.0.0.53"),))
    assert routes.default.kind is Kind.REFUSED
    assert routes.warnings == ("ignoring nameserver 127.0.0.53 - local interface",)


def test_an_address_found_for_a_host_name_may_be_ourselves_too() -> None:
    routes = make(stubs={"d": (HostServer("ns.example"),)}, hosts=lambda _: ("127.0.0.1",))
    assert find(routes, "x.d").servers == ()
    assert len(routes.warnings) == 1
