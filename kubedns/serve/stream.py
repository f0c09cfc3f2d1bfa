"""
DNS over TCP: pipelined queries, replies as they are ready, back-pressure (RFC 7766, RFC 9210).

All queries of one piece of input are answered in one loop, and their replies leave in one system
call, made here and now: through the transport it would be four, two of them to say that there is
something to write and that there is no more. What the socket does not take at once goes to the
transport; until that is out nothing more is read, and the transport says when (`resumeProducing`).
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPullProducer
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from kubedns.serve import connections
from kubedns.serve.answered import Answered
from kubedns.serve.connections import Connections, Limits
from kubedns.serve.receiver import TURN_S, Drops, finish, send_failure

_HEADER = 12  # octets of the shortest message
_DEFAULT = Limits()

Client = tuple[str, int]
Respond = Callable[[bytes, Client], Answered]
Ready = Callable[[bytes, Client], bytes | None]


@implementer(IHalfCloseableProtocol, IPullProducer)
class Stream(Protocol):
    """One connection; client: its address and port."""

    factory: "StreamFactory"
    transport: Any  # zope's interfaces do not type-check

    def __init__(self, factory: "StreamFactory", client: Client) -> None:
        self.factory = factory
        self.client = client
        self.host = client[0]
        self.active_at = factory.clock.seconds()  # when the last query came, or its reply left
        self._input = b""  # what is not answered yet
        self._begun_at: float | None = None  # a query whose end has not come
        self._in_flight: set[Deferred[None]] = set()
        self._unread = 0  # octets that the transport holds
        self._unread_since = 0.0
        self._tired = False
        self._held = False  # nothing is read
        self._ended = False  # the client asks no more
        self.closing = False

    @property
    def waited_for(self) -> bool:
        """Tell whether a reply to its client is still to come."""
        return bool(self._in_flight)

    def connectionMade(self) -> None:
        """Take it in."""
        self._send = self.transport.getHandle().send
        # A reply must not wait until the client has acknowledged the one before.
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, False)
        self.factory.connections.opened(self)

    def connectionLost(self, reason: object = None) -> None:
        """Forget it; what still waits for an answer need not be waited for."""
        self.closing = True
        self.factory.connections.closed(self)
        for waiting in list(self._in_flight):
            waiting.cancel()

    # Queries

    def dataReceived(self, data: bytes) -> None:
        """Answer what has come, as far as `_balance` allows."""
        self._input = self._input + data if self._input else data
        self._work()

    def _work(self) -> None:
        """Answer the queries of `_input`, one turn of them."""
        now = self.factory.clock.seconds()
        octets, at = self._input, 0
        replies: list[bytes] = []
        size = 0
        while len(octets) - at >= 2:
            end = at + 2 + (octets[at] << 8 | octets[at + 1])
            if end < at + 2 + _HEADER:
                self.close()
                break
            if end > len(octets):
                break
            reply = self._answer(octets[at + 2 : end])
            at = end
            if reply is not None:
                replies.append(len(reply).to_bytes(2) + reply)
                size += len(reply)
            if at == len(octets):
                break
            if size > self.factory.limits.unread:
                self._write(b"".join(replies))
                replies, size = [], 0
            if not self._goes_on(now):
                break
        if replies:
            self._write(b"".join(replies))
        self._input = octets[at:]
        if at:
            self.active_at = now
        if not self._input:
            self._begun_at = None
        elif at or self._begun_at is None:
            self._begun_at = now
        self._balance()

    def _goes_on(self, began: float) -> bool:
        """Tell whether the turn that began then goes on with the next query."""
        factory = self.factory
        if self.closing or self._unread or len(self._in_flight) >= factory.limits.in_flight:
            return False
        if factory.clock.seconds() <= began + TURN_S:
            return True
        self._tired = True  # others have the reactor too
        factory.clock.callLater(0, self._rested)
        return False

    def _rested(self) -> None:
        self._tired = False
        self._balance()

    def _answer(self, message: bytes) -> bytes | None:
        """Return the reply to one query, or None when it is to come, or there is none."""
        factory = self.factory
        try:
            answered = factory.ready(message, self.client) or factory.respond(message, self.client)
        except Exception:
            send_failure(message, self._reply, factory.counters)
            return None
        if isinstance(answered, bytes):
            return answered
        if answered is None:
            self.close()
        else:
            waiting = finish(answered, message, self._reply, factory.counters)
            self._in_flight.add(waiting)
            waiting.addBoth(lambda _: self._done(waiting))
        return None

    def _done(self, waiting: "Deferred[None]") -> None:
        self._in_flight.discard(waiting)
        self.active_at = self.factory.clock.seconds()
        self._balance()
        if self._ended and not self._in_flight:
            self.close()

    # Replies

    def _reply(self, message: bytes) -> None:
        """Send one reply that was waited for."""
        if not self.closing:
            self._write(len(message).to_bytes(2) + message)
            self._balance()

    def _write(self, octets: bytes) -> None:
        """Send octets at once, and the rest of them when the client reads."""
        if self._unread > self.factory.limits.unread:
            self.factory.connections.lost(self, connections.UNREAD)
            return
        if not self._unread:
            try:
                sent = self._send(octets)
            except OSError:  # not now, or never more: the transport finds out
                sent = 0
            if sent == len(octets):
                return
            octets = octets[sent:]
            self._unread_since = self.factory.clock.seconds()
        self._unread += len(octets)
        self.transport.write(octets)

    def resumeProducing(self) -> None:
        """Read on: the transport has written everything."""
        if self._unread:
            self._unread = 0
            self._balance()

    def stopProducing(self) -> None:
        """Do nothing: the connection is being closed."""

    def _balance(self) -> None:
        """Read on, or wait, as the client's own pace and our limits allow."""
        full = len(self._in_flight) >= self.factory.limits.in_flight
        held = full or self._tired or self._unread > 0
        if held == self._held or self.closing:
            return
        self._held = held
        if held:
            if full:
                self.factory.connections.held_up(connections.IN_FLIGHT)
            self.transport.pauseProducing()
            return
        self._begun_at = None  # that its end has not been read was not the client's fault
        if not self._ended:
            self.transport.resumeProducing()
        self._work()

    # The end

    def overdue(self, now: float, idle_s: float) -> str | None:
        """Return the name of the limit that the connection has exceeded."""
        limits = self.factory.limits
        if self._unread:
            return connections.UNREAD if now - self._unread_since > limits.unread_s else None
        if self._in_flight or self._held:
            return None
        if self._begun_at is not None and now - self._begun_at > limits.query_s:
            return connections.SLOW_QUERY
        if now - self.active_at <= idle_s:
            return None
        return connections.IDLE if idle_s == limits.idle_s else connections.CROWDED

    def close(self) -> None:
        """Close when all that was written is out."""
        if not self.closing:
            self.closing = True
            self.transport.unregisterProducer()  # else the transport would ask it for more
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        self.closing = True
        self.transport.abortConnection()

    # Half-closed connections (RFC 7766 6.2.4): a client may say that it asks no more.

    def readConnectionLost(self) -> None:
        """Close when the last reply is out."""
        self._ended = True
        if not self._in_flight:
            self.close()

    def writeConnectionLost(self) -> None:
        """Close: nobody reads any more."""
        self.close()


