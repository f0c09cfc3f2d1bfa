"""The pod: kubedns and the forwarder as the published manifest starts them, but for the folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.outside import CLOSED, NOBODY, Outside
from tests.clients.place import Place
from tests.realapi.mounted import mount
from tests.realapi.program import Program
from tests.realapi.waiting import until

ROOT = Path(__file__).parents[2]
MANY = [f"10.244.9.{i}" for i in range(1, 101)]
"""The endpoints of `many`: more than a datagram holds."""
_KUBEDNS = "127.0.0.1#10053"


@dataclass(frozen=True, slots=True)
class Pod:
    """Both programs, and the servers outside."""

    kubedns: Program
    forwarder: Program
    outside: Outside


@contextmanager
def running(place: Place, folder: Path) -> Iterator[Pod]:
    """Start the pod; at the end both programs must stop in good order."""
    objects, config = folder / "objects", folder / "config"
    objects.mkdir()
    (objects / "many.json").write_text(json.dumps(_many()))
    with Outside(place.pod) as outside:
        mount(
            config,
            {
                "upstreamNameservers": json.dumps([f"{outside.address}:{outside.port}"]),
                "stubDomains": json.dumps({CLOSED: [NOBODY]}),
            },
        )
        kubedns = _start(place, folder, "kubedns", *_kubedns(objects, config))
        forwarder = _start(place, folder, "dnsmasq_py", *_forwarder(config))
        try:
            _ready(kubedns, forwarder)
            yield Pod(kubedns, forwarder, outside)
            for each in (forwarder, kubedns):
                assert each.alive(), each.last_words()
                assert each.stop(15.0) == 0, each.last_words()
                assert "Traceback" not in each.output(), each.output()
        finally:
            for each in (forwarder, kubedns):
                each.kill()


def _kubedns(objects: Path, config: Path) -> list[str]:
    files = (ROOT / "manifests" / "demo", Path(__file__).with_name("cluster.yaml"), objects)
    return [
        *(f"--objects={each}" for each in files), f"--config-dir={config}", "--dns-port=10053",
        "--healthz-port=0", "--status-address=", "--lame-duck=0s",
    ]  # fmt: skip


def _forwarder(config: Path) -> list[str]:
    return [
        "-v=2", f"-configDir={config}", "-restartDnsmasq=true", "--drain=0s", "--",
        "-k", "--cache-size=1000", "--no-negcache", "--dns-loop-detect", "--log-facility=-",
        f"--server=/cluster.local/{_KUBEDNS}", f"--server=/in-addr.arpa/{_KUBEDNS}",
        f"--server=/ip6.arpa/{_KUBEDNS}",
    ]  # fmt: skip


def _start(place: Place, folder: Path, package: str, *args: str) -> Program:
    return Program(
        [*place.in_pod(), sys.executable, "-m", package, *args],
        log=folder / f"{package}.log",
        environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _ready(kubedns: Program, forwarder: Program) -> None:
    def met() -> bool:
        assert kubedns.alive(), kubedns.last_words()
        assert forwarder.alive(), forwarder.last_words()
        synced = "in sync with the cluster" in kubedns.output()
        return synced and "cluster server" in forwarder.output()

    until(met, wanted=f"both at work\n{kubedns.last_words()}\n{forwarder.last_words()}")


def _many() -> dict[str, object]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "many-abcde",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "many"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": [each]} for each in MANY],
    }
