"""
The wiring of the sidecar, and the only file that knows every part; start and stop order.

Start: sockets of the pages first, so that a port in use ends the start, then probes and readers.
Stop: unready, then serve on until both neighbours have ended: it goes last and takes nobody along.
"""

import gc
import random
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from kubedns import __version__
from kubedns.serve import http, sockets
from sidecar import metrics, shapes
from sidecar.access import TokenFile
from sidecar.app import create_app
from sidecar.ask import Asker, query
from sidecar.asking import Rounds
from sidecar.door import Door
from sidecar.health import Health
from sidecar.neighbours import Reader
from sidecar.operators import Neighbours, Operators
from sidecar.options import Address, Options
from sidecar.poll import Poller
from sidecar.state import NOT_YET, Neighbour, Sample, State, Statistics, Warned
from sidecar.wsgi import WebApplication

log = Logger()

_THREADS = 1  # that make pages, each in a millisecond; two would only wait for the interpreter
_STACK = 512 << 10
_MAX_WARNED = 50
_LOOK_S = 0.25  # how often to look whether the neighbours have ended
_LOOK_PATIENCE_S = 0.5


class _Thread(threading.Thread):
    """
    A thread that ends with the process, whatever it does then.

    To wait for it in the reactor's thread could be for ever: it may wait for the reactor.
    """

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest, daemon=True)


class _Threads(ThreadPool):
    threadFactory = _Thread  # noqa: N815 - Twisted's


