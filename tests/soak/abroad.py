"""The servers outside, led: which are dead, how many packets get lost, how late they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.part import ROOT
from tests.realapi.ports import free_port
from tests.soak.outside import UPSTREAMS

STUBS = 2


class Abroad:
    """Two upstreams, and two servers for the stub domain."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._ports = [free_port() for _ in range(UPSTREAMS + STUBS)]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.outside", *map(str, self._ports)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, bufsize=0,
            )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", log.read_text()

    @property
    def upstreams(self) -> list[str]:
        """The upstreams as dnsmasq's --server wants them."""
        return [f"127.0.0.{2 + number}#{self._ports[number]}" for number in range(UPSTREAMS)]

    def nameserver(self, number: int) -> str:
        """Return a server as the ConfigMap wants it: first the upstreams, then the stubs."""
        return f"127.0.0.{2 + number}:{self._ports[number]}"

    def weather(
        self, *servers: int, dead: bool = False, loss: float = 0.0, delay_s: float = 0.0
    ) -> None:
        """Say what is between some servers and the world; without anything: nothing."""
        assert self._process.stdin is not None
        for server in servers:
            order = {"server": server, "dead": dead, "loss": loss, "delay_s": delay_s}
            self._process.stdin.write(json.dumps(order).encode() + b"\n")

    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
