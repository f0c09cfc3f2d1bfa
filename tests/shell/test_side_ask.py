"""One question to a server that drops, lies, cuts, is frozen or away."""

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import TestCase

from sidecar import hostnames
from sidecar.ask import Answer, Asker, query

# The module is typed as the interface without its clock and sockets.
reactor: Any = installed

Play = Callable[[bytes], Iterable[bytes]]
LONG_S = 20.0  # no test waits for it
SHORT_S = 0.3


def good(wire: bytes) -> dns.message.Message:
    """Make a reply with a record."""
    asked = dns.message.from_wire(wire)
    reply = dns.message.make_response(asked)
    reply.answer.append(dns.rrset.from_text(asked.question[0].name, 5, "IN", "A", "192.0.2.1"))
    return reply


def other_id(wire: bytes) -> bytes:
    """Make a good reply to a query that nobody sent."""
    octets = good(wire).to_wire()
    return bytes((octets[0] ^ 1,)) + octets[1:]


def other_question(wire: bytes) -> bytes:
    """Make a good reply to another question with this ID."""
    elsewhere = query("elsewhere.", "A")
    elsewhere.id = dns.message.from_wire(wire).id
    return good(elsewhere.to_wire()).to_wire()


def truncated(wire: bytes) -> bytes:
    """Make a reply that says that it did not fit."""
    reply = dns.message.make_response(dns.message.from_wire(wire))
    reply.flags |= dns.flags.TC
    return reply.to_wire()


