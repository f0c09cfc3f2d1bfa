"""
io: a question put to servers directly, each once and all at the same time, to see what they say.

Nothing of it is stored, and nothing is learnt of the servers by it: what an operator tries out must
not change whom clients' questions go to. The dialer carries it like any attempt: UDP from a fresh
port, TCP where the reply is cut, TLS where the server wants that.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from dnsmasq_py import scrub, sentences
from dnsmasq_py.attempt import Attempt, Dialer
from dnsmasq_py.explain import texts
from dnsmasq_py.question import Question
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.upstream import Upstream
from dnsmasq_py.upstreams import EDNS_SIZE, Upstreams
from kubedns.wire import response
from kubedns.wire.question import WireError

PATIENCE_S = 2.0
MOST_SERVERS = 5
MOST_TRIES = 2  # at the same time
_TC = 2

Found = dict[str, Any]
"""What one server said, fit for JSON; see account.py."""


class Live:
    """See the head of this module. clock: the dialer's monotonic seconds."""

    def __init__(
        self, dialer: Dialer, reactor: Any, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.dialer = dialer
        self.reactor = reactor
        self.clock = clock
        self._upstreams = Upstreams()  # not those by which clients' questions go
        self._tries = 0

    @property
    def is_busy(self) -> bool:
        """Tell whether so many tries are under way that one more is refused."""
        return self._tries >= MOST_TRIES

    def ask(
        self, servers: Sequence[Server], asked: Question, *, plain: frozenset[Server]
    ) -> "Deferred[list[Found]]":
        """
        Ask the first few of some servers; the answer comes within PATIENCE_S.

        plain: those that are known not to like EDNS.
        """
        chosen = list(servers)[:MOST_SERVERS]
        told: Deferred[list[Found]] = Deferred()
        if not chosen:
            told.callback([])
            return told
        self._tries += 1
        self._upstreams.retain({each.server for each in self._upstreams.all()} & set(chosen))
        found: dict[int, Found] = {}

        def said(number: int, what: Found) -> None:
            found[number] = what
            if len(found) == len(chosen):
                self._tries -= 1
                told.callback([found[each] for each in sorted(found)])

        for number, server in enumerate(chosen):
            trial = _Trial(self, self._upstreams.get(server), asked, number, said)
            trial.start(edns=server not in plain)
        return told


class _Trial:
    """One server, asked once: what an attempt has in place of an Exchange."""

    def __init__(
        self,
        live: Live,
        upstream: Upstream,
        asked: Question,
        number: int,
        told: Callable[[int, Found], None],
    ) -> None:
        self._live = live
        self._upstream = upstream
        self._asked = asked
        self._number = number
        self._told = told
        self._began = live.clock()
        self._attempt: _Sent | None = None
        self._timer: Any = None
        self._edns = True

    def start(self, *, edns: bool) -> None:
        """Send it off; the outcome never comes before this has returned."""
        self._edns = edns
        self._timer = self._live.reactor.callLater(PATIENCE_S, self._silent)
        self._send(tcp=self._upstream.is_stream)

    def _send(self, *, tcp: bool) -> None:
        now = self._live.clock()
        attempt = _Sent(self, self._upstream, self._asked, now, edns=self._edns, tcp=tcp)
        self._attempt = attempt
        try:
            self._live.dialer.send(attempt, now)
        except OSError as error:
            reason = error.strerror or str(error)
            self._live.reactor.callLater(0, self.failed, attempt, reason, now)

    def received(self, attempt: "_Sent", message: bytes, now: float) -> bool:
        """Take the reply; see attempt.Dialer."""
        if attempt is not self._attempt:
            return True
        if message[2] & _TC and not attempt.tcp:
            self._send(tcp=True)
            return True
        try:
            found = response.read(message)
            error = scrub.extended_error(message)
        except (WireError, IndexError) as broken:
            self._end(error=f"a broken reply: {broken}")
            return True
        answers = texts.answers(found)
        self._end(
            rcode=texts.rcode_text(found.rcode),
            answers=answers[: texts.MAX_ANSWERS],
            answer_count=len(answers),
            chain=texts.chain(found),
            ede=None if error is None else _ede(sentences.cleaned(error)),
        )
        return True

    def failed(self, attempt: "_Sent", reason: str, now: float) -> None:
        """Hear that no reply will come."""
        if attempt is self._attempt:
            self._end(error=reason)

    def bare_refusal(self, attempt: "_Sent", now: float) -> None:
        """Hear of a header alone with FORMERR or NOTIMP: it may be forged, waiting goes on."""

    def _silent(self) -> None:
        if self._attempt is not None:
            self._live.dialer.cancel(self._attempt)
        self._end(error=f"timed out after {PATIENCE_S:.1f} s")

    def _end(self, *, error: str | None = None, **said: Any) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        if self._timer.active():
            self._timer.cancel()
        empty: Found = {"rcode": None, "answers": [], "answer_count": 0, "chain": [], "ede": None}
        self._told(
            self._number,
            {
                "server": texts.place(self._upstream.server),
                "transport": _transport(self._upstream.server, tcp=attempt.tcp),
                **empty,
                **said,
                "ms": round(1000 * (self._live.clock() - self._began), 1),
                "error": error,
            },
        )


class _Sent(Attempt):
    """One query of a trial."""

    __slots__ = ()

    def __init__(
        self,
        trial: _Trial,
        upstream: Upstream,
        asked: Question,
        now: float,
        *,
        edns: bool,
        tcp: bool,
    ) -> None:
        self.exchange: Any = trial
        self.upstream = upstream
        self.octets = asked.octets
        self.message = asked.query(asked.octets, EDNS_SIZE if edns else None)
        self.edns = edns
        self.tcp = tcp
        self.beside = False
        self.sent_at = now
        self.soft_at = now + PATIENCE_S
        self.open = True
        self.lost = False


def _transport(server: Server, *, tcp: bool) -> str:
    if server.transport is Transport.UDP:
        return "tcp" if tcp else "udp"
    return str(server.transport.value)


def _ede(error: tuple[int, str]) -> dict[str, Any]:
    return {"code": error[0], "text": error[1]}
