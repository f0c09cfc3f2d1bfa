"""How much a client is told: less than the operator of the same pod."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.realapi.controlplane import ControlPlane
from tests.realapi.explained.around import Around
from tests.realapi.explained.borders import OFF, SAME_NAMESPACE
from tests.realapi.explained.pod import Pod
from tests.realapi.explained.situation import Situation, check_all


@pytest.mark.parametrize(
    ("border", "situations"), [("same-namespace", SAME_NAMESPACE), ("off", OFF)]
)
def test_a_border(
    border: str, situations: Sequence[Situation], shop: ControlPlane, around: Around, tmp_path: Path
) -> None:
    flags = [f"--explain={border}"]
    with Pod(tmp_path, shop.kubeconfig(), around.config, flags=flags) as pod:
        check_all(pod.synced(), situations)
