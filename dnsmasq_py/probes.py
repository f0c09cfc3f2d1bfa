"""
Questions of our own: does a server lead back to us, and is the cluster's server of our make.

A loop probe asks each server without a domain for a name under `test` that only we can know, drawn
anew from the system's randomness (the guessable names of another server were CVE-2026-26018). If a
query for it reaches us, that server is not asked until the configuration changes.

kubedns says its make in CHAOS TXT `version.bind`. Of ours it is known that it answers RD=0 with
what the cluster has and leaves the rest to us; it is asked again every minute, and sooner while
nothing is known.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import LoopingCall

from dnsmasq_py.agenda import Agenda
from dnsmasq_py.attempt import Dialer
from dnsmasq_py.errors import ForwarderError
from dnsmasq_py.exchange import Exchange, Failure
from dnsmasq_py.question import Question
from dnsmasq_py.server import Server
from dnsmasq_py.upstreams import Group, Upstreams
from kubedns.wire import name as names
from kubedns.wire import response, rr
from kubedns.wire.question import HEADER
from kubedns.wire.response import Response

PATIENCE_S = 2.0
OURS = "kube-dns-py "
_AGAIN_S = 60.0
_SOON_S = 2.0
_TEST = names.from_text("test")
_VERSION = names.from_text("version.bind")


class Prober:
    """Puts single questions to single servers."""

    def __init__(
        self, upstreams: Upstreams, dialer: Dialer, agenda: Agenda, clock: Callable[[], float]
    ) -> None:
        self._upstreams = upstreams
        self._dialer = dialer
        self._agenda = agenda
        self._clock = clock

    def ask(
        self,
        server: Server,
        qname: bytes,
        qclass: int,
        told: Callable[[bytes | None], None],
    ) -> None:
        """Ask for TXT; told gets the reply as it came, None for failure."""
        octets = qname + rr.TXT.to_bytes(2) + qclass.to_bytes(2)
        asked = Question(octets, qname, rr.TXT, do=False, cd=False, rd=qclass == rr.IN)
        group = Group(qname, [self._upstreams.get(server)], cluster=True)
        now = self._clock()

        def finished(_: "Exchange[_Said]", outcome: "_Said | Failure") -> None:
            told(None if isinstance(outcome, Failure) else outcome.message)

        exchange = Exchange(asked, group, self._dialer, _Said, finished, now + PATIENCE_S)
        exchange.start(now)
        self._agenda.add(exchange)

    def resolve(self, group: Group | None, qname: bytes, qtype: int) -> "Deferred[Response]":
        """
        Ask a group of servers for a name, from the start of its chain to what they know of its end.

        Raises:
            ForwarderError: nobody answered; str() says what happened.
        """
        answered: Deferred[Response] = Deferred()
        if group is None:
            return fail(ForwarderError("there is no server to ask"))
        octets = qname + qtype.to_bytes(2) + rr.IN.to_bytes(2)
        asked = Question(octets, qname.lower(), qtype, do=False, cd=False, rd=True)
        now = self._clock()

        def finished(_: "Exchange[_Said]", outcome: "_Said | Failure") -> None:
            if isinstance(outcome, Failure):
                answered.errback(ForwarderError(outcome.reason))
            else:
                answered.callback(response.read(outcome.message))

        exchange = Exchange(asked, group, self._dialer, _Whole, finished, now + PATIENCE_S)
        exchange.start(now)
        self._agenda.add(exchange)
        return answered


class _Said:
    """A reply, unread."""

    __slots__ = ("message", "rcode")

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.rcode = message[3] & 15


class _Whole(_Said):
    """A reply that can be read."""

    def __init__(self, message: bytes) -> None:
        response.read(message)
        super().__init__(message)


class Loops:
    """Finds servers that ask us; found is told of each. draw: gives what a server is asked for."""

    def __init__(self, prober: Prober, found: Callable[[Server], None]) -> None:
        self.looping: set[Server] = set()
        self.draw: Callable[[Server], str] = lambda server: secrets.token_hex(8)
        self._prober = prober
        self._found = found
        self._asked: dict[bytes, Server] = {}

    def probe(self, servers: Iterable[Server]) -> None:
        """Ask servers, after every change; what was found before is forgotten."""
        self._asked = {}
        for server in servers:
            qname = names.child(self.draw(server).encode(), _TEST)
            self._asked[qname] = server
            self._prober.ask(server, qname, rr.IN, lambda _: None)

    def seen(self, folded: bytes) -> bool:
        """Hear what a client asks for; tell whether it is one of our own questions."""
        server = self._asked.get(folded)
        if server is None:
            return False
        if server not in self.looping:
            self.looping.add(server)
            self._found(server)
        return True


class Neighbour:
    """Finds out whether a cluster server is kubedns of our make; told hears when that changes."""

    def __init__(
        self, prober: Prober, server: Server, told: Callable[[bool], None], reactor: Any
    ) -> None:
        self.version = ""
        self._prober = prober
        self._server = server
        self._told = told
        self._ours = False
        self._in_s = 0.0
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Ask now, and then from time to time; nothing new if it does already."""
        if not self._loop.running:
            self._in_s = 0.0
            self._loop.start(_SOON_S, now=True)

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        self._in_s -= _SOON_S
        if self._in_s <= 0:
            self._prober.ask(self._server, _VERSION, rr.CH, self._heard)

    def _heard(self, message: bytes | None) -> None:
        self.version = "" if message is None else _text(message)
        self._in_s = _AGAIN_S if message is not None else 0.0
        # Silence says nothing new: one of another make in its place will soon speak for itself.
        ours = self._ours if message is None else self.version.startswith(OURS)
        if ours != self._ours:
            self._ours = ours
            self._told(ours)


def _text(message: bytes) -> str:
    """Return the first string of the first answer, in whatever class; empty for none."""
    try:
        if message[6:8] == b"\0\0":
            return ""
        i = names.skip(message, names.skip(message, HEADER) + 4) + 10
        return message[i + 1 : i + 1 + message[i]].decode("ascii", "replace")
    except (IndexError, names.BadNameError):
        return ""
