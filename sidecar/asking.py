"""
The rounds of one probe: what to ask in each, what its answers mean, and when the next one begins.

As the original: the first round after a random delay, the next ones an interval apart, however long
each took; good is a reply whose answer section is not empty, whatever its rcode. The start differs:
the first delay is at most a second, not an interval, and for half a minute a server that has not
been good yet is asked each second. A pod that starts is not ready before it is known that it
answers, and that should not take five seconds more; of a hundred pods that start together each
still asks at its own moment.

The make of a server is asked along with the question, see health.py; once a minute if it decides
nothing, or if the server answers questions but not this one: a round waits for both answers.
"""

import random
import re
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from sidecar.ask import Answer, query
from sidecar.health import Health, Make, Round
from sidecar.probe import Probe

log = Logger()

_FIRST_S = 1.0
_STARTING_S = 30.0
_SELDOM_S = 60.0
_MAX_VERSION = 100  # characters


class Asks(Protocol):
    """Asker, or a fake of it."""

    def ask(
        self, host: str, port: int, asked: dns.message.QueryMessage, patience_s: float
    ) -> Coroutine[Any, Any, Answer]: ...


class Rounds:
    """
    Keeps one probe going; told hears its health after each round.

    reactor: for timers. clock: monotonic seconds. wall: seconds since the epoch.
    """

    def __init__(
        self,
        health: Health,
        asker: Asks,
        told: Callable[[Health], None],
        *,
        reactor: Any,
        clock: Callable[[], float],
        wall: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._health = health
        self._asker = asker
        self._told = told
        self._reactor = reactor
        self._clock = clock
        self._wall = wall
        self._rng = rng
        self._began = 0.0
        self._next: Any = None
        self._stopped = False
        self._make_asked_at = float("-inf")

    def start(self) -> None:
        """Begin."""
        self._began = self._clock()
        self._later(self._rng.uniform(0.0, min(_FIRST_S, self._health.probe.interval_s)))

    def stop(self) -> None:
        """Ask no more; a round that is under way is forgotten."""
        self._stopped = True
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _later(self, delay_s: float) -> None:
        self._next = self._reactor.callLater(delay_s, self._go)

    def _go(self) -> None:
        Deferred.fromCoroutine(self._round()).addErrback(
            lambda failure: log.failure("while probing {label}", failure, label=self._label)
        )

    @property
    def _label(self) -> str:
        return self._health.probe.label

    async def _round(self) -> None:
        began = self._clock()
        try:
            found = await self._ask(began)
            if not self._stopped:
                self._health = self._health.after(found)
                self._told(self._health)
        finally:
            if not self._stopped:
                took_s = self._clock() - began
                self._later(max(0.0, self._interval_s() - took_s))

    def _interval_s(self) -> float:
        health = self._health
        ever_good = health.rounds > health.errors
        if ever_good or self._clock() - self._began > _STARTING_S:
            return health.probe.interval_s
        return min(_FIRST_S, health.probe.interval_s)

    async def _ask(self, now: float) -> Round:
        probe = self._health.probe
        asked = [self._put(probe, query(probe.qname, probe.rtype))]
        if self._make_matters() or now - self._make_asked_at >= _SELDOM_S:
            self._make_asked_at = now
            asked.append(self._put(probe, query("version.bind.", "TXT", "CH")))
        answer, *make = await gatherResults(asked)
        return Round(
            at=self._wall(),
            latency_s=None if answer.reply is None else answer.took_s,
            error=trouble(probe, answer),
            replied=any(each.reply is not None for each in (answer, *make)),
            version=version(make[0].reply) if make and make[0].reply is not None else None,
        )

    def _make_matters(self) -> bool:
        """
        Tell whether to ask for the make now: unless it is foreign, or kept to itself.

        After a round without any reply somebody else may have come.
        """
        health = self._health
        if health.last is not None and not health.last.replied:
            return True
        if health.make is not Make.UNKNOWN:
            return health.make is Make.OURS
        return health.latency_s is None

    def _put(self, probe: Probe, asked: dns.message.QueryMessage) -> "Deferred[Answer]":
        return Deferred.fromCoroutine(
            self._asker.ask(probe.host, probe.port, asked, probe.patience_s)
        )


def trouble(probe: Probe, answer: Answer) -> str:
    """
    Return why an answer is not good, empty if it is.

    The original's words, and behind them what the reply says of the reason.
    """
    if answer.reply is None:
        return answer.error
    if answer.reply.answer:
        return ""
    reply = answer.reply
    told = [] if reply.rcode() == dns.rcode.NOERROR else [dns.rcode.to_text(reply.rcode())]
    told += [each.to_text() for each in reply.extended_errors()]
    reason = f" ({', '.join(told)})" if told else ""
    return f'no RRs for domain "{probe.qname}"{reason}'


def version(reply: dns.message.Message) -> str:
    """Return what a reply to version.bind tells; empty: nothing. Printable, and bounded."""
    for rrset in reply.answer:
        if rrset.rdtype == dns.rdatatype.TXT:
            text = b"".join(rrset[0].strings).decode("ascii", "replace")
            return re.sub(r"[^ -~]", "?", text)[:_MAX_VERSION]
    return ""
