"""Upstreams at the far end of a link that loses packets, is cut, and goes down."""

from __future__ import annotations

import json
import secrets
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.absent import unavailable
from tests.bench.stub_upstream import Place, Script
from tests.netns.wire import ALSO_FAR, FAR, Wire, missing
from tests.realapi.program import Program

_ROOT = Path(__file__).parents[2]
_PORT = 5300
_SPELLED = b"\x04corp\x07example\x03com\0"
_A_IN = struct.pack("!HH", 1, 1)
_NOERROR, _SERVFAIL = 0, 2
_PATIENCE_S = 5.0
_START_S = 30.0


class Client:
    """Asks the forwarder from its own namespace, each question from a socket of its own."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def ask(self, label: str = "", patience_s: float = _PATIENCE_S) -> int | None:
        """Ask once, by default for a name that is new; return the RCODE, None without a reply."""
        name = (label or f"q{secrets.token_hex(6)}").encode()
        query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + bytes([len(name)]) + name + _SPELLED + _A_IN
        with self._wire.socket() as udp:
            udp.settimeout(patience_s)
            udp.connect(("127.0.0.1", _PORT))
            try:
                udp.send(query)
                return udp.recv(4096)[3] & 0x0F
            except OSError:
                return None

    def wait_for_answer(self, label: str = "", *, within_s: float) -> None:
        """Ask again and again until there is a good answer, and print how long it took."""
        begun = time.monotonic()
        while self.ask(label, patience_s=0.2) != _NOERROR:
            assert time.monotonic() - begun < within_s, f"no answer within {within_s} s"
            time.sleep(0.02)
        print(f"answered after {time.monotonic() - begun:.3f} s")


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Make a healthy link."""
    if reason := missing():
        unavailable(reason)
    with Wire() as made:
        yield made


@pytest.fixture
def client(wire: Wire, tmp_path: Path) -> Iterator[Client]:
    """Run two upstreams at the far end, and a forwarder at the near end that answers."""
    servers = [Place(host=host, port=53, delay_ms=2, jitter_ms=1) for host in (FAR, ALSO_FAR)]
    script = json.dumps(Script(servers=servers))
    config = tmp_path / "config"
    config.mkdir()
    options = [f"--port={_PORT}", "--listen-address=127.0.0.1", "--bind-interfaces"]
    options += ["--keep-in-foreground", "--no-resolv", "--no-hosts"]
    options += [f"--server={host}" for host in (FAR, ALSO_FAR)]
    stub = _inside(wire.far, ["tests.bench.stub_upstream", script], tmp_path / "stub.log")
    nanny = [f"--configDir={config}", "--admin-address="]
    forwarder = _inside(
        wire.near, ["dnsmasq_py", *nanny, "--", *options], tmp_path / "forwarder.log"
    )
    try:
        client = Client(wire)
        client.wait_for_answer(within_s=_START_S)
        yield client
        assert forwarder.alive(), forwarder.last_words()
        assert "Traceback" not in forwarder.output(), forwarder.output()
    finally:
        forwarder.kill()
        stub.kill()


def _inside(namespace: str, module: Sequence[str], log: Path) -> Program:
    argv = ["ip", "netns", "exec", namespace, sys.executable, "-m", *module]
    return Program(argv, log=log, environment={"PYTHONPATH": str(_ROOT)})


def _ask_for(client: Client, seconds: float) -> list[int | None]:
    """Ask for new names for a while, without patience."""
    until = time.monotonic() + seconds
    replies = []
    while time.monotonic() < until:
        replies.append(client.ask(patience_s=0.1))
    return replies


def test_a_link_that_loses_one_packet_in_ten_each_way_costs_no_answer(
    wire: Wire, client: Client
) -> None:
    """The client asks once, and the forwarder repeats for it."""
    wire.loss = 0.1
    assert [client.ask() for _ in range(200)] == [_NOERROR] * 200


def test_answers_come_again_when_a_cut_link_is_whole_again(wire: Wire, client: Client) -> None:
    """Servers that were given up are not left alone for long."""
    wire.cut = True
    assert _NOERROR not in _ask_for(client, 8.0)
    wire.cut = False
    client.wait_for_answer(within_s=20.0)


def test_the_client_hears_of_a_failure_before_it_gives_up(wire: Wire, client: Client) -> None:
    """A resolver of the C library waits 5 s; SERVFAIL comes before."""
    wire.cut = True
    assert client.ask(patience_s=20.0) == _SERVFAIL


def test_a_name_that_failed_is_tried_again_when_the_link_is_whole(
    wire: Wire, client: Client
) -> None:
    """A failure is remembered for seconds only."""
    wire.cut = True
    assert client.ask("failed", patience_s=20.0) == _SERVFAIL
    wire.cut = False
    client.wait_for_answer("failed", within_s=30.0)


def test_answers_come_again_when_the_interface_does(wire: Wire, client: Client) -> None:
    """Without a route every send fails at once; that is no reason to end or to sulk."""
    wire.near_link("down")
    assert client.ask(patience_s=20.0) == _SERVFAIL
    wire.near_link("up")
    client.wait_for_answer(within_s=20.0)
