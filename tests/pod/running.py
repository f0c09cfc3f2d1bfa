"""kubedns as a process, and all three as `make run` starts them: started, asked, stopped."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import psutil

from tests.realapi.ports import free_port

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "manifests" / "demo"
START_S = 60.0  # never a measure of speed
COMMANDS = ("dnsmasq-nanny", "kube-dns", "sidecar")
NOBODY = "127.0.0.1:1"  # a nameserver that never answers: nothing leaves the machine


def until(condition: Callable[[], Any], what: str, seconds: float = START_S) -> Any:
    """Wait for a condition, and return what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.02)


class Running:
    """One process; log: where its standard error goes."""

    def __init__(
        self,
        log: Path,
        *args: str,
        host: str = "127.0.0.1",
        objects: Path | None = DEMO,
        netns: str = "",
        lame_duck: str = "0s",
    ) -> None:
        self.host = host
        self.dns_port, self.http_port = free_port(), free_port()
        self.log = log
        self.inside = ["ip", "netns", "exec", netns] if netns else []
        command = [
            *self.inside, sys.executable, "-m", "kubedns",
            *(["--objects", str(objects)] if objects else []),
            f"--dns-bind-address={host}", f"--dns-port={self.dns_port}", "--healthz-port=0",
            f"--status-address=127.0.0.1:{self.http_port}", f"--lame-duck={lame_duck}",
            f"--nameservers={NOBODY}", *args,
        ]  # fmt: skip
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=stderr)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def ready(self) -> "Running":
        """Wait until it is in sync."""
        until(lambda: "in sync with the cluster" in self.text() or self.ended(), "not in sync")
        assert not self.ended(), self.text()
        return self

    def ended(self) -> bool:
        """Tell whether the process has ended."""
        return self.process.poll() is not None

    def end(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def text(self) -> str:
        """Return the log so far."""
        return self.log.read_text(errors="surrogateescape")

    def page(self, path: str) -> tuple[int, str]:
        """Get an HTTP page: status and text."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}") as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self) -> dict[str, Any]:
        """Return /status."""
        found: dict[str, Any] = json.loads(self.page("/status")[1])
        return found

    def resident_mib(self) -> float:
        """Return the resident memory in MiB."""
        resident: int = psutil.Process(self.process.pid).memory_info().rss
        return resident / (1 << 20)

    def dig(self, *args: str, server: str = "", program: str = "dig") -> str:
        """Ask with dig or kdig (RD=0) and return what it prints."""
        command = [*self.inside, program, f"@{server or self.host}", "-p", str(self.dns_port)]
        return _dig([*command, "+norecurse"], *args)

    def short(self, *args: str, **rest: str) -> list[str]:
        """Ask with dig and return the data of the answers, sorted."""
        return sorted(self.dig("+short", *args, **rest).splitlines())

    def ask(self, name: str, rtype: str = "A", *, tcp: bool = False) -> dns.message.Message:
        """Ask with dnspython."""
        asked = dns.message.make_query(name, rtype, use_edns=0)
        how = dns.query.tcp if tcp else dns.query.udp
        return how(asked, self.host, port=self.dns_port, timeout=10)

    def connect(self) -> socket.socket:
        """Open a TCP connection."""
        made = socket.create_connection((self.host, self.dns_port), timeout=20)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


class MadeRun:
    """
    All three processes, as `make run` starts them, on free ports.

    nameservers: of its ConfigMap at first; nothing else outside is ever asked. folder: for the log
    and the ConfigMap.
    """

    def __init__(self, folder: Path, nameservers: Sequence[str] = (NOBODY,)) -> None:
        self.log = folder / "log"
        self.config = folder / "config"
        names = ("DNS_PORT", "STATUS_PORT", "DNSMASQ_PORT", "ADMIN_PORT", "SIDECAR_PORT",
                 "OPERATOR_PORT")  # fmt: skip
        ports = {name: free_port() for name in names}
        self.dns_port, self.dnsmasq_port = ports["DNS_PORT"], ports["DNSMASQ_PORT"]
        self.status_port, self.admin_port = ports["STATUS_PORT"], ports["ADMIN_PORT"]
        self.sidecar_port = ports["SIDECAR_PORT"]
        environment = {name: str(port) for name, port in ports.items()} | {
            "HEALTHZ_PORT": "0",
            "CONFIG_DIR": str(self.config),
            "NAMESERVERS": json.dumps(list(nameservers)),
        }
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [DEMO / "run.sh", Path(sys.executable).parent],
                cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> "MadeRun":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def ready(self) -> "MadeRun":
        """Wait until the forwarder has what kubedns has, and the sidecar says that all is well."""
        until(lambda: self.process.poll() is not None or self._met(), "not at work")
        assert self.process.poll() is None, self.text()
        until(lambda: self.short("kubernetes.default.svc.cluster.local"), "no answer")
        until(self.well, "not well")
        return self

    def well(self) -> bool:
        """Tell what the sidecar says of the pod."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.sidecar_port}/healthz") as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def _met(self) -> bool:
        return bool(re.search(r"cluster server \S+: kube-dns-py", self.text()))

    def children(self) -> dict[str, psutil.Process]:
        """Return the three processes by the name of their command."""
        started = (
            (Path(command[1]).name, each)
            for each in psutil.Process(self.process.pid).children()
            if len(command := each.cmdline()) > 1
        )
        return {name: each for name, each in started if name in COMMANDS}

    def metrics(self, port: int) -> str:
        """Return the metrics that are served on a port."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            said: bytes = reply.read()
        return said.decode()

    def text(self) -> str:
        """Return what they wrote so far."""
        return self.log.read_text(errors="surrogateescape")

    def dig(self, *args: str, program: str = "dig") -> str:
        """Ask the forwarder with dig or kdig and return what it prints."""
        return _dig([program, "@127.0.0.1", "-p", str(self.dnsmasq_port)], *args)

    def short(self, *args: str, **rest: str) -> list[str]:
        """Ask the forwarder and return the data of the answers, sorted."""
        return sorted(self.dig("+short", *args, **rest).splitlines())


def _dig(command: Sequence[str], *args: str) -> str:
    patience = ["+time=5", "+retry=0" if "kdig" in command else "+tries=1"]
    done = subprocess.run([*command, *patience, *args], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def framed(*messages: bytes) -> bytes:
    """Put messages behind their lengths."""
    return b"".join(struct.pack(">H", len(each)) + each for each in messages)


def receive(client: socket.socket) -> bytes | None:
    """Read one framed message; None when the connection ended."""
    head = _exactly(client, 2)
    return None if head is None else _exactly(client, struct.unpack(">H", head)[0])


def _exactly(client: socket.socket, count: int) -> bytes | None:
    octets = bytearray()
    while len(octets) < count:
        try:
            piece = client.recv(count - len(octets))
        except ConnectionError:
            return None
        if not piece:
            return None
        octets += piece
    return bytes(octets)


def run(*args: str, seconds: float = 20.0) -> tuple[int, list[str]]:
    """Run kubedns to its end: exit status and the lines of standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "kubedns", *args],
        cwd=ROOT, capture_output=True, text=True, timeout=seconds,
    )  # fmt: skip
    return done.returncode, done.stderr.splitlines()


def control_octets(text: str) -> Sequence[str]:
    """Find what a log must not hold: control characters and undecodable octets."""
    return re.findall(r"[^\n\x20-\x7e]", text)
