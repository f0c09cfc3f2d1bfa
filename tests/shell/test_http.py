"""The HTTP side: what any pod may send to it must not cost anything."""

from collections.abc import Iterator, Mapping

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyChannel

from kubedns.serve import http

PEER = IPv4Address("TCP", "127.0.0.1", 40000)


class Client:
    """One connection to a site, without sockets."""

    def __init__(self, site: object) -> None:
        self.transport = StringTransport()
        self.channel = site.buildProtocol(PEER)  # type: ignore[attr-defined]
        assert self.channel is not None, "refused"
        self.channel.makeConnection(self.transport)

    def sends(self, *lines: str, body: bytes = b"") -> bytes:
        self.channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        return self.transport.value()


def _get(site: object, path: str) -> bytes:
    return Client(site).sends(f"GET {path} HTTP/1.0")


def test_pages_are_found_by_path_and_only_read() -> None:
    """404 for any other path, 405 for any other method."""
    site = http.site({"/readiness": lambda: http.Page("ok\n")}, Clock())
    assert _get(site, "/readiness").startswith(b"HTTP/1.0 200")
    assert _get(site, "/readiness").endswith(b"\r\n\r\nok\n")
    assert _get(site, "/readiness?verbose").startswith(b"HTTP/1.0 200")
    assert _get(site, "/").startswith(b"HTTP/1.0 404")
    refused = Client(site).sends("DELETE /readiness HTTP/1.0")
    assert refused.startswith(b"HTTP/1.0 405")


def test_a_page_with_a_fault_is_a_500() -> None:
    """And its traceback is for the log alone."""

    def broken() -> http.Page:
        raise ValueError("secret")

    reply = _get(http.site({"/x": broken}, Clock()), "/x")
    assert reply.startswith(b"HTTP/1.0 500")
    assert b"secret" not in reply


def test_a_body_is_not_kept() -> None:
    """Twisted would write it into a file: any pod could fill the node's disk."""
    request = http._Request(DummyChannel(), False)
    request.gotLength(1_000_000_000)
    request.handleContentChunk(b"x" * 200_000)
    assert request.content.getvalue() == b""


def test_connections_are_bounded() -> None:
    """One more is served, and the one that has been open for longest gives way."""
    site = http.site({"/healthz": lambda: http.Page("ok\n")}, Clock())
    clients = [Client(site) for _ in range(128)]
    clients[0].channel.connectionLost(Failure(ConnectionDone()))
    assert _get(site, "/healthz").endswith(b"ok\n")
    assert not any(client.transport.disconnected for client in clients)
    assert _get(site, "/healthz").endswith(b"ok\n")
    assert [client.transport.disconnected for client in clients[:3]] == [False, True, False]
    for client in clients:
        client.channel.connectionLost(Failure(ConnectionDone()))


def test_a_connection_serves_one_request() -> None:
    """Whoever sends a thousand at once and reads nothing does not keep others waiting."""
    made = []
    site = http.site({"/x": lambda: made.append(1) or http.Page("x" * 1000)}, Clock())
    client = Client(site)
    client.channel.dataReceived(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
    assert len(made) == 1
    assert client.transport.value().count(b"HTTP/1.1 200") == 1
    assert b"Connection: close\r\n" in client.transport.value()
    assert client.transport.disconnecting


def _echo(asked: Mapping[str, str]) -> http.Page:
    return http.Page(" ".join(f"{key}={value}" for key, value in sorted(asked.items())))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", b""),
        ("?", b""),
        ("?name=a.b.&type=AAAA", b"name=a.b. type=AAAA"),
        ("?name=first&name=second", b"name=first"),
        ("?name=a%5c.b%20c+d", b"name=a\\.b c d"),
        ("?pods", b"pods="),
        ("?name=%c3%a4", b"name=\xc3\xa4"),
        ("?a=1?b", b"a=1?b"),
    ],
)
def test_a_page_may_want_the_query_string(query: str, told: bytes) -> None:
    """Decoded, and of each key the first value."""
    reply = _get(http.site({"/x": http.with_query(_echo)}, Clock()), f"/x{query}")
    assert reply.startswith(b"HTTP/1.0 200")
    assert reply.partition(b"\r\n\r\n")[2] == told


@pytest.mark.parametrize(
    "query",
    ["name=" + "x" * 4096, "&".join(f"k{i}=1" for i in range(21)), "name=%ff%fe"],
)
def test_an_odd_query_string_is_a_400(query: str) -> None:
    """One line says why, and the page is not asked."""
    asked: list[Mapping[str, str]] = []
    page = http.with_query(lambda each: asked.append(each) or http.Page(""))
    client = Client(http.site({"/x": page}, Clock()))
    reply = client.sends(f"GET /x?{query} HTTP/1.0")
    assert reply.startswith(b"HTTP/1.0 400")
    assert reply.partition(b"\r\n\r\n")[2].startswith(b"query string: ")
    assert reply.count(b"\n", reply.index(b"\r\n\r\n") + 4) == 1
    assert not asked


