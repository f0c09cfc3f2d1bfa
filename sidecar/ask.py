"""
One question to one server over UDP, timed.

As the original asks: RD=1, no EDNS, a fresh socket for each question, no retry. The socket is
connected, so that only the asked address and port are heard, and a server that is not there is
told by ICMP at once. What is no reply to this question (another ID, another question, what cannot
be read) does not count; the wait goes on.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dns.message
import dns.rdataclass
import dns.rdatatype
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from kubedns.nameserver import ip_text
from sidecar.hostnames import HostNames
from sidecar.probe import where

_MAX_DATAGRAM = 65535
_EDNS_SIZE = 1232  # what passes everywhere


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What became of a question.

    reply: None: there was none, and error says why. took_s: until then. refused: nobody listens
    there.
    """

    reply: dns.message.Message | None
    took_s: float
    error: str = ""
    refused: bool = False


def query(
    qname: str, rtype: str, rclass: str = "IN", *, edns: bool = False
) -> dns.message.QueryMessage:
    """Build a query: RD=1, a random ID; no EDNS unless it is wanted."""
    return dns.message.make_query(
        qname,
        dns.rdatatype.from_text(rtype),
        dns.rdataclass.from_text(rclass),
        use_edns=edns,
        payload=_EDNS_SIZE,
    )


class Asker:
    """Asks. reactor: for UDP and timers. clock: monotonic seconds."""

    def __init__(self, reactor: Any, clock: Callable[[], float]) -> None:
        self._reactor = reactor
        self._clock = clock
        self._names = HostNames(reactor)

    async def ask(
        self, host: str, port: int, asked: dns.message.QueryMessage, patience_s: float
    ) -> Answer:
        """Ask a server, an IP address or a name, and wait so long at most, look-up included."""
        began = self._clock()
        server = where(host, port)
        asking = _Asking(asked, self._clock)
        work = Deferred.fromCoroutine(self._ask(host, port, asking))
        work.addTimeout(patience_s, self._reactor)
        try:
            reply = await work
        except TimeoutError:
            error = f"no reply from {server} within {patience_s:g} s{asking.junk()}"
            return Answer(None, self._clock() - began, error)
        except ConnectionRefusedError:
            error = f"connection refused by {server}"
            return Answer(None, self._clock() - began, error, refused=True)
        except OSError as failed:
            error = f"cannot ask {server}: {failed.strerror or failed}"
            return Answer(None, self._clock() - began, error)
        finally:
            asking.close()
        return Answer(reply, asking.at - began)

    async def _ask(self, host: str, port: int, asking: "_Asking") -> dns.message.Message:
        address = ip_text(host) or await self._names.address(host)
        asking.send(self._reactor, address, port)
        return await asking.replied


@implementer(IReadDescriptor)
class _Asking:
    """
    One question on its way. at: when its reply came, on the clock.

    A socket of its own instead of the reactor's listenUDP, which would bind before it connects, and
    in front of epoll takes an ICMP error for the end of a stream.
    """

    def __init__(self, asked: dns.message.QueryMessage, clock: Callable[[], float]) -> None:
        self.replied: Deferred[dns.message.Message] = Deferred()
        self.at = 0.0
        self._asked = asked
        self._clock = clock
        self._reactor: Any = None
        self._socket: socket.socket | None = None
        self._junk = 0
        self._why = ""

    def send(self, reactor: Any, address: str, port: int) -> None:
        """Connect and send; raises OSError for a network that is not there."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = made = socket.socket(family, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.connect((address, port))
        made.send(self._asked.to_wire())
        self._reactor = reactor
        reactor.addReader(self)

    def close(self) -> None:
        """Hear no more."""
        if self._reactor is not None:
            self._reactor.removeReader(self)
            self._reactor = None
        if self._socket is not None:
            self._socket.close()

    def junk(self) -> str:
        """Tell what came instead of a reply."""
        return f", but {self._junk} messages that do not count: {self._why}" if self._junk else ""

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        return "ask"

    def doRead(self) -> None:
        assert self._socket is not None
        try:
            self._heard(self._socket.recv(_MAX_DATAGRAM))
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(error)

    def connectionLost(self, reason: Failure) -> None:
        # The reactor reads no socket that has an error, and leaves it to us to find out which.
        assert self._socket is not None
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._failed(OSError(number, os.strerror(number)))  # of the class for the number

    def _failed(self, error: OSError) -> None:
        self.close()
        if not self.replied.called:
            self.replied.errback(error)

    def _heard(self, datagram: bytes) -> None:
        at = self._clock()
        try:
            reply = dns.message.from_wire(datagram, ignore_trailing=True)
        except Exception as error:  # dnspython's own, and what broken octets lead it into
            self._does_not_count(f"not a DNS message ({type(error).__name__})")
            return
        if not self._asked.is_response(reply):
            self._does_not_count("not a reply to this question")
        elif not self.replied.called:
            self.at = at
            self.replied.callback(reply)

    def _does_not_count(self, why: str) -> None:
        self._junk += 1
        self._why = why
