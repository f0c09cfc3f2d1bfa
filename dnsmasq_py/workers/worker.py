"""
One of several forwarders: all of service.DnsForwarder, and its way to the others.

Nothing that a query meets differs, but for NOTIFY and statistics (forwarding.py). Orders come from
the parent: the signals that it got.
"""

import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from dnsmasq_py import report
from dnsmasq_py.chaos import Statistics
from dnsmasq_py.explain import account
from dnsmasq_py.feed import word
from dnsmasq_py.observed import pages as observed_pages
from dnsmasq_py.options import Options
from dnsmasq_py.server import Server
from dnsmasq_py.service import DnsForwarder
from dnsmasq_py.workers import allpages, own, shares, sums
from dnsmasq_py.workers.asking import Asking, Parts
from dnsmasq_py.workers.forwarding import SharedForwarder
from dnsmasq_py.workers.hub import LOOK_S
from dnsmasq_py.workers.link import Link
from dnsmasq_py.workers.messages import Message, Say
from dnsmasq_py.workers.place import Place
from kubedns.serve import http
from kubedns.wire import notify
from kubedns.wire.notify import Kind, Notice

log = Logger()

_MAX_RECEIPTS = 1000  # that are waited for; kubedns has one message on its way at a time


class Worker(DnsForwarder):
    """See the head of this module."""

    make_forwarder = SharedForwarder

    def __init__(self, options: Options, reactor: Any, place: Place) -> None:
        self.leads = place.leads
        self.tcp_per_client = shares.per_client(DnsForwarder.tcp_per_client, place.count)
        self._actions: Mapping[int, Callable[[int, object], object]] = {}
        self._lost: Callable[[], object] = lambda: None
        self._place = place
        self._totals: sums.Tree | None = None
        self._joined: Deferred[None] = Deferred()
        self._receipts: dict[int, tuple[Notice, Callable[[bytes], Any]]] = {}
        self._notices = 0
        super().__init__(shares.of(options, place.count, place.number), reactor)
        self._listeners.shared = True
        self._forwarder.crowd.most = shares.part(self._forwarder.crowd.most, place.count)
        self._loops.draw = self._drawn
        if isinstance(self._forwarder, SharedForwarder):
            self._forwarder.relay = self._relay
            self._forwarder.gather = self._gather
        self._link = Link(place.channel, self._heard, lambda: self._lost(), reactor)
        self._asking = Asking(self._link.say, self.told, reactor)
        self._beat = LoopingCall(self._link.say, Message(Say.BEAT))
        self._beat.clock = reactor

    def obey(
        self,
        actions: Mapping[int, Callable[[int, object], object]],
        lost: Callable[[], object],
    ) -> None:
        """Act on the signals that the parent gets, by their numbers; lost: when it has ended."""
        self._actions = actions
        self._lost = lost

    async def start(self) -> None:
        self._beat.start(LOOK_S)
        self._link.say(Message(Say.HELLO))
        await self._joined  # from now on every change is heard of
        await super().start()
        self._link.say(Message(Say.READY))

    async def stop(self) -> bool:
        if not await super().stop():
            return False
        if self._beat.running:
            self._beat.stop()
        self._link.close()
        return True

    # What the parent says

    def _heard(self, message: Message) -> None:
        match message.kind:
            case Say.JOINED:
                self._joined.callback(None)
            case Say.TAKE:
                self._forwarder.feed.take(notify.read(message.body), time.monotonic())
                self._link.say(Message(Say.TOOK, message.number))
            case Say.RECEIPT:
                self._receipt(message)
            case Say.TELL:
                with log.failuresHandled("while telling what is counted here"):
                    told = json.dumps(self.told(message.body.decode()))
                    self._link.say(Message(Say.TOLD, message.number, told.encode()))
            case Say.PARTS:
                with log.failuresHandled("while adding up what workers count"):
                    self._asking.answered(message)
            case Say.LOOPS:
                self._loops_too(message.body.decode())
            case Say.SIGNAL if message.number in self._actions:
                self._actions[message.number](message.number, None)

    # Changes of the cluster

    def _relay(self, message: bytes, notice: Notice, send: Callable[[bytes], Any]) -> None:
        if len(self._receipts) >= _MAX_RECEIPTS:
            del self._receipts[next(iter(self._receipts))]
        self._notices = (self._notices + 1) & 0xFFFFFFFF
        self._receipts[self._notices] = notice, send
        self._link.say(Message(Say.NOTIFY, self._notices, message))

    def _receipt(self, message: Message) -> None:
        notice, send = self._receipts.pop(message.number, (None, None))
        feed = self._forwarder.feed
        if notice is None or send is None:
            return
        if not message.body:
            feed.refused["too many greetings"] += 1
            return
        receipt = notify.read(message.body)
        if receipt.kind is Kind.AGAIN:
            feed.refused["without the key"] += 1
        elif receipt.kind is Kind.TAKEN and notice.after < receipt.after:
            feed.refused["said before"] += 1
        else:
            feed.messages[word(notice)] += 1
        with suppress(OSError):  # it is as good as lost, and said again
            send(message.body)

    # Loops: our probes may come back to another worker

    def _drawn(self, server: Server) -> str:
        return hmac.new(self._place.secret, str(server).encode(), "sha256").hexdigest()[:16]

    def _loop_found(self, server: Server) -> None:
        super()._loop_found(server)
        self._link.say(Message(Say.LOOPING, 0, str(server).encode()))

    def _loops_too(self, text: str) -> None:
        looping = self._loops.looping
        for server in self._forwarder.routes.default.servers:
            if str(server) == text and server not in looping:
                looping.add(server)
                self._state.looping = looping
                self._reroute()
                return

    # What all know

    def told(self, what: str) -> Any:
        """Return our own part of something, fit for JSON."""
        match what:
            case sums.REPORT:
                stale = self._options.use_stale_cache_s is not None
                return own.report(
                    super()._statistics(),
                    self._tcp(),
                    self._upstreams.all(),
                    stale=self._counters.stale if stale else None,
                )
            case sums.METRICS:
                return own.metrics(self._parts())
            case sums.STATUS:
                return own.status(self._parts(), self._place.number)
            case sums.RESET:
                self._highest_tcp = len(self._streams)
            case _ if what.startswith(sums.EXPLAIN):
                question = account.read(what.removeprefix(sums.EXPLAIN))
                return {**self._account.known(question), "worker": self._place.number}
            case _ if self._observed is not None:
                return own.observed(what, self._observed, self._place.count)
        return None

    def _gather(self, then: Callable[[], None]) -> None:
        def told(parts: Parts) -> None:
            self._totals = sums.report(parts["parts"], parts["gone"])
            then()

        self._asking.ask(sums.REPORT, told)

    def _statistics(self) -> Statistics:
        if self._totals is None:
            return super()._statistics()
        servers = [
            (report.where(server), each["sent"], each["failed"])
            for server, each in self._servers(self._totals)
        ]
        return Statistics(**self._totals["counts"], servers=servers)

    def _servers(self, totals: sums.Tree) -> Iterator[tuple[Server, sums.Tree]]:
        known = {str(each.server): each.server for each in self._upstreams.all()}
        for each in totals["servers"]:
            if each["server"] in known:
                yield known[each["server"]], each

    def write_report(self) -> None:
        self._gather(self._write_totals)

    def _write_totals(self) -> None:
        totals = self._totals
        if totals is None:
            return
        keys = ("sent", "retried", "failed", "nxdomain", "latency_ms")
        servers = [
            report.Asked(server, *(each[key] for key in keys))
            for server, each in self._servers(totals)
        ]
        tcp = report.Tcp(*totals["tcp"])
        lines = report.statistics(
            time.time(), self._statistics(), tcp, servers, stale=totals["stale"]
        )
        for line in lines:
            self._lines.write(line)
        self._asking.ask(sums.RESET, lambda parts: None)

    # Pages

    def _serve(self, host: str, port: int, pages: http.Pages) -> None:
        if "/metrics" in pages:
            pages = {
                **pages,
                "/metrics": lambda: self._page(sums.METRICS, allpages.metrics),
                "/status": lambda: self._page(sums.STATUS, allpages.status),
                "/explain": http.with_query(self._explain),
            }
        if "/top" in pages:
            pages = {
                **pages,
                "/top": http.with_query(self._top),
                "/recorder": http.with_query(self._recorded),
                "/findings": lambda: self._page(sums.FINDINGS, allpages.findings),
            }
        listening = self._place.pages[host, port]
        self._pages_ports.append(
            self._reactor.adoptStreamPort(
                listening.fileno(), listening.family, http.site(pages, self._reactor)
            )
        )

    def _explain(self, query: Mapping[str, str]) -> "http.Page | Deferred[http.Page]":
        question = account.asked(query)
        if isinstance(question, http.Page):
            return question
        if question.tries and self._account.is_busy:
            return account.BUSY
        live = self._account.tried(question)  # by this one alone

        def known(parts: Parts) -> "Deferred[http.Page]":
            return live.addCallback(lambda found: allpages.explain(parts, found))

        parts: Deferred[Parts] = Deferred()
        self._asking.ask(sums.EXPLAIN + question.text(), parts.callback)
        return parts.addCallback(known)

    def _top(self, query: Mapping[str, str]) -> "http.Page | Deferred[http.Page]":
        most = observed_pages.how_many(query)
        if isinstance(most, http.Page):
            return most
        return self._page(sums.TOP, lambda parts: allpages.top(parts, most))

    def _recorded(self, query: Mapping[str, str]) -> "http.Page | Deferred[http.Page]":
        wanted = observed_pages.which(query)
        if isinstance(wanted, http.Page):
            return wanted
        form, which = wanted
        if form == "summary":
            return self._page(sums.SUMMARY, allpages.summary)
        what = sums.BURST_RECORDS if which == "burst" else sums.LIVE_RECORDS
        return self._page(what, lambda parts: allpages.recorded(parts, form))

    def _page(self, what: str, make: Callable[[Parts], http.Page]) -> "Deferred[http.Page]":
        page: Deferred[Parts] = Deferred()
        self._asking.ask(what, page.callback)
        return page.addCallback(make)
