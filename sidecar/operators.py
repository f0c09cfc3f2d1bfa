"""
The pages for operators: why a name does not resolve, who asks for what, what was recorded.

/explain    ?name=&type=&from=&search=&ndots=&try=&format=json|text|html[&part=1]
/top        ?n=&format=json|text          the forwarder's, with the pods of its clients
/findings   ?format=json|text             the forwarder's
/recorder   ?format=jsonl|pcap|summary&which=live|burst     the forwarder's, passed on

They wait for the other processes, so they run in the reactor's thread and not in Flask's. Who may
see them is decided by door.py. Each kind of page has its own limit of how often it is made.
"""

import json
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger

from kubedns.nameserver import quote
from kubedns.serve.http import Page as Refused
from kubedns.serve.http import asked_of
from sidecar import page, verdict
from sidecar.access import Bucket
from sidecar.asking import Asks
from sidecar.explain import lines, request, seen, written
from sidecar.explain.inquiry import Around, Inquiry
from sidecar.explain.request import RequestError
from sidecar.explain.resolv import node_search
from sidecar.explain.shapes import Explanation, Seen, Top
from sidecar.fetch import Page, fetch
from sidecar.relay import relay
from sidecar.replies import HTML, JSON, PLAIN, Reply, head, write
from sidecar.state import State

log = Logger()

