"""
One TCP or TLS connection to a server, which many queries use at once (RFC 7766).

Replies come in any order. A server may close a connection whenever it likes, and often does so just
when we send: queries on one that has answered before are sent again, once, on a new one (RFC 7766
6.2.4); all others fail with it. A connection on which a query has waited for `PATIENCE_S` in vain,
with no reply at all since, is dead, whatever the kernel thinks of it.

Invariants:
- A query waits on one stream, under an ID that no other query on it has.
- A stream is listed with its trunk while queries may be sent on it, and with all streams until it
  is closed; see trunks.py.
"""

import os
from typing import TYPE_CHECKING, Any

from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    TimeoutError,
)
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.datagrams import PATIENCE_S, reason_of
from dnsmasq_py.padding import padded
from dnsmasq_py.ports import bind_to_device
from dnsmasq_py.replies import UNEXPECTED, deliver, fail
from kubedns.wire.question import HEADER

if TYPE_CHECKING:
    from dnsmasq_py.tls import Channel
    from dnsmasq_py.trunks import Trunk

CONNECT_S = 1.0
HANDSHAKE_S = 3.0  # TLS, the connection included
IDLE_S = 10.0
_NO_HANDSHAKE = f"no handshake within {HANDSHAKE_S:.0f} s"


class Stream(Protocol):
    """One connection. pending: what waits on it, by ID, oldest first; True: sent again."""

    transport: Any  # zope's interfaces do not type-check

    def __init__(self, trunk: "Trunk", channel: "Channel | None", now: float) -> None:
        self.pending: dict[bytes, tuple[Attempt, bool]] = {}
        self._trunk = trunk
        self._streams = trunk.streams
        self._channel = channel
        self._over = "over TLS" if channel else "over TCP"
        self._connector: Any = None
        self._ready = False
        self._unsent: list[bytes] = []
        self._buffer = b""
        self._heard = False
        self._heard_at = now
        self._used_at = now
        self._reason = ""
        self._closing = False
        self._handshake: Any = None

    def connect(self) -> None:
        """
        Set out.

        Raises:
            OSError: the server's device is not there.
        """
        server = self._trunk.server
        reactor = self._streams.reactor
        source = (server.source, 0) if server.source else None
        self._connector = reactor.connectTCP(
            server.address, server.port, _Call(self), timeout=CONNECT_S, bindAddress=source
        )
        # The socket is there (if not, that is told later), but connects in the next turn only.
        if (one := getattr(self._connector.transport, "socket", None)) is not None:
            try:
                bind_to_device(one, server)
            except OSError:
                self._connector.disconnect()
                raise
        if self._channel:
            self._handshake = reactor.callLater(HANDSHAKE_S, self.abort, _NO_HANDSHAKE)

    def send(self, attempt: Attempt, now: float, *, again: bool) -> None:
        """Send a query as soon as there is a connection."""
        query_id = next(draw[:2] for draw in self._streams.random if draw[:2] not in self.pending)
        message = attempt.message
        if self._channel and attempt.edns:
            message = padded(message, attempt.octets)
        self.pending[query_id] = attempt, again
        attempt.line = (self, query_id)
        self._used_at = now
        self._unsent.append(b"".join(((2 + len(message)).to_bytes(2), query_id, message)))
        if self._ready:
            self._flush()

    def forget(self, query_id: bytes, attempt: Attempt) -> None:
        """Wait no longer for a reply to this attempt."""
        if query_id in self.pending and self.pending[query_id][0] is attempt:
            del self.pending[query_id]

    def connectionMade(self) -> None:
        """Send what has been waiting for it, or begin with TLS."""
        self.transport.setTcpNoDelay(True)
        if self._channel:
            self._channel.start()
            self.transport.write(self._channel.outgoing())
        else:
            self._ready = True
            self._flush()

    def _flush(self) -> None:
        octets = b"".join(self._unsent)
        self._unsent.clear()
        if self._channel and octets:
            self._channel.encrypt(octets)
            octets = self._channel.outgoing()
        self.transport.write(octets)

    def dataReceived(self, data: bytes) -> None:
        """Take in what the server says."""
        if self._reason:
            return
        if self._channel:
            data = self._decrypted(self._channel, data)
        buffer = self._buffer + data
        start = 0
        while not self._reason and len(buffer) >= start + 2:
            end = start + 2 + int.from_bytes(buffer[start : start + 2])
            if end < start + 2 + HEADER:
                self.abort("no DNS message")
            elif end <= len(buffer):
                self._message(buffer[start + 2 : end])
            else:
                break
            start = end
        self._buffer = buffer[start:]

    def _decrypted(self, channel: "Channel", data: bytes) -> bytes:
        try:
            data = channel.received(data)
        except ConnectionError as error:
            self._reason = str(error)
            self._trunk.refused(f"{self._over}: {error}", self._streams.clock())
            self._trunk.useless(self)
            self.transport.write(channel.outgoing())  # the same in a word of TLS
            self.transport.loseConnection()
            return b""
        self.transport.write(channel.outgoing())
        if channel.ready and not self._ready:
            self._ready = True
            self._stop_handshake()
            self._flush()
        return data

    def _message(self, message: bytes) -> None:
        now = self._streams.clock()
        query_id = message[:2]
        attempt, _ = self.pending.get(query_id, (None, False))
        if attempt is None:
            self._streams.counters.bad_replies[UNEXPECTED] += 1
            return
        self._heard = True
        self._heard_at = self._used_at = now
        if deliver(attempt, message, now, self._streams.counters):
            self.forget(query_id, attempt)

    def sweep(self, now: float) -> None:
        """Forget queries that have waited long enough; end when idle or dead."""
        old = [
            (query_id, attempt)
            for query_id, (attempt, _) in self.pending.items()
            if now - attempt.sent_at >= PATIENCE_S
        ]
        for query_id, attempt in old:
            self.forget(query_id, attempt)
        if any(self._heard_at <= attempt.sent_at for _, attempt in old):
            self.abort("no answer")
            return
        if not self.pending and (self._trunk.retired or now - self._used_at >= IDLE_S):
            if self._closing:  # for a second or more: the server does not read
                self.abort("idle")
            else:
                self._closing = True
                self._trunk.useless(self)
                self._connector.disconnect()

    def abort(self, reason: str) -> None:
        """End at once."""
        self._reason = self._reason or reason
        self._trunk.useless(self)
        if self._connector.state == "connected":
            self._connector.transport.abortConnection()
        else:
            self._connector.disconnect()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Part with what still waits."""
        self.ended(_text(reason))

    def ended(self, reason: str) -> None:
        """Send what still waits on another connection, or fail it."""
        self._stop_handshake()
        self._trunk.useless(self)
        self._streams.ended(self)
        now = self._streams.clock()
        while self.pending:
            query_id = next(iter(self.pending))
            attempt, again = self.pending.pop(query_id)
            self._part_with(attempt, f"{self._over}: {self._reason or reason}", now, again=again)

    def _part_with(self, attempt: Attempt, reason: str, now: float, *, again: bool) -> None:
        if self._heard and not again:
            try:
                self._trunk.send(attempt, now, again=True)
                return
            except OSError as error:
                reason = reason_of(error)
        fail(attempt, reason, now, self._streams.counters)

    def _stop_handshake(self) -> None:
        if self._handshake and self._handshake.active():
            self._handshake.cancel()


class _Call(ClientFactory):
    """The making of a connection."""

    noisy = False

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> Stream:
        return self._stream

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._stream.ended(_text(reason))


def _text(failure: Failure) -> str:
    match failure.value:
        case TimeoutError():
            return f"no connection within {CONNECT_S:.0f} s"
        case ConnectError(osError=int(number)):
            return os.strerror(number)
        case ConnectionDone():
            return "connection closed by the server"
        case ConnectionLost():
            return "connection reset by the server"
        case error:
            return str(error).rstrip(".")
