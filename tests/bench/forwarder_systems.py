"""The forwarders under test, all with the same upstreams and room for as many answers."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import Server
from tests.bench.systems import COREDNS, FORWARDER, Running, UnavailableError
from tests.realapi.controlplane import program
from tests.realapi.ports import free_port

DNSMASQ = "dnsmasq"
ALL_SERVERS = "dnsmasq --all-servers"
UNBOUND = "unbound"

CACHE_SIZE = 10_000
"""Answers that fit into the cache, unless a measurement wants more."""

_DNSMASQ_TCP_QUESTIONS = 100  # then its child process ends: TCP_MAX_QUERIES in its source
_START_S = 20.0
_SETTLE_S = 0.3

_COREFILE = """\
.:{port} {{
    bind 127.0.0.1
    errors
    cache {{
        success {size}
        denial {size}
    }}
    forward . {servers}
}}
"""

_UNBOUND_CONF = """\
server:
    do-daemonize: no
    use-syslog: no
    username: ""
    chroot: ""
    pidfile: ""
    directory: "{folder}"
    interface: 127.0.0.1
    port: {port}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    num-threads: 1
    msg-cache-size: {octets}
    rrset-cache-size: {octets}
remote-control:
    control-enable: no
forward-zone:
    name: "."
{servers}
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream listens."""

    host: str
    port: int

    def written(self, mark: str) -> str:
        """Return host and port with a mark between them; each program has its own."""
        return f"{self.host}{mark}{self.port}"


@dataclass(frozen=True, slots=True)
class Forwarder:
    """
    A forwarder to measure.

    ``argv`` returns its command line, given the port to listen on, the upstreams and the size of
    the cache; files that it needs go to ``scratch``.
    """

    name: str
    argv: Callable[[int, Sequence[Address], int], list[str | Path]]
    scratch: Path
    per_connection: int | None = None

    @contextmanager
    def running(
        self, upstreams: Sequence[Address], cache_size: int = CACHE_SIZE
    ) -> Iterator[Running]:
        """
        Start it, wait until it listens, and stop it in the end.

        Raises:
            UnavailableError: it ended, or it does not listen in time.
        """
        port = free_port()
        log = self.scratch / f"{port}.log"
        process = Server(self.argv(port, upstreams, cache_size), log=log)
        one = Running(self.name, process, port, per_connection=self.per_connection)
        try:
            _wait_until_it_listens(one)
            yield one
        finally:
            one.stop()


def available(found: Sequence[Forwarder]) -> tuple[list[Forwarder], list[str]]:
    """Start each once: return those that work here, and for every other one why it does not."""
    working, reasons = [], []
    for forwarder in found:
        try:
            with forwarder.running([Address("127.0.0.1", free_port())]):
                working.append(forwarder)
        except UnavailableError as reason:
            reasons.append(str(reason))
    return working, reasons


def forwarders(scratch: Path, command: Sequence[str] = ()) -> list[Forwarder]:
    """
    Return all, ours first.

    ``command`` is another way to start ours than as a module of this Python.
    """
    start_it = list(command) or [sys.executable, "-m", "dnsmasq_py"]
    config = scratch / "config"
    config.mkdir(exist_ok=True)

    def ours(port: int, upstreams: Sequence[Address], cache_size: int) -> list[str | Path]:
        return [
            *start_it,
            f"--configDir={config}",
            "--admin-address=",
            f"--cache-bytes={_octets(cache_size)}",
            "--",
            *_options(port, upstreams, cache_size),
        ]

    def dnsmasq(port: int, upstreams: Sequence[Address], cache_size: int) -> list[str | Path]:
        alone = ["--conf-file=/dev/null", "--pid-file", "--user=root"]
        return [_found("dnsmasq"), *alone, *_options(port, upstreams, cache_size)]

    def all_servers(port: int, upstreams: Sequence[Address], cache_size: int) -> list[str | Path]:
        return [*dnsmasq(port, upstreams, cache_size), "--all-servers"]

    def coredns(port: int, upstreams: Sequence[Address], cache_size: int) -> list[str | Path]:
        servers = " ".join(each.written(":") for each in upstreams)
        corefile = scratch / f"Corefile.{port}"
        corefile.write_text(_COREFILE.format(port=port, size=cache_size, servers=servers))
        return [_found("coredns"), "-conf", corefile]

    def unbound(port: int, upstreams: Sequence[Address], cache_size: int) -> list[str | Path]:
        servers = "\n".join(f"    forward-addr: {each.written('@')}" for each in upstreams)
        conf = scratch / f"unbound.{port}.conf"
        octets = _octets(cache_size)
        conf.write_text(
            _UNBOUND_CONF.format(folder=scratch, port=port, octets=octets, servers=servers)
        )
        return [_found("unbound"), "-d", "-c", conf]

    programs = {
        FORWARDER: ours,
        DNSMASQ: dnsmasq,
        ALL_SERVERS: all_servers,
        COREDNS: coredns,
        UNBOUND: unbound,
    }
    limits = {DNSMASQ: _DNSMASQ_TCP_QUESTIONS, ALL_SERVERS: _DNSMASQ_TCP_QUESTIONS}
    return [Forwarder(name, argv, scratch, limits.get(name)) for name, argv in programs.items()]


def _octets(cache_size: int) -> int:
    """Return so many octets that no cache is full by them before it is full by answers."""
    return max(16 << 20, cache_size * 1_000)


def _options(port: int, upstreams: Sequence[Address], cache_size: int) -> list[str]:
    """Return the options that dnsmasq and ours share."""
    return [
        "--keep-in-foreground",
        f"--port={port}",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--no-resolv",
        "--no-hosts",
        f"--cache-size={cache_size}",
        *(f"--server={each.written('#')}" for each in upstreams),
    ]


def _found(name: str) -> Path:
    found = program(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise UnavailableError(f"no {name}; tests/setup-tools.sh gets it")
    return Path(found)


def _wait_until_it_listens(one: Running) -> None:
    """Wait without a question: nothing may be learned or cached before a measurement."""
    deadline = time.monotonic() + _START_S
    while one.process.alive() and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", one.dns_port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            time.sleep(_SETTLE_S)
            return
    last = one.process.last_words().splitlines()[-1:] or ["nothing"]
    raise UnavailableError(f"{one.name} does not listen; it said last: {last[0]}")
