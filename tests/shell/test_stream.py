"""DNS over TCP on a clock and a transport of octets: framing, pipelining, limits (RFC 7766)."""

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from kubedns.serve.connections import Limits
from kubedns.serve.counters import Counters
from kubedns.serve.receiver import TURN_S
from kubedns.serve.stream import Client, Stream, StreamFactory
from tests.builders import decoded, headless, query, serve, service, slice_

N = "shop.svc.cluster.local."
ASKED = query(f"web.{N} A").to_wire()
LATER = b"\0\0later......."  # a query that the servers here do not answer at once
ROOMY = 1 << 40
AT_ONCE = 0.21  # the next sweep


class Transport(StringTransport):
    """A connection whose socket takes `room` octets until its client reads."""

    def __init__(self, clock: Clock, room: int) -> None:
        super().__init__()
        self.clock = clock
        self.room = room
        self.held = b""
        self.sends = 0

    def getHandle(self) -> "Transport":
        return self

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled

    def send(self, octets: bytes) -> int:
        if not self.room:
            raise BlockingIOError
        self.sends += 1
        taken = octets[: self.room]
        self.room -= len(taken)
        super().write(taken)
        return len(taken)

    def write(self, data: bytes) -> None:
        self.held += data

    def drained(self) -> None:
        """The client has read everything."""
        super().write(self.held)
        self.held = b""
        if self.producer:
            self.producer.resumeProducing()
        elif self.disconnecting:
            self.stream.connectionLost()

    def loseConnection(self) -> None:
        self.disconnecting = True
        if not self.held:
            self.clock.callLater(0, self.stream.connectionLost)

    def abortConnection(self) -> None:
        if not self.disconnected:
            self.disconnected = True
            self.clock.callLater(0, self.stream.connectionLost)

    stream: Stream


class Server:
    """A factory with a clock."""

    def __init__(
        self, respond: Callable[[bytes, Client], Any], counters: Any = None, **limits: Any
    ) -> None:
        self.clock = Clock()
        self.counters = counters or Counters()
        self.factory = StreamFactory(respond, self.counters, self.clock, Limits(**limits))

    def connect(self, room: int = ROOMY, host: str = "127.0.0.1") -> tuple[Stream, Transport]:
        """Accept a client."""
        connected = self.try_to_connect(room, host)
        assert connected is not None
        return connected

    def try_to_connect(self, room: int, host: str) -> tuple[Stream, Transport] | None:
        """Accept a client, or refuse it."""
        stream = self.factory.buildProtocol(IPv4Address("TCP", host, 40000))
        if stream is None:
            return None
        transport = Transport(self.clock, room)
        transport.stream = stream
        stream.makeConnection(transport)
        return stream, transport

    def wait(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)


