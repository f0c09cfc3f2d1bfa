"""What a change of the cluster drops from the cache, and what it leaves alone."""

import pytest

from dnsmasq_py.rules import Match, ServerRule
from tests.fwdreplay import STUB, Replay
from tests.fwdteller import SOA, Teller, fed, is_held, wire

WEB = "web.shop.svc.cluster.local."
DB = "db.shop.svc.cluster.local."
ZONE = "cluster.local."
ADDRESS = f"{WEB} 30 IN A 10.0.0.7"
EXTERNAL_SOA = "example.com. 300 IN SOA ns.example.com. h.example.com. 1 2 3 4 300"


def missing(replay: Replay, question: str, rcode: str = "NXDOMAIN") -> None:
    replay.resolve(question, rcode=rcode, authority=SOA)
    assert is_held(replay, question)


def test_a_service_that_changes_is_asked_for_anew_at_once() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    teller.changes(WEB)
    asked = replay.resolve(f"{WEB} A", f"{WEB} 30 IN A 10.0.0.8")
    assert asked.answer == [f"{WEB} 30 IN A 10.0.0.8"]


def test_receivers_forget_it_too() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    assert replay.receiver_answers(f"{WEB} A")
    teller.changes(DB)
    assert replay.receiver_answers(f"{WEB} A")
    teller.changes(WEB)
    assert replay.receiver_answers(f"{WEB} A") is None
    assert not replay.cache.ready


def test_receivers_forget_what_is_not_trusted_any_more() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    Teller(replay, instance=b"another!").begins()
    assert replay.receiver_answers(f"{WEB} A") is None
    del teller


def test_all_types_and_all_names_below_go_and_neighbours_stay() -> None:
    replay, teller = fed()
    below = f"a.{WEB}"
    port = f"_http._tcp.{WEB}"
    near = "webshop.shop.svc.cluster.local."
    replay.resolve(f"{WEB} A", ADDRESS)
    missing(replay, f"{WEB} AAAA", "NOERROR")
    replay.resolve(f"{below} A", f"{below} 30 IN A 10.0.0.9")
    replay.resolve(f"{port} SRV", f"{port} 30 IN SRV 10 100 80 {below}")
    replay.resolve(f"{near} A", f"{near} 30 IN A 10.0.0.10")
    replay.resolve(f"{DB} A", f"{DB} 30 IN A 10.0.0.11")
    teller.changes(WEB)
    for question in (f"{WEB} A", f"{WEB} AAAA", f"{below} A", f"{port} SRV"):
        assert not is_held(replay, question)
    assert is_held(replay, f"{near} A")
    assert is_held(replay, f"{DB} A")


def test_one_endpoint_that_changes_leaves_its_service_alone() -> None:
    replay, teller = fed()
    below, other = f"a.{WEB}", f"b.{WEB}"
    replay.resolve(f"{WEB} A", ADDRESS)
    replay.resolve(f"{below} A", f"{below} 30 IN A 10.0.0.9")
    replay.resolve(f"{other} A", f"{other} 30 IN A 10.0.0.9")
    teller.changes(below)
    assert is_held(replay, f"{WEB} A")
    assert is_held(replay, f"{other} A")
    assert not is_held(replay, f"{below} A")


def test_letter_case_of_the_question_is_of_no_consequence() -> None:
    replay, teller = fed()
    replay.resolve("WEB.Shop.svc.cluster.LOCAL. A", ADDRESS)
    teller.changes(WEB)
    assert not is_held(replay, f"{WEB} A")


def test_answers_with_dnssec_bits_go_too() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS, flags="RD CD")
    assert is_held(replay, f"{WEB} A", flags="RD CD")
    teller.changes(WEB)
    assert not is_held(replay, f"{WEB} A", flags="RD CD")


# What is missing


def test_the_first_service_of_a_namespace_is_there_at_once() -> None:
    """After NXDOMAIN of the namespace, of the name itself and of names below, in all types."""
    replay, teller = fed()
    gone = [f"_http._tcp.{WEB} SRV", f"{WEB} TXT", f"{WEB} A", "shop.svc.cluster.local. A"]
    for question in (*gone, "other.svc.cluster.local. A"):
        missing(replay, question)
    assert is_held(replay, f"{WEB} AAAA"), "NXDOMAIN is for all types"
    assert replay.client_asks(f"never.asked.{WEB} A").rcode == "NXDOMAIN", "as all below it"
    teller.changes(WEB, "shop.svc.cluster.local.")
    for question in (*gone, f"{WEB} AAAA", f"never.asked.{WEB} A"):
        assert not is_held(replay, question)
    assert is_held(replay, "other.svc.cluster.local. A")


def test_names_above_one_that_has_come_are_missing_no_more_even_if_nobody_lists_them() -> None:
    replay, teller = fed()
    asked = (f"_tcp.{WEB} SRV", f"{WEB} A", "shop.svc.cluster.local. A", "svc.cluster.local. A")
    for question in asked:
        missing(replay, question)
    teller.changes(f"_http._tcp.{WEB}")
    assert not [question for question in asked if is_held(replay, question)]


