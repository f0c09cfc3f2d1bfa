"""What tests of all folders may ask for."""

from __future__ import annotations

import os

import pytest

from kubedns import batch, plainbatch


@pytest.fixture(params=["native", "plain"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with the native piece and without it, here and in programs that it starts."""
    if request.param == "plain":
        monkeypatch.setattr(batch, "Batch", plainbatch.Batch)
        monkeypatch.setenv("KUBE_DNS_NATIVE", "0")
        return
    monkeypatch.delenv("KUBE_DNS_NATIVE", raising=False)
    if not batch.is_native():
        reason = "the native piece is not built: no compiler when this was installed?"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
