"""The control plane that all tests of this folder share, and what each of them starts."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.absent import unavailable
from tests.realapi.api import Api, ApiError, Object
from tests.realapi.controlplane import ControlPlane, missing
from tests.realapi.objects import namespace
from tests.realapi.product import KubeDns
from tests.realapi.relay import Relay
from tests.realapi.upstream import Upstream

TOOLS = (*ControlPlane.NEEDS, "dig", "kdig", "unshare")

_numbers = itertools.count(1)


class StartKubeDns(Protocol):
    """Starts a product with these flags, to be stopped when the test is over."""

    def __call__(
        self,
        *flags: str | Path,
        environment: dict[str, str] = ...,
        wrapper: tuple[str | Path, ...] = ...,
    ) -> KubeDns: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.realapi)


@pytest.fixture(scope="session")
def tools() -> None:
    """All programs that these tests need besides Python."""
    if lacking := ", ".join(missing(TOOLS)):
        unavailable(f"not installed: {lacking}; tests/setup-tools.sh gets what it can")


@pytest.fixture(scope="session")
def control_plane(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane"), audit=True) as control_plane:
        yield control_plane


@pytest.fixture
def api(control_plane: ControlPlane) -> Api:
    return control_plane.api


@pytest.fixture
def relay(control_plane: ControlPlane) -> Iterator[Relay]:
    """Another way to the API server, which the test may disturb."""
    with Relay(control_plane.port) as relay:
        yield relay


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def start_kube_dns(tmp_path: Path) -> Iterator[StartKubeDns]:
    started: list[KubeDns] = []

    def start(
        *flags: str | Path,
        environment: dict[str, str] | None = None,
        wrapper: tuple[str | Path, ...] = (),
    ) -> KubeDns:
        kube_dns = KubeDns(tmp_path, *flags, environment=environment, wrapper=wrapper)
        started.append(kube_dns)
        return kube_dns

    yield start
    for kube_dns in started:
        print(kube_dns.log())
    for kube_dns in started:
        kube_dns.stop()


@pytest.fixture(scope="session")
def kube_dns(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubeDns]:
    """
    The product with all rights, which lives as long as the control plane.

    It meets every restart and every odd object of the other tests too.  It owns the addresses
    which they use, so reverse names without a record do not exist.
    """
    kube_dns = KubeDns(
        tmp_path_factory.mktemp("kube-dns"),
        f"--kubecfg-file={control_plane.kubeconfig()}",
        "--reverse-cidr=10.0.0.0/8",
        "--reverse-cidr=fd00::/8",
    )
    yield kube_dns.ready()
    kube_dns.stop()


@pytest.fixture
def ns(api: Api) -> str:
    """The name of a new namespace, so that no test sees what another one left."""
    name = f"ns-{next(_numbers)}"
    api.create(namespace(name))
    return name


@pytest.fixture
def objects(api: Api) -> Iterator[list[Object]]:
    """A list for objects without a namespace, which are deleted when the test is over."""
    created: list[Object] = []
    yield created
    for thing in reversed(created):
        with contextlib.suppress(ApiError):  # the test may have deleted it
            api.delete(thing)
