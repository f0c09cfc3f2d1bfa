"""A TCP relay in front of the API server that fails the way networks do."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TypeVar

from tests.realapi.ports import free_port

T = TypeVar("T")


class Relay:
    """
    Passes connections on ``port`` of loopback to ``target``, until it is told otherwise.

    ``make`` gives the socket to listen on, bound to that port: one of another network
    namespace, say.  It runs on an event loop in a thread of its own; every method returns when what
    it says is so.
    """

    def __init__(
        self,
        target: int,
        *,
        port: int | None = None,
        make: Callable[[], socket.socket] | None = None,
    ) -> None:
        self.port = port or free_port()
        self._make = make or (lambda: socket.create_server(("127.0.0.1", self.port)))
        self.moved = 0  # octets, both ways
        self._target = target
        self._rate: float | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._frozen = False

    def __enter__(self) -> Relay:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.mend()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()

        async def finish() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._do(finish)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset all connections and refuse new ones: the server is gone."""

        async def cut() -> None:
            if self._server is not None:
                self._server.close()
                self._server = None
            for connection in self._connections:
                connection.abort()

        self._do(cut)

    def reset(self) -> None:
        """Reset all connections, but take new ones."""

        async def reset() -> None:
            for connection in self._connections:
                connection.abort()

        self._do(reset)

    def freeze(self) -> None:
        """Keep all connections open, take new ones, and move nothing: the network is gone."""

        async def freeze() -> None:
            self._frozen = True
            for connection in self._connections:
                connection.flowing.clear()

        self._do(freeze)

    def silence(self) -> None:
        """
        Move nothing more on the open connections, and never again; serve new ones.

        So it is when a firewall between the two forgets a connection: no end ever arrives.
        """

        async def silence() -> None:
            for connection in self._connections:
                connection.flowing.clear()
                connection.forgotten = True

        self._do(silence)

    def slow(self, bytes_per_s: float) -> None:
        """Move at most so much per second and direction of each connection."""

        async def slow() -> None:
            self._rate = bytes_per_s

        self._do(slow)

    def mend(self) -> None:
        """Work again: accept, at full speed, and go on where a freeze stopped."""

        async def mend() -> None:
            self._rate = None
            self._frozen = False
            for connection in self._connections:
                if not connection.forgotten:
                    connection.flowing.set()
            if self._server is None:
                self._server = await asyncio.start_server(self._accept, sock=self._make())

        self._do(mend)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        if not self._frozen:
            connection.flowing.set()
        self._connections.add(connection)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            connection.far = far_writer
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(connection, reader, far_writer))
                pumps.create_task(self._pump(connection, far_reader, writer))
        except* OSError:
            pass  # either side is gone, so the other goes too
        finally:
            connection.abort()
            self._connections.discard(connection)

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(16384):
            if self._rate is not None:
                await asyncio.sleep(len(data) / self._rate)
            await connection.flowing.wait()
            writer.write(data)
            await writer.drain()
            self.moved += len(data)
        raise ConnectionResetError("closed")

    def _do(self, work: Callable[[], Coroutine[None, None, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()


class _Connection:
    """One relayed connection: its client, its server, and whether anything moves."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.flowing = asyncio.Event()
        self.forgotten = False

    def abort(self) -> None:
        self.near.transport.abort()
        if self.far is not None:
            self.far.transport.abort()
