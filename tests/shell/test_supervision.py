"""Readers that stop, hang or are cancelled from nowhere: each is noticed, counted and run again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from twisted.internet.task import Clock

from kubedns.cluster import supervision
from kubedns.cluster.supervision import NEVER, Supervisor


class Reader:
    """Runs what it is given, once for each start."""

    name = "services"

    def __init__(self, *runs: Callable[["Reader"], Awaitable[None]]) -> None:
        self.overdue_at = NEVER
        self.runs = list(runs)
        self.started = 0
        self.reasons: list[str] = []

    async def run(self) -> None:
        self.started += 1
        await (self.runs.pop(0)(self) if self.runs else _for_ever(self))

    def interrupted(self, reason: str) -> None:
        self.reasons.append(reason)


async def _for_ever(_: Reader) -> None:
    await asyncio.Event().wait()


async def _raises(_: Reader) -> None:
    raise KeyError("odd")


async def _returns(_: Reader) -> None:
    return


async def _cancelled(_: Reader) -> None:
    raise asyncio.CancelledError


async def _hangs(reader: Reader) -> None:
    reader.overdue_at = 5.0
    await _for_ever(reader)


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def _play(reader: Reader, *moves: float) -> Supervisor:
    """Run a reader under supervision while the clock moves."""
    clock = Clock()
    supervisor = Supervisor(clock)

    async def play() -> None:
        supervisor.start(reader)
        supervisor.begin()
        await _turns()
        for seconds in moves:
            clock.advance(seconds)
            await _turns()
        await supervisor.close()
        await _turns()

    asyncio.run(play())
    assert not clock.getDelayedCalls()
    return supervisor


@pytest.fixture(autouse=True)
def plain_futures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "Deferred", type("Deferred", (), {"fromFuture": lambda f: f}))


@pytest.mark.parametrize("end", [_raises, _returns, _cancelled])
def test_a_reader_that_ended_is_run_again(end: Callable[[Reader], Awaitable[None]]) -> None:
    """However it ended; nobody would read the kind any more, and all would look quiet."""
    reader = Reader(end, end)
    supervisor = _play(reader, *[0.5] * 8)
    assert reader.started == 3
    assert supervisor.restarts == {"services": 2}
    assert len(reader.reasons) == 2


def test_a_reader_that_does_not_get_on_is_run_again() -> None:
    """It waits for something that never comes, and has no limit of its own for it."""
    reader = Reader(_hangs)
    supervisor = _play(reader, *[1.0] * 4)
    assert reader.started == 1
    reader = Reader(_hangs)
    supervisor = _play(reader, *[1.0] * 8)
    assert reader.started == 2
    assert reader.reasons == ["it does not get on"]
    assert supervisor.restarts == {"services": 1}


def test_after_a_pause_of_the_whole_process_readers_have_their_turn_first() -> None:
    """SIGSTOP for half a minute must not make every replica list the whole cluster."""

    async def late(reader: Reader) -> None:
        await _hangs(reader)

    reader = Reader(late)
    clock = Clock()
    supervisor = Supervisor(clock)

    async def play() -> None:
        supervisor.start(reader)
        supervisor.begin()
        await _turns()
        clock.advance(60.0)
        await _turns()
        reader.overdue_at = 100.0  # it has got on
        for _ in range(3):
            clock.advance(1.0)
            await _turns()
        await supervisor.close()

    asyncio.run(play())
    assert reader.started == 1


def test_a_machine_that_is_late_all_the_time_does_not_hide_a_reader_that_hangs() -> None:
    """Only the first late look waits."""
    reader = Reader(_hangs)
    _play(reader, *[3.0] * 5)
    assert reader.reasons


def test_a_reader_that_was_ended_on_purpose_stays_away() -> None:
    """The Endpoints' reader, once slices may be read."""
    reader = Reader()
    clock = Clock()
    supervisor = Supervisor(clock)

    async def play() -> None:
        supervisor.start(reader)
        supervisor.begin()
        await _turns()
        supervisor.end("services")
        assert not supervisor.runs("services")
        for _ in range(5):
            clock.advance(1.0)
            await _turns()
        await supervisor.close()

    asyncio.run(play())
    assert reader.started == 1
    assert not supervisor.restarts
