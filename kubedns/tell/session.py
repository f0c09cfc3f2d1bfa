"""
What is said to one listener about changes of the zone, without sending it.

    OFF ──after a minute──▶ GREETING ──WELCOME──▶ TOLD
     ▲                       │    ▲                │
     └───any other reply─────┤    └────────────────┤ AGAIN, or no receipt for 3 s
     └───────────────────────┴─any other reply─────┘

GREETING says HELLO until there is a receipt, every second and after a minute every ten seconds: a
dnsmasq in the listener's place hands it to its own upstreams. TOLD says what changed, and that
nothing did once a second. The listener may be another make, which refuses, or send our own message
back: then it is OFF, and asked again a minute later. The messages and receipts: wire/notify.py.

The shell (teller.py) sends what the methods return, gives them what came, and calls `timed_out` at
`deadline`. Times are monotonic seconds.

Invariants
- One message is on its way at a time; it is said again, octet for octet, until its receipt comes.
  So the listener sees messages in their order, and some of them twice.
- `known` is the serial of the last receipt. What changed since is in what waits or is on its way:
  a name is forgotten with the receipt of its message and not before. A receipt that was lost is
  made up for by the WELCOME of the next session, which holds the listener's serial.
- While `known` is None the listener need know nothing: it is greeted as a new instance, and trusts
  nothing that it kept before. So names are gathered from the WELCOME on. OFF ends there, too.
- What changes is said at once after a pause, else gathered for at most 5 ms.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from kubedns.tell.waiting import Waiting
from kubedns.wire import notify
from kubedns.wire.notify import Kind, Notice, NotifyError

GATHER_S = 0.005
HEARTBEAT_S = 1.0
OFF_S = 60.0
_SILENCE_S = 3.0  # without a receipt
_FIRST_PAUSE_S = 0.02
_FIRST_HELLO_PAUSE_S = 0.1
_MAX_PAUSE_S = 1.0
_MAX_HELLO_PAUSE_S = 10.0
_EAGER_S = 60.0


class State(Enum):
    """Where a session stands; the words that /status shows."""

    OFF = "off"
    GREETING = "greeting"
    TOLD = "told"


@dataclass(slots=True)
class _Sent:
    """The message on its way: first sent and sent again when, and the pause that follows."""

    notice: Notice
    octets: bytes
    first: float
    again: float
    pause_s: float


class Session:
    """
    See the head of this module.

    zone: folded, in wire form. serial: gives the zone's. draw: gives 8 random octets.
    """

    def __init__(self, zone: bytes, serial: Callable[[], int], draw: Callable[[], bytes]) -> None:
        self._zone = zone
        self._serial = serial
        self._draw = draw
        self._room = notify.room(zone)
        self._instance = b""
        self._key = bytes(notify.KEY)
        self._id = int.from_bytes(draw()[:2])
        self._waiting = Waiting()
        self._parts: deque[Notice] = deque()
        self._sent: _Sent | None = None
        self._unsure: int | None = None  # of a message given up, and perhaps taken
        self._begun = self._spoke = float("-inf")  # the last gathered change, the last message
        self.state = State.OFF
        self.why = "not started"  # of OFF
        self.known: int | None = None
        self.heard: float | None = None  # when the last receipt came
        self.deadline = float("inf")
        self.counts: Counter[str] = Counter()

    # What the shell calls; all return the message to send now, if there is one

    def start(self, now: float) -> bytes:
        """Begin, or begin again."""
        return self._greet(now)

    def tell(self, changed: Iterable[bytes] | None, now: float) -> bytes | None:
        """Say that folded names changed, now or soon; None: everything may have."""
        if not self.gathers:
            return None
        self._waiting.add(changed)
        return self._next(now)

    def received(self, message: bytes, now: float) -> bytes | None:
        """Take in a reply, or our own message that came back."""
        sent = self._sent
        if sent is None or message[:2] != sent.notice.id:
            self.counts["late"] += 1  # the receipt of a message that was said twice
            return None
        try:
            receipt = notify.read(message)
        except NotifyError as error:
            self._turn_off(f"answers what is no receipt: {error}", now)
            return None
        if not receipt.is_receipt:
            self._turn_off("sends our own messages back", now)
            return None
        match self.state, receipt.kind:
            case State.GREETING, Kind.WELCOME:
                self._welcomed(receipt)
            case State.TOLD, Kind.TAKEN if receipt.after == sent.notice.after:
                self.known = receipt.after
            case State.TOLD, Kind.AGAIN:
                self.counts["again"] += 1
                return self._greet(now)
            case _:
                self.counts["wrong"] += 1
                return None
        self.counts["receipts"] += 1
        self.heard = now
        self._sent = None
        return self._next(now)

    def timed_out(self, now: float) -> bytes | None:
        """Do what is due."""
        if now < self.deadline:
            return None
        if self.state is State.OFF:
            return self._greet(now)
        if self._sent is None:
            return self._next(now)
        if self.state is State.TOLD and now >= self._sent.first + _SILENCE_S:
            return self._greet(now)
        self.counts["retries"] += 1
        return self._again(self._sent, now)

    # What it looks like

    @property
    def gathers(self) -> bool:
        """Tell whether changes matter: the listener keeps something that they could make wrong."""
        return self.known is not None or self.state is State.TOLD

    @property
    def waiting(self) -> int | None:
        """Count the names that wait; None: everything does."""
        return None if self._waiting.everything else len(self._waiting.names)

    def sent(self, message: bytes) -> bool:
        """Tell whether this is the message on its way."""
        return self._sent is not None and message == self._sent.octets

    # What follows

    def _greet(self, now: float) -> bytes:
        """Say HELLO; what had no receipt waits on."""
        if self.known is None:
            self._instance = self._draw()
            self._waiting = Waiting()
        elif self._sent is not None and self.state is State.TOLD:
            self._unsure = self._sent.notice.after
            for notice in (self._sent.notice, *self._parts):
                self._waiting.add(None if notice.kind is Kind.ALL else notice.names)
        self._parts.clear()
        self.state = State.GREETING
        serial = self._serial()
        hello = Notice(self._next_id(), Kind.HELLO, self._zone, self._instance, serial, serial)
        return self._say(hello, now, _FIRST_HELLO_PAUSE_S)

    def _welcomed(self, receipt: Notice) -> None:
        self.state = State.TOLD
        self._key = receipt.key
        if self._unsure is not None and receipt.after == self._unsure:
            self.known = self._unsure
        self._unsure = None
        self._gather()

    def _gather(self) -> None:
        """Make messages of what waits; of nothing one that says so."""
        serial = self._serial()
        before = serial if self.known is None else self.known
        after = serial if self._waiting else before
        parts = self._waiting.take(self._room)
        for number, changed in enumerate(parts, 1):
            notice = Notice(
                self._next_id(),
                Kind.ALL if changed is None else Kind.CHANGE,
                self._zone,
                self._instance,
                before,
                after if number == len(parts) else before,
                self._key,
                changed or (),
            )
            self._parts.append(notice)

    def _next(self, now: float) -> bytes | None:
        """Say what is due when nothing is on its way; see to the deadline."""
        if self.state is not State.TOLD or self._sent is not None:
            return None
        if not self._parts:
            due = self._begun + GATHER_S if self._waiting else self._spoke + HEARTBEAT_S
            if now < due:
                self.deadline = due
                return None
            if self._waiting:
                self._begun = now
            self._gather()
        return self._say(self._parts.popleft(), now, _FIRST_PAUSE_S)

    def _say(self, notice: Notice, now: float, pause_s: float) -> bytes:
        self._sent = _Sent(notice, notice.encode(), now, now, pause_s)
        self.counts[_WORDS.get(notice.kind) or ("names" if notice.names else "heartbeat")] += 1
        return self._again(self._sent, now)

    def _again(self, sent: _Sent, now: float) -> bytes:
        self._spoke = now
        self.deadline = sent.again = now + sent.pause_s
        if self.state is State.TOLD:
            self.deadline = min(self.deadline, sent.first + _SILENCE_S)
        eager = now < sent.first + _EAGER_S
        sent.pause_s = min(2 * sent.pause_s, _MAX_PAUSE_S if eager else _MAX_HELLO_PAUSE_S)
        return sent.octets

    def _turn_off(self, why: str, now: float) -> None:
        self.state, self.why = State.OFF, why
        self.known = self._unsure = self._sent = None
        self._parts.clear()
        self.deadline = now + OFF_S

    def _next_id(self) -> bytes:
        self._id = (self._id + 1) & 0xFFFF
        return self._id.to_bytes(2)


_WORDS = {Kind.HELLO: "hello", Kind.ALL: "all"}
