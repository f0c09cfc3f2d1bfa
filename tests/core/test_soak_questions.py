"""Questions and answers of the soak, as octets."""

from __future__ import annotations

import dns.message
import dns.rrset
import pytest

from tests.soak.outside import Server
from tests.soak.questions import (
    BROKEN,
    MISSING,
    NODATA,
    PTR,
    SRV,
    Key,
    data,
    foreign,
    query,
    read,
)

NAME = "web.shop.svc.cluster.local"


def reply(*records: str, rcode: int = 0) -> bytes:
    made = dns.message.make_response(dns.message.make_query(NAME, "A"))
    made.set_rcode(dns.rcode.Rcode(rcode))
    made.answer = [dns.rrset.from_text(*text.split(" ", 4)) for text in records]
    return made.to_wire()


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([f"{NAME}. 30 IN A 10.0.0.7"], data("10.0.0.7")),
        ([f"{NAME}. 30 IN AAAA fd00::7"], data("fd00::7")),
        ([f"{NAME}. 30 IN SRV 10 50 80 A.{NAME}."], data(f"80 a.{NAME}")),
        ([f"7.0.0.10.in-addr.arpa. 30 IN PTR {NAME}."], data(NAME)),
        ([f"{NAME}. 30 IN CNAME x.test.", "x.test. 5 IN A 1.2.3.4"], data("=x.test", "1.2.3.4")),
        ([], NODATA),
    ],
)
def test_an_answer_is_read(records: list[str], expected: object) -> None:
    assert read(reply(*records)) == (expected, 30 if records else -1)


def test_a_name_that_is_missing() -> None:
    assert read(reply(rcode=3)) == (MISSING, -1)


def test_every_answer_cut_short_is_broken_or_read() -> None:
    whole = reply(f"{NAME}. 30 IN SRV 10 50 80 a.{NAME}.")
    found = {read(whole[:size])[0][0] for size in range(12, len(whole))}
    assert found == {BROKEN}


def test_a_query_is_what_was_meant() -> None:
    for kind in (PTR, SRV):
        made = dns.message.from_wire(b"\0\1" + query(Key(NAME, kind), size=1232, do=True))
        assert made.question[0].name.to_text() == f"{NAME}."
        assert made.question[0].rdtype == kind
        assert made.payload == 1232
        assert made.ednsflags


@pytest.mark.parametrize(
    ("name", "server", "expected"),
    [
        ("www.example.com", 0, foreign("www.example.com")),
        ("nx-1.example.com", 1, MISSING),
        ("git.stub.test", 0, MISSING),
        ("git.stub.test", 2, foreign("git.stub.test", 1)),
        ("git.stub.test", 3, foreign("git.stub.test", 2)),
    ],
)
def test_what_the_servers_outside_say(name: str, server: int, expected: object) -> None:
    answer = Server(server).answer(b"\0\1" + query(Key(name)))
    assert read(answer)[0] == expected
    dns.message.from_wire(answer)
