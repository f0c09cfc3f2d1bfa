"""
What tests of all folders may ask for.

Also what runs side by side, and in which order, when pytest has several workers (`-n`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubedns import batch, plainbatch, plainring
from tests.absent import unavailable

HERE = Path(__file__).parent
TOGETHER = ("realapi", "browser", "pod", "clients", "manifests")
"""Folders whose tests share what is dear to start: one worker does all of a folder."""
FIRST = (*TOGETHER, "forwarder", "sidecar")
"""What takes longest, so that what is left at the end is quick; the others come behind."""
ALONE = ("netns", "bench", "faults")
"""Folders whose tests load the machine or measure it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _folder(item) in ALONE:
            item.add_marker(pytest.mark.alone)
    items.sort(key=lambda item: [*FIRST, _folder(item)].index(_folder(item)))


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together the tests of a folder that shares things, else those of a file."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            folders = Path(path).parts
            return next((each for each in TOGETHER if each in folders), path)

    return ByFolder(config, log)


@pytest.fixture(params=["native", "plain"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with the native piece and without it, here and in programs that it starts."""
    if request.param == "plain":
        monkeypatch.setattr(batch, "Batch", plainbatch.Batch)
        monkeypatch.setattr(batch, "Ring", plainring.Ring)
        monkeypatch.setattr(batch, "send_each", plainbatch.send_each)
        monkeypatch.setenv("KUBE_DNS_NATIVE", "0")
        return
    monkeypatch.delenv("KUBE_DNS_NATIVE", raising=False)
    if not batch.is_native():
        reason = "the native piece is not built: no compiler when this was installed?"
        unavailable(reason)
