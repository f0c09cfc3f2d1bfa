"""Who is asked about a name that is not the cluster's."""

import pytest

from kubedns.config import Config, HostServer, Nameserver
from kubedns.outside.hosts import MAX_ADDRESSES, MAX_AGE_S, MIN_AGE_S, Hosts
from kubedns.outside.routing import Own, Routes, build
from kubedns.wire import name as names

ACME = Nameserver("10.0.0.1")
DEEP = Nameserver("10.0.0.2", 5353)
UPSTREAM = Nameserver("192.0.2.1")
RESOLV_CONF = Nameserver("192.0.2.2")
CONFIG = Config(
    stub_domains={
        "acme.local": (ACME, HostServer("ns.acme.example")),
        "deep.acme.local": (DEEP,),
        "nobody.local": (),
        "x" * 64 + ".local": (ACME,),
        "long.local": (HostServer("y" * 64 + ".example"), DEEP),
    },
    upstream_nameservers=(UPSTREAM,),
)


def routes(config: Config = CONFIG, *listening: tuple[str, int]) -> Routes:
    return build(config, (RESOLV_CONF,), Own(listening, lambda _: None))


@pytest.mark.parametrize(
    ("qname", "expected"),
    [
        ("acme.local.", (ACME, HostServer("ns.acme.example"))),
        ("www.acme.local.", (ACME, HostServer("ns.acme.example"))),
        ("deep.acme.local.", (DEEP,)),
        ("a.b.deep.acme.local.", (DEEP,)),
        ("xacme.local.", (UPSTREAM,)),
        ("local.", (UPSTREAM,)),
        (".", (UPSTREAM,)),
        ("www.example.com.", (UPSTREAM,)),
        ("www.nobody.local.", ()),
        ("long.local.", (DEEP,)),
    ],
)
def test_the_longest_stub_domain_wins_on_label_borders(
    qname: str, expected: tuple[Nameserver | HostServer, ...]
) -> None:
    assert routes().find(names.from_text(qname)).servers == expected


def test_a_label_that_ends_like_a_stub_domain_is_not_in_it() -> None:
    # The octets of `acme.local.` with their length octets, but inside one label.
    tricky = names.from_labels([b"\x04acme\x05local"])
    assert routes().find(tricky).servers == (UPSTREAM,)


def test_without_upstreams_in_the_configuration_those_of_resolv_conf_are_asked() -> None:
    assert routes(Config()).find(names.from_text("example.com.")).servers == (RESOLV_CONF,)


def test_hosts_are_those_that_must_be_looked_up() -> None:
    assert routes().hosts() == {"ns.acme.example"}


@pytest.mark.parametrize(
    ("listening", "server", "own"),
    [
        (("0.0.0.0", 53), Nameserver("127.0.0.1"), True),
        (("", 53), Nameserver("127.9.9.9"), True),
        (("::", 53), Nameserver("::1"), True),
        (("127.0.0.1", 53), Nameserver("127.0.0.53"), True),
        (("10.1.1.1", 53), Nameserver("10.1.1.1"), True),
        (("10.1.1.1", 53), Nameserver("127.0.0.1"), False),
        (("0.0.0.0", 10053), Nameserver("127.0.0.1"), False),
        (("0.0.0.0", 10053), Nameserver("127.0.0.1", 10053), True),
        (("0.0.0.0", 53), Nameserver("10.1.1.1"), False),
    ],
)
def test_our_own_address_is_told_from_others(
    listening: tuple[str, int], server: Nameserver, own: bool
) -> None:
    assert (server in Own([listening], lambda _: None)) is own


def test_we_are_never_our_own_server_and_say_so_once() -> None:
    told: list[Nameserver] = []
    ourselves = Nameserver("127.0.0.1", 10053)
    own = Own([("::", 10053)], told.append)
    config = Config({"acme.local": (ourselves, ACME, ACME)}, (ourselves,))
    for _ in range(2):
        found = build(config, (RESOLV_CONF,), own)
    assert found.find(names.from_text("acme.local.")).servers == (ACME,)
    assert found.find(names.from_text("example.com.")).servers == ()
    assert told == [ourselves]


# Stub servers given by host name


def test_a_host_is_looked_up_at_first_and_again_when_its_ttl_is_over() -> None:
    hosts = Hosts()
    assert hosts.is_due("ns", 0.0)
    hosts.found("ns", ["10.0.0.1"], 30, 0.0)
    assert not hosts.is_due("ns", 29.9)
    assert hosts.is_due("ns", 30.0)
    assert hosts.addresses("ns") == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("ttl", "age"), [(0, MIN_AGE_S), (4, MIN_AGE_S), (60, 60), (86400, MAX_AGE_S)]
)
def test_addresses_are_kept_no_shorter_and_no_longer_than_makes_sense(
    ttl: float, age: float
) -> None:
    hosts = Hosts()
    hosts.found("ns", ["10.0.0.1"], ttl, 100.0)
    assert not hosts.is_due("ns", 100.0 + age - 0.1)
    assert hosts.is_due("ns", 100.0 + age)


def test_the_last_good_addresses_stay_when_a_look_up_finds_nothing() -> None:
    hosts = Hosts()
    hosts.found("ns", ["10.0.0.1"], 60, 0.0)
    hosts.found("ns", [], 0, 60.0)
    assert hosts.addresses("ns") == ("10.0.0.1",)
    assert not hosts.is_due("ns", 60.0 + MIN_AGE_S - 0.1)
    assert hosts.is_due("ns", 60.0 + MIN_AGE_S)
    hosts.found("ns", ["10.0.0.9"], 60, 70.0)
    assert hosts.addresses("ns") == ("10.0.0.9",)


def test_a_host_has_few_addresses_each_once() -> None:
    hosts = Hosts()
    many = [f"10.0.0.{i}" for i in range(50)]
    hosts.found("ns", ["10.0.0.0", *many], 60, 0.0)
    assert hosts.addresses("ns") == tuple(many[:MAX_ADDRESSES])


def test_hosts_that_left_the_configuration_are_forgotten() -> None:
    hosts = Hosts()
    hosts.found("ns", ["10.0.0.1"], 60, 0.0)
    hosts.retain({"other"})
    assert hosts.addresses("ns") == () and hosts.is_due("ns", 0.0)
