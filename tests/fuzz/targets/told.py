"""
The one who tells and the one who listens, over a line that loses, doubles, holds back and breaks.

An input is a script. However it goes: once the line is good again, whatever the listener still
trusts is how the cluster is. The forwarder's cache is a model here: names, and how they were.
"""

from itertools import count

from dnsmasq_py.feed import Feed
from dnsmasq_py.server import Server
from kubedns.tell.session import Session, State
from kubedns.tell.waiting import MAX_NAMES
from kubedns.wire import name as names
from kubedns.wire import notify

MAX_LEN = 400
TOKENS = (b"\0\1\3\1\1\1", b"\5\0\6\0", b"\7\0\x08\0", b"\x09\xff", b"\x0a", b"\x0b\7", b"\x0c")
_ZONE = names.from_text("cluster.local")
_TELLER = Server("127.0.0.1", 10053)
_SOURCE = (_TELLER.address, _TELLER.port)
_HEAL_S = 20.0  # more than there ever is between two greetings
_OFF_S = 65.0  # more than a session stays off
_NAMES = [
    names.from_text(text + "svc.cluster.local")
    for text in ("", "shop.", "web.shop.", "a.web.shop.", "db.shop.", "other.", "x.other.")
]


class _Known:
    """What a listener has kept and still trusts: the version of each name."""

    def __init__(self) -> None:
        self.versions: dict[bytes, int] = {}

    def purge(self, changed: tuple[bytes, ...]) -> None:
        for name in list(self.versions):
            if any(names.is_below(name, each) for each in changed):
                del self.versions[name]

    def purge_all(self) -> None:
        self.versions.clear()

    def suspect_all(self, now: float) -> None:
        self.versions.clear()

    def leave_alone(self, now: float) -> None:
        """TTLs hold: what is kept may be wrong, until the feed says otherwise."""


