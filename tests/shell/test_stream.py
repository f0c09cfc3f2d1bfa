"""DNS over TCP on a clock and a transport of octets: framing, pipelining, limits (RFC 7766)."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from kubedns.serve.counters import Counters
from kubedns.serve.responder import TCP_IDLE_S
from kubedns.serve.stream import Stream, StreamFactory
from tests.builders import decoded, headless, query, serve, service, slice_

N = "shop.svc.cluster.local."


class Transport(StringTransport):
    """A transport whose client reads nothing: beyond `room` octets it asks to be spared."""

    def __init__(self, room: int = 1 << 40) -> None:
        super().__init__()
        self.room = room
        self.asked_to_pause = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > self.room and not self.asked_to_pause and self.producer:
            self.asked_to_pause = True
            self.producer.pauseProducing()

    def drained(self) -> None:
        """The client has read everything."""
        self.clear()
        self.asked_to_pause = False
        self.producer.resumeProducing()


class Server:
    """A factory with a clock."""

    def __init__(self, respond: Callable[[bytes], Any], **rest: Any) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.factory = StreamFactory(respond, self.counters, self.clock, **rest)

    def connect(self, room: int = 1 << 40) -> tuple[Stream, Transport]:
        """Accept a client."""
        stream = self.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000))
        assert stream is not None
        transport = Transport(room)
        stream.makeConnection(transport)
        return stream, transport


def _framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(each)) + each for each in messages)


def _replies(transport: Transport) -> list[bytes]:
    octets, found = transport.value(), []
    while octets:
        (length,) = struct.unpack(">H", octets[:2])
        found.append(octets[2 : 2 + length])
        octets = octets[2 + length :]
    return found


def _server(**rest: Any) -> Server:
    served = serve(service("web", ip="10.0.0.7"), headless(), slice_(
        addresses=[f"10.1.{i // 250}.{i % 250}" for i in range(1000)]))  # fmt: skip
    return Server(lambda message: served.octets(message, tcp=True), **rest)


ASKED = query(f"web.{N} A").to_wire()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_pipelined_queries_in_pieces_of_any_size(size: int) -> None:
    """Each is answered with its own ID, in whatever pieces they come."""
    stream, transport = _server().connect()
    octets = _framed(*(struct.pack(">H", i) + ASKED[2:] for i in range(20)))
    for at in range(0, len(octets), size):
        stream.dataReceived(octets[at : at + size])
    assert [struct.unpack(">H", reply[:2])[0] for reply in _replies(transport)] == list(range(20))
    assert all(len(decoded(reply).answer) == 1 for reply in _replies(transport))


def test_replies_come_as_they_are_ready() -> None:
    """RFC 7766 6.2.1.1: one that waits for somebody outside does not hold up the next."""
    waiting: list[Deferred[bytes]] = []

    def respond(message: bytes) -> Any:
        if message == b"slow":
            waiting.append(Deferred())
            return waiting[-1]
        return b"fast reply"

    stream, transport = Server(respond).connect()
    stream.dataReceived(_framed(b"slow", b"fast"))
    assert _replies(transport) == [b"fast reply"]
    waiting[0].callback(b"slow reply")
    assert _replies(transport) == [b"fast reply", b"slow reply"]


def test_what_is_no_query_ends_the_connection() -> None:
    """A response, or less than a header: whoever speaks so is no client."""
    for octets in (b"", b"\0" * 11, ASKED[:2] + b"\x80\0" + ASKED[4:]):
        stream, transport = _server().connect()
        stream.dataReceived(_framed(octets))
        assert transport.disconnecting
        assert _replies(transport) == []


def test_an_exception_costs_one_servfail() -> None:
    """The connection and the next query live on."""

    def respond(message: bytes) -> bytes:
        if message[:2] == b"\0\1":
            raise ZeroDivisionError
        return b"fine"

    server = Server(respond)
    stream, transport = server.connect()
    stream.dataReceived(_framed(b"\0\1" + ASKED[2:], b"\0\2" + ASKED[2:]))
    failed, fine = _replies(transport)
    assert decoded(failed).rcode() == 2
    assert fine == b"fine"
    assert server.counters.exceptions == 1


def test_an_idle_connection_ends() -> None:
    """After ten seconds without a whole query; one octet a second keeps nothing open."""
    server = _server()
    stream, transport = server.connect()
    for octet in _framed(ASKED)[: int(TCP_IDLE_S) - 1]:
        server.clock.advance(1.0)
        stream.dataReceived(bytes((octet,)))
    assert not transport.disconnected
    server.clock.advance(1.1)
    assert transport.disconnected


def test_a_query_keeps_the_connection() -> None:
    """Each one starts the time anew."""
    server = _server()
    stream, transport = server.connect()
    for _ in range(10):
        server.clock.advance(TCP_IDLE_S - 0.1)
        stream.dataReceived(_framed(ASKED))
    assert not transport.disconnected
    assert len(_replies(transport)) == 10


def test_a_client_that_says_no_more_still_gets_its_replies() -> None:
    """RFC 7766 6.2.4: half-closed; closed when the last reply is out."""
    waiting: Deferred[bytes] = Deferred()
    stream, transport = Server(lambda _: waiting).connect()
    stream.dataReceived(_framed(b"slow"))
    stream.readConnectionLost()
    assert not transport.disconnecting
    waiting.callback(b"reply")
    assert _replies(transport) == [b"reply"]
    assert transport.disconnecting
    stream, transport = _server().connect()
    stream.dataReceived(_framed(ASKED))
    stream.readConnectionLost()
    assert len(_replies(transport)) == 1
    assert transport.disconnecting


def test_the_longest_idle_connection_makes_room() -> None:
    """When there are too many; the one that just asked stays."""
    server = _server(max_connections=3)
    clients = [server.connect() for _ in range(3)]
    clients[0][0].dataReceived(_framed(ASKED))
    server.connect()
    assert [transport.disconnected for _, transport in clients] == [False, True, False]
    assert len(server.factory) == 3
    assert server.counters.dropped["tcp limit"] == 1


def test_a_thousand_clients_leave_nothing_behind() -> None:
    """Come, ask, go: no connection and no timer is left."""
    server = _server(max_connections=100)
    for _ in range(1000):
        stream, _ = server.connect()
        stream.dataReceived(_framed(ASKED))
        stream.connectionLost()
    assert len(server.factory) == 0
    assert server.clock.getDelayedCalls() == []


def test_port_zero_is_nobody() -> None:
    """What could not be answered is not accepted."""
    assert _server().factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 0)) is None


def test_what_waits_is_given_up_with_its_connection() -> None:
    """Nobody would read the reply, and no exception is counted."""
    cancelled = []
    server = Server(lambda _: Deferred(cancelled.append))
    stream, _ = server.connect()
    stream.dataReceived(_framed(b"slow", b"slow"))
    stream.connectionLost()
    assert len(cancelled) == 2
    assert server.counters.exceptions == 0


def test_a_client_that_does_not_read_is_read_from_no_more() -> None:
    """A thousand queries for large answers in one piece must not be held in memory as replies."""
    stream, transport = _server().connect(room=65536)
    asked = query(f"db.{N} A").to_wire()
    stream.dataReceived(_framed(*[asked] * 1000))
    written = len(transport.value())
    assert transport.producerState == "paused"
    assert written < 4 * 65536, f"{written} octets wait for a client that reads none"
    answered = 0
    while transport.value():
        answered += len(_replies(transport))
        transport.drained()
    assert answered == 1000, "and all are answered when it reads"


def test_queries_that_wait_for_somebody_outside_are_bounded() -> None:
    """64 of one connection at a time, also when a thousand come in one piece."""
    waiting: list[Deferred[bytes]] = []

    def respond(_: bytes) -> Deferred[bytes]:
        waiting.append(Deferred())
        return waiting[-1]

    stream, transport = Server(respond).connect()
    stream.dataReceived(_framed(*[b"query"] * 1000))
    assert len(waiting) <= 65
    answered = 0
    while answered < len(waiting):
        waiting[answered].callback(b"reply")
        answered += 1
    assert answered == 1000
    assert len(_replies(transport)) == 1000
