"""Source ports and IDs towards upstreams: nobody can guess where an answer must go to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.forwarder.behaviours import EVIL, GOOD, quick, reply, truncated, udp_or_tcp
from tests.forwarder.chance import fair, no_steps
from tests.forwarder.client import Client, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.scripted import Act, Asked

QUESTIONS = 5000
USES = 100  # of one socket, at most; RFC 5452-1 in forwarder.md
SOCKETS = 256


def ask(client: Client, count: int = QUESTIONS, at_once: int = 50) -> None:
    """Ask so many names, each once."""
    for start in range(0, count, at_once):
        wires = [query(f"n{i}.example.").to_wire() for i in range(start, start + at_once)]
        assert None not in client.together(wires)


def ids(asked: list[Asked]) -> list[int]:
    return [int.from_bytes(each.id) for each in asked]


def check_ids(asked: list[Asked]) -> None:
    fair(ids(asked), 0, 0xFFFF)
    fair((i & 0xFF for i in ids(asked)), 0, 0xFF)
    no_steps(ids(asked), 0x10000)


def check_ports(ports: list[int], low: int, high: int) -> None:
    """Sockets may be used several times, so it is the sockets whose ports must be spread."""
    used = Counter(ports)
    assert len(used) >= SOCKETS
    assert max(used.values()) <= USES
    fair(used, low, high, bins=16)
    no_steps(ports, 0x10000)


def test_five_thousand_ids_and_ports(start: Start, server: StartServer) -> None:
    upstream = server(quick)
    ask(start(f"--server={upstream.server}", "--cache-size=0"))
    check_ids(upstream.asked)
    ports = [each.source[1] for each in upstream.asked]
    assert max(ports) - min(ports) >= 1 << 14
    check_ports(ports, min(ports), max(ports))


@pytest.mark.parametrize("source", ["127.0.0.9", "127.0.0.1"])
def test_also_with_a_source_address(start: Start, server: StartServer, source: str) -> None:
    """CVE-2021-3448: a server with a source address was asked from one port for ever."""
    upstream = server(quick)
    ask(start(f"--server={upstream.server}@{source}", "--cache-size=0"))
    assert {each.source[0] for each in upstream.asked} == {source}
    check_ids(upstream.asked)
    ports = [each.source[1] for each in upstream.asked]
    check_ports(ports, min(ports), max(ports))


def test_ports_from_a_range(start: Start, server: StartServer) -> None:
    upstream = server(quick)
    ask(start(f"--server={upstream.server}", "--min-port=40000", "--max-port=59999"))
    check_ids(upstream.asked)
    check_ports([each.source[1] for each in upstream.asked], 40000, 59999)


def test_a_fixed_port_if_it_must_be(start: Start, server: StartServer) -> None:
    """--query-port is what it says; the IDs are all there is then."""
    upstream = server(quick)
    port = 11_953
    ask(start(f"--server={upstream.server}", f"--query-port={port}"), 1000)
    assert {each.source[1] for each in upstream.asked if not each.tcp} == {port}
    no_steps(ids(upstream.asked), 0x10000)


def test_ids_over_tcp_are_not_the_clients(start: Start, server: StartServer) -> None:
    """dnsmasq hands the client's ID on; here a client has no say in it."""
    upstream = server(udp_or_tcp(truncated, quick))
    forwarder = start(f"--server={upstream.server}")
    for i in range(40):
        asked = query(f"n{i}.example.")
        asked.id = 7
        assert forwarder.send(asked, tcp=True).answer[0][0].to_text() == GOOD
    over_tcp = [each for each in upstream.asked if each.tcp]
    assert len(over_tcp) >= 40
    assert len(set(ids(over_tcp))) >= 20
    assert Counter(ids(over_tcp))[7] <= 2


def test_letter_case_is_drawn_where_it_comes_back(
    start: Start, server: StartServer, ours_only: None
) -> None:
    """0x20: from a server that repeats the question to the octet."""
    upstream = server(quick)
    forwarder = start(f"--server={upstream.server}")
    for i in range(60):
        assert forwarder.look(f"quitealongname{i}.example.") == {GOOD}
    spelled = {each.spelled for each in upstream.asked}
    changed = [each for each in spelled if each != each.lower()]
    assert len(changed) >= 40


def test_a_forger_who_has_guessed_port_and_id_must_guess_the_spelling(
    start: Start, server: StartServer
) -> None:
    """A reply in another letter case, from a server that has always kept it."""
    upstream = server(quick)
    forwarder = start(f"--server={upstream.server}")
    for i in range(20):
        assert forwarder.look(f"quitealongname{i}.example.") == {GOOD}

    def guessed(asked: Asked) -> Sequence[Act]:
        evil = bytearray(reply(asked, f"@ 300 IN A {EVIL}"))
        evil[12 : 12 + len(asked.question) - 4] = asked.question[:-4].swapcase()
        return [Act(bytes(evil)), Act(reply(asked, f"@ 300 IN A {GOOD}"), after_s=0.08)]

    upstream.play = guessed
    assert forwarder.look("anotherquitelongname.example.") == {GOOD}
