"""The operators' pages over HTTP: who gets them, how often, and what the other processes may do."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from kubedns.serve import http
from kubedns.serve.http import JSON, Page
from sidecar.access import TokenFile
from sidecar.ask import Asker
from sidecar.door import Door
from sidecar.operators import Neighbours, Operators
from sidecar.state import Neighbour, State

# The module is typed as the interface without its clock and sockets.
reactor: Any = installed
TOP = {
    "since": "2026-11-21T10:00:00Z", "seconds": 60.0, "transactions": 10, "sampled": 1,
    "clients": [{"client": "10.1.2.3", "queries": 10, "error": 0},
                {"client": "10.1.2.4", "queries": 3, "error": 1}],
    "names": [{"name": "web.prod.svc.cluster.local.", "type": "A", "queries": 9, "error": 0}],
    "rcodes": {"NOERROR": 9, "NXDOMAIN": 1}, "failing": [],
    "search_waste": {"queries": 1, "share": 0.1, "names": []},
}  # fmt: skip
PODS = {"pods": {"10.1.2.3": {"namespace": "prod", "name": "web-1"}, "10.1.2.4": None},
        "allowed": True, "problem": ""}  # fmt: skip
FINDINGS = {
    "findings": [
        {"id": "search-waste", "about": "corp.example.", "count": 3, "first": "a", "last": "b",
         "text": "so it is", "chapter": "search-domains"}
    ]
}  # fmt: skip
SUMMARY = {"held": 7, "bytes": 100, "sampled": 1, "burst": None}


def said(value: object) -> Callable[[Mapping[str, str]], Page]:
    """Return a page that always says the same."""
    return lambda _: Page(json.dumps(value), media_type=JSON)


class Reply:
    """What came: status, headers in lower case, body."""

    def __init__(self, octets: bytes) -> None:
        head, _, self.octets = octets.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (each.partition(":") for each in fields)
        }
        if self.headers.get("transfer-encoding") == "chunked":
            self.octets, self.whole = _dechunked(self.octets)

    @property
    def text(self) -> str:
        return self.octets.decode()

    @property
    def told(self) -> Any:
        return json.loads(self.octets)


def _dechunked(octets: bytes) -> tuple[bytes, bool]:
    body = b""
    while octets:
        size, _, octets = octets.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            return body, True
        body, octets = body + octets[:count], octets[count + 2 :]
    return body, False


class _Asking(Protocol):
    transport: Any

    def __init__(self, octets: bytes) -> None:
        self.got: Deferred[bytes] = Deferred()
        self._octets = octets
        self._heard = b""

    def connectionMade(self) -> None:
        self.transport.write(self._octets)

    def dataReceived(self, data: bytes) -> None:
        self._heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.got.callback(self._heard)


class Everybody:
    """Stands for the pages of app.py."""

    def __init__(self, name: str) -> None:
        self._name = name

    def render(self, request: Any) -> None:
        request.write(f"{self._name} {request.path.decode()}".encode())
        request.finish()


class OperatorsPages(TestCase):
    """Trial also reports sockets and timers that are left."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.asked: list[Mapping[str, str]] = []
        self.kubedns: dict[str, Any] = {
            "/explain": said({"ours": True, "rcode": "NXDOMAIN", "kind": "service"}),
            "/pods": said(PODS),
        }
        self.dnsmasq: dict[str, Any] = {
            "/explain": said({"rule": {"kind": "cluster", "domain": "cluster.local."}}),
            "/top": self._top, "/findings": said(FINDINGS), "/recorder": self._recorder,
        }  # fmt: skip
        self.state = State(began=0.0)
        self.folder = Path(tempfile.mkdtemp(dir=self.mktemp_folder()))
        (self.folder / "token").write_text("secret")

    def mktemp_folder(self) -> str:
        """Return a folder that goes away."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def _top(self, asked: Mapping[str, str]) -> Page:
        self.asked.append(asked)
        return Page(json.dumps(TOP), media_type=JSON)

    def _recorder(self, asked: Mapping[str, str]) -> Page:
        if asked.get("format") == "summary":
            return Page(json.dumps(SUMMARY), media_type=JSON)
        if asked.get("which") == "burst":
            return Page("no burst\n", 404)
        return Page(iter([f"{n:07}\n" * 8192 for n in range(100)]))

    def listen(self, factory: Any) -> int:
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        port: int = listening.getHost().port
        return port

    def site(self, pages: Mapping[str, Any]) -> int:
        return self.listen(
            http.site({path: http.with_query(page) for path, page in pages.items()}, reactor)
        )

    def open(self, *, loopback: bool = True, token: bool = False, dnsmasq: int = 0) -> int:
        """Open a door; return its port."""
        neighbours = Neighbours(
            ("127.0.0.1", self.site(self.kubedns)),
            ("127.0.0.1", dnsmasq or self.site(self.dnsmasq)),
        )
        pages = Operators(
            self.state, neighbours, ("127.0.0.1", 1), "",
            asker=Asker(reactor, reactor.seconds), reactor=reactor,
            clock=lambda: self.now, wall=lambda: self.now,
        )  # fmt: skip
        check = TokenFile(self.folder / "token").fits if token else None
        door = Door(
            Everybody("everybody"), Everybody("operators"), pages, loopback=loopback, check=check
        )
        return self.listen(http.resource_site(door, reactor))

    async def get(self, port: int, path: str, *headers: str, method: str = "GET") -> Reply:
        """Send a request and return what comes until the connection ends."""
        lines = (f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", "")
        asking = _Asking("\r\n".join(lines).encode())
        factory = Factory.forProtocol(lambda: asking)  # type: ignore[arg-type]
        factory.noisy = False
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        return Reply(await asking.got.addTimeout(60, reactor))

    async def test_a_part_of_the_configuration_that_is_not_taken(self) -> None:
        """The ConfigMap names a stub domain, but for a slip in it the forwarder knows of none."""
        bad = {"key": "stubDomains", "position": "", "reason": "not a domain name"}
        self.state.neighbours["dnsmasq"] = Neighbour(
            "dnsmasq", "127.0.0.1:1", 0.0, {"config": {"errors": [bad]}}, error=""
        )
        told = (await self.get(self.open(), "/explain?name=web.acme.local.")).told
        kept = "dnsmasq keeps its last good configuration of stubDomains: not a domain name"
        self.assertIn(kept, told["notes"])

    # Who

    async def test_without_a_token_file_there_are_no_such_pages(self) -> None:
        """On the port that everybody reaches; the others are there."""
        port = self.open(loopback=False)
        for path in ("/explain?name=web", "/top", "/findings", "/recorder", "/"):
            reply = await self.get(port, path, "Authorization: Bearer secret")
            self.assertEqual(reply.text, f"everybody {path.partition('?')[0]}")

    async def test_with_a_token_file(self) -> None:
        """401 without the token, which says how; with it the page."""
        port = self.open(loopback=False, token=True)
        for headers in ([], ["Authorization: Bearer wrong"], ["Authorization: Bearer secret"] * 2):
            reply = await self.get(port, "/top", *headers)
            self.assertEqual(reply.status, 401)
            self.assertEqual(reply.headers["www-authenticate"], 'Bearer realm="operators"')
        reply = await self.get(port, "/top", "Authorization: Bearer secret")
        self.assertEqual(reply.status, 200)
        for headers, who in (([], "everybody"), (["Authorization: Bearer secret"], "operators")):
            self.assertEqual((await self.get(port, "/", *headers)).text, f"{who} /")

    async def test_the_loopback_listener(self) -> None:
        """Whole, but not for pages of other sites."""
        port = self.open()
        self.assertEqual((await self.get(port, "/")).text, "operators /")
        self.assertEqual((await self.get(port, "/metrics")).text, "everybody /metrics")
        reply = await self.get(port, "/top", "Origin: https://evil.example")
        self.assertEqual((reply.status, reply.text), (403, "a page of another site asks\n"))
        reply = await self.get(port, "/top", "Host: evil.example")  # beside the right one
        self.assertEqual(reply.status, 403)
        self.assertNotIn("access-control-allow-origin", reply.headers)

    async def test_only_get(self) -> None:
        """Any other method is refused, HEAD has no body."""
        port = self.open()
        reply = await self.get(port, "/top", method="POST")
        self.assertEqual((reply.status, reply.headers["allow"]), (405, "GET, HEAD"))
        reply = await self.get(port, "/top", method="HEAD")
        self.assertEqual((reply.status, reply.octets), (200, b""))

    # What

    async def test_top_with_pods(self) -> None:
        """The forwarder's, with a pod beside each client; as text too."""
        port = self.open()
        reply = await self.get(port, "/top?n=50")
        self.assertEqual(self.asked[-1], {"n": "50"})
        self.assertEqual(
            [each["pod"] for each in reply.told["clients"]],
            [{"namespace": "prod", "name": "web-1"}, None],
        )
        self.assertEqual(reply.told["names"], TOP["names"])
        text = (await self.get(port, "/top?format=text")).text
        self.assertIn("          10  10.1.2.3  prod/web-1\n", text)

    async def test_findings(self) -> None:
        """The forwarder's; as text too."""
        port = self.open()
        self.assertEqual((await self.get(port, "/findings")).told, FINDINGS)
        text = (await self.get(port, "/findings?format=text")).text
        self.assertEqual(text, "search-waste corp.example.: 3 times, a to b\n  so it is\n")

    async def test_explain(self) -> None:
        """JSON, text, HTML; all with the headers that keep a browser from reading too much."""
        port = self.open()
        reply = await self.get(port, "/explain?name=web&from=prod&type=A")
        self.assertEqual(reply.told["client"]["namespace"], "prod")
        self.assertFalse(reply.told["verdict"]["good"])
        self.assertEqual([each["resolver"] for each in reply.told["walks"]], ["glibc", "musl"])
        self.assertEqual(reply.headers["cache-control"], "no-store")
        self.assertIn("default-src 'none'", reply.headers["content-security-policy"])
        text = await self.get(port, "/explain?name=web&format=text")
        self.assertIn("\nverdict  ", text.text)
        page = await self.get(port, "/explain?name=%3Cscript%3Ealert(1)%3C/script%3E&format=html")
        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        self.assertNotIn("<script>alert", page.text)
        form = await self.get(port, "/explain?format=html")
        self.assertEqual(form.status, 200)

    async def test_what_is_wrong_with_a_question(self) -> None:
        """400, and one line that names the parameter; in a page as well."""
        port = self.open()
        for path, line in (
            ("/explain", "name: what name? for example name=web.prod\n"),
            ("/explain?name=a&format=x", 'format: "x" is none of json, text, html\n'),
            ("/explain?name=a&" + "x=1&" * 30, "query string: more than 20 keys\n"),
            ("/explain?name=" + "a" * 5000, "query string: more than 4096 octets\n"),
            ("/explain?name=%ff", "query string: not UTF-8\n"),
            ("/top?n=0", 'n: "0" is no whole number from 1 to 100\n'),
            ("/top?format=html", 'format: "html" is neither json nor text\n'),
            ("/recorder?format=csv", 'format: "csv" is none of jsonl, pcap, summary\n'),
            ("/recorder?which=all", 'which: "all" is neither live nor burst\n'),
        ):
            reply = await self.get(port, path)
            self.assertEqual((reply.status, reply.text), (400, line))
        reply = await self.get(port, "/explain?name=a..b&format=html")
        self.assertEqual(reply.status, 400)
        self.assertIn("is no domain name", reply.text)

    async def test_too_many_questions(self) -> None:
        """429, and when to come again; another kind of page has its own limit."""
        port = self.open()
        path = "/explain?name=web.&type=A"
        statuses = [(await self.get(port, path)).status for _ in range(11)]
        self.assertEqual(statuses, [200] * 10 + [429])
        reply = await self.get(port, path)
        self.assertEqual(reply.headers["retry-after"], "1")
        self.assertEqual((await self.get(port, "/findings")).status, 200)
        self.now += 1.0
        self.assertEqual((await self.get(port, path)).status, 200)

    async def test_live_tries_are_rarer(self) -> None:
        """They reach out to servers of others."""
        port = self.open()
        path = "/explain?name=web.&type=A&try=1"
        statuses = [(await self.get(port, path)).status for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])

    # The recorder

    async def test_the_recorder_is_passed_on(self) -> None:
        """Six megabytes of it, piece by piece; as a file if it is pcap."""
        port = self.open()
        reply = await self.get(port, "/recorder")
        self.assertEqual(len(reply.octets), 100 * 8192 * 8)
        self.assertTrue(reply.whole)
        self.assertEqual(reply.headers["content-type"], "application/x-ndjson")
        reply = await self.get(port, "/recorder?format=pcap")
        self.assertEqual(
            reply.headers["content-disposition"], 'attachment; filename="dns-live.pcap"'
        )
        self.assertEqual((await self.get(port, "/recorder?format=summary")).told, SUMMARY)

    async def test_no_burst(self) -> None:
        """404, with a line."""
        reply = await self.get(self.open(), "/recorder?which=burst")
        self.assertEqual((reply.status, reply.text), (404, "there has been no burst\n"))

    async def test_one_reads_the_recorder_at_a_time(self) -> None:
        """Who comes meanwhile is told to come again; who goes away frees the place."""
        port = self.open()
        slow = _Slow()
        factory = Factory.forProtocol(lambda: slow)  # type: ignore[arg-type]
        factory.noisy = False
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        await slow.began.addTimeout(60, reactor)
        self.now += 60
        self.assertEqual((await self.get(port, "/recorder")).status, 429)
        slow.transport.abortConnection()
        for _ in range(500):
            self.now += 10
            reply = await self.get(port, "/recorder")
            if reply.status == 200:
                break
            await deferLater(reactor, 0.02, lambda: None)
        self.assertEqual(reply.status, 200)

    async def test_a_recorder_that_breaks_off(self) -> None:
        """The client sees that it is not whole."""

        class Breaks(Protocol):
            transport: Any

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                self.transport.loseConnection()

        factory = Factory.forProtocol(Breaks)
        factory.noisy = False
        reply = await self.get(self.open(dnsmasq=self.listen(factory)), "/recorder")
        self.assertEqual((reply.octets, reply.whole), (b"half", False))

    # Others away

    async def test_the_forwarder_is_away(self) -> None:
        """502, and why."""
        port = self.open(dnsmasq=1)
        for path in ("/top", "/findings", "/recorder?format=summary"):
            reply = await self.get(port, path)
            self.assertEqual(
                (reply.status, reply.text), (502, "the forwarder: connection refused\n")
            )
        self.assertEqual((await self.get(port, "/recorder")).status, 502)

    async def test_kubedns_does_not_tell_pods(self) -> None:
        """An older one, or not allowed: the lists are there all the same, with the reason."""
        del self.kubedns["/pods"]
        reply = await self.get(self.open(), "/top")
        self.assertEqual(
            reply.told["pods"], {"known": False, "problem": "kubedns: HTTP status 404"}
        )
        self.assertIsNone(reply.told["clients"][0]["pod"])

    async def test_pages_that_are_no_json(self) -> None:
        """502; no octet of them is passed on."""
        self.dnsmasq["/top"] = lambda _: Page("<script>")
        reply = await self.get(self.open(), "/top")
        self.assertEqual(
            (reply.status, reply.text), (502, "the forwarder: what it says is no JSON object\n")
        )

    async def test_what_the_status_page_shows(self) -> None:
        """It is read when the page is asked for, at most every two seconds."""
        port = self.open()
        for _ in range(3):
            await self.get(port, "/")
        seen = self.state.seen
        assert seen is not None
        assert seen.top is not None
        self.assertEqual(seen.top.clients[0].pod, ("prod", "web-1"))
        self.assertEqual((seen.findings[0].count, seen.recorder and seen.recorder.held), (3, 7))
        self.assertEqual(len(self.asked), 1)
        self.now += 3
        await self.get(port, "/?part=live")
        self.assertEqual(len(self.asked), 2)

    async def test_nothing_is_read_for_everybody_else(self) -> None:
        """The page without clients and names asks nobody."""
        await self.get(self.open(loopback=False, token=True), "/")
        self.assertIsNone(self.state.seen)


class _Slow(Protocol):
    """Asks for the recorder, and reads no more than its beginning."""

    transport: Any

    def __init__(self) -> None:
        self.began: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(b"GET /recorder HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()
        if not self.began.called:
            self.began.callback(None)