def test_positive_answers_above_a_name_that_changes_stay() -> None:
    replay, teller = fed()
    replay.resolve("ns.dns.cluster.local. A", "ns.dns.cluster.local. 30 IN A 10.0.0.10")
    replay.resolve("cluster.local. NS", "cluster.local. 30 IN NS ns.dns.cluster.local.")
    teller.changes(f"a.{WEB}")
    assert is_held(replay, "ns.dns.cluster.local. A")
    assert is_held(replay, "cluster.local. NS")


def test_the_walk_along_the_search_path_is_answered_from_the_cache() -> None:
    replay, teller = fed()
    walk = [
        f"www.example.com.{suffix}{ZONE} {rtype}"
        for suffix in ("shop.svc.", "svc.", "")
        for rtype in ("A", "AAAA")
    ]
    for question in walk[::2]:
        replay.resolve(question, rcode="NXDOMAIN", authority=SOA)
    for question in walk:
        asked = replay.client_asks(question)
        assert asked.rcode == "NXDOMAIN"
        assert asked.ttls == {5}
    teller.changes(WEB)
    assert all(is_held(replay, question) for question in walk)
    teller.changes("com.shop.svc.cluster.local.")
    assert [is_held(replay, question) for question in walk] == [False] * 2 + [True] * 4


def test_what_another_type_found_out_goes_with_it() -> None:
    replay, teller = fed()
    missing(replay, f"{WEB} A")
    assert is_held(replay, f"{WEB} AAAA"), "NXDOMAIN is for all types"
    teller.changes(WEB)
    assert not is_held(replay, f"{WEB} AAAA")


# Chains


def test_an_external_name_of_a_service_that_changes() -> None:
    """ExternalName to another service: both in one reply of the cluster's server."""
    replay, teller = fed()
    replay.resolve(f"{DB} A", f"{DB} 30 IN CNAME {WEB}", ADDRESS)
    assert is_held(replay, f"{DB} A")
    teller.changes(WEB)
    assert not is_held(replay, f"{DB} A")


def test_an_alias_whose_target_comes_into_being() -> None:
    replay, teller = fed()
    replay.resolve(f"{DB} A", f"{DB} 30 IN CNAME {WEB}", rcode="NXDOMAIN", authority=SOA)
    assert is_held(replay, f"{DB} A")
    teller.changes(WEB)
    assert not is_held(replay, f"{DB} A")


@pytest.mark.parametrize("changed", [WEB, "shop.svc.cluster.local.", f"a.{WEB}"])
def test_a_foreign_alias_of_a_service_that_is_missing(changed: str) -> None:
    replay, teller = fed()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(rcode="NXDOMAIN", authority=SOA)
    assert is_held(replay, "www.example.com. A")
    teller.changes(changed)
    assert not is_held(replay, "www.example.com. A")


def test_a_foreign_alias_into_the_zone() -> None:
    replay, teller = fed()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(ADDRESS)
    replay.resolve("other.example.com. A", "other.example.com. 300 IN A 192.0.2.9")
    assert is_held(replay, "www.example.com. A")
    teller.changes(DB)
    assert is_held(replay, "www.example.com. A")
    teller.changes(WEB)
    assert not is_held(replay, "www.example.com. A")
    assert is_held(replay, "other.example.com. A")


def test_an_alias_out_of_the_zone_goes_with_its_own_name_alone() -> None:
    replay, teller = fed()
    replay.client_asks(f"{DB} A")
    replay.upstream_answers(f"{DB} 30 IN CNAME www.example.com.")
    replay.upstream_answers("www.example.com. 300 IN A 192.0.2.9")
    teller.changes(DB)
    assert not is_held(replay, f"{DB} A")
    assert is_held(replay, "www.example.com. A")


def test_srv_answers_go_with_the_addresses_that_they_bring_along() -> None:
    replay, teller = fed()
    port = f"_http._tcp.{WEB}"
    target = "a.db.shop.svc.cluster.local."
    replay.resolve(
        f"{port} SRV",
        f"{port} 30 IN SRV 10 100 80 {target}",
        additional=f"{target} 30 IN A 10.0.0.9",
    )
    assert is_held(replay, f"{port} SRV")
    teller.changes(target)
    assert not is_held(replay, f"{port} SRV")


# Other names


def test_reverse_names_of_the_cluster() -> None:
    replay, teller = fed()
    mine, other = "9.0.0.10.in-addr.arpa.", "8.0.0.10.in-addr.arpa."
    replay.resolve(f"{mine} PTR", f"{mine} 30 IN PTR a.{WEB}")
    replay.resolve(f"{other} PTR", f"{other} 30 IN PTR b.{WEB}")
    teller.changes(mine)
    assert not is_held(replay, f"{mine} PTR")
    assert is_held(replay, f"{other} PTR")