class Sidecar:
    """One process."""

    def __init__(self, options: Options, reactor: Any) -> None:
        self._options = options
        self._reactor = reactor
        began = time.time()
        self._state = State(
            began=began,
            health={each.label: Health(each, since=began) for each in options.probes},
        )
        self._warned: deque[Warned] = deque(maxlen=_MAX_WARNED)
        self._asker = Asker(reactor, time.monotonic)
        self._rounds = [self._make_rounds(health) for health in self._state.health.values()]
        self._readers = {
            "kubedns": self._make_reader("kubedns", options.kubedns_status, shapes.KUBEDNS),
            "dnsmasq": self._make_reader("dnsmasq", options.dnsmasq_status, shapes.DNSMASQ),
        }
        self._state.neighbours = {name: reader.neighbour for name, reader in self._readers.items()}
        self._poller = Poller(
            options.dnsmasq,
            options.dnsmasq_poll_interval_s,
            self._asker,
            self._polled,
            reactor=reactor,
            clock=time.monotonic,
            wall=time.time,
        )
        self._ports: list[Any] = []
        self._threads = _Threads(_THREADS, _THREADS, "pages")
        self._stopping = False

    def _make_rounds(self, health: Health) -> Rounds:
        return Rounds(
            health,
            self._asker,
            self._probed,
            reactor=self._reactor,
            clock=time.monotonic,
            wall=time.time,
            rng=random.Random(),
        )

    def _make_reader(self, name: str, address: Address | None, shape: shapes.Shape) -> Reader:
        return Reader(
            name,
            address,
            shape,
            self._read,
            reactor=self._reactor,
            clock=time.monotonic,
            wall=time.time,
            metrics=name == "dnsmasq",
        )

    # Start and stop

    async def start(self) -> None:
        """
        Open everything.

        Raises:
            KubednsError: what cannot be opened, in one line.
        """
        options = self._options
        log.info("sidecar {version}, {count} probes", version=__version__, count=len(self._rounds))
        for warning in options.warnings:
            log.warn("{warning}", warning=warning)
        self._open_pages()
        for rounds in self._rounds:
            rounds.start()
        for reader in self._readers.values():
            reader.start()
        self._poller.start()
        gc.collect()
        gc.freeze()

    async def drain(self) -> None:
        """Be unready, and serve on until the neighbours have ended or `stop` was called."""
        self._state.draining = True
        self._stop_asking()  # that probes fail from now on is no news, and no warning
        log.info("draining: serving for at most {s:g} s more", s=self._options.drain_s)
        ends = time.monotonic() + self._options.drain_s
        while time.monotonic() < ends and not self._stopping:
            if await self._alone():
                log.info("both neighbours have ended")
                return
            await deferLater(self._reactor, _LOOK_S, lambda: None)

    async def stop(self) -> bool:
        """Close everything; tell whether that was still to be done."""
        if self._stopping:
            return False
        self._stopping = self._state.draining = True
        self._stop_asking()
        for reader in self._readers.values():
            reader.stop()
        for port in self._ports:
            await _done(port.stopListening())
        log.info("stopped")
        return True

    def _stop_asking(self) -> None:
        for rounds in self._rounds:
            rounds.stop()
        self._poller.stop()

    # Pages

    def _open_pages(self) -> None:
        options = self._options
        text = metrics.exposition(self._state, options.prometheus_namespace, time.time)
        everybody, operators = (
            WebApplication(
                self._reactor,
                self._threads,
                create_app(
                    self._state, text, time.time, options.prometheus_path, operator=operator
                ).wsgi_app,
            )
            for operator in (False, True)
        )
        pages = self._make_operators()
        token = (
            None if options.operator_token_file is None else TokenFile(options.operator_token_file)
        )
        addresses = [options.prometheus]
        if options.operator_address is not None:
            addresses.append(options.operator_address)
        for host, port in addresses:
            door = Door(
                everybody,
                operators,
                pages,
                loopback=(host, port) == options.operator_address,
                check=None if token is None else token.fits,
            )
            # Each has its own: who fills the one with idle connections does not close the other.
            site = http.resource_site(door, self._reactor)
            with sockets.tcp(host, port) as listening:  # the reactor keeps a duplicate
                self._ports.append(
                    self._reactor.adoptStreamPort(listening.fileno(), listening.family, site)
                )
                port = listening.getsockname()[1]
            log.info("pages on {host} port {port}", host=host, port=port)
        before = threading.stack_size(_STACK)
        self._threads.start()
        threading.stack_size(before)

    def _make_operators(self) -> Operators:
        options = self._options
        return Operators(
            self._state,
            Neighbours(options.kubedns_status, options.dnsmasq_status),
            options.dnsmasq,
            _text(options.node_resolv_conf),
            asker=self._asker,
            reactor=self._reactor,
            clock=time.monotonic,
            wall=time.time,
        )

    # What is found out

    def _probed(self, health: Health) -> None:
        label = health.probe.label
        before = self._state.health[label]
        self._state.health = {**self._state.health, label: health}
        if before.make is not health.make:
            log.info(
                "{label}: {server} is {make} ({version})",
                label=label, server=health.probe.server, make=health.make.value,
                version=health.version or "no version told",
            )  # fmt: skip
        if health.good is not before.good or before.last is None:
            if health.good:
                log.info("probe {label} is good", label=label)
            else:
                self._warn(f"probe {label} is bad: {health.error}")

    def _read(self, neighbour: Neighbour) -> None:
        before = self._state.neighbours[neighbour.name]
        self._state.neighbours = {**self._state.neighbours, neighbour.name: neighbour}
        if before.error == NOT_YET and neighbour.error:
            log.info(
                "{name}: nothing at {where}/status yet: {error}",
                name=neighbour.name,
                where=neighbour.address,
                error=neighbour.error,
            )
        if bool(neighbour.error) is bool(before.error):
            return
        if not neighbour.error:
            version = (neighbour.status or {}).get("version")
            log.info("{name} {version} is there", name=neighbour.name, version=version)
        else:
            self._warn(f"{neighbour.name} cannot be read any more: {neighbour.error}")

    def _polled(self, told: Statistics, samples: tuple[Sample, ...]) -> None:
        self._state.statistics, self._state.samples = told, samples

    def _warn(self, text: str) -> None:
        log.warn("{text}", text=text)
        self._warned.append(Warned(time.time(), "sidecar", text))
        self._state.warned = tuple(self._warned)

    # The end

    async def _alone(self) -> bool:
        """Tell whether both neighbours have ended."""
        return await self._ended("kubedns") and await self._ended("dnsmasq")

    async def _ended(self, name: str) -> bool:
        """Tell whether nobody listens: at the page of one of ours, at the DNS port of another."""
        reader = self._readers[name]
        if reader.neighbour.status is not None and reader.address is not None:
            page = await reader.look(_LOOK_PATIENCE_S)
            return page.refused
        health = self._state.health.get(name)
        server: Address | None = self._options.dnsmasq if name == "dnsmasq" else None
        if health is not None:
            server = health.probe.host, health.probe.port
        if server is None:
            return True
        asked = query("version.bind.", "TXT", "CH")
        return (await self._asker.ask(*server, asked, _LOOK_PATIENCE_S)).refused


def _text(path: Path | None) -> str:
    """Return the text of resolv.conf; empty if there is none."""
    try:
        return "" if path is None else path.read_text(errors="replace")
    except OSError as error:
        log.warn("cannot read {path}: {error}", path=path, error=error.strerror)
        return ""


async def _done(result: Any) -> None:
    if isinstance(result, Deferred):
        await result
