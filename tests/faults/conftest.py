"""The scene that all rows share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.absent import unavailable
from tests.faults.stage import Stage, scene
from tests.realapi.controlplane import ControlPlane, missing


@pytest.fixture(scope="session")
def stage_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stage]]:
    """A real control plane, a gate in front of it, and two upstreams."""
    if lacking := missing([*ControlPlane.NEEDS, "unshare", "cc", "dnsperf"]):
        reason = f"not installed: {lacking}; tests/setup-tools.sh gets what it can"
        unavailable(reason)
    with scene(tmp_path_factory.mktemp("faults"), short=True) as stage_of:
        yield stage_of
