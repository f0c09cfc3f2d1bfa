"""
A tap between kubedns and the forwarder: queries pass; NOTIFY messages pass, or whatever is asked.

The forwarder takes `server` for the server of the cluster, kubedns takes `listener` for the cache.
"""

from __future__ import annotations

import asyncio
import random

from kubedns.wire import notify
from tests.faults.thread import InThread
from tests.realapi.ports import free_port


class Tap(InThread):
    """
    UDP only.  seen: the messages of kubedns, as octets. loss: of them and their receipts.

    told: how often one was passed to the forwarder.
    """

    def __init__(self, kubedns: int, forwarder: int, seed: int = 1) -> None:
        super().__init__()
        self.server, self.listener = free_port(), free_port()
        self.seen: list[bytes] = []
        self.loss = 0.0
        self._kubedns, self._forwarder = ("127.0.0.1", kubedns), ("127.0.0.1", forwarder)
        self._rng = random.Random(seed)
        self._waiting: dict[int, tuple[bytes, tuple[str, int]]] = {}
        self._number = 0

    async def open(self) -> None:
        self._to_forwarder = await self.bound(self.server, self._from_forwarder)
        self._to_kubedns = await self.bound(self.listener, self._from_kubedns)
        self._asking = await self.bound(0, self._answered)

    async def close(self) -> None:
        for transport in (self._to_forwarder, self._to_kubedns, self._asking):
            transport.close()

    def inject(self, *messages: bytes, rate: float = 10_000) -> None:
        """Send messages to the forwarder from where its cluster's server is."""

        async def send() -> None:
            for number, message in enumerate(messages):
                self._to_forwarder.sendto(message, self._forwarder)
                if number % 20 == 19:
                    await asyncio.sleep(20 / rate)

        self.do(send())

    def _from_forwarder(self, message: bytes, source: tuple[str, int]) -> None:
        """Pass on a query, under a number of our own, or a receipt."""
        if notify.is_notify(message):
            if not self._lost():
                self._to_kubedns.sendto(message, self._kubedns)
            return
        self._number = (self._number + 1) & 0xFFFF
        self._waiting[self._number] = (message[:2], source)
        self._asking.sendto(self._number.to_bytes(2) + message[2:], self._kubedns)

    def _answered(self, message: bytes, source: tuple[str, int]) -> None:
        waiting = self._waiting.pop(int.from_bytes(message[:2]), None)
        if waiting is not None:
            ident, client = waiting
            self._to_forwarder.sendto(ident + message[2:], client)

    def _from_kubedns(self, message: bytes, source: tuple[str, int]) -> None:
        self.seen.append(message)
        if not self._lost():
            self._to_forwarder.sendto(message, self._forwarder)

    def _lost(self) -> bool:
        return self._rng.random() < self.loss
