"""
The published pod, its three containers word by word, with our programs in the images' place.

As processes: one network namespace is the pod, each process has the root of a container, read-only
where the manifest says so, with its capabilities, and the service account of the stock role. The
API server is reached through a relay in the pod; a node's resolver is at the other end of a link.
"""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.absent import unavailable
from tests.netns.wire import FAR, NEAR, Wire
from tests.netns.wire import missing as missing_for_a_wire
from tests.realapi.api import Api
from tests.realapi.controlplane import ControlPlane
from tests.realapi.mounted import mount
from tests.realapi.objects import new_ip, service
from tests.realapi.product import ROOT
from tests.realapi.program import Program
from tests.realapi.relay import Relay
from tests.realapi.rights import STOCK_ROLE, Account, binding
from tests.realapi.waiting import becomes, until

Args = Mapping[str, Sequence[str]]

_KUBEDNS = [
    "--domain=cluster.local.", "--dns-port=10053", "--config-dir=/kube-dns-config", "--v=2",
]  # fmt: skip
_SERVERS = [
    "--server=/cluster.local/127.0.0.1#10053", "--server=/in-addr.arpa/127.0.0.1#10053",
    "--server=/ip6.arpa/127.0.0.1#10053",
]  # fmt: skip
_PROBES = [
    "--probe=kubedns,127.0.0.1:10053,kubernetes.default.svc.cluster.local,5,SRV",
    "--probe=dnsmasq,127.0.0.1:53,kubernetes.default.svc.cluster.local,5,SRV",
]
FORMS: Mapping[str, Args] = {
    "1.26.7": {
        "kubedns": _KUBEDNS,
        "dnsmasq": [
            "-v=2", "-configDir=/etc/k8s/dns/dnsmasq-nanny", "-restartDnsmasq=true", "--", "-k",
            "--cache-size=1000", "--no-negcache", "--dns-loop-detect", "--log-facility=-",
            *_SERVERS,
        ],
        "sidecar": ["--v=2", *_PROBES],
    },
    "1.22.20": {
        "kubedns": _KUBEDNS,
        "dnsmasq": [
            "-v=2", "-logtostderr", "-configDir=/etc/k8s/dns/dnsmasq-nanny",
            "-restartDnsmasq=true", "--", "-k", "--cache-size=1000", "--no-negcache",
            "--dns-loop-detect", "--log-facility=-", *_SERVERS,
        ],
        "sidecar": ["--v=2", "--logtostderr", *_PROBES],
    },
}  # fmt: skip
MODULES = {"kubedns": "kubedns", "dnsmasq": "dnsmasq_py", "sidecar": "sidecar"}
CAPABILITIES = {"dnsmasq": "-all,+net_bind_service,+setgid"}  # none for the others
API_PORT = 6443

_numbers = itertools.count(1)

# $1 to $4: an empty folder, that of the ConfigMap, that of the account, ro or rw; then the command.
CONTAINER = """
set -e
root=$1 config=$2 account=$3 mode=$4
shift 4
mount -t tmpfs root "$root"
for each in /*; do
  case $each in /etc|/run) continue;; esac
  if [ -L "$each" ]; then cp -P "$each" "$root$each"
  elif [ -d "$each" ]; then mkdir "$root$each"; mount --rbind "$each" "$root$each"; fi
done
mkdir -p "$root/etc/k8s/dns" "$root/run/secrets/kubernetes.io"
ln -s "$config" "$root/etc/k8s/dns/dnsmasq-nanny"
ln -s "$config" "$root/kube-dns-config"
ln -s "$account" "$root/run/secrets/kubernetes.io/serviceaccount"
printf 'search example.com\\nnameserver %s\\n' "$RESOLVER" > "$root/etc/resolv.conf"
echo '127.0.0.1 localhost' > "$root/etc/hosts"
mount -o "remount,$mode" "$root"
exec chroot "$root" "$@"
"""

FETCH = """
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=10) as reply:
        print(reply.status, reply.read().decode(), sep="\\n", end="")
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode(), sep="\\n", end="")
except OSError:
    print(0)
"""


