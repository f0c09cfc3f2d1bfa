"""Questions to name servers on loopback that drop, delay, cut, lie and hang up."""

import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from twisted.internet import reactor as installed
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.internet.task import Clock, deferLater
from twisted.protocols.basic import Int16StringReceiver
from twisted.trial.unittest import SkipTest, TestCase

from kubedns.config import Config, Nameserver
from kubedns.outside.dial import Dialer
from kubedns.outside.resolver import Outside, UnreachableError
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

# The module is typed as the interface without its clock and sockets.
reactor: Any = installed

GOOD = "192.0.2.1"
FORGED = "192.0.2.66"
QNAME = "www.example.com."

Reaction = Callable[[bytes], Iterable[bytes | float]]
"""What a server does with a query: messages to send, numbers are seconds to pause."""


class Upstream:
    """
    A server on UDP and TCP of one port, scripted.

    over_udp: what to do with the first query, the second and so on; the last for all others. asked:
    the transport of each query; sources: the ports they came from. hung_up: the first connection is
    closed.
    """

    def __init__(self, *over_udp: Reaction, over_tcp: Reaction | None = None, host: str) -> None:
        self.over_udp = over_udp
        self.over_tcp = over_tcp
        self.asked: list[str] = []
        self.sources: list[int] = []
        self.connections: list[Stream] = []
        self.hung_up: Deferred[None] = Deferred()
        while True:
            tcp = reactor.listenTCP(0, self._factory(), interface=host)
            port = tcp.getHost().port
            try:
                self._udp = reactor.listenUDP(port, Datagrams(self), interface=host)
                break
            except CannotListenError:
                tcp.stopListening()
        self._tcp = tcp if over_tcp else None
        if self._tcp is None:
            tcp.stopListening()
        self.server = Nameserver(host, port)

    def _factory(self) -> Factory:
        factory = Factory.forProtocol(Stream)
        factory.upstream = self
        return factory

    def udp_reaction(self) -> Reaction:
        return self.over_udp[min(self.asked.count("udp"), len(self.over_udp)) - 1]

    async def close(self) -> None:
        for connection in self.connections:
            connection.transport.abortConnection()
        await self._udp.stopListening()
        if self._tcp:
            await self._tcp.stopListening()


class Datagrams(DatagramProtocol):
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.upstream.asked.append("udp")
        self.upstream.sources.append(addr[1])
        react(self.upstream.udp_reaction()(datagram), lambda out: self._send(out, addr))

    def _send(self, message: bytes, addr: Any) -> None:
        if self.transport is not None:
            self.transport.write(message, addr)


class Stream(Int16StringReceiver):
    """One connection; what the script says goes out as it is, with no length in front."""

    def connectionMade(self) -> None:
        self.factory.upstream.connections.append(self)

    def connectionLost(self, reason: object = None) -> None:
        hung_up = self.factory.upstream.hung_up
        if not hung_up.called:
            hung_up.callback(None)

    def stringReceived(self, string: bytes) -> None:
        self.factory.upstream.asked.append("tcp")
        react(self.factory.upstream.over_tcp(string), self._send)

    def _send(self, octets: bytes) -> None:
        if octets == RESET:
            self.transport.abortConnection()
        elif octets == CLOSE:
            self.transport.loseConnection()
        else:
            self.transport.write(octets)


RESET, CLOSE = b"reset", b"close"


def react(steps: Iterable[bytes | float], send: Callable[[bytes], None]) -> None:
    delay = 0.0
    for step in steps:
        if isinstance(step, float):
            delay += step
        elif delay:
            reactor.callLater(delay, send, step)
        else:
            send(step)


def reply(
    query: bytes,
    address: str = GOOD,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    *,
    tc: bool = False,
    count: int = 1,
) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    message.set_rcode(rcode)
    if rcode == dns.rcode.NOERROR:
        name = message.question[0].name
        texts = [address] + [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(count - 1)]
        message.answer = [dns.rrset.from_text(name, 60, "IN", "A", *texts)]
    if tc:
        message.answer.clear()
        message.flags |= dns.flags.TC
    return message.to_wire(max_size=65535)


