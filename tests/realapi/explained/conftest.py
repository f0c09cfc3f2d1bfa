"""One cluster with all its situations, the servers around it, and one pod for most of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.absent import unavailable
from tests.forwarder import peers
from tests.realapi.controlplane import ControlPlane
from tests.realapi.explained import cluster
from tests.realapi.explained.around import Around, servers
from tests.realapi.explained.pod import Pod

SERVICE_ADDRESSES = "10.0.0.0/16"


@pytest.fixture(scope="package")
def shop(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane, with the objects of cluster.py."""
    cluster.create(control_plane.api)
    yield control_plane
    cluster.delete(control_plane.api)


@pytest.fixture(scope="package")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    """The name servers around the pod."""
    if lacking := ", ".join(peers.missing()):
        unavailable(f"not installed: {lacking}; tests/setup-tools.sh gets what it can")
    with servers(tmp_path_factory.mktemp("around")) as found:
        yield found


@pytest.fixture(scope="package")
def pod(
    shop: ControlPlane, around: Around, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pod]:
    """A pod with all rights, which is well."""
    flags = [f"--reverse-cidr={SERVICE_ADDRESSES}"]
    folder = tmp_path_factory.mktemp("pod")
    with Pod(folder, shop.kubeconfig(), around.config, flags=flags) as running:
        yield running.synced()
