"""
The wiring of kubedns, and the only file that knows every part; start and stop order.

Start: the snapshot, DNS sockets (SERVFAIL for what is not known yet), HTTP pages, configuration,
then the source of objects. Stop: not ready, answer on for the lame-duck time, then sockets, pages
and source, and the snapshot of what was served last.
"""

import gc
import platform
import socket
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from kubedns import __version__, metrics, pages
from kubedns.cluster.feed import Feed
from kubedns.cluster.pairing import Pairing
from kubedns.cluster.source import Source
from kubedns.config import Config, apply, parse_resolv_conf
from kubedns.configdir import ConfigDir, FileWatch
from kubedns.explain.account import Accounts
from kubedns.explain.pages import Explaining
from kubedns.explain.pods import Pods, ReadPods
from kubedns.explain.sentences import Sentences
from kubedns.options import Options
from kubedns.outside.resolver import Outside
from kubedns.serve import http, sockets
from kubedns.serve.counters import Counters
from kubedns.serve.listeners import Listeners
from kubedns.serve.receiver import Backlog, Receiver, Send, answering
from kubedns.serve.responder import Responder
from kubedns.serve.stream import StreamFactory
from kubedns.snapshot.saving import Saving
from kubedns.tell.teller import Teller
from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.answers import Answers
from kubedns.zone.lookup import PodNames, Zone
from kubedns.zone.tree import Change, Tree

log = Logger()

RESOLV_CONF = "/etc/resolv.conf"
_MAX_OWN_ADDRESSES = 8
_RESOLV_CONF_S = 5.0
_PROFILING_PORT = 6060
_LOOK_AWAY_S = 1.0  # between two looks at whether the API server is away
_REPLY_OR_OPCODE = 0xF8  # of the third octet; none of it is set in a query
# A receiver thread that has a query in hand waits for the interpreter this long at most while the
# reactor works; the default of 5 ms would be the p99 under churn.
_SWITCH_INTERVAL_S = 0.0005


