"""Which addresses answer, and from which the replies come; namespaces with one family only."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pod.running import Running

N = "shop.svc.cluster.local"


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as made:
        made.bind(("::1", 0))
        return True
    return False


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("server", ["127.0.0.1", "127.0.0.5", "127.9.9.9", "::1"])
def test_a_wildcard_answers_from_the_address_that_was_asked(
    tmp_path: Path, host: str, server: str
) -> None:
    """Both families, UDP and TCP, also addresses that no interface shows (127/8)."""
    if server == "::1" and not _has_ipv6():
        pytest.skip("no IPv6 here")
    with Running(tmp_path / "log", host=host) as running:
        running.ready()
        for _ in range(3):  # the second time from the ready answers
            assert running.short(f"web.{N}", server=server) == ["10.96.20.1"]
        assert running.short("+tcp", f"web.{N}", server=server) == ["10.96.20.1"]


def test_one_ipv6_address(tmp_path: Path) -> None:
    """--dns-bind-address=::1 listens there alone."""
    if not _has_ipv6():
        pytest.skip("no IPv6 here")
    with Running(tmp_path / "log", host="::1") as running:
        running.ready()
        assert running.short(f"web.{N}") == ["10.96.20.1"]
        with (
            socket.socket() as client,
            pytest.raises(ConnectionRefusedError),
        ):
            client.connect(("127.0.0.1", running.dns_port))


@pytest.fixture(params=["IPv6 only", "IPv6 disabled", "an address that comes later"])
def netns(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    """Make a network namespace; give its name, what it is like, and an address to ask."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name = f"kubedns-test-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    try:
        _ip(name, "link", "set", "lo", "up")
        server = "127.0.0.1"
        if request.param == "IPv6 only":
            _ip(name, "addr", "del", "127.0.0.1/8", "dev", "lo")
            server = "::1"
        elif request.param == "IPv6 disabled":
            done = subprocess.run(
                ["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"],
                capture_output=True,
            )
            if done.returncode:
                pytest.skip("IPv6 cannot be switched off here")
        yield name, request.param, server
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def _ip(namespace: str, *args: str) -> None:
    subprocess.run(["ip", "-n", namespace, *args], check=True, capture_output=True)


def test_in_a_namespace(tmp_path: Path, netns: tuple[str, str, str]) -> None:
    """The same wildcard listener, whatever families there are."""
    name, kind, server = netns
    with Running(tmp_path / "log", "--status-address=", host="0.0.0.0", netns=name) as running:
        running.ready()
        if kind == "an address that comes later":
            _ip(name, "addr", "add", "10.99.0.1/32", "dev", "lo")
            server = "10.99.0.1"
        for args in ((), (), ("+tcp",)):
            assert running.short(*args, f"web.{N}", server=server) == ["10.96.20.1"]
        assert running.short("+bufsize=1232", f"dual.{N}", "AAAA", server=server)
        assert running.end() == 0