class Pod:
    """The three processes, by the names of their containers, and what is around them."""

    def __init__(
        self, folder: Path, wire: Wire, stack: ExitStack, account: Mapping[str, str], args: Args
    ) -> None:
        self._folder, self._wire, self._stack, self._args = folder, wire, stack, args
        self._config, self._account = folder / "config", folder / "account"
        self.configure({})
        mount(self._account, account)
        self._resolver()
        self.programs: dict[str, Program] = {}

    def start(self, *names: str) -> None:
        """Start containers; all without names."""
        for name in names or MODULES:
            root = self._folder / f"root-{name}"
            root.mkdir(exist_ok=True)
            self.programs[name] = self._run(
                name, "sh", "-c", CONTAINER, "sh", str(root), str(self._config),
                str(self._account), "rw" if name == "dnsmasq" else "ro", "setpriv",
                f"--bounding-set={CAPABILITIES.get(name, '-all')}", "--no-new-privs", "--",
                sys.executable, "-m", MODULES[name], *self._args[name],
            )  # fmt: skip

    def configure(self, config: Mapping[str, str]) -> None:
        """Put this into the ConfigMap."""
        mount(self._config, dict(config))

    def _resolver(self) -> None:
        program = Program(
            ["ip", "netns", "exec", self._wire.far, "dnsmasq", "-k", "--conf-file=/dev/null",
             "--no-resolv", "--no-hosts", "--pid-file", "--user=root", "--log-facility=-",
             "--bind-interfaces", f"--listen-address={FAR}",
             "--host-record=www.example.com,192.0.2.80", "--host-record=git.acme.local,192.0.2.81"],
            log=self._folder / "resolver.log",
        )  # fmt: skip
        self._stack.callback(program.stop)

    def _run(self, name: str, *argv: str) -> Program:
        program = Program(
            ["ip", "netns", "exec", self._wire.near, *argv],
            log=self._folder / f"{name}.log",
            environment={
                "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "RESOLVER": FAR,
                "PROMETHEUS_PORT": "10055" if name == "kubedns" else "",
                "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(API_PORT),
            },
        )  # fmt: skip
        self._stack.callback(program.kill)
        return program

    def inside(self, *argv: str) -> str:
        """Run something in the pod's network and return what it prints."""
        command = ["ip", "netns", "exec", self._wire.near, *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def short(self, *args: str) -> list[str]:
        """Ask the pod with dig, and return the data of the answers."""
        said = self.inside("dig", f"@{NEAR}", "+short", "+tries=1", "+time=6", *args)
        return sorted(said.splitlines())

    def page(self, port: int, path: str) -> tuple[int, str]:
        """Return status and text of a page; status 0: nobody listens."""
        said = self.inside(sys.executable, "-c", FETCH, f"http://{NEAR}:{port}{path}")
        status, _, text = said.partition("\n")
        return int(status), text

    def health(self, label: str) -> tuple[int, Any]:
        """Return status and JSON of /healthcheck/<label>."""
        status, text = self.page(10054, f"/healthcheck/{label}")
        return status, json.loads(text) if text else None


@pytest.fixture(params=FORMS)
def pod(
    request: pytest.FixtureRequest, control_plane: ControlPlane, tmp_path: Path
) -> Iterator[tuple[Pod, Relay]]:
    """A pod not yet started, with its way to the API server."""
    if reason := missing_for_a_wire():
        unavailable(reason)
    account = Account(control_plane, "kube-system", f"kube-dns-{next(_numbers)}")
    stock = binding(STOCK_ROLE, account)
    control_plane.api.create(stock)
    files = {
        "ca.crt": control_plane.authority.read_text(), "namespace": "kube-system",
        "token": account.token(),
    }  # fmt: skip
    with Wire() as wire, ExitStack() as stack:

        def listening() -> socket.socket:
            made = wire.socket(socket.SOCK_STREAM)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("127.0.0.1", API_PORT))
            return made

        relay = stack.enter_context(Relay(control_plane.port, port=API_PORT, make=listening))
        yield Pod(tmp_path, wire, stack, files, FORMS[request.param]), relay
    control_plane.api.delete(stock)


