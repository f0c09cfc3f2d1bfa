"""The place, the pod and the resolvers, once for all tests here; and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.absent import unavailable
from tests.clients import place as places
from tests.clients.capture import Capture
from tests.clients.place import RESOLV, Place
from tests.clients.pod import Pod, running
from tests.clients.resolvers import Asker, Resolver, missing
from tests.clients.table import Table


class StartAsker(Protocol):
    """Starts a resolver with a resolv.conf, or gives the one that runs already. number: of it."""

    def __call__(self, resolver: Resolver, resolv: str = ..., number: int = ...) -> Asker: ...


TABLE = pytest.StashKey[Table]()
LINES = pytest.StashKey[list[str]]()
_SENT = "resolvers of clients"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE], config.stash[LINES] = Table(), []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the table for the output; with several workers it was one of them that filled it."""
    config = session.config
    if table := config.stash[TABLE].rows and [*config.stash[TABLE].lines()]:
        config.stash[LINES] = table
        if hasattr(config, "workeroutput"):
            config.workeroutput[_SENT] = table


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LINES] += getattr(node, "workeroutput", {}).get(_SENT, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if table := terminalreporter.config.stash.get(LINES, []):
        terminalreporter.section("resolvers of clients through the pod")
        for line in table:
            terminalreporter.write_line(line)


@pytest.fixture(scope="package")
def table(request: pytest.FixtureRequest) -> Table:
    """What the output will show."""
    return request.config.stash[TABLE]


@pytest.fixture(scope="package")
def place() -> Iterator[Place]:
    if reason := places.missing():
        unavailable(reason)
    with Place() as made:
        yield made


@pytest.fixture(scope="package")
def pod(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with running(place, tmp_path_factory.mktemp("pod")) as started:
        yield started


@pytest.fixture(scope="package")
def capture(place: Place) -> Iterator[Capture]:
    made = Capture(place)
    yield made
    made.close()


@pytest.fixture(scope="package")
def asker(place: Place, pod: Pod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartAsker]:
    folder = tmp_path_factory.mktemp("clients")
    started: dict[tuple[str, str, int], Asker] = {}
    with ExitStack() as stack:

        def start(resolver: Resolver, resolv: str = RESOLV, number: int = 0) -> Asker:
            if reason := missing(resolver.needs):
                unavailable(f"{resolver.title}: {reason}")
            key = (resolver.title, resolv, number)
            if key not in started:
                etc = folder / str(len(started))
                wrapper: Sequence[str] = place.at_client(etc, resolv)
                log: Path = folder / f"{etc.name}.log"
                started[key] = stack.enter_context(Asker(resolver, wrapper, log))
            return started[key]

        yield start