def test_a_reverse_name_that_was_somebody_elses_until_now() -> None:
    """The cluster's server refused, others said that there is nothing; now a pod is there."""
    replay, teller = fed()
    name = "9.0.0.10.in-addr.arpa."
    nothing = "10.in-addr.arpa. 300 IN SOA ns.example. h.example. 1 2 3 4 300"
    replay.client_asks(f"{name} PTR")
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(rcode="NXDOMAIN", authority=nothing)
    assert is_held(replay, f"{name} PTR")
    teller.changes(name)
    assert not is_held(replay, f"{name} PTR")


def test_ipv6_reverse_names() -> None:
    replay, teller = fed()
    name = "9." + "0." * 30 + "d.ip6.arpa."
    replay.resolve(f"{name} PTR", f"{name} 30 IN PTR a.{WEB}")
    teller.changes("8." + "0." * 30 + "d.ip6.arpa.")
    assert is_held(replay, f"{name} PTR")
    teller.changes(name)
    assert not is_held(replay, f"{name} PTR")


def test_questions_with_a_wildcard_go_with_any_change() -> None:
    replay, teller = fed()
    star = "*.shop.svc.cluster.local."
    replay.resolve(f"{star} A", f"{star} 30 IN A 10.0.0.7", f"{star} 30 IN A 10.0.0.8")
    replay.resolve("*.example.com. A", "*.example.com. 300 IN A 192.0.2.9")
    assert is_held(replay, f"{star} A")
    teller.changes("x.other.svc.cluster.local.")
    assert not is_held(replay, f"{star} A")
    assert is_held(replay, "*.example.com. A"), "none of the cluster's"


@pytest.mark.parametrize(
    "changed", ["example.com.", "www.example.com.", "com.", "stub.example.", "."]
)
def test_names_outside_the_cluster_are_not_its_to_change(changed: str) -> None:
    replay, teller = fed()
    replay.resolve("www.example.com. A", "www.example.com. 300 IN A 192.0.2.9")
    replay.resolve("no.example.com. A", rcode="NXDOMAIN", authority=EXTERNAL_SOA)
    replay.resolve("www.stub.example. A", "www.stub.example. 300 IN A 192.0.2.9")
    teller.changes(changed)
    for question in ("www.example.com. A", "no.example.com. A", "www.stub.example. A"):
        assert is_held(replay, question)


def test_a_stub_domain_below_the_zone_is_not_the_clusters_to_change() -> None:
    replay = Replay(stubs={"corp.svc.cluster.local": (STUB,)})
    teller = Teller(replay)
    teller.begins()
    name = "www.corp.svc.cluster.local."
    replay.resolve(f"{name} A", f"{name} 300 IN A 192.0.2.9")
    teller.changes(name)
    teller.changes("svc.cluster.local.")
    assert is_held(replay, f"{name} A")


def test_a_change_of_the_whole_zone() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    missing(replay, f"{DB} A")
    replay.resolve("www.example.com. A", "www.example.com. 300 IN A 192.0.2.9")
    teller.changes(ZONE)
    assert not is_held(replay, f"{WEB} A")
    assert not is_held(replay, f"{DB} A")
    assert is_held(replay, "www.example.com. A")


def test_everything_may_have_changed() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    missing(replay, f"{DB} A")
    replay.client_asks("alias.example.com. A")
    replay.upstream_answers(f"alias.example.com. 300 IN CNAME {WEB}")
    replay.resolve("www.example.com. A", "www.example.com. 300 IN A 192.0.2.9")
    teller.changes_all()
    assert not is_held(replay, f"{WEB} A")
    assert not is_held(replay, f"{DB} A")
    assert not is_held(replay, "alias.example.com. A")
    assert is_held(replay, "www.example.com. A")
    assert replay.forwarder.feed.messages["all"] == 1


def test_failures_of_the_clusters_server_go_with_any_change() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", rcode="SERVFAIL")
    replay.resolve("www.example.com. A", rcode="REFUSED")
    teller.beats()
    assert replay.client_asks(f"{WEB} A").rcode == "SERVFAIL", "remembered"
    teller.changes(DB)
    replay.resolve(f"{WEB} A", ADDRESS)
    assert replay.client_asks("www.example.com. A").replies, "remembered"


def test_a_foreign_alias_that_failed_for_want_of_the_cluster_is_tried_again_too() -> None:
    replay, teller = fed()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(rcode="SERVFAIL")
    assert replay.client_asks("www.example.com. A").rcode == "SERVFAIL"
    teller.changes(DB)
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(ADDRESS)
    assert asked.rcode == "NOERROR"


def test_servers_beside_the_clusters_are_not_vouched_for() -> None:
    """Only one of a domain's servers tells of changes: what is missing is not kept."""
    replay = Replay(rules=[ServerRule(wire("cluster.local"), Match.SUFFIX, STUB)])
    Teller(replay).begins()
    replay.resolve(f"{WEB} A", rcode="NXDOMAIN", authority=SOA)
    assert not is_held(replay, f"{WEB} A")
