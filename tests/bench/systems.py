"""The systems under test: what each is given, and what it is while it runs."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import memory
from tests.bench.machine import SERVER_CORES
from tests.bench.process import Server
from tests.bench.programs import UnavailableError, compiled
from tests.realapi.ports import free_port

POD = "kube-dns-py"
KUBEDNS = "kubedns"
FORWARDER = "dnsmasq_py"
SIDECAR = "sidecar"
DNSMASQ = "dnsmasq"
COREDNS = "CoreDNS"
UNBOUND = "unbound"
POD_PUBLISHED = "kube-dns-py with --no-negcache"
POD_PLAIN = "kube-dns-py, pure Python"
ECHO = "C echo"

ROOM = 20_000
"""Answers that a cache holds: as many as CoreDNS' default, half of them negative ones."""

_START_S = 60.0
_SETTLE_S = 0.3


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream listens."""

    host: str
    port: int

    def written(self, mark: str) -> str:
        """Return host and port with a mark between them; each program has its own."""
        return f"{self.host}{mark}{self.port}"


@dataclass(frozen=True, slots=True)
class Authority:
    """By whom upstreams that speak TLS are known: a PEM file, and the name in the certificates."""

    file: Path
    name: str


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What a system is started with.

    source: of the cluster, a kubeconfig file or a folder of objects; None: there is no cluster.
    room: answers for the cache. negative: of upstreams too, where dnsmasq's options can say so.
    keep_s: the longest time that CoreDNS keeps an answer. tls: the upstreams speak TLS. feed: of
    changes, in ours. more: further options of our forwarder. commands: other ways to start ours, by
    name.
    """

    scratch: Path
    source: Path | None = None
    upstreams: Sequence[Address] = ()
    room: int = ROOM
    negative: bool = False
    keep_s: int = 30
    tls: Authority | None = None
    feed: bool = True
    more: Sequence[str] = ()
    cores: frozenset[int] = SERVER_CORES
    commands: Mapping[str, Sequence[str | Path]] = field(default_factory=dict)

    @property
    def octets(self) -> int:
        """Return so many octets that no cache is full by them before it is full by answers."""
        return max(16 << 20, self.room * 1_000)


@dataclass(frozen=True, slots=True)
class Running:
    """
    A started system and where it is asked.

    processes: that which clients ask first. ready_url: what says 200 once the cluster is known.
    feed_url: the status of our forwarder. per_connection: questions over one TCP connection before
    the system closes it.
    """

    name: str
    processes: Sequence[Server]
    dns_port: int
    ready_url: str = ""
    feed_url: str = ""
    per_connection: int | None = None

    def cpu_s(self) -> float:
        """Return the CPU time, user and system, of all its processes so far."""
        return sum(process.cpu_s() for process in self.processes)

    def memory_mb(self) -> float:
        """Return what all of it takes, each page of a file counted once (PSS if it were alone)."""
        return memory.alone(pid for one in self.processes for pid in one.tree()) / 1e6

    def alive(self) -> bool:
        return all(process.alive() for process in self.processes)

    def last_words(self) -> str:
        """Return the last line that each process wrote."""
        return "; ".join(one.last_words().rpartition("\n")[2] for one in self.processes)

    def wait(self) -> None:
        """
        Wait until it listens, knows its cluster, and is told of changes if it can be.

        No question is asked: nothing may be learned or cached before a measurement.

        Raises:
            UnavailableError: it ended, or this does not come in time.
        """
        deadline = time.monotonic() + _START_S
        while not self._is_ready():
            if not self.alive() or time.monotonic() > deadline:
                raise UnavailableError(f"{self.name} does not start: {self.last_words()}")
            time.sleep(0.02)
        time.sleep(_SETTLE_S)

    def ready(self) -> bool:
        """Ask once whether it says that it knows the cluster."""
        return not self.ready_url or _page(self.ready_url) is not None

    def _is_ready(self) -> bool:
        return self._listens() and self.ready() and (not self.feed_url or self._is_fed())

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.dns_port), 1.0).close()
        except OSError:
            return self.name == ECHO
        return True

    def _is_fed(self) -> bool:
        found = json.loads(_page(self.feed_url) or "{}")
        return bool((found.get("feed") or {}).get("alive"))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep its processes from running meanwhile."""
        for process in self.processes:
            process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self.processes:
                process.send(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once: no one waits for it to drain."""
        for process in self.processes:
            process.kill()


@dataclass(frozen=True, slots=True)
class System:
    """A program, or several, to measure; ``start`` does not wait until they are ready."""

    name: str
    start: Callable[[Setting], Running]

    @contextmanager
    def running(self, setting: Setting, *, ready: bool = True) -> Iterator[Running]:
        """
        Start it, wait until it is ready if that is wanted, and stop it in the end.

        Raises:
            UnavailableError: it is not there, or does not start.
        """
        started = self.start(setting)
        try:
            if ready:
                started.wait()
            yield started
        finally:
            started.stop()

    def named(self, name: str, **changes: object) -> System:
        """Return it under another name, started with a setting that differs in these fields."""

        def start(setting: Setting) -> Running:
            changed = replace(setting, **changes)  # type: ignore[arg-type]
            return replace(self.start(changed), name=name)

        return System(name, start)


def _start_echo(setting: Setting) -> Running:
    port = free_port()
    log = setting.scratch / "echo.log"
    return Running(ECHO, [Server([compiled("echo.c"), str(port)], log=log)], port)


ECHO_SYSTEM = System(ECHO, _start_echo)
"""The floor: a C program that only sends packets back."""


def _page(url: str) -> str | None:
    """Return a page, or None if there is none that says 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            text: bytes = reply.read()
            return text.decode()
    except OSError:  # urllib.error.URLError and HTTPError too
        return None
