"""Real name servers around the forwarder: as upstreams with data of ours, and as the original."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.forwarder.client import Client
from tests.forwarder.program import dnsmasq
from tests.realapi.ports import free_port
from tests.realapi.program import Program
from tests.realapi.waiting import until

PROGRAMS = ("dnsmasq", "unbound", "named")


def missing() -> list[str]:
    """Name the programs that are not installed."""
    return [name for name in PROGRAMS if _path(name) is None]


def _path(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


class Peer(Client):
    """A running name server of another make."""

    def __init__(self, program: Program, address: str, port: int) -> None:
        super().__init__(address, port)
        self.program = program

    @property
    def server(self) -> str:
        """Write it as dnsmasq's --server wants it."""
        return f"{self.address}#{self.port}"

    @property
    def nameserver(self) -> str:
        """Write it as a ConfigMap and -kubednsServer want it."""
        return f"{self.address}:{self.port}"

    def answers(self) -> bool:
        """Tell whether it answers anything at all."""
        assert self.program.alive(), f"it ended:\n{self.program.last_words()}"
        return self.listens()


@contextmanager
def _running(argv: Sequence[str | Path], log: Path, address: str, port: int) -> Iterator[Peer]:
    found = _path(str(argv[0]))
    assert found is not None, f"{argv[0]} is not installed"
    peer = Peer(Program([found, *argv[1:]], log=log), address, port)
    try:
        until(peer.answers, wanted="an answer")
        yield peer
    finally:
        peer.program.stop(5.0)


@contextmanager
def original(folder: Path, *options: str) -> Iterator[Peer]:
    """Run dnsmasq as a forwarder, with the options that ours gets."""
    port = free_port()
    log = folder / f"dnsmasq-{port}.log"
    with _running(dnsmasq(port, options), log, "127.0.0.1", port) as peer:
        yield peer


@contextmanager
def unbound(
    folder: Path, zones: Mapping[str, str], *, address: str = "127.0.0.3", extra: str = ""
) -> Iterator[Peer]:
    """Run unbound with the data of some zones (name: zone-file text); it refuses all else."""
    port = free_port()
    files = _zone_files(folder, zones)
    clauses = "".join(
        f'auth-zone:\n name: "{zone}"\n zonefile: "{file}"\n for-downstream: yes\n'
        " for-upstream: no\n fallback-enabled: no\n"
        for zone, file in files.items()
    )
    hints = folder / "no-root-servers"
    hints.write_text(". 60 NS here.\nhere. 60 A 127.0.0.1\n")  # which it never asks by itself
    conf = folder / f"unbound-{port}.conf"
    conf.write_text(
        "server:\n do-daemonize: no\n use-syslog: no\n logfile: \"\"\n verbosity: 1\n"
        f" interface: {address}\n port: {port}\n access-control: 127.0.0.0/8 allow\n"
        f' chroot: ""\n username: ""\n pidfile: ""\n directory: "{folder}"\n'
        f' root-hints: "{hints}"\n outgoing-interface: {address}\n'
        ' module-config: "iterator"\n num-threads: 1\n local-zone: "." refuse\n'
        " unblock-lan-zones: yes\n insecure-lan-zones: yes\n"
        + "".join(f' local-zone: "{zone}" transparent\n' for zone in zones)
        + f"{extra}remote-control:\n control-enable: no\n{clauses}"
    )  # fmt: skip
    command: list[str | Path] = ["unbound", "-d", "-p", "-c", conf]
    with _running(command, folder / f"unbound-{port}.log", address, port) as peer:
        yield peer


@contextmanager
def named(folder: Path, zones: Mapping[str, str], *, options: str = "") -> Iterator[Peer]:
    """
    Run BIND with the data of some zones (name: zone-file text).

    With a root zone among them it says NXDOMAIN to all else, and asks nobody.
    """
    address = "127.0.0.1"  # it listens only on addresses that an interface lists
    port = free_port()
    clauses = "".join(
        f'zone "{zone}" {{ type primary; file "{file}"; }};\n'
        for zone, file in _zone_files(folder, zones).items()
    )
    conf = folder / f"named-{port}.conf"
    conf.write_text(
        f'options {{ directory "{folder}"; pid-file none; session-keyfile none;\n'
        f" listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};\n"
        f" query-source address {address};\n"
        " recursion yes; allow-recursion { any; }; empty-zones-enable no;\n"
        " dnssec-validation no; notify no; max-cache-size 16m; check-names primary ignore;\n"
        " minimal-responses no-auth; max-udp-size 4096;\n"
        f" {options} }};\ncontrols {{ }};\n{clauses}"
    )
    command: list[str | Path] = ["named", "-f", "-g", "-n", "1", "-c", conf]
    with _running(command, folder / f"named-{port}.log", address, port) as peer:
        assert "not loaded" not in peer.program.output(), peer.program.output()
        yield peer


def _zone_files(folder: Path, zones: Mapping[str, str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for zone, text in zones.items():
        files[zone] = folder / f"zone-{zone.strip('.') or 'root'}"
        files[zone].write_text(text)
    return files
