"""
A reply of an upstream, read: what it says, or that it is broken.

Two ways. Most replies are addresses of the asked name, perhaps behind CNAMEs, or an SOA that says
there are none; they are checked in one walk and kept octet by octet, since the question in front of
them is as long as the client's and so every compression pointer still leads where it did. All else
(other names in RDATA, signatures, CNAMEs out of order) is taken apart by kubedns.wire.response and
put together anew by the forwarder, which knows what of it to trust; it also decides whether the
server has a say in the names that a chain of CNAMEs leads through. Both ways keep only what answers
the question.
"""

import struct
from itertools import pairwise

from kubedns.wire import name as names
from kubedns.wire import response, rr
from kubedns.wire.question import HEADER, WireError
from kubedns.wire.response import Response

_FIXED = struct.Struct(">IH").unpack_from  # TTL and RDLENGTH
_RECORD = struct.Struct(">HHIH").unpack_from
_TO_QNAME = b"\xc0\x0c"  # a pointer to the question's name
_TOP_BIT = 0x80000000
_AD = 0x20
_MAX_PLAIN = 200  # records; a reply with more is taken the long way
_MAX_LINKS = 10  # CNAMEs, the same
_CNAME = rr.CNAME.to_bytes(2) + rr.IN.to_bytes(2)
_SIZES = {rr.A: 4, rr.AAAA: 16}
_EDE = 15
# Numbers of authority and additional records, and these: nothing, or an OPT that says nothing.
_USUAL_ENDS = frozenset(
    (
        bytes(4),
        *(
            b"\0\0\0\1\0\0\x29" + size.to_bytes(2) + bytes(6)
            for size in (512, 1220, 1232, 1280, 1400, 1410, 1452, 1472, 4096, 8192, 65494, 65535)
        ),
    )
)
_MAX_EDE_TEXT = 128
# Types whose RDATA holds names that may be compressed, or that need a look at the whole reply.
_NOT_PLAIN = frozenset((*response.TYPES_WITH_NAMES, rr.ANY, rr.OPT, 46))


Kept = tuple[bytes, tuple[int, ...], tuple[int, ...], int]
"""What the cache keeps of a plain reply: octets behind the ID, ttls, cycle and ttl (stored.py)."""

Chain = tuple[Kept, list[bytes]]
"""The same of a chain of CNAMEs, and the names behind the asked one, folded."""


class Accepted:
    """
    A whole reply.

    octets: for plain ones what the cache keeps of it, behind the ID (stored.py), with ttls, cycle
    and ttl; None for others, for which there is `response`.
    rcode may be an extended one. error: the upstream's own extended DNS error (RFC 8914).
    """

    __slots__ = ("ad", "cycle", "error", "octets", "rcode", "response", "ttl", "ttls")

    def __init__(self, rcode: int, *, ad: bool) -> None:
        self.rcode = rcode
        self.ad = ad
        self.octets: bytes | None = None
        self.ttls: tuple[int, ...] = ()
        self.cycle: tuple[int, ...] = ()
        self.ttl = 0
        self.response: Response | None = None
        self.error: tuple[int, str] | None = None


def read(message: bytes, folded: bytes, qtype: int, *, plain: bool = True) -> Accepted:
    """
    Read a reply whose question was found to be (folded, qtype, IN).

    plain: take the short way where it is possible.

    Raises:
        WireError: it is broken.
    """
    if plain and qtype not in _NOT_PLAIN:
        asked = folded + message[HEADER + len(folded) : HEADER + len(folded) + 4]
        try:
            if message[6:8] != b"\0\0":
                if message[3] & 15 == rr.NOERROR and (kept := addresses(message, asked, qtype)):
                    return _plain(message, kept)
            elif message[3] & 15 in (rr.NOERROR, rr.NXDOMAIN) and (kept := nothing(message, asked)):
                accepted = _plain(message, kept)
                accepted.error = extended_error(message)
                return accepted
        except (IndexError, struct.error):
            raise WireError("a reply is cut short", None) from None
    parsed = response.read(message)
    accepted = Accepted(parsed.rcode, ad=bool(message[3] & _AD))
    accepted.response = parsed
    if parsed.rcode != rr.NOERROR or not parsed.answer:
        accepted.error = extended_error(message)
    return accepted


def _plain(message: bytes, kept: Kept) -> Accepted:
    accepted = Accepted(message[3] & 15, ad=bool(message[3] & _AD))
    accepted.octets, accepted.ttls, accepted.cycle, accepted.ttl = kept
    return accepted