Address = tuple[str, int]
PATHS = ("/explain", "/top", "/findings", "/recorder")
POLICY = page.OPERATORS_SECURITY_POLICY
_PATIENCE_S = 2.0
_FRESH_S = 2.0  # how old what is seen may be for the status page
_MAX_EXPLAINING = 4  # at the same time
_MAX_TOP = 100
_PAGE_TOP = 10
_MAX_REMARKS = 3
_MAX_PODS = 50  # of one question to kubedns


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where the pages of the other two processes are; None: switched off."""

    kubedns: Address | None
    dnsmasq: Address | None

    def address(self, name: str) -> Address | None:
        """Return where `kubedns` or `dnsmasq` is."""
        return self.kubedns if name == "kubedns" else self.dnsmasq


class Operators:
    """
    Makes the pages. reactor: for TCP and timers; clock: monotonic seconds; wall: since the epoch.

    server: the DNS of this pod. node_resolv: the text of the node's resolv.conf.
    """

    def __init__(
        self,
        state: State,
        neighbours: Neighbours,
        server: Address,
        node_resolv: str,
        *,
        asker: Asks,
        reactor: Any,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._state = state
        self._neighbours = neighbours
        self._server = server
        self._node_resolv = node_resolv
        self._asker = asker
        self._reactor = reactor
        self._clock = clock
        self._wall = wall
        self._limits = {
            "explain": Bucket(5, 10),
            "try": Bucket(1, 2),
            "recorder": Bucket(1, 3),
            "others": Bucket(20, 40),
        }
        self._explaining = 0
        self._recording = False
        self._looking: Deferred[None] | None = None

    # Requests

    def render(self, asking: Any) -> None:
        """Answer a request of somebody who may; its path is one of PATHS."""
        gone: list[object] = []
        asking.notifyFinish().addErrback(gone.append)
        made = Deferred.fromCoroutine(self._made(asking))
        made.addErrback(self._failed, asking)

        def reply(found: Reply | None) -> None:
            if found is not None and not gone:
                write(asking, found, POLICY)

        made.addCallback(reply)
        made.addErrback(lambda failure: log.failure("while writing a page", failure))

    def _failed(self, failure: Any, asking: Any) -> Reply:
        log.failure("while making the page {path}", failure, path=asking.path)
        return Reply("internal error, see the log\n", status=500)

    async def _made(self, asking: Any) -> Reply | None:
        """Make a page; None: it has been written already."""
        asked = asked_of(asking.uri)
        if isinstance(asked, Refused):
            return Reply(str(asked.body), PLAIN, asked.status)
        path = asking.path.decode("ascii", "replace")
        if path == "/recorder":
            return await self._recorder(asked, asking)
        pages: dict[str, Callable[[Mapping[str, str]], Coroutine[Any, Any, Reply]]] = {
            "/explain": self._explain,
            "/top": self._top,
            "/findings": self._findings,
        }
        return await pages[path](asked)

    def _wait_s(self, *kinds: str) -> float:
        """Take one of each kind, and return how long to wait if there is none."""
        now = self._clock()
        return max(self._limits[each].take(now) for each in kinds)

    # /explain

    async def _explain(self, asked: Mapping[str, str]) -> Reply:
        form = asked.get("format", "json")
        if form not in ("json", "text", "html"):
            return _bad(RequestError(f"format: {quote(form)} is none of json, text, html"))
        if form == "html" and not asked.get("name"):
            return self._explained(asked, None, "")
        try:
            wanted = request.read(asked)
        except RequestError as error:
            if form == "html":
                return replace(self._explained(asked, None, str(error)), status=400)
            return _bad(error)
        wait_s = self._wait_s("explain", *(["try"] if wanted.live else []))
        if wait_s or self._explaining >= _MAX_EXPLAINING:
            reply = _too_many(wait_s or 1.0)
            if form != "html":
                return reply
            shown = self._explained(asked, None, reply.body.strip())
            return replace(shown, status=429, more=reply.more)
        self._explaining += 1
        try:
            found = await self.explain(wanted)
        finally:
            self._explaining -= 1
        if form == "html":
            return self._explained(asked, found, "")
        told = written.explanation(found)
        if form == "text":
            return Reply("\n".join(lines.explanation(told)) + "\n")
        return Reply(_json(told), JSON)

    async def explain(self, wanted: request.Asked) -> Explanation:
        """Explain a name; takes as long as the DNS takes, at most 12 s."""
        zone = self._zone()
        inquiry = Inquiry(
            wanted,
            Around(zone, node_search(self._node_resolv, zone), self._server, self._remarks()),
            fetch=self._fetch,
            asker=self._asker,
            clock=self._clock,
            wall=self._wall,
        )
        return await inquiry.explain()

    def _explained(self, asked: Mapping[str, str], found: Explanation | None, why: str) -> Reply:
        part = asked.get("part", "") not in ("", "0")
        return Reply(page.explained(asked, found, why, self._wall(), part=part), HTML)

    def _zone(self) -> str:
        neighbour = self._state.neighbours.get("kubedns")
        told = (neighbour.status or {}).get("zone") if neighbour else None
        return told if isinstance(told, str) and told else "cluster.local."

    def _remarks(self) -> tuple[str, ...]:
        """Return what of its configuration the forwarder, who knows the routes, does not take."""
        known = self._state.neighbours.get("dnsmasq")
        if known is None or known.status is None or known.error:
            return ()
        return tuple(islice(verdict.bad_configuration(known.name, known.status), _MAX_REMARKS))

    def _fetch(self, who: str, path: str, patience_s: float) -> "Deferred[Page]":
        address = self._neighbours.address(who)
        if address is None:
            return succeed(Page(error="it is switched off"))
        return Deferred.fromCoroutine(fetch(self._reactor, address, path, patience_s))

    # /top and /findings

    async def _top(self, asked: Mapping[str, str]) -> Reply:
        if wait_s := self._wait_s("others"):
            return _too_many(wait_s)
        try:
            form, count = _format(asked), _count(asked)
        except RequestError as error:
            return _bad(error)
        said, why = await self._page("dnsmasq", f"/top?n={count}")
        if said is None:
            return _away(why)
        found = await self._with_pods(seen.top(said))
        if form == "text":
            return Reply(written.top_text(found))
        return Reply(_json(written.top(said, found)), JSON)

    async def _with_pods(self, found: Top) -> Top:
        clients = [each.client for each in found.clients if request.is_address(each.client)]
        if not clients:
            return found
        asked = urlencode({"ip": ",".join(clients[:_MAX_PODS])})
        said, why = await self._page("kubedns", f"/pods?{asked}")
        return seen.with_pods(found, said, why)

    async def _findings(self, asked: Mapping[str, str]) -> Reply:
        if wait_s := self._wait_s("others"):
            return _too_many(wait_s)
        try:
            form = _format(asked)
        except RequestError as error:
            return _bad(error)
        said, why = await self._page("dnsmasq", "/findings")
        if said is None:
            return _away(why)
        if form == "text":
            return Reply(written.findings_text(seen.findings(said)))
        return Reply(_json(said), JSON)

    async def _page(self, who: str, path: str) -> tuple[Mapping[str, Any] | None, str]:
        """Get a page that is a JSON object; else why there is none."""
        name = "kubedns" if who == "kubedns" else "the forwarder"
        found = await self._fetch(who, path, _PATIENCE_S)
        if found.error:
            return None, f"{name}: {found.error}"
        try:
            return seen.page(found.body), ""
        except seen.SeenError as error:
            return None, f"{name}: {error}"

    async def look(self) -> None:
        """See to it that State.seen is fresh; who comes meanwhile waits for the same look."""
        now = self._state.seen
        if now is not None and 0 <= self._wall() - now.at < _FRESH_S:
            return
        if self._looking is None:
            self._looking = Deferred.fromCoroutine(self._look())
            self._looking.addBoth(self._looked)
        waiting: Deferred[None] = Deferred()

        def go_on(result: Any) -> Any:
            waiting.callback(None)
            return result

        self._looking.addBoth(go_on)
        await waiting

    def _looked(self, result: Any) -> None:
        self._looking = None
        if result is not None:
            log.failure("while reading what the forwarder has seen", result)

    async def _look(self) -> None:
        paths = (f"/top?n={_PAGE_TOP}", "/recorder?format=summary", "/findings")
        reads = [Deferred.fromCoroutine(self._page("dnsmasq", path)) for path in paths]
        (top, why), (recorder, _), (findings, _) = await gatherResults(reads)
        self._state.seen = Seen(
            at=self._wall(),
            top=None if top is None else await self._with_pods(seen.top(top)),
            recorder=None if recorder is None else seen.recorder(recorder),
            findings=() if findings is None else seen.findings(findings),
            problem=why,
        )

    # /recorder

    async def _recorder(self, asked: Mapping[str, str], asking: Any) -> Reply | None:
        form, which = asked.get("format", "jsonl"), asked.get("which", "live")
        if form not in _RECORDS:
            return _bad(RequestError(f"format: {quote(form)} is none of {', '.join(_RECORDS)}"))
        if which not in ("live", "burst"):
            return _bad(RequestError(f"which: {quote(which)} is neither live nor burst"))
        if form == "summary":
            if wait_s := self._wait_s("others"):
                return _too_many(wait_s)
            said, why = await self._page("dnsmasq", "/recorder?format=summary")
            return _away(why) if said is None else Reply(_json(said), JSON)
        wait_s = self._wait_s("recorder")
        if wait_s or self._recording:
            return _too_many(wait_s or 1.0)
        address = self._neighbours.dnsmasq
        if address is None:
            return _away("the forwarder: it is switched off")
        return await self._pass_on(address, form, which, asking)

    async def _pass_on(self, address: Address, form: str, which: str, asking: Any) -> Reply | None:
        media_type = _RECORDS[form]
        more = {}
        if form == "pcap":
            more["Content-Disposition"] = f'attachment; filename="dns-{which}.pcap"'
        refused: list[int] = []

        def begin(status: int) -> bool:
            if status != 200:
                refused.append(status)
                return False
            head(asking, Reply("", media_type, more=more), POLICY)
            return True

        self._recording = True
        try:
            path = f"/recorder?{urlencode({'format': form, 'which': which})}"
            why = await relay(self._reactor, address, path, asking, begin)
        finally:
            self._recording = False
        if refused:
            if refused[0] == 404 and which == "burst":
                return Reply("there has been no burst\n", status=404)
            return _away(f"the forwarder: HTTP status {refused[0]}")
        return _away(f"the forwarder: {why}") if why else None


_RECORDS = {
    "jsonl": "application/x-ndjson",
    "pcap": "application/vnd.tcpdump.pcap",
    "summary": JSON,
}


def _format(asked: Mapping[str, str]) -> str:
    form = asked.get("format", "json")
    if form not in ("json", "text"):
        raise RequestError(f"format: {quote(form)} is neither json nor text")
    return form


def _count(asked: Mapping[str, str]) -> int:
    text = asked.get("n", "").strip() or str(_PAGE_TOP)
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or not 0 < int(text) <= _MAX_TOP:
        raise RequestError(f"n: {quote(text)} is no whole number from 1 to {_MAX_TOP}")
    return int(text)


def _bad(error: RequestError) -> Reply:
    return Reply(f"{error}\n", PLAIN, 400)


def _too_many(wait_s: float) -> Reply:
    seconds = max(1, round(wait_s + 0.5))
    return Reply(
        f"too many requests: try again in {seconds} s\n", PLAIN, 429, {"Retry-After": str(seconds)}
    )


def _away(why: str) -> Reply:
    return Reply(f"{why}\n", PLAIN, 502)


def _json(told: Any) -> str:
    # In one line: json has no quick way to indent, and that would cost more than all else here.
    return json.dumps(told, separators=(",", ":")) + "\n"
