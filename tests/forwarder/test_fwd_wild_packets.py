"""A hundred thousand mutated packets, of clients and of servers: no crash, no hang, memory flat."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import socket
from collections.abc import Iterator, Sequence

import dns.edns
import dns.message
import pytest

from tests.forwarder.behaviours import GOOD, answers, quick, reply
from tests.forwarder.client import Client, framed, query, receive
from tests.forwarder.conftest import Start, StartServer
from tests.forwarder.program import Forwarder
from tests.forwarder.scripted import Act, Asked, How
from tests.mutation import mutant, mutated

pytestmark = pytest.mark.usefixtures("ours_only")

OF_CLIENTS_UDP, OF_CLIENTS_TCP = 35_000, 15_000
OF_SERVERS = 50_000
WARM_UP = 5_000
AT_A_TIME = 8  # mutated replies in front of the good one
GOOD_NAME = "good.example."
QUERIES = [
    query("www.example.", edns=None).to_wire(),
    query("www.example.").to_wire(),
    query("www.example.", "AAAA", do=True).to_wire(),
    query("nas.local.", "ANY").to_wire(),
    query("www.cluster.local.", "SRV", options=[dns.edns.GenericOption(10, b"12345678")]).to_wire(),
    query("1.1.168.192.in-addr.arpa.", "PTR").to_wire(),
    query("hits.bind.", "TXT", "CH", edns=None).to_wire(),
    query("www.example.", "HTTPS", flags="RD AD CD").to_wire(),
    query("example.", "IXFR").to_wire(),
    query("localhost.").to_wire(),
]


def over_udp(client: Client, packets: Iterator[bytes]) -> int:
    """Send from several sockets, in bursts that the other side can take; return the replies."""
    replies = 0
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(client.open()) for _ in range(8)]
        for number, packet in enumerate(packets):
            sockets[number % len(sockets)].send(packet)
            if number % 64 == 63:
                replies += sum(map(drain, sockets))
        return replies + sum(map(drain, sockets))


def drain(sock: socket.socket) -> int:
    """Ask something good behind a burst, and read until its reply has come; count the others."""
    sock.settimeout(20.0)
    mark = b"\xfe\xed" + query(GOOD_NAME, edns=None).to_wire()[2:]
    sock.send(mark)
    for count in itertools.count():
        reply = sock.recv(65535)
        if reply[:2] == mark[:2] and mark[12:] in reply:
            assert dns.message.from_wire(reply).answer, reply
            return count
    raise AssertionError


def over_tcp(client: Client, packets: Iterator[bytes]) -> int:
    """Send forty on each connection, some cut short, ten connections at a time; count replies."""
    rng = random.Random(7)
    replies = 0
    streams = iter(lambda: framed(*itertools.islice(packets, 40)), b"")
    while together := list(itertools.islice(streams, 10)):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(client.connect()) for _ in together]
            for each, octets in zip(clients, together, strict=True):
                cut = rng.randrange(len(octets)) if rng.random() < 0.1 else len(octets)
                with contextlib.suppress(ConnectionError):
                    each.sendall(octets[:cut])
                    each.shutdown(socket.SHUT_WR)
            for each in clients:
                while receive(each) is not None:
                    replies += 1
    return replies


class Wild:
    """A server that sends mutants of its answer first; some questions come again by TCP."""

    def __init__(self) -> None:
        self.sent = 0
        self._rng = random.Random(11)

    def __call__(self, asked: Asked) -> Sequence[Act]:
        good = reply(
            asked,
            f"@ 300 IN CNAME alias.{asked.spelled}",
            f"alias.{asked.spelled} 300 IN A {GOOD}",
            f"alias.{asked.spelled} 300 IN A 192.0.2.9",
            authority=["example. 300 IN NS ns.example."],
            additional=["ns.example. 300 IN A 192.0.2.3"],
        )
        if asked.tcp:
            return self._over_tcp(good)
        if self._rng.random() < 0.05:
            self.sent += 1
            good = reply(asked, flags="QR RD RA TC")
        self.sent += AT_A_TIME
        mutants = [self._like(asked, good) for _ in range(AT_A_TIME)]
        return [*map(Act, mutants), Act(good, after_s=0.02)]

    def _like(self, asked: Asked, good: bytes) -> bytes:
        """Spoil what stands behind the ID and, mostly, behind the question."""
        spared = self._rng.choice((0, 2, 12, 12 + len(asked.question)))
        made = good
        while made == good:
            made = good[:spared] + mutant(self._rng, good[spared:])
        return made

    def _over_tcp(self, good: bytes) -> Sequence[Act]:
        self.sent += 4
        octets = framed(good)
        mutants = [mutant(self._rng, octets) for _ in range(3)]
        return [
            *(Act(each, how=How.RAW) for each in mutants),
            Act(octets, how=How.RAW, after_s=0.02),
            *([Act(how=How.CLOSE, after_s=0.1)] if self._rng.random() < 0.3 else []),
        ]


def ask_the_wild(forwarder: Forwarder, wild: Wild, count: int, label: str) -> None:
    """Ask new names, a hundred at a time, until so many mutants were sent; each gets an answer."""
    numbers = itertools.count()
    until_sent = wild.sent + count
    while wild.sent < until_sent:
        names = [f"{label}{next(numbers)}.wild.example." for _ in range(100)]
        for answer in forwarder.together([query(name).to_wire() for name in names]):
            assert answer is not None
            dns.message.from_wire(answer)


def is_right(forwarder: Forwarder) -> None:
    """Ask for what is known and for what is not, over UDP and TCP."""
    for tcp in (False, True):
        assert forwarder.look(GOOD_NAME, tcp=tcp) == {GOOD}
        assert forwarder.look(f"new{tcp}.example.", tcp=tcp) == {GOOD}
    assert forwarder.page("/healthz") == (200, "ok\n")
    assert forwarder.status()["exceptions"] == 0, forwarder.log()[-3000:]
    assert "Traceback" not in forwarder.log()
    assert re.findall(r"[^\n\x20-\x7e]", forwarder.log()) == []
    assert len(forwarder.log()) < 1 << 20, "packets do not fill the log"


@pytest.mark.usefixtures("both_ways")
def test_fifty_thousand_mutated_packets_of_clients(start: Start, server: StartServer) -> None:
    """What cannot be read is counted by kind; what can is answered."""
    behind = server(anything)
    forwarder = start(f"--server={behind.server}", "--cache-size=1000")
    over_udp(forwarder, mutated(QUERIES, 1, WARM_UP))
    over_tcp(forwarder, mutated(QUERIES, 2, WARM_UP // 4))
    before = forwarder.resident_mib()
    udp = over_udp(forwarder, mutated(QUERIES, 3, OF_CLIENTS_UDP))
    tcp = over_tcp(forwarder, mutated(QUERIES, 4, OF_CLIENTS_TCP))
    grown = forwarder.resident_mib() - before
    is_right(forwarder)
    malformed = forwarder.status()["malformed"]
    print(f"{udp} and {tcp} replies, {grown:+.1f} MiB, {malformed}")
    assert udp > OF_CLIENTS_UDP // 10, "errors to one client are limited"
    assert tcp > OF_CLIENTS_TCP // 10
    assert len(malformed) > 3
    assert sum(malformed.values()) > OF_CLIENTS_UDP // 20
    assert forwarder.metric("kubedns_forwarder_malformed_total") == sum(malformed.values())
    assert grown < 15, f"{grown:.1f} MiB more"


def anything(asked: Asked) -> Sequence[Act]:
    """Give a good address, whatever octets are in the name."""
    try:
        return quick(asked)
    except ValueError:  # no end of the name where it is looked for
        return answers(f"@ 300 IN A {GOOD}")(asked)


def test_fifty_thousand_mutated_packets_of_servers(start: Start, server: StartServer) -> None:
    """Each question is answered all the same; what did not count is counted by kind."""
    wild = Wild()
    wild_server, behind = server(wild), server()
    forwarder = start(
        f"--server=/wild.example/{wild_server.server}", f"--server={behind.server}",
        "--cache-size=1000",
    )  # fmt: skip
    ask_the_wild(forwarder, wild, WARM_UP, "w")
    before = forwarder.resident_mib()
    ask_the_wild(forwarder, wild, OF_SERVERS, "n")
    grown = forwarder.resident_mib() - before
    is_right(forwarder)
    bad = forwarder.status()["bad_replies"]
    print(f"{wild.sent} sent, {grown:+.1f} MiB, {bad}")
    assert len(bad) > 3
    assert sum(bad.values()) > OF_SERVERS // 50
    assert forwarder.metric("kubedns_forwarder_bad_replies_total") == sum(bad.values())
    assert grown < 15, f"{grown:.1f} MiB more"
