"""
A large page of a neighbour, passed on as it comes and as fast as the client reads.

Nothing of it is kept: the client's pace holds up the neighbour, and a client that goes away ends
the neighbour's connection. A page that breaks off breaks off for the client too.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

from sidecar.probe import where

_MAX_HEAD = 16 << 10
_SILENCE_S = 10.0  # between two pieces, while the client reads
_WHOLE_S = 120.0  # a client that reads nothing does not keep others out for longer

Begin = Callable[[int], bool]
"""Hears the status; tells whether the body is wanted."""


def relay(
    reactor: Any, address: tuple[str, int], path: str, request: Any, begin: Begin
) -> "Deferred[str]":
    """
    Pass a page on to `request`, after `begin` has written the head.

    Returns why not even a head came, or empty: then the body has been passed on, or as much of it
    as there was, and the request is finished. Nothing is written to the request in the first case,
    nor if begin did not want the body.
    """
    host, port = address
    asked = f"GET {path} HTTP/1.0\r\nHost: {where(host, port)}\r\n\r\n".encode()
    relaying = _Relaying(reactor, asked, request, begin)
    connector = reactor.connectTCP(host, port, _Once(relaying), timeout=_SILENCE_S)

    def gone(_: object) -> None:
        relaying.gone = True
        connector.disconnect()

    request.notifyFinish().addErrback(gone)
    return relaying.done


class _Relaying(Protocol):
    transport: Any

    def __init__(self, reactor: Any, asked: bytes, request: Any, begin: Begin) -> None:
        self.done: Deferred[str] = Deferred()
        self.gone = False  # the client is
        self._reactor = reactor
        self._asked = asked
        self._request = request
        self._begin = begin
        self._head: bytearray | None = bytearray()  # None: it is over
        self._length: int | None = None
        self._timer: Any = None
        self._last: Any = None
        self._paused = False

    def connectionMade(self) -> None:
        self._timer = self._reactor.callLater(_SILENCE_S, self._silent)
        self._last = self._reactor.callLater(_WHOLE_S, self.transport.abortConnection)
        self.transport.write(self._asked)

    def _silent(self) -> None:
        if self._paused:  # the client does not read: it is not the neighbour's fault
            self._timer = self._reactor.callLater(_SILENCE_S, self._silent)
        else:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self._timer.reset(_SILENCE_S)
        if self._head is None:
            self._pass_on(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            octets = bytes(self._head)
            self._head = None
            self._begun(octets[:end], octets[end + 4 :])
        elif len(self._head) > _MAX_HEAD:
            self.transport.abortConnection()

    def _begun(self, head: bytes, body: bytes) -> None:
        first, *fields = head.decode("ascii", "replace").split("\r\n")
        words = first.split()
        status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
        for each in fields:
            name, _, value = each.partition(":")
            if name.lower() == "content-length" and value.strip().isdecimal():
                self._length = int(value)
        if self.gone or not self._begin(status):
            self._end("")
            self.transport.abortConnection()
            return
        self._request.registerProducer(self, True)
        self._pass_on(body)

    def _pass_on(self, data: bytes) -> None:
        if self.gone or self.done.called:
            return
        if self._length is not None:
            self._length -= len(data)
        if data:
            self._request.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        for timer in (self._timer, self._last):
            if timer is not None and timer.active():
                timer.cancel()
        if self.done.called:
            return
        if self._head is not None:
            self._end("it broke the connection")
            return
        whole = reason is not None and reason.check(ConnectionDone) and not self._length
        if not self.gone:
            self._request.unregisterProducer()
            if whole:
                self._request.finish()
            else:
                self._request.loseConnection()
        self._end("")

    def _end(self, why: str) -> None:
        if not self.done.called:
            self.done.callback(why)

    def failed(self, why: str) -> None:
        """Hear that there is no connection."""
        self._end(why)

    # What the client's connection wants, as for any producer of Twisted

    def pauseProducing(self) -> None:
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.gone = True
        self.transport.abortConnection()


class _Once(ClientFactory):
    noisy = False

    def __init__(self, relaying: _Relaying) -> None:
        self._relaying = relaying

    def buildProtocol(self, addr: Any) -> _Relaying:
        return self._relaying

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._relaying.failed(reason.getErrorMessage())
