"""
The servers outside as one process, UDP and TCP: ``python -m tests.soak.outside PORT…``.

Number N listens on 127.0.0.(2 + N) and its port.  The first two are upstreams; the others serve
the stub domain, each with addresses of its own.  Lines of JSON on the standard input say what is
between a server and the world: {"server": 0, "dead": false, "loss": 0.1, "delay_s": 0.0}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import cast

from tests.soak.questions import NXDOMAIN, OUTSIDE, STUB, A, foreign, octets

UPSTREAMS = 2
_TTL_S, _SHORT_TTL_S = 300, 1
_SOA = octets("ns.outside.test") + octets("x.outside.test") + struct.pack("!5I", 1, 60, 60, 60, 5)


@dataclass
class Server:
    """One of them, and what is between it and the world; loss: of round trips."""

    number: int
    dead: bool = False
    loss: float = 0.0
    delay_s: float = 0.0

    def away(self) -> bool:
        return self.dead or random.random() < self.loss

    def answer(self, message: bytes) -> bytes:
        """Return the reply to a query; ValueError if it is none."""
        end = message.index(0, 12) + 5
        question = message[12:end]
        labels, at = [], 0
        while size := question[at]:
            labels.append(question[at + 1 : at + 1 + size].decode().lower())
            at += 1 + size
        name, kind = ".".join(labels), int.from_bytes(question[-4:-2])
        world = self.number - UPSTREAMS + 1 if self.number >= UPSTREAMS else 0
        known = name.endswith(f".{STUB if world else OUTSIDE}")
        rcode, found = foreign(name, world) if known else (NXDOMAIN, frozenset())
        records = b""
        if not rcode and kind == A:
            ttl = _SHORT_TTL_S if name.startswith("short-") else _TTL_S
            records = b"".join(
                struct.pack("!HHHIH", 0xC00C, A, 1, ttl, 4) + IPv4Address(each).packed
                for each in found
            )
        count = len(found) if records else 0
        authority = b""
        if not records:
            authority = b"\0" + struct.pack("!HHIH", 6, 1, 5, len(_SOA)) + _SOA
        head = struct.pack("!HHHHH", 0x8180 | rcode, 1, count, int(not records), 0)
        return message[:2] + head + question + records + authority


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Its class is no heir of DatagramTransport before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._server.away():
            return
        with contextlib.suppress(ValueError, IndexError):
            reply = self._server.answer(data)
            if self._server.delay_s:
                loop = asyncio.get_running_loop()
                loop.call_later(self._server.delay_s, self._transport.sendto, reply, addr)
            else:
                self._transport.sendto(reply, addr)


async def _serve(server: Server, port: int) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, ValueError, IndexError):
            while True:
                message = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                if server.away():
                    continue
                await asyncio.sleep(server.delay_s)
                reply = server.answer(message)
                writer.write(struct.pack("!H", len(reply)) + reply)
        writer.close()

    here = (f"127.0.0.{2 + server.number}", port)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    udp.setblocking(False)
    udp.bind(here)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Udp(server), sock=udp)
    await asyncio.start_server(stream, *here, backlog=512)


async def _main(ports: list[int]) -> None:
    servers = [Server(number) for number in range(len(ports))]
    for server, port in zip(servers, ports, strict=True):
        await _serve(server, port)
    print("ready", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        order = json.loads(line)
        server = servers[order.pop("server")]
        for name, value in order.items():
            setattr(server, name, value)


if __name__ == "__main__":
    asyncio.run(_main([int(each) for each in sys.argv[1:]]))