def addresses(message: bytes, asked: bytes, qtype: int) -> Kept | None:
    """
    Read a reply that is nothing but records of the asked name and type; None: it is not.

    asked: the question section in lower case.

    Raises:
        WireError, IndexError, struct.error: it is broken.
    """
    start = i = HEADER + len(asked)
    expected = _TO_QNAME + asked[-4:]
    if message[i : i + 6] != expected:
        return None
    size = _SIZES.get(qtype, -1)
    if message[6:10] == b"\0\1\0\0":  # as most are
        ttl, length = _FIXED(message, i + 6)
        if size >= 0 and length != size:
            raise WireError(f"an address of {length} octets", None)
        end = i + 12 + length
        rest = message[8:12] + message[end:]
        if end > len(message) or (rest not in _USUAL_ENDS and not _rest_is_sound(message, end)):
            return None
        octets = b"\x80\x80\0\1\0\1\0\0\0\0" + asked + message[i:end]
        return octets, (i + 4,), (), ttl if ttl < _TOP_BIT else 0
    count = message[6] << 8 | message[7]
    if count > _MAX_PLAIN:
        return None
    least = _TOP_BIT
    ttls = []
    starts = []
    for _ in range(count):
        if message[i : i + 6] != expected:
            return None
        ttl, length = _FIXED(message, i + 6)
        if size >= 0 and length != size:
            raise WireError(f"an address of {length} octets", None)
        starts.append(i - 2)
        ttls.append(i + 4)  # behind the ID: 6 - 2
        if ttl < least:
            least = ttl
        elif ttl >= _TOP_BIT:
            least = 0  # RFC 2181 section 8
        i += 12 + length
    if not _rest_is_sound(message, i):
        return None
    cycle = (*starts, i - 2) if count > 1 else ()
    if len({message[a + 12 : b + 2] for a, b in pairwise(cycle)}) < len(cycle) - 1:
        return None
    octets = b"\x80\x80\0\1" + message[6:8] + b"\0\0\0\0" + asked + message[start:i]
    return octets, tuple(ttls), cycle, least


def chain(message: bytes, asked: bytes, qtype: int) -> Chain | None:
    """
    Read a reply of CNAMEs in their order and records of the asked type at the last name, or an SOA.

    None: it is something else. asked, errors: as above. Owners must be pointers, as nearly all
    servers write them, to a label of the question or of what an earlier CNAME leads to: these stay
    where they are, and as they are, whatever ages or rotates.
    """
    name = asked[:-4]
    known = _labels(name)
    start = i = HEADER + len(asked)
    count = message[6] << 8 | message[7]
    if count > _MAX_PLAIN:
        return None
    size = _SIZES.get(qtype, -1)
    wanted = asked[-4:]
    least = _TOP_BIT
    names_behind: list[bytes] = []
    ttls = []
    starts = []
    for _ in range(count):
        if message[i] < 0xC0 or known.get((message[i] & 0x3F) << 8 | message[i + 1]) != name:
            return None
        kind = message[i + 2 : i + 6]
        ttl, length = _FIXED(message, i + 6)
        end = i + 12 + length
        if kind == wanted:
            if size >= 0 and length != size:
                raise WireError(f"an address of {length} octets", None)
            starts.append(i - 2)
        elif kind == _CNAME and not starts and len(names_behind) < _MAX_LINKS:
            name, after = _name(message, i + 12, known)
            if after != end or name in names_behind or name == asked[:-4]:
                return None
            names_behind.append(name)
        else:
            return None
        ttls.append(i + 4)
        least = min(least, ttl if ttl < _TOP_BIT else 0)
        i = end
    if not names_behind:
        return None
    if not starts:
        return _chain_to_nothing(message, asked, i, known, (ttls, least, names_behind))
    if not _rest_is_sound(message, i):
        return None
    cycle = (*starts, i - 2) if len(starts) > 1 else ()
    if len({message[a + 12 : b + 2] for a, b in pairwise(cycle)}) < len(cycle) - 1:
        return None
    octets = b"\x80\x80\0\1" + message[6:8] + b"\0\0\0\0" + asked + message[start:i]
    return (octets, tuple(ttls), cycle, least), names_behind


def _labels(name: bytes) -> dict[int, bytes]:
    """Return what a pointer to each label of the question's name means, but the root."""
    known = {}
    at = 0
    while name[at]:
        known[HEADER + at] = name[at:]
        at += 1 + name[at]
    return known


def _chain_to_nothing(
    message: bytes,
    asked: bytes,
    i: int,
    known: dict[int, bytes],
    walked: tuple[list[int], int, list[bytes]],
) -> Chain | None:
    """Go on where the answer ends: with the SOA of a zone above the last name; errors: as above."""
    ttls, least, names_behind = walked
    if message[8:10] != b"\0\1" or message[i] < 0xC0:
        return None
    zone = known.get((message[i] & 0x3F) << 8 | message[i + 1])
    rtype, rclass, ttl, length = _RECORD(message, i + 2)
    if rtype != rr.SOA or rclass != rr.IN or not zone or not names.is_below(names_behind[-1], zone):
        return None
    end = i + 12 + length
    _, after = _name(message, i + 12, known)
    _, after = _name(message, after, known) if after else ("", 0)
    if after + 20 != end or not _rest_is_sound(message, end, seen=1):
        return None
    least = min(least, ttl if ttl < _TOP_BIT else 0, int.from_bytes(message[end - 4 : end]))
    head = b"\x80\x80\0\1" + message[6:8] + b"\0\1\0\0"
    octets = head + asked + message[HEADER + len(asked) : end]
    return (octets, (*ttls, i + 4), (), least), names_behind


