"""A real API server for the manifests, which knows the kinds of the Prometheus operator too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.absent import unavailable
from tests.realapi.controlplane import ControlPlane, missing, program
from tests.realapi.waiting import until

KINDS = Path(__file__).parent / "prometheus-operator.yaml"


class Kubectl(Protocol):
    """Runs kubectl as the cluster's administrator."""

    def __call__(self, *args: str | Path) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def kubectl_there() -> None:
    if program("kubectl") is None:
        unavailable("not installed: kubectl")


@pytest.fixture(scope="session")
def control_plane(
    kubectl_there: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    if lacking := ", ".join(missing(ControlPlane.NEEDS)):
        unavailable(f"not installed: {lacking}; tests/setup-tools.sh gets what it can")
    # That of kubeadm, where the Service kube-dns has its address.
    ranges = "10.96.0.0/16,fd00:10:96::/112"
    folder = tmp_path_factory.mktemp("control-plane")
    with ControlPlane(folder, service_ranges=ranges) as control_plane:
        yield control_plane


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    cache = tmp_path_factory.mktemp("kubectl")
    kubeconfig = control_plane.kubeconfig()

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(program("kubectl")), f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}"]
        return subprocess.run(
            [*command, *map(str, args)], capture_output=True, text=True, timeout=120
        )

    made = run("apply", "-f", KINDS)
    assert made.returncode == 0, made.stderr
    # The kinds are served a moment after they were made.
    until(
        lambda: run("get", "servicemonitors,prometheusrules", "-A").returncode == 0,
        wanted="the kinds of the Prometheus operator",
    )
    return run