class Slow:
    """Answers what begins like LATER when it is told to, and all else at once."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[bytes]] = []

    def __call__(self, message: bytes, _: Client) -> Any:
        if message[2:7] != LATER[2:7]:
            return b"fast reply"
        self.waiting.append(Deferred())
        return self.waiting[-1]


def _framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(each)) + each for each in messages)


def _replies(transport: Transport) -> list[bytes]:
    octets, at, found = transport.value(), 0, []
    while at < len(octets):
        (length,) = struct.unpack_from(">H", octets, at)
        found.append(octets[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def _server(**limits: Any) -> Server:
    served = serve(service("web", ip="10.0.0.7"), headless(), slice_(
        addresses=[f"10.1.{i // 250}.{i % 250}" for i in range(1000)]))  # fmt: skip
    return Server(lambda message, _: served.octets(message, tcp=True), **limits)


def _gone(clients: list[tuple[Stream, Transport]]) -> list[int]:
    return [i for i, (_, transport) in enumerate(clients) if transport.disconnected]


# Queries and replies


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_000])
def test_pipelined_queries_in_pieces_of_any_size(size: int) -> None:
    """Each is answered with its own ID, in whatever pieces they come."""
    stream, transport = _server().connect()
    octets = _framed(*(struct.pack(">H", i) + ASKED[2:] for i in range(20)))
    for at in range(0, len(octets), size):
        stream.dataReceived(octets[at : at + size])
    assert [struct.unpack(">H", reply[:2])[0] for reply in _replies(transport)] == list(range(20))
    assert all(len(decoded(reply).answer) == 1 for reply in _replies(transport))


def test_replies_leave_together() -> None:
    """One system call for all queries of one piece; the transport is not troubled."""
    stream, transport = _server().connect()
    stream.dataReceived(_framed(*[ASKED] * 20))
    assert len(_replies(transport)) == 20
    assert transport.sends == 1


def test_replies_come_as_they_are_ready() -> None:
    """RFC 7766 6.2.1.1: one that waits for somebody outside does not hold up the next."""
    slow = Slow()
    stream, transport = Server(slow).connect()
    stream.dataReceived(_framed(LATER, ASKED))
    assert _replies(transport) == [b"fast reply"]
    slow.waiting[0].callback(b"slow reply")
    assert _replies(transport) == [b"fast reply", b"slow reply"]


def test_a_table_of_ready_replies_is_asked_first() -> None:
    """What it has is sent as it is; what it has not is answered the long way, with the client."""
    asked = []

    def respond(message: bytes, client: Client) -> bytes:
        asked.append((message[:2], client))
        return b"looked up"

    server = Server(respond)
    there = {b"\0\1" + ASKED[2:]: b"was there"}
    server.factory.ready = lambda message, _: there.get(message)
    stream, transport = server.connect()
    stream.dataReceived(_framed(b"\0\1" + ASKED[2:], b"\0\2" + ASKED[2:]))
    assert _replies(transport) == [b"was there", b"looked up"]
    assert asked == [(b"\0\2", ("127.0.0.1", 40000))]


@pytest.mark.parametrize(
    "octets",
    [b"", b"\0" * 11, ASKED[:2] + b"\x80\0" + ASKED[4:]],
    ids=["nothing", "too short", "a reply"],
)
def test_what_is_no_query_ends_the_connection(octets: bytes) -> None:
    """A response, or less than a header; what was asked before is answered, what follows is not."""
    stream, transport = _server().connect()
    stream.dataReceived(_framed(ASKED, octets, ASKED))
    assert transport.disconnecting
    assert len(_replies(transport)) == 1


@pytest.mark.parametrize("hook", ["respond", "ready"])
def test_an_exception_costs_one_servfail(hook: str) -> None:
    """The connection and the next query live on."""

    def respond(message: bytes, *_: Any) -> bytes:
        if message[:2] == b"\0\1":
            raise ZeroDivisionError
        return b"fine"

    server = Server(respond)
    setattr(server.factory, hook, respond)
    stream, transport = server.connect()
    stream.dataReceived(_framed(b"\0\1" + ASKED[2:], b"\0\2" + ASKED[2:]))
    replies = _replies(transport)
    assert b"fine" in replies
    assert sorted(decoded(reply).rcode() for reply in replies if reply != b"fine") == [2]
    assert server.counters.exceptions == 1


def test_a_client_that_says_no_more_still_gets_its_replies() -> None:
    """RFC 7766 6.2.4: half-closed; closed when the last reply is out."""
    slow = Slow()
    stream, transport = Server(slow).connect()
    stream.dataReceived(_framed(LATER))
    stream.readConnectionLost()
    assert not transport.disconnecting
    slow.waiting[0].callback(b"reply")
    assert _replies(transport) == [b"reply"]
    assert transport.disconnecting
    stream, transport = _server().connect()
    stream.dataReceived(_framed(ASKED))
    stream.readConnectionLost()
    assert len(_replies(transport)) == 1
    assert transport.disconnecting


def test_what_waits_is_given_up_with_its_connection() -> None:
    """Nobody would read the reply, and no exception is counted."""
    cancelled: list[Any] = []
    server = Server(lambda *_: Deferred(cancelled.append))
    stream, _ = server.connect()
    stream.dataReceived(_framed(LATER, LATER))
    stream.connectionLost()
    assert len(cancelled) == 2
    assert server.counters.exceptions == 0


def test_a_thousand_queries_in_one_piece_leave_the_reactor_to_others() -> None:
    """Dear ones are answered in turns, and nothing more is read until then."""
    server = Server(lambda *_: b"reply")

    def dear(*_: Any) -> bytes:
        server.clock.rightNow += TURN_S / 2
        return b"reply"

    server.factory.respond = dear
    stream, transport = server.connect()
    stream.dataReceived(_framed(*[ASKED] * 10))
    assert len(_replies(transport)) == 3
    assert transport.producerState == "paused"
    server.clock.advance(0)
    assert len(_replies(transport)) == 10
    assert transport.sends == 4, "one for each turn"
    assert transport.producerState == "producing"


# Limits in time


def test_an_idle_connection_ends() -> None:
    """After ten seconds; in good order, since nothing is lost."""
    server = _server()
    _, transport = server.connect()
    server.wait(9.9)
    assert not transport.disconnecting
    server.wait(0.4)
    assert transport.disconnecting
    assert not transport.disconnected
    assert not server.counters.dropped


def test_a_query_keeps_the_connection() -> None:
    """Each one starts the time anew."""
    server = _server()
    stream, transport = server.connect()
    for _ in range(10):
        server.wait(9.9)
        stream.dataReceived(_framed(ASKED))
    assert not transport.disconnecting
    assert len(_replies(transport)) == 10


def test_a_connection_that_waits_for_a_reply_is_not_idle() -> None:
    """However long it takes; from the reply on it is."""
    slow = Slow()
    server = Server(slow)
    stream, transport = server.connect()
    stream.dataReceived(_framed(LATER))
    server.wait(30)
    assert not transport.disconnecting
    slow.waiting[0].callback(b"reply")
    server.wait(9.9)
    assert not transport.disconnecting
    server.wait(0.4)
    assert transport.disconnecting


def test_one_octet_a_second_keeps_nothing_open() -> None:
    """A query that has begun must be complete after two seconds."""
    server = _server()
    clients = [server.connect() for _ in range(3)]
    for octet in _framed(ASKED)[:3]:
        for stream, transport in clients:
            assert not transport.disconnected
            stream.dataReceived(bytes((octet,)))
        server.wait(1.0)
    assert _gone(clients) == [0, 1, 2]
    assert server.counters.dropped["tcp slow query"] == 3


def test_a_query_that_is_complete_in_time() -> None:
    """The time of each begins with its first octet, not with the connection, nor the one before."""
    server = _server()
    stream, transport = server.connect()
    octets = _framed(ASKED)
    server.wait(5)
    for _ in range(5):
        stream.dataReceived(octets[:7])
        server.wait(1.9)
        stream.dataReceived(octets[7:] + octets[:1])
        server.wait(1.9)
        stream.dataReceived(octets[1:])
    assert not transport.disconnected
    assert len(_replies(transport)) == 10


@pytest.mark.parametrize(
    ("connections", "idle_s"), [(1, 10.0), (50, 10.0), (51, 2.0), (80, 2.0), (81, 0.2), (100, 0.2)]
)
def test_the_more_connections_the_less_idleness(connections: int, idle_s: float) -> None:
    """Ten seconds, two when half of all are used, a fifth of one above 80 %."""
    assert Limits(connections=100).idle(connections) == idle_s


def test_a_crowd_thins_out_until_it_is_none() -> None:
    """The longest idle ones go, and only as many as are too many."""
    server = _server(connections=10)
    clients = []
    for _ in range(9):
        clients.append(server.connect())
        server.clock.rightNow += 0.001
    server.wait(0.5)
    assert [transport.disconnecting for _, transport in clients] == [True] + [False] * 8
    server.wait(2.0)
    assert [transport.disconnecting for _, transport in clients] == [True] * 4 + [False] * 5
    assert len(server.factory) == 5
    server.wait(10.0)
    assert len(server.factory) == 0
    assert server.counters.dropped == {"tcp crowded": 4}, "the others had their time"


# Limits in number


def test_the_longest_idle_connection_makes_room() -> None:
    """When there are too many; the one that just asked stays."""
    server = _server(connections=3)
    clients = [server.connect() for _ in range(3)]
    server.clock.advance(0.01)
    clients[0][0].dataReceived(_framed(ASKED))
    server.connect()
    assert _gone(clients) == [1]
    assert len(server.factory) == 3
    assert server.counters.dropped["tcp limit"] == 1


def test_whoever_has_most_connections_makes_room() -> None:
    """Not the one with a single connection, although it has been idle longest."""
    server = _server(connections=4)
    clients = [server.connect(host=host) for host in ("10.0.0.1", *["10.0.0.2"] * 3)]
    clients.append(server.connect(host="10.0.0.3"))
    assert _gone(clients) == [1]
    assert server.factory.most_of_one_client == 2


def test_who_waits_for_a_reply_is_spared() -> None:
    """Somebody else's idle connection goes first, be it his only one."""
    server = Server(Slow(), connections=4)
    clients = [server.connect(host=host) for host in ("10.0.0.1", *["10.0.0.2"] * 3)]
    for stream, _ in clients[1:]:
        stream.dataReceived(_framed(LATER))
    clients.append(server.connect(host="10.0.0.3"))
    assert _gone(clients) == [0]


