"""How far a reader of one kind may get without a word from the API server."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kubedns.cluster.apiserver import PAGE_S, Access, ApiServer, Reflector
from kubedns.cluster.listwatch import ApiError, Request, State
from kubedns.cluster.objects import EndpointNames, Kind

LIST = b'{"metadata": {"resourceVersion": "7"}, "items": []}'
BOOKMARK = b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}\n'


class Server:
    """Gives an empty list, then a stream of these pieces, one each second of its clock."""

    def __init__(self, *pieces: bytes) -> None:
        self.now = 100.0
        self.pieces = pieces
        self.seen: list[float] = []
        self.reflector: Any = None
        self.done = asyncio.Event()

    async def page(self, _: Request) -> bytes:
        return LIST

    @contextlib.asynccontextmanager
    async def get(self, _: Request, __: float) -> AsyncIterator[Any]:
        yield type("Response", (), {"content": self})

    async def iter_any(self) -> AsyncIterator[bytes]:
        self.seen.append(self.reflector.overdue_at)
        for piece in self.pieces:
            self.now += 1.0
            yield piece
            self.seen.append(self.reflector.overdue_at)
        self.done.set()
        await asyncio.Event().wait()


class Sink:
    """Takes everything in."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def _overdue(*pieces: bytes) -> list[float]:
    """Return when a word is overdue, from the beginning of a watch on and after each piece."""

    async def run() -> list[float]:
        server = Server(*pieces)
        server.reflector = reflector = Reflector(
            server, Kind.SERVICE, Sink(), clock=lambda: server.now, naming=EndpointNames.IP,  # type: ignore[arg-type]
            silence_s=90.0, forbidden_retry_s=60.0, rng=random.Random(1),
        )  # fmt: skip
        task = asyncio.ensure_future(reflector.run())
        await server.done.wait()
        task.cancel()
        return server.seen

    return asyncio.run(run())


def test_every_word_gives_the_watch_more_time() -> None:
    """A bookmark is enough."""
    begun, *after = _overdue(BOOKMARK, BOOKMARK)
    assert begun < 100.0 + 90.0 + 30.0
    assert after == [101.0 + 100.0, 102.0 + 100.0]


@pytest.mark.parametrize("piece", [b"\n", b" ", BOOKMARK[:1]])
def test_octets_without_a_word_give_it_none(piece: bytes) -> None:
    """A proxy that sends line feeds, or half an event, keeps a connection alive; not a watch."""
    assert len(set(_overdue(*[piece] * 50))) == 1


def test_a_reader_that_was_interrupted_lists_anew() -> None:
    """Events may be lost half-way."""
    server = Server()
    reflector = Reflector(
        server, Kind.SERVICE, Sink(), clock=lambda: server.now, naming=EndpointNames.IP,  # type: ignore[arg-type]
        silence_s=90.0, forbidden_retry_s=60.0, rng=random.Random(1),
    )  # fmt: skip
    reflector.machine.listed(LIST, 1.0)
    assert reflector.machine.request(1.0).watch
    reflector.interrupted("it does not get on")
    assert reflector.machine.pause_s == 0.0
    assert reflector.machine.state is State.LISTING
    assert not reflector.machine.request(2.0).watch


def test_credentials_that_never_come_are_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A kubeconfig may name a program for them, and that may hang."""
    monkeypatch.setattr("kubedns.cluster.apiserver._LOAD_S", 0.05)
    server = ApiServer(Access(master_url="http://127.0.0.1:9"), lambda: 0.0, "test")

    async def load() -> None:
        await asyncio.Event().wait()

    async def run() -> None:
        monkeypatch.setattr(server, "load", load)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):  # the readers wait for each other's
                group.create_task(ask())

    async def ask() -> None:
        with pytest.raises(ApiError, match="no credentials"):
            await server.page(Request("/api/v1/services", {}, watch=False))

    asyncio.run(asyncio.wait_for(run(), 30.0))


def test_a_page_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An octet every few seconds is no silence, and yet no end of a list."""
    monkeypatch.setattr("kubedns.cluster.apiserver.PAGE_S", 0.3)
    assert PAGE_S >= 300.0

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

    async def run() -> None:
        listening = await asyncio.start_server(trickle, "127.0.0.1", 0)
        host, port = listening.sockets[0].getsockname()
        server = ApiServer(Access(master_url=f"http://{host}:{port}"), lambda: 0.0, "test")
        with pytest.raises(ApiError, match="no whole page"):
            await server.page(Request("/api/v1/services", {}, watch=False))
        await server.close()
        listening.close()

    asyncio.run(asyncio.wait_for(run(), 30.0))
