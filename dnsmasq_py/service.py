"""
The wiring of the forwarder, and the only file that knows every part; start and stop order.

Start: configuration and local data, then sockets, then pages: no query is answered by half of it.
Stop: unready, answer on for the time of --drain, then sockets first.
"""

import gc
import os
import pwd
import socket
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import LogEvent, Logger

from dnsmasq_py import interfaces, limits, report, routing
from dnsmasq_py.agenda import LAG_S, Agenda
from dnsmasq_py.cache import Cache
from dnsmasq_py.chaos import Chaos, Statistics
from dnsmasq_py.counters import Counters
from dnsmasq_py.dial import Dialer
from dnsmasq_py.errors import ForwarderError
from dnsmasq_py.explain.account import Account
from dnsmasq_py.explain.live import Live
from dnsmasq_py.explain.rule import Origins
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.hostfiles import HostFiles
from dnsmasq_py.limits import Seldom
from dnsmasq_py.listen import CacheReceiver, Misses, Streams
from dnsmasq_py.local import LocalData
from dnsmasq_py.logs import Lines
from dnsmasq_py.metrics import Parts
from dnsmasq_py.nameindex import BELOW_ZONE, USUAL_DEPTH
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.observed.watch import Observed
from dnsmasq_py.options import Options, read_servers_file
from dnsmasq_py.pages import Pages, probed
from dnsmasq_py.probes import Loops, Neighbour, Prober
from dnsmasq_py.querylog import QueryLog
from dnsmasq_py.question import name_of
from dnsmasq_py.routing import Route, Routes
from dnsmasq_py.rules import Match, ServerRule
from dnsmasq_py.server import Server
from dnsmasq_py.sources import Sources
from dnsmasq_py.spelling import Spelling
from dnsmasq_py.state import State
from dnsmasq_py.stubhosts import StubHosts
from dnsmasq_py.upstreams import Group, Policy, Upstream, Upstreams
from dnsmasq_py.warmstart import WarmStart
from kubedns import __version__
from kubedns.outside.routing import Own
from kubedns.serve import http, sockets
from kubedns.serve.connections import Limits
from kubedns.serve.listeners import Listeners
from kubedns.serve.stream import StreamFactory
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone.address import is_reverse

log = Logger()

_TICK_S = 1.0
# A receiver that has a query in hand waits for the interpreter at most so long while the reactor
# works; see kubedns.service.
_SWITCH_INTERVAL_S = 0.0005
_GC_THRESHOLD = 50_000  # objects; answers hold no circles, and each look at all costs a pause


class _Clock:
    """What the agenda takes for a reactor: monotonic seconds, and the reactor's timers."""

    def __init__(self, reactor: Any) -> None:
        self.callLater = reactor.callLater
        self.seconds = time.monotonic


