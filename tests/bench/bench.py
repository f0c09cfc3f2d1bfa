"""What every measurement is given: the scratch folder, the cluster, the systems."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cluster import Cluster
from tests.bench.systems import Running, System


@dataclass(slots=True)
class Bench:
    """A run of the benchmarks; ``cluster`` grows from measurement to measurement."""

    scratch: Path
    quick: bool
    cluster: Cluster
    watchers: tuple[System, ...]
    """The systems that watch an API server: kubedns first, then its peers."""
    echo: System | None

    @contextmanager
    def running(self, system: System) -> Iterator[Running]:
        """Start a system on the cluster and stop it in the end."""
        started = system.start(self.cluster.admin)
        try:
            yield started
        except Exception as error:
            *_, last = started.process.last_words().splitlines() or ["nothing"]
            error.add_note(f"{system.name} said last: {last}")
            raise
        finally:
            started.stop()


def say(text: str) -> None:
    """Tell on standard error what is being measured now."""
    print(text, file=sys.stderr, flush=True)