class KubeDns:
    """One process; reactor: the asyncio one. stopped fires when everything has ended."""

    def __init__(self, options: Options, reactor: Any) -> None:
        self._options = options
        self._reactor = reactor
        self._state = pages.State(began=reactor.seconds())
        self._ports: list[Any] = []
        self._watches: list[ConfigDir | FileWatch] = []
        self._stopping = False

        self.counters = Counters()
        self.answers = Answers(self.counters.left)
        tree = Tree(
            names.from_text(options.domain),
            (options.dns_service[0].encode(), options.dns_service[1].encode()),
        )
        self.zone = Zone(
            tree,
            pods=options.pods,
            ttl=options.ttl_s,
            negative_ttl=options.negative_ttl_s,
            wildcards=options.wildcards,
            reverse_zones=options.reverse_cidrs,
        )
        self.pairing = Pairing(tree)
        self.feed = Feed(self.pairing, self._changed, self._all_changed, reactor)
        listening = [options.dns_bind_address]
        if sockets.is_wildcard(options.dns_bind_address):
            listening += sockets.local_addresses()
        self.outside = Outside(
            reactor,
            own={(host, options.dns_port) for host in listening},
            in_zone=self._addresses_in_zone,
        )
        self.sentences = Sentences(self.zone, self.pairing, options.explain)
        self._looking = LoopingCall(self._look_away)
        self._looking.clock = reactor
        self.responder = Responder(
            self.zone,
            self.answers,
            self.outside,
            self.counters,
            version=f"kube-dns-py {__version__}",
            host=platform.node() or "localhost",
            explains=self.sentences,
        )
        self._answer = answering(self._respond_udp, self.counters)
        self._backlog = Backlog(reactor, self._receive_udp, self.counters)
        self._streams = StreamFactory(
            self._respond_tcp, self.counters, reactor, ready=self._ready_tcp
        )
        self._listeners = Listeners(
            reactor,
            options.dns_port,
            self._wanted_addresses,
            self._make_receiver,
            self._streams,
            self._addresses_seen,
        )
        self.teller = Teller(
            options.notify, tree.zone, lambda: tree.serial, self._listeners.send, reactor
        )
        self.saving = Saving(options.snapshot, self.zone, reactor)
        self._read_pods: ReadPods | None = None
        self._source = self._make_source()
        parts = metrics.Parts(
            counters=self.counters,
            answers=self.answers,
            zone=self.zone,
            feed=self.feed,
            pairing=self.pairing,
            resources=lambda: self._source.status(self._reactor.seconds()),
            audits=lambda: self._source.audits(self._reactor.seconds()),
            waiting_s=self._waiting_s,
            outside=self.outside.counts,
            config_errors=lambda: self._state.config_error_counts,
            late=lambda: self._state.late,
            connections=lambda: len(self._streams),
            teller=self.teller,
            saving=self.saving,
        )
        self._pages = pages.Pages(
            parts,
            self._state,
            self._source,
            options,
            clock=reactor.seconds,
            explaining=self._explaining().pages(),
        )

    # Start and stop

    async def start(self) -> None:
        """
        Open everything.

        Raises:
            KubednsError: what cannot be opened or read, in one line.
        """
        options = self._options
        log.info("kube-dns-py {version}, zone {zone}.", version=__version__, zone=options.domain)
        for warning in options.warnings:
            log.warn("{warning}", warning=warning)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._restore()
        self._listen_dns()
        self._listen_http()
        self.teller.start()
        self.saving.start()
        self._start_config()
        await self._source.start()
        self._looking.start(_LOOK_AWAY_S, now=False)
        self._reactor.callLater(options.initial_sync_timeout_s, self._late)

    async def drain(self) -> None:
        """Be unready, and answer on for the lame-duck time."""
        self._state.draining = True
        log.info("draining: not ready, answering for {s} s more", s=self._options.lame_duck_s)
        await deferLater(self._reactor, self._options.lame_duck_s, lambda: None)

    async def stop(self) -> bool:
        """Close everything; tell whether that was still to be done."""
        if self._stopping:
            return False
        self._stopping = self._state.draining = True
        self._backlog.closed = True
        for watch in self._watches:
            watch.stop()
        if self._looking.running:
            self._looking.stop()
        self.teller.stop()
        await self._listeners.close()
        for port in self._ports:
            await _done(port.stopListening())
        self._streams.close_all()
        self.feed.stop()
        await self._source.stop()
        await self.saving.stop()
        log.info("stopped")
        return True

    # Sockets

    def _listen_dns(self) -> None:
        self._listeners.open()
        host, port = self._options.dns_bind_address, self._options.dns_port
        log.info("answering on {host} port {port}, UDP and TCP", host=host, port=port)

    def _wanted_addresses(self) -> list[str] | None:
        host = self._options.dns_bind_address
        return None if sockets.is_wildcard(host) else [host]

    def _addresses_seen(self, present: list[str]) -> None:
        """Answer for our own name with the addresses by which we can be asked."""
        shown = self._wanted_addresses()
        if shown is None:
            shown = [host for host in present if host not in ("127.0.0.1", "::1")] or ["127.0.0.1"]
        own = _packed(shown[:_MAX_OWN_ADDRESSES])
        if own != self.zone.own_addresses:
            self.zone.own_addresses = own
            self._changed(self.zone.tree.server_moved())

    def _make_receiver(self, bound: socket.socket, any_address: bool) -> Receiver:
        return Receiver(
            bound, self.answers.table, self._backlog, self.counters, any_address=any_address
        )

    def _listen_http(self) -> None:
        options = self._options
        public = http.site(self._pages.public(), self._reactor)
        for port in {options.healthz_port, options.prometheus_port or 0} - {0}:
            self._adopt(sockets.tcp("", port), public)
        if options.status_address is not None:
            private = http.site(self._pages.private(), self._reactor)
            self._adopt(sockets.tcp(*options.status_address), private)
        if options.profiling:
            profiling = http.site({"/debug/pprof/": pages.stacks}, self._reactor)
            self._adopt(sockets.tcp("127.0.0.1", _PROFILING_PORT), profiling)

    def _adopt(self, listening: socket.socket, factory: Any) -> None:
        with listening:  # the reactor keeps a duplicate
            self._ports.append(
                self._reactor.adoptStreamPort(listening.fileno(), listening.family, factory)
            )

    # Questions

    def _receive_udp(self, message: bytes, client: Any, send: Send) -> None:
        no_query = len(message) > 2 and message[2] & _REPLY_OR_OPCODE
        if not (no_query and self.teller.received(message, client)):
            self._answer(message, client, send)

    def _respond_udp(self, message: bytes) -> Any:
        return self.responder.answer(message, tcp=False)

    def _respond_tcp(self, message: bytes, _: tuple[str, int]) -> Any:
        return self.responder.answer(message, tcp=True)

    def _ready_tcp(self, message: bytes, _: tuple[str, int]) -> bytes | None:
        """Return a kept answer to a query without options in its fixed form."""
        answer = self.answers.table.get((message[2:], False))
        if answer is None or answer.until <= time.monotonic():
            return None
        turn = answer.turns[answer.uses % len(answer.turns)]
        answer.uses += 1
        return message[:2] + turn

    def _addresses_in_zone(self, qname: bytes) -> list[str] | None:
        """Resolve a stub server's host name here, when it is a name of the cluster."""
        found = self.responder.addresses(qname)
        return None if found is None else [address.unpack(packed) for packed in found]

    # Changes

    def _restore(self) -> None:
        """Serve a snapshot until the lists are read: better what was true a moment ago."""
        with log.failuresHandled("while taking in the snapshot"):
            found = self.saving.load()
            if found is not None:
                self.zone.tree.serial = found.serial
                self.pairing.restore(found.services, found.namespaces, found.pods)

    def _changed(self, change: Change, more: bool = False) -> None:
        """Forget the answers that a change made wrong, here and in the caches in front."""
        if change:
            self.answers.forget(change.tags)
            self.saving.changed()
        if self._knows_better():
            self.teller.changed(change, more=more)

    def _all_changed(self) -> None:
        self.answers.clear()
        if self._knows_better():
            self.teller.everything()

    def _knows_better(self) -> bool:
        """
        Tell whether a cache in front should forget what it has when something changes.

        Not while the lists are read for the first time: most names are SERVFAIL here until then,
        and what the cache has from our predecessor is all that is left of them. The end is told.
        """
        return self.zone.synced or self.saving.stale

    # Reasons

    def _look_away(self) -> None:
        """Forget all answers when they begin to be uncertain, or are certain again."""
        with log.failuresHandled("while looking whether the API server is there"):
            away_s = self._source.away_s(self._reactor.seconds())
            if away_s is not None and self.saving.stale:
                # Nothing was heard since we began: what is served is as old as the snapshot.
                away_s = max(away_s, self.saving.age_s or 0.0)
            if self.sentences.look(away_s):
                self.answers.clear()

    def _explaining(self) -> Explaining:
        accounts = Accounts(self.zone, self.pairing, self.sentences)
        return Explaining(accounts, Pods(self._read_pods, self._reactor))

    # Objects

    def _make_source(self) -> Source:
        # Imported here: the HTTP client is a third of the start, and files do not need it.
        options = self._options
        if options.objects:
            from kubedns.cluster.filesource import FileSource

            return FileSource(
                options.objects,
                self.feed,
                reactor=self._reactor,
                naming=options.endpoint_names,
                settled=self._settled,
            )
        from kubedns.cluster.apiserver import Access, ApiServer
        from kubedns.cluster.apisource import ApiSource

        server = ApiServer(
            Access(options.kubecfg_file, options.kube_master_url),
            self._reactor.seconds,
            f"kube-dns-py/{__version__} (linux/{platform.machine()})",
        )
        self._read_pods = server.pods
        named = (options.config_map_namespace, options.config_map)
        return ApiSource(
            server,
            self.feed,
            reactor=self._reactor,
            naming=options.endpoint_names,
            pods=options.pods is PodNames.VERIFIED,
            silence_s=options.watch_silence_s,
            forbidden_retry_s=options.forbidden_retry_s,
            audit_interval_s=options.audit_interval_s,
            settled=self._settled,
            pods_forbidden=self._pods_forbidden,
            config_map=named if options.config_map else None,
            configured=self._configure,
        )

    def _waiting_s(self) -> float:
        """Return for how long something known has not been in the zone."""
        since = self.feed.waiting_since
        return 0.0 if since is None else self._reactor.seconds() - since

    def _settled(self) -> None:
        if self.zone.synced or self._source.missing():
            return
        # What is there now stays: it need not be looked through by every collection. Collecting
        # first would hold up everything for a tenth of a second in a large cluster.
        gc.freeze()
        self.zone.synced = True
        self.teller.everything()  # what was SERVFAIL may be NXDOMAIN now
        took = self._reactor.seconds() - self._state.began
        log.info("in sync with the cluster after {took:.2f} s", took=took)

    def _late(self) -> None:
        if not self.zone.synced:
            self._state.late = True
            log.error(
                "not in sync after --initial-sync-timeout={s} s, waiting for {missing}: {instead}, "
                "unknown names get SERVFAIL",
                instead="serving a snapshot" if self.saving.stale else "unready",
                s=self._options.initial_sync_timeout_s,
                missing=", ".join(self._source.missing()),
            )

    def _pods_forbidden(self, forbidden: bool) -> None:
        mode = PodNames.INSECURE if forbidden else self._options.pods
        if mode is not self.zone.pods:
            self.zone.pods = mode
            self._all_changed()

    # Configuration

    def _start_config(self) -> None:
        options = self._options
        resolv_conf = FileWatch(
            RESOLV_CONF, _RESOLV_CONF_S, self._reactor, self._resolv_conf_changed, _log_line
        )
        self._watches.append(resolv_conf)
        if options.config_dir:
            self._watches.append(
                ConfigDir(
                    options.config_dir,
                    options.config_period_s,
                    self._reactor,
                    self._configure,
                    _log_line,
                )
            )
        elif not options.config_map:
            self._state.config = Config(upstream_nameservers=options.nameservers)
        for watch in self._watches:
            watch.start()

    def _configure(self, data: dict[str, str]) -> None:
        self._state.config, errors, warnings = apply(
            data, self._state.config, zones=[self._options.domain]
        )
        self._state.config_errors = {}
        for error in errors:
            log.error("configuration: {error}", error=str(error))
            self._state.config_errors[error.key] = str(error)
        self._state.config_error_counts.update(self._state.config_errors.keys())
        for warning in warnings:
            log.warn("configuration: {warning}", warning=warning)
        log.info(
            "configuration: {stubs} stub domains, {count} upstream nameservers",
            stubs=len(self._state.config.stub_domains),
            count=len(self._state.config.upstream_nameservers),
        )
        self.outside.configure(self._state.config, self._state.resolv_conf)

    def _resolv_conf_changed(self, text: str) -> None:
        self._state.resolv_conf = parse_resolv_conf(text)
        self.outside.configure(self._state.config, self._state.resolv_conf)


def _packed(hosts: list[str]) -> tuple[bytes, ...]:
    return tuple(packed for host in hosts if (packed := address.pack(host)) is not None)


def _log_line(line: str) -> None:
    log.error("{line}", line=line)


async def _done(result: Any) -> None:
    if isinstance(result, Deferred):
        await result
