"""
Nobody writes another's names: the trust rules (forwarder.md 3.2) and attacks on them.

dnsmasq 2.90 fails the first of these: a stub domain's server that answers `x.stub. CNAME victim.`
with an address for the victim changes the victim's cached address for everybody.
"""

from itertools import pairwise, permutations
from typing import Any

import dns.flags
import pytest

from dnsmasq_py.server import Server
from tests.fwdreplay import DEFAULT, KUBEDNS, OTHER_STUB, STUB, Replay, soa

EVIL = "203.0.113.66"
GOOD = "192.0.2.80"
OWN: dict[str, tuple[Server, str]] = {
    "stub": (STUB, "x.stub.example."),
    "other stub": (OTHER_STUB, "x.other.example."),
    "default": (DEFAULT, "x.elsewhere.org."),
    "cluster": (KUBEDNS, "x.shop.svc.cluster.local."),
}
DIRECTIONS = [
    ("stub", "default"), ("stub", "cluster"), ("default", "cluster"), ("stub", "other stub"),
    ("default", "stub"), ("cluster", "default"), ("cluster", "stub"), ("other stub", "stub"),
]  # fmt: skip


@pytest.fixture
def replay() -> Replay:
    return Replay()


def victim_of(whose: str) -> str:
    return OWN[whose][1].replace("x.", "victim.", 1)


def ways(qname: str, victim: str) -> dict[str, dict[str, Any]]:
    """Return replies to a question for qname that speak of the victim."""
    lie = f"{victim} 3600 IN A {EVIL}"
    alias = f"{qname} 60 IN CNAME {victim}"
    return {
        "alias and address": {"answer": [alias, lie]},
        "address in front": {"answer": [lie, alias]},
        "alias, address beside": {"answer": [alias], "additional": [lie]},
        "two links": {
            "answer": [f"{qname} 60 IN CNAME a.{qname}", f"a.{qname} 60 IN CNAME {victim}", lie]
        },
        "no alias at all": {"answer": [f"{qname} 60 IN A 192.0.2.5", lie]},
        "no alias, beside": {"answer": [f"{qname} 60 IN A 192.0.2.5"], "additional": [lie]},
        "an alias of the victim": {
            "answer": [alias, f"{victim} 60 IN CNAME b.{qname}", f"b.{qname} 60 IN A {EVIL}"]
        },
        "the victim's zone given away": {
            "answer": [f"{qname} 60 IN A 192.0.2.5"],
            "authority": [f"{victim.partition('.')[2]} 3600 IN NS ns.{qname}"],
            "additional": [f"ns.{qname} 3600 IN A {EVIL}"],
        },
    }


WAYS = list(ways("q.", "v."))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("attacker", "whose"), DIRECTIONS, ids=lambda v: v)
def test_no_server_has_a_say_in_names_of_another(
    replay: Replay, attacker: str, whose: str, way: str
) -> None:
    server, qname = OWN[attacker]
    owner, victim = OWN[whose][0], victim_of(whose)
    asked = replay.client_asks(f"{qname} A")
    assert replay.questions == [f"{server} {qname} A"]
    replay.upstream_answers(**ways(qname, victim)[way])
    leads_on = not way.startswith("no alias") and way != "the victim's zone given away"
    if leads_on:
        assert replay.questions == [f"{owner} {victim} A"], "the owner of the target is asked"
        replay.upstream_answers(f"{victim} 60 IN A {GOOD}")
    assert not any(EVIL in line for line in asked.answer)
    assert len(asked.answer) == (3 if way == "two links" else 2 if leads_on else 1)
    before = len(replay.sent)
    seen = replay.client_asks(f"{victim} A")
    if leads_on:
        assert seen.answer == [f"{victim} 60 IN A {GOOD}"]
        assert len(replay.sent) == before
    else:
        assert replay.questions == [f"{owner} {victim} A"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("attacker", "whose"), DIRECTIONS, ids=lambda v: v)
def test_what_is_known_of_a_victim_stays_as_it_is(
    replay: Replay, attacker: str, whose: str, way: str
) -> None:
    """Also its TTL: nothing is renewed by being spoken of (ghost domains)."""
    _, qname = OWN[attacker]
    victim = victim_of(whose)
    replay.resolve(f"{victim} A", f"{victim} 30 IN A {GOOD}")
    replay.time_passes(10)
    asked = replay.client_asks(f"{qname} A")
    replay.upstream_answers(**ways(qname, victim)[way])
    assert asked.replies, "the victim's address is known"
    assert not any(EVIL in line for line in asked.answer)
    assert replay.client_asks(f"{victim} A").answer == [f"{victim} 20 IN A {GOOD}"]


