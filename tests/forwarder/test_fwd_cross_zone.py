"""No server has a say in the names of another: answers that reach into other servers' domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tests.forwarder.behaviours import EVIL, GOOD, by_name, reply, zone
from tests.forwarder.client import query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import Forwarder
from tests.forwarder.scripted import Act, Asked, Play, Scripted

DOMAINS = {
    "default": "default.example.",
    "cluster": "svc.cluster.local.",
    "stub": "stub.test-corp.example.",
    "other stub": "other.test-corp.example.",
}
DIRECTIONS = [
    ("stub", "default"),
    ("stub", "cluster"),
    ("default", "cluster"),
    ("stub", "other stub"),
    ("default", "stub"),
    ("cluster", "default"),
]


def truth(whose: str) -> Play:
    domain = DOMAINS[whose]
    return zone(f"victim.{domain} 60 IN A {GOOD}", f"sub.victim.{domain} 60 IN A {GOOD}",
                origin=domain)  # fmt: skip


def by_alias(victim: str) -> Play:
    """Claim that the asked name is an alias of the victim, and what the victim's address is."""
    return lambda asked: [
        Act(reply(asked, f"@ 300 IN CNAME {victim}", f"{victim} 300 IN A {EVIL}"))
    ]


def by_dname(victim: str) -> Play:
    """The same through a DNAME above the asked name."""
    _, _, parent = victim.partition(".")

    def play(asked: Asked) -> Sequence[Act]:
        _, _, above = asked.name.partition(".")
        return [
            Act(
                reply(
                    asked,
                    f"{above} 300 IN DNAME {parent}",
                    f"{asked.name} 300 IN CNAME {victim}",
                    f"{victim} 300 IN A {EVIL}",
                )
            )
        ]

    return play


def by_other_sections(victim: str) -> Play:
    """A right answer, and lies about the victim beside it."""
    lies = [f"{victim} 300 IN A {EVIL}", f"{victim.partition('.')[2]} 300 IN NS evil.example."]
    return lambda asked: [Act(reply(asked, f"@ 300 IN A {GOOD}", authority=lies, additional=lies))]


def by_no_such_name(victim: str) -> Play:
    """An alias of the victim, which they say does not exist, with the SOA of the victim's zone."""
    soa = f"{victim.partition('.')[2]} 300 IN SOA ns.evil. h.evil. 1 2 3 4 300"
    return lambda asked: [Act(reply(asked, f"@ 300 IN CNAME {victim}", rcode=3, authority=[soa]))]


ATTACKS = {
    "alias": by_alias,
    "DNAME": by_dname,
    "other sections": by_other_sections,
    "NXDOMAIN behind an alias": by_no_such_name,
}


@dataclass
class World:
    """Four servers and a forwarder in the middle."""

    forwarder: Forwarder
    servers: dict[str, Scripted] = field(default_factory=dict)


@pytest.fixture
def world(start: Start, server: StartServer) -> World:
    servers = {whose: server(truth(whose)) for whose in DOMAINS}
    forwarder = start(
        f"--server={servers['default'].server}",
        f"--server=/cluster.local/{servers['cluster'].server}",
        f"--server=/{DOMAINS['stub'].rstrip('.')}/{servers['stub'].server}",
        f"--server=/{DOMAINS['other stub'].rstrip('.')}/{servers['other stub'].server}",
        nanny=[f"-kubednsServer={servers['cluster'].nameserver}"],
    )
    return World(forwarder, servers)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(("attacker", "whose"), DIRECTIONS, ids=lambda who: who.replace(" ", "-"))
def test_a_server_cannot_write_anothers_names(
    world: World, attacker: str, whose: str, attack: str
) -> None:
    """Neither when the victim is not known yet, nor when it is; asked by A and by other types."""
    victim = f"victim.{DOMAINS[whose]}"
    trap = f"victim.trap.{DOMAINS[attacker]}"
    other = f"victim.trap2.{DOMAINS[attacker]}"
    lie = ATTACKS[attack](victim)
    world.servers[attacker].play = by_name({trap: lie, other: lie}, truth(attacker))
    first = world.forwarder.ask(trap)
    assert EVIL not in first.to_text()
    if attack != "other sections":
        assert first.answer[-1][0].to_text() == GOOD, "completed by the victim's own server"
    assert world.forwarder.look(victim) == {GOOD}
    assert world.servers[whose].questions(victim)
    assert EVIL not in world.forwarder.ask(other).to_text()
    for _ in range(2):
        assert world.forwarder.look(victim) == {GOOD}
        assert world.forwarder.look(f"sub.{victim}") == {GOOD}
        assert EVIL not in world.forwarder.ask(trap).to_text()


def test_a_lie_in_flight_is_not_shared(world: World) -> None:
    """Both questions at once: the honest answer goes to who asked the honest server."""
    victim, trap = f"victim.{DOMAINS['default']}", f"trap.{DOMAINS['stub']}"
    world.servers["stub"].play = by_name({trap: by_alias(victim)}, truth("stub"))
    wires = [query(name).to_wire() for name in [trap, victim] * 20]
    for octets in world.forwarder.together(wires):
        assert octets is not None
        assert bytes(map(int, EVIL.split("."))) not in octets


def test_an_alias_within_a_servers_domain_is_its_own_business(world: World) -> None:
    """Nothing is asked twice there."""
    stub = DOMAINS["stub"]
    world.servers["stub"].play = zone(
        f"alias.{stub} 60 IN CNAME target.{stub}", f"target.{stub} 60 IN A 192.0.2.7", origin=stub
    )
    assert "192.0.2.7" in world.forwarder.look(f"alias.{stub}")
    assert world.servers["stub"].names() == {f"alias.{stub}": 1}


def test_aliases_that_lead_round_between_servers_end(world: World) -> None:
    """stub → other stub → stub …: a reply comes, and nobody is asked without end."""
    one, two = f"loop.{DOMAINS['stub']}", f"loop.{DOMAINS['other stub']}"
    world.servers["stub"].play = zone(f"{one} 60 IN CNAME {two}")
    world.servers["other stub"].play = zone(f"{two} 60 IN CNAME {one}")
    reply_ = world.forwarder.ask(one)
    assert not any(rrset.rdtype == 1 for rrset in reply_.answer)
    asked = len(world.servers["stub"].asked) + len(world.servers["other stub"].asked)
    assert asked <= 20


def test_a_long_chain_across_servers_is_followed(world: World) -> None:
    """Six links, each at the other server, and the address at the cluster's."""
    domains = [DOMAINS["stub"], DOMAINS["other stub"]]
    names = [f"n{i}.{domains[i % 2]}" for i in range(6)] + [f"victim.{DOMAINS['cluster']}"]
    links = [f"{a} 60 IN CNAME {b}" for a, b in pairwise(names)]
    world.servers["stub"].play = zone(*links[::2])
    world.servers["other stub"].play = zone(*links[1::2])
    reply_ = world.forwarder.ask(names[0])
    assert [rrset.name.to_text() for rrset in reply_.answer] == names
    assert reply_.answer[-1][0].to_text() == GOOD
