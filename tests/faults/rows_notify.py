"""Row 15: NOTIFY forged, replayed, flooded, lost."""

from __future__ import annotations

import itertools
import secrets
import socket

from kubedns.wire import name as names
from kubedns.wire.notify import KEY, Kind, Notice
from tests.faults.stage import Stage

_ids = itertools.count(1)


def _forged(stage: Stage, kind: Kind, key: bytes = bytes(KEY)) -> bytes:
    """Make a message that claims everything changed, and says serials out of the blue."""
    told = tuple(names.from_text(name) for name in stage.world.names()[:20])
    return Notice(
        (next(_ids) & 0xFFFF).to_bytes(2), kind, names.from_text("cluster.local"),
        secrets.token_bytes(8), 1, 2, key, told if kind is Kind.CHANGE else (),
    ).encode()  # fmt: skip


def forged(stage: Stage) -> None:
    """Row 15a: from elsewhere, and from the right place without the key; well-formed and not."""
    tap = stage.ours.tap
    stage.began()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for turn in range(300 if stage.short else 1500):
            kind = (Kind.HELLO, Kind.CHANGE, Kind.ALL)[turn % 3]
            message = _forged(stage, kind, secrets.token_bytes(KEY))
            udp.sendto(message, ("127.0.0.1", stage.ours.port))
            tap.inject(message, message[: 12 + turn % 60], message + b"\0")
            if turn % 30 == 0:
                stage.world.change(1)
            stage.calm(0.005)
    stage.over()
    stage.heals()
    _note(stage)


def replayed(stage: Stage) -> None:
    """Row 15b: all that kubedns ever said is said again, while it goes on."""
    tap = stage.ours.tap
    stage.world.change(4)
    stage.calm(1)
    stage.began()
    for _ in range(3 if stage.short else 10):
        tap.inject(*tap.seen[-500:])
        stage.world.change(2)
        stage.calm(0.7)
    stage.over()
    stage.heals()
    _note(stage)


def flooded(stage: Stage) -> None:
    """Row 15c: thousands a second from the right place: greetings, and others without the key."""
    tap = stage.ours.tap
    stage.began()
    for turn in range(2 if stage.short else 8):
        kind = (Kind.HELLO, Kind.ALL)[turn % 2]
        tap.inject(*(_forged(stage, kind) for _ in range(1000)), rate=3000)
        stage.world.change(1)
        stage.calm(0.3)
    stage.over()
    stage.heals()
    _note(stage)


def lost(stage: Stage) -> None:
    """Row 15d: nine of ten are lost, then all, then none."""
    tap = stage.ours.tap
    stage.began()
    tap.loss = 0.7
    stage.world.change(4)
    stage.calm(1, 5)
    tap.loss = 1.0
    stage.world.change(2)
    stage.calm(3.5, 8)
    tap.loss = 0.0
    stage.over()
    stage.heals()
    _note(stage)


def _note(stage: Stage) -> None:
    feed = stage.ours.feed()
    kept = {
        key: feed[key] for key in ("alive", "messages", "refused", "out_of_step") if key in feed
    }
    stage.note(f"feed: {kept}")
