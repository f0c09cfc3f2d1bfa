"""
Sockets for an exchange: a fresh one for each attempt, all closed when it ends or is cancelled.

UDP sockets are connected: the kernel chooses a random source port, lets through only what comes
from the asked server, and reports an ICMP refusal at once (RFC 5452 section 9.2; RFC 1122 4.1.3.3).
"""

import errno
import os
import resource
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ClientFactory
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from kubedns.outside.exchange import (
    PATIENCE_S,
    Action,
    Answered,
    Exchange,
    GaveUp,
    Send,
)

_MAX_DATAGRAM = 4096  # more than we say we take; what is longer is cut, and so broken
_NO_LIMIT = 10_000  # sockets where the process has no limit; the exchanges in flight have theirs


class Dialer:
    """
    Carries exchanges through on sockets of the reactor.

    most: sockets at once; by default half of what the process may open, so that servers which are
    all silent leave enough for those who ask us. At the bound an attempt fails like a refused one.
    """

    def __init__(self, reactor: Any, most: int | None = None) -> None:
        self.reactor = reactor
        self._most = _half_of_all() if most is None else most
        self._open = 0

    async def converse(self, exchange: Exchange) -> Answered | GaveUp:
        """Carry an exchange through; when cancelled, end it."""
        lines = _Lines(exchange, self)
        try:
            lines.do(exchange.start(self.reactor.seconds()))
            return await lines.outcome
        finally:
            lines.close()

    def take(self) -> None:
        """
        Make room for one more socket; `give_back` when it is closed.

        Raises:
            OSError: EMFILE, as the kernel would say.
        """
        if self._open >= self._most:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self._open += 1

    def give_back(self) -> None:
        """Say that a socket is closed."""
        self._open -= 1


class _Lines:
    """The open sockets of an exchange, and its one timer."""

    def __init__(self, exchange: Exchange, dialer: Dialer) -> None:
        self.outcome: Deferred[Answered | GaveUp] = Deferred()
        self._exchange = exchange
        self._dialer = dialer
        self._reactor = dialer.reactor
        self._lines: dict[int, _Datagrams | _Stream] = {}
        self._timer: Any = None

    def do(self, actions: Sequence[Action]) -> None:
        """Do what the exchange wants done."""
        todo = deque(actions)
        while todo:
            match todo.popleft():
                case Send() as send:
                    try:
                        self._open(send)
                    except OSError as error:
                        now = self._reactor.seconds()
                        todo.extend(self._exchange.failed(send.number, _reason(error), now))
                case outcome:
                    self.close()
                    self.outcome.callback(outcome)
                    return
        self._set_timer()

    def close(self) -> None:
        """Close everything."""
        self._stop_timer()
        while self._lines:
            self._lines.popitem()[1].close()
            self._dialer.give_back()

    def _open(self, send: Send) -> None:
        number = send.number

        def heard(message: bytes) -> None:
            if number in self._lines:
                self.do(self._exchange.received(number, message, self._reactor.seconds()))

        def failed(reason: str) -> None:
            if self._lines.pop(number, None) is not None:
                self._dialer.give_back()
                self.do(self._exchange.failed(number, reason, self._reactor.seconds()))

        kind = _Stream if send.tcp else _Datagrams
        self._dialer.take()
        try:
            self._lines[number] = kind(send, self._reactor, heard, failed)
        except OSError:
            self._dialer.give_back()
            raise

    def _set_timer(self) -> None:
        self._stop_timer()
        delay = max(0.0, self._exchange.deadline - self._reactor.seconds())
        self._timer = self._reactor.callLater(delay, self._tick)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _tick(self) -> None:
        self._timer = None
        self.do(self._exchange.timed_out(self._reactor.seconds()))


@implementer(IReadDescriptor)
class _Datagrams:
    """
    A connected UDP socket with one query sent.

    Not the reactor's listenUDP, which binds before it connects: until then anybody's datagrams
    would be let in.
    """

    def __init__(
        self,
        send: Send,
        reactor: Any,
        heard: Callable[[bytes], None],
        failed: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._heard = heard
        self._failed = failed
        server = send.server
        family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect((server.address, server.port))
            self._socket.send(send.query)
        except OSError:
            self._socket.close()
            raise
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        return "outside"

    def doRead(self) -> None:
        try:
            message = self._socket.recv(_MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError as error:
            self.close()
            self._failed(_reason(error))
            return
        self._heard(message)

    def connectionLost(self, reason: Failure) -> None:
        # Some reactors read no socket that has an error, and leave it to us to find out which.
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.close()
        self._failed(os.strerror(number) if number else reason.getErrorMessage())

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self._socket.close()


class _Stream(ClientFactory):
    """A TCP connection with one query sent."""

    noisy = False

    def __init__(
        self,
        send: Send,
        reactor: Any,
        heard: Callable[[bytes], None],
        failed: Callable[[str], None],
    ) -> None:
        self.query = send.query
        self.heard = heard
        self._failed = failed
        server = send.server
        self._connector = reactor.connectTCP(server.address, server.port, self, timeout=PATIENCE_S)

    def buildProtocol(self, addr: object) -> "_Messages":
        return _Messages(self)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._failed(f"over TCP: {reason.getErrorMessage()}")

    def clientConnectionLost(self, connector: object, reason: Failure) -> None:
        self._failed(f"over TCP: {reason.getErrorMessage()}")

    def close(self) -> None:
        if self._connector.state == "connected":
            self._connector.transport.abortConnection()
        else:
            self._connector.disconnect()


class _Messages(Int16StringReceiver):
    """DNS messages over TCP (RFC 1035 4.2.2)."""

    transport: Any

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def connectionMade(self) -> None:
        self.transport.write(len(self._stream.query).to_bytes(2) + self._stream.query)

    def stringReceived(self, string: bytes) -> None:
        self._stream.heard(string)


def _half_of_all() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _NO_LIMIT if limit == resource.RLIM_INFINITY else limit // 2


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