@pytest.mark.parametrize(("attacker", "whose"), list(permutations(OWN, 2)), ids=lambda v: v)
def test_nxdomain_of_one_says_nothing_of_another(replay: Replay, attacker: str, whose: str) -> None:
    """CVE-2026-44687; also with the other's SOA."""
    _, qname = OWN[attacker]
    victim = victim_of(whose)
    asked = replay.client_asks(f"{qname} A")
    replay.upstream_answers(
        f"{qname} 60 IN CNAME {victim}", rcode="NXDOMAIN", authority=soa(victim.partition(".")[2])
    )
    replay.upstream_answers(f"{victim} 60 IN A {GOOD}")
    assert (asked.rcode, len(asked.answer)) == ("NOERROR", 2)


def test_a_dname_leads_out_of_a_zone_and_is_followed_there(replay: Replay) -> None:
    asked = replay.client_asks("a.b.stub.example. A")
    replay.upstream_answers(
        ["b.stub.example. 60 IN DNAME elsewhere.org.", f"a.elsewhere.org. 60 IN A {EVIL}"]
    )
    assert replay.questions == ["192.0.2.1 a.elsewhere.org. A"]
    replay.upstream_answers(f"a.elsewhere.org. 60 IN A {GOOD}")
    kinds = [rrset.to_text().split()[3] for rrset in asked.reply.answer]
    assert kinds == ["DNAME", "CNAME", "A"]
    assert not any(EVIL in line for line in asked.answer)


def test_additional_addresses_only_from_the_cluster_and_of_the_cluster(replay: Replay) -> None:
    """SRV targets: kubedns sends their addresses; from anybody else they are left out."""
    srv = "_h._tcp.{0} 30 IN SRV 0 100 80 {1}"
    for zone, target, passed in (
        ("svc.cluster.local.", "a.svc.cluster.local.", True),
        ("svc.cluster.local.", "victim.elsewhere.org.", False),
        ("stub.example.", "a.stub.example.", False),
        ("elsewhere.org.", "a.elsewhere.org.", False),
    ):
        name = f"_h._tcp.{zone}"
        asked = replay.client_asks(f"{name} SRV")
        replay.upstream_answers(srv.format(zone, target), additional=f"{target} 3600 IN A 10.0.0.9")
        assert bool(asked.reply.additional) is passed, name
        assert not replay.client_asks(f"{target} A").replies
        replay.upstream_answers(f"{target} 60 IN A 192.0.2.1", question=f"{target} A")
        replay.cache.clear()


# Chains over several routes


WEB = "web.shop.svc.cluster.local."


def test_a_chain_that_leaves_the_cluster_is_completed(replay: Replay) -> None:
    """ExternalName: kubedns gives the CNAME, the target is asked of the upstreams."""
    asked = replay.client_asks(f"{WEB} A")
    replay.upstream_answers(f"{WEB} 30 IN CNAME www.Example.com.")
    assert replay.questions == ["192.0.2.1 www.example.com. A"]
    replay.upstream_answers("www.example.com. 300 IN A 192.0.2.7")
    assert [r.to_text() for r in asked.reply.answer] == [
        f"{WEB} 30 IN CNAME www.Example.com.",
        "www.Example.com. 30 IN A 192.0.2.7",
    ] or len(asked.answer) == 2
    assert asked.ttls == {30}
    replay.time_passes(10)
    assert replay.client_asks(f"{WEB} A").ttls == {20}
    assert replay.client_asks("www.example.com. A").ttls == {290}, "its own entry, its own TTL"


def test_a_chain_lives_no_longer_than_its_weakest_link(replay: Replay) -> None:
    replay.resolve("www.example.com. A", "www.example.com. 10 IN A 192.0.2.7")
    replay.time_passes(4)
    asked = replay.client_asks(f"{WEB} A")
    replay.upstream_answers(f"{WEB} 30 IN CNAME www.example.com.")
    assert asked.ttls == {6}
    replay.time_passes(7)
    assert not replay.client_asks(f"{WEB} A").replies


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        ({"rcode": "NXDOMAIN", "authority": soa("example.com.")}, False),
        ({"authority": soa("example.com.")}, False),
        ({}, False),
        ({"answer": "www.example.com. 0 IN A 192.0.2.7"}, False),
        ({"answer": "www.example.com. 60 IN A 192.0.2.7"}, True),
    ],
    ids=["NXDOMAIN", "NODATA", "NODATA without SOA", "TTL 0", "address"],
)  # fmt: skip
def test_what_becomes_of_a_chain_by_its_end(
    replay: Replay, end: dict[str, Any], kept: bool
) -> None:
    """Negative ones are not kept: the cluster may change the alias at any moment."""
    asked = replay.client_asks(f"{WEB} A")
    replay.upstream_answers(f"{WEB} 30 IN CNAME www.example.com.")
    replay.upstream_answers(**end)
    assert asked.rcode == end.get("rcode", "NOERROR")
    assert len(asked.answer) == 1 + ("answer" in end)
    assert replay.is_kept(f"{WEB} A") is kept