class Server(DatagramProtocol):
    """Plays what it was told; sources: who asked."""

    noisy = False
    transport: Any

    def __init__(self, play: Play) -> None:
        self.play = play
        self.seen: list[tuple[bytes, Any]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.seen.append((datagram, addr))
        for reply in self.play(datagram):
            self.transport.write(reply, addr)


class Asking(TestCase):
    """Trial also reports sockets and timers that are left."""

    def setUp(self) -> None:
        self.asker = Asker(reactor, reactor.seconds)

    def serve(self, play: Play, host: str = "127.0.0.1") -> tuple[Server, int]:
        server = Server(play)
        port = reactor.listenUDP(0, server, interface=host)
        self.addCleanup(port.stopListening)
        return server, port.getHost().port

    def ask(
        self, port: int, host: str = "127.0.0.1", patience_s: float = LONG_S
    ) -> "Deferred[Answer]":
        return Deferred.fromCoroutine(self.asker.ask(host, port, query("x.", "A"), patience_s))

    async def outcome(self, play: Play, patience_s: float = LONG_S) -> Answer:
        _, port = self.serve(play)
        return await self.ask(port, patience_s=patience_s)

    async def test_a_good_reply(self) -> None:
        """RD=1, no EDNS, a fresh socket each time."""
        server, port = self.serve(lambda wire: [good(wire).to_wire()])
        for _ in range(3):
            found = await self.ask(port)
            assert found.reply is not None
            self.assertEqual(len(found.reply.answer), 1)
            self.assertTrue(0 < found.took_s < LONG_S)
        messages = [dns.message.from_wire(wire) for wire, _ in server.seen]
        self.assertEqual([m.edns for m in messages], [-1] * 3)
        self.assertEqual([dns.flags.to_text(m.flags) for m in messages], ["RD"] * 3)
        self.assertGreater(len({addr for _, addr in server.seen}), 1)
        self.assertGreater(len({m.id for m in messages}), 1)

    async def test_over_ipv6(self) -> None:
        """An address without brackets."""
        if not socket.has_ipv6:
            return
        _, port = self.serve(lambda wire: [good(wire).to_wire()], "::1")
        found = await self.ask(port, "::1")
        assert found.reply is not None

    async def test_a_server_given_by_name(self) -> None:
        """It is looked up; two that ask at once share a look-up."""
        _, port = self.serve(lambda wire: [good(wire).to_wire()])
        first, second = self.ask(port, "localhost"), self.ask(port, "localhost")
        found = [await first, await second]
        # Where localhost is ::1 first, nobody listens there: that is an answer too.
        self.assertTrue(all(each.reply is not None or each.refused for each in found))

    async def test_a_name_that_does_not_exist(self) -> None:
        """Said so, at once or when the time is up."""
        found = await self.ask(53, "no such host.invalid", patience_s=SHORT_S)
        self.assertIsNone(found.reply)
        self.assertIn("no such host.invalid:53", found.error)

    async def test_a_look_up_that_hangs(self) -> None:
        """The time is up all the same, and no second one is begun beside it."""
        looked_up: list[object] = []
        go_on = threading.Event()

        def getaddrinfo(*args: object, **rest: object) -> NoReturn:
            looked_up.append(args)
            go_on.wait(LONG_S)
            raise socket.gaierror(-2, "Name or service not known")

        self.patch(hostnames.socket, "getaddrinfo", getaddrinfo)
        found = [await self.ask(53, "slow.example", patience_s=SHORT_S) for _ in range(2)]
        self.assertEqual(
            [each.error for each in found], ["no reply from slow.example:53 within 0.3 s"] * 2
        )
        waiting = self.ask(53, "slow.example")
        go_on.set()
        last = await waiting
        self.assertEqual(len(looked_up), 1)
        self.assertIn("cannot look it up: Name or service not known", last.error)

    async def test_a_frozen_server(self) -> None:
        """Nothing comes: the time is up."""
        found = await self.outcome(lambda _: [], SHORT_S)
        self.assertRegex(found.error, r"^no reply from 127.0.0.1:\d+ within 0.3 s$")
        self.assertFalse(found.refused)

    async def test_nobody_listens(self) -> None:
        """ICMP says it at once."""
        with socket.socket(type=socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        found = await self.ask(port)
        self.assertTrue(found.refused)
        self.assertEqual(found.error, f"connection refused by 127.0.0.1:{port}")

    async def test_garbage(self) -> None:
        """It does not count, and is told of."""
        found = await self.outcome(lambda _: [b"", b"x", b"\xff" * 500], SHORT_S)
        self.assertIsNone(found.reply)
        self.assertIn("3 messages that do not count: not a DNS message", found.error)

    async def test_replies_to_something_else(self) -> None:
        """Another ID, another question, a query: the wait goes on."""
        found = await self.outcome(
            lambda wire: [other_id(wire), other_question(wire), wire], SHORT_S
        )
        self.assertIn("3 messages that do not count: not a reply to this question", found.error)

    async def test_a_good_reply_behind_bad_ones(self) -> None:
        """It counts."""
        found = await self.outcome(
            lambda wire: [b"x", other_id(wire), other_question(wire), good(wire).to_wire()]
        )
        assert found.reply is not None
        self.assertEqual(len(found.reply.answer), 1)

    async def test_each_beginning_of_a_good_reply(self) -> None:
        """All but the whole are garbage; nothing breaks."""
        found = await self.outcome(
            lambda wire: [good(wire).to_wire()[:size] for size in range(len(wire))], SHORT_S
        )
        self.assertIsNone(found.reply)

    async def test_a_reply_from_another_port(self) -> None:
        """It is not even seen: the socket is connected."""
        other, _ = self.serve(lambda _: [])

        def play(wire: bytes) -> Iterable[bytes]:
            other.transport.write(good(wire).to_wire(), server.seen[-1][1])
            return []

        server, port = self.serve(play)
        found = await self.ask(port, patience_s=SHORT_S)
        self.assertIsNone(found.reply)

    async def test_a_truncated_reply(self) -> None:
        """Well-formed: somebody is alive."""
        found = await self.outcome(lambda wire: [truncated(wire)])
        assert found.reply is not None
        self.assertFalse(found.reply.answer)

    async def test_an_error_without_its_question(self) -> None:
        """Some servers leave it out of errors; the ID is right."""

        def play(wire: bytes) -> Iterable[bytes]:
            return [wire[:2] + b"\x81\x82" + bytes(8)]

        found = await self.outcome(play)
        assert found.reply is not None
        self.assertEqual(found.reply.rcode(), dns.rcode.SERVFAIL)

    async def test_a_network_that_is_not_there(self) -> None:
        """Said in one line."""
        found = await self.ask(53, "255.255.255.255", patience_s=SHORT_S)
        self.assertIsNone(found.reply)
        self.assertIn("255.255.255.255:53", found.error)
