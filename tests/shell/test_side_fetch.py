"""Pages of a neighbour that hangs, floods, cuts, is frozen, or is something else."""

import json
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from kubedns.serve import http
from sidecar import fetch, shapes
from sidecar.fetch import Page
from sidecar.neighbours import Reader
from sidecar.state import Neighbour
from tests.sidepages import KUBEDNS_PAGE

# The module is typed as the interface without its clock and sockets.
reactor: Any = installed
SHORT_S = 0.3
LONG_S = 20.0


class Speaker(Protocol):
    """Says something to whoever connects, and closes the connection or does not."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        self.factory.asked.append(data)  # type: ignore[union-attr]
        self.transport.write(self.factory.said)  # type: ignore[union-attr]
        if self.factory.closes:  # type: ignore[union-attr]
            self.transport.loseConnection()


class Pages(TestCase):
    """Trial also reports sockets and timers that are left."""

    def speak(self, said: bytes, *, closes: bool = True) -> int:
        factory = Factory.forProtocol(Speaker)
        factory.said, factory.closes, factory.asked = said, closes, []
        self.asked = factory.asked
        return self.listen(factory)

    def listen(self, factory: Any) -> int:
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        port: int = listening.getHost().port
        return port

    def fetch(self, port: int, patience_s: float = LONG_S) -> "Deferred[Page]":
        return Deferred.fromCoroutine(
            fetch.fetch(reactor, ("127.0.0.1", port), "/status", patience_s)
        )

    async def test_a_page_of_ours(self) -> None:
        """As our own HTTP server writes it; in pieces too."""
        site = http.site({"/status": lambda: http.Page(iter(["a", "b" * 100_000]))}, reactor)
        found = await self.fetch(self.listen(site))
        self.assertEqual(found, Page(b"a" + b"b" * 100_000))

    async def test_what_is_asked(self) -> None:
        """HTTP/1.0: the end of the connection is the end of the page."""
        port = self.speak(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.assertEqual(await self.fetch(port), Page(b"ok"))
        self.assertEqual(self.asked, [b"GET /status HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % port])

    async def test_not_a_page(self) -> None:
        """Each with its reason."""
        for said, error in (
            (b"", "no HTTP server there"),
            (b"SSH-2.0-x\r\n", "no HTTP server there"),
            (b"HTTP/1.1", "no HTTP server there"),
            (b"\xff" * 1000, "no HTTP server there"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP status 404"),
            (b"HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n", "HTTP status 301"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "the page is cut short"),
        ):
            found = await self.fetch(self.speak(said))
            self.assertEqual(found, Page(error=error))

    async def test_a_page_without_an_end(self) -> None:
        """Four mebibytes are enough."""
        port = self.speak(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(5 << 20), closes=False)
        found = await self.fetch(port)
        self.assertEqual(found.error, f"more than {fetch.MAX_OCTETS} octets")

    async def test_a_frozen_neighbour(self) -> None:
        """It takes the connection and says nothing, or half of a page."""
        for said in (b"", b"HTTP/1.1 200 OK\r\n\r\n{"):
            found = await self.fetch(self.speak(said, closes=False), SHORT_S)
            self.assertEqual(found, Page(error="no answer within 0.3 s"))

    async def test_nobody_listens(self) -> None:
        """Known at once, and told apart from the rest."""
        listening = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        port = listening.getHost().port
        await listening.stopListening()
        found = await self.fetch(port)
        self.assertEqual(found, Page(error="connection refused", refused=True))


class Neighbours(Pages):
    """What is known of a neighbour over time."""

    def setUp(self) -> None:
        self.found: list[Neighbour] = []

    def reader(self, port: int | None) -> Reader:
        made = Reader(
            "kubedns",
            None if port is None else ("127.0.0.1", port),
            shapes.KUBEDNS,
            self.found.append,
            reactor=reactor,
            clock=reactor.seconds,
            wall=reactor.seconds,
            metrics=True,
        )
        made.start()
        self.addCleanup(made.stop)
        return made

    async def until(self, count: int) -> Neighbour:
        while len(self.found) < count:
            await deferLater(reactor, 0.01, lambda: None)
        return self.found[count - 1]

    async def test_a_neighbour_of_ours(self) -> None:
        """Its status and its metrics; later, what was known last and why there is nothing new."""
        pages = {
            "/status": lambda: http.Page(json.dumps(KUBEDNS_PAGE), media_type=http.JSON),
            "/metrics": lambda: http.Page("x 1.0\n"),
        }
        listening = reactor.listenTCP(0, http.site(pages, reactor), interface="127.0.0.1")
        self.reader(listening.getHost().port)
        found = await self.until(1)
        self.assertEqual((found.error, found.metrics), ("", "x 1.0\n"))
        self.assertEqual(found.status, KUBEDNS_PAGE)
        await listening.stopListening()
        gone = await self.until(2)
        while not gone.error:
            gone = await self.until(len(self.found) + 1)
        self.assertEqual((gone.error, gone.refused), ("connection refused", True))
        self.assertEqual((gone.status, gone.at, gone.metrics), (KUBEDNS_PAGE, found.at, ""))
        self.assertGreater(gone.since, found.since)

    async def test_something_else_has_its_port(self) -> None:
        """Nothing is known, and why."""
        self.reader(self.speak(b'HTTP/1.1 200 OK\r\n\r\n{"version": 2}'))
        found = await self.until(1)
        self.assertIsNone(found.status)
        self.assertEqual(found.error, "its /status is not that of a program of ours")

    def test_a_page_that_is_not_to_be_read(self) -> None:
        """Nothing is asked, and nothing is waited for."""
        made = self.reader(None)
        self.assertEqual(made.neighbour.error, "not read: it is switched off")
