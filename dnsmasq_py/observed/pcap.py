"""
Transactions as a classic pcap file, for Wireshark: each a query and a reply.

IP and UDP headers are made up: the server is where it listens, its port always 53, and what came
over TCP stands there as UDP too. Lengths are those of the whole messages, of which the file holds
what the recorder kept (as captures with a snap length do); only a message that is there as a whole
has a checksum.
"""

import struct
from collections.abc import Iterable, Iterator

from dnsmasq_py.observed.records import Record

MEDIA_TYPE = "application/vnd.tcpdump.pcap"
_RAW = 101  # LINKTYPE_RAW: begins with an IPv4 or IPv6 header
_MAGIC = 0xA1B2C3D4  # microseconds
_SNAP = 65535
_PORT = 53
_UDP = 17
_HOPS = 64
_MAPPED = bytes(10) + b"\xff\xff"
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_DATAGRAM = struct.Struct("!HHHH")
_PACKET = struct.Struct("<IIII")
_LONGEST = 65535 - _IPV4.size - _DATAGRAM.size

HEAD = struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, _SNAP, _RAW)
"""What a file begins with."""

LOOPBACK = (b"\x7f\0\0\1", bytes(15) + b"\1")


def packets(
    records: Iterable[Record], offset: float, servers: tuple[bytes, bytes] = LOOPBACK
) -> bytes:
    """
    Return two packets for each record.

    offset: from monotonic seconds to those since the epoch. servers: our IPv4 and IPv6 address.
    """
    return b"".join(piece for record in records for piece in _both(record, offset, servers))


def _both(record: Record, offset: float, servers: tuple[bytes, bytes]) -> Iterator[bytes]:
    address = record.address
    client, server = address, servers[1]
    if address.startswith(_MAPPED):
        client, server = address[12:], servers[0]
    replied = record.at + int(offset * 1e6)
    asked = replied - (record.took or 0)
    yield _packet(asked, client, server, record.port, _PORT, record.query, record.whole_query)
    yield _packet(replied, server, client, _PORT, record.port, record.reply, record.whole_reply)


def _packet(
    at: int, source: bytes, target: bytes, port: int, to: int, message: bytes, whole: int
) -> bytes:
    whole = min(whole, _LONGEST)
    size = _DATAGRAM.size + whole
    datagram = _DATAGRAM.pack(port, to, size, 0) + message
    if len(message) == whole:
        pseudo = source + target + struct.pack("!HH", _UDP, size)
        checksum = _checksum(pseudo + datagram) or 0xFFFF
        datagram = _DATAGRAM.pack(port, to, size, checksum) + message
    if len(source) == 4:
        head = _IPV4.pack(
            0x45, 0, _IPV4.size + size, 0, 0, _HOPS, _UDP, 0, source, target
        )  # fmt: skip
        head = head[:10] + _checksum(head).to_bytes(2) + head[12:]
    else:
        head = _IPV6.pack(6 << 28, size, _UDP, _HOPS, source, target)
    kept = len(head) + len(datagram)
    seconds, micro = divmod(at, 1_000_000)
    return _PACKET.pack(seconds, micro, kept, len(head) + size) + head + datagram


def _checksum(octets: bytes) -> int:
    """Return the sum of RFC 1071."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
