"""
What a scripted server does, by name: good answers, bad ones, none, late ones.

Most behaviours here are plays (see scripted.py); `BAD` holds what an attacker or a broken server
may send instead of the right answer, each a function from the query and the right reply to a
message that carries `EVIL` wherever it can, so that a test sees when it was believed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.forwarder.scripted import Act, Asked, How, Play

GOOD = "192.0.2.1"
EVIL = "6.6.6.6"
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH = 1, 2, 3, 4, 5, 9
_A = struct.pack(">HHHIH", 0xC00C, 1, 1, 300, 4)
_ADDRESS = _A + bytes(map(int, EVIL.split(".")))
"""A whole record at the name of the question."""


def record(text: str) -> dns.rrset.RRset:
    """Read a record in zone-file form, the name absolute or not."""
    owner, ttl, rdclass, rdtype, *rest = text.split(" ", 4)
    name = dns.name.from_text(owner)
    return dns.rrset.from_text(name, int(ttl), rdclass, rdtype, *rest)


def reply(asked: Asked, *answer: str, rcode: int = 0, authority: Sequence[str] = (),
          additional: Sequence[str] = (), flags: str = "QR RD RA") -> bytes:  # fmt: skip
    """
    Make a reply; `@` in front of a record is the asked name as it was spelled.

    Records of the same owner and type, one after the other, are one RRset.
    """
    made = dns.message.make_response(asked.message, recursion_available=True)
    made.flags = dns.flags.Flag(dns.flags.from_text(flags))
    made.set_rcode(dns.rcode.Rcode(rcode))
    for section, texts in (
        (made.answer, answer), (made.authority, authority), (made.additional, additional),
    ):  # fmt: skip
        for text in texts:
            owned = record(asked.spelled + text[1:] if text.startswith("@ ") else text)
            if section and section[-1].match(owned.name, owned.rdclass, owned.rdtype, 0):
                section[-1].update(owned)
            else:
                section.append(owned)
    return made.to_wire(max_size=65535)


def answers(*answer: str, **rest: object) -> Play:
    """Give these records, see `reply`; without any, a good address."""
    texts = answer or (f"@ 300 IN A {GOOD}",)
    return lambda asked: [Act(reply(asked, *texts, **rest))]  # type: ignore[arg-type]


def quick(asked: Asked) -> Sequence[Act]:
    """Give a good address without much ado, for floods; as spelled, without OPT."""
    address = bytes(map(int, GOOD.split(".")))
    return [Act(asked.id + b"\x81\x80\0\1\0\1\0\0\0\0" + asked.question + _A + address)]


def fails(rcode: int) -> Play:
    """Give an rcode and nothing else."""
    return lambda asked: [Act(reply(asked, rcode=rcode))]


def silent(asked: Asked) -> Sequence[Act]:
    """Say nothing."""
    return []


def late(play: Play, seconds: float) -> Play:
    """Do all that, but later."""
    return lambda asked: [replace(act, after_s=act.after_s + seconds) for act in play(asked)]


def udp_or_tcp(udp: Play, tcp: Play) -> Play:
    """Do one over UDP, the other over TCP."""
    return lambda asked: (tcp if asked.tcp else udp)(asked)


def edns_or_not(edns: Play, plain: Play) -> Play:
    """Do one when the query has an OPT, the other when it has none."""
    return lambda asked: (edns if asked.edns else plain)(asked)


def by_name(plays: dict[str, Play], otherwise: Play) -> Play:
    """Choose by the asked name, in lower case with the final dot."""
    return lambda asked: plays.get(asked.name, otherwise)(asked)


def in_turn(*plays: Play) -> Play:
    """Do the first at first, then the second; the last for ever."""
    left = list(plays)
    return lambda asked: (left.pop(0) if len(left) > 1 else left[0])(asked)


def zone(*records: str, origin: str = "example.", ttl: int = 60) -> Play:
    """Answer from records, aliases followed; NXDOMAIN or NODATA with the SOA of the origin."""
    known = [record(text) for text in records]
    soa = f"{origin} {ttl} IN SOA ns.{origin} hostmaster.{origin} 1 2 3 4 {ttl}"

    def play(asked: Asked) -> Sequence[Act]:
        name, rdtype = dns.name.from_text(asked.name), asked.message.question[0].rdtype
        found: list[str] = []
        while alias := _find(known, name, dns.rdatatype.CNAME):
            if len(found) > 20 or rdtype == dns.rdatatype.CNAME:
                break
            found.append(alias.to_text())
            name = alias[0].target
        here = [each for each in known if each.name == name]
        last = _find(here, name, rdtype)
        texts = [*found, *(last.to_text().splitlines() if last else [])]
        return [
            Act(
                reply(
                    asked,
                    *texts,
                    rcode=0 if here else NXDOMAIN,
                    authority=() if last else (soa,),
                )
            )
        ]

    return play


def _find(
    known: Sequence[dns.rrset.RRset], name: dns.name.Name, rdtype: int
) -> dns.rrset.RRset | None:
    found: dns.rrset.RRset | None = None
    for each in known:
        if each.name == name and each.rdtype == rdtype:
            if found is None:
                found = dns.rrset.RRset(each.name, each.rdclass, each.rdtype)
            found.update(each)
    return found


def truncated(asked: Asked) -> Sequence[Act]:
    """An empty reply that says: come by TCP."""
    return [Act(reply(asked, flags="QR RD RA TC"))]


def resets(asked: Asked) -> Sequence[Act]:
    """TCP: reset instead of an answer."""
    return [Act(how=How.RESET)]


def breaks_off(asked: Asked) -> Sequence[Act]:
    """TCP: half a reply, then the end of the connection."""
    whole = reply(asked, f"@ 300 IN A {GOOD}")
    half = struct.pack(">H", len(whole)) + whole[: len(whole) // 2]
    return [Act(half, how=How.RAW), Act(how=How.CLOSE, after_s=0.05)]


def slowly(asked: Asked) -> Sequence[Act]:
    """TCP: a good reply in small pieces, 10 ms apart."""
    whole = reply(asked, f"@ 300 IN A {GOOD}")
    octets = struct.pack(">H", len(whole)) + whole
    return [
        Act(octets[i : i + 8], after_s=i / 8 * 0.01, how=How.RAW) for i in range(0, len(octets), 8)
    ]


def folds_case(play: Play) -> Play:
    """Answer with the question in lower case, as some servers do."""

    def folded(asked: Asked) -> Sequence[Act]:
        end = 12 + len(asked.question) - 4
        wire = asked.wire[:12] + asked.wire[12:end].lower() + asked.wire[end:]
        return play(replace(asked, wire=wire))

    return folded


def bad_then_good(bad: Bad, after_s: float = 0.08) -> Play:
    """Send a bad datagram at once, the right answer later."""

    def play(asked: Asked) -> Sequence[Act]:
        good = reply(asked, f"@ 300 IN A {GOOD}")
        return [bad(asked, good), Act(good, after_s=after_s)]

    return play


Bad = Callable[[Asked, bytes], Act]


def _evil(asked: Asked) -> bytes:
    return reply(asked, f"@ 300 IN A {EVIL}")


def _made(
    asked: Asked, *parts: bytes, counts: Sequence[int] = (1, 1, 0, 0), flags: int = 0x8180
) -> Act:
    """A message of a header with these counts and flags, and these parts behind it."""
    return Act(asked.id + struct.pack(">HHHHH", flags, *counts) + b"".join(parts))


def _bare(rcode: int) -> Bad:
    return lambda asked, good: _made(asked, counts=(0, 0, 0, 0), flags=0x8180 | rcode)


def _with_question(change: Callable[[bytes, bytes], bytes]) -> Bad:
    """An evil answer to another question, made of name, and of type and class."""
    return lambda asked, good: _made(
        asked, change(asked.question[:-4], asked.question[-4:]), _ADDRESS
    )


def _with_flags(mask: int, value: int) -> Bad:
    """An evil answer with other flags in the header."""

    def bad(asked: Asked, good: bytes) -> Act:
        evil = _evil(asked)
        flags = int.from_bytes(evil[2:4]) & ~mask & 0xFFFF | value
        return Act(evil[:2] + flags.to_bytes(2) + evil[4:])

    return bad


def _with_records(*parts: bytes, counts: Sequence[int] = (1, 1, 0, 0)) -> Bad:
    """The right question, and these octets behind it."""
    return lambda asked, good: _made(asked, asked.question, *parts, counts=counts)


def _other_id(asked: Asked, good: bytes) -> Act:
    return Act(bytes((asked.id[0], asked.id[1] ^ 1)) + _evil(asked)[2:])


def _swapped_id(asked: Asked, good: bytes) -> Act:
    high, low = asked.id
    return Act(bytes((low, high ^ (high == low))) + _evil(asked)[2:])


def _no_question(asked: Asked, good: bytes) -> Act:
    return _made(asked, asked.question[:-4], _ADDRESS[2:], counts=(0, 1, 0, 0))


def _two_questions(asked: Asked, good: bytes) -> Act:
    return _made(asked, asked.question * 2, _ADDRESS, counts=(2, 1, 0, 0))


def _endless_owner(asked: Asked, good: bytes) -> Act:
    itself = struct.pack(">H", 0xC000 + 12 + len(asked.question))
    return _made(asked, asked.question, itself, _ADDRESS[2:])


BAD: dict[str, Bad] = {
    "nothing at all": lambda asked, good: Act(b""),
    "3 octets": lambda asked, good: Act(good[:3]),
    "11 octets": lambda asked, good: Act(good[:11]),
    "header only, NOERROR": _bare(0),
    "header only, FORMERR": _bare(FORMERR),
    "header only, SERVFAIL": _bare(SERVFAIL),
    "header only, NXDOMAIN": _bare(NXDOMAIN),
    "other name": _with_question(lambda name, tail: b"\x04evil\x07example\0" + tail),
    "name one label longer": _with_question(lambda name, tail: b"\x01x" + name + tail),
    "other type": _with_question(lambda name, tail: name + b"\0\x1c\0\x01"),
    "other class": _with_question(lambda name, tail: name + b"\0\x01\0\x03"),
    "a question that points at itself": _with_question(lambda name, tail: b"\xc0\x0c" + tail),
    "QR=0": _with_flags(0x8000, 0),
    "our own query": lambda asked, good: Act(asked.wire),
    "opcode NOTIFY": _with_flags(0x7800, 0x2000),
    "opcode STATUS": _with_flags(0x7800, 0x1000),
    "other ID": _other_id,
    "ID with its octets swapped": _swapped_id,
    "no question but an answer": _no_question,
    "two questions": _two_questions,
    "a record cut short": _with_records(_ADDRESS[:-2]),
    "an address of 5 octets": _with_records(_ADDRESS[:-6], b"\0\x05\6\6\6\6\6"),
    "an owner that points at itself": _endless_owner,
    "fewer records than it says": _with_records(_ADDRESS, counts=(1, 9, 0, 0)),
    "from another port": lambda asked, good: Act(_evil(asked), how=How.OTHER_PORT),
    "from another address": lambda asked, good: Act(_evil(asked), how=How.OTHER_ADDRESS),
}
"""First datagrams after which the right answer must still be taken; forwarder.md 3.3 and more."""


def trailing(asked: Asked, good: bytes) -> Act:
    """Octets behind the last record: whether this counts or the right answer does is the same."""
    return Act(good + b"\0garbage")