def _name(message: bytes, at: int, known: dict[int, bytes]) -> tuple[bytes, int]:
    """
    Return the folded name at an offset, and the offset behind it; note what its labels mean.

    0: it is not a plain one.
    """
    places = []
    while 0 < (length := message[at]) <= names.MAX_LABEL:
        places.append(at)
        at += 1 + length
    if not length:
        name = names.ROOT
        at += 1
    elif length >= 0xC0:
        name = known.get((length & 0x3F) << 8 | message[at + 1], b"")
        at += 2
    else:
        name = b""
    if not name:
        return b"", 0
    for place in reversed(places):
        name = known[place] = message[place : place + 1 + message[place]].lower() + name
    return name, at if len(name) <= names.MAX_NAME else 0


def nothing(message: bytes, asked: bytes) -> Kept | None:
    """
    Read a reply that is nothing but the SOA of a zone above the name; None: it is not.

    asked, errors: as above.
    """
    start = i = HEADER + len(asked)
    if message[8:10] != b"\0\1" or message[i] < 0xC0:
        return None
    zone = (message[i] & 0x3F) << 8 | message[i + 1]
    if not _is_label_of_question(asked, zone - HEADER):
        return None
    rtype, rclass, ttl, length = _RECORD(message, i + 2)
    if rtype != rr.SOA or rclass != rr.IN:
        return None
    rdata = i + 12
    end = rdata + length
    after = _behind_name(message, rdata, asked[:-4], rdata)
    after = after and _behind_name(message, after, asked[:-4], rdata)
    if after + 20 != end or not _rest_is_sound(message, end, seen=1):
        return None
    minimum = int.from_bytes(message[end - 4 : end])
    head = bytes((0x80, 0x80 | message[3] & 15)) + b"\0\1\0\0\0\1\0\0"
    least = 0 if ttl >= _TOP_BIT or minimum >= _TOP_BIT else min(ttl, minimum)
    return head + asked + message[start:end], (i + 4,), (), least


def _behind_name(message: bytes, at: int, folded: bytes, first: int) -> int:
    """
    Return the offset behind a name that means the same in every reply made of these octets.

    Its pointers lead to the question, or to `first` and what follows. 0: they do not, or it is
    broken, which the long way finds out.
    """
    after = size = 0
    start = at
    while length := message[at]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | message[at + 1]
            after = after or at + 2
            if _is_label_of_question(folded, target - HEADER):
                return after if size + HEADER + len(folded) - target <= names.MAX_NAME else 0
            if not first <= target < start:
                return 0
            at = start = target
        elif length > names.MAX_LABEL:
            return 0
        else:
            size += 1 + length
            at += 1 + length
    return (after or at + 1) if size < names.MAX_NAME else 0


def _is_label_of_question(name: bytes, offset: int) -> bool:
    i = 0
    while i < offset and name[i]:
        i += 1 + name[i]
    return i == offset


def _rest_is_sound(message: bytes, i: int, seen: int = 0) -> bool:
    """
    Walk the records that are not kept: their lengths must add up to the last octet.

    seen: how many records of authority and additional stand before `i`. False: one of them needs
    the long way, which finds what is wrong with it, if anything.
    """
    if i == len(message):
        return message[8:12] == (b"\0\1\0\0" if seen else b"\0\0\0\0")
    count = (message[8] << 8 | message[9]) + (message[10] << 8 | message[11]) - seen
    if count == 1 and message[i : i + 3] == b"\0\0\x29" and message[i + 5] == 0:
        # The usual OPT at the end, with no extended code: how most replies look.
        return i + 11 + (message[i + 9] << 8 | message[i + 10]) == len(message)
    return False


def extended_error(message: bytes) -> tuple[int, str] | None:
    """Return code and text of the first extended DNS error in a sound reply."""
    if message[10:12] == b"\0\0":
        return None
    i = names.skip(message, HEADER) + 4
    for _ in range(sum(message[at] << 8 | message[at + 1] for at in (6, 8, 10))):
        i = names.skip(message, i)
        rtype, _, _, length = _RECORD(message, i)
        i += 10
        if rtype == rr.OPT:
            return _error_option(message[i : i + length])
        i += length
    return None


def _error_option(options: bytes) -> tuple[int, str] | None:
    i = 0
    while i + 4 <= len(options):
        code, size = struct.unpack_from(">HH", options, i)
        if code == _EDE and size >= 2 and i + 4 + size <= len(options):
            text = options[i + 6 : i + 4 + min(size, 2 + _MAX_EDE_TEXT)]
            return int.from_bytes(options[i + 4 : i + 6]), text.decode("utf-8", "ignore")
        i += 4 + size
    return None
