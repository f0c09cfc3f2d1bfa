"""Names and addresses that stay inside: special-use names, private ranges, rebinding, filters."""

import ipaddress
import socket
from typing import Any

import pytest

from dnsmasq_py import filters
from dnsmasq_py.local import LocalAnswer, LocalData
from dnsmasq_py.options import Options
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.rules import Match
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from kubedns.wire import rr

SERVERS = (Server("192.0.2.1"),)
DEFAULT = Route((names.ROOT, Match.SUFFIX), Kind.DEFAULT, SERVERS)
NOBODY = Route((names.ROOT, Match.SUFFIX), Kind.REFUSED, ())


def n(text: str) -> bytes:
    return names.from_text(text)


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def inside(name: str, qtype: int, route: Route = DEFAULT, **options: Any) -> LocalAnswer | None:
    """Return what is answered, without the sentence that goes with it."""
    found = said(name, qtype, route, **options)
    return found and found._replace(error=None, why="")


def said(name: str, qtype: int, route: Route = DEFAULT, **options: Any) -> LocalAnswer | None:
    data = LocalData(Options(**options), (), lambda _: 0)
    return data.inside(n(name), qtype, route)


def reverse(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


# Special-use names


@pytest.mark.parametrize("route", [DEFAULT, NOBODY])
def test_localhost_is_loopback_whoever_could_be_asked(route: Route) -> None:
    for name in ("localhost", "db.localhost"):
        a, aaaa = inside(name, rr.A, route), inside(name, rr.AAAA, route)
        assert a is not None and aaaa is not None
        assert a.answer == (rr.RRset(n(name), rr.A, 0, (ip("127.0.0.1"),)),)
        assert aaaa.answer == (rr.RRset(n(name), rr.AAAA, 0, (ip("::1"),)),)
        assert inside(name, rr.TXT, route) == LocalAnswer()


def test_names_that_only_end_like_special_ones_are_asked() -> None:
    tricky = names.from_labels([b"x\x09localhost"])
    assert inside("notlocalhost", rr.A) is None
    assert LocalData(Options(), (), lambda _: 0).inside(tricky, rr.A, DEFAULT) is None
    for name in ("localhost.example", "x.local", "x.test", "x.internal", "home.arpa", "arpa", "."):
        assert inside(name, rr.A) is None, name


@pytest.mark.parametrize("name", ["invalid", "x.invalid", "onion", "a.b.onion"])
def test_names_that_cannot_exist_do_not(name: str) -> None:
    assert inside(name, rr.A) == LocalAnswer(rr.NXDOMAIN)
    assert inside(name, rr.TXT) == LocalAnswer(rr.NXDOMAIN)


def test_a_resolver_of_its_own_is_not_looked_for_at_the_upstreams() -> None:
    assert inside("_dns.resolver.arpa", 64) == LocalAnswer()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1"])
def test_loopback_addresses_are_localhost(address: str) -> None:
    found = inside(reverse(address), rr.PTR)
    assert found is not None
    assert found.answer == (rr.RRset(n(reverse(address)), rr.PTR, 0, (n("localhost"),)),)
    assert inside(reverse(address), rr.TXT) == LocalAnswer()


@pytest.mark.parametrize("kind", [Kind.STUB, Kind.CLUSTER])
def test_a_rule_of_the_operator_comes_before_special_meanings(kind: Kind) -> None:
    route = Route((n("onion"), Match.SUFFIX), kind, SERVERS)
    for name in ("x.onion", "localhost", reverse("10.0.0.1"), reverse("127.0.0.1")):
        assert inside(name, rr.PTR, route, bogus_priv=True) is None


# --bogus-priv: each line is what dnsmasq 2.90 answers, but for loopback (see above)

PRIVATE = """
10.0.0.1 172.16.0.1 172.31.255.255 192.168.3.4 169.254.1.1 0.0.0.0 0.1.2.3 192.0.2.1 198.51.100.1
203.0.113.1 255.255.255.255 :: fd00::1 fe80::1 fe90::1 febf::1 fec0::1 2001:db8::1 ::ffff:10.0.0.1
""".split()  # noqa: SIM905
PUBLIC = """
172.32.0.1 172.15.0.1 255.255.255.254 100.64.0.1 8.8.8.8 198.18.0.1 224.0.0.1 fc00::1 2001:db9::1
ff02::1 ::ffff:8.8.8.8
""".split()  # noqa: SIM905


@pytest.mark.parametrize("address", PRIVATE)
def test_bogus_priv_denies_reverse_names_of_private_ranges(address: str) -> None:
    assert inside(reverse(address), rr.PTR, bogus_priv=True) == LocalAnswer(rr.NXDOMAIN)
    assert inside(reverse(address), rr.TXT, bogus_priv=True) is None
    assert inside(reverse(address), rr.PTR) is None


@pytest.mark.parametrize("address", PUBLIC)
def test_bogus_priv_leaves_other_reverse_names(address: str) -> None:
    assert inside(reverse(address), rr.PTR, bogus_priv=True) is None


@pytest.mark.parametrize(
    ("name", "denied"),
    [
        ("10.in-addr.arpa", True),
        ("1.0.10.in-addr.arpa", True),
        ("168.192.in-addr.arpa", True),
        ("d.f.ip6.arpa", True),
        ("8.e.f.ip6.arpa", True),
        ("e.f.ip6.arpa", False),
        ("172.in-addr.arpa", False),
        ("192.in-addr.arpa", False),
        ("in-addr.arpa", False),
        ("ip6.arpa", False),
        ("x.1.0.0.10.in-addr.arpa", False),
        ("b._dns-sd._udp.0.0.0.10.in-addr.arpa", False),
        ("010.in-addr.arpa", False),
    ],
)
def test_bogus_priv_knows_whole_ranges_by_their_reverse_name(name: str, *, denied: bool) -> None:
    assert (inside(name, rr.PTR, bogus_priv=True) is not None) is denied


def test_bogus_priv_holds_after_the_cluster_refused_and_nobody_is_left() -> None:
    name = reverse("10.0.0.1")
    cluster = Route((n("in-addr.arpa"), Match.SUFFIX), Kind.CLUSTER, SERVERS)
    assert inside(name, rr.PTR, cluster, bogus_priv=True) is None
    for route in (DEFAULT, NOBODY):
        assert inside(name, rr.PTR, route, bogus_priv=True) == LocalAnswer(rr.NXDOMAIN)


# --stop-dns-rebind


def a(owner: str, *addresses: str) -> rr.RRset:
    rtype = rr.AAAA if ":" in addresses[0] else rr.A
    return rr.RRset(n(owner), rtype, 60, tuple(map(ip, addresses)))


def is_rebind(answer: tuple[rr.RRset, ...], qname: str = "x.example", **options: Any) -> bool:
    return filters.is_rebind(answer, n(qname), Options(stop_dns_rebind=True, **options))


@pytest.mark.parametrize("address", [*PRIVATE, "127.0.0.1", "127.3.3.3", "::1", "::ffff:127.0.0.1"])
def test_a_private_address_from_outside_is_rebinding(address: str) -> None:
    answer = (a("x.example", address),)
    assert is_rebind(answer)
    assert not filters.is_rebind(answer, n("x.example"), Options())


@pytest.mark.parametrize("address", [*PUBLIC, "240.0.0.1", "64:ff9b::a00:1", "::10.0.0.1"])
def test_other_addresses_are_no_rebinding(address: str) -> None:
    assert not is_rebind((a("x.example", address),))


def test_one_private_address_among_others_or_behind_an_alias_is_enough() -> None:
    assert is_rebind((a("x.example", "8.8.8.8", "10.0.0.1"),))
    alias = rr.RRset(n("x.example"), rr.CNAME, 60, (n("y.example"),))
    assert is_rebind((alias, a("y.example", "10.0.0.1")))
    assert not is_rebind((rr.RRset(n("x.example"), rr.TXT, 60, (b"\x08127.0.0.1",)),))


def test_rebind_localhost_ok_lets_loopback_and_this_host_pass() -> None:
    for address in ("127.0.0.1", "127.3.3.3", "0.0.0.0", "0.1.2.3", "::1", "::"):
        assert not is_rebind((a("x.example", address),), rebind_localhost_ok=True), address
    for address in ("10.0.0.1", "::ffff:10.0.0.1", "fe80::1"):
        assert is_rebind((a("x.example", address),), rebind_localhost_ok=True), address
    assert is_rebind((a("x.example", "127.0.0.1", "10.0.0.1"),), rebind_localhost_ok=True)


def test_rebind_domain_ok_is_for_the_asked_name() -> None:
    ok = {"rebind_domains_ok": (n("ok.example"),)}
    answer = (a("y", "10.0.0.1"),)
    assert not is_rebind(answer, "ok.example", **ok)
    assert not is_rebind(answer, "www.ok.example", **ok)
    assert is_rebind(answer, "nok.example", **ok)
    assert is_rebind(answer, "example", **ok)


def test_rebind_domain_ok_of_nothing_is_for_names_of_one_label() -> None:
    ok = {"rebind_domains_ok": (names.ROOT,)}
    assert not is_rebind((a("router", "10.0.0.1"),), "router", **ok)
    assert is_rebind((a("router.example", "10.0.0.1"),), "router.example", **ok)


# --filter-A, --filter-AAAA

MIXED = (
    rr.RRset(n("x.example"), rr.CNAME, 60, (n("y.example"),)),
    a("y.example", "8.8.8.8"),
    a("y.example", "2001:4860::8"),
    rr.RRset(n("y.example"), rr.TXT, 60, (b"\1t",)),
)


def test_filtered_types_vanish_from_answers() -> None:
    cname, four, six, txt = MIXED
    assert filters.filtered(MIXED, Options(filter_a=True)) == (cname, six, txt)
    assert filters.filtered(MIXED, Options(filter_aaaa=True)) == (cname, four, txt)
    assert filters.filtered(MIXED, Options(filter_a=True, filter_aaaa=True)) == (cname, txt)


def test_an_answer_without_filtered_types_is_the_same_object() -> None:
    assert filters.filtered(MIXED, Options()) is MIXED
    assert filters.filtered(MIXED[:2], Options(filter_aaaa=True)) == MIXED[:2]
    kept = MIXED[:2]
    assert filters.filtered(kept, Options(filter_aaaa=True)) is kept
