"""
The systems under test: how each is built, started and asked whether it is ready.

What cannot be had on a machine (no compiler, no Go) says why, and its rows are left out.
"""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import Server
from tests.realapi.controlplane import CACHE, program
from tests.realapi.ports import free_port

_HERE = Path(__file__).parent

KUBEDNS = "kubedns"
COREDNS = "CoreDNS"
ECHO = "C echo"
FORWARDER = "dnsmasq_py"
SIDECAR = "sidecar"
POD = "pod"
OURS = frozenset({KUBEDNS, FORWARDER, SIDECAR, POD})
"""The systems whose goals are bounds of what they take; the goals of all others are ratios."""

_COREFILE = """\
.:{dns} {{
    bind 127.0.0.1
    errors
    ready 127.0.0.1:{ready}
    prometheus 127.0.0.1:{metrics}
    loadbalance
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
    }}
}}
"""


class UnavailableError(Exception):
    """A system cannot be built or started on this machine; the text says why."""


@dataclass(slots=True)
class Running:
    """
    A started system: its process, its DNS port, its readiness port if it has one.

    per_connection: how many questions over one TCP connection it takes before it closes it.
    """

    name: str
    process: Server
    dns_port: int
    ready_port: int | None = None
    ready_path: str = "/"
    per_connection: int | None = None

    def ready(self) -> bool:
        """Ask once whether the system says that it is ready."""
        if self.ready_port is None:
            return True
        connection = http.client.HTTPConnection("127.0.0.1", self.ready_port, timeout=1)
        try:
            connection.request("GET", self.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End the system at once: no one waits for it to drain."""
        self.process.kill()


@dataclass(frozen=True, slots=True)
class System:
    """A program to measure. ``start`` takes the sources it serves: a kubeconfig or object files."""

    name: str
    start: Callable[[Path], Running]


def compiled(source_name: str) -> Path:
    """
    Return the program that a C file of this folder becomes, compiled now if it is not yet.

    Raises:
        UnavailableError: there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnavailableError("no C compiler (cc)")
    source = _HERE / source_name
    binary = CACHE / f"bench-{source.stem}"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", binary, source], check=True)
    return binary


def echo(scratch: Path) -> System:
    """
    The C echo, compiled here.

    Raises:
        UnavailableError: there is no C compiler.
    """
    binary = compiled("echo.c")

    def start(_: Path) -> Running:
        port = free_port()
        return Running(ECHO, Server([binary, str(port)], log=scratch / "echo.log"), port)

    return System(ECHO, start)


def coredns(scratch: Path) -> System:
    """
    CoreDNS with its kubernetes plugin and no cache.

    Besides that plugin it has those of the usual Corefile for what kubedns does as well: metrics,
    readiness, log of errors, answers in turn.

    Raises:
        UnavailableError: it is not there.
    """
    binary = program("coredns")
    if binary is None:
        raise UnavailableError("no coredns; tests/setup-tools.sh builds it where Go is")

    def start(kubeconfig: Path) -> Running:
        dns, ready, metrics = free_port(), free_port(), free_port()
        corefile = scratch / f"Corefile.{dns}"
        corefile.write_text(
            _COREFILE.format(dns=dns, ready=ready, metrics=metrics, kubeconfig=kubeconfig)
        )
        process = Server([binary, "-conf", corefile], log=scratch / "coredns.log")
        return Running(COREDNS, process, dns, ready, "/ready")

    return System(COREDNS, start)


def kubedns(scratch: Path, command: Sequence[str] = ()) -> System:
    """
    Our own, from an API server (a kubeconfig file) or from object files (a folder).

    ``command`` is another way to start it than the console script of this environment.
    """
    script = Path(sys.executable).with_name("kube-dns")
    start_it = list(command) or (
        [str(script)] if script.exists() else [sys.executable, "-m", "kubedns"]
    )

    def start(source: Path) -> Running:
        dns, health = free_port(), free_port()
        argv = [*start_it, f"--dns-port={dns}", "--dns-bind-address=127.0.0.1"]
        argv += [f"--healthz-port={health}", "--status-address=", "--domain=cluster.local."]
        argv += [f"--objects={source}" if source.is_dir() else f"--kubecfg-file={source}"]
        process = Server(argv, log=scratch / "kubedns.log")
        return Running(KUBEDNS, process, dns, health, "/readiness")

    return System(KUBEDNS, start)