def test_a_query_string_is_passed_over_by_pages_that_want_none() -> None:
    """However odd it is: a probe with one is still a probe."""
    site = http.site({"/healthz": lambda: http.Page("ok\n")}, Clock())
    assert _get(site, "/healthz?" + "&" * 100 + "%ff").startswith(b"HTTP/1.0 200")


def test_a_page_with_a_query_may_come_later() -> None:
    """As any other page may."""
    later: Deferred[http.Page] = Deferred()
    site = http.site({"/x": http.with_query(lambda asked: later)}, Clock())
    client = Client(site)
    assert client.sends("GET /x?a=1 HTTP/1.0") == b""
    later.callback(http.Page("there\n"))
    assert client.transport.value().endswith(b"there\n")


class Reader:
    """A request whose client reads when the test says so."""

    method, path = b"GET", b"/cache"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.status = 0
        self.producer: http._Pieces | None = None
        self.finished: list[Deferred[None]] = []

    def setResponseCode(self, status: int) -> None:
        self.status = status

    def setHeader(self, name: str, value: str) -> None: ...

    def notifyFinish(self) -> "Deferred[None]":
        self.finished.append(Deferred())
        return self.finished[-1]

    def registerProducer(self, producer: "http._Pieces", streaming: bool) -> None:
        assert not streaming, "it writes when it is asked to"
        self.producer = producer

    def write(self, octets: bytes) -> None:
        self.calls.append("write")

    def unregisterProducer(self) -> None:
        self.calls.append("unregister")

    def finish(self) -> None:
        self.calls.append("finish")
        self.gone()

    def loseConnection(self) -> None:
        self.calls.append("close")
        self.gone()

    def gone(self) -> None:
        waiting, self.finished = self.finished, []
        for each in waiting:
            each.callback(None)

    def reads(self) -> list[str]:
        """Let the client read on; return what was done for that."""
        self.calls.clear()
        assert self.producer is not None
        self.producer.resumeProducing()
        return self.calls.copy()


def _pages(*bodies: Iterator[str]) -> http._Pages:
    rest = iter(bodies)
    return http._Pages({"/cache": lambda: http.Page(next(rest))})


def test_a_large_page_is_made_as_it_is_read() -> None:
    """A client that does not read must not fill our memory."""
    made = []

    def pieces() -> Iterator[str]:
        for number in range(2):
            made.append(number)
            yield "x"

    reader = Reader()
    _pages(pieces()).render(reader)
    assert not made
    assert [reader.reads() for _ in range(4)] == [
        ["write"],
        ["write"],
        ["unregister", "finish"],
        [],
    ]


def test_a_large_page_that_breaks_ends_the_connection() -> None:
    """It must not hang for ever, half-written."""

    def pieces() -> Iterator[str]:
        yield "half"
        raise ValueError

    reader = Reader()
    _pages(pieces()).render(reader)
    assert [reader.reads() for _ in range(3)] == [["write"], ["close"], []]


def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    """It may be asked for once more all the same."""
    reader = Reader()
    _pages(iter("xyz")).render(reader)
    assert reader.reads() == ["write"]
    reader.gone()
    assert reader.reads() == []


def test_large_pages_are_few_at_a_time() -> None:
    """The third reader is told to come back; when another one has gone, it is welcome."""
    pages = _pages(*(iter("x") for _ in range(9)))
    readers = [Reader() for _ in range(4)]
    for reader in readers[:3]:
        pages.render(reader)
    assert [reader.status for reader in readers[:3]] == [200, 200, 503]
    readers[0].gone()
    pages.render(readers[3])
    assert readers[3].status == 200


def _replied(method: str) -> tuple[list[bytes], bytes]:
    """Ask for a page over HTTP/1.1; return the lines of the head, and the body."""
    site = http.site({"/x": lambda: http.Page("small\n")}, Clock())
    head, _, body = Client(site).sends(f"{method} /x HTTP/1.1", "Host: pod").partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def test_a_client_knows_where_a_page_ends() -> None:
    """By its length, so that the connection can be kept for the next one."""
    head, body = _replied("GET")
    assert head[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Length: 6" in head
    assert b"Cache-Control: no-store" in head
    assert any(line.startswith(b"Date: ") for line in head)
    assert body == b"small\n"


def test_head_is_get_without_a_body() -> None:
    """Monitors ask so whether a page is there."""
    head, body = _replied("HEAD")
    assert head[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Length: 6" in head
    assert body == b""
