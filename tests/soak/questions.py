"""Questions and answers of the soak, as octets and as values.  No IO."""

from __future__ import annotations

import struct
import zlib
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

A, CNAME, PTR, AAAA, SRV = 1, 5, 12, 28, 33
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
SILENT, BROKEN = -1, 15
"""Instead of an rcode: no reply; one that cannot be read."""

TYPES = {A: "A", PTR: "PTR", AAAA: "AAAA", SRV: "SRV"}
_OPT = 41

Answer = tuple[int, frozenset[str]]
"""rcode, and the data of all records: addresses, "port target", targets; "=target" of a CNAME."""

MISSING: Answer = (NXDOMAIN, frozenset())
NODATA: Answer = (NOERROR, frozenset())


def data(*found: str) -> Answer:
    """Return the answer that has these data."""
    return NOERROR, frozenset(found)


class Key(NamedTuple):
    """What is asked: an absolute name without its last dot, in lower case, and a type."""

    name: str
    type: int = A

    def __str__(self) -> str:
        return f"{self.name} {TYPES[self.type]}"


OUTSIDE, STUB = "example.com", "stub.test"


def foreign(name: str, world: int = 0) -> Answer:
    """
    Return what the servers outside say of a name below `OUTSIDE` or `STUB`.

    Each name has an address of its own, so that one answer given for another is seen. world: there
    are several, which differ in all addresses.
    """
    if name.startswith("nx-"):
        return MISSING
    return data(f"192.{world}.2.{zlib.crc32(name.encode()) % 250 + 1}")


def octets(name: str) -> bytes:
    labels = name.split(".") if name else []
    return b"".join(bytes([len(each)]) + each.encode() for each in labels) + b"\0"


def query(key: Key, *, recurse: bool = True, size: int = 0, do: bool = False) -> bytes:
    """Return a query but for its ID; size: the EDNS size to offer, 0 for no EDNS."""
    flags = 0x0100 if recurse else 0
    made = struct.pack("!HHHHH", flags, 1, 0, 0, 1 if size else 0)
    made += octets(key.name) + struct.pack("!HH", key.type, 1)
    if size:
        made += b"\0" + struct.pack("!HHIH", _OPT, size, 0x8000 if do else 0, 0)
    return made


def read(message: bytes) -> tuple[Answer, int]:
    """Return what a reply says, and the first TTL in it or -1."""
    ttl, found = -1, []
    try:
        at = _name(message, 12)[1] + 4
        for _ in range(int.from_bytes(message[6:8])):
            at = _name(message, at)[1]
            kind, _, seconds, size = struct.unpack_from("!HHIH", message, at)
            at += 10
            if at + size > len(message):
                return (BROKEN, frozenset()), -1
            ttl = seconds if ttl < 0 else ttl
            found.append(_data(message, kind, at, size))
            at += size
    except (struct.error, IndexError, ValueError):
        return (BROKEN, frozenset()), -1
    return (message[3] & 0x0F, frozenset(found)), ttl


def _data(message: bytes, kind: int, at: int, size: int) -> str:
    if kind == A:
        return str(IPv4Address(message[at : at + size]))
    if kind == AAAA:
        return str(IPv6Address(message[at : at + size]))
    if kind == SRV:
        return f"{int.from_bytes(message[at + 4 : at + 6])} {_name(message, at + 6)[0]}"
    if kind == PTR:
        return _name(message, at)[0]
    if kind == CNAME:
        return f"={_name(message, at)[0]}"
    return f"type {kind}: {message[at : at + size].hex()}"


def _name(message: bytes, at: int) -> tuple[str, int]:
    """Return a name in lower case, and where it ends."""
    labels, end = [], 0
    for _ in range(128):
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | message[at + 1]
        elif length:
            labels.append(message[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name without an end")
