"""A whole pod in front of the API server, on loopback: asked with dig, and asked to explain."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.pod.running import ROOT
from tests.realapi.explained import dig
from tests.realapi.mounted import mount
from tests.realapi.ports import free_port
from tests.realapi.waiting import PATIENCE_S, until
from tests.sidecar.pod import Dnsmasq, Process, Sidecar

Json = dict[str, Any]


class Kubedns(Process):
    """Our kubedns on the objects of an API server."""

    def __init__(self, folder: Path, port: int, kubeconfig: Path, *flags: str) -> None:
        self.port = port
        self.status, self.healthz = free_port(), free_port()
        argv = [
            sys.executable, "-m", "kubedns", f"--kubecfg-file={kubeconfig}",
            "--dns-bind-address=127.0.0.1", f"--dns-port={self.port}",
            f"--healthz-port={self.healthz}", "--lame-duck=0s",
            f"--status-address=127.0.0.1:{self.status}", *flags,
        ]  # fmt: skip
        super().__init__(folder, "kubedns", argv)


class Pod:
    """
    The three processes. config: the keys of the ConfigMap.

    flags: further ones of kubedns. options: further ones of the forwarder.
    """

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        config: Mapping[str, object],
        *,
        flags: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        texts = {key: json.dumps(value) for key, value in config.items()}
        mount(folder / "config", texts)
        port = free_port()
        self.forwarder = Dnsmasq(
            folder, port, f"--server=/in-addr.arpa/127.0.0.1#{port}",
            f"--server=/ip6.arpa/127.0.0.1#{port}", *options,
        )  # fmt: skip
        self.kubedns = Kubedns(
            folder, port, kubeconfig, f"--config-dir={folder}/config",
            f"--notify=127.0.0.1:{self.forwarder.port}", *flags,
        )  # fmt: skip
        self.sidecar = Sidecar(
            folder, "--node-resolv-conf=off", statistics=self.forwarder.port,
            kubedns=self.kubedns.status, dnsmasq=self.forwarder.status,
        )  # fmt: skip
        self.processes = (self.kubedns, self.forwarder, self.sidecar)

    def __enter__(self) -> Pod:
        for each in self.processes:
            each.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in self.processes:
            each.kill()
        for each in self.processes:
            print(each.text())

    def up(self) -> Pod:
        """Wait until the forwarder answers, and the sidecar has found its neighbours."""
        until(lambda: self.dig("localhost", "A"), wanted="an answer")
        until(lambda: self._page("/explain?name=localhost")[0] == 200, wanted="the page /explain")
        return self

    def synced(self) -> Pod:
        """Wait until kubedns has read the cluster."""
        self.up()
        until(lambda: _fetch(f"http://127.0.0.1:{self.kubedns.healthz}/readiness")[0] == 200)
        return self

    def dig(self, *question: str, port: int = 0) -> dig.Said | None:
        """Ask the forwarder, or who listens on a port; None: silence."""
        return dig.ask(port or self.forwarder.port, *question)

    def explain(self, name: str, rtype: str = "", **more: str) -> Json:
        """Return what the sidecar explains."""
        asked = {"name": name, "type": rtype, **more}
        path = f"/explain?{urllib.parse.urlencode({k: v for k, v in asked.items() if v})}"
        # 429: it explains only so many a second.
        status, text = until(lambda: self._page(path), lambda found: found[0] not in (0, 429))
        assert status == 200, text
        found: Json = json.loads(text)
        return found

    def authority(self, name: str, rtype: str = "A") -> Json:
        """Return what kubedns alone tells of a name."""
        query = urllib.parse.urlencode({"name": name, "type": rtype})
        status, text = _fetch(f"http://127.0.0.1:{self.kubedns.status}/explain?{query}")
        assert status == 200, text
        found: Json = json.loads(text)
        return found

    def console(self, *arguments: str) -> tuple[int, str]:
        """Run kubedns-explain; return its exit status and what it prints."""
        command = [
            sys.executable, "-m", "sidecar.explain",
            f"--url=http://127.0.0.1:{self.sidecar.operator}", *arguments,
        ]  # fmt: skip
        done = until(
            lambda: subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
            ),
            lambda done: "too many requests" not in done.stderr,
        )
        return done.returncode, done.stdout + done.stderr

    def _page(self, path: str) -> tuple[int, str]:
        return _fetch(f"http://127.0.0.1:{self.sidecar.operator}{path}")


def _fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
