"""The load, led from outside: where it asks, and what it brings."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tests.faults.part import ROOT
from tests.soak.model import Asked, How
from tests.soak.questions import Key


class Asker:
    """
    A running load. brought: what became of questions, the oldest first.

    skipped: questions for which the generator was too late.
    """

    def __init__(
        self, keys: Sequence[Key], rate: float, seed: int, ports: list[int], log: Path
    ) -> None:
        self.brought: deque[Asked] = deque()
        self.skipped = 0
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.asking"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, bufsize=0,
            )  # fmt: skip
        self._say({"keys": [list(key) for key in keys], "rate": rate, "seed": seed, "ports": ports})
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def serve_by(self, ports: list[int]) -> None:
        """Ask at these ports from now on."""
        self._say({"ports": ports})

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, rate: float) -> None:
        """Ask so many questions a second from now on."""
        self._say({"rate": rate})

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it end; `brought` has all then."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._thread.join(10)

    def _say(self, order: dict[str, object]) -> None:
        assert self._process.stdin is not None
        octets = json.dumps(order).encode() + b"\n"
        while octets:
            octets = octets[self._process.stdin.write(octets) :]

    def _take(self) -> None:
        while size := self._exactly(4):
            skipped, rows = pickle.loads(self._exactly(struct.unpack("!I", size)[0]))
            self.skipped = skipped
            self.brought.extend(
                Asked(Key(name, kind), fresh, sent, answered, answer, ttl, How(*how))
                for name, kind, fresh, sent, answered, answer, ttl, how in rows
            )

    def _exactly(self, size: int) -> bytes:
        assert self._process.stdout is not None
        found = b""
        while len(found) < size:
            more = self._process.stdout.read(size - len(found))
            if not more:
                return b""
            found += more
        return found
