"""
Resource records: the numbers that we use, RRset, and the RDATA that we write ourselves.

RDATA is kept uncompressed; only reply.py knows about compression.
"""

import struct
from typing import NamedTuple

A = 1
NS = 2
CNAME = 5
SOA = 6
PTR = 12
HINFO = 13
TXT = 16
AAAA = 28
SRV = 33
OPT = 41
IXFR = 251
AXFR = 252
ANY = 255

IN = 1
CH = 3

NOERROR = 0
FORMERR = 1
SERVFAIL = 2
NXDOMAIN = 3
NOTIMP = 4
REFUSED = 5
BADVERS = 16  # extended: the upper eight bits travel in the OPT record

RCODE_NAMES = {
    NOERROR: "NOERROR",
    FORMERR: "FORMERR",
    SERVFAIL: "SERVFAIL",
    NXDOMAIN: "NXDOMAIN",
    NOTIMP: "NOTIMP",
    REFUSED: "REFUSED",
    BADVERS: "BADVERS",
}

TYPE_NAMES = {
    A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", HINFO: "HINFO", TXT: "TXT",
    AAAA: "AAAA", SRV: "SRV", OPT: "OPT", IXFR: "IXFR", AXFR: "AXFR", ANY: "ANY",
}  # fmt: skip


class RRset(NamedTuple):
    """Records of one owner and type (RFC 9499): TTL in seconds, at least one RDATA."""

    owner: bytes
    type: int
    ttl: int
    rdatas: tuple[bytes, ...]


def type_text(number: int) -> str:
    """Name a type as a person knows it, `TYPE65280` for the unknown (RFC 3597)."""
    return TYPE_NAMES.get(number) or f"TYPE{number}"


def srv(priority: int, weight: int, port: int, target: bytes) -> bytes:
    """Encode SRV RDATA (RFC 2782)."""
    return struct.pack(">HHH", priority, weight, port) + target


def txt(*strings: str) -> bytes:
    """Encode TXT RDATA: ASCII strings of at most 255 octets."""
    return b"".join(bytes((len(s),)) + s.encode("ascii") for s in strings)


def soa(
    mname: bytes, rname: bytes, *, serial: int, refresh: int, retry: int, expire: int, minimum: int
) -> bytes:
    """Encode SOA RDATA (RFC 1035 3.3.13); times in seconds."""
    return mname + rname + struct.pack(">IIIII", serial, refresh, retry, expire, minimum)