def test_when_everybody_waits_the_greedy_one_makes_room() -> None:
    """So one client cannot keep all others out; and nobody is closed for his equal."""
    server = Server(Slow(), connections=4)
    clients = [server.connect(host=host) for host in ("10.0.0.1", *["10.0.0.2"] * 3)]
    for stream, _ in clients:
        stream.dataReceived(_framed(LATER))
    assert server.try_to_connect(ROOMY, "10.0.0.2") is None, "he has most of all"
    clients.append(server.connect(host="10.0.0.3"))
    assert _gone(clients) == [1]
    clients[-1][0].dataReceived(_framed(LATER))
    assert server.try_to_connect(ROOMY, "10.0.0.3") is None, "he would have as many"
    assert len(server.factory) == 4
    assert server.counters.dropped["tcp limit"] == 3


def test_connections_of_one_client() -> None:
    """His own longest idle one makes room; if all wait, he gets no more. Others are untouched."""
    server = Server(Slow(), per_client=3, connections=6)
    other = server.connect(host="10.0.0.1")
    clients = [server.connect(host="10.0.0.2") for _ in range(4)]
    assert _gone([other, *clients]) == [1]
    for stream, _ in clients[1:]:
        stream.dataReceived(_framed(LATER))
    assert server.try_to_connect(ROOMY, "10.0.0.2") is None
    assert server.try_to_connect(ROOMY, "10.0.0.3") is not None
    assert server.factory.most_of_one_client == 3
    assert server.counters.dropped["tcp client limit"] == 2


