"""What knows the cluster and keeps no cache: our kubedns, and CoreDNS' kubernetes plugin."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.process import Server
from tests.bench.programs import found
from tests.bench.systems import COREDNS, KUBEDNS, Running, Setting, System
from tests.realapi.ports import free_port

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
"""Beside the plugin those of the usual Corefile for what kubedns does as well."""


def kubedns(setting: Setting, notify: str = "off") -> Running:
    """Start ours. notify: the address of the cache in front that is told of changes."""
    assert setting.source
    dns, health = free_port(), free_port()
    upstreams = ",".join(each.written(":") for each in setting.upstreams) or "127.0.0.1:1"
    argv = [
        *_command(setting),
        f"--dns-port={dns}",
        "--dns-bind-address=127.0.0.1",
        f"--healthz-port={health}",
        "--status-address=",
        "--domain=cluster.local.",
        f"--nameservers={upstreams}",
        f"--notify={notify}",
        f"--{'objects' if setting.source.is_dir() else 'kubecfg-file'}={setting.source}",
    ]
    process = Server(argv, log=setting.scratch / f"kubedns-{dns}.log", cores=setting.cores)
    return Running(KUBEDNS, [process], dns, f"http://127.0.0.1:{health}/readiness")


def coredns(setting: Setting) -> Running:
    """
    Start CoreDNS.

    Raises:
        UnavailableError: it is not there.
    """
    binary = found("coredns")
    dns, ready, metrics = free_port(), free_port(), free_port()
    corefile = setting.scratch / f"Corefile.{dns}"
    corefile.write_text(
        _COREFILE.format(dns=dns, ready=ready, metrics=metrics, kubeconfig=setting.source)
    )
    process = Server(
        [binary, "-conf", corefile], log=setting.scratch / f"coredns-{dns}.log", cores=setting.cores
    )
    return Running(COREDNS, [process], dns, f"http://127.0.0.1:{ready}/ready")


AUTHORITIES = (System(KUBEDNS, kubedns), System(COREDNS, coredns))
"""Ours first."""


def _command(setting: Setting) -> list[str | Path]:
    """Return the console script of this environment if it is there; it imports nothing else."""
    script = Path(sys.executable).with_name("kube-dns")
    module = [sys.executable, "-m", "kubedns"]
    installed: Sequence[str | Path] = [script] if script.exists() else module
    return [*(setting.commands.get(KUBEDNS) or installed)]
