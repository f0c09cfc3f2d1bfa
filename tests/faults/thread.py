"""An event loop in a thread of its own, for what stands between processes under test."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")
Take = Callable[[bytes, tuple[str, int]], None]
"""What takes a datagram and where it came from."""


class InThread:
    """Runs `open` and `close` of its heir on an event loop; a method returns when it is done."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.do(self.open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.do(self._finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def do(self, work: Coroutine[None, None, T]) -> T:
        """Run something on the loop, and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def bound(self, port: int, take: Take) -> asyncio.DatagramTransport:
        """Listen on a port of 127.0.0.1, 0 for any, with room for thousands of datagrams."""
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.setblocking(False)
        udp.bind(("127.0.0.1", port))
        transport, _ = await self.loop.create_datagram_endpoint(lambda: _Taking(take), sock=udp)
        return transport

    async def _finish(self) -> None:
        await self.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Taking(asyncio.DatagramProtocol):
    def __init__(self, take: Take) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody was there; so it is when one of the two is started anew."""
