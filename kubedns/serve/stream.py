"""
DNS over TCP: pipelined queries, replies as they are ready, limits (RFC 7766, RFC 9210).

A connection is closed after ten idle seconds; only a whole query counts as a sign of life, so one
octet a second keeps nothing open. A client that does not read is read from no more. When there are
too many connections, the one that has been idle longest makes room.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory
from twisted.protocols.basic import Int16StringReceiver
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from kubedns.serve.counters import Counters
from kubedns.serve.receiver import TURN_S, finish, send_failure
from kubedns.serve.responder import TCP_IDLE_S, Answered

MAX_CONNECTIONS = 512
_MAX_IN_FLIGHT = 64  # queries of one connection that wait for somebody outside


@implementer(IHalfCloseableProtocol, IPushProducer)
class Stream(Int16StringReceiver, TimeoutMixin):
    """One connection."""

    factory: "StreamFactory"
    transport: Any  # zope's interfaces do not type-check

    def connectionMade(self) -> None:
        """Make room for it, and start its clock."""
        self._in_flight: set[Deferred[None]] = set()
        self._reading = True
        self._slow = False
        self._ended = False
        self._answering = False
        self._tired = False
        self._until = 0.0
        self.factory.opened(self)
        self.transport.registerProducer(self, True)
        self.setTimeout(TCP_IDLE_S)

    def callLater(self, period: float, function: Callable[[], None]) -> Any:
        """Let the factory's clock time connections out."""
        return self.factory.clock.callLater(period, function)

    def dataReceived(self, data: bytes) -> None:
        """Answer what has come, as far as `_balance` allows."""
        self._answering = True
        self._until = self.factory.clock.seconds() + TURN_S
        try:
            super().dataReceived(data)
        finally:
            self._answering = False

    def stringReceived(self, message: bytes) -> None:
        """Answer one query."""
        self.resetTimeout()
        self.factory.active(self)
        self._answer(message)
        if self.factory.clock.seconds() > self._until and not self.paused:
            # Others have the reactor too; what has come already waits in the buffer.
            self._tired = True
            self._balance()
            self.factory.clock.callLater(0, self._rested)

    def _rested(self) -> None:
        self._tired = False
        self._balance()

    def _answer(self, message: bytes) -> None:
        try:
            answered = self.factory.respond(message)
        except Exception:
            send_failure(message, self._send, self.factory.counters)
            return
        if answered is None:
            self.transport.loseConnection()
        elif isinstance(answered, bytes):
            self._send(answered)
        else:
            waiting = finish(answered, message, self._send, self.factory.counters)
            self._in_flight.add(waiting)
            waiting.addBoth(lambda _: self._done(waiting))
            self._balance()

    def _send(self, octets: bytes) -> None:
        if self.connected:
            self.sendString(octets)

    def _done(self, waiting: "Deferred[None]") -> None:
        self._in_flight.discard(waiting)
        self.resetTimeout()
        self._balance()
        if self._ended and not self._in_flight:
            self.transport.loseConnection()

    def _balance(self) -> None:
        """Read on, or wait, as the client's own pace and our limit allow."""
        read = not self._slow and not self._tired and len(self._in_flight) < _MAX_IN_FLIGHT
        if read != self._reading and self.connected and not self._ended:
            self._reading = read
            # What has come already waits as well: a piece of 64 KiB holds thousands of queries.
            self.paused = not read
            if read:
                self.transport.resumeProducing()
                if not self._answering:
                    self.dataReceived(b"")
            else:
                self.transport.pauseProducing()

    # The transport's wishes: too much unread output, and room again.

    def pauseProducing(self) -> None:
        """Read no more queries: the client does not read its replies."""
        self._slow = True
        self._balance()

    def resumeProducing(self) -> None:
        """Read on."""
        self._slow = False
        self._balance()

    def stopProducing(self) -> None:
        """Do nothing: the connection is being closed."""

    # Half-closed connections (RFC 7766 6.2.4): a client may say that it asks no more.

    def readConnectionLost(self) -> None:
        """Close when the last reply is out."""
        self._ended = True
        if not self._in_flight:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Close: nobody reads any more."""
        self.transport.loseConnection()

    def timeoutConnection(self) -> None:
        """End an idle connection, even one whose client does not read."""
        self.transport.abortConnection()

    def lengthLimitExceeded(self, length: int) -> None:
        """Never happens: the length is 16 bits."""

    def connectionLost(self, reason: object = None) -> None:
        """Forget it; what still waits for an answer need not be waited for."""
        self.setTimeout(None)
        self.factory.closed(self)
        for waiting in list(self._in_flight):
            waiting.cancel()


class StreamFactory(Factory):
    """All connections; the order of `_open` is that of their last activity."""

    noisy = False

    def __init__(
        self,
        respond: Callable[[bytes], Answered],
        counters: Counters,
        clock: Any,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.respond = respond
        self.counters = counters
        self.clock = clock
        self._max = max_connections
        self._open: dict[Stream, None] = {}

    def buildProtocol(self, addr: IAddress | None) -> Stream | None:  # type: ignore[override]
        """Refuse what could not be answered: port 0 is nobody's."""
        if isinstance(addr, IPv4Address | IPv6Address) and addr.port == 0:
            return None
        stream = Stream()
        stream.factory = self
        return stream

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, stream: Stream) -> None:
        """Take a connection in, in place of the one that has been idle longest if need be."""
        if len(self._open) >= self._max:
            oldest = next(iter(self._open))
            del self._open[oldest]
            self.counters.dropped["tcp limit"] += 1
            oldest.transport.abortConnection()
        self._open[stream] = None

    def active(self, stream: Stream) -> None:
        """Note that a connection is in use."""
        if self._open.pop(stream, self) is None:
            self._open[stream] = None

    def closed(self, stream: Stream) -> None:
        """Note that a connection has ended."""
        self._open.pop(stream, None)

    def close_all(self) -> None:
        """End every connection when what was sent is out."""
        for stream in list(self._open):
            stream.transport.loseConnection()
