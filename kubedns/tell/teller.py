"""
All listeners: what changed goes to each, from the sockets that answer; receipts come in there, too.

A listener counts a message only from the address and port that it asks, so nothing is opened here.
While a whole list is worked off, what it changes is held back, so that much of it becomes one "all
of the zone"; but not so long that wrong answers stay in a cache.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.logger import Logger

from kubedns.tell.session import Session, State
from kubedns.tell.waiting import MAX_NAMES, Waiting, covering
from kubedns.zone.tree import Change

log = Logger()

_HOLD_S = 0.25
_INSTANCE = 8  # octets

Target = tuple[str, int]  # IP address and port


@dataclass(slots=True)
class _Line:
    """One listener: its session, the timer of its deadline, what the log said of it last."""

    target: Target
    session: Session
    timer: Any = None
    said: str = ""


class Teller:
    """
    See the head of this module.

    zone: folded, in wire form. serial: gives the zone's. send: sends octets to an address and a
    port from where queries are answered, or raises OSError.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        zone: bytes,
        serial: Callable[[], int],
        send: Callable[[bytes, str, int], None],
        reactor: Any,
        draw: Callable[[], bytes] = lambda: secrets.token_bytes(_INSTANCE),
    ) -> None:
        self._session = partial(Session, zone, serial, draw)
        self._lines = {target: _Line(target, self._session()) for target in targets}
        self._send = send
        self._reactor = reactor
        self._held = Waiting()
        self._held_since: float | None = None

    def start(self) -> None:
        """Greet everybody."""
        for line in self._lines.values():
            self._act(line, line.session.start)

    def stop(self) -> None:
        """Say no more; listeners notice the silence."""
        for line in self._lines.values():
            if line.timer is not None and line.timer.active():
                line.timer.cancel()
        self._lines = {}

    def changed(self, change: Change, *, more: bool = False) -> None:
        """Tell a change; more: others of the same list follow, and the last one says so."""
        if change and any(line.session.gathers for line in self._lines.values()):
            many = self._held.everything or len(change.tags) > MAX_NAMES
            self._held.add(None if many else covering(change.names()))
        now = self._reactor.seconds()
        if more:
            if self._held_since is None:
                self._held_since = now
            if now - self._held_since < _HOLD_S:
                return
        self._held_since = now if more else None
        if self._held:
            held, self._held = self._held, Waiting()
            self._tell(None if held.everything else held.names)

    def everything(self) -> None:
        """Tell that anything may have changed."""
        self._tell(None)

    def received(self, message: bytes, client: tuple[Any, ...]) -> bool:
        """
        Take in what came to our sockets and is no query; client: its socket address.

        False: it is nothing that a listener says. dnsmasq hands a NOTIFY to its own upstreams: what
        comes back may have any opcode.
        """
        line = self._lines.get((client[0].removeprefix("::ffff:"), client[1]))
        is_reply = bool(message[2] & 0x80)
        if line is None or not (is_reply or line.session.sent(message)):
            return False
        self._act(line, partial(line.session.received, message))
        return True

    def status(self) -> list[dict[str, object]]:
        """Describe each session for /status."""
        now = self._reactor.seconds()
        return [
            {
                "to": _text(line.target),
                "state": line.session.state.value,
                "why": line.session.why if line.session.state is State.OFF else None,
                "serial": line.session.known,
                "waiting": "all" if line.session.waiting is None else line.session.waiting,
                "receipt_age_s": _age(line.session.heard, now),
                "counts": dict(line.session.counts),
            }
            for line in self._lines.values()
        ]

    def sessions(self) -> Iterator[tuple[str, Session]]:
        """Give each listener's address in text and its session."""
        for line in self._lines.values():
            yield _text(line.target), line.session

    def _tell(self, changed: Collection[bytes] | None) -> None:
        for line in self._lines.values():
            if line.session.gathers:
                self._act(line, partial(line.session.tell, changed))

    def _act(self, line: _Line, step: Callable[..., bytes | None]) -> None:
        """Let a session do something; send what it says, arm its timer, log how it stands."""
        now = self._reactor.seconds()
        try:
            message = step(now=now)
        except Exception:  # what it knew may be wrong now: a new one makes the listener trust less
            log.failure("the session with {to} begins anew", to=_text(line.target))
            line.session = self._session()
            message = line.session.start(now)
        if message is not None:
            try:
                self._send(message, *line.target)
            except OSError as error:  # as good as lost: it is said again
                line.session.counts["send errors"] += 1
                self._say(line, f"cannot tell changes to {_text(line.target)}: {error.strerror}")
        self._arm(line)
        self._report(line)

    def _arm(self, line: _Line) -> None:
        left = max(0.0, line.session.deadline - self._reactor.seconds())
        if line.timer is not None and line.timer.active():
            line.timer.reset(left)
        else:
            line.timer = self._reactor.callLater(left, self._act, line, line.session.timed_out)

    def _report(self, line: _Line) -> None:
        session, to = line.session, _text(line.target)
        if session.state is State.OFF:
            self._say(line, f"{to} {session.why}: it is not told of changes, but asked again")
        elif session.state is State.TOLD and session.known is not None:
            self._say(line, f"telling changes to {to}")
        elif session.known is not None:
            self._say(line, f"lost the session with {to}: greeting it again")

    def _say(self, line: _Line, text: str) -> None:
        """Log what was not the last thing said."""
        if line.said != text:
            line.said = text
            log.info("{text}", text=text)


def _text(target: Target) -> str:
    host, port = target
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _age(moment: float | None, now: float) -> float | None:
    return None if moment is None else round(now - moment, 3)
