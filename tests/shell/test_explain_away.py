"""When the API server counts as away: only when nothing of it is left to hear."""

import asyncio
import contextlib
from typing import Any

import aiohttp

from kubedns.cluster.apiserver import Access, ApiServer
from kubedns.cluster.listwatch import ApiError, Request

WATCH = Request("/api/v1/services", {}, watch=True)


class Rest:
    """Replies with a status, or fails."""

    def __init__(self) -> None:
        self.status = 200
        self.error: Exception | None = None

    async def request(self, *_: Any, **__: Any) -> Any:
        if self.error is not None:
            raise self.error
        return type("Reply", (), {"response": self})

    @property
    def content(self) -> Any:
        return self

    async def read(self, _: int) -> bytes:
        return b""

    reason = "x"
    headers: dict[str, str] = {}  # noqa: RUF012

    def close(self) -> None: ...


class Server(ApiServer):
    """With credentials, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__(Access(master_url="http://api.test"), lambda: self.now, "test")
        self.rest = self._rest = Rest()

    async def _credentials(self) -> dict[str, str]:
        self._configuration = type("Configuration", (), {"host": "http://api.test"})
        return {}

    async def asks(self) -> None:
        with contextlib.suppress(ApiError):
            async with self.get(WATCH, 90.0):
                pass


def test_a_server_that_was_never_asked_is_not_away() -> None:
    assert Server().away_s(100.0) is None


def test_it_is_away_from_the_first_failure_on_until_it_replies() -> None:
    """A refusal of its own (403) is a reply; an error in its place (502) is none."""

    async def run() -> None:
        server = Server()
        server.rest.error = aiohttp.ClientConnectionError("refused")
        await server.asks()
        server.now += 7
        await server.asks()
        assert server.away_s(server.now) == 7
        server.rest.error, server.rest.status = None, 502
        server.now += 1
        await server.asks()
        assert server.away_s(server.now) == 8
        server.rest.status = 403
        await server.asks()
        assert server.away_s(server.now) is None

    asyncio.run(run())


def test_while_a_watch_is_open_it_is_there() -> None:
    """However many other requests fail; when the last watch breaks, it is away from then on."""

    async def run() -> None:
        server = Server()
        with contextlib.suppress(ApiError):
            async with server.get(WATCH, 90.0):
                server.rest.error = OSError("no route")
                await server.asks()
                server.now += 50
                assert server.away_s(server.now) is None
                raise aiohttp.ClientPayloadError("broken off")
        server.now += 2
        assert server.away_s(server.now) == 2

    asyncio.run(run())