class _Line:
    """Both ends, what is on its way in each direction, and the time."""

    def __init__(self, script: bytes) -> None:
        self._script = list(reversed(script))
        self.now = 1000.0
        self.serial = 5000
        self.versions = dict.fromkeys(_NAMES, 0)
        self._draws = count(1)
        self.to_listener: list[bytes] = []
        self.to_teller: list[bytes] = []
        self._listens()
        self._tells()

    def _octet(self) -> int:
        return self._script.pop() if self._script else 0

    def _draw(self, size: int = 8) -> bytes:
        return next(self._draws).to_bytes(size)

    def _tells(self) -> None:
        self.session = Session(_ZONE, lambda: self.serial, self._draw)
        self.out(self.session.start(self.now))

    def _listens(self) -> None:
        self.known = _Known()
        self.feed = Feed(
            _TELLER, self.known, lambda zone: zone == _ZONE, lambda _: None, self._draw
        )

    def out(self, message: bytes | None) -> None:
        """Put what is said on the line."""
        if message is not None:
            assert len(message) <= notify.MAX_MESSAGE
            notify.read(message)
            self.to_listener.append(message)

    # What happens

    def run(self) -> None:
        steps = (
            self._change, self._keep, self._deliver, self._deliver_receipt, self._wait, self._lose,
            self._lose_receipt, self._double, self._swap, self._wait_long, self._change_all,
            self._garble, self._start_anew, self._listener_starts_anew, self._change_many,
            self._change_unsaid,
        )  # fmt: skip
        while self._script:
            steps[self._octet() % len(steps)]()
            self._is_right()
        self._heal()

    def _change(self) -> None:
        name = _NAMES[self._octet() % len(_NAMES)]
        self.serial += 1
        for each in _NAMES:
            if names.is_below(each, name):
                self.versions[each] += 1
        self.out(self.session.tell([name], self.now))

    def _change_many(self) -> None:
        self.serial += 1
        some = [names.child(b"%d" % number, _NAMES[1]) for number in range(self._octet() * 8)]
        self.versions[_NAMES[4]] += 1
        self.out(self.session.tell([_NAMES[4], *some], self.now))
        assert self.session.waiting is None or self.session.waiting <= MAX_NAMES

    def _change_all(self) -> None:
        self.serial += 1
        for each in _NAMES:
            self.versions[each] += 1
        self.out(self.session.tell(None, self.now))

    def _change_unsaid(self) -> None:
        """Something changes while kubedns is down: that it was must be enough."""
        self.versions[_NAMES[self._octet() % len(_NAMES)]] += 1
        self._start_anew()

    def _keep(self) -> None:
        """The listener asks, and keeps the answer of now."""
        name = _NAMES[self._octet() % len(_NAMES)]
        self.known.versions[name] = self.versions[name]

    def _deliver(self) -> None:
        if self.to_listener:
            self._heard(self.to_listener.pop(0))

    def _heard(self, message: bytes) -> None:
        receipt = self.feed.received(message, _SOURCE, self.now, tcp=False)
        if isinstance(receipt, bytes):
            assert len(receipt) <= len(message), "a receipt that is larger than what it is for"
            self.to_teller.append(receipt)

    def _deliver_receipt(self) -> None:
        if self.to_teller:
            self.out(self.session.received(self.to_teller.pop(0), self.now))

    def _lose(self) -> None:
        if self.to_listener:
            self.to_listener.pop(self._octet() % len(self.to_listener))

    def _lose_receipt(self) -> None:
        if self.to_teller:
            self.to_teller.pop(self._octet() % len(self.to_teller))

    def _double(self) -> None:
        line = self.to_listener if self._octet() & 1 else self.to_teller
        if line and len(line) < 20:
            line.append(line[0])

    def _swap(self) -> None:
        """What was held back comes last."""
        line = self.to_listener if self._octet() & 1 else self.to_teller
        if line:
            line.append(line.pop(0))

    def _garble(self) -> None:
        """A receipt arrives broken; the other way somebody would have to know the key."""
        if self.to_teller:
            octets = bytearray(self.to_teller[0])
            octets[self._octet() % len(octets)] ^= self._octet()
            self.to_teller[0] = bytes(octets[: len(octets) - self._octet() % 3])

    def _start_anew(self) -> None:
        self.serial += 1
        self._tells()

    def _listener_starts_anew(self) -> None:
        self._listens()

    def _wait(self) -> None:
        self._pass(self._octet() / 1000)

    def _wait_long(self) -> None:
        self._pass(self._octet() / 20)

    def _pass(self, seconds: float, *, good: bool = False) -> None:
        """Let time pass; good: all that is on its way arrives at once."""
        until = self.now + seconds
        for _ in range(20_000):
            due = min(self.session.deadline, self.feed.due)
            if due > until:
                break
            self.now = max(self.now, due)
            if self.feed.due <= self.now:
                self.feed.timed_out(self.now)
            if self.session.deadline <= self.now:
                self.out(self.session.timed_out(self.now))
            del self.to_listener[:-50]
            while good and (self.to_listener or self.to_teller):
                self._deliver()
                self._deliver_receipt()
        else:
            raise AssertionError("busy without end")
        self.now = until

    # What must hold

    def _is_right(self) -> None:
        assert self.feed.serial <= self.serial or self.feed.instance != self.session._instance

    def _heal(self) -> None:
        """The line is good from now on: soon the listener believes only what is so."""
        while self.to_listener or self.to_teller:
            self._deliver()
            self._deliver_receipt()
        self._pass(_OFF_S if self.session.state is State.OFF else 0.0, good=True)
        self._pass(_HEAL_S, good=True)
        assert self.feed.is_alive(self.now), "no feed over a good line"
        for name, version in self.known.versions.items():
            assert version == self.versions[name], f"{names.to_text(name)} is believed, and wrong"
        assert self.feed.serial == self.serial == self.session.known


def check(octets: bytes) -> None:
    """Play a script."""
    _Line(octets).run()
