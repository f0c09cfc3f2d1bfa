"""The three processes of the pod on loopback, started and asked one by one."""

from __future__ import annotations

import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.pod.running import DEMO, NOBODY, ROOT
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until

NAME = "kubernetes.default.svc.cluster.local"
INTERVAL_S = 1
# The truth is known within two intervals; what is beyond is for a machine that is busy.
SOON_S = 2 * INTERVAL_S + 8
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


class Process:
    """One process that can be ended, frozen and started anew."""

    def __init__(self, folder: Path, name: str, argv: Sequence[str]) -> None:
        self.name = name
        self._argv = argv
        self._log = folder / f"{name}.log"
        self._program: Program | None = None

    def start(self) -> None:
        """Start it, with a new process."""
        self._program = Program(self._argv, log=self._log, environment=ENVIRONMENT)

    @property
    def program(self) -> Program:
        """The process."""
        assert self._program is not None
        return self._program

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.program.send(number)

    def heal(self) -> None:
        """Have it run again: go on if it is frozen, else begin anew."""
        self.send(signal.SIGCONT)
        if not self.program.alive():
            self.start()

    def kill(self) -> None:
        """End it, in whatever state it is."""
        if self._program is not None:
            self._program.kill()

    def text(self) -> str:
        """Return its output so far."""
        return self._log.read_text(errors="replace")


class Kubedns(Process):
    """Our kubedns; it serves the demo cluster unless the flags say otherwise."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port, self.status = free_port(), free_port()
        source = () if any("kube-master-url" in flag for flag in flags) else (f"--objects={DEMO}",)
        argv = [
            sys.executable, "-m", "kubedns", *source, "--dns-bind-address=127.0.0.1",
            f"--dns-port={self.port}", "--healthz-port=0", "--lame-duck=0s",
            f"--status-address=127.0.0.1:{self.status}", f"--nameservers={NOBODY}", *flags,
        ]  # fmt: skip
        super().__init__(folder, "kubedns", argv)


class Dnsmasq(Process):
    """Our forwarder in front of a kubedns; options: dnsmasq's, further ones."""

    def __init__(self, folder: Path, kubedns: int, *options: str, drain: str = "0s") -> None:
        self.port, self.status = free_port(), free_port()
        argv = [
            sys.executable, "-m", "dnsmasq_py", f"-configDir={folder}/config",
            f"-kubednsServer=127.0.0.1:{kubedns}", f"--admin-address=127.0.0.1:{self.status}",
            f"--drain={drain}", "--", "-k", "--conf-file=", "--no-hosts", "--no-resolv",
            "--log-facility=-", "--listen-address=127.0.0.1", f"--port={self.port}",
            f"--server=/cluster.local/127.0.0.1#{kubedns}", *options,
        ]  # fmt: skip
        super().__init__(folder, "dnsmasq", argv)


class Sidecar(Process):
    """
    Our sidecar. probes: as for --probe; statistics: port of the forwarder.

    kubedns, dnsmasq: ports of their pages, 0: off.
    """

    def __init__(
        self,
        folder: Path,
        *flags: str,
        probes: Sequence[str] = (),
        statistics: int = 1,
        kubedns: int = 0,
        dnsmasq: int = 0,
    ) -> None:
        self.port, self.operator = free_port(), free_port()
        argv = [
            sys.executable, "-m", "sidecar", *(f"--probe={each}" for each in probes),
            "--prometheus-addr=127.0.0.1", f"--prometheus-port={self.port}",
            f"--operator-address=127.0.0.1:{self.operator}", f"--dnsmasq-port={statistics}",
            "--dnsmasq-poll-interval-ms=1000", f"--kubedns-status={_status(kubedns)}",
            f"--dnsmasq-status={_status(dnsmasq)}", *flags,
        ]  # fmt: skip
        super().__init__(folder, "sidecar", argv)

    def __enter__(self) -> Sidecar:
        self.start()
        until(lambda: self.get("/readyz")[0] or not self.program.alive(), wanted="pages")
        assert self.program.alive(), self.text()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def get(self, path: str, port: int = 0) -> tuple[int, str]:
        """Return status and text of a page; 0: nobody listens."""
        url = f"http://127.0.0.1:{port or self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=20) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def healthz(self) -> dict[str, Any]:
        """Return /healthz; its status must say the same."""
        code, text = self.get("/healthz")
        told: dict[str, Any] = json.loads(text)
        assert code == (200 if told["ok"] else 503)
        return told

    def check(self, label: str) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of /healthcheck/<label>."""
        code, text = self.get(f"/healthcheck/{label}")
        return code, json.loads(text)

    def metrics(self) -> dict[str, float]:
        """Return each series with its value."""
        lines = self.get("/metrics")[1].splitlines()
        series = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name: float(value) for name, _, value in series}

    def until(
        self, accept: Callable[[dict[str, Any]], Any], wanted: str, within_s: float = 30.0
    ) -> dict[str, Any]:
        """Wait for something that /healthz tells."""
        return until(
            self.healthz, lambda told: bool(accept(told)), within_s=within_s, wanted=wanted
        )

    def well(self) -> dict[str, Any]:
        """Wait until all is well."""
        return self.until(lambda told: told["ok"], "well")


def _status(port: int) -> str:
    return f"127.0.0.1:{port}" if port else "off"


class Pod:
    """All three, of ours; the sidecar probes both every second."""

    def __init__(self, folder: Path, *flags: str, lame_duck: str = "0s", drain: str = "0s") -> None:
        self.kubedns = Kubedns(folder, f"--lame-duck={lame_duck}")
        self.dnsmasq = Dnsmasq(folder, self.kubedns.port, drain=drain)
        self.sidecar = Sidecar(
            folder,
            *flags,
            probes=[
                f"kubedns,127.0.0.1:{self.kubedns.port},{NAME},{INTERVAL_S},SRV",
                f"dnsmasq,127.0.0.1:{self.dnsmasq.port},{NAME},{INTERVAL_S},SRV",
            ],
            statistics=self.dnsmasq.port,
            kubedns=self.kubedns.status,
            dnsmasq=self.dnsmasq.status,
        )
        self.all: tuple[Process, ...] = (self.kubedns, self.dnsmasq, self.sidecar)

    def __enter__(self) -> Pod:
        for process in self.all:
            process.start()
        until(lambda: self.sidecar.get("/readyz")[0], wanted="pages")
        self.well()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.all:
            process.kill()

    def well(self) -> dict[str, Any]:
        """Wait until all is well and both neighbours have been read."""
        return self.sidecar.until(
            lambda told: told["ok"] and all(each["ours"] for each in told["neighbours"].values()),
            "well",
        )
