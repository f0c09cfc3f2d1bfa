"""
The cluster's server as it tells a replayed forwarder of changes (dnsmasq_py.feed), step by step.

    teller = Teller(replay)
    teller.begins()
    teller.changes("web.shop.svc.cluster.local.")
"""

import itertools
from collections.abc import Callable

from kubedns.wire import name as names
from kubedns.wire import notify
from kubedns.wire.notify import KEY, Kind, Notice
from tests.fwdreplay import KUBEDNS, Replay, soa

ZONE = "cluster.local."
SOA = soa(ZONE, 30, minimum=5)
NO_KEY = bytes(KEY)


def wire(text: str) -> bytes:
    """Return a folded name in wire form."""
    return names.from_text(text.lower())


class Teller:
    """
    One start of kubedns, whose zone is at `serial`.

    instance, key, serial, known: what its messages say. sender: from where they come.
    """

    def __init__(
        self, replay: Replay, *, instance: bytes = b"instance", serial: int = 1000
    ) -> None:
        self.replay = replay
        self.instance = instance
        self.serial = serial
        self.known = serial
        self.key = NO_KEY
        self.sender = (KUBEDNS.address, KUBEDNS.port)
        self._ids = itertools.count(1)

    # As it ought to be

    def begins(self) -> None:
        """Open a session, and say for the first time that nothing has changed."""
        self.greets()
        self.beats()

    def greets(self) -> Notice:
        """Say HELLO, and take over the key."""
        receipt = self.receipt(Kind.HELLO)
        assert receipt.kind is Kind.WELCOME
        self.key = receipt.key
        return receipt

    def beats(self) -> None:
        """Say that nothing has changed."""
        self._taken(Kind.CHANGE, self.known, self.known)

    def changes(self, *changed: str) -> None:
        """Say that names changed."""
        self.serial += 1
        self._taken(Kind.CHANGE, self.known, self.serial, *changed)

    def changes_all(self) -> None:
        """Say that everything may have changed."""
        self.serial += 1
        self._taken(Kind.ALL, self.known, self.serial)

    def lives(self, seconds: int, then: Callable[[], object] = lambda: None) -> None:
        """Let time pass with a heartbeat each second."""
        for _ in range(seconds):
            self.replay.time_passes(1)
            self.beats()
            then()

    def _taken(self, kind: Kind, before: int, after: int, *changed: str) -> None:
        receipt = self.receipt(kind, before, after, *changed)
        assert (receipt.kind, receipt.after) == (Kind.TAKEN, after)
        self.known = after

    # In whatever way

    def notice(
        self, kind: Kind, before: int | None = None, after: int | None = None, *changed: str
    ) -> Notice:
        """Make a message; its serials are the zone's unless given."""
        return Notice(
            next(self._ids).to_bytes(2),
            kind,
            wire(ZONE),
            self.instance,
            self.serial if before is None else before,
            self.serial if after is None else after,
            NO_KEY if kind is Kind.HELLO else self.key,
            tuple(map(wire, changed)),
        )

    def receipt(
        self, kind: Kind, before: int | None = None, after: int | None = None, *changed: str
    ) -> Notice:
        """Say something, and return the receipt."""
        notice = self.notice(kind, before, after, *changed)
        (octets,) = self.says(notice.encode())
        receipt = notify.read(octets)
        assert (receipt.id, receipt.zone) == (notice.id, notice.zone)
        assert receipt.instance == self.instance
        return receipt

    def says(self, message: bytes, *, tcp: bool = False) -> list[bytes]:
        """Send octets, and return the replies."""
        replies: list[bytes] = []
        self.replay.forwarder.handle(message, self.sender, replies.append, tcp=tcp)
        self.replay.settle()
        return replies


def fed(**options: object) -> tuple[Replay, Teller]:
    """Return a forwarder whose cluster server tells of changes, and that server."""
    replay = Replay(**options)  # type: ignore[arg-type]
    teller = Teller(replay)
    teller.begins()
    return replay, teller


def is_held(replay: Replay, question: str, **more: object) -> bool:
    """Ask, and tell whether the cache has the answer; else the question fails and is forgotten."""
    asked = replay.client_asks(question, **more)  # type: ignore[arg-type]
    if asked.replies:
        return True
    while replay.waiting:
        replay.upstream_answers(rcode="SERVFAIL")
    replay.forwarder.failures.clear()
    assert replay.is_quiet()
    return False
