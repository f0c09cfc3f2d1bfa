"""One kubedns that serves the demo cluster, for all tests that only ask it."""

from collections.abc import Iterator

import pytest

from tests.pod.running import Running


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve the demo cluster on a loopback port."""
    with Running(tmp_path_factory.mktemp("demo") / "log") as running:
        yield running.ready()