def test_a_chain_from_a_stub_keeps_negative_ends_with_their_soa(replay: Replay) -> None:
    asked = replay.client_asks("x.stub.example. A")
    replay.upstream_answers("x.stub.example. 60 IN CNAME www.example.com.")
    replay.upstream_answers(authority=soa("example.com.", 20))
    assert asked.ttls == {20}
    assert replay.is_kept("x.stub.example. A")
    second = replay.client_asks("y.stub.example. A")
    replay.upstream_answers("y.stub.example. 60 IN CNAME nosoa.example.com.")
    replay.upstream_answers()
    assert second.rcode == "NOERROR"
    assert not replay.is_kept("y.stub.example. A"), "K9: a chain without end"


def test_a_cut_reply_at_the_end_of_a_chain_is_not_kept(replay: Replay) -> None:
    asked = replay.client_asks("x.stub.example. A")
    replay.upstream_answers("x.stub.example. 60 IN CNAME www.example.com.")
    replay.upstream_answers(flags="TC")
    while not asked.replies:
        if replay.waiting:
            replay.upstream_fails()
        replay.time_passes(0.2)
    assert asked.reply.flags & dns.flags.TC, "else it would say that there is no address"
    assert not replay.is_kept("x.stub.example. A")


def test_a_failure_at_the_end_of_a_chain_is_the_failure_of_all(replay: Replay) -> None:
    asked = replay.client_asks(f"{WEB} A")
    replay.upstream_answers(f"{WEB} 30 IN CNAME www.example.com.")
    while not asked.replies:
        replay.upstream_answers(rcode="SERVFAIL")
    assert asked.rcode == "SERVFAIL"
    assert replay.client_asks("www.example.com. A").ede == [13]


def test_a_chain_over_four_routes(replay: Replay) -> None:
    hops = [OWN[whose][1] for whose in ("cluster", "stub", "other stub", "default")]
    asked = replay.client_asks(f"{hops[0]} A")
    for here, there in pairwise(hops):
        replay.upstream_answers(f"{here} 60 IN CNAME {there}", question=f"{here} A")
    replay.upstream_answers(f"{hops[-1]} 60 IN A {GOOD}")
    assert [r.name.to_text() for r in asked.reply.answer] == hops
    assert replay.is_quiet()
    for name in hops:
        assert replay.is_kept(f"{name} A"), "each link is an answer of its own"


def test_a_chain_back_and_forth_without_end_ends(replay: Replay) -> None:
    asked = replay.client_asks("n0.stub.example. A")
    zones = ("stub.example.", "other.example.")
    for number in range(30):
        if asked.replies:
            break
        here = f"n{number}.{zones[number % 2]}"
        there = f"n{number + 1}.{zones[(number + 1) % 2]}"
        replay.upstream_answers(f"{here} 60 IN CNAME {there}", question=f"{here} A")
    assert asked.rcode == "SERVFAIL"
    assert len(replay.sent) <= 10
    assert replay.is_quiet()


A_END, B_END = "a.stub.example.", "b.other.example."
TO_B, TO_A = f"{A_END} 60 IN CNAME {B_END}", f"{B_END} 60 IN CNAME {A_END}"


def test_a_circle_over_two_routes_ends_at_once(replay: Replay) -> None:
    asked = replay.client_asks(f"{A_END} A")
    replay.upstream_answers(TO_B)
    replay.upstream_answers(TO_A)
    assert asked.rcode == "SERVFAIL"
    assert replay.is_quiet()


@pytest.mark.parametrize("order", [(A_END, B_END), (B_END, A_END)], ids=["a first", "b first"])
@pytest.mark.parametrize("rtypes", [("A", "A"), ("A", "AAAA")], ids=["same type", "two types"])
def test_two_clients_at_the_two_ends_of_a_circle(
    replay: Replay, order: tuple[str, str], rtypes: tuple[str, str]
) -> None:
    """Each waits for what the other one asked: found out, not waited for until the deadline."""
    asked = [replay.client_asks(f"{A_END} {rtypes[0]}"), replay.client_asks(f"{B_END} {rtypes[1]}")]
    links = {A_END: TO_B, B_END: TO_A}
    for _ in range(4):
        for name in order:
            for rtype in set(rtypes):
                if any(q.endswith(f" {name} {rtype}") for q in replay.questions):
                    replay.upstream_answers(links[name], question=f"{name} {rtype}")
    assert [one.rcode for one in asked] == ["SERVFAIL"] * 2
    assert replay.is_quiet()


