"""What passes between client and pod: each query and each reply, as it was on the wire."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from tests.clients.place import Place, within

DNS_PORT = 53
SETTLE_S = 5.0
_ETH_P_ALL = 3
_TCP, _UDP = 6, 17


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One DNS message.

    name: without the final dot, in the case it had. size: octets. port: the client's. server: the
    pod's address. rcode: of a reply, else empty.
    """

    name: str
    rdtype: str
    id: int
    tcp: bool
    edns: bool
    size: int
    port: int
    server: str
    rcode: str
    truncated: bool

    @property
    def question(self) -> tuple[str, str, int, bool, int, str]:
        """What query and reply have in common."""
        return (self.name.lower(), self.rdtype, self.id, self.tcp, self.port, self.server)


@dataclass(frozen=True, slots=True)
class Heard:
    """All messages of a while, in order."""

    messages: Sequence[Seen]

    @property
    def queries(self) -> list[Seen]:
        """What the client sent."""
        return [each for each in self.messages if not each.rcode]

    @property
    def replies(self) -> list[Seen]:
        """What the pod sent."""
        return [each for each in self.messages if each.rcode]

    def unanswered(self) -> list[Seen]:
        """Return the queries without reply."""
        replied = {each.question for each in self.replies}
        return [each for each in self.queries if each.question not in replied]

    def repeated(self) -> list[tuple[str, str, bool]]:
        """Return what was asked more than once the same way: somebody waited in vain."""
        asked = Counter((q.name.lower(), q.rdtype, q.tcp, q.server) for q in self.queries)
        return [each[:3] for each, count in asked.items() if count > 1]

    def walk(self) -> list[str]:
        """Return the names in the order in which they were first asked, in lower case."""
        return list(dict.fromkeys(each.name.lower() for each in self.queries))


class Capture:
    """A packet socket at the client's end of the link."""

    def __init__(self, place: Place) -> None:
        self._socket = within(place.client, _packet_socket)
        self._streams: dict[tuple[int, bool], _Stream] = {}

    def close(self) -> None:
        """Stop capturing."""
        self._socket.close()

    def heard(self, *, settle_s: float = SETTLE_S) -> Heard:
        """Return what was heard since the last time, once each query has its reply."""
        messages: list[Seen] = []
        until = time.monotonic() + settle_s
        while True:
            messages += self._drain()
            heard = Heard(messages)
            if not heard.unanswered() or time.monotonic() > until:
                return heard
            time.sleep(0.002)

    def _drain(self) -> Iterator[Seen]:
        with contextlib.suppress(BlockingIOError):
            while True:
                yield from self._messages(self._socket.recv(65535))

    def _messages(self, frame: bytes) -> Iterator[Seen]:
        split = _SPLIT.get(frame[12:14])
        packet = split and split(frame[14:])
        if not packet:
            return
        protocol, source, target, body = packet
        ports = struct.unpack(">HH", body[:4])
        if DNS_PORT not in ports:
            return
        to_pod = ports[1] == DNS_PORT
        port, server = (ports[0], target) if to_pod else (ports[1], source)
        if protocol == _UDP:
            yield from _read(body[8:], port, server, tcp=False)
        elif protocol == _TCP:
            (sequence,) = struct.unpack(">I", body[4:8])
            flags, payload = body[13], body[(body[12] >> 4) * 4 :]
            if flags & 0x02:  # SYN: a new connection
                self._streams[port, to_pod] = _Stream(sequence + 1)
            elif (port, to_pod) in self._streams:
                for wire in self._streams[port, to_pod].take(sequence, payload):
                    yield from _read(wire, port, server, tcp=True)


Split = tuple[int, str, str, bytes]


def _ipv4(packet: bytes) -> Split | None:
    """Return protocol, source, target and what follows the header; None: a later fragment."""
    (total,) = struct.unpack(">H", packet[2:4])
    if struct.unpack(">H", packet[6:8])[0] & 0x1FFF:
        return None
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    return packet[9], source, target, packet[(packet[0] & 0x0F) * 4 : total]


def _ipv6(packet: bytes) -> Split | None:
    """Return the same; packets with headers between are none of ours."""
    (size,) = struct.unpack(">H", packet[4:6])
    source, target = (socket.inet_ntop(socket.AF_INET6, packet[i : i + 16]) for i in (8, 24))
    return (packet[6], source, target, packet[40 : 40 + size])


_SPLIT: dict[bytes, Callable[[bytes], Split | None]] = {b"\x08\x00": _ipv4, b"\x86\xdd": _ipv6}


class _Stream:
    """One direction of a TCP connection; on this link segments come in order."""

    def __init__(self, sequence: int) -> None:
        self._next = sequence & 0xFFFFFFFF
        self._octets = b""

    def take(self, sequence: int, payload: bytes) -> Iterator[bytes]:
        if sequence != self._next:  # seen before
            return
        self._next = (self._next + len(payload)) & 0xFFFFFFFF
        self._octets += payload
        while len(self._octets) > 2:
            (size,) = struct.unpack(">H", self._octets[:2])
            if len(self._octets) < 2 + size:
                return
            wire, self._octets = self._octets[2 : 2 + size], self._octets[2 + size :]
            yield wire


def _read(wire: bytes, port: int, server: str, *, tcp: bool) -> Iterator[Seen]:
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except dns.message.Truncated as error:
        message = error.message()
    except dns.exception.DNSException:
        return
    if not message.question:
        return
    (question,) = message.question
    yield Seen(
        name=question.name.to_text(omit_final_dot=True),
        rdtype=dns.rdatatype.to_text(question.rdtype),
        id=message.id,
        tcp=tcp,
        edns=message.edns >= 0,
        size=len(wire),
        port=port,
        server=server,
        rcode=dns.rcode.to_text(message.rcode()) if message.flags & dns.flags.QR else "",
        truncated=bool(message.flags & dns.flags.TC),
    )


def _packet_socket() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind(("eth0", _ETH_P_ALL))
    made.setblocking(False)
    return made
