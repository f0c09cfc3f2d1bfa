"""One cluster for all tests of this folder, with the images of this working copy."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.cluster import images, podtext
from tests.cluster.cluster import Cluster
from tests.cluster.configmap import ConfigMap
from tests.cluster.cut import CutOff
from tests.cluster.report import Report
from tests.cluster.service import last_words, reaches_service, settled
from tests.realapi.controlplane import missing

NEEDS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
    "containerd", "containerd-shim-runc-v2", "ctr", "coredns", "kubectl", "runc", "nft", "ip",
    "conntrack", "unshare", "nsenter", "openssl", "dnsmasq", "gcc", "buildah", "podman",
)  # fmt: skip
PLUGINS = Path("/usr/lib/cni/ptp")
WORLD = (Path(__file__).parent / "manifests" / "world.yaml").read_text()
CLIENTS = ("client", "client-default", "client-host", "client-none", "web-0", "web-1")


def lacking() -> str:
    """Return why no cluster can be started here; empty when one can."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "needs root on Linux"
    files = [str(file) for file in (PLUGINS, images.DEBIAN_TAR) if not file.exists()]
    return ", ".join([*missing(NEEDS), *files])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put last what waits for time to pass."""
    items.sort(key=lambda item: item.path.name == "test_api_server_away.py")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """
    A cluster with our images and the objects of world.yaml, and no DNS yet.

    CLUSTER=DIR uses one that runs already there, as it is: faster while writing a test.
    """
    if running := os.environ.get("CLUSTER"):
        yield Cluster(Path(running))
        return
    if reason := lacking():
        unavailable(f"no cluster: {reason}; tests/setup-tools.sh gets what it can")
    with _folder() as folder:
        archive = images.build_images(folder)
        with Cluster(folder / "one") as cluster:
            cluster.load(archive)
            archive.unlink()
            cluster.apply(WORLD)
            cluster.ready(*CLIENTS)
            yield cluster
            if request.session.testsfailed:
                print(last_words(cluster))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder for most of a gigabyte, and remove those of runs that were killed."""
    prefix = "kube-dns-cluster-"
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if not Path("/proc", path.name.removeprefix(prefix).partition("-")[0]).exists():
            shutil.rmtree(path, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def cut_off(cluster: Cluster) -> CutOff:
    """A pod that never reaches the API server: from the first test on, as it must last minutes."""
    return CutOff(cluster)


@pytest.fixture(scope="session", params=["published", "ours"])
def installed(request: pytest.FixtureRequest, cluster: Cluster, report: Report) -> str:
    """
    The DNS of the cluster, by the published manifest with our images, then by ours; in service.

    All tests of one run before those of the other; the change is what operators will do.
    """
    which: str = request.param
    start = time.monotonic()
    if which == "published":
        # Where ours is, its rights are too: this is for a cluster of an earlier run.
        cluster.kubectl("delete", "--ignore-not-found", "-k", str(podtext.MANIFESTS))
        cluster.apply(podtext.with_our_images())
    else:
        podtext.rendered(cluster)
        said = cluster.on_node("kubectl", "apply", "-k", str(podtext.MANIFESTS)).stderr
        assert said == "", "kubectl has something to say"
    cluster.rolled_out("deployment/kube-dns")
    report.row("start", manifest=which, ready_s=round(time.monotonic() - start, 1))
    settled(cluster)
    reaches_service(cluster)
    return which


@pytest.fixture
def config_map(cluster: Cluster, installed: str) -> Iterator[ConfigMap]:
    """The ConfigMap kube-dns, emptied afterwards."""
    yield ConfigMap(cluster)
    ConfigMap(cluster).set({})


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    """Tables of what was measured, printed when all tests are over."""
    report = Report()
    yield report
    print(report.text())
