"""
A question and its expected answer in zone-file text, checked through the whole pure path.

Every case is asked in all the ways that clients have: with and without EDNS, over UDP and TCP, for
the first time and from the ready answers, in odd letter case. What must hold of every reply is
checked with it: id, question, flags, OPT, size, one SOA, no duplicates, CNAMEs in front.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import dns.flags
import dns.message
import dns.rcode

from tests.builders import SERIAL, Served, decoded, lines, query

SOA = (
    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. "
    f"{SERIAL} 7200 1800 86400 5"
)
ZONE = ".cluster.local."


@dataclass(frozen=True)
class Case:
    """
    One question.

    story: what an operator would say. question: `name TYPE [CLASS]`. Records within a section may
    come in any order, but a CNAME before what it leads to. authoritative: None: not for SERVFAIL
    and REFUSED.
    """

    story: str
    question: str
    answer: Sequence[str] = ()
    authority: Sequence[str] = ()
    additional: Sequence[str] = ()
    rcode: str = "NOERROR"
    flags: str = field(default="", kw_only=True)
    authoritative: bool | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        return self.story

    def check(self, served: Served) -> None:
        """Ask in every way, and compare."""
        self._check(served, edns=True, tcp=False)
        self._check(served, edns=True, tcp=False)  # from the ready answers
        self._check(served, edns=True, tcp=True)
        self._check(served, edns=False, tcp=False)
        self._check(served, edns=False, tcp=False)
        self._check_odd_case(served)

    def _check(self, served: Served, *, edns: bool, tcp: bool) -> None:
        asked = query(self.question, edns=edns, flags=self.flags)
        octets = served.octets(asked.to_wire(), tcp=tcp)
        assert octets is not None, "no reply"
        reply = decoded(octets)
        self._check_invariants(asked, octets, reply, tcp=tcp)
        assert dns.rcode.to_text(reply.rcode()) == self.rcode
        if reply.flags & dns.flags.TC:
            assert not edns and not tcp, "cut although there is room"
            return
        assert grouped(lines(reply.answer)) == grouped(list(self.answer))
        assert grouped(lines(reply.authority)) == grouped(list(self.authority))
        additional = sorted(grouped(lines(reply.additional)))
        expected = sorted(grouped(list(self.additional)))
        if edns or tcp:
            assert additional == expected
        else:
            assert all(rrset in expected for rrset in additional), "left out whole, or not at all"

    def _check_invariants(
        self, asked: dns.message.Message, octets: bytes, reply: dns.message.Message, *, tcp: bool
    ) -> None:
        assert reply.id == asked.id
        end = 16 + len(asked.question[0].name.to_wire())
        assert octets[12:end] == asked.to_wire()[12:end], "the question comes back as it was"
        flags = dns.flags.to_text(reply.flags).split()
        assert "QR" in flags
        assert "RA" in flags
        assert "AD" not in flags
        authoritative = self.authoritative
        if authoritative is None:
            authoritative = self.rcode in ("NOERROR", "NXDOMAIN")
        assert ("AA" in flags) is authoritative
        for copied in ("RD", "CD"):
            assert (copied in flags) is (copied in self.flags.split())
        assert (reply.edns == 0) is (asked.edns == 0), "OPT for OPT"
        if reply.edns == 0:
            assert bool(reply.ednsflags & dns.flags.DO) is bool(asked.ednsflags & dns.flags.DO)
            assert octets[-11 - _options(reply) :][:3] == b"\0\0\x29", "OPT comes last (M12)"
        if not tcp:
            assert len(octets) <= (asked.payload if asked.edns == 0 else 512)
        for section in (reply.answer, reply.authority, reply.additional):
            text = lines(section)
            assert len(text) == len(set(text)), "a record twice"
        owners = [line.split()[0].lower() for line in lines(reply.answer)]
        kinds = [line.split()[3] for line in lines(reply.answer)]
        assert kinds == sorted(kinds, key=lambda kind: kind != "CNAME"), "CNAMEs first (C5)"
        if owners:
            assert owners[0] == str(asked.question[0].name).lower()

    def _check_odd_case(self, served: Served) -> None:
        """Letter case is the client's: the owner as asked, the rest the same in lower case."""
        name, *rest = self.question.split()
        odd = "".join(c.upper() if i % 3 else c.lower() for i, c in enumerate(name))
        reply = served.ask(" ".join((odd, *rest)), flags=self.flags)
        assert dns.rcode.to_text(reply.rcode()) == self.rcode
        found = lines(reply.answer)
        assert sorted(map(str.lower, found)) == sorted(map(str.lower, self.answer))
        if found:
            assert found[0].split()[0] == odd.removesuffix(".") + "."


def _options(reply: dns.message.Message) -> int:
    return sum(4 + len(option.to_wire()) for option in reply.options)


def grouped(text: list[str]) -> list[list[str]]:
    """Put records of one owner and type together, sorted, and keep the order of those groups."""
    return [
        sorted(group) for _, group in groupby(text, key=lambda line: line.lower().split()[:4:3])
    ]


def records(owner: str, rtype: str, *rdatas: str, ttl: int = 30) -> list[str]:
    """Write records of one owner; the zone is added to names without a final dot."""
    return [f"{full(owner)} {ttl} IN {rtype} {rdata}" for rdata in rdatas]


def full(name: str) -> str:
    """Complete a name: `svc1.testns` is svc1.testns.svc.cluster.local."""
    return name if name.endswith(".") else f"{name}.svc.cluster.local."


def negative(story: str, question: str, rcode: str = "NOERROR", soa: str = SOA) -> Case:
    """Build a case without an answer: NODATA, or with a code NXDOMAIN."""
    return Case(story, question, authority=[soa], rcode=rcode)


def missing(story: str, question: str, soa: str = SOA) -> Case:
    """Build a case of a name that does not exist."""
    return negative(story, question, "NXDOMAIN", soa)
