"""
A name server that does exactly what it is told: when, in what order, from where, in which octets.

A play is a function from what was `Asked` to a list of acts; behaviours.py has them by name. The
server itself knows nothing of DNS but how TCP frames messages. It runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from types import TracebackType

import dns.edns
import dns.message
import dns.rdatatype

from tests.forwarder.client import PATIENCE_S
from tests.realapi.ports import free_port
from tests.realapi.waiting import until


@dataclass(frozen=True)
class Asked:
    """One query as it arrived. source: address and port; at: monotonic seconds."""

    wire: bytes
    source: tuple[str, int]
    tcp: bool
    at: float
    connection: int = 0  # number of the TCP connection, from 1; 0: UDP

    @cached_property
    def message(self) -> dns.message.Message:
        """The query, read."""
        return dns.message.from_wire(self.wire, ignore_trailing=True)

    @property
    def id(self) -> bytes:
        """The message ID."""
        return self.wire[:2]

    @property
    def question(self) -> bytes:
        """The question section."""
        return self.wire[12 : self.wire.index(0, 12) + 5]

    @property
    def name(self) -> str:
        """The name in lower case, as text with the final dot."""
        return self.spelled.lower()

    @property
    def spelled(self) -> str:
        """The name as it was spelled."""
        return self.message.question[0].name.to_text()

    @property
    def rdtype(self) -> str:
        """The type as text."""
        return dns.rdatatype.to_text(self.message.question[0].rdtype)

    @property
    def edns(self) -> bool:
        """Whether there was an OPT."""
        return self.message.edns >= 0


class How(Enum):
    """What an act does with its octets."""

    SEND = "send them from here; in front of them their length if it is TCP"
    OTHER_PORT = "send them from another port of this address"
    OTHER_ADDRESS = "send them from another address, from this port"
    RAW = "TCP: send them without their length"
    CLOSE = "TCP: close the connection"
    RESET = "TCP: reset the connection"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. after_s: seconds after the query. to: another receiver than the asker."""

    octets: bytes = b""
    after_s: float = 0.0
    how: How = How.SEND
    to: tuple[str, int] | None = None


Play = Callable[[Asked], Sequence[Act]]


class Scripted:
    """
    A server on its own port of a loopback address, UDP and TCP.

    play may be replaced at any time. asked: all queries so far. listens: "tcp" and "udp".
    """

    def __init__(
        self, play: Play, *, address: str = "127.0.0.2", port: int = 0, listens: str = "udp tcp"
    ) -> None:
        self.play = play
        self.address = address
        self.port = port or free_port()
        self.asked: list[Asked] = []
        self.connections = 0
        self._listens = listens.split()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._faults: list[Exception] = []

    def __enter__(self) -> Scripted:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._faults and error is None:
            raise self._faults[0]

    @property
    def server(self) -> str:
        """Write it as dnsmasq's --server wants it."""
        return f"{self.address}#{self.port}"

    @property
    def nameserver(self) -> str:
        """Write it as the ConfigMap wants it."""
        return f"{self.address}:{self.port}"

    def names(self) -> Counter[str]:
        """Count the queries by name, in lower case."""
        return Counter(each.name for each in self.asked)

    def questions(self, name: str) -> list[Asked]:
        """Return the queries for a name."""
        return [each for each in self.asked if each.name == name]

    def wait_for(self, name: str, count: int = 1) -> list[Asked]:
        """Wait until a name was asked so many times; return these queries."""
        until(
            lambda: self.questions(name),
            lambda found: len(found) >= count,
            within_s=PATIENCE_S,
            wanted=f"{count} questions for {name}",
        )
        return self.questions(name)

    def _do(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _open(self) -> None:
        here = (self.address, self.port)
        if "udp" in self._listens:
            self._udp, _ = await self._loop.create_datagram_endpoint(
                lambda: _Udp(self), sock=_udp_socket(here)
            )
            self._elsewhere = {
                How.SEND: self._udp,
                How.OTHER_PORT: await self._deaf((self.address, 0)),
                How.OTHER_ADDRESS: await self._deaf((_neighbour(self.address), self.port)),
            }
        if "tcp" in self._listens:
            self._tcp = await asyncio.start_server(self._serve, *here, backlog=512)

    async def _deaf(self, at: tuple[str, int]) -> asyncio.DatagramTransport:
        transport, _ = await self._loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=at
        )
        return transport

    async def _close(self) -> None:
        if "tcp" in self._listens:
            self._tcp.close()
        tasks = list(filter(None, self._connections.values()))
        for writer in self._connections:
            writer.transport.abort()
        if "udp" in self._listens:
            for transport in self._elsewhere.values():
                transport.close()
        await asyncio.gather(*tasks)

    def over_udp(self, wire: bytes, source: tuple[str, int]) -> None:
        """Take a datagram, and play."""
        for act in self._acts(Asked(wire, source, False, time.monotonic())):
            sender = self._elsewhere[act.how]
            self._later(act, sender.sendto, act.octets, act.to or source)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._connections[writer] = asyncio.current_task()
        source = writer.get_extra_info("peername")[:2]
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = struct.unpack(">H", await reader.readexactly(2))
                wire = await reader.readexactly(size)
                for act in self._acts(Asked(wire, source, True, time.monotonic(), number)):
                    self._later(act, _over_tcp, writer, act)
        del self._connections[writer]
        writer.close()

    def _acts(self, asked: Asked) -> Sequence[Act]:
        self.asked.append(asked)
        try:
            return self.play(asked)
        except Exception as fault:  # of the test; it must see it
            self._faults.append(fault)
            return []

    def _later(self, act: Act, do: Callable[..., None], *args: object) -> None:
        if act.after_s == 0:
            do(*args)
        else:
            self._loop.call_later(act.after_s, do, *args)


def _over_tcp(writer: asyncio.StreamWriter, act: Act) -> None:
    match act.how:
        case How.RAW:
            writer.write(act.octets)
        case How.CLOSE:
            writer.close()
        case How.RESET:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        case _:
            writer.write(struct.pack(">H", len(act.octets)) + act.octets)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Scripted) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.over_udp(data, addr)


def _udp_socket(at: tuple[str, int]) -> socket.socket:
    """Open a UDP socket with room for thousands of queries at once."""
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.setblocking(False)
    made.bind(at)
    return made


def _neighbour(address: str) -> str:
    front, _, last = address.rpartition(".")
    return f"{front}.{(int(last) + 100) % 250 + 1}"