def test_the_published_pod(pod: tuple[Pod, Relay], ns: str, api: Api) -> None:
    """
    Names, probes and metrics with the API server there, and its end within the grace period.

    Every probe URL of the manifest answers as the original's does, and SIGTERM, which the kubelet
    sends to all three at once, ends all three with status 0 while questions go on to be answered.
    """
    containers, _ = pod
    address = new_ip()
    api.create(service("web", ns, clusterIP=address))
    containers.start()
    becomes(lambda: containers.page(8081, "/readiness"), (200, "ok\n"))
    becomes(lambda: containers.short(f"web.{ns}.svc.cluster.local"), [address])
    assert containers.short("-x", address) == [f"web.{ns}.svc.cluster.local."]
    assert containers.short("www.example.com", "+tcp") == ["192.0.2.80"]
    for label in ("kubedns", "dnsmasq"):
        until(lambda each=label: containers.health(each), lambda found: found[0] == 200)
        status, said = containers.health(label)
        assert list(said) == ["IsOk", "LatencySeconds", "Err"]
        assert (status, said["IsOk"], said["Err"]) == (200, True, "")
        assert 0 < said["LatencySeconds"] < 2
    until(lambda: containers.page(10054, "/healthz")[0], lambda status: status == 200)
    assert "skydns_skydns_dns_request_count_total" in containers.page(10055, "/metrics")[1]
    until(
        lambda: containers.page(10054, "/metrics")[1],
        lambda text: (
            "kubedns_forwarder_queries_total" in text and "\nkubedns_dnsmasq_hits " in text
        ),
    )
    containers.configure({"stubDomains": json.dumps({"acme.local": [f"{FAR}:53"]})})
    becomes(lambda: containers.short("git.acme.local"), ["192.0.2.81"])
    for program in containers.programs.values():
        assert program.alive()
        program.send(signal.SIGTERM)
    for _ in range(5):
        assert containers.short(f"web.{ns}.svc.cluster.local") == [address]
    for name, program in containers.programs.items():
        assert program.ended(25) == 0, f"{name}\n{program.last_words()}"
        assert "Traceback" not in program.output(), program.output()


def test_the_api_server_is_away_from_the_start(pod: tuple[Pod, Relay]) -> None:
    """
    Liveness stays good and says why it is not well, readiness is not; names outside resolve.

    When the API server comes, all is well without a restart.
    """
    containers, relay = pod
    relay.cut()
    containers.start()
    becomes(lambda: containers.short("www.example.com"), ["192.0.2.80"])
    for label in ("kubedns", "dnsmasq"):
        until(
            lambda each=label: containers.health(each),
            lambda found: found[0] == 200 and "waiting" not in found[1]["Err"],
        )
        status, said = containers.health(label)
        assert (status, said["IsOk"]) == (200, True)
        assert "SERVFAIL" in said["Err"]
    assert containers.page(8081, "/readiness")[0] == 503
    status, text = containers.page(10054, "/healthz")
    assert status == 503
    assert "kubedns" in text
    assert containers.page(10054, "/metrics")[0] == 200
    relay.mend()
    until(lambda: containers.page(10054, "/healthz")[0], lambda status: status == 200)
    assert all(program.alive() for program in containers.programs.values())


def test_a_frozen_process_is_seen_by_its_probe_and_by_no_other(pod: tuple[Pod, Relay]) -> None:
    """The published liveness probe of kubedns fails, and the forwarder's goes on to pass."""
    containers, _ = pod
    containers.start()
    for label in ("kubedns", "dnsmasq"):
        until(lambda each=label: containers.health(each)[0], lambda status: status == 200)
    containers.programs["kubedns"].send(signal.SIGSTOP)
    until(lambda: containers.health("kubedns")[0], lambda status: status == 503)
    assert containers.health("dnsmasq")[0] == 200
    assert containers.page(10054, "/healthz")[0] == 503
    containers.programs["kubedns"].send(signal.SIGCONT)
    until(lambda: containers.page(10054, "/healthz")[0], lambda status: status == 200)
