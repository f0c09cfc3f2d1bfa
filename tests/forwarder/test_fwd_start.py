"""Starts that go wrong, or nearly: one clear line, and service where service is possible."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.forwarder.behaviours import GOOD, answers
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import ORIGINAL, Forwarder, run
from tests.forwarder.scripted import Act, Asked, Play
from tests.realapi.ports import free_port
from tests.realapi.waiting import becomes, until


def said(lines: Sequence[str]) -> str:
    """Return what was said beside messages of the log, which must be one line."""
    found = [line for line in lines if not re.match(r"[IWE]\d{4} |dnsmasq\[\d+\]: ", line)]
    assert len(found) == 1, "\n".join(lines)
    return found[0]


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--nonsense", "nonsense"),
        ("--dhcp-range=10.0.0.1,10.0.0.9", "dhcp-range"),
        ("--enable-tftp", "tftp"),
        ("--dnssec", "dnssec"),
        ("--cache-size=banana", "banana"),
        ("--server=/example/not-an-address", "not-an-address"),
        ("--server=300.1.1.1", "300.1.1.1"),
        ("--listen-address=nowhere", "nowhere"),
        ("--conf-file=/nonexistent/file", "/nonexistent/file"),
        ("--conf-dir=/nonexistent/folder", "/nonexistent/folder"),
        ("--cname=a", "cname"),
        ("--nonsense\x1b[31m\n", "nonsense"),
    ],
)
@pytest.mark.usefixtures("ours_only")
def test_a_bad_option_ends_the_start_with_one_line(option: str, named: str) -> None:
    status, lines = run(option)
    assert status == 1
    assert named in said(lines)
    assert not re.findall(r"[^\x20-\x7e]", said(lines))


@pytest.mark.parametrize("flag", ["-nonsense", "-syncInterval=often", "--admin-address=0.0.0.0:1"])
@pytest.mark.usefixtures("ours_only")
def test_a_bad_flag_of_the_nanny_ends_the_start(flag: str) -> None:
    status, lines = run(nanny=[flag])
    assert status == 2
    assert flag.lstrip("-").split("=")[0] in lines[-1]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_port_in_use_ends_the_start_with_one_line(kind: socket.SocketKind) -> None:
    port = free_port()
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", port))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        status, lines = run("--no-resolv", "--no-hosts", port=port)
    assert status > 0
    assert str(port) in said(lines) or ORIGINAL
    assert "in use" in said(lines)
    assert not any("Traceback" in line for line in lines)


@pytest.mark.usefixtures("ours_only")
def test_an_admin_port_in_use_ends_the_start_with_one_line() -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        status, lines = run("--no-resolv", nanny=[f"--admin-address=127.0.0.1:{port}"])
    assert status > 0
    assert str(port) in said(lines)
    assert not any("Traceback" in line for line in lines)


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    status, lines = run("--no-resolv", "--listen-address=192.0.2.99", "--bind-interfaces")
    assert status > 0
    assert "192.0.2.99" in said(lines)
    assert not any("Traceback" in line for line in lines)


def test_a_cache_beyond_memory(start: Start, server: StartServer) -> None:
    """It is bounded by octets anyway: one line, and service."""
    forwarder = start(f"--server={server().server}", "--cache-size=2000000000")
    assert forwarder.look("www.example.") == {GOOD}
    assert forwarder.resident_mib() < 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1", "0.0.0.0"])
def test_ourselves_as_a_server(start: Start, server: StartServer, address: str) -> None:
    """A node's 127.0.0.53 that was copied into the pod: left out, with one line."""
    port = free_port()
    good = server()
    forwarder = start(f"--server={address}#{port}", f"--server={good.server}", port=port)
    for i in range(10):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    if not ORIGINAL:
        assert len(forwarder.logs(f"{address}#{port}")) == 1


def test_ourselves_as_the_only_server(start: Start) -> None:
    """Nobody is left to be asked: REFUSED, and no loop."""
    port = free_port()
    forwarder = start(f"--server=127.0.0.1#{port}", port=port)
    assert forwarder.look("www.example.") == {"REFUSED"}
    assert forwarder.look("cachesize.bind.") == {"REFUSED"}


