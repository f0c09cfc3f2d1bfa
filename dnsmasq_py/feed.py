"""
The change feed, heard: kubedns tells which names changed, as a machine without IO.

The messages: kubedns.wire.notify; what a change drops: purge.py.

- Who may speak: the exact address and port of the cluster's server, over UDP, and but for HELLO
  with the key of the session. Others get NOTIMP, as from any server that knows no NOTIFY.
- HELLO gets WELCOME with the key that is offered, and changes nothing: it may be forged, and the
  session that lives goes on. The offer stays the same until it is used, so a flood of HELLOs takes
  it from nobody. The first message with the offered key begins the session.
- A serial that does not follow on what we know, or another instance: we missed something. Then
  nothing that we have of the cluster is trusted any more; it may be served stale.
- Serials of an instance only grow: a message that ends before what we know came late or is
  repeated by somebody. It gets its receipt and does nothing, else each would cost the whole cache.
- No message for 3 s: the feed is over. Positive answers keep their TTL, negative ones are dropped
  and not kept any more, as if there had never been one. If it comes back with the serial that we
  know, nothing was missed.

Invariants: `instance` and `serial` are those of the last message that was taken. Nothing is purged
on the word of a message without the key. A receipt is made when all that its message says was done.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any, Protocol

from dnsmasq_py.server import Server
from kubedns.wire import notify, rr
from kubedns.wire.notify import Kind, Notice, NotifyError

SILENCE_S = 3.0
_MAX_HELLOS = 50  # a second; a teller says it ten times a second at most
_SAY_AGAIN_S = 10.0
_NOBODY = b""


class Purged(Protocol):
    """What is told; see purge.Purges."""

    def purge(self, changed: tuple[bytes, ...]) -> None: ...
    def purge_all(self) -> None: ...
    def suspect_all(self, now: float) -> None: ...
    def leave_alone(self, now: float) -> None: ...


class Feed:
    """
    See the head of this module. Times are monotonic seconds; the agenda calls `timed_out`.

    teller: the cluster's server. is_ours: tells of a folded zone whether we ask that server about
    it. book: puts this on the agenda. say: takes lines for the log.
    messages: by kind, those that were taken. refused: by reason. out_of_step: how often we missed
    something; begun: how often a feed began.
    """

    def __init__(
        self,
        teller: Server,
        purges: Purged,
        is_ours: Callable[[bytes], bool],
        book: Callable[["Feed"], None],
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.teller = teller
        self.say: Callable[[str], object] = lambda _: None
        self.alive = False
        self.instance = _NOBODY
        self.serial = 0
        self.heard = -inf
        self.messages: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.out_of_step = 0
        self.begun = 0
        self.due = self.booked = inf
        self.agenda: Any = None
        self._purges = purges
        self._is_ours = is_ours
        self._book = book
        self._draw = draw
        self._key = b""
        self._offered = b""
        self._second = 0
        self._hellos = 0
        self._silent_until = -inf

    def is_alive(self, now: float) -> bool:
        """Tell whether changes are told: what is missing may be kept."""
        return self.alive and now < self.heard + SILENCE_S

    def received(
        self, message: bytes, sender: tuple[str, int], now: float, *, tcp: bool
    ) -> bytes | int | None:
        """
        Take a NOTIFY; return its receipt, or the rcode to refuse it with, or None for silence.

        message: not a response. sender: IP address and port.
        """
        notice = self.admit(message, sender, tcp=tcp)
        if isinstance(notice, int):
            return notice
        if notice.kind is Kind.HELLO:
            return self._greeted(notice, now)
        if not self._knows(notice):
            self.refused["without the key"] += 1
            return self._receipt(notice, Kind.AGAIN)
        if notice.instance == self.instance and notice.after < self.serial:
            self.refused["said before"] += 1
        else:
            self.messages[word(notice)] += 1
            self.take(notice, now)
        return self._receipt(notice, Kind.TAKEN)

    def admit(self, message: bytes, sender: tuple[str, int], *, tcp: bool) -> Notice | int:
        """Return what a NOTIFY says, or the rcode to refuse it with, whoever has its key."""
        if tcp or sender != (self.teller.address, self.teller.port):
            return self._refuse("from elsewhere", rr.NOTIMP)
        try:
            notice = notify.read(message)
        except NotifyError as error:
            return self._refuse(str(error), rr.FORMERR)
        if not self._is_ours(notice.zone):
            return self._refuse("of another zone", rr.REFUSED)
        return notice

    def timed_out(self, now: float, *, extras: bool = True) -> None:
        """End the feed, if nothing has come for too long."""
        self.due = self.heard + SILENCE_S if self.alive else inf
        if now < self.due:
            return
        self.alive = False
        self.due = inf
        self._purges.leave_alone(now)
        self.say(f"change feed from {self.teller} ends: nothing came for {SILENCE_S:g} s")

    def _refuse(self, reason: str, rcode: int) -> int:
        self.refused[reason] += 1
        return rcode

    def _greeted(self, notice: Notice, now: float) -> bytes | None:
        if int(now) != self._second:
            self._second = int(now)
            self._hellos = 0
        self._hellos += 1
        if self._hellos > _MAX_HELLOS:
            self.refused["too many greetings"] += 1
            return None
        self.messages["hello"] += 1
        self._offered = self._offered or self._draw(notify.KEY)
        return self._receipt(notice, Kind.WELCOME, self._offered)

    def _knows(self, notice: Notice) -> bool:
        """Tell whether a message is of the session, or of the one that is on offer: that begins."""
        if self._offered and secrets.compare_digest(notice.key, self._offered):
            self._key, self._offered = self._offered, b""
            return True
        same = notice.instance == self.instance
        return same and bool(self._key) and secrets.compare_digest(notice.key, self._key)

    def take(self, notice: Notice, now: float) -> None:
        """Do what a message of the session says."""
        follows = notice.instance == self.instance and self.serial in (notice.before, notice.after)
        if notice.kind is Kind.ALL:
            self._purges.purge_all()
        elif notice.names:
            self._purges.purge(notice.names)
        if not follows and notice.kind is not Kind.ALL:
            self._purges.suspect_all(now)
        self._live(follows, notice, now)
        self.instance = notice.instance
        self.serial = notice.after

    def _live(self, follows: bool, notice: Notice, now: float) -> None:
        """Note that the feed lives, and tell what is new."""
        self.heard = now
        if not self.alive:
            self.alive = True
            self.begun += 1
            missed = "nothing was missed" if follows else "what was known is not trusted"
            self.say(f"change feed from {self.teller} at serial {notice.after}: {missed}")
            self.due = now + SILENCE_S
            self._book(self)
        elif not follows:
            self.out_of_step += 1
            if now >= self._silent_until:
                self._silent_until = now + _SAY_AGAIN_S
                why = f"told of {notice.before} to {notice.after}, at {self.serial} here"
                if notice.instance != self.instance:
                    why = "the cluster's server was started anew"
                self.say(f"change feed out of step, what was known is not trusted: {why}")

    def _receipt(self, notice: Notice, kind: Kind, key: bytes = bytes(notify.KEY)) -> bytes:
        known = self.serial if notice.instance == self.instance else 0
        return Notice(
            notice.id, kind, notice.zone, notice.instance, notice.before, known, key
        ).encode()


def word(notice: Notice) -> str:
    """Name what a message says, as it is counted."""
    if notice.kind is Kind.CHANGE:
        return "names" if notice.names else "heartbeat"
    return notice.kind.name.lower()
