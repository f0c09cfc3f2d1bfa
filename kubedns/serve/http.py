"""
HTTP pages for probes, Prometheus and people: GET only, nothing kept between requests.

A page is a function that gives status, media type and text, now or later, or text in pieces for
what is large: these are made as the client reads them. Request bodies are not kept, a connection
serves one request, and connections are bounded: the one that has been open for longest gives way,
else who only connects could shut out the kubelet.

Query strings are passed over, but for the pages that `with_query` marks: these are called with the
keys and values, or not at all (400) when the string is too long or odd.

Of Twisted's web server only the protocol is used: its sites and resources would bring templates,
URLs and Perspective Broker with them, 47 modules and 2 MB in every process.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, HTTPFactory, Request, datetimeToString
from zope.interface import implementer

log = Logger()

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
_TIMEOUT_S = 10
_MAX_CONNECTIONS = 128  # of one port
_MAX_LARGE = 2  # pages in pieces at the same time
_MAX_QUERY = 4096  # octets of a query string
_MAX_KEYS = 20


@dataclass(frozen=True, slots=True)
class Page:
    """What a request gets."""

    body: str | bytes | Iterator[str] | Iterator[bytes]
    status: int = 200
    media_type: str = PLAIN


@dataclass(frozen=True, slots=True)
class Asking:
    """A page that wants the query string; see `with_query`."""

    make: Callable[[Mapping[str, str]], "Page | Deferred[Page]"]

    def __call__(self) -> "Page | Deferred[Page]":
        """Make the page as for a request without a query string."""
        return self.make({})


Pages = Mapping[str, "Callable[[], Page | Deferred[Page]] | Asking"]


def with_query(function: Callable[[Mapping[str, str]], "Page | Deferred[Page]"]) -> Asking:
    """
    Return a page, for `Pages`, that is called with the query string.

    It gets the decoded keys with the first value of each, `""` for a key without value: at most 20
    keys of a string of at most 4096 octets, in UTF-8; any other request is a 400 of one line.
    """
    return Asking(function)


def bad_request(reason: str) -> Page:
    """Return what a request with a wrong parameter gets; reason: one line that names it."""
    line = " ".join(reason.split()).encode("unicode_escape").decode("ascii")
    return Page(f"{line[:300]}\n", 400)


class Renders(Protocol):
    """Writes the reply to a request, now or later, and finishes it."""

    def render(self, request: Any) -> object: ...


def site(pages: Pages, reactor: Any) -> HTTPFactory:
    """Return what serves pages by their path; any other path is 404, any other method 405."""
    return resource_site(_Pages(pages), reactor)


def resource_site(resource: Renders, reactor: Any) -> HTTPFactory:
    """Return what serves anything that renders requests, within the bounds of this module."""
    return _Site(resource, reactor)


class _Channel(HTTPChannel):
    """
    A connection, for one request.

    Twisted would answer all requests of one read in one turn of the reactor: a client that sends
    a thousand at a time and reads nothing would have all the CPU and as much memory as it likes.
    """

    factory: "_Site"

    def makeConnection(self, transport: Any) -> None:
        self.requestFactory = _Request
        super().makeConnection(transport)
        self.factory.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.closed(self)
        super().connectionLost(reason)

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False


class _Site(HTTPFactory):
    noisy = False
    protocol: Any = _Channel

    def __init__(self, resource: Renders, reactor: Any) -> None:
        super().__init__(timeout=_TIMEOUT_S, reactor=reactor)
        self.resource = resource
        self._open: dict[_Channel, None] = {}  # oldest first

    def opened(self, channel: _Channel) -> None:
        """Take in one more connection; when there are too many, the oldest one gives way."""
        if len(self._open) >= _MAX_CONNECTIONS:
            oldest: Any = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abortConnection()
        self._open[channel] = None

    def closed(self, channel: _Channel) -> None:
        """Forget a connection."""
        self._open.pop(channel, None)

    def log(self, request: Any) -> None:
        """Write no line for a request."""


class _Request(Request):
    """A request whose body, if any, is read and forgotten: Twisted would put it into a file."""

    def gotLength(self, length: int | None) -> None:
        self.content = io.BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        pass

    def process(self) -> None:
        channel: Any = self.channel
        channel.factory.resource.render(self)


class _Pages:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._writing = 0

    def _written(self, _: object) -> None:
        self._writing -= 1

    def render(self, request: Any) -> None:
        page = self._page(request)
        if isinstance(page, Page):
            self._write(request, page)
            return
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        page.addErrback(_failed, request)
        page.addCallback(lambda made: None if gone else self._write(request, made))

    def _write(self, request: Any, page: Page) -> None:
        request.setResponseCode(page.status)
        request.setHeader("Date", datetimeToString())
        request.setHeader("Content-Type", page.media_type)
        request.setHeader("Cache-Control", "no-store")
        body = page.body
        if isinstance(body, Iterator):
            if self._writing < _MAX_LARGE:
                self._writing += 1
                request.notifyFinish().addBoth(self._written)
                request.registerProducer(_Pieces(request, body), False)
                return
            request.setResponseCode(503)
            body = "somebody else is reading this already\n"
        octets = body.encode() if isinstance(body, str) else body
        request.setHeader("Content-Length", str(len(octets)))
        request.write(octets)
        request.finish()

    def _page(self, request: Any) -> "Page | Deferred[Page]":
        if request.method not in (b"GET", b"HEAD"):
            return Page("only GET\n", 405)
        make = self._pages.get(request.path.decode("ascii", "replace"))
        if make is None:
            return Page("404 page not found\n", 404)
        try:
            if isinstance(make, Asking):
                asked = asked_of(request.uri)
                return asked if isinstance(asked, Page) else make.make(asked)
            return make()
        except Exception:
            return _failed(Failure(), request)


def asked_of(uri: bytes) -> dict[str, str] | Page:
    """Return the first value of each key of a request's query string, or what is wrong with it."""
    query = uri.partition(b"?")[2]
    if len(query) > _MAX_QUERY:
        return bad_request(f"query string: more than {_MAX_QUERY} octets")
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_KEYS,
        )
    except UnicodeDecodeError:
        return bad_request("query string: not UTF-8")
    except ValueError:
        return bad_request(f"query string: more than {_MAX_KEYS} keys")
    return dict(reversed(pairs))


def _failed(failure: Failure, request: Any) -> Page:
    log.failure("while making the page {path}", failure, path=request.path)
    return Page("internal error, see the log\n", 500)


@implementer(IPullProducer)
class _Pieces:
    """Writes the next piece when the client has read the last one."""

    def __init__(self, request: Any, body: Iterator[str] | Iterator[bytes]) -> None:
        self._request = request
        self._body = body
        self._ended = False
        request.notifyFinish().addBoth(self._gone)

    def _gone(self, _: object) -> None:
        self._ended = True

    def resumeProducing(self) -> None:
        if self._ended:  # asked once more for a connection that is not there
            return
        try:
            piece = next(self._body, None)
        except Exception:
            log.failure("while making a large page")
            self._ended = True
            self._request.loseConnection()
            return
        if piece is not None:
            self._request.write(piece if isinstance(piece, bytes) else piece.encode())
        else:
            self._ended = True
            self._request.unregisterProducer()
            self._request.finish()

    def stopProducing(self) -> None:
        self._ended = True
