"""Which addresses answer, and from which the replies come; namespaces with one family only."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.forwarder.behaviours import GOOD
from tests.forwarder.client import query
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import ORIGINAL, Forwarder
from tests.netns.wire import NEAR, Wire, missing
from tests.realapi.ports import free_port
from tests.realapi.waiting import becomes, until

NAS = "--host-record=nas.example,192.0.2.7,2001:db8::7"
SEVEN = "192.0.2.7"


@pytest.fixture
def ipv6() -> None:
    """A loopback interface with ::1."""
    try:
        with socket.socket(socket.AF_INET6) as made:
            made.bind(("::1", 0))
    except OSError:
        unavailable("no IPv6 here")


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
@pytest.mark.parametrize("server", ["127.0.0.1", "127.0.0.5", "127.9.9.9", "::1"])
def test_a_wildcard_answers_from_the_address_that_was_asked(
    start: Start, ipv6: None, host: str, server: str
) -> None:
    """Both families, UDP and TCP; to these clients a reply from elsewhere is none."""
    if ORIGINAL and server not in ("127.0.0.1", "::1"):
        pytest.skip("it answers on addresses of interfaces only")
    options = [f"--listen-address={host}"] if host else ["--listen-address=0.0.0.0"]
    forwarder = start(NAS, *options)
    forwarder.address = server
    for tcp in (False, True, False):
        assert forwarder.look("nas.example.", tcp=tcp) == {SEVEN}


@pytest.mark.usefixtures("both_ways")
def test_misses_come_from_the_address_that_was_asked(
    start: Start, server: StartServer, ipv6: None
) -> None:
    """What is asked for elsewhere first, shared by clients of several addresses."""
    forwarder = start(f"--server={server().server}", "--listen-address=0.0.0.0")
    for number, address in enumerate(("127.0.0.1", "127.0.0.5", "::1")):
        forwarder.address = address
        for name in (f"n{number}.example.", "shared.example."):
            for _ in range(3):
                assert forwarder.look(name) == {GOOD}


def is_open(forwarder: Forwarder) -> bool:
    """Tell whether it takes connections."""
    try:
        socket.create_connection((forwarder.address, forwarder.port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("address", ["::1", "127.0.0.5"])
def test_one_address(start: Start, ipv6: None, address: str) -> None:
    """It alone is listened on."""
    forwarder = start(
        NAS, f"--listen-address={address}", "--bind-interfaces", address=address, wait=False
    )
    until(lambda: is_open(forwarder), wanted="an open port")
    for tcp in (False, True):
        assert forwarder.look("nas.example.", tcp=tcp) == {SEVEN}
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", forwarder.port))
    if not ORIGINAL:
        assert forwarder.status()["listeners"] == [f"{address}#{forwarder.port}"]


def test_the_loopback_interface(start: Start, ipv6: None) -> None:
    """--interface=lo: all its addresses."""
    forwarder = start(NAS, "--listen-address=127.0.0.1", "--interface=lo", "--bind-interfaces")
    for address in ("127.0.0.1", "::1"):
        forwarder.address = address
        assert forwarder.look("nas.example.") == {SEVEN}


@pytest.mark.usefixtures("both_ways")
def test_clients_of_one_address_and_port_share_nothing(start: Start, server: StartServer) -> None:
    """Two names asked with one ID from one socket: each gets its own answer."""
    forwarder = start(f"--server={server().server}", NAS)
    with forwarder.open() as sock:
        sock.settimeout(20.0)
        for name in ("nas.example.", "www.example.", "nas.example."):
            asked = query(name, edns=None)
            asked.id = 7
            sock.send(asked.to_wire())
            reply = sock.recv(4096)
            assert asked.to_wire()[12:] in reply


# Network namespaces


def ip(namespace: str, *args: str) -> None:
    """Configure a namespace."""
    subprocess.run(["ip", "-n", namespace, *args], check=True, capture_output=True)


@pytest.fixture(params=["IPv6 only", "IPv6 disabled", "an address that comes later"])
def netns(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    """Make a network namespace; give its name, what it is like, and an address to ask."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        unavailable("network namespaces need root and iproute2")
    name = f"kd-{secrets.token_hex(4)}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        unavailable("no network namespace can be made here")
    try:
        ip(name, "link", "set", "lo", "up")
        server = "127.0.0.1"
        if request.param == "IPv6 only":
            ip(name, "addr", "del", "127.0.0.1/8", "dev", "lo")
            server = "::1"
        elif request.param == "IPv6 disabled":
            done = subprocess.run(
                ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"],
                capture_output=True,
            )
            if done.returncode:
                unavailable("IPv6 cannot be switched off here")
        yield name, request.param, server
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def short(namespace: str, server: str, port: int, *args: str) -> list[str]:
    """Ask with dig inside a namespace, and return the data of the answers."""
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, "dig", f"@{server}", "-p", str(port), "+short",
         "+time=5", "+tries=1", *args],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return sorted(done.stdout.splitlines())


