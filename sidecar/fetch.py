"""
One HTTP page of a neighbour, as a whole or not at all.

HTTP/1.0: the connection ends with the page, so nothing is kept that could be stale, and nothing is
sent in chunks. Twisted's own client would cost a megabyte for what else it can do.
"""

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.python.failure import Failure

from sidecar.probe import where

MAX_OCTETS = 4 << 20


@dataclass(frozen=True, slots=True)
class Page:
    """body: of a reply with status 200. error: why there is none. refused: nobody listens."""

    body: bytes = b""
    error: str = ""
    refused: bool = False


class FetchError(Exception):
    """What came is no page."""


async def fetch(reactor: Any, address: tuple[str, int], path: str, patience_s: float) -> Page:
    """Get a page of a loopback address, and wait so long at most."""
    host, port = address
    getting = _Getting(f"GET {path} HTTP/1.0\r\nHost: {where(host, port)}\r\n\r\n".encode())
    connector = reactor.connectTCP(host, port, _Once(getting), timeout=patience_s)
    getting.got.addTimeout(patience_s, reactor)
    try:
        return Page(_body(await getting.got))
    except TimeoutError:
        return Page(error=f"no answer within {patience_s:g} s")
    except ConnectionRefusedError:
        return Page(error="connection refused", refused=True)
    except (ConnectError, FetchError) as error:
        return Page(error=str(error))
    finally:
        connector.disconnect()


def _body(octets: bytes) -> bytes:
    """Return the body of a whole reply; raises FetchError."""
    head, _, body = octets.partition(b"\r\n\r\n")
    first, *fields = head.decode("ascii", "replace").split("\r\n")
    words = first.split()
    if len(words) < 2 or not words[0].startswith("HTTP/"):
        raise FetchError("no HTTP server there")
    if words[1] != "200":
        raise FetchError(f"HTTP status {words[1][:3]}")
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length" and value.strip() != str(len(body)):
            raise FetchError("the page is cut short")
    return body


class _Getting(Protocol):
    transport: Any

    def __init__(self, request: bytes) -> None:
        self.got: Deferred[bytes] = Deferred()
        self._request = request
        self._octets = bytearray()

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > MAX_OCTETS:
            self.end(Failure(FetchError(f"more than {MAX_OCTETS} octets")))

    def connectionLost(self, reason: Any = None) -> None:
        if reason is not None and reason.check(ConnectionDone):
            self.end(bytes(self._octets))
        else:
            self.end(Failure(FetchError("the connection broke")))

    def end(self, outcome: bytes | Failure) -> None:
        """Be done, once."""
        got, self._octets = self.got, bytearray()
        if not got.called:
            got.errback(outcome) if isinstance(outcome, Failure) else got.callback(outcome)


class _Once(ClientFactory):
    """A factory of the one protocol; hears if the connection fails."""

    noisy = False

    def __init__(self, getting: _Getting) -> None:
        self._getting = getting

    def buildProtocol(self, addr: Any) -> _Getting:
        return self._getting

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._getting.end(reason)
