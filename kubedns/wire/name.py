"""
Domain names in wire form.

A name is `bytes`: each label behind its length octet, and the root's zero octet last, never
compressed (RFC 1035 3.1). So two names are equal when their folded octets are, a name hashes as
fast as any bytes, and nothing has to be escaped until a person reads it. Any octet is legal inside
a label (RFC 2181 section 11).
"""

from collections.abc import Iterable, Iterator

from kubedns.errors import KubednsError

ROOT = b"\0"
MAX_NAME = 255  # octets, RFC 1035 2.3.4
MAX_LABEL = 63
_MAX_POINTERS = 128  # a name of 255 octets has at most 127 labels


class BadNameError(KubednsError):
    """Octets or text that are no domain name."""


def from_labels(labels: Iterable[bytes]) -> bytes:
    """
    Put labels together, leftmost first.

    Raises:
        BadNameError: a label is empty or longer than 63 octets, or the name longer than 255.
    """
    parts = []
    for label in labels:
        if not 0 < len(label) <= MAX_LABEL:
            raise BadNameError(f"a label of {len(label)} octets: {label[:80]!r}")
        parts.append(bytes((len(label),)) + label)
    name = b"".join(parts) + ROOT
    if len(name) > MAX_NAME:
        raise BadNameError(f"a name of {len(name)} octets, more than {MAX_NAME}")
    return name


def from_text(text: str) -> bytes:
    """
    Read presentation form (RFC 1035 5.1): a final dot is optional, `\\.` and `\\DDD` are escapes.

    Letter case is kept.

    Raises:
        BadNameError: see from_labels; also non-ASCII text or a broken escape.
    """
    if text in ("", "."):
        return ROOT
    labels: list[bytearray] = [bytearray()]
    i = 0
    while i < len(text):
        char = text[i]
        i += 1
        if char == ".":
            labels.append(bytearray())
        elif char != "\\":
            if not char.isascii():
                raise BadNameError(f"not ASCII: {text!r}")
            labels[-1].append(ord(char))
        else:
            digits = text[i : i + 3]
            if len(digits) == 3 and digits.isdecimal() and int(digits) < 256:
                labels[-1].append(int(digits))
                i += 3
            elif digits and digits[0].isascii() and not digits[0].isdecimal():
                labels[-1].append(ord(digits[0]))
                i += 1
            else:
                raise BadNameError(f"broken escape in {text!r}")
    if not labels[-1]:
        labels.pop()
    return from_labels(map(bytes, labels))


def to_text(name: bytes) -> str:
    """
    Write presentation form with the final dot; what is not printable ASCII becomes `\\DDD`.

    The only way in which a name may reach a log, a page or a metric.
    """
    if name == ROOT:
        return "."
    return "".join(label_to_text(label) + "." for label in labels(name))


def label_to_text(label: bytes) -> str:
    """Write one label in presentation form."""
    return "".join(_ESCAPED[octet] for octet in label)


_ESCAPED = [
    f"\\{chr(octet)}"
    if chr(octet) in '."\\;@$()'
    else chr(octet)
    if 33 <= octet <= 126
    else f"\\{octet:03d}"
    for octet in range(256)
]


def labels(name: bytes) -> tuple[bytes, ...]:
    """Take a name apart, leftmost label first, without the root."""
    found = []
    i = 0
    while length := name[i]:
        found.append(name[i + 1 : i + 1 + length])
        i += 1 + length
    return tuple(found)


def is_name(octets: bytes) -> bool:
    """Tell whether octets are a name in wire form, without compression and with nothing behind."""
    try:
        return read(octets, 0) == (octets, len(octets))
    except (BadNameError, IndexError):
        return False


def suffixes(name: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (offset, rest of the name) at each label, the whole name first, without the root."""
    i = 0
    while length := name[i]:
        yield i, name[i:]
        i += 1 + length


def parent(name: bytes) -> bytes:
    """Cut the leftmost label off; the root is its own parent."""
    return name[1 + name[0] :] if name[0] else name


def child(label: bytes, name: bytes) -> bytes:
    """Put one label in front of a name; both are trusted to fit."""
    return bytes((len(label),)) + label + name


def is_below(name: bytes, ancestor: bytes) -> bool:
    """Tell whether a folded name is the folded ancestor itself or lies below it."""
    if not name.endswith(ancestor):
        return False
    # The octets match, but perhaps across a label's border: walk the length octets to be sure.
    end = len(name) - len(ancestor)
    i = 0
    while i < end:
        i += 1 + name[i]
    return i == end


def skip(message: bytes, offset: int) -> int:
    """
    Return the offset behind the name that starts at `offset` of a message.

    Raises:
        BadNameError: the name runs out of the message or has a reserved label type.
        IndexError: as above; callers that read whole messages catch both.
    """
    while True:
        length = message[offset]
        if length == 0:
            return offset + 1
        if length >= 0xC0:
            return offset + 2
        if length > MAX_LABEL:
            raise BadNameError(f"reserved label type {length >> 6}")
        offset += 1 + length


def read(message: bytes, offset: int) -> tuple[bytes, int]:
    """
    Return the name at `offset` without compression, and the offset behind it.

    A pointer must lead backwards, in front of all that was read so far (RFC 1035 4.1.4: "a prior
    occurrence"), so a loop is impossible and the work is bounded.

    Raises:
        BadNameError: reserved label type, pointer that does not go back, more than 255 octets.
        IndexError: the message ends inside the name.
    """
    name = bytearray()
    after = -1
    start = offset
    pointers = 0
    while True:
        length = message[offset]
        if length == 0:
            name.append(0)
            if len(name) > MAX_NAME:
                raise BadNameError("a name of more than 255 octets")
            return bytes(name), after if after >= 0 else offset + 1
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | message[offset + 1]
            if after < 0:
                after = offset + 2
            pointers += 1
            if target >= start or pointers > _MAX_POINTERS:
                raise BadNameError("a compression pointer that does not lead back")
            start = offset = target
            continue
        if length > MAX_LABEL:
            raise BadNameError(f"reserved label type {length >> 6}")
        name += message[offset : offset + 1 + length]
        offset += 1 + length
        if len(name) > MAX_NAME:
            raise BadNameError("a name of more than 255 octets")
