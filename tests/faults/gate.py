"""
The way to the API server: open, away, slow, or with an answer of its own.

It has the server's certificate, so that it can speak for it.  Every request gets a connection of
its own to the server, and `Connection: close`; the bodies pass as they are, watches too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from pathlib import Path

from tests.faults.thread import InThread
from tests.realapi.ports import free_port

_HEAD = 64 << 10
_GONE = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)


class Gate(InThread):
    """
    Stands on `port` for the API server on `target`.

    requests: how many arrived. refuse: the status with which it answers instead, 0 for none.
    """

    def __init__(self, target: int, certificate: Path, key: Path) -> None:
        super().__init__()
        self.port = free_port()
        self.requests = 0
        self._target = target
        self._inside = ssl.create_default_context(cafile=certificate)
        self._outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._outside.load_cert_chain(certificate, key)
        self._server: asyncio.Server | None = None
        self._slow_s = 0.0
        self._refuse = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        await self._listen()

    async def close(self) -> None:
        await self._away()

    def away(self) -> None:
        """Reset all connections and refuse new ones."""
        self.do(self._away())

    def slow(self, seconds: float) -> None:
        """Begin every reply so much later; open watches break."""
        self.do(self._behave(slow_s=seconds))

    def refuse(self, status: int) -> None:
        """Answer every request with a status; open watches break."""
        self.do(self._behave(refuse=status))

    def reset(self) -> None:
        """Break all connections, and take new ones."""
        self.do(self._behave())

    def mend(self) -> None:
        """Be open again, and as fast as the server; connections stay as they are."""
        self.do(self._mend())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, ssl=self._outside, limit=_HEAD
            )

    async def _away(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._break()

    async def _behave(self, *, slow_s: float = 0.0, refuse: int = 0) -> None:
        self._slow_s, self._refuse = slow_s, refuse
        self._break()

    async def _mend(self) -> None:
        self._slow_s, self._refuse = 0.0, 0
        await self._listen()

    def _break(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            if self._slow_s:
                await asyncio.sleep(self._slow_s)
            if self._refuse:
                writer.write(_refusal(self._refuse))
                await writer.drain()
            else:
                await self._pass_on(head, writer)
        except _GONE:
            pass  # either side is gone, so the other goes too
        finally:
            self._open.discard(writer)
            writer.close()
            with contextlib.suppress(*_GONE):
                await writer.wait_closed()

    async def _pass_on(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._target, ssl=self._inside
        )
        self._open.add(far_writer)
        try:
            lines = head.rstrip(b"\r\n").split(b"\r\n")
            kept = [line for line in lines if not line.lower().startswith(b"connection:")]
            far_writer.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]))
            while data := await far_reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            self._open.discard(far_writer)
            far_writer.transport.abort()


def _refusal(status: int) -> bytes:
    body = json.dumps(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
         "message": "made up by a test", "reason": "InternalError"}
    ).encode()  # fmt: skip
    again = "Retry-After: 1\r\n" if status == 429 else ""
    return (
        f"HTTP/1.1 {status} Made Up\r\nContent-Type: application/json\r\n{again}"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
