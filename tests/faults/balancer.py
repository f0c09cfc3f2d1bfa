"""
One address for several pods, as kube-proxy makes it of a Service: UDP, each question its own flow.

A question goes to one of the pods that are in service; the answer of a pod that has left still
finds its client.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tests.faults.thread import InThread
from tests.realapi.ports import free_port


class Balancer(InThread):
    """Listens on `port`; `serve_by` says which ports of 127.0.0.1 it passes questions to."""

    def __init__(self, *ports: int) -> None:
        super().__init__()
        self.port = free_port()
        self.serve_by(ports)
        self._number = 0
        self._waiting: dict[int, tuple[bytes, tuple[str, int]]] = {}

    def serve_by(self, ports: Sequence[int]) -> None:
        """Replace the pods that are in service."""
        self._turn = itertools.cycle(ports)

    async def open(self) -> None:
        self._clients = await self.bound(self.port, self._asked)
        self._pods = await self.bound(0, self._answered)

    async def close(self) -> None:
        self._clients.close()
        self._pods.close()

    def _asked(self, message: bytes, source: tuple[str, int]) -> None:
        self._number = (self._number + 1) & 0xFFFF
        self._waiting[self._number] = (message[:2], source)
        self._pods.sendto(self._number.to_bytes(2) + message[2:], ("127.0.0.1", next(self._turn)))

    def _answered(self, message: bytes, source: tuple[str, int]) -> None:
        waiting = self._waiting.pop(int.from_bytes(message[:2]), None)
        if waiting is not None:
            ident, client = waiting
            self._clients.sendto(ident + message[2:], client)
