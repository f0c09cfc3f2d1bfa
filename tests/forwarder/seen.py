"""What two servers said to the same question, field by field, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.forwarder.client import Client, ede, framed, query, receive
from tests.forwarder.zones import Ask

SILENCE_S = 7.0
_FLAGS = ("AA", "TC", "RD", "RA", "AD", "CD")
_COUNTED = ("cachesize", "insertions", "evictions", "misses", "hits", "servers")
_OF_NAMES = {dns.rdatatype.from_text(each) for each in ("CNAME", "MX", "NS", "PTR", "SOA", "SRV")}

Records = dict[tuple[str, str, str], int]
"""(owner in lower case, type, data) → TTL"""


@dataclass
class Seen:
    """One reply. silent: there was none; then nothing else counts."""

    silent: bool = False
    broken: str = ""
    octets: int = 0
    rcode: str = ""
    question: bytes = b""
    flags: set[str] = field(default_factory=set)
    edns: tuple[int, int, int] | None = None  # version, DO, number of options besides EDE
    size: int = 0
    ede: list[int] = field(default_factory=list)
    answer: Records = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # types of the answer's RRsets, CNAMEs first?
    authority: Records = field(default_factory=dict)
    additional: Records = field(default_factory=dict)


def ask(client: Client, asked: Ask) -> Seen:
    """Put one question to one server."""
    message = query(asked.name, asked.rdtype, **asked.how)  # type: ignore[arg-type]
    wire = message.to_wire()
    if asked.tcp:
        with client.connect() as connection:
            connection.settimeout(SILENCE_S)
            connection.sendall(framed(wire))
            try:
                found = receive(connection)
            except TimeoutError:
                found = None
    else:
        found = client.raw(wire, within_s=SILENCE_S)
    return Seen(silent=True) if found is None else read(found, wire)


def read(octets: bytes, wire: bytes) -> Seen:
    """Take a reply apart."""
    try:
        reply = dns.message.from_wire(octets)
    except dns.exception.DNSException as error:
        return Seen(broken=repr(error), octets=len(octets))
    end = wire.index(0, 12) + 5
    edns = None
    if reply.edns >= 0:
        others = [each for each in reply.options if not isinstance(each, dns.edns.EDEOption)]
        edns = (reply.edns, reply.ednsflags, len(others))
    return Seen(
        octets=len(octets),
        rcode=dns.rcode.to_text(reply.rcode()),
        question=octets[12:end],
        flags={name for name in _FLAGS if reply.flags & dns.flags.from_text(name)},
        edns=edns,
        size=reply.payload,
        ede=ede(reply),
        answer=_records(reply.answer),
        order=[dns.rdatatype.to_text(each.rdtype) for each in reply.answer],
        authority=_records(reply.authority),
        additional=_records(reply.additional),
    )


def _records(section: list[dns.rrset.RRset]) -> Records:
    return {
        (
            rrset.name.to_text().lower(),
            dns.rdatatype.to_text(rrset.rdtype),
            _data(rrset, rdata.to_text()),
        ): rrset.ttl
        for rrset in section
        for rdata in rrset
    }


def _data(rrset: dns.rrset.RRset, text: str) -> str:
    """Leave out numbers that count what was asked before, and the letter case of names."""
    if rrset.rdclass == dns.rdataclass.CH:
        name = rrset.name.to_text().lower()
        return "…" if name.removesuffix(".bind.") in _COUNTED else text
    return text.lower() if rrset.rdtype in _OF_NAMES else text


def differences(ours: Seen, theirs: Seen, since_s: float) -> set[str]:
    """
    Name the fields in which two replies differ.

    since_s: how long ago the first question was asked: TTLs may differ by that.
    """
    if ours.silent or theirs.silent:
        return set() if ours.silent == theirs.silent else {"silent"}
    if ours.broken or theirs.broken:
        return {"broken"}
    found = {f"{flag}" for flag in _FLAGS if (flag in ours.flags) != (flag in theirs.flags)}
    for name in ("rcode", "question", "edns", "ede"):
        if getattr(ours, name) != getattr(theirs, name):
            found.add(name)
    for name in ("answer", "authority", "additional"):
        one, two = getattr(ours, name), getattr(theirs, name)
        if one.keys() != two.keys():
            found.add(name)
        if any(abs(one[key] - two[key]) > since_s + 1 for key in one.keys() & two.keys()):
            found.add(f"{name} TTL")
    return found
