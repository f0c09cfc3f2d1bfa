"""What is in an answer, whatever the server sent: lives, letter case, flags, order."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import dns.flags
import dns.message
import pytest

from tests.forwarder.behaviours import GOOD, answers, late, reply, zone
from tests.forwarder.client import data, query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.scripted import Act, Asked

SOA = "example. 600 IN SOA ns.example. hostmaster.example. 1 2 3 4 600"


def test_no_ttl_is_ever_above_what_the_server_said(start: Start, server: StartServer) -> None:
    """
    Whenever in a second an answer comes, and when it is asked for again; positive or not.

    The TTL is one with which the end, by the monotonic clock, is known less exactly than the
    beginning: so any error of rounding shows.
    """
    now = time.monotonic()
    ttl = min(int(2 ** math.ceil(math.log2(now)) - now) + 20, 80_000)
    upstream = server(zone(f"www.example. {ttl} IN A {GOOD}", ttl=ttl))
    forwarder = start(f"--server={upstream.server}")
    for i in range(150):
        flags = ("RD", "RD CD")[i % 2]
        for name in ("www.example.", f"no{i}.example."):
            for _ in range(2):
                reply_ = forwarder.ask(name, flags=flags, do=i % 3 == 0)
                records = [*reply_.answer, *reply_.authority]
                assert records
                assert all(rrset.ttl <= ttl for rrset in records), reply_.to_text()
        time.sleep(0.013)


def test_a_ttl_counts_down_and_the_answer_goes_with_it(start: Start, server: StartServer) -> None:
    """Or is asked for anew a second before, because it is popular."""
    upstream = server(zone(f"www.example. 3 IN A {GOOD}"))
    forwarder = start(f"--server={upstream.server}")
    began = time.monotonic()
    seen: set[int] = set()
    while len(upstream.asked) < 2 and time.monotonic() - began < 10:
        ttl = forwarder.ask("www.example.").answer[0].ttl
        if len(upstream.asked) == 1:
            assert ttl <= 3
            assert ttl >= 3 - (time.monotonic() - began) - 1
            seen.add(ttl)
        time.sleep(0.05)
    assert time.monotonic() - began > 1.8
    assert seen >= {2, 3}


def test_the_letter_case_that_we_draw_does_not_show(start: Start, server: StartServer) -> None:
    """Servers point from their records into our question: names in data are not ours to spell."""

    def pointing(asked: Asked) -> Sequence[Act]:
        texts = {
            "A": ["@ 300 IN CNAME alias.{zone}", "alias.{zone} 300 IN A 192.0.2.1"],
            "MX": ["@ 300 IN MX 10 mail.{zone}"],
            "SRV": ["@ 300 IN SRV 1 2 3 srv.{zone}"],
            "NS": ["@ 300 IN NS ns.{zone}"],
        }
        _, _, above = asked.spelled.partition(".")
        found = [text.format(zone=above) for text in texts.get(asked.rdtype, [])]
        soa = SOA.replace("example.", above)
        return [Act(reply(asked, *found, authority=[] if found else [soa]))]

    forwarder = start(f"--server={server(pointing).server}")
    for i in range(5):
        for rdtype in ("A", "MX", "SRV", "NS", "TXT"):
            for _ in range(2):
                wire = forwarder.raw(query(f"n{i}.quitealongname.example.", rdtype).to_wire())
                assert wire is not None
                text = dns.message.from_wire(wire).to_text()
                lines = [line for line in text.splitlines() if "quite" in line.lower()]
                assert lines
                for line in lines:
                    assert "quitealongname.example" in line, line


def test_a_client_gets_its_own_spelling_and_the_rest_as_the_server_had_it(
    start: Start, server: StartServer
) -> None:
    upstream = server(answers("@ 300 IN CNAME Target.Example.", f"Target.Example. 300 IN A {GOOD}"))
    forwarder = start(f"--server={upstream.server}")
    for name in ("www.example.", "WWW.eXample.", "www.example."):
        reply_ = forwarder.ask(name)
        assert [rrset.name.to_text().lower() for rrset in reply_.answer] == [
            "www.example.", "target.example."]  # fmt: skip
        assert reply_.answer[0].name.to_text() == name


@pytest.mark.parametrize("trusted", [False, True])
def test_ad_is_passed_on_only_from_a_trusted_server(
    start: Start, server: StartServer, trusted: bool, ours_only: None
) -> None:
    """RFC 4035 4.9.3, RFC 6840 5.7: and only to who wants to know."""
    upstream = server(answers(flags="QR RD RA AD"))
    nanny = [f"--trusted={upstream.address}"] if trusted else []
    forwarder = start(f"--server={upstream.server}", nanny=nanny)
    for _ in range(2):
        for flags, do in (("RD", False), ("RD AD", False), ("RD", True)):
            wants = trusted and (do or "AD" in flags)
            reply_ = forwarder.ask("www.example.", flags=flags, do=do)
            assert bool(reply_.flags & dns.flags.AD) == wants


def test_flags_of_answers(start: Start, server: StartServer) -> None:
    """RA; RD and CD as asked; Z, AA, TC of the server are not ours."""
    upstream = server(answers(flags="QR AA RD"))
    forwarder = start(f"--server={upstream.server}")
    for flags in ("RD", "RD CD"):
        for _ in range(2):
            found = dns.flags.to_text(forwarder.ask("www.example.", flags=flags).flags)
            assert {*found.split()} == {"QR", "RA", *flags.split()}
    wire = bytearray(query("www.example.").to_wire())
    wire[3] |= 0x40
    octets = forwarder.raw(bytes(wire))
    assert octets is not None
    assert octets[3] & 0x40 == 0


def test_addresses_take_turns(start: Start, server: StartServer) -> None:
    """And the alias stays in front of them."""
    texts = ["@ 300 IN CNAME x.example.", *(f"x.example. 300 IN A 192.0.2.{i}" for i in range(4))]
    forwarder = start(f"--server={server(answers(*texts)).server}")
    firsts = set()
    for _ in range(12):
        alias, addresses = forwarder.ask("www.example.").answer
        assert alias.rdtype == dns.rdatatype.CNAME
        assert len(addresses) == 4
        firsts.add(addresses[0].to_text())
    assert len(firsts) == 4


def test_rd_0_gets_what_is_known_and_nothing_else(start: Start, server: StartServer) -> None:
    upstream = server(late(answers(), 0.01))
    forwarder = start(f"--server={upstream.server}", "--host-record=here.example,192.0.2.9")
    assert data(forwarder.ask("www.example.", flags="")) == {"REFUSED"}
    assert not upstream.asked
    assert forwarder.look("www.example.") == {GOOD}
    reply_ = forwarder.ask("www.example.", flags="")
    assert data(reply_) == {GOOD}
    assert not reply_.flags & dns.flags.RD
    assert data(forwarder.ask("here.example.", flags="")) == {"192.0.2.9"}


def test_do_and_cd_are_questions_of_their_own(start: Start, server: StartServer) -> None:
    """Asked for once each, with these bits; signatures only for who wants them."""
    signature = "@ 300 IN RRSIG A 8 2 300 20300101000000 20200101000000 1 example. AAAA"
    upstream = server(answers(f"@ 300 IN A {GOOD}", signature))
    forwarder = start(f"--server={upstream.server}")
    for _ in range(2):
        for flags in ("RD", "RD CD"):
            for do in (False, True):
                reply_ = forwarder.ask("www.example.", flags=flags, do=do)
                assert len(reply_.answer) == 1 + do
                assert bool(reply_.ednsflags & dns.flags.DO) == do
    assert len(upstream.asked) == 4
    bits = {(bool(each.message.flags & dns.flags.CD), bool(each.message.ednsflags))
            for each in upstream.asked}  # fmt: skip
    assert len(bits) == 4


def test_negative_answers_live_as_the_soa_says(start: Start, server: StartServer) -> None:
    """RFC 2308 5: the lesser of its TTL and its last field; and without an SOA not at all."""

    def negative(asked: Asked) -> Sequence[Act]:
        rcode = 3 if "nxdomain" in asked.name else 0
        soa = "example. 700 IN SOA ns.example. h.example. 1 2 3 4 50"
        return [Act(reply(asked, rcode=rcode, authority=[] if "bare" in asked.name else [soa]))]

    upstream = server(negative)
    forwarder = start(f"--server={upstream.server}")
    for name in ("nxdomain.example.", "nodata.example."):
        for _ in range(3):
            reply_ = forwarder.ask(name)
            assert reply_.authority[0].ttl <= 50
        assert len(upstream.questions(name)) == 1
    for name in ("bare-nxdomain.example.", "bare-nodata.example."):
        forwarder.ask(name)
        forwarder.ask(name)
        assert len(upstream.questions(name)) == 2


def test_what_is_no_ttl_at_all(start: Start, server: StartServer) -> None:
    """RFC 2181 8: with the top bit set it counts as 0; and 0 is for this one client."""

    def odd(asked: Asked) -> Sequence[Act]:
        wire = reply(asked, f"@ 305419896 IN A {GOOD}")
        return [Act(wire.replace(b"\x12\x34\x56\x78", b"\x92\x34\x56\x78"))]

    upstream = server(odd)
    forwarder = start(f"--server={upstream.server}")
    for _ in range(2):
        assert forwarder.ask("www.example.").answer[0].ttl == 0
    assert len(upstream.asked) == 2


def test_unequal_ttls_are_evened_to_the_least(start: Start, server: StartServer) -> None:
    """RFC 2181 5.2: no part of an RRset outlives the rest."""

    def uneven(asked: Asked) -> Sequence[Act]:
        wire = reply(asked, f"@ 305419896 IN A {GOOD}", "@ 305419896 IN A 192.0.2.2")
        first = wire.replace(b"\x12\x34\x56\x78", b"\0\0\0\x09", 1)
        return [Act(first.replace(b"\x12\x34\x56\x78", b"\0\0\x01\0"))]

    forwarder = start(f"--server={server(uneven).server}")
    for _ in range(2):
        (rrset,) = forwarder.ask("www.example.").answer
        assert len(rrset) == 2
        assert rrset.ttl <= 9


@pytest.mark.parametrize("label", [b"\0", b".", b"\xff\xfe", b"a b", b"\\", b"*", b'"'])
def test_any_octet_may_stand_in_a_label(start: Start, server: StartServer, label: bytes) -> None:
    """RFC 2181 11, both ways and out of the cache; a `*` is a name like others."""
    upstream = server()
    forwarder = start(f"--server={upstream.server}")
    wire = query("x.example.").to_wire()
    wire = wire[:12] + bytes((len(label),)) + label + wire[14:]
    for _ in range(2):
        octets = forwarder.raw(wire)
        assert octets is not None
        assert data(dns.message.from_wire(octets)) == {GOOD}
        assert octets[12 : 13 + len(label)] == wire[12 : 13 + len(label)]
    assert len(upstream.asked) == 1
    asked = upstream.asked[0].question
    assert asked[1 : 1 + len(label)].lower() == label