def test_a_circle_of_three_with_three_clients(replay: Replay) -> None:
    ring = [OWN[whose][1] for whose in ("stub", "other stub", "default")]
    asked = [replay.client_asks(f"{name} A") for name in ring]
    for name, target in zip(ring, ring[1:] + ring[:1], strict=True):
        replay.upstream_answers(f"{name} 60 IN CNAME {target}", question=f"{name} A")
    assert [one.rcode for one in asked] == ["SERVFAIL"] * 3
    assert replay.is_quiet()


def test_a_chain_waits_no_longer_than_its_own_deadline(replay: Replay) -> None:
    """Its end is a question that somebody else asked later, which has more time left."""
    asked = replay.client_asks("x.stub.example. A")
    replay.time_passes(4)
    other = replay.client_asks("www.example.com. A")
    first = next(a for a in replay.sent if a.upstream.server == STUB and a.open)
    replay.sent.remove(first)
    replay.sent.insert(0, first)
    replay.upstream_answers("x.stub.example. 60 IN CNAME www.example.com.")
    replay.time_passes(0.6)
    assert asked.rcode == "SERVFAIL"
    assert not other.replies
    replay.upstream_answers("www.example.com. 60 IN A 192.0.2.7", question="www.example.com. A")
    assert other.rcode == "NOERROR"


def test_the_end_of_a_chain_has_its_own_time(replay: Replay) -> None:
    """Whoever asks for it meanwhile does not share the little that the chain has left."""
    asked = replay.client_asks("x.stub.example. A")
    replay.time_passes(4.3)
    first = next(a for a in replay.sent if a.open)
    replay.sent[:] = [first]
    replay.upstream_answers("x.stub.example. 60 IN CNAME www.example.com.")
    other = replay.client_asks("www.example.com. A")
    replay.time_passes(0.5)
    assert asked.rcode == "SERVFAIL"
    assert not other.replies
    replay.upstream_answers("www.example.com. 60 IN A 192.0.2.7", question="www.example.com. A")
    assert other.rcode == "NOERROR"


# Reverse names


REVERSE = "4.3.2.198.in-addr.arpa."


def test_a_reverse_name_that_is_not_the_clusters_goes_on_to_the_upstreams(replay: Replay) -> None:
    asked = replay.client_asks(f"{REVERSE} PTR")
    assert replay.questions == [f"127.0.0.1#10053 {REVERSE} PTR"]
    replay.upstream_answers(rcode="REFUSED")
    assert replay.questions == [f"192.0.2.1 {REVERSE} PTR"]
    replay.upstream_answers(f"{REVERSE} 60 IN PTR host.example.com.")
    assert asked.answer == [f"{REVERSE} 60 IN PTR host.example.com."]
    assert replay.is_kept(f"{REVERSE} PTR")
    assert replay.upstreams.get(KUBEDNS).failed == 0, "no failure of the cluster's server"
    nxdomain = replay.client_asks(f"9.{REVERSE} PTR")
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(rcode="NXDOMAIN", authority=soa("198.in-addr.arpa."))
    assert nxdomain.rcode == "NXDOMAIN"
    assert replay.is_kept(f"9.{REVERSE} PTR"), "not the cluster's: kept as others"


def test_a_delegated_reverse_name_goes_on_link_by_link(replay: Replay) -> None:
    """RFC 2317: the target of the CNAME is the cluster's to answer first, and refused again."""
    target = "4.0-25.3.2.198.in-addr.arpa."
    asked = replay.client_asks(f"{REVERSE} PTR")
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(
        [f"{REVERSE} 60 IN CNAME {target}", f"{target} 60 IN PTR evil.example.com."]
    )
    assert replay.questions == [f"127.0.0.1#10053 {target} PTR"]
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(f"{target} 60 IN PTR host.example.com.")
    assert len(asked.answer) == 2
    assert replay.is_kept(f"{REVERSE} PTR")


def test_a_reverse_name_with_nobody_behind_the_cluster_is_refused() -> None:
    replay = Replay(upstreams=())
    asked = replay.client_asks(f"{REVERSE} PTR")
    replay.upstream_answers(rcode="REFUSED")
    assert (asked.rcode, asked.ede) == ("REFUSED", [14])


def test_refused_by_a_stub_is_final(replay: Replay) -> None:
    """The longest match replaces; nothing of a stub domain leaks to the upstreams."""
    asked = replay.client_asks("x.stub.example. A")
    while not asked.replies:
        assert all(question.startswith(str(STUB)) for question in replay.questions)
        replay.upstream_answers(rcode="REFUSED")
    assert asked.rcode == "REFUSED"
