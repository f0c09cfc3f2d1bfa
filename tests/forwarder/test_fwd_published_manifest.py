"""
The arguments of the published manifest, word by word, where the published manifest puts them.

Two network namespaces: the pod, with kubedns at 127.0.0.1:10053 and port 53 to listen on, and a
node's resolver beside it. /etc is the container's, and so are the capabilities.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.forwarder.program import ROOT
from tests.netns.wire import ALSO_FAR, FAR, NEAR, Wire, missing
from tests.realapi.mounted import mount
from tests.realapi.program import Program
from tests.realapi.waiting import becomes, until

pytestmark = pytest.mark.usefixtures("ours_only", "tools")

ARGS = [
    "-v=2", "-configDir=/etc/k8s/dns/dnsmasq-nanny", "-restartDnsmasq=true", "--", "-k",
    "--cache-size=1000", "--no-negcache", "--dns-loop-detect", "--log-facility=-",
    "--server=/cluster.local/127.0.0.1#10053", "--server=/in-addr.arpa/127.0.0.1#10053",
    "--server=/ip6.arpa/127.0.0.1#10053",
]  # fmt: skip
OLDER_ARGS = [
    "-v=2", "-logtostderr", "-configDir=/etc/k8s/dns/dnsmasq-nanny", "-restartDnsmasq=true", "--",
    "-k", "--cache-size=1000", "--log-facility=-", "--server=/cluster.local/127.0.0.1#10053",
    "--server=/in-addr.arpa/127.0.0.1#10053", "--server=/ip6.arpa/127.0.0.1#10053",
]  # fmt: skip
CAPABILITIES = ["setpriv", "--bounding-set=-all,+net_bind_service,+setgid", "--"]
ETC = (
    "mount -t tmpfs etc /etc && mkdir -p /etc/k8s/dns && "
    'ln -s "$1" /etc/k8s/dns/dnsmasq-nanny && cp "$2" /etc/resolv.conf && '
    'cp "$3" /etc/hosts && shift 3 && exec "$@"'
)
HOSTS = f"127.0.0.1 localhost\n{NEAR} kube-dns-5d8f7\n"


class Pod:
    """The forwarder of the manifest, its ConfigMap, and what is around it."""

    def __init__(self, folder: Path, wire: Wire, stack: ExitStack, args: Sequence[str]) -> None:
        self._folder, self._wire, self._stack = folder, wire, stack
        self._config = folder / "config"
        self.configure({})
        resolv, hosts = folder / "resolv.conf", folder / "hosts"
        # A node's own stub resolver, copied into the pod: there it is the pod itself.
        resolv.write_text(f"search example.com\nnameserver 127.0.0.53\nnameserver {FAR}\n")
        hosts.write_text(HOSTS)
        self._resolver(FAR, "--host-record=www.example.com,192.0.2.80")
        self._resolver(ALSO_FAR, "--host-record=git.acme.local,192.0.2.81")
        python = [sys.executable, "-m"]
        self._run(
            wire.near, "kubedns", *python, "kubedns", "--objects", f"{ROOT}/manifests/demo",
            "--dns-port=10053", "--healthz-port=0", "--status-address=", "--lame-duck=0s",
            "--nameservers=127.0.0.1:1",
        )  # fmt: skip
        self.program = self._run(
            wire.near, "dnsmasq-nanny", "sh", "-c", ETC, "sh", str(self._config), str(resolv),
            str(hosts), *CAPABILITIES, *python, "dnsmasq_py", *args,
        )  # fmt: skip
        until(lambda: self.program.output().count("cluster server") == 1, wanted="both at work")

    def configure(self, config: dict[str, str]) -> None:
        mount(self._config, config)

    def _resolver(self, address: str, *known: str) -> None:
        self._run(
            self._wire.far, f"dnsmasq-{address}", "dnsmasq", "-k", "--conf-file=/dev/null",
            "--no-resolv", "--no-hosts", "--pid-file", "--user=root", "--log-facility=-",
            "--bind-interfaces", f"--listen-address={address}", *known,
        )  # fmt: skip

    def _run(self, namespace: str, name: str, *argv: str) -> Program:
        program = Program(
            ["ip", "netns", "exec", namespace, *argv],
            log=self._folder / f"{name}.log",
            environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self._stack.callback(program.stop)
        return program

    def inside(self, *argv: str) -> str:
        """Run something in the pod's network and return what it prints."""
        command = ["ip", "netns", "exec", self._wire.near, *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

    def short(self, *args: str, server: str = NEAR) -> list[str]:
        """Ask with dig, and return the data of the answers."""
        said = self.inside("dig", f"@{server}", "+short", "+tries=1", "+time=6", *args)
        return sorted(said.splitlines())

    def page(self, path: str) -> str:
        """Return a page of the admin address."""
        read = "import sys,urllib.request as r;print(r.urlopen(sys.argv[1]).read().decode())"
        return self.inside(sys.executable, "-c", read, f"http://127.0.0.1:10056{path}")


@pytest.fixture(params=[ARGS, OLDER_ARGS], ids=["1.26", "older"])
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pod]:
    if reason := missing():
        unavailable(reason)
    with Wire() as wire, ExitStack() as stack:
        made = Pod(tmp_path, wire, stack, request.param)
        yield made
        print(made.program.output())
        assert made.program.stop(20) == 0
        assert "Traceback" not in made.program.output()


def test_the_published_manifest(pod: Pod) -> None:
    """Cluster names, reverse, the pod's own, external ones; a stub domain live; statistics."""
    for server in (NEAR, "127.0.0.1"):
        for transport in ("+notcp", "+tcp", "+notcp"):
            assert pod.short("web.shop.svc.cluster.local", transport, server=server) == [
                "10.96.20.1"
            ]
    assert pod.short("-x", "10.96.0.1") == ["kubernetes.default.svc.cluster.local."]
    assert pod.short("kube-dns-5d8f7") == [NEAR]
    assert pod.short("-x", NEAR) == ["kube-dns-5d8f7."]
    assert pod.short("www.example.com") == ["192.0.2.80"]
    assert pod.short("git.acme.local") == []
    pod.configure({"stubDomains": json.dumps({"acme.local": [ALSO_FAR]})})
    becomes(lambda: pod.short("git.acme.local"), ["192.0.2.81"])
    assert pod.short("www.example.com") == ["192.0.2.80"]
    assert pod.short("cachesize.bind", "CH", "TXT") == ['"1000"']
    assert pod.page("/healthz") == "ok\n\n"
    log = pod.program.output()
    assert log.count("127.0.0.53") == 1, "left out, with one line"
    assert "has no effect" not in log
    assert "ignored, belongs" not in log
    warned = [line for line in log.splitlines() if line[0] in "WE"]
    assert len(warned) == 1, warned


def test_upstream_nameservers_of_the_configmap_take_the_place_of_resolv_conf(pod: Pod) -> None:
    assert pod.short("git.acme.local") == []
    pod.configure({"upstreamNameservers": json.dumps([f"{ALSO_FAR}:53"])})
    becomes(lambda: pod.short("git.acme.local"), ["192.0.2.81"])
    assert pod.short("www.example.com") == []
    assert pod.short("web.shop.svc.cluster.local") == ["10.96.20.1"]
