"""Domain names: read from messages and from text, compared with dnspython's reading of the same."""

from itertools import pairwise

import dns.exception
import dns.name

from kubedns.wire import name as names

MAX_LEN = 700
TOKENS = (b"\xc0\x00", b"\xc0\x01", b"\xc0\x02", b"\x3f", b"\\032", b"\\.", b"\\\\", b"*")
_MAX_POINTERS = 128


def check(octets: bytes) -> None:
    """The first octet says where the name begins; the same octets are also taken for text."""
    if not octets:
        return
    _in_a_message(octets[1:], octets[0])
    _as_text(octets.decode("latin-1"))


def _in_a_message(message: bytes, offset: int) -> None:
    try:
        name, after = names.read(message, offset)
    except (names.BadNameError, IndexError):
        if offset < len(message):
            theirs = _theirs(message, offset)
            assert theirs is None or message.count(b"\xc0") > _MAX_POINTERS, "a good name refused"
        return
    assert names.skip(message, offset) == after
    assert names.is_name(name)
    theirs = _theirs(message, offset)
    if theirs is None:
        assert _is_odd(message, offset), "a name that dnspython cannot read"
        _is_consistent(name, dns.name.from_wire(name, 0)[0])
    else:
        assert (theirs[0].to_wire(), offset + theirs[1]) == (name, after)
        _is_consistent(name, theirs[0])


def _is_odd(message: bytes, offset: int) -> bool:
    """Tell whether labels behind a pointer run into it, or pointers are many; see dnspython."""
    start, end, pointers = offset, len(message), 0
    while length := message[offset]:
        if length >= 0xC0:
            pointers += 1
            end = min(end, start)
            start = offset = (length & 0x3F) << 8 | message[offset + 1]
        else:
            offset += 1 + length
        if offset >= end:
            return True
    return pointers > dns.name.MAX_COMPRESSION_POINTER_CHAIN


def _theirs(message: bytes, offset: int) -> tuple[dns.name.Name, int] | None:
    try:
        return dns.name.from_wire(message, offset)
    except dns.exception.DNSException:
        return None


def _is_consistent(name: bytes, theirs: dns.name.Name) -> None:
    text = names.to_text(name)
    assert text.isascii()
    assert text.isprintable()
    assert names.from_text(text) == name, "text and back"
    assert dns.name.from_text(text).to_wire() == name, "text that means something else"
    labels = names.labels(name)
    assert labels == theirs.labels[:-1]
    assert names.from_labels(labels) == name
    folded = name.lower()
    assert theirs.canonicalize().to_wire() == folded
    above = [rest for _, rest in names.suffixes(name)]
    assert len(above) == len(labels)
    for whole, rest in pairwise([*above, names.ROOT]):
        assert names.parent(whole) == rest
        assert names.child(whole[1 : 1 + whole[0]], rest) == whole
        assert names.is_below(folded, rest.lower())
    for cut in range(len(folded)):
        # Any end of the octets, also one that only looks like a name above.
        end = folded[cut:]
        below = cut == 0 or any(end == rest.lower() for rest in above[1:]) or end == names.ROOT
        assert names.is_below(folded, end) is below


def _as_text(text: str) -> None:
    try:
        name = names.from_text(text)
    except names.BadNameError as error:
        assert str(error)
        if text.isascii() and text != "@":
            assert _theirs_of_text(text) is None, "a good text refused"
        return
    assert names.is_name(name)
    assert names.from_text(names.to_text(name)) == name
    if text != "@":  # the origin, for dnspython
        assert _theirs_of_text(text) == name


def _theirs_of_text(text: str) -> bytes | None:
    try:
        return dns.name.from_text(text, origin=dns.name.root).to_wire()
    except dns.exception.DNSException:
        return None