class DnsForwarder:
    """
    One process.

    leads: it says what all processes would say alike. make_forwarder: see workers/worker.py.
    """

    leads = True
    make_forwarder: type[Forwarder] = Forwarder
    tcp_per_client = 20  # connections, while there are many

    def __init__(self, options: Options, reactor: Any) -> None:
        self._options = options
        self._reactor = reactor
        self._state = State(began=time.monotonic())
        self._counters = Counters()
        self._told: set[str] = set()
        self._pages_ports: list[Any] = []
        self._highest_tcp = 0
        self._stalls, self._shed, self._group_shed = Seldom(), Seldom(), Seldom()
        self._stopping = False
        self._more_servers: tuple[ServerRule, ...] = ()

        stale_s = options.max_stale_s
        if options.use_stale_cache_s is not None:
            stale_s = options.use_stale_cache_s or float("inf")
        self._cache = Cache(
            options.cache_size,
            options.cache_bytes,
            stale_s,
            self._counters,
            _depth(_cluster_zones(options)),
        )
        self._lines = self._open_log()
        self._query_log = self._make_query_log()
        self._upstreams = Upstreams()
        self._spelling = Spelling()
        self._dialer = Dialer(reactor, self._counters, options)
        self._agenda = Agenda(_Clock(reactor))
        self._forwarder = self.make_forwarder(
            options,
            self._cache,
            self._dialer,
            self._agenda,
            self._counters,
            Chaos(self._statistics, __version__, ident=not options.no_ident),
            LocalData(options, (), self._rank),
            later=reactor.callFromThread,
            log=self._query_log,
        )
        self._account = Account(
            self._forwarder, Live(self._dialer, reactor, time.monotonic), self._origins
        )
        self._prober = Prober(self._upstreams, self._dialer, self._agenda, time.monotonic)
        self._loops = Loops(self._prober, self._loop_found)
        self._forwarder.probe_seen = self._loops.seen
        self._forwarder.feed.say = lambda line: log.info("{line}", line=line)
        self._neighbour = Neighbour(
            self._prober, options.kubedns_server, self._neighbour_known, reactor
        )
        self._warm = WarmStart(options.hot_file, self._forwarder, reactor)
        self._hosts = HostFiles(options, reactor, self._hosts_changed)
        self._stub_hosts = StubHosts(reactor, self._look_up, self._reroute)
        zones = [names.to_text(zone).removesuffix(".") for zone in _cluster_zones(options)]
        self._sources = Sources(options, self._state, zones, self._config_changed, reactor)

        self._observed = self._observe() if options.recorder else None
        self._recorder = None if self._observed is None else self._observed.recorder
        self._forwarder.answering.recorder = self._recorder
        self._backlog = Misses(
            reactor, self._forwarder.handle, self._counters, self._dialer.datagrams
        )
        streams = Streams(
            self._forwarder.handle, self._cache.ready, self._counters, recorder=self._recorder
        )
        self._streams = StreamFactory(
            streams.respond,
            self._counters,
            _Clock(reactor),
            Limits(connections=options.max_tcp_connections, per_client=self.tcp_per_client),
            ready=streams.ready,
        )
        self._listeners = Listeners(
            reactor,
            options.port,
            lambda: interfaces.wanted(options),
            self._make_receiver,
            self._streams,
            seen=lambda _: self._reroute(),  # a server may be ourselves now, or no longer
        )
        self._state.listeners = self._served
        self._tick = LoopingCall(self._look_around)
        self._tick.clock = reactor
        self._ticked = 0.0
        self._reports = LoopingCall(self.write_report)
        self._reports.clock = reactor

    # Start and stop

    async def start(self) -> None:
        """
        Open everything.

        Raises:
            KubednsError: what cannot be opened, in one line.
        """
        options = self._options
        log.info("{line}", line=report.started(__version__, options.cache_size))
        for warning in options.warnings:
            log.warn("{warning}", warning=warning)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._hosts.start()
        self._read_servers_file()
        self._sources.start()
        self._stub_hosts.start()
        self._warm.load()  # by the routes of now
        if options.port:
            self._listeners.open()
        self._open_pages()
        self._drop_privileges()
        self._ticked = time.monotonic()
        self._tick.start(_TICK_S, now=False)
        if self._observed is not None:
            self._observed.start()
        if options.log_interval_s:
            self._reports.start(options.log_interval_s, now=False)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        log.info("answering on port {port}, UDP and TCP", port=options.port)
        self._warm.start()

    async def drain(self) -> None:
        """
        Be unready, and answer for the time of --drain, or until `stop` is called.

        However quiet it is: a node's connection tracking leads a client that takes a source port
        again to this pod until the pod is unready for the kubelet, or gone.
        """
        self._state.draining = True
        log.info("draining: answering for {s:g} s more", s=self._options.drain_s)
        ends = time.monotonic() + self._options.drain_s
        while time.monotonic() < ends and not self._stopping:
            await deferLater(self._reactor, 0.1, lambda: None)

    async def stop(self) -> bool:
        """Close everything; tell whether that was still to be done."""
        if self._stopping:
            return False
        self._stopping = self._state.draining = True
        self._backlog.closed = True
        await self._listeners.close()
        self._streams.close_all()
        for loop in (self._tick, self._reports):
            if loop.running:
                loop.stop()
        if self._observed is not None:
            self._observed.stop()
        await self._warm.stop()
        self._agenda.close()
        self._dialer.close()
        self._hosts.stop()
        self._stub_hosts.stop()
        await self._sources.stop()
        self._neighbour.stop()  # last: new routes could start it
        for port in self._pages_ports:
            stopping = port.stopListening()
            if isinstance(stopping, Deferred):
                await stopping
        log.info("stopped")
        self._lines.close()
        return True

    # Signals

    def reload(self) -> None:
        """Do what SIGHUP asks for: forget all answers, read the hosts files again."""
        self._cache.clear()
        self._forwarder.failures.clear()
        self._warm.cleared()
        if self.leads:
            self._lines.write(report.CLEARED)
        self._hosts.reload()
        self._read_servers_file()
        self._reroute()

    def write_report(self) -> None:
        """Write statistics to the log, as for SIGUSR1."""
        stale = None if self._options.use_stale_cache_s is None else self._counters.stale
        servers = [
            report.Asked(u.server, u.sent, u.retried, _failures(u), u.nxdomain, u.srtt * 1000)
            for u in self._upstreams.all()
        ]
        told = report.statistics(time.time(), self._statistics(), self._tcp(), servers, stale=stale)
        self._highest_tcp = len(self._streams)
        for line in told:
            self._lines.write(line)

    def reopen_log(self) -> None:
        """Open the log file anew (SIGUSR2)."""
        self._lines.reopen()

    # Sockets

    def _served(self) -> list[str]:
        return [f"{host}#{self._options.port}" for host in self._listeners.hosts()]

    def _listening(self) -> set[tuple[str, int]]:
        hosts = interfaces.wanted(self._options)
        if hosts is None:
            hosts = ["", *sockets.local_addresses()]
        return {(host, self._options.port) for host in hosts}

    def _make_receiver(self, bound: socket.socket, any_address: bool) -> CacheReceiver:
        return CacheReceiver(
            bound,
            self._cache.ready,
            self._backlog,
            self._counters,
            any_address=any_address,
            recorder=self._recorder,
        )

    def _open_pages(self) -> None:
        options = self._options
        if options.healthz_port:
            self._serve("", options.healthz_port, probed(self._state))
        if options.admin_address is not None:
            self._serve(*options.admin_address, self._pages())

    def _pages(self) -> http.Pages:
        """Return the pages for operators, by path."""
        return {
            **Pages(self._parts(), time.monotonic).pages(),
            "/explain": http.with_query(self._account.page),
        }

    def _origins(self) -> Origins:
        """Return what the routes of now were made of."""
        options = _without(self._options, self._more_servers, set())
        sources = self._sources
        looping = frozenset(self._loops.looping)
        return Origins(options, sources.configured, sources.resolv_conf, looping)

    def _serve(self, host: str, port: int, pages: http.Pages) -> None:
        site = http.site(pages, self._reactor)
        with sockets.tcp(host, port) as listening:  # the reactor keeps a duplicate
            self._pages_ports.append(
                self._reactor.adoptStreamPort(listening.fileno(), listening.family, site)
            )

    def _parts(self) -> Parts:
        return Parts(
            state=self._state,
            counters=self._counters,
            cache=self._cache,
            upstreams=self._upstreams,
            sockets=self._dialer,
            failures=self._forwarder.failures,
            in_flight=lambda: self._forwarder.in_flight,
            waiting=lambda: self._forwarder.crowd.total,
            tcp=self._tcp,
            limits={
                "questions": limits.MAX_QUESTIONS,
                "questions of one group": self._forwarder.flights.max_group,
                "waiters of one question": limits.MAX_WAITERS,
                "clients waiting": self._forwarder.crowd.most,
                "tcp connections": self._options.max_tcp_connections,
                "tcp connections of one client": self.tcp_per_client,
            },
            lines=self._lines,
            query_log=self._query_log,
            feed=self._forwarder.feed,
            purges=self._forwarder.purges,
            warm=self._warm,
            observed=self._observed,
        )

    def _observe(self) -> Observed:
        return Observed(
            Recorder(),
            self._reactor,
            self._rcodes,
            self._upstreams.all,
            lambda: self._state.looping,
            lambda: self._forwarder.routes.cluster_zones,
            filters_aaaa=self._options.filter_aaaa,
        )

    def _rcodes(self) -> Counter[int]:
        """Return how many replies there were, by rcode."""
        self._cache.collect()
        sums: Counter[int] = Counter()
        for (_, rcode), count in dict(self._counters.queries).items():
            sums[rcode] += count
        return sums

    def _drop_privileges(self) -> None:
        user = self._options.user
        if not user or os.getuid() != 0 or user == "root":
            return
        try:
            found = pwd.getpwnam(user)
        except KeyError:
            raise ForwarderError(f"--user={user}: no such user") from None
        os.setgroups([])
        os.setgid(found.pw_gid)
        os.setuid(found.pw_uid)

    # Configuration

    def _rank(self, folded: bytes) -> int:
        return self._forwarder.routes.rank(folded)

    def _hosts_changed(self, lines: Any) -> None:
        self._forwarder.express.unfold_all()  # what comes back must be looked at by what holds then
        local = self._forwarder.local = LocalData(self._options, lines, self._rank)
        # A name that is known here exists, whatever its server said of another type.
        self._cache.drop_where(
            lambda key, stored: stored.rcode == rr.NXDOMAIN and local.knows(name_of(key))
        )
        self._cache.clear_ready()  # a name that is known here now may be answered by receivers

    def _config_changed(self) -> None:
        """Take over a configuration; servers that looped may loop no more."""
        self._loops.looping.clear()
        self._reroute()
        if self._options.dns_loop_detect:
            self._loops.probe(self._forwarder.routes.default.servers)

    def _read_servers_file(self) -> None:
        if self._options.servers_file:
            self._more_servers, errors = read_servers_file(self._options.servers_file)
            for error in errors:
                log.error("{error}", error=error)

    def _loop_found(self, server: Server) -> None:
        self._lines.write(report.looping(server))
        self._state.looping = self._loops.looping
        self._reroute()

    def _reroute(self) -> None:
        """Build the routes of what is in force now, and use them."""
        looping = self._loops.looping
        configured = self._sources.configured
        # Upstreams of the ConfigMap forbid resolv.conf, even when none of them is left.
        resolv_conf = () if configured.upstreams else self._sources.resolv_conf
        routes = routing.build(
            _without(self._options, self._more_servers, looping),
            replace(configured, upstreams=_others(configured.upstreams, looping)),
            _others(resolv_conf, looping),
            own=Own(self._listening(), lambda server: None),
            hosts=self._stub_hosts.addresses,
            previous=self._forwarder.routes,
        )
        for route in routes.all:
            if route.servers and route.group is None:
                route.group = self._group(route)
        self._use(routes)

    def _use(self, routes: Routes) -> None:
        servers = {server for route in routes.all for server in route.servers}
        fresh = [*routes.warnings, *self._dialer.problems(servers)]
        for warning in fresh:
            if warning not in self._told:
                log.warn("{warning}", warning=warning)
        self._told = set(fresh)
        before = self._forwarder.routes
        if not routes.same_as(before):
            for line in report.using(routes.all):
                log.info("{line}", line=line)
            self._forwarder.configure(routes)
        self._state.routes = routes
        if any(route.cluster for route in routes.all):
            servers.add(self._options.kubedns_server)
            self._neighbour.start()
        else:
            self._neighbour.stop()
        self._upstreams.retain(servers)
        self._dialer.retain(servers)
        self._stub_hosts.retain(routes.hosts)

    def _group(self, route: Route) -> Group:
        options = self._options
        policy = Policy.FASTEST
        if options.all_servers:
            policy = Policy.ALL_SERVERS
        elif options.strict_order:
            policy = Policy.STRICT_ORDER
        return Group(
            route.domain,
            [self._upstreams.get(server) for server in route.servers],
            policy=policy,
            cluster=route.cluster,
            edns_size=options.edns_packet_max,
            spelling=None if route.cluster else self._spelling,
        )

    def _look_up(self, qname: bytes, qtype: int) -> Any:
        """Resolve a stub server's name: by the cluster's server or the default ones."""
        routes = self._forwarder.routes
        route = routes.find(qname.lower())
        if not route.cluster:
            route = routes.default
        return self._prober.resolve(route.group, qname, qtype)

    def _neighbour_known(self, ours: bool) -> None:
        self._forwarder.cluster_is_ours = ours
        log.info(
            "cluster server {server}: {version}",
            server=str(self._options.kubedns_server),
            version=self._neighbour.version or "of another make",
        )

    # Looking around

    def _look_around(self) -> None:
        now = time.monotonic()
        self._state.lag.observe(max(0.0, now - self._ticked - _TICK_S))
        self._ticked = now
        self._cache.sweep(now)
        self._forwarder.failures.sweep(now)
        self._highest_tcp = max(self._highest_tcp, len(self._streams))
        self._complain(now)

    def _complain(self, now: float) -> None:
        """Log, now and then, that there is more to do than can be done."""
        stalls = self._state.stalls = self._agenda.lags
        if times := self._stalls.grown(stalls, now):
            log.warn(
                "the event loop was more than {ms:g} ms late, {times} times",
                ms=LAG_S * 1000,
                times=times,
                own=True,
            )
        reached = self._counters.limits
        if self._shed.grown(reached["questions"], now):
            self._lines.write(report.overloaded(limits.MAX_QUESTIONS))
        if self._group_shed.grown(reached["questions of one group"], now):
            self._lines.write(report.overloaded(self._forwarder.flights.max_group, of_group=True))

    def _tcp(self) -> report.Tcp:
        return report.Tcp(len(self._streams), self._highest_tcp, self._options.max_tcp_connections)

    def _statistics(self) -> Statistics:
        self._cache.collect(time.monotonic())
        counters = self._counters
        over_tcp = not self._options.cache_hits_compat
        return Statistics(
            cachesize=self._options.cache_size,
            insertions=counters.insertions,
            evictions=counters.evictions,
            misses=counters.misses + over_tcp * counters.tcp_misses,
            hits=counters.hits + over_tcp * counters.tcp_hits,
            servers=[(report.where(u.server), u.sent, _failures(u)) for u in self._upstreams.all()],
        )

    # Logs

    def _open_log(self) -> Lines:
        facility = self._options.log_facility
        path = facility if facility.startswith("/") else ""
        try:
            return Lines(path)
        except OSError as error:
            raise ForwarderError(f"cannot open log {path}: {error.strerror}") from None

    def _make_query_log(self) -> QueryLog | None:
        options = self._options
        if not options.log_queries:
            return None
        return QueryLog(
            self._lines.write,
            time.monotonic,
            lines_per_s=options.log_queries_per_s,
            extra=options.log_queries == "extra",
        )

    def observe(self, event: LogEvent) -> None:
        """Keep warnings of the log for the status page."""
        self._state.observe(event)

    def tells(self, event: LogEvent) -> bool:
        """Tell whether a line is written: what is alike for several processes is, by one."""
        return self.leads or "log_failure" in event or bool(event.get("own"))


def _cluster_zones(options: Options) -> list[bytes]:
    return [
        rule.domain
        for rule in options.servers
        if rule.server == options.kubedns_server and rule.match is Match.SUFFIX
    ]


def _depth(zones: list[bytes]) -> int:
    """Return how many labels a service's name has in the cluster's zones."""
    depths = [len(names.labels(z)) for z in zones if z != names.ROOT and not is_reverse(z)]
    return min(depths, default=USUAL_DEPTH - BELOW_ZONE) + BELOW_ZONE


def _others(servers: tuple[Server, ...], looping: set[Server]) -> tuple[Server, ...]:
    return tuple(server for server in servers if server not in looping)


def _without(options: Options, more: tuple[ServerRule, ...], looping: set[Server]) -> Options:
    """Return the options with the servers of a file, and without those that ask us in turn."""
    kept = tuple(
        rule
        for rule in (*options.servers, *more)
        if rule.domain != names.ROOT or rule.match is not Match.SUFFIX or rule.server not in looping
    )
    return replace(options, servers=kept)


def _failures(upstream: Upstream) -> int:
    return upstream.failed + upstream.timeouts