@pytest.mark.usefixtures("ours_only", "tools")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""], ids=["0.0.0.0", "::", "none given"])
def test_in_a_namespace(
    start: Start, netns: tuple[str, str, str], host: str, tmp_path: Path
) -> None:
    """The same wildcard listener, whatever families there are; the pages too."""
    name, kind, server = netns
    port = free_port()
    listen = [f"--listen-address={host}"] if host else ["--listen-address=0.0.0.0"]
    admin = "[::1]:10056" if kind == "IPv6 only" else "127.0.0.1:10056"
    forwarder = start(
        NAS, *listen, port=port, wait=False, wrapper=["ip", "netns", "exec", name],
        nanny=[f"--admin-address={admin}"],
    )  # fmt: skip
    becomes(lambda: short(name, server, port, "nas.example"), [SEVEN])
    if kind == "an address that comes later":
        ip(name, "addr", "add", "10.99.0.1/32", "dev", "lo")
        server = "10.99.0.1"
    for args in ((), (), ("+tcp",), ("+bufsize=1232",)):
        assert short(name, server, port, "nas.example", *args) == [SEVEN]
    assert short(name, server, port, "nas.example", "AAAA") == ["2001:db8::7"]
    forwarder.stop()
    forwarder.told_to_end = True


@pytest.mark.usefixtures("ours_only", "tools")
def test_an_interface_whose_address_comes_later(start: Start) -> None:
    """--interface: looked at again and again, so the address is served soon, and not asked."""
    if reason := missing():
        unavailable(reason)
    port = free_port()
    with Wire() as wire:
        name, added = wire.near, "10.99.0.77"
        forwarder = start(
            NAS, "--listen-address=127.0.0.1", f"--interface={name}", "--bind-interfaces",
            f"--server={added}#{port}", port=port, wait=False,
            wrapper=["ip", "netns", "exec", name],
        )  # fmt: skip
        becomes(lambda: short(name, "127.0.0.1", port, "nas.example"), [SEVEN])
        becomes(lambda: short(name, NEAR, port, "nas.example"), [SEVEN])
        ip(name, "address", "add", f"{added}/24", "dev", name)
        # The interfaces are looked at every 30 s.
        tcp = "nas.example", "+tcp"
        becomes(lambda: short(name, added, port, *tcp), [SEVEN], within_s=90)
        assert short(name, added, port, "nas.example") == [SEVEN]
        forwarder.logs(f"ignoring nameserver {added}#{port} - local interface")
        ip(name, "address", "del", f"{added}/24", "dev", name)
        assert short(name, NEAR, port, "nas.example") == [SEVEN]
        assert short(name, "127.0.0.1", port, "nas.example") == [SEVEN]
        forwarder.stop()
        forwarder.told_to_end = True
