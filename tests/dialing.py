"""A dialer on a bench: with exchanges that record, a clock of its own, and an upstream by hand."""

import select
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.task import Clock

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.counters import Counters
from dnsmasq_py.dial import Dialer
from dnsmasq_py.options import Options
from dnsmasq_py.server import Server
from tests.realapi.waiting import ready

OCTETS = b"\3wWw\7example\3com\0\0\1\0\1"


def query_of(octets: bytes) -> bytes:
    """Return a query behind its ID, with EDNS."""
    opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    return struct.pack(">HHHHH", 0x0100, 1, 0, 0, 1) + octets + opt


def reply(query: bytes, octets: bytes = OCTETS) -> bytes:
    """Return an empty answer to a query."""
    return query[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + octets


class Exchange:
    """Records what it is told. over: what `received` says; then: what else it does there."""

    def __init__(
        self, *, over: bool = True, then: Callable[[Attempt], object] | None = None
    ) -> None:
        self.over = over
        self.then = then
        self.messages: list[bytes] = []
        self.reasons: list[str] = []
        self.bare = 0

    def received(self, attempt: Attempt, message: bytes, now: float) -> bool:
        """Record an answer."""
        self.messages.append(message)
        if self.then:
            self.then(attempt)
        return self.over

    def failed(self, attempt: Attempt, reason: str, now: float) -> None:
        """Record a failure."""
        self.reasons.append(reason)

    def bare_refusal(self, attempt: Attempt, now: float) -> None:
        """Record a header alone."""
        self.bare += 1


class Asked:
    """What is known of a server; keeps_case: another letter case will not do."""

    _known: dict[Server, "Asked"] = {}  # noqa: RUF012

    def __init__(self, server: Server) -> None:
        self.server = server
        self.keeps_case = False

    def saw_other_case(self) -> bool:
        """Tell whether another letter case will do."""
        return not self.keeps_case

    @classmethod
    def of(cls, server: Server) -> "Asked":
        """Return the same for the same server."""
        return cls._known.setdefault(server, cls(server))


class OneAttempt:
    """What the dialer sees of an attempt."""

    def __init__(
        self, exchange: Exchange, server: Server, now: float, *, octets: bytes, tcp: bool
    ) -> None:
        self.exchange = exchange
        self.upstream = Asked.of(server)
        self.octets = octets
        self.message = query_of(octets)
        self.sent_at = now
        self.tcp = tcp
        self.edns = True


def attempt_of(
    exchange: Exchange,
    server: Server,
    now: float,
    *,
    octets: bytes = OCTETS,
    tcp: bool = False,
) -> Attempt:
    """Return a new attempt."""
    return cast(Attempt, OneAttempt(exchange, server, now, octets=octets, tcp=tcp))


class Reactor(Clock):
    """A clock, with the one reader of a dialer."""

    reader: Any = None

    def addReader(self, reader: Any) -> None:  # noqa: N802
        """Take the reader."""
        assert self.reader is None
        self.reader = reader

    def removeReader(self, reader: Any) -> None:  # noqa: N802
        """Forget the reader."""
        self.reader = None

    def wait(self) -> None:
        """Wait until there is something to read."""
        assert self.reader is not None
        assert ready(self.reader, select.POLLIN, 20)

    def read(self) -> None:
        """Read what has come; something has to."""
        self.wait()
        self.reader.doRead()


class Upstream:
    """A socket that is asked, and answers when the test says so."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((host, port))
        self.socket.settimeout(20)
        self.port: int = self.socket.getsockname()[1]
        self.server = Server(host, self.port)

    def __enter__(self) -> "Upstream":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def query(self) -> tuple[bytes, Any]:
        """Return the next query and where it came from."""
        return self.socket.recvfrom(4096)

    def queries(self, count: int) -> list[tuple[bytes, Any]]:
        """Return the next so many queries."""
        return [self.query() for _ in range(count)]


class Bench:
    """A dialer, its clock, and an upstream."""

    def __init__(self, options: Options, most: int, upstream: Upstream) -> None:
        self.reactor = Reactor()
        self.counters = Counters()
        self.upstream = upstream
        self.dialer = Dialer(
            self.reactor, self.counters, options, clock=self.reactor.seconds, most=most
        )

    def attempt(self, exchange: Exchange | None = None, server: Server | None = None) -> Attempt:
        """Return an attempt that is not sent."""
        now = self.reactor.seconds()
        return attempt_of(exchange or Exchange(), server or self.upstream.server, now)

    def send(self, exchange: Exchange | None = None, server: Server | None = None) -> Attempt:
        """Send an attempt."""
        attempt = self.attempt(exchange, server)
        self.dialer.send(attempt, self.reactor.seconds())
        return attempt

    def answer(self, message: bytes, to: Any) -> None:
        """Let the upstream send something, and read it."""
        self.upstream.socket.sendto(message, to)
        self.reactor.read()

    def sources(self, count: int) -> list[int]:
        """Send so many attempts, which are all answered; return their source ports."""
        ports = []
        for _ in range(count):
            self.send()
            query, client = self.upstream.query()
            ports.append(client[1])
            self.answer(reply(query), client)
        return ports

    @property
    def bad(self) -> dict[str, int]:
        """Return what was counted as no answer."""
        return dict(self.counters.bad_replies)


def closed_port() -> Server:
    """Return a server that is not there."""
    with Upstream() as gone:
        return gone.server