def framed(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def good(query: bytes) -> list[bytes]:
    return [reply(query)]


def silent(_: bytes) -> list[bytes]:
    return []


def cut(query: bytes) -> list[bytes]:
    return [reply(query, tc=True)]


def servfail(query: bytes) -> list[bytes]:
    return [reply(query, rcode=dns.rcode.SERVFAIL)]


def good_over_tcp(query: bytes) -> list[bytes]:
    return [framed(reply(query))]


class Timed(Clock):
    """The sockets of the reactor and a clock that moves only when a test moves it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class LoopbackTest(TestCase):
    """trial sees to it that no socket and no timer is left behind."""

    timeout = 60

    def upstream(
        self, *over_udp: Reaction, over_tcp: Reaction | None = None, host: str = "127.0.0.1"
    ) -> Upstream:
        upstream = Upstream(*over_udp, over_tcp=over_tcp, host=host)
        self.addCleanup(lambda: Deferred.fromCoroutine(upstream.close()))
        return upstream

    def closed(self) -> Nameserver:
        """Return a server on a port where nobody listens."""
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            return Nameserver("127.0.0.1", probe.getsockname()[1])

    def ask(
        self,
        *servers: Upstream | Nameserver,
        qname: str = QNAME,
        most_sockets: int | None = None,
    ) -> Deferred[Response]:
        self.clock = clock = Timed()
        self.addCleanup(lambda: self.assertEqual(clock.getDelayedCalls(), []))
        converse = Dialer(clock, most_sockets).converse
        self.outside = Outside(clock, converse=converse)
        found = tuple(s.server if isinstance(s, Upstream) else s for s in servers)
        self.outside.configure(Config(upstream_nameservers=found), ())
        return self.ask_again(qname)

    def ask_again(self, qname: str = QNAME) -> Deferred[Response]:
        return Deferred.fromCoroutine(
            self.outside.ask(names.from_text(qname), rr.A, do=False, cd=False)
        )

    async def hurry(self, asking: Deferred[Response]) -> Response:
        """Wait while the clock runs as fast as the sockets have their say, and no faster."""
        while not asking.called:
            self.clock.advance(0.05)
            await deferLater(reactor, 0)
        return await asking

    async def fails(self, asking: Deferred[Response]) -> str:
        failing = self.assertFailure(asking, UnreachableError)
        return str(await self.hurry(failing))


def first(response: Response) -> str:
    return socket.inet_ntoa(response.answer[0].rdatas[0])


class OverUdp(LoopbackTest):
    async def test_a_question_is_answered(self) -> None:
        upstream = self.upstream(good)
        response = await self.ask(upstream)
        self.assertEqual(first(response), GOOD)
        self.assertEqual(upstream.asked, ["udp"])

    async def test_every_question_comes_from_another_port(self) -> None:
        upstream = self.upstream(good)
        await self.ask(upstream)
        for _ in range(19):
            await self.ask_again()
        # The kernel draws among tens of thousands: two equal ones may be, many may not.
        self.assertGreater(len(set(upstream.sources)), 15)

    async def test_the_right_answer_counts_whatever_came_before_it(self) -> None:
        def lies(query: bytes) -> list[bytes | float]:
            forged = reply(query, FORGED)
            return [
                b"",
                b"abc",
                query,
                bytes((query[0] ^ 1,)) + forged[1:],
                forged.replace(b"\x03www", b"\x03wxw"),
                forged.replace(b"\x03com\x00\x00\x01\x00\x01", b"\x03com\x00\x00\x1c\x00\x01", 1),
                forged[:-2],
                forged + b"\0",
                query[:2] + struct.pack(">HHHHH", 0x8182, 0, 0, 0, 0),
                b"\xff" * 2000,
                0.08,
                reply(query),
            ]

        response = await self.ask(self.upstream(lies))
        self.assertEqual(first(response), GOOD)
        self.assertEqual(self.outside.counts()["bad_datagrams"], 10)

    async def test_nobody_but_the_asked_server_is_heard(self) -> None:
        def forge(query: bytes) -> list[bytes | float]:
            for port in upstream.sources:
                self.forger.sendto(reply(query, FORGED), ("127.0.0.1", port))
            return [0.05, reply(query)]

        self.forger = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(self.forger.close)
        upstream = self.upstream(forge)
        response = await self.ask(upstream)
        self.assertEqual(first(response), GOOD)
        self.assertEqual(self.outside.counts()["bad_datagrams"], 0)

    async def test_a_lost_query_is_sent_again(self) -> None:
        upstream = self.upstream(silent, good)
        response = await self.hurry(self.ask(upstream))
        self.assertEqual(first(response), GOOD)
        self.assertEqual(len(upstream.asked), 2)
        self.assertEqual(len(set(upstream.sources)), 2)

    async def test_a_silent_server_is_passed_over(self) -> None:
        dead, alive = self.upstream(silent), self.upstream(good)
        response = await self.hurry(self.ask(dead, alive))
        self.assertEqual(first(response), GOOD)
        await self.ask_again()
        self.assertEqual((len(dead.asked), len(alive.asked)), (1, 2))

    async def test_a_server_that_is_not_there_is_passed_over_at_once(self) -> None:
        alive = self.upstream(good)
        # The clock stands still, so nothing is ever due: only the refusal can lead on.
        response = await self.ask(self.closed(), alive)
        self.assertEqual(first(response), GOOD)

    async def test_a_server_that_fails_is_passed_over_at_once(self) -> None:
        response = await self.ask(self.upstream(servfail), self.upstream(good))
        self.assertEqual(first(response), GOOD)

    async def test_a_late_good_answer_is_better_than_an_early_failure(self) -> None:
        late = self.upstream(lambda query: [0.2, reply(query)])
        response = await self.ask(self.upstream(servfail), late)
        self.assertEqual((response.rcode, first(response)), (rr.NOERROR, GOOD))

    async def test_silence_of_all_is_an_error_in_time(self) -> None:
        dead = self.upstream(silent)
        text = await self.fails(self.ask(dead))
        self.assertIn(f"{dead.server} silent", text)
        self.assertEqual(len(dead.asked), 3)
        self.assertEqual(self.outside.counts()["timeouts"], 1)

    async def test_nobody_there_is_an_error_with_the_reason(self) -> None:
        server = self.closed()
        text = await self.fails(self.ask(server))
        self.assertIn(f"{server} Connection refused", text)

    async def test_an_address_that_cannot_be_asked_is_an_error_with_the_reason(self) -> None:
        # The kernel refuses to connect to the broadcast address; nothing is sent.
        server = Nameserver("255.255.255.255")
        text = await self.fails(self.ask(server))
        self.assertIn(f"{server} Permission denied", text)

    async def test_a_server_with_an_ipv6_address_is_asked(self) -> None:
        try:
            upstream = self.upstream(cut, over_tcp=good_over_tcp, host="::1")
        except CannotListenError as error:
            raise SkipTest("no IPv6 here") from error
        response = await self.ask(upstream)
        self.assertEqual(first(response), GOOD)
        self.assertEqual(upstream.asked, ["udp", "tcp"])

    async def test_many_questions_at_once_are_all_answered(self) -> None:
        upstream = self.upstream(good)
        asking = [self.ask(upstream, qname="n.example.com.")]
        asking += [self.ask_again(f"n{i}.example.com.") for i in range(100)]
        self.assertEqual([first(await each) for each in asking], [GOOD] * 101)

    async def test_silent_servers_do_not_use_up_all_sockets(self) -> None:
        silent_then_good = self.upstream(silent, good)
        waiting = self.ask(silent_then_good, most_sockets=1)
        text = await self.fails(self.ask_again("other.example.com."))
        self.assertIn("Too many open files", text)
        await self.fails(waiting)
        self.assertEqual(first(await self.ask_again()), GOOD)

    async def test_a_question_that_nobody_waits_for_any_more_closes_its_sockets(self) -> None:
        heard: Deferred[None] = Deferred()

        def note(_: bytes) -> list[bytes]:
            heard.callback(None)
            return []

        upstream = self.upstream(note)
        asking = self.ask(upstream)
        await heard
        during = set(reactor.getReaders())
        asking.cancel()
        await self.assertFailure(asking, CancelledError)
        self.assertEqual(len(during - set(reactor.getReaders())), 1)


class OverTcp(LoopbackTest):
    async def test_a_cut_answer_is_fetched_over_tcp(self) -> None:
        upstream = self.upstream(cut, over_tcp=good_over_tcp)
        response = await self.ask(upstream)
        self.assertEqual(first(response), GOOD)
        self.assertEqual(upstream.asked, ["udp", "tcp"])

    async def test_the_connection_is_closed_when_the_answer_is_there(self) -> None:
        upstream = self.upstream(cut, over_tcp=lambda query: good_over_tcp(query) * 2)
        await self.ask(upstream)
        await upstream.hung_up

    async def test_the_largest_answer_arrives_whole_however_it_is_cut_up(self) -> None:
        def large(query: bytes) -> list[bytes | float]:
            octets = framed(reply(query, count=4000))
            return [octets[:1], 0.01, octets[1:2], 0.01, octets[2:30000], 0.01, octets[30000:]]

        response = await self.ask(self.upstream(cut, over_tcp=large))
        self.assertEqual(len(response.answer[0].rdatas), 4000)

    async def test_a_connection_that_is_reset_leads_to_the_next_server(self) -> None:
        broken = self.upstream(cut, over_tcp=lambda _: [RESET])
        response = await self.ask(broken, self.upstream(good))
        self.assertEqual(first(response), GOOD)

    async def test_a_reply_that_is_broken_or_for_another_does_not_count(self) -> None:
        def lies(query: bytes) -> list[bytes]:
            return [framed(b"\xff\xff" + reply(query, FORGED)[2:]), framed(reply(query))]

        response = await self.ask(self.upstream(cut, over_tcp=lies))
        self.assertEqual(first(response), GOOD)
        for octets in (b"\0\1x", b"\0\0", b"GET / HTTP/1.1\r\n\r\n"):
            text = await self.fails(
                self.ask(self.upstream(cut, over_tcp=lambda _, octets=octets: [octets, CLOSE]))
            )
            self.assertIn("over TCP", text)

    async def test_no_tcp_at_all_is_an_error_with_the_reason(self) -> None:
        text = await self.fails(self.ask(self.upstream(cut)))
        self.assertIn("over TCP: Connection was refused", text)

    async def test_a_connection_that_hangs_is_closed_in_time(self) -> None:
        upstream = self.upstream(cut, over_tcp=silent)
        text = await self.fails(self.ask(upstream))
        self.assertIn("silent over TCP", text)
        await upstream.hung_up

    async def test_a_hanging_connection_does_not_keep_others_from_answering(self) -> None:
        hanging = self.upstream(cut, over_tcp=silent)
        response = await self.hurry(self.ask(hanging, self.upstream(good)))
        self.assertEqual(first(response), GOOD)