def _nothing_ready(_message: bytes, _client: Client) -> None:
    return None


class StreamFactory(Factory):
    """
    Accepts connections.

    respond: what answers a query of a client. ready: what is asked before it, in the same way,
    for a reply that is there already; it may be set later.
    """

    noisy = False

    def __init__(
        self,
        respond: Respond,
        counters: Drops,
        clock: Any,
        limits: Limits = _DEFAULT,
        ready: Ready = _nothing_ready,
    ) -> None:
        self.respond = respond
        self.ready = ready
        self.counters = counters
        self.clock = clock
        self.limits = limits
        self.connections = Connections(limits, counters, clock)

    def buildProtocol(self, addr: IAddress | None) -> Stream | None:  # type: ignore[override]
        """Return None, which refuses it, where there is no room, and for port 0: nobody's."""
        if not isinstance(addr, IPv4Address | IPv6Address) or not addr.port:
            return None
        if not self.connections.make_room(addr.host):
            return None
        return Stream(self, (addr.host, addr.port))

    def __len__(self) -> int:
        return len(self.connections)

    @property
    def most_of_one_client(self) -> int:
        """Count the connections of the address that has most of them."""
        return self.connections.most_of_one_client

    def close_all(self) -> None:
        """End every connection when what was sent is out."""
        self.connections.close_all()
