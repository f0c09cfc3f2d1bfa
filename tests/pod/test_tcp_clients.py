"""TCP clients as they come: pipelining, half-closed, slow, idle, too many (RFC 7766, RFC 9210)."""

import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import dns.message
import pytest
import yaml

from tests.builders import headless, query, service, slice_
from tests.pod.running import Running, framed, receive, until
from tests.realapi.waiting import ready

N = "shop.svc.cluster.local"
ASKED = query(f"web.{N}. A").to_wire()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Serve a service and a headless one of a thousand endpoints."""
    folder = tmp_path_factory.mktemp("tcp")
    objects = folder / "objects.yaml"
    addresses = [f"10.1.{i // 250}.{i % 250}" for i in range(1000)]
    values = [service("web", ip="10.0.0.7"), headless(), slice_(addresses=addresses)]
    objects.write_text(yaml.safe_dump_all(values))
    with Running(folder / "log", objects=objects) as made:
        yield made.ready()


def test_pipelined_queries(running: Running) -> None:
    """Five hundred in one piece: as many replies, each ID once."""
    with running.connect() as client:
        client.sendall(framed(*(struct.pack(">H", i) + ASKED[2:] for i in range(500))))
        found = [receive(client) for _ in range(500)]
    assert sorted(struct.unpack(">H", (r or b"")[:2])[0] for r in found) == list(range(500))


def test_octet_by_octet(running: Running) -> None:
    """A query in pieces of one octet."""
    with running.connect() as client:
        for octet in framed(ASKED):
            client.sendall(bytes((octet,)))
        reply = receive(client)
    assert reply is not None
    assert dns.message.from_wire(reply).answer


def test_a_half_closed_connection(running: Running) -> None:
    """A client that shuts its side down after asking gets all replies, then the end."""
    with running.connect() as client:
        client.sendall(framed(*[ASKED] * 50))
        client.shutdown(socket.SHUT_WR)
        assert all(receive(client) is not None for _ in range(50))
        assert receive(client) is None


def test_nonsense_ends_a_connection_and_no_other(running: Running) -> None:
    """A response instead of a query."""
    with running.connect() as good, running.connect() as bad:
        bad.sendall(framed(ASKED[:2] + b"\x80\0" + ASKED[4:]))
        assert receive(bad) is None
        good.sendall(framed(ASKED))
        assert receive(good) is not None


def test_clients_that_do_not_read(running: Running) -> None:
    """Fifty of them ask for large answers for as long as they are read: memory stays bounded."""
    large = framed(*[query(f"db.{N}. A").to_wire()] * 2000)
    before = running.resident_mib()
    clients = [running.connect() for _ in range(20)]
    try:
        for client in clients:
            client.setblocking(False)
            while ready(client, select.POLLOUT, 0.05):
                try:
                    if not client.send(large):
                        break
                except (BlockingIOError, ConnectionError):
                    break
        time.sleep(0.5)
        assert len(running.ask(f"web.{N}").answer) == 1, "others are answered"
        grown = running.resident_mib() - before
        assert grown < 60, f"{grown:.0f} MiB for replies that nobody reads"
    finally:
        for client in clients:
            client.close()


def test_an_idle_connection_is_closed(running: Running) -> None:
    """After ten seconds, whether it never asked, asked once, or sends an octet now and then."""
    with running.connect() as silent, running.connect() as asked, running.connect() as slow:
        asked.sendall(framed(ASKED))
        assert receive(asked) is not None
        began = time.monotonic()
        for octet in framed(ASKED)[:12]:
            try:
                slow.sendall(bytes((octet,)))
            except ConnectionError:
                break
            time.sleep(1.0)
        assert receive(slow) is None
        assert receive(silent) is None
        assert receive(asked) is None
        assert time.monotonic() - began > 9.0


def test_more_connections_than_the_limit(running: Running) -> None:
    """The longest idle ones make room: a new client is always served."""
    clients = []
    try:
        for _ in range(600):
            clients.append(running.connect())
        newest = clients[-1]
        newest.sendall(framed(ASKED))
        assert receive(newest) is not None
        text = running.page("/metrics")[1]
        (count,) = (
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("kubedns_dns_tcp_connections ")
        )
        assert count <= 512
        assert receive(clients[0]) is None
    finally:
        for client in clients:
            client.close()
    until(
        lambda: "kubedns_dns_tcp_connections 0.0" in running.page("/metrics")[1],
        "connections are left",
    )


def test_large_answers_over_tcp(running: Running) -> None:
    """A cut UDP answer, and the whole of it by TCP, as a resolver does it."""
    cut = running.ask(f"db.{N}")
    assert "TC" in str(cut)
    assert len(running.ask(f"db.{N}", tcp=True).answer[0]) == 1000
    assert len(running.short(f"db.{N}")) == 1000, "dig retries by itself"


def test_it_served_all_that_without_a_fault(running: Running) -> None:
    """No exception was counted."""
    assert running.status()["exceptions"] == 0
    assert "Traceback" not in running.text()


def test_where_the_log_is(running: Running) -> None:
    """Standard error, klog's form."""
    assert Path(running.log).read_text().startswith("I")
