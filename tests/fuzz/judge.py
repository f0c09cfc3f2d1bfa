"""What dnspython says of our messages: an independent reader of the same octets."""

import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

from kubedns.wire import rr

HEADER = 12


def read(octets: bytes) -> dns.message.Message:
    """Read a message, every record by itself; what cannot be read is a finding."""
    return dns.message.from_wire(octets, one_rr_per_rrset=True, raise_on_truncation=False)


def read_or_none(octets: bytes) -> dns.message.Message | None:
    """Read a message; None: dnspython cannot."""
    try:
        return read(octets)
    except (dns.exception.DNSException, ValueError):
        # ValueError: a few of dnspython's RDATA classes raise it for values out of range.
        return None


def question_of(message: bytes) -> bytes | None:
    """Return the octets of the one question of a message; None if it has none that is whole."""
    at = HEADER
    try:
        while length := message[at]:
            at += 1 + length
    except IndexError:
        return None
    return message[HEADER : at + 5] if len(message) >= at + 5 else None


def fits(asked: bytes, reply: bytes, limit: int) -> dns.message.Message:
    """Assert that a reply is one to this message, whatever that was, and return it read."""
    belongs(asked, reply, limit)
    return read(reply)


def belongs(asked: bytes, reply: bytes, limit: int) -> None:
    """
    Assert that a reply is one to this message, without a look at its records.

    limit: octets that the client takes.
    """
    assert reply[:2] == asked[:2], "another ID"
    assert reply[2] & 0x80, "no response"
    assert (reply[2] ^ asked[2]) & 0x78 == 0, "another opcode"
    assert len(reply) <= limit, f"{len(reply)} octets, more than {limit}"
    if reply[4:6] == b"\0\1":
        assert question_of(reply) == question_of(asked), "another question"
    else:
        assert len(reply) == HEADER, "no question, and yet something"


def records(section: list[dns.rrset.RRset]) -> list[tuple[bytes, int, int, bytes]]:
    """Return the records of class IN: owner folded, type, TTL and RDATA without compression."""
    return [
        (rrset.name.to_digestable(), int(rrset.rdtype), rrset.ttl, rrset[0].to_wire())
        for rrset in section
        if rrset.rdclass == rr.IN
    ]


def said(message: dns.message.Message) -> tuple[object, ...]:
    """Return all that a reply says but its ID, and without regard to the order of records."""
    sections = [sorted(str(each) for each in section) for section in message.sections[1:]]
    options = [(int(option.otype), option.to_wire()) for option in message.options]
    return (
        int(message.flags),
        int(message.rcode()),
        message.edns,
        message.ednsflags,
        message.payload,
        [str(each) for each in message.question],
        sections,
        options,
    )


def is_one_line(text: str) -> bool:
    """Tell whether a text can go to a log as it is: printable ASCII, one line."""
    return text.isascii() and text.isprintable()
