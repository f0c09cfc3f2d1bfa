"""One kubedns that serves the demo cluster, and one `make run`, for all tests that only ask."""

from collections.abc import Iterator

import pytest

from tests.forwarder.behaviours import zone
from tests.forwarder.scripted import Scripted
from tests.pod.running import MadeRun, Running


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve the demo cluster on a loopback port."""
    with Running(tmp_path_factory.mktemp("demo") / "log") as running:
        yield running.ready()


@pytest.fixture(scope="session")
def made_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeRun]:
    """Do `make run`, with a name server outside that knows www.example.com."""
    outside = zone("www.example.com. 300 IN A 192.0.2.80", origin="com.")
    with (
        Scripted(outside) as server,
        MadeRun(tmp_path_factory.mktemp("make-run"), [server.nameserver]) as running,
    ):
        yield running.ready()
