"""What every test here starts, and what it must leave behind in good order."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.absent import unavailable
from tests.forwarder import peers
from tests.forwarder.behaviours import answers
from tests.forwarder.program import NO_LOCAL_FILES, ORIGINAL, Forwarder
from tests.forwarder.scripted import Play, Scripted

GOOD_ANSWERS = answers()


class Start(Protocol):
    """
    Starts a forwarder with these options, to be stopped when the test is over.

    wait: until it answers. local_files: options instead of those that forbid files of this machine.
    """

    def __call__(
        self,
        *options: str,
        wait: bool = ...,
        local_files: Sequence[str] = ...,
        **rest: object,
    ) -> Forwarder: ...


class StartServer(Protocol):
    """Starts a scripted server, to be stopped when the test is over."""

    def __call__(self, play: Play = ..., **rest: object) -> Scripted: ...


@pytest.fixture(scope="session")
def tools() -> None:
    """All programs that these tests need besides Python."""
    lacking = [*peers.missing(), *(name for name in ("dig", "ip") if shutil.which(name) is None)]
    if lacking:
        unavailable(f"not installed: {', '.join(lacking)}; tests/setup-tools.sh gets them")


@pytest.fixture
def ours_only() -> None:
    """A test of what the original cannot have."""
    if ORIGINAL:
        pytest.skip("not for dnsmasq")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Forwarder] = []

    def start(
        *options: str,
        wait: bool = True,
        local_files: Sequence[str] = NO_LOCAL_FILES,
        **rest: object,
    ) -> Forwarder:
        forwarder = Forwarder(tmp_path, *local_files, *options, **rest)  # type: ignore[arg-type]
        started.append(forwarder)
        return forwarder.ready() if wait else forwarder

    yield start
    for forwarder in started:
        print(f"log of {forwarder.address}:{forwarder.port}\n{forwarder.log()}")
    try:
        for forwarder in started:
            if not forwarder.told_to_end:
                forwarder.stop()
    finally:
        for forwarder in started:
            forwarder.kill()


@pytest.fixture
def server() -> Iterator[StartServer]:
    with ExitStack() as stack:

        def start(play: Play = GOOD_ANSWERS, **rest: object) -> Scripted:
            return stack.enter_context(Scripted(play, **rest))  # type: ignore[arg-type]

        yield start