def test_one_client_may_have_many_while_there_is_room() -> None:
    """Behind address translation a whole node is one client."""
    server = Server(Slow(), per_client=3, connections=20)
    clients = [server.connect(host="10.0.0.2") for _ in range(10)]
    assert _gone(clients) == []
    assert len(server.factory) == 10


def test_a_thousand_clients_leave_nothing_behind() -> None:
    """Come, ask, go: no connection and no timer is left."""
    server = _server(connections=100)
    for _ in range(1000):
        stream, _ = server.connect()
        stream.dataReceived(_framed(ASKED))
        stream.connectionLost()
    assert len(server.factory) == 0
    assert len(server.clock.getDelayedCalls()) == 1, "the sweep that all of them shared"
    server.clock.advance(AT_ONCE)
    assert server.clock.getDelayedCalls() == []


def test_port_zero_is_nobody() -> None:
    """What could not be answered is not accepted."""
    assert _server().factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 0)) is None


def test_limits_have_counts_of_their_own_where_there_are_any() -> None:
    """Also the one that costs nobody an answer: too many queries in flight."""

    class Others(Counters):
        def __init__(self) -> None:
            super().__init__()
            self.limits: Counter[str] = Counter()

    server = Server(Slow(), Others(), connections=1, in_flight=2)
    server.connect()
    stream, _ = server.connect()
    stream.dataReceived(_framed(*[LATER] * 3))
    assert server.counters.limits == {"tcp limit": 1, "tcp in flight": 1}
    assert not server.counters.dropped


# Clients that do not read, and those that ask too much


