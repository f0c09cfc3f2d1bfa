"""A new configuration: what stays the same object, for which names, and what does not."""

import random
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest

from dnsmasq_py.options import Options
from dnsmasq_py.routing import NOTHING, Routes, build
from dnsmasq_py.server import Server
from dnsmasq_py.servertext import server_rules
from kubedns.nameserver import HostServer
from kubedns.outside.routing import Own
from kubedns.wire import name as names

ONE = Server("10.0.0.1")
TWO = Server("10.0.0.2")
UP = Server("192.0.2.1")
OPTIONS = Options(
    servers=tuple(
        rule
        for text in ("/cluster.local/127.0.0.1#10053", "/in-addr.arpa/127.0.0.1#10053", "/hole/#")
        for rule in server_rules(text)
    )
)
Stubs = Mapping[str, Sequence[Server | HostServer]]


def make(
    stubs: Stubs,
    upstreams: Sequence[Server] = (UP,),
    previous: Routes = NOTHING,
    hosts: Mapping[str, tuple[str, ...]] | None = None,
    options: Options = OPTIONS,
) -> Routes:
    # New objects each time, as when a ConfigMap is read again.
    fresh = {
        domain: tuple(Server(s.address, s.port) if isinstance(s, Server) else s for s in servers)
        for domain, servers in stubs.items()
    }
    return build(
        options,
        SimpleNamespace(stub_domains=fresh, upstreams=tuple(upstreams)),
        (),
        own=Own([("0.0.0.0", 53)], lambda _: None),
        hosts=lambda host: (hosts or {}).get(host, ()),
        previous=previous,
    )


def same(old: Routes, new: Routes, text: str) -> bool:
    name = names.from_text(text)
    return old.find(name) is new.find(name)


def test_an_equal_configuration_gives_the_very_same_routes() -> None:
    old = make({"acme.local": (ONE, TWO)})
    new = make({"acme.local": (ONE, TWO)}, previous=old)
    assert new is not old
    assert all(a is b for a, b in zip(old.all, new.all, strict=True))
    assert new.default is old.default


def test_what_is_kept_at_a_route_stays_there() -> None:
    old = make({"acme.local": (ONE,)})
    marker = object()
    old.find(names.from_text("acme.local")).group = marker  # type: ignore[assignment]
    new = make({"acme.local": (ONE,), "b": (TWO,)}, previous=old)
    assert new.find(names.from_text("x.acme.local")).group is marker


def test_a_new_stub_domain_changes_the_route_of_exactly_the_names_in_it() -> None:
    old = make({"b": (ONE,)})
    new = make({"b": (ONE,), "a.b": (ONE,)}, previous=old)
    assert not same(old, new, "a.b")
    assert not same(old, new, "x.a.b")
    for text in ("b", "x.b", "xa.b", "example.com", "x.cluster.local", "1.0.0.10.in-addr.arpa"):
        assert same(old, new, text), text


def test_a_stub_domain_that_goes_gives_its_names_the_old_wider_route() -> None:
    old = make({"b": (ONE,), "a.b": (TWO,)})
    new = make({"b": (ONE,)}, previous=old)
    assert new.find(names.from_text("x.a.b")) is old.find(names.from_text("x.b"))
    assert not same(old, new, "x.a.b")
    assert same(old, new, "x.b")


def test_other_servers_in_any_order_are_another_route() -> None:
    old = make({"b": (ONE, TWO), "c": (ONE,)})
    for servers in ((TWO, ONE), (ONE,), (ONE, UP)):
        new = make({"b": servers, "c": (ONE,)}, previous=old)
        assert not same(old, new, "x.b")
        assert same(old, new, "x.c")


def test_other_upstreams_change_the_default_route_and_the_holes_only() -> None:
    old = make({"b": (ONE,)})
    new = make({"b": (ONE,)}, upstreams=(TWO,), previous=old)
    assert not same(old, new, "example.com")
    assert not same(old, new, "x.hole")
    assert same(old, new, "x.b")
    assert same(old, new, "x.cluster.local")


def test_routes_are_the_same_when_every_name_goes_where_it_went() -> None:
    old = make({"b": (ONE,)})
    assert make({"b": (ONE,)}, previous=old).same_as(old)
    assert not make({"b": (TWO,)}, previous=old).same_as(old)
    assert not make({"b": (ONE,), "c": (ONE,)}, previous=old).same_as(old)
    holed = Options(servers=(*OPTIONS.servers, *server_rules("/x.b/#")))
    new = make({"b": (ONE,)}, previous=old, options=holed)
    assert new.all == old.all, "holes are not among them"
    assert not new.same_as(old)
    assert not old.same_as(new)


def test_a_domain_that_becomes_a_hole_has_the_default_route() -> None:
    old = make({"b": (ONE,)})
    holed = Options(servers=(*OPTIONS.servers, *server_rules("/b/#")))
    new = make({"b": (ONE,)}, previous=old, options=holed)
    assert new.find(names.from_text("x.b")) is old.default


def test_the_first_address_of_a_stub_server_given_by_name_makes_a_new_route() -> None:
    stubs = {"b": (HostServer("ns.example"),)}
    old = make(stubs)
    new = make(stubs, previous=old, hosts={"ns.example": ("10.0.0.1",)})
    assert not same(old, new, "x.b")
    assert same(new, make(stubs, previous=new, hosts={"ns.example": ("10.0.0.1",)}), "x.b")


def test_the_cluster_domain_as_stub_joins_the_cluster_group() -> None:
    old = make({})
    new = make({"cluster.local": (ONE,)}, previous=old)
    route = new.find(names.from_text("x.cluster.local"))
    assert route.cluster
    assert route.servers == (OPTIONS.kubedns_server, ONE)
    assert not same(old, new, "x.cluster.local")


@pytest.mark.parametrize("seed", range(20))
def test_same_object_means_same_servers_over_many_random_changes(seed: int) -> None:
    rng = random.Random(seed)
    domains = ["a", "b", "a.b", "c.a.b", "hole", "x.hole", "local", "y.cluster.local"]
    asked = [names.from_text(f"{label}{d}") for d in [*domains, "z"] for label in ("", "q.")]
    old = make({})
    for _ in range(20):
        stubs = {
            d: tuple(rng.sample((ONE, TWO, UP), rng.randint(0, 3)))
            for d in rng.sample(domains, rng.randint(0, len(domains)))
        }
        upstreams = rng.sample((ONE, TWO, UP), rng.randint(0, 2))
        new = make(stubs, upstreams, previous=old)
        alone = make(stubs, upstreams)
        for name in asked:
            before, after = old.find(name), new.find(name)
            equal = before.servers == after.servers and before.domain == after.domain
            assert (before is after) is (equal and before.kind is after.kind)
            assert after.servers == alone.find(name).servers
            assert after.kind is alone.find(name).kind
        old = new