def passes_on_to(port: int) -> Play:
    """A server that asks who listens on a port, such as the forwarder that asks it."""

    def play(asked: Asked) -> Sequence[Act]:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(asked.wire, ("127.0.0.1", port))
        return []

    return play


def test_a_server_that_asks_us_in_turn_is_left_out(start: Start, server: StartServer) -> None:
    """--dns-loop-detect: found soon after the start; the service stays up."""
    port = free_port()
    looping, good = server(passes_on_to(port)), server()
    forwarder = start(
        f"--server={looping.server}", f"--server={good.server}", "--dns-loop-detect", port=port
    )
    forwarder.logs("loop detected")
    for i in range(20):
        assert forwarder.look(f"n{i}.example.") == {GOOD}
    assert not any(each.name.startswith("n") for each in looping.asked if "example" in each.name)


def test_two_forwarders_that_ask_each_other(start: Start) -> None:
    """Without --dns-loop-detect: the question ends, and so does the traffic."""
    ports = free_port(), free_port()
    one = start(f"--server=127.0.0.1#{ports[1]}", port=ports[0], wait=False)
    two = start(f"--server=127.0.0.1#{ports[0]}", port=ports[1], wait=False)
    for forwarder in (one, two):
        forwarder.ready()
    assert one.look("www.example.") == {"SERVFAIL"}
    assert one.look("cachesize.bind.", "TXT") == {"SERVFAIL"}
    assert int(one.statistic("misses.bind")) < 50


@pytest.fixture
def privileged() -> str:
    """A loopback address of nobody else, on whose port 53 a server may listen."""
    numbers = [random.randrange(1, 250) for _ in range(2)]
    address = f"127.{random.randrange(64, 128)}.{numbers[0]}.{numbers[1]}"
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.bind((address, 53))
    except PermissionError:
        unavailable("may not listen on port 53")
    return address


def with_resolv_conf(start: Start, file: Path, *options: str) -> Forwarder:
    """Start with a resolv.conf."""
    return start(*options, f"--resolv-file={file}", local_files=["--no-hosts"])


def test_resolv_conf_is_followed(
    start: Start, server: StartServer, privileged: str, tmp_path: Path
) -> None:
    """Other lines do not matter; a change is seen; when the file goes its servers stay."""
    one = server(address=privileged, port=53)
    second = privileged.rpartition(".")[0] + ".251"
    two = server(answers("@ 300 IN A 192.0.2.2"), address=second, port=53)
    file = tmp_path / "resolv.conf"
    file.write_text(f"# nobody\nsearch example\noptions ndots:5\nnameserver {one.address}\n")
    forwarder = with_resolv_conf(start, file)
    assert forwarder.look("www.example.") == {GOOD}
    file.write_text(f"nameserver {two.address}\n")
    until(lambda: forwarder.look(f"n{random.random()}.example.") == {"192.0.2.2"})
    file.unlink()
    for i in range(5):
        assert forwarder.look(f"gone{i}.example.") == {"192.0.2.2"}


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "garbage"])
def test_no_usable_resolv_conf(
    start: Start, server: StartServer, privileged: str, tmp_path: Path, what: str
) -> None:
    """One line that names the file; REFUSED meanwhile, stub domains work; used once it is good."""
    file = tmp_path / "etc" / "resolv.conf"
    file.parent.mkdir()
    match what:
        case "folder":
            file.mkdir()
        case "empty":
            file.write_text("")
        case "garbage":
            file.write_bytes(b"\xff\xfe\nnameserver\nnameserver nobody\nnameserver 1.2.3.4.5\n")
    stub = server()
    forwarder = with_resolv_conf(start, file, f"--server=/stub.example/{stub.server}")
    assert forwarder.look("www.example.") == {"REFUSED"}
    assert forwarder.look("www.stub.example.") == {GOOD}
    if not ORIGINAL:
        forwarder.logs(str(file))
    if what == "folder":
        file.rmdir()
    upstream = server(answers("@ 300 IN A 192.0.2.2"), address=privileged, port=53)
    file.write_text(f"nameserver {upstream.address}\n")
    becomes(lambda: forwarder.look("www.example."), {"192.0.2.2"})
