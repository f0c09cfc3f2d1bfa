"""What the source of API objects says and does when it may not read a kind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from kubedns.cluster import supervision
from kubedns.cluster.apisource import ApiSource
from kubedns.cluster.listwatch import ApiError
from kubedns.cluster.objects import EndpointNames, Kind


class Server:
    """Refuses everything."""

    @contextlib.asynccontextmanager
    async def get(self, *_: Any) -> AsyncIterator[Any]:
        raise ApiError("HTTP 403 not yours", 403)
        yield

    async def load(self) -> None: ...

    async def close(self) -> None: ...


class Feed:
    """Takes everything in."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def _source(**rest: Any) -> ApiSource:
    return ApiSource(
        Server(), Feed(), reactor=Clock(), naming=EndpointNames.IP, pods=False,  # type: ignore[arg-type]
        silence_s=90.0, forbidden_retry_s=60.0, audit_interval_s=3600.0, settled=lambda: None,
        pods_forbidden=lambda _: None, **rest,
    )  # fmt: skip


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    monkeypatch.setattr(supervision, "Deferred", type("Deferred", (), {"fromFuture": lambda f: f}))
    globalLogPublisher.addObserver(note)
    yield lines
    globalLogPublisher.removeObserver(note)


def test_the_fall_back_is_said_although_the_server_was_away_before(said: list[str]) -> None:
    """The usual start of a pod whose API server comes up late, with the stock role's rights."""

    async def run() -> None:
        source = _source()
        source.failing(Kind.SLICE, "connection refused")
        source.forbidden(Kind.SLICE, "HTTP 403")
        source.forbidden(Kind.SLICE, "HTTP 403")
        await source.stop()

    asyncio.run(run())
    found = [line for line in said if "may not read endpointslices" in line]
    assert len(found) == 1
    assert "watching endpoints instead" in found[0]


def test_an_equal_config_map_is_not_applied_again() -> None:
    """A relist brings the same data: nothing changed, nothing is logged or forgotten."""

    async def run() -> list[dict[str, str]]:
        applied: list[dict[str, str]] = []
        source = _source(config_map=("kube-system", "kube-dns"), configured=applied.append)
        source.listed(Kind.CONFIG_MAP, [])
        source.listed(Kind.CONFIG_MAP, [])
        return applied

    assert asyncio.run(run()) == [{}]
