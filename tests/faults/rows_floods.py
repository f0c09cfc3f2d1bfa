"""Rows about too much: changes, unique names, one client, connections."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.faults.load import is_reply, query, read
from tests.faults.pods import LIMIT_MIB, Ours
from tests.faults.stage import Stage
from tests.faults.truth import NOERROR
from tests.faults.world import ZONE
from tests.realapi.program import Program

_FLOODER = "127.0.7.7"
_TCP_PATIENCE_S = 5.0
_SLICE_S = 0.1  # between two looks at what a process takes
_CONTROLLERS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


def many_changes(stage: Stage) -> None:
    """Row 10: 10,000 changes of services within 10 s; 1,000 a second in the short mode, too."""
    count = 2_000 if stage.short else 10_000
    stage.began()
    took = stage.world.churn(count, count / 1000)
    stage.over()
    stage.heals(peers_s=33)
    stage.note(f"{count} changes were written in {took:.1f} s")


# Row 11


@contextlib.contextmanager
def memory_limit() -> Iterator[dict[str, Sequence[str]]]:
    """
    Yield commands that run each of our parts within the manifest's limit of memory.

    Without a memory controller that can be written to: none, and only what they take is looked at.
    """
    made: dict[str, Path] = {}
    try:
        for part in ("kubedns", "dnsmasq"):
            name = f"kube-dns-faults-{os.getpid()}-{secrets.token_hex(3)}-{part}"
            for top, limit in _CONTROLLERS:
                group = top / name
                with contextlib.suppress(OSError):
                    group.mkdir()
                    made[part] = group
                    (group / limit).write_text(str(LIMIT_MIB << 20))
                    break
                if made.pop(part, None):  # no limit can be set here
                    group.rmdir()
        yield {
            part: ("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh")
            for part, group in made.items()
        }
    finally:
        for group in made.values():
            for _ in range(50):
                with contextlib.suppress(OSError):
                    group.rmdir()
                if not group.exists():
                    break
                time.sleep(0.1)


def unique_names(stage: Stage) -> None:
    """
    Row 11: names that nobody ever asked before, some inside the cluster's zone, some outside.

    No faster than they are answered: who is asked more than the machine can do loses whatever it
    does, and this is about memory.
    """
    stage.began()
    most = {part.log.stem: 0.0 for part in stage.ours.parts}
    for pod in stage.pods:
        domains = (f"flood.{stage.world.ns}.svc.{ZONE}", "flood.example.com")
        floods = [
            stage.dnsperf(pod.port, _FLOODER, stage.seconds(4, 6), domain, in_flight=100)
            for domain in domains
        ]
        while any(flood.alive() for flood in floods):
            for part in stage.ours.parts:
                most[part.log.stem] = max(most[part.log.stem], part.resident_mib())
            time.sleep(_SLICE_S)
        for domain, flood in zip(domains, floods, strict=True):
            stage.note(f"{pod.name}, below {domain}: {_rate(flood)}")
    stage.over()
    stage.note("RSS " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in most.items()))
    for part in stage.ours.parts:
        stage.expect(part.restarts == 0, f"{part.log.stem} was started anew {part.restarts} times")
    for name, mib in most.items():
        stage.expect(mib < LIMIT_MIB, f"{name} takes {mib:.0f} MiB")


# Row 12


def one_client(stage: Stage) -> None:
    """Row 12a: one client asks as fast as it gets answers, with a thousand questions under way."""
    stage.began()
    for pod in stage.pods:
        seconds = stage.seconds(3.5, 4)
        flood = stage.dnsperf(pod.port, _FLOODER, seconds, "flood.example.com", in_flight=1000)
        flood.ended(60)
        stage.note(f"{pod.name}: {_rate(flood)}")
    stage.over()


def _rate(flood: Program) -> str:
    """Return what the flood says of its own speed."""
    lines = [line.strip() for line in flood.output().splitlines()]
    wanted = ("Queries per second", "Queries lost")
    return ", ".join(line for line in lines if line.startswith(wanted))


def connections(stage: Stage) -> None:
    """Row 12b: a client opens TCP connections and leaves them; others still get theirs."""
    _with_connections(stage, 600, lambda number: b"")


def half_open(stage: Stage) -> None:
    """Row 12c: connections that say half a question and no more."""
    _with_connections(stage, 300, lambda number: _framed(f"h{number}.example.com")[: number % 20])


def slow_readers(stage: Stage) -> None:
    """Row 12d: clients that ask a lot over TCP, and read none of the answers."""
    names = stage.world.names()
    lots = b"".join(_framed(name) for name in itertools.islice(itertools.cycle(names), 2000))
    _with_connections(stage, 40, lambda number: lots)


def _with_connections(stage: Stage, count: int, says: Callable[[int], bytes]) -> None:
    """Keep so many connections open from one address to each pod, and ask over TCP from others."""
    stage.began()
    until = time.monotonic() + stage.seconds(3.5, 5)
    served = {pod.name: [0, 0] for pod in stage.pods}
    with contextlib.ExitStack() as stack:
        for pod in stage.pods:
            opened = [stack.enter_context(_opening(pod.port)) for _ in range(count)]
            time.sleep(0.2)
            for number, tcp in enumerate(opened):
                with contextlib.suppress(OSError):  # not taken, or taken and closed
                    tcp.send(says(number))
        asking = [
            threading.Thread(target=_ask_on, args=(stage, pod.port, until, served[pod.name]))
            for pod in stage.pods
        ]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
    stage.over()
    for name, (good, bad) in served.items():
        stage.note(f"{name}: others got {good} answers over TCP, {bad} failed")
    stage.expect(not served[Ours.name][1], f"others failed over TCP: {served[Ours.name]}")


def _ask_on(stage: Stage, port: int, until: float, served: list[int]) -> None:
    name = stage.world.name("steady-1")
    while time.monotonic() < until:
        served[not _asked_over_tcp(port, name)] += 1
        time.sleep(0.1)


def _asked_over_tcp(port: int, name: str) -> bool:
    """Ask over a connection of its own; tell whether there was an answer within 5 s."""
    try:
        with _connected(port, "127.0.0.1") as tcp:
            tcp.settimeout(_TCP_PATIENCE_S)
            asked = _framed(name)
            tcp.sendall(asked)
            message = tcp.recv(512)[2:]
            return is_reply(message, asked[2:]) and read(message)[0] == NOERROR
    except OSError:
        return False


def _opening(port: int) -> socket.socket:
    """Open a connection, without waiting until it is taken."""
    tcp = socket.socket()
    tcp.setblocking(False)
    tcp.bind((_FLOODER, 0))
    tcp.connect_ex(("127.0.0.1", port))
    return tcp


def _connected(port: int, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), _TCP_PATIENCE_S, (source, 0))


def _framed(name: str) -> bytes:
    octets = b"\x12\x34" + query(name)
    return struct.pack("!H", len(octets)) + octets
