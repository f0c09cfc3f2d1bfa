"""What was done to other forwarders, done to ours, where a defence can be seen from outside."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import dns.edns
import dns.message
import dns.rcode
import pytest

from tests.forwarder.behaviours import (
    EVIL,
    GOOD,
    NXDOMAIN,
    SERVFAIL,
    answers,
    by_name,
    fails,
    late,
    quick,
    reply,
    silent,
    truncated,
    udp_or_tcp,
    zone,
)
from tests.forwarder.client import Client, data, framed, query, receive
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.scripted import Act, Asked

PATIENT_S = 0.3
"""How long a slow server takes; `patient` makes the forwarder used to it, so it does not repeat."""


def patient(client: Client, domain: str = "example.") -> None:
    """Ask a slow server a few questions, so that its round trip is known to be long."""
    for _ in range(3):
        made = [query(f"warm{time.monotonic_ns()}-{i}.{domain}").to_wire() for i in range(8)]
        assert None not in client.together(made)


def test_two_hundred_equal_questions_are_one(start: Start, server: StartServer) -> None:
    """CVE-2020-25686, CVE-2023-28452: no birthday to be had, and nothing for an upstream to do."""
    upstream = server(late(answers(), PATIENT_S))
    forwarder = start(f"--server={upstream.server}")
    patient(forwarder)
    asked = [query("www.example.") for _ in range(200)]
    replies = forwarder.together(each.to_wire() for each in asked)
    for one, wire in zip(asked, replies, strict=True):
        assert wire is not None
        reply_ = dns.message.from_wire(wire)
        assert reply_.id == one.id
        assert data(reply_) == {GOOD}
    assert len(upstream.questions("www.example.")) == 1


def test_what_a_client_adds_does_not_make_it_another_question(
    start: Start, server: StartServer
) -> None:
    """CVE-2025-5994: client subnets, cookies, sizes, AD, letter case split nothing."""
    upstream = server(late(answers(), PATIENT_S))
    forwarder = start(f"--server={upstream.server}")
    patient(forwarder)
    asked = []
    for i in range(200):
        options: list[dns.edns.Option] = [
            dns.edns.ECSOption(f"10.{i}.0.0", 16),
            dns.edns.GenericOption(dns.edns.OptionType.COOKIE, i.to_bytes(8)),
            dns.edns.GenericOption(dns.edns.OptionType(65001), bytes((i,)) * (i % 50)),
        ]
        name = "".join(c.upper() if i >> k & 1 else c for k, c in enumerate("www.example."))
        edns = None if i % 5 == 0 else 512 + i * 10
        flags = "RD AD" if i % 3 == 0 else "RD"
        asked.append(query(name, flags=flags, edns=edns, options=options[: i % 4]))
    replies = forwarder.together(each.to_wire() for each in asked)
    assert len(upstream.questions("www.example.")) == 1
    for one, wire in zip(asked, replies, strict=True):
        assert wire is not None
        reply_ = dns.message.from_wire(wire)
        assert data(reply_) == {GOOD}
        assert reply_.question[0].name.labels == one.question[0].name.labels, "its own spelling"
        assert (reply_.edns >= 0) == (one.edns >= 0), "OPT in the reply if in the query"


@pytest.mark.parametrize("over", ["udp", "tcp"])
@pytest.mark.parametrize("rdtype", ["AXFR", "IXFR"])
def test_transfers_are_refused_and_reach_no_upstream(
    start: Start, server: StartServer, rdtype: str, over: str
) -> None:
    """CVE-2026-40209: a transfer would hold a connection to an upstream."""
    upstream = server()
    forwarder = start(f"--server={upstream.server}")
    wire = query("example.", rdtype).to_wire()
    if over == "udp":
        found = forwarder.raw(wire)
    else:
        with forwarder.connect() as connection:
            connection.sendall(len(wire).to_bytes(2) + wire)
            found = connection.recv(65535)[2:]
    assert found is not None
    assert found[3] & 15 in (dns.rcode.REFUSED, dns.rcode.NOTIMP)
    assert not upstream.asked


def test_a_clients_edns_options_go_no_further(start: Start, server: StartServer) -> None:
    """CVE-2026-4893, CVE-2026-42004, RFC 7873, RFC 7830: hop by hop means this hop."""
    upstream = server()
    forwarder = start(f"--server={upstream.server}")
    options = [
        dns.edns.ECSOption("198.51.100.0", 24),
        dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"),
        dns.edns.GenericOption(dns.edns.OptionType(12), bytes(20)),
        dns.edns.GenericOption(dns.edns.OptionType(65001), b"secret"),
    ]
    assert data(forwarder.ask("www.example.", edns=4096, options=options)) == {GOOD}
    for asked in upstream.asked:
        assert not asked.message.options
        assert asked.message.payload == 1232
    assert not forwarder.ask("again.example.", options=options).options


def test_an_upstreams_edns_options_go_no_further(start: Start, server: StartServer) -> None:
    def talkative(asked: Asked) -> Sequence[Act]:
        made = dns.message.from_wire(reply(asked, f"@ 300 IN A {GOOD}"))
        made.use_edns(0, 0, 9000, options=[
            dns.edns.ECSOption("198.51.100.0", 24, 24),
            dns.edns.GenericOption(dns.edns.OptionType(65001), b"secret"),
        ])  # fmt: skip
        return [Act(made.to_wire())]

    forwarder = start(f"--server={server(talkative).server}")
    for _ in range(2):
        found = forwarder.ask("www.example.")
        assert data(found) == {GOOD}
        assert not found.options
        assert found.payload <= 1400
    assert forwarder.ask("www.example.", edns=None).edns == -1
    assert forwarder.ask("other.example.", edns=None).edns == -1


def test_what_nobody_asked_for_is_neither_kept_nor_passed_on(
    start: Start, server: StartServer
) -> None:
    """CVE-2025-11411, CVE-2026-0398: records off the chain, in any section."""
    unasked = [f"victim.example. 300 IN A {EVIL}", "example. 300 IN NS evil.example.",
               f"ns.example. 300 IN A {EVIL}"]  # fmt: skip

    def generous(asked: Asked) -> Sequence[Act]:
        good = f"@ 300 IN A {GOOD}"
        return [Act(reply(asked, good, *unasked, authority=unasked, additional=unasked))]

    truth = zone(f"victim.example. 60 IN A {GOOD}", f"ns.example. 60 IN A {GOOD}",
                 "example. 60 IN NS ns.example.")  # fmt: skip
    upstream = server(by_name({"www.example.": generous}, truth))
    forwarder = start(f"--server={upstream.server}")
    for _ in range(2):
        found = forwarder.ask("www.example.")
        assert data(found) == {GOOD}
        assert EVIL not in found.to_text()
    assert forwarder.look("victim.example.") == {GOOD}
    assert forwarder.look("ns.example.") == {GOOD}
    assert forwarder.look("example.", "NS") == {"ns.example."}


def test_a_negative_answer_brings_nothing_either(start: Start, server: StartServer) -> None:
    def negative(asked: Asked) -> Sequence[Act]:
        soa = "example. 60 IN SOA ns.example. h.example. 1 2 3 4 60"
        evil = f"victim.example. 300 IN A {EVIL}"
        return [Act(reply(asked, rcode=NXDOMAIN, authority=[soa, evil], additional=[evil]))]

    upstream = server(by_name({"no.example.": negative}, zone(f"victim.example. 60 IN A {GOOD}")))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("no.example.") == {"NXDOMAIN"}
    assert forwarder.look("victim.example.") == {GOOD}


def test_an_nxdomain_does_not_hide_what_others_are_asked_about(
    start: Start, server: StartServer
) -> None:
    """CVE-2026-44687: the default servers know no such domain, its own servers do."""
    default, stub = server(zone()), server(zone(f"www.stub.example. 60 IN A {GOOD}"))
    forwarder = start(f"--server={default.server}", f"--server=/stub.example/{stub.server}")
    assert forwarder.look("example.") == {"NXDOMAIN"}
    assert forwarder.look("nope.example.") == {"NXDOMAIN"}
    assert forwarder.look("www.stub.example.") == {GOOD}
    assert forwarder.look("www.nope.example.") == {"NXDOMAIN"}


def test_a_hit_never_lengthens_a_life(start: Start, server: StartServer) -> None:
    """CVE-2022-30698: an answer of 3 s is asked for again after 3 s, however often it was used."""
    upstream = server(zone(f"www.example. 3 IN A {GOOD}", "alias.example. 3 IN CNAME www.example."))
    forwarder = start(f"--server={upstream.server}")
    began = time.monotonic()
    assert forwarder.look("www.example.") == {GOOD}
    upstream.play = zone("www.example. 3 IN A 192.0.2.2",
                         "alias.example. 3 IN CNAME www.example.")  # fmt: skip
    while time.monotonic() - began < 8:
        forwarder.look("alias.example.")
        if forwarder.look("www.example.") == {"192.0.2.2"}:
            break
        time.sleep(0.05)
    assert forwarder.look("www.example.") == {"192.0.2.2"}


def test_a_silent_server_is_asked_three_times_at_most(start: Start, server: StartServer) -> None:
    """RFC 9520 3.1, NXNSAttack: three datagrams, one connection; then SERVFAIL, and no more."""
    upstream = server(udp_or_tcp(silent, silent))
    forwarder = start(f"--server={upstream.server}")
    began = time.monotonic()
    assert forwarder.look("www.example.") == {"SERVFAIL"}
    assert time.monotonic() - began < 8, "no answer later than a client waits"
    count = len(upstream.asked)
    assert len([each for each in upstream.asked if not each.tcp]) <= 3
    assert len([each for each in upstream.asked if each.tcp]) <= 1
    for _ in range(20):
        assert forwarder.look("www.example.") == {"SERVFAIL"}
    assert len(upstream.asked) <= count + 3, "the failure is remembered"
    assert len({(each.id, each.source) for each in upstream.asked}) == len(upstream.asked)


def test_a_failure_is_remembered(start: Start, server: StartServer) -> None:
    """RFC 9520: SERVFAIL is asked for again only after a while."""
    upstream = server(fails(SERVFAIL))
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {"SERVFAIL"}
    count = len(upstream.asked)
    for _ in range(30):
        assert forwarder.look("www.example.") == {"SERVFAIL"}
    assert len(upstream.asked) == count


def test_waiting_answers_are_bounded_and_none_comes_late(start: Start, server: StartServer) -> None:
    """DNSBomb: a thousand waiters on one silent question; no burst when it is over."""
    upstream = server(udp_or_tcp(silent, silent))
    forwarder = start(f"--server={upstream.server}")
    wire = query("www.example.").to_wire()
    began = time.monotonic()
    replies = forwarder.together([wire] * 900, within_s=7.0)
    assert time.monotonic() - began < 8
    assert sum(each is not None for each in replies) <= 500
    assert {each[3] & 15 for each in replies if each is not None} <= {SERVFAIL}


def test_a_message_of_pointers_and_records_costs_little(start: Start, server: StartServer) -> None:
    """CVE-2024-8508: four thousand records whose owners are all compressed, in 64 KiB."""

    def huge(asked: Asked) -> Sequence[Act]:
        rrs = b"".join(
            b"\xc0\x0c\0\1\0\1\0\0\1\0\0\4" + i.to_bytes(4) for i in range(0x0A000000, 0x0A000FF0)
        )
        head = asked.id + b"\x81\x80\0\1\x0f\xf0\0\0\0\0"
        return [Act(head + asked.question + rrs)]

    plays = {f"huge{i}.example.": udp_or_tcp(truncated, huge) for i in range(20)}
    forwarder = start(f"--server={server(by_name(plays, answers())).server}")
    with forwarder.volley(query(name).to_wire() for name in plays) as volley:
        for i in range(20):
            assert forwarder.look(f"small{i}.example.") == {GOOD}
        assert None not in volley.replies()
    found = forwarder.ask("huge3.example.", tcp=True)
    assert len(found.answer) <= 1
    assert sum(map(len, found.answer)) in (0, 0xFF0)


def test_five_thousand_records_are_the_most(start: Start, server: StartServer) -> None:
    def countless(asked: Asked) -> Sequence[Act]:
        rrs = b"\xc0\x0c\xff\x00\0\1\0\0\1\0\0\0" * 5400
        head = asked.id + b"\x81\x80\0\1" + (5400).to_bytes(2) + b"\0\0\0\0"
        return [Act(head + asked.question + rrs)]

    play = by_name({"many.example.": udp_or_tcp(truncated, countless)}, answers())
    forwarder = start(f"--server={server(play).server}")
    assert forwarder.look("many.example.", "TYPE65280", tcp=True) == {"SERVFAIL"}
    assert forwarder.look("few.example.") == {GOOD}


def test_long_lists_of_edns_options_cost_little(start: Start, server: StartServer) -> None:
    """CVE-2026-41292: only the first ones are looked at."""
    forwarder = start(f"--server={server().server}")
    wire = bytearray(query("www.example.").to_wire())
    octets = 4 * 15_000
    wire[-2:] = octets.to_bytes(2) + b"\xfd\xe9\0\0" * 15_000
    with forwarder.connect() as connection:
        for _ in range(20):
            connection.sendall(framed(bytes(wire)))
            found = receive(connection)
            assert found is not None
            assert data(dns.message.from_wire(found)) == {GOOD}


def test_a_notify_that_is_not_the_clusters_is_none_of_our_business(
    start: Start, server: StartServer
) -> None:
    """Whoever reaches the port may not empty the cache."""
    upstream = server()
    forwarder = start(f"--server={upstream.server}")
    assert forwarder.look("www.example.") == {GOOD}
    wire = bytearray(query("www.example.", "SOA", edns=None).to_wire())
    wire[2] = 0x24
    found = forwarder.raw(bytes(wire))
    assert found is not None
    assert found[3] & 15 == dns.rcode.NOTIMP
    assert forwarder.look("www.example.") == {GOOD}
    assert len(upstream.asked) == 1


def test_the_label_of_the_loop_probe_cannot_be_guessed(start: Start, server: StartServer) -> None:
    """CVE-2026-26018."""
    probes = []
    for _ in range(2):
        upstream = server(fails(NXDOMAIN))
        start(f"--server={upstream.server}", "--dns-loop-detect")
        (probe, *_) = _eventually(upstream.asked)
        probes.append(probe.name.split(".")[0])
    assert probes[0] != probes[1]
    assert all(len(label) >= 8 for label in probes)


def _eventually(asked: list[Asked]) -> list[Asked]:
    deadline = time.monotonic() + 10
    while not asked and time.monotonic() < deadline:
        time.sleep(0.02)
    assert asked, "no loop probe"
    return asked


def test_a_name_cannot_write_the_log(start: Start, server: StartServer) -> None:
    """Line ends, escape sequences and octets beyond ASCII are spelled out."""
    forwarder = start(f"--server={server(quick).server}", "--log-queries")
    for label in (b"a\nquery[A] fake from 1.2.3.4", b"\x1b[2J", b"\xff\x00", b"\r", b"\x7f"):
        wire = query("x.example.", edns=None).to_wire()
        wire = wire[:12] + bytes((len(label),)) + label + wire[14:]
        assert forwarder.raw(wire) is not None
    assert forwarder.look("last.example.") == {GOOD}
    forwarder.logs("last.example")
    assert not re.findall(r"[^\n\x20-\x7e]", forwarder.log())
    assert not re.findall(r"^query\[A\] fake", forwarder.log(), re.MULTILINE)


def test_a_name_cannot_write_a_page(start: Start, server: StartServer, ours_only: None) -> None:
    """CVE-2026-0396: no name of a client in metrics or status."""
    forwarder = start(f"--server={server(quick).server}")
    forwarder.look('<hostile>"}.example.')
    for path in ("/metrics", "/status"):
        code, text = forwarder.page(path)
        assert code == 200
        assert "hostile" not in text
