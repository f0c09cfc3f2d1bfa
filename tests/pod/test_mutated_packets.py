"""A hundred thousand mutated packets over UDP and TCP: no crash, no hang, memory flat."""

import contextlib
import itertools
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import dns.edns
import dns.message
import pytest

from tests.builders import query
from tests.mutation import mutated
from tests.pod.running import Running, control_octets, framed, receive

T = TypeVar("T")
N = "shop.svc.cluster.local."
WARM_UP = 20_000
UDP = 70_000
TCP = 30_000
SEEDS = [
    query(f"web.{N} A", edns=False).to_wire(),
    query(f"web.{N} A").to_wire(),
    query(f"_mysql._tcp.stock.{N} SRV", flags="DO RD").to_wire(),
    query("1-2-3-4.shop.pod.cluster.local. AAAA").to_wire(),
    query("10.1.244.10.in-addr.arpa. PTR", options=[dns.edns.GenericOption(10, b"12345678")])
    .to_wire(),
    query("version.bind. TXT CH").to_wire(),
    query(f"nope.{N} ANY", edns=False).to_wire(),
    query(f"payments.{N} A").to_wire(),
    query("cluster.local. IXFR").to_wire(),
    query("8.b.d.0.1.0.0.2.ip6.arpa. PTR", flags="RD").to_wire(),
]  # fmt: skip


def _over_udp(running: Running, packets: Iterator[bytes]) -> int:
    """Send from several sockets, in bursts that the other side can take; return the replies."""
    clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(8)]
    replies = 0
    try:
        for client in clients:
            client.connect((running.host, running.dns_port))
            client.setblocking(False)
        for number, packet in enumerate(packets):
            client = clients[number % len(clients)]
            client.send(packet)
            if number % 64 == 63:
                replies += _drain(clients)
        return replies + _drain(clients)
    finally:
        for client in clients:
            client.close()


def _drain(clients: list[socket.socket]) -> int:
    """Ask something good behind a burst, and read until its reply has come: a full round."""
    count = 0
    for client in clients:
        client.settimeout(20.0)
        mark = b"\xfe\xed" + SEEDS[0][2:]
        client.send(mark)
        while True:
            reply = client.recv(65535)
            if reply[:2] == mark[:2] and len(dns.message.from_wire(reply).answer) == 1:
                break
            count += 1
    return count


def _batched(items: Iterator[T], count: int) -> Iterator[list[T]]:
    while batch := list(itertools.islice(items, count)):
        yield batch


def _over_tcp(running: Running, packets: Iterator[bytes]) -> int:
    """Send forty on each connection, some cut short; many connections at a time; count replies."""
    rng = random.Random(7)
    streams = [framed(*batch) for batch in _batched(packets, 40)]
    replies = 0
    for together in _batched(iter(streams), 100):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(running.connect()) for _ in together]
            for client, octets in zip(clients, together, strict=True):
                cut = rng.randrange(len(octets)) if rng.random() < 0.1 else len(octets)
                with contextlib.suppress(ConnectionError):
                    client.sendall(octets[:cut])
                    client.shutdown(socket.SHUT_WR)
            for client in clients:
                while receive(client) is not None:
                    replies += 1
    return replies


def test_a_hundred_thousand_mutated_packets(tmp_path: Path) -> None:
    """Alive, right answers, no fault counted, memory flat, a log that can be read."""
    with Running(tmp_path / "log") as running:
        running.ready()
        _over_udp(running, mutated(SEEDS, 1, WARM_UP))
        _over_tcp(running, mutated(SEEDS, 2, WARM_UP // 4))
        before = running.resident_mib()
        over_udp = _over_udp(running, mutated(SEEDS, 3, UDP))
        over_tcp = _over_tcp(running, mutated(SEEDS, 4, TCP))
        grown = running.resident_mib() - before
        assert not running.ended()
        for tcp in (False, True):
            reply = running.ask(f"web.{N}", tcp=tcp)
            assert [rdata.to_text() for rdata in reply.answer[0]] == ["10.96.20.1"]
        status = running.status()
        assert status["exceptions"] == 0, running.text()[-3000:]
        assert "Traceback" not in running.text()
        assert grown < 15, f"{grown:.1f} MiB more after {UDP + TCP} packets"
        assert over_udp > UDP // 2
        assert over_tcp > TCP // 10
        assert control_octets(running.text()) == []
        assert len(running.text()) < 1 << 20, "packets do not fill the log"
        print(f"{over_udp} and {over_tcp} replies, {grown:+.1f} MiB")


@pytest.mark.parametrize("name", ["\\010", "\\027[31m", "\\255\\254", "a\\.b", "%s%n", "{}"])
def test_hostile_names_never_reach_the_log_as_they_are(name: str, demo: Running) -> None:
    """Refused, missing, or answered: the log stays printable."""
    for question in (f"{name}.example.com.", f"{name}.{N}"):
        demo.dig(question)
        demo.dig(question, "+tcp", "TYPE65280")
    assert control_octets(demo.text()) == []
