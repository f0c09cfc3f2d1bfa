"""
Upstreams with bad weather: they lose, delay, fail and freeze as a script says, with fixed seeds.

``python -m tests.bench.stub_upstream SCRIPT...``, each a :class:`Script` as JSON, runs until it is
killed.  A datagram too short for a DNS header is answered with the number of questions so far, as
decimal text.  No asyncio transport drops anything by itself: what is lost was meant to be.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import sys
from collections.abc import Sequence
from typing import NotRequired, TypedDict, cast

NOERROR, SERVFAIL, REFUSED = 0, 2, 5

_QTYPE_A = 1
_RECORD = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01"  # A IN 300 192.0.2.1
_OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"  # RFC 6891: 1232 octets
_TCP_REPEAT_S = 0.2  # what one lost segment costs, the least that Linux waits


class Behaviour(TypedDict, total=False):
    """
    What an upstream is like; without any key it is healthy, 10 ms away and more.

    loss: of packets, for each direction. delay_ms: of every round trip. jitter_ms: added to it,
    exponentially distributed with this mean. rcode: of all answers. dead: never answers.
    """

    loss: float
    delay_ms: float
    jitter_ms: float
    rcode: int
    dead: bool


class Place(Behaviour):
    """An upstream and where it listens."""

    host: str
    port: int


class Script(TypedDict):
    """
    The upstreams of one forwarder.

    freeze_s: from when to when, after the first question, the one of them falls silent that had
    the most questions in the second before.
    """

    servers: list[Place]
    freeze_s: NotRequired[tuple[float, float]]


class Server:
    """One upstream: what it makes of a question. ``questions`` counts all that reached it."""

    def __init__(self, behaviour: Behaviour, seed: str) -> None:
        self._loss = behaviour.get("loss", 0.0)
        self._delay_s = behaviour.get("delay_ms", 10.0) / 1000
        self._jitter_s = behaviour.get("jitter_ms", 5.0) / 1000
        self._rcode = behaviour.get("rcode", NOERROR)
        self._rng = random.Random(seed)
        self.silent = behaviour.get("dead", False)
        self.questions = 0

    def datagram(self, query: bytes) -> tuple[float, bytes] | None:
        """Return the reply and after how many seconds it arrives; None if it does not."""
        self.questions += 1
        lost = self._is_lost() or self._is_lost()
        return None if self.silent or lost else (self._round_trip_s(), reply(query, self._rcode))

    def segment(self, query: bytes) -> tuple[float, bytes] | None:
        """Do the same for TCP, where the kernel makes a delay of every loss."""
        self.questions += 1
        if self.silent:
            return None
        delay_s = self._round_trip_s()
        for _ in range(2):
            while self._is_lost():
                delay_s += _TCP_REPEAT_S
        return delay_s, reply(query, self._rcode)

    def _is_lost(self) -> bool:
        return self._rng.random() < self._loss

    def _round_trip_s(self) -> float:
        jitter_s = self._rng.expovariate(1 / self._jitter_s) if self._jitter_s else 0.0
        return self._delay_s + jitter_s


def reply(query: bytes, rcode: int = NOERROR) -> bytes:
    """Return the reply to a well-formed question: an A record, or nothing for other types."""
    end = 12
    while query[end]:
        end += query[end] + 1
    end += 5
    (qtype,) = struct.unpack_from("!H", query, end - 4)
    found = rcode == NOERROR and qtype == _QTYPE_A
    edns = query[10:12] != b"\0\0"
    flags = bytes([0x80 | query[2] & 1, 0x80 | rcode])
    counts = struct.pack("!4H", 1, found, 0, edns)
    record, opt = _RECORD if found else b"", _OPT if edns else b""
    return query[:2] + flags + counts + query[12:end] + record + opt


class Group:
    """The upstreams of one script, and the one of them that freezes."""

    def __init__(self, script: Script) -> None:
        self.servers = [
            Server(place, f"{place['host']} {number}")
            for number, place in enumerate(script["servers"])
        ]
        self._freeze_s = script.get("freeze_s")

    def asked(self) -> None:
        """Take note of a question: the first one starts the clock."""
        if self._freeze_s is None:
            return
        start_s, end_s = self._freeze_s
        self._freeze_s = None
        asyncio.get_running_loop().call_later(start_s - 1, self._watch, end_s - start_s)

    def _watch(self, silent_s: float) -> None:
        before = [server.questions for server in self.servers]
        asyncio.get_running_loop().call_later(1, self._freeze, before, silent_s)

    def _freeze(self, before: Sequence[int], silent_s: float) -> None:
        more = [server.questions - then for server, then in zip(self.servers, before, strict=True)]
        busiest = self.servers[more.index(max(more))]
        busiest.silent = True
        asyncio.get_running_loop().call_later(silent_s, setattr, busiest, "silent", False)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, group: Group, server: Server) -> None:
        self._group, self._server = group, server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) < 12:
            self._transport.sendto(str(self._server.questions).encode(), addr)
            return
        self._group.asked()
        if answer := self._server.datagram(data):
            delay_s, message = answer
            asyncio.get_running_loop().call_later(delay_s, self._transport.sendto, message, addr)


async def _tcp(
    group: Group, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the questions of one connection, each when its time has come."""
    try:
        while True:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            query = await reader.readexactly(size)
            group.asked()
            if answer := server.segment(query):
                delay_s, message = answer
                framed = struct.pack("!H", len(message)) + message
                asyncio.get_running_loop().call_later(delay_s, writer.write, framed)
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def serve(scripts: Sequence[Script]) -> None:
    """Run the upstreams of all scripts until this is cancelled."""
    loop = asyncio.get_running_loop()
    kept = []
    for script in scripts:
        group = Group(script)
        for place, server in zip(script["servers"], group.servers, strict=True):
            where = place["host"], place["port"]
            udp, _ = await loop.create_datagram_endpoint(
                lambda group=group, server=server: _Udp(group, server),  # type: ignore[misc]
                local_addr=where,
            )
            tcp = await asyncio.start_server(
                lambda reader, writer, group=group, server=server: _tcp(  # type: ignore[misc]
                    group, server, reader, writer
                ),
                *where,
            )
            kept.append((udp, tcp))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve([json.loads(text) for text in sys.argv[1:]]))
