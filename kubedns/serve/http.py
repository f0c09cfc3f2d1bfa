"""
HTTP pages for probes, Prometheus and people: GET only, nothing kept between requests.

A page is a function that gives status, media type and text, or text in pieces for what is large:
these are made as the client reads them. Request bodies are not kept, and connections are bounded.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

log = Logger()

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
_TIMEOUT_S = 10
_MAX_CONNECTIONS = 128  # of one port
_MAX_LARGE = 2  # pages in pieces at the same time


@dataclass(frozen=True, slots=True)
class Page:
    """What a request gets."""

    body: str | bytes | Iterator[str]
    status: int = 200
    media_type: str = PLAIN


Pages = Mapping[str, Callable[[], Page]]


def site(pages: Pages, reactor: Any) -> Site:
    """Return what serves pages by their path; any other path is 404, any other method 405."""
    made = _Site(_Pages(pages), requestFactory=_Request, timeout=_TIMEOUT_S, reactor=reactor)
    made.displayTracebacks = False
    return made


class _Site(Site):
    noisy = False
    _open = 0

    def buildProtocol(self, addr: Any) -> Any:
        if self._open >= _MAX_CONNECTIONS:
            return None
        channel = super().buildProtocol(addr)
        self._open += 1
        lost = channel.connectionLost

        def connectionLost(reason: Any) -> None:
            self._open -= 1
            lost(reason)

        channel.connectionLost = connectionLost
        return channel

    def log(self, request: Any) -> None:
        """Write no line for a request."""


class _Request(Request):
    """A request whose body, if any, is read and forgotten: Twisted would put it into a file."""

    def gotLength(self, length: int | None) -> None:
        self.content = io.BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        pass


@implementer(IResource)
class _Pages:
    isLeaf = True
    server = None

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._writing = 0

    def _written(self, _: object) -> None:
        self._writing -= 1

    def getChildWithDefault(self, name: bytes, request: Request) -> Any:
        return self

    def putChild(self, path: bytes, child: Any) -> None:
        raise NotImplementedError

    def render(self, request: Any) -> Any:
        page = self._page(request)
        request.setResponseCode(page.status)
        request.setHeader("Content-Type", page.media_type)
        request.setHeader("Cache-Control", "no-store")
        if isinstance(page.body, Iterator):
            if self._writing >= _MAX_LARGE:
                request.setResponseCode(503)
                return b"somebody else is reading this already\n"
            self._writing += 1
            request.notifyFinish().addBoth(self._written)
            request.registerProducer(_Pieces(request, page.body), False)
            return NOT_DONE_YET
        return page.body.encode() if isinstance(page.body, str) else page.body

    def _page(self, request: Any) -> Page:
        if request.method not in (b"GET", b"HEAD"):
            return Page("only GET\n", 405)
        make = self._pages.get(request.path.decode("ascii", "replace"))
        if make is None:
            return Page("404 page not found\n", 404)
        try:
            return make()
        except Exception:
            log.failure("while making the page {path}", path=request.path)
            return Page("internal error, see the log\n", 500)


@implementer(IPullProducer)
class _Pieces:
    """Writes the next piece when the client has read the last one."""

    def __init__(self, request: Any, body: Iterator[str]) -> None:
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
            self._request.write(piece.encode())
        else:
            self._ended = True
            self._request.unregisterProducer()
            self._request.finish()

    def stopProducing(self) -> None:
        self._ended = True
