"""The upstreams of a run, as processes: the fast one in C, and the one with bad weather."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.machine import LOAD_CORES, pinned
from tests.bench.programs import compiled
from tests.bench.stub_upstream import Script
from tests.bench.systems import Address
from tests.realapi.ports import free_port
from tests.realapi.program import Program

_REPOSITORY = Path(__file__).parent.parent.parent
_START_S = 20.0


@contextmanager
def fast(scratch: Path) -> Iterator[Address]:
    """
    Run the upstream that costs next to nothing, on the load's cores.

    Raises:
        UnavailableError: there is no C compiler.
    """
    address = Address("127.0.0.1", free_port())
    with _running([compiled("upstream.c"), str(address.port)], scratch / "upstream.log", [address]):
        yield address


@contextmanager
def scripted(scratch: Path, scripts: Sequence[Script]) -> Iterator[None]:
    """Run the upstreams of these scripts, all in one process, on the load's cores."""
    argv = [sys.executable, "-m", "tests.bench.stub_upstream", *map(json.dumps, scripts)]
    addresses = [Address(one["host"], one["port"]) for each in scripts for one in each["servers"]]
    with _running(argv, scratch / "stub.log", addresses):
        yield


@contextmanager
def _running(argv: Sequence[str | Path], log: Path, addresses: Sequence[Address]) -> Iterator[None]:
    path = os.pathsep.join(filter(None, [str(_REPOSITORY), os.environ.get("PYTHONPATH")]))
    with pinned(LOAD_CORES):
        program = Program(argv, log=log, environment={"PYTHONPATH": path})
    try:
        for address in addresses:
            questions(address)
        yield
    finally:
        program.kill()


def questions(address: Address) -> int:
    """
    Return how many questions an upstream has got, whether it answered them or not.

    Raises:
        TimeoutError: it does not say.
    """
    deadline = time.monotonic() + _START_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((address.host, address.port))
        udp.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                udp.send(b"?")
                return int(udp.recv(64))
            except ConnectionRefusedError:  # not started yet
                time.sleep(0.02)
            except TimeoutError:
                continue
    raise TimeoutError(f"nothing from the upstream {address}")
