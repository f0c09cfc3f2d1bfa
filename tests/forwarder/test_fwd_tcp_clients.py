"""TCP clients as they come: idle, pipelining, half-closed, slow, too many (RFC 7766, RFC 9210)."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import dns.message
import pytest

from tests.forwarder.behaviours import (
    GOOD,
    answers,
    by_name,
    late,
    quick,
    truncated,
    udp_or_tcp,
)
from tests.forwarder.client import data, framed, query, receive
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import NO_LOCAL_FILES, Forwarder
from tests.forwarder.scripted import Scripted
from tests.realapi.waiting import ready, until

SLOW = ("slow.example.", "half.example.", "gone.example.")
HIT = query("hit.example.").to_wire()
MANY = [f"@ 300 IN A 10.0.{i // 250}.{i % 250}" for i in range(1000)]
LARGEST = [f'@ 300 IN TXT "{chr(97 + i % 26) * 250}" "{i}"' for i in range(240)]


@pytest.fixture(scope="module")
def forwarder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarder]:
    """Forward to a server that knows a slow name, a large one, and all others."""
    plays = {
        **dict.fromkeys(SLOW, late(quick, 1.0)),
        "many.example.": udp_or_tcp(truncated, answers(*MANY)),
        "largest.example.": udp_or_tcp(truncated, answers(*LARGEST)),
    }
    with ExitStack() as stack:
        upstream = stack.enter_context(Scripted(by_name(plays, quick)))
        folder = tmp_path_factory.mktemp("tcp-clients")
        forwarder = Forwarder(folder, *NO_LOCAL_FILES, f"--server={upstream.server}")
        yield stack.enter_context(forwarder)


def numbered(wire: bytes, number: int) -> bytes:
    """Give a message an ID."""
    return struct.pack(">H", number) + wire[2:]


def number(wire: bytes | None) -> int:
    assert wire is not None, "the connection ended"
    found: int = struct.unpack_from(">H", wire)[0]
    return found


def test_twenty_idle_connections_and_one_that_works(forwarder: Forwarder) -> None:
    """dnsmasq serves nobody by TCP then, for 150 s."""
    with ExitStack() as stack:
        idle = [stack.enter_context(forwarder.connect()) for _ in range(20)]
        for _ in range(5):
            assert forwarder.look("hit.example.", tcp=True) == {GOOD}
        idle[0].sendall(framed(HIT))
        assert receive(idle[0]) is not None


def test_replies_come_as_they_are_ready(forwarder: Forwarder) -> None:
    """Pipelined behind a slow question: the others do not wait for it."""
    slow = numbered(query("slow.example.").to_wire(), 1000)
    with forwarder.connect() as client:
        client.sendall(framed(slow, *(numbered(HIT, i) for i in range(20))))
        order = [number(receive(client)) for _ in range(21)]
    assert sorted(order) == [*range(20), 1000]
    assert order[-1] == 1000


def test_five_hundred_on_one_connection(forwarder: Forwarder) -> None:
    """In one piece, half of them new: each is answered once. dnsmasq takes a hundred."""
    wires = [query(f"n{i}.example.").to_wire() if i % 2 else HIT for i in range(500)]
    with forwarder.connect() as client:
        client.sendall(framed(*(numbered(wire, i) for i, wire in enumerate(wires))))
        found = [receive(client) for _ in range(500)]
    assert sorted(map(number, found)) == list(range(500))
    assert all(wire is not None and wire[3] & 15 == 0 for wire in found)


def test_an_id_used_twice_at_once(forwarder: Forwarder) -> None:
    """Two questions under one ID: two answers, each with its question."""
    with forwarder.connect() as client:
        one, two = query("twice1.example.").to_wire(), query("twice2.example.").to_wire()
        client.sendall(framed(numbered(one, 7), numbered(two, 7)))
        found = [receive(client), receive(client)]
    names = {dns.message.from_wire(wire or b"").question[0].name.to_text() for wire in found}
    assert names == {"twice1.example.", "twice2.example."}


def test_octet_by_octet(forwarder: Forwarder) -> None:
    with forwarder.connect() as client:
        for octet in framed(HIT):
            client.sendall(bytes((octet,)))
        assert number(receive(client)) == number(HIT)


def test_a_half_closed_connection_gets_its_answers(forwarder: Forwarder) -> None:
    """Those that were ready, and one that must be waited for; then the end."""
    with forwarder.connect() as client:
        slow = query("half.example.").to_wire()
        client.sendall(framed(HIT, slow, query("other.example.").to_wire(), HIT))
        client.shutdown(socket.SHUT_WR)
        assert all(receive(client) is not None for _ in range(4))
        assert receive(client) is None


@pytest.mark.parametrize(
    "octets",
    [b"\0\0", framed(b"123"), framed(HIT[:11]), framed(HIT[:2] + b"\x80\0" + HIT[4:])],
    ids=["empty message", "3 octets", "11 octets", "a response"],
)
def test_nonsense_ends_a_connection_and_no_other(forwarder: Forwarder, octets: bytes) -> None:
    with forwarder.connect() as good, forwarder.connect() as bad:
        bad.sendall(octets)
        assert receive(bad) is None
        good.sendall(framed(HIT))
        assert receive(good) is not None


def test_a_message_of_65535_octets(forwarder: Forwarder) -> None:
    """A question with padding in its OPT: answered; a hundred of them leave no trace."""
    base = bytearray(query("hit.example.").to_wire())
    room = 65535 - len(base)
    base[-2:] = struct.pack(">H", room) + struct.pack(">HH", 12, room - 4) + bytes(room - 4)
    assert len(base) == 65535
    before = 0.0
    for i in range(100):
        with forwarder.connect() as client:
            client.sendall(framed(bytes(base)))
            assert number(receive(client)) == number(bytes(base))
        if i == 20:
            before = forwarder.resident_mib()
    assert forwarder.resident_mib() - before < 20


def test_noise_of_65535_octets(forwarder: Forwarder) -> None:
    """Names, counts and lengths of nothing: an error or the end, at once, and nobody else waits."""
    for octet in (0x00, 0x01, 0x3F, 0xC0, 0xFF):
        wire = HIT[:12] + bytes((octet,)) * (65535 - 12)
        with forwarder.connect() as client:
            client.sendall(framed(wire))
            reply = receive(client)
            assert reply is None or reply[3] & 15 == 1
    assert forwarder.look("hit.example.", tcp=True) == {GOOD}


def test_an_answer_of_nearly_65535_octets(forwarder: Forwarder) -> None:
    """From the server to the client, the first time and the second."""
    for _ in range(2):
        reply = forwarder.ask("largest.example.", "TXT", tcp=True)
        assert len(reply.answer[0]) == 240
        assert len(reply.to_wire()) > 60_000


def test_what_udp_cuts_tcp_gives(forwarder: Forwarder) -> None:
    for edns in (None, 1232):
        wire = forwarder.raw(query("many.example.", edns=edns).to_wire())
        assert wire is not None
        assert wire[2] & 2
    assert len(forwarder.ask("many.example.", tcp=True).answer[0]) == 1000


def test_slow_writers_are_closed_and_hinder_nobody(forwarder: Forwarder) -> None:
    """Two hundred, two octets a second each: a message must be whole in a few seconds."""
    with ExitStack() as stack:
        sources = [f"127.0.1.{i % 40 + 1}" for i in range(200)]
        clients = [stack.enter_context(forwarder.connect(source)) for source in sources]
        began, left = time.monotonic(), clients
        for octet in framed(HIT):
            for client in left:
                try:
                    client.sendall(bytes((octet,)))
                except OSError:
                    continue
            assert forwarder.look("hit.example.", tcp=True) == {GOOD}
            left = [client for client in left if not ready(client, select.POLLIN, 0)]
            if not left:
                break
            time.sleep(0.5)
        assert not left, f"{len(left)} still open after {time.monotonic() - began:.0f} s"


def test_clients_that_do_not_read(forwarder: Forwarder) -> None:
    """Twenty ask for large answers for as long as they are taken: memory stays bounded."""
    assert forwarder.ask("many.example.", tcp=True).answer
    large = framed(*[query("many.example.").to_wire()] * 2000)
    before = forwarder.resident_mib()
    with ExitStack() as stack:
        sources = [f"127.0.1.{i + 1}" for i in range(20)]
        clients = [stack.enter_context(forwarder.connect(source)) for source in sources]
        for client in clients:
            client.setblocking(False)
            while ready(client, select.POLLOUT, 0.05):
                try:
                    if not client.send(large):
                        break
                except OSError:
                    break
        for _ in range(20):
            assert forwarder.look("hit.example.") == {GOOD}
        assert forwarder.look("hit.example.", tcp=True) == {GOOD}
        grown = forwarder.resident_mib() - before
        assert grown < 60, f"{grown:.0f} MiB for replies that nobody reads"


def test_an_idle_connection_is_closed(forwarder: Forwarder) -> None:
    """After ten seconds, whether it never asked or asked once; but not while an answer is due."""
    with forwarder.connect("127.0.1.1") as silent, forwarder.connect("127.0.1.2") as asked:
        asked.sendall(framed(HIT))
        assert receive(asked) is not None
        began = time.monotonic()
        assert receive(silent) is None
        assert receive(asked) is None
        assert time.monotonic() - began < 18


def test_more_connections_than_the_limit(start: Start, server: StartServer) -> None:
    """The longest idle ones make room: a new client is always served."""
    forwarder = start(f"--server={server(quick).server}", "--max-tcp-connections=40")
    with ExitStack() as stack:
        clients = []
        for i in range(120):
            clients.append(stack.enter_context(forwarder.connect(f"127.0.1.{i % 30 + 1}")))
        clients[-1].sendall(framed(HIT))
        assert receive(clients[-1]) is not None
        assert receive(clients[0]) is None
        assert forwarder.metric("kubedns_forwarder_tcp_connections") <= 40
    until(lambda: forwarder.metric("kubedns_forwarder_tcp_connections") == 0)


def test_a_client_that_is_gone_takes_nothing_with_it(forwarder: Forwarder) -> None:
    """It asked something slow, and reset the connection; another one asks the same."""
    wire = query("gone.example.").to_wire()
    for _ in range(20):
        client = forwarder.connect()
        client.sendall(framed(wire))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert data(forwarder.ask("gone.example.", tcp=True)) == {GOOD}


def test_tcp_counts_in_the_statistics(forwarder: Forwarder) -> None:
    """dnsmasq leaves it out."""
    assert forwarder.look("hit.example.", tcp=True) == {GOOD}
    before = int(forwarder.statistic("hits.bind")), int(forwarder.statistic("misses.bind"))
    for i in range(10):
        assert forwarder.look("hit.example.", tcp=True) == {GOOD}
        assert forwarder.look(f"counted{i}.example.", tcp=True) == {GOOD}
    after = int(forwarder.statistic("hits.bind")), int(forwarder.statistic("misses.bind"))
    assert after[0] - before[0] >= 10
    assert after[1] - before[1] == 10


def test_it_served_all_that_without_a_fault(forwarder: Forwarder, ours_only: None) -> None:
    assert forwarder.status()["exceptions"] == 0
    assert "Traceback" not in forwarder.log()
