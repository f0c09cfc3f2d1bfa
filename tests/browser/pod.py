"""The three processes of a pod on loopback ports, for the page of the real sidecar."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from tests.pod.running import NOBODY, ROOT, Running
from tests.realapi.ports import free_port
from tests.realapi.program import Program

Address = tuple[str, int]
_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
_NAME = "kubernetes.default.svc.cluster.local"


class Pod:
    """kubedns with the demo cluster, our forwarder before it, and the sidecar; a probe a second."""

    def __init__(self, folder: Path) -> None:
        self._ends = ExitStack()
        self.kubedns = self._ends.enter_context(Running(folder / "kubedns.log"))
        self._dns, self._admin, self._pages = free_port(), free_port(), free_port()
        self._operators = free_port()
        (folder / "config").mkdir()
        cluster = f"127.0.0.1#{self.kubedns.dns_port}"
        self._forwarder = self._start(
            folder / "dnsmasq.log", "dnsmasq_py", f"-configDir={folder / 'config'}",
            f"-kubednsServer=127.0.0.1:{self.kubedns.dns_port}", "--drain=0s",
            f"--admin-address=127.0.0.1:{self._admin}", "--", "-k", "--conf-file=/dev/null",
            "--no-hosts", "--no-resolv", "--log-facility=-", "--listen-address=127.0.0.1",
            "--bind-interfaces", f"--port={self._dns}", f"--server=/cluster.local/{cluster}",
            f"--server={NOBODY.replace(':', '#')}",
        )  # fmt: skip
        self.sidecar = self._start(
            folder / "sidecar.log", "sidecar", "--prometheus-addr=127.0.0.1",
            f"--prometheus-port={self._pages}", f"--operator-address=127.0.0.1:{self._operators}",
            "--drain=0s",
            f"--dnsmasq-port={self._dns}", "--dnsmasq-poll-interval-ms=1000",
            f"--kubedns-status=127.0.0.1:{self.kubedns.http_port}",
            f"--dnsmasq-status=127.0.0.1:{self._admin}",
            f"--probe=kubedns,127.0.0.1:{self.kubedns.dns_port},{_NAME},1,SRV",
            f"--probe=dnsmasq,127.0.0.1:{self._dns},{_NAME},1,SRV",
        )  # fmt: skip
        self.kubedns.ready()

    @property
    def url(self) -> str:
        """Return the address of the status page."""
        return f"http://127.0.0.1:{self._pages}/"

    @property
    def operators_url(self) -> str:
        """Return the address of the operators' status page."""
        return f"http://127.0.0.1:{self._operators}/"

    @property
    def dns(self) -> Address:
        """Return where the DNS of the pod is."""
        return "127.0.0.1", self._dns

    def end(self) -> None:
        """End all processes."""
        self._ends.close()

    def _start(self, log: Path, package: str, *arguments: str) -> Program:
        command = [sys.executable, "-m", package, *arguments]
        program = Program(command, log=log, environment=_ENVIRONMENT)
        self._ends.callback(program.kill)
        return program
