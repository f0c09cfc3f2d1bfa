"""One Chromium for all tests of this folder, and the pages it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sidecar.explain.shapes import Explanation
from sidecar.state import State
from tests.absent import unavailable
from tests.browser import explanations, states
from tests.browser.chromium import Chromium, missing
from tests.browser.serving import Operating, Serving

Serve = Callable[[State], Serving]
Operate = Callable[..., Operating]


@pytest.fixture(scope="session")
def installed() -> None:
    """Chromium and its driver."""
    if lacking := missing():
        unavailable(
            f"not installed: {', '.join(lacking)} (Debian: chromium, chromium-driver); "
            "tests/setup-tools.sh gets them"
        )


@pytest.fixture(scope="session")
def only_browser(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(only_browser: Chromium) -> Chromium:
    only_browser.fresh()
    return only_browser


@pytest.fixture
def without_scripts(
    installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chromium]:
    """A browser whose reader has switched JavaScript off."""
    browser = Chromium(tmp_path_factory.mktemp("chromium"), scripts=False)
    yield browser
    browser.quit()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a state until the test is over."""
    started: list[Serving] = []

    def serve(state: State) -> Serving:
        started.append(Serving(state))
        return started[-1]

    yield serve
    for each in started:
        each.stop()


@pytest.fixture
def operate() -> Iterator[Operate]:
    """Serves operators a state, and an explanation for each question, until the test is over."""
    started: list[Operating] = []

    def operate(found: Explanation | str = "", state: State | None = None) -> Operating:
        if state is None:
            state = states.well()
            state.seen = explanations.seen()
        started.append(Operating(state, found or explanations.wrong_name()))
        return started[-1]

    yield operate
    for each in started:
        each.held.set()
        each.stop()
