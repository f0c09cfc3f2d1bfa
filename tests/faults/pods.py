"""The DNS of a cluster as processes: what every kind of pod has, and our own."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query

from tests.faults.asking import look
from tests.faults.part import Part
from tests.faults.tap import Tap
from tests.faults.truth import MISSING
from tests.realapi.mounted import mount
from tests.realapi.ports import free_port
from tests.realapi.waiting import until

LIMIT_MIB = 170
"""The memory that the manifest allows kubedns and the forwarder."""

DOMAINS = ("cluster.local", "in-addr.arpa", "ip6.arpa")


class Pod:
    """
    What answers the clients of a cluster on `port`.

    cache: the part that clients ask; authority: the one that knows the cluster, perhaps the same.
    """

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.parts: list[Part] = []

    cache: Part
    authority: Part

    def ready(self) -> Pod:
        """Wait until it answers for the cluster."""
        until(self._is_ready, within_s=60, wanted=f"{self.name} ready:\n{self.last_words()}")
        return self

    def _is_ready(self) -> bool:
        return self.asks("kubernetes.default.svc.cluster.local")

    def asks(self, name: str, timeout: float = 1.0) -> bool:
        """Tell whether a name has an address."""
        query = dns.message.make_query(name, "A")
        try:
            return bool(dns.query.udp(query, "127.0.0.1", timeout, self.port).answer)
        except (dns.exception.DNSException, OSError):
            return False

    def last_words(self) -> str:
        return "\n".join(line for part in self.parts for line in part.text().splitlines()[-8:])

    def close(self) -> None:
        """End all parts; AssertionError if one of ours wrote a traceback."""
        for part in self.parts:
            part.stop()

    def tracebacks(self) -> str:
        """Return what went through unforeseen in a process of ours."""
        texts = [part.text() for part in self.parts if "Traceback" in part.text()]
        return "\n".join(text[text.index("Traceback") :][:2000] for text in texts)


def server(port: int, *domains: str) -> list[str]:
    return [f"--server=/{domain}/127.0.0.1#{port}" for domain in domains]


class Ours(Pod):
    """
    kubedns, the forwarder in front of it, and the sidecar if wanted, with the manifest's options.

    config: kubedns takes its servers from the ConfigMap, not from the command line. tapped: there
    is a tap between the two. wrap: for a part, a command that runs it.
    """

    name = "kube-dns-py"

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        upstreams: Sequence[str],
        *,
        snapshot: Path | None = None,
        sidecar: bool = False,
        config: bool = False,
        drain: str = "0s",
        lame_duck: str = "0s",
        tapped: bool = False,
        wrap: Mapping[str, Sequence[str | Path]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder)
        self.snapshot = snapshot
        self.kubedns_port = free_port()
        self.pages, self.admin, self.operator = free_port(), free_port(), free_port()
        self.config = folder / "config"
        mount(self.config, {})
        wrap = wrap or {}
        python = sys.executable
        if tapped:
            self.tap = Tap(self.kubedns_port, self.port)
            cluster, listener = self.tap.server, self.tap.listener
        else:
            cluster, listener = self.kubedns_port, self.port
        nameservers = ",".join(each.replace("#", ":") for each in upstreams)
        configured = [f"--config-dir={self.config}"] if config else [f"--nameservers={nameservers}"]
        self.authority = Part(
            [
                *wrap.get("kubedns", ()), python, "-m", "kubedns",
                f"--dns-port={self.kubedns_port}", "--dns-bind-address=127.0.0.1",
                f"--healthz-port={free_port()}", f"--status-address=127.0.0.1:{self.pages}",
                f"--kubecfg-file={kubeconfig}", f"--notify=127.0.0.1:{listener}",
                f"--lame-duck={lame_duck}", *configured,
                *([f"--snapshot={snapshot}"] if snapshot else []),
            ],
            folder / "kubedns.log",
            environment,
        )  # fmt: skip
        self.cache = Part(
            [
                *wrap.get("dnsmasq", ()), python, "-m", "dnsmasq_py", f"-configDir={self.config}",
                "-restartDnsmasq=true", "-syncInterval=1s", f"--drain={drain}",
                f"--admin-address=127.0.0.1:{self.admin}", f"--kubednsServer=127.0.0.1:{cluster}",
                "--", "-k", "--conf-file=", "--cache-size=1000", "--no-negcache",
                "--dns-loop-detect", "--log-facility=-", *server(cluster, *DOMAINS),
                "--no-hosts", "--no-resolv", *(f"--server={each}" for each in upstreams),
                "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}",
            ],
            folder / "dnsmasq.log",
            environment,
        )  # fmt: skip
        self.parts = [self.authority, self.cache]
        if sidecar:
            probed = "kubernetes.default.svc.cluster.local,1,SRV"
            self.sidecar = Part(
                [
                    python, "-m", "sidecar", "--prometheus-addr=127.0.0.1",
                    f"--prometheus-port={self.operator}", "--operator-address=off",
                    f"--dnsmasq-port={self.port}", f"--kubedns-status=127.0.0.1:{self.pages}",
                    f"--dnsmasq-status=127.0.0.1:{self.admin}", "--drain=0s",
                    f"--probe=kubedns,127.0.0.1:{self.kubedns_port},{probed}",
                    f"--probe=dnsmasq,127.0.0.1:{self.port},{probed}",
                ],
                folder / "sidecar.log",
            )  # fmt: skip
            self.parts.append(self.sidecar)
        if tapped:
            self.tap.__enter__()

    def close(self) -> None:
        super().close()
        if hasattr(self, "tap"):
            self.tap.__exit__(None, None, None)

    def _is_ready(self) -> bool:
        # That a name does not exist it knows when it has read all lists, as its readiness says.
        missing = look(self.port, f"nobody.{DOMAINS[0]}") == MISSING
        return missing and super()._is_ready() and bool(self.feed().get("alive"))

    def feed(self) -> dict[str, object]:
        """Return what the forwarder says of its change feed."""
        found = json.loads(fetch(self.admin, "/status") or "{}")
        feed: dict[str, object] = found.get("feed") or {}
        return feed

    def metric(self, port: int, series: str) -> float:
        """Return a metric of a process of ours, all its series summed up."""
        lines = fetch(port, "/metrics").splitlines()
        split = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return sum(float(value) for key, _, value in split if series in (key, key.split("{")[0]))


def fetch(port: int, path: str) -> str:
    """Return a page of 127.0.0.1, whatever its status; empty if nobody serves it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            text: bytes = reply.read()
    except urllib.error.HTTPError as error:
        text = error.read()
    except OSError:
        return ""
    return text.decode()
