"""Memory of the pod: the three processes, at work for a moment and then left alone."""

from __future__ import annotations

import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import memory
from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, figure
from tests.bench.process import Server
from tests.bench.question import Question
from tests.bench.systems import FORWARDER, KUBEDNS, POD, SIDECAR
from tests.realapi.ports import free_port

DEMO = Path(__file__).parents[2] / "manifests" / "demo"
_NAMES = ("kubernetes.default.svc.cluster.local", "web.shop.svc.cluster.local", "nobody.at.home")
_QUESTIONS = 300
_START_S = 30.0
_SETTLE_S = 3.0
# As in the image, see manifests/assemble.py: no text that only developers read is kept.
_ENVIRONMENT = {"PYTHONOPTIMIZE": "2"}
_PROGRAMS = {KUBEDNS: "kube-dns", FORWARDER: "dnsmasq-nanny", SIDECAR: "sidecar"}


@dataclass(frozen=True, slots=True)
class _Ports:
    """One for each place where the processes listen."""

    kubedns: int
    kubedns_status: int
    forwarder: int
    forwarder_status: int
    sidecar: int


def measure(bench: Bench) -> Iterator[Figure]:
    """Start the pod again and again, with the objects of the demo cluster."""
    bench.release()
    say("memory of the pod")
    _once(bench)  # compiles what was never imported: that costs memory too
    taken = [_once(bench) for _ in range(1 if bench.quick else 3)]
    parts = {name: statistics.median(each[name] for each, _ in taken) / 1e6 for name in _PROGRAMS}
    title = "memory of the pod, demo cluster"
    yield figure(
        "pod.pss",
        f"{title}: proportional set size",
        "MB",
        {POD: [sum(each.values()) / 1e6 for each, _ in taken]},
        ", ".join(f"{name} {octets:.1f}" for name, octets in parts.items())
        + "; where other programs run on the same Python, they bear a part",
    )
    yield figure(
        "pod.alone",
        f"{title}: the same on a machine of its own",
        "MB",
        {POD: [octets / 1e6 for _, octets in taken]},
        "the original's pod takes 92 to 94 MB",
    )


def _once(bench: Bench) -> tuple[dict[str, int], int]:
    """Return the octets of each process after a little work, and of all on their own."""
    ports = _Ports(*(free_port() for _ in range(5)))
    words = {
        KUBEDNS: _kubedns(ports, DEMO),
        FORWARDER: _forwarder(ports, bench.scratch),
        SIDECAR: _sidecar(ports),
    }
    with ExitStack() as stack:
        pids = {}
        for name, argv in words.items():
            command = bench.commands.get(name) or [Path(sys.executable).with_name(_PROGRAMS[name])]
            server = Server(
                [*command, *argv], log=bench.scratch / f"pod-{name}.log", environment=_ENVIRONMENT
            )
            stack.callback(server.kill)
            pids[name] = server.pid
        _work(ports)
        time.sleep(_SETTLE_S)
        return {name: memory.of(pid) for name, pid in pids.items()}, memory.alone(pids.values())


def _work(ports: _Ports) -> None:
    """Wait until the pod is well by its own word, ask some questions, and look at all pages."""
    _page(ports.sidecar, "/healthz")
    for name in _NAMES:
        question = Question(name, ports.forwarder)
        for _ in range(_QUESTIONS // len(_NAMES)):
            question.ask()
        question.close()
    for port in (ports.kubedns_status, ports.forwarder_status):
        _page(port, "/status")
        _page(port, "/metrics")
    for path in ("/", "/metrics", "/healthcheck/kubedns", "/healthcheck/dnsmasq"):
        _page(ports.sidecar, path)


def _page(port: int, path: str) -> None:
    """
    Get a page that says that all is well.

    Raises:
        TimeoutError: there is none in time.
    """
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
                reply.read()
                return
        except OSError as error:  # HTTP statuses too
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: {error}") from error
            time.sleep(0.1)


def _kubedns(ports: _Ports, source: Path) -> list[str]:
    return [
        f"--objects={source}" if source.is_dir() else f"--kubecfg-file={source}",
        "--dns-bind-address=127.0.0.1",
        f"--dns-port={ports.kubedns}",
        "--healthz-port=0",
        f"--status-address=127.0.0.1:{ports.kubedns_status}",
    ]


def _forwarder(ports: _Ports, scratch: Path) -> list[str]:
    config = scratch / "pod-config"
    config.mkdir(exist_ok=True)
    cluster = f"127.0.0.1#{ports.kubedns}"
    return [
        f"-configDir={config}",
        f"-kubednsServer=127.0.0.1:{ports.kubedns}",
        f"--admin-address=127.0.0.1:{ports.forwarder_status}",
        "--",
        *("-k", "--conf-file=", "--no-hosts", "--no-resolv", "--log-facility=-"),
        "--cache-size=1000",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        f"--port={ports.forwarder}",
        *(f"--server=/{zone}/{cluster}" for zone in ("cluster.local", "in-addr.arpa", "ip6.arpa")),
    ]


def _sidecar(ports: _Ports) -> list[str]:
    probed = f"{_NAMES[0]},1,SRV"
    return [
        f"--probe=kubedns,127.0.0.1:{ports.kubedns},{probed}",
        f"--probe=dnsmasq,127.0.0.1:{ports.forwarder},{probed}",
        f"--dnsmasq-port={ports.forwarder}",
        "--prometheus-addr=127.0.0.1",
        f"--prometheus-port={ports.sidecar}",
        f"--kubedns-status=127.0.0.1:{ports.kubedns_status}",
        f"--dnsmasq-status=127.0.0.1:{ports.forwarder_status}",
        "--operator-address=off",
    ]
