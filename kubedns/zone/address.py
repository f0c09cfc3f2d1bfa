"""
IP addresses packed in network order (4 or 16 octets) and the names made of them.

Two kinds of label hold an address: that of an endpoint without hostname (its text with dashes for
dots or colons, as CoreDNS) and that of a pod. Reverse names are those of RFC 1035 3.5 and RFC 3596.
"""

from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from kubedns.wire import name as names

IN_ADDR_ARPA = names.from_text("in-addr.arpa")
IP6_ARPA = names.from_text("ip6.arpa")
_LONGEST = 45  # octets of an IPv6 address whose last part is written as IPv4
_NIBBLES = b"0123456789abcdef"


def pack(text: str) -> bytes | None:
    """Pack an IPv4 or IPv6 address; None if the text is none (zones and leading zeros are not)."""
    return _packed(text) if len(text) <= _LONGEST else None


@lru_cache(1024)  # an event holds all endpoints of a slice again, of which one has changed
def _packed(text: str) -> bytes | None:
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL or a non-ASCII character
        return None


def unpack(address: bytes) -> str:
    """Write a packed address in canonical text (RFC 5952)."""
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def split(packed: bytes, width: int) -> list[bytes]:
    """Cut a run of packed addresses of one width into single ones."""
    return [packed[i : i + width] for i in range(0, len(packed), width)]


def dashed(address: bytes) -> bytes:
    """
    Make the label of an endpoint: `10-1-2-3`, `5678-abcd--1`.

    A label may not begin or end with a dash, so `2001:db8::` becomes `2001-db8--0`, and `::1`
    becomes `0--1`.
    """
    if len(address) == 4:
        return b"%d-%d-%d-%d" % tuple(address)
    text = unpack(address)
    if "." in text:  # ::ffff:10.1.2.3: with dots for dashes it would be read as another address
        high, low = (int.from_bytes(address[i : i + 2]) for i in (12, 14))
        text = f"{text[: text.rindex(':')]}:{high:x}:{low:x}"
    label = text.replace(":", "-").encode("ascii")
    if label.startswith(b"-"):
        label = b"0" + label
    return label + b"0" if label.endswith(b"-") else label


def undashed(label: bytes) -> bytes | None:
    """
    Read a label that is an address with dashes; None if it is none.

    Three dashes, none of them doubled, are an IPv4 address, all else IPv6.
    """
    try:
        text = label.decode("ascii")
    except UnicodeDecodeError:
        return None
    if "." in text or ":" in text:
        return None
    if text.count("-") == 3 and "--" not in text:
        return pack(text.replace("-", "."))
    return pack(text.replace("-", ":")) if "-" in text else None


def reverse_name(address: bytes) -> bytes:
    """Return the reverse name of an address in wire form."""
    if len(address) == 4:
        return b"".join(_DECIMAL[octet] for octet in reversed(address)) + IN_ADDR_ARPA
    return b"".join(_HEX[octet] for octet in reversed(address)) + IP6_ARPA


_DECIMAL = [bytes((len(str(octet)),)) + str(octet).encode() for octet in range(256)]
_HEX = [bytes((1, _NIBBLES[octet & 15], 1, _NIBBLES[octet >> 4])) for octet in range(256)]


def is_reverse(name: bytes) -> bool:
    """Tell whether a folded name lies in one of the two reverse trees."""
    return names.is_below(name, IN_ADDR_ARPA) or names.is_below(name, IP6_ARPA)


def from_reverse(name: bytes) -> tuple[bytes, int] | None:
    """
    Read a folded reverse name as (packed address filled up with zeros, bits that it names).

    A whole address names 32 or 128 bits; `10.in-addr.arpa` is 8 bits of IPv4. None: the labels are
    no address, or too many.
    """
    parts = names.labels(name)
    if parts[-2:] == (b"in-addr", b"arpa"):
        numbers = parts[-3::-1]
        if len(numbers) > 4 or not all(_is_octet(number) for number in numbers):
            return None
        return bytes(map(int, numbers)).ljust(4, b"\0"), 8 * len(numbers)
    if parts[-2:] == (b"ip6", b"arpa"):
        nibbles = parts[-3::-1]
        if len(nibbles) > 32 or not all(len(n) == 1 and n in _NIBBLES for n in nibbles):
            return None
        return bytes.fromhex(b"".join(nibbles).decode().ljust(32, "0")), 4 * len(nibbles)
    return None


def _is_octet(label: bytes) -> bool:
    return (
        label.isdigit()
        and len(label) <= 3
        and int(label) < 256
        and str(int(label)) == label.decode()
    )
