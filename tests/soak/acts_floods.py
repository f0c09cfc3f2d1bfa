"""Too much of something, and NOTIFY messages that are not kubedns'."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from kubedns.wire import name as names
from kubedns.wire.notify import KEY, Kind, Notice
from tests.faults.part import ROOT
from tests.realapi.controlplane import program
from tests.realapi.program import Program
from tests.soak import floods
from tests.soak.act import Act
from tests.soak.contents import NS, ZONE, name
from tests.soak.questions import OUTSIDE, STUB, Key
from tests.soak.scene import Scene

# Too much


def churn(scene: Scene, seconds: float, rng: Random) -> None:
    count = int(seconds * rng.choice((100, 200, 400)))
    took = scene.cluster.churn(count, seconds)
    scene.notes.append(f"churn: {count} changes wanted in {seconds:.1f} s, it took {took:.1f} s")


def unique_names(scene: Scene, seconds: float, rng: Random) -> None:
    domains = (f"flood.{NS}.svc.{ZONE}", f"flood.{OUTSIDE}", f"flood.{STUB}")
    argv = [sys.executable, "-m", "tests.soak.floods", str(scene.pod.port), "1500", f"{seconds}"]
    subprocess.run([*argv, *domains], cwd=ROOT, check=True, timeout=seconds + 60)


def one_client(scene: Scene, seconds: float, rng: Random) -> None:
    """As fast as the answers come, but at most 6,000 a second, with 300 questions under way."""
    questions = scene.folder / "questions"
    run = rng.getrandbits(32)
    with questions.open("w") as out:
        out.writelines(f"n{run:x}-{number}.flood.{OUTSIDE} A\n" for number in range(60_000))
    argv: list[str | Path] = [
        program("dnsperf") or "dnsperf", "-s", "127.0.0.1", "-p", str(scene.pod.port),
        "-a", floods.FLOODER, "-d", questions, "-l", str(seconds), "-q", "300", "-c", "4",
        "-Q", "6000",
    ]  # fmt: skip
    started = Program(argv, log=scene.folder / "dnsperf.log")
    try:
        started.ended(seconds + 30)
    finally:
        started.kill()


def connected(count: int, says: Callable[[Scene, int], bytes]) -> Act:
    def act(scene: Scene, seconds: float, rng: Random) -> None:
        with floods.connections(scene.pod.port, count, partial(says, scene)):
            scene.wait(seconds)

    return act


def half(scene: Scene, number: int) -> bytes:
    return floods.framed(Key(f"h{number}.{OUTSIDE}"))[: number % 20]


def lots(scene: Scene, number: int) -> bytes:
    return b"".join(floods.framed(Key(name(f"steady-{each % 50}"))) for each in range(1500))


# NOTIFY

_ids = itertools.count(1)


def _claim(kind: Kind) -> bytes:
    """Make a message that claims that much changed, with serials and a key out of the blue."""
    told = tuple(names.from_text(name(f"steady-{each}")) for each in range(20))
    return Notice(
        (next(_ids) & 0xFFFF).to_bytes(2), kind, names.from_text(ZONE), secrets.token_bytes(8),
        1, 2, secrets.token_bytes(KEY), told if kind is Kind.CHANGE else (),
    ).encode()  # fmt: skip


def forged(scene: Scene, seconds: float, rng: Random) -> None:
    over, turn = time.monotonic() + seconds, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        while time.monotonic() < over and not scene.stopped.is_set():
            message = _claim((Kind.HELLO, Kind.CHANGE, Kind.ALL)[turn % 3])
            with contextlib.suppress(OSError):
                udp.sendto(message, ("127.0.0.1", scene.pod.port))
            scene.pod.tap.inject(message, message[: 12 + turn % 60], message + b"\0")
            turn += 1
            scene.wait(0.01)


def replayed(scene: Scene, seconds: float, rng: Random) -> None:
    over = time.monotonic() + seconds
    while time.monotonic() < over and not scene.stopped.is_set():
        scene.pod.tap.inject(*scene.pod.tap.seen[-500:])
        scene.wait(0.5)


def flooded(scene: Scene, seconds: float, rng: Random) -> None:
    over, turn = time.monotonic() + seconds, 0
    while time.monotonic() < over and not scene.stopped.is_set():
        kind = (Kind.HELLO, Kind.ALL)[turn % 2]
        scene.pod.tap.inject(*(_claim(kind) for _ in range(500)), rate=2000)
        turn += 1


def lost(scene: Scene, seconds: float, rng: Random) -> None:
    tap = scene.pod.tap
    for loss in rng.sample((0.7, 1.0), 2):
        tap.loss = loss
        scene.wait(seconds / 2)
    tap.loss = 0.0