def test_a_client_that_does_not_read_is_read_from_no_more() -> None:
    """A thousand queries for large answers in one piece must not be held in memory as replies."""
    stream, transport = _server().connect(room=65536)
    asked = query(f"db.{N} A").to_wire()
    stream.dataReceived(_framed(*[asked] * 1000))
    assert transport.producerState == "paused"
    assert 0 < len(transport.held) < 2 * Limits().unread
    turns = 0
    while transport.producerState == "paused":
        transport.room = 65536
        transport.drained()
        assert len(transport.held) < 2 * Limits().unread
        turns += 1
    assert len(_replies(transport)) == 1000, "all are answered as it reads"
    assert turns > 50


def test_a_client_that_never_reads_is_closed() -> None:
    """After five seconds, although it has asked for more in the meantime."""
    server = _server()
    stream, transport = server.connect(room=100)
    stream.dataReceived(_framed(*[ASKED] * 10))
    server.wait(4.9)
    assert not transport.disconnected
    server.wait(0.4)
    assert transport.disconnected
    assert server.counters.dropped["tcp unread"] == 1


def test_a_client_that_reads_in_the_end_is_not_closed() -> None:
    """Its time begins anew whenever it has read everything."""
    server = _server()
    stream, transport = server.connect(room=100)
    for _ in range(5):
        stream.dataReceived(_framed(ASKED))
        server.wait(4.5)
        transport.drained()
        transport.room = 1
    assert not transport.disconnected
    assert len(_replies(transport)) == 5


def test_replies_that_come_while_nobody_reads_are_bounded() -> None:
    """Sixty-four large ones were asked for: beyond 64 KiB the connection is closed."""
    slow = Slow()
    server = Server(slow)
    stream, transport = server.connect(room=100)
    stream.dataReceived(_framed(*[LATER] * 64))
    for waiting in slow.waiting[:3]:
        waiting.callback(b"x" * 30_000)
    assert not transport.disconnected
    slow.waiting[3].callback(b"x" * 30_000)
    assert transport.disconnected
    assert len(transport.held) < 100_000
    server.clock.advance(0)
    assert all(waiting.called for waiting in slow.waiting), "the others are given up"
    assert server.counters.dropped["tcp unread"] == 1


def test_what_we_do_not_read_is_not_a_slow_query() -> None:
    """The rest of a query waits in the socket as long as its client's replies do."""
    server = _server()
    stream, transport = server.connect(room=100)
    stream.dataReceived(_framed(*[ASKED] * 3) + _framed(ASKED)[:5])
    server.wait(4)
    transport.drained()
    server.wait(1.5)
    assert not transport.disconnected
    stream.dataReceived(_framed(ASKED)[5:])
    assert len(_replies(transport)) + len(transport.held) > 3
    assert not transport.disconnected


def test_a_connection_that_is_being_closed_does_not_linger() -> None:
    """Its client does not read the last replies."""
    server = _server()
    stream, transport = server.connect(room=10)
    stream.dataReceived(_framed(ASKED))
    stream.readConnectionLost()
    assert transport.disconnecting
    server.wait(4.9)
    assert not transport.disconnected
    server.wait(0.4)
    assert transport.disconnected
    server.wait(0.4)
    assert len(server.factory) == 0


def test_queries_that_wait_for_somebody_outside_are_bounded() -> None:
    """64 of one connection at a time, also when a thousand come in one piece."""
    slow = Slow()
    stream, transport = Server(slow).connect()
    stream.dataReceived(_framed(*[LATER] * 1000))
    assert len(slow.waiting) == 64
    assert transport.producerState == "paused"
    answered = 0
    while answered < len(slow.waiting):
        slow.waiting[answered].callback(b"reply")
        answered += 1
    assert answered == 1000
    assert len(_replies(transport)) == 1000
    assert transport.producerState == "producing"


def test_a_reply_that_was_to_come_may_be_there_at_once() -> None:
    """An awaitable that has its result already."""
    stream, transport = Server(lambda *_: succeed(b"reply")).connect()
    stream.dataReceived(_framed(*[LATER] * 200))
    assert _replies(transport) == [b"reply"] * 200


def test_all_connections_end_when_the_server_does() -> None:
    """In good order."""
    server = _server()
    clients = [server.connect() for _ in range(3)]
    server.factory.close_all()
    assert all(transport.disconnecting for _, transport in clients)
    assert _gone(clients) == []
