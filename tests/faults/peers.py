"""What others put into the place of our pod: dnsmasq in front of our kubedns, and CoreDNS."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.part import Part
from tests.faults.pods import DOMAINS, Pod, server
from tests.realapi.controlplane import program
from tests.realapi.ports import free_port


class Dnsmasq(Pod):
    """dnsmasq with the same options, in front of our kubedns: the design of kube-dns."""

    name = "dnsmasq + kubedns"

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        upstreams: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(folder)
        self.kubedns_port = free_port()
        nameservers = ",".join(each.replace("#", ":") for each in upstreams)
        self.authority = Part(
            [
                sys.executable, "-m", "kubedns", f"--dns-port={self.kubedns_port}",
                "--dns-bind-address=127.0.0.1", f"--healthz-port={free_port()}",
                "--status-address=", f"--kubecfg-file={kubeconfig}", "--notify=off",
                "--lame-duck=0s", f"--nameservers={nameservers}",
            ],
            folder / "kubedns.log",
            environment,
        )  # fmt: skip
        self.cache = Part(
            [
                program("dnsmasq") or "dnsmasq", "-k", "--conf-file=/dev/null", "--pid-file",
                "--user=root", "--cache-size=1000", "--no-negcache", "--dns-loop-detect",
                "--log-facility=-", *server(self.kubedns_port, *DOMAINS), "--no-hosts",
                "--no-resolv", *(f"--server={each}" for each in upstreams),
                "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}",
            ],
            folder / "dnsmasq.log",
            environment,
        )  # fmt: skip
        self.parts = [self.authority, self.cache]


_COREFILE = """\
.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health} {{
        lameduck 5s
    }}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    forward . {servers} {{
        max_concurrent 1000
    }}
    cache 30
    loadbalance
}}
"""


class CoreDns(Pod):
    """CoreDNS with its usual Corefile."""

    name = "CoreDNS"

    def __init__(
        self, folder: Path, kubeconfig: Path, upstreams: Sequence[str], **more: object
    ) -> None:
        super().__init__(folder)
        corefile = folder / "Corefile"
        corefile.write_text(
            _COREFILE.format(
                port=self.port, health=free_port(), ready=free_port(), kubeconfig=kubeconfig,
                servers=" ".join(each.replace("#", ":") for each in upstreams),
            )
        )  # fmt: skip
        binary = program("coredns")
        assert binary is not None, "no coredns; tests/setup-tools.sh builds it where Go is"
        self.cache = self.authority = Part([binary, "-conf", corefile], folder / "coredns.log")
        self.parts = [self.cache]
