"""Attempts over TCP: one connection for many, in any order, and what happens when it breaks."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.counters import Counters
from dnsmasq_py.datagrams import PATIENCE_S
from dnsmasq_py.dial import Dialer
from dnsmasq_py.options import Options
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.streams import IDLE_S
from dnsmasq_py.trunks import MOST_STREAMS, MOST_WAITING
from tests.dialing import OCTETS, Asked, Exchange, attempt_of, query_of, reply
from tests.tlsserver import Connection, Script, StreamServer

# The module is typed as the interface without its clock and sockets.
reactor: Any = installed

PATIENCE = 20.0


def answer_all(connection: Connection) -> None:
    """Answer as long as there is something to answer."""
    while True:
        connection.send(reply(connection.query()))


def swallow(connection: Connection) -> None:
    """Read, and say nothing."""
    connection.wait_for_the_end()


def hang_up(connection: Connection) -> None:
    """Take one query, and close."""
    connection.query()


class Streams(TestCase):
    """A dialer with a clock that stands still, unless a test moves it."""

    timeout = 60

    def setUp(self) -> None:
        self.now = 0.0
        self.counters = Counters()
        self.dialer = Dialer(reactor, self.counters, Options(), clock=lambda: self.now)
        self.addCleanup(self.dialer.close)

    def serve(self, *scripts: Script, host: str = "127.0.0.1", **fields: Any) -> Server:
        """Start a server."""
        self.server = StreamServer(*scripts, host=host)
        self.addCleanup(self.server.close)
        return Server(host, self.server.port, Transport.TCP, **fields)

    def send(self, server: Server, exchange: Exchange, octets: bytes = OCTETS) -> Attempt:
        """Send an attempt."""
        attempt = attempt_of(exchange, server, self.now, octets=octets, tcp=True)
        self.dialer.send(attempt, self.now)
        return attempt

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to become true."""
        end = reactor.seconds() + PATIENCE
        while not condition():
            assert reactor.seconds() < end, "waited in vain"
            await deferLater(reactor, 0.005, lambda: None)

    async def ask(self, server: Server, exchange: Exchange) -> None:
        """Send an attempt, and wait for what comes of it."""
        heard = len(exchange.messages) + len(exchange.reasons)
        self.send(server, exchange)
        await self.until(lambda: len(exchange.messages) + len(exchange.reasons) > heard)

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.dialer._streams.sweep(self.now)

    async def test_many_queries_use_one_connection_and_are_answered_in_any_order(self) -> None:
        def backwards(connection: Connection) -> None:
            queries = [connection.query() for _ in range(MOST_WAITING)]
            assert len({query[:2] for query in queries}) == MOST_WAITING
            connection.send(*(reply(q, q[12:-11]) for q in reversed(queries)))
            connection.wait_for_the_end()

        server = self.serve(backwards)
        exchanges = []
        for i in range(MOST_WAITING):
            octets = bytes((3, *b"%03d" % i)) + OCTETS
            exchanges.append((octets, Exchange()))
            self.send(server, exchanges[-1][1], octets)
        await self.until(lambda: all(exchange.messages for _, exchange in exchanges))
        for octets, exchange in exchanges:
            assert exchange.messages[0][12:] == octets
        assert self.server.accepted == 1
        assert not self.counters.bad_replies

    async def test_connections_are_kept_for_later_queries(self) -> None:
        server = self.serve(answer_all)
        exchange = Exchange()
        for _ in range(5):
            await self.ask(server, exchange)
            self.tick(IDLE_S - 1)
        assert len(exchange.messages) == 5
        assert self.server.accepted == 1
        assert self.dialer.connections == 1

    async def test_servers_for_udp_are_asked_over_tcp_when_an_attempt_says_so(self) -> None:
        server = self.serve(answer_all)
        exchange = Exchange()
        await self.ask(Server(server.address, server.port), exchange)
        assert exchange.messages
        assert self.dialer.sockets == 0

    async def test_servers_for_tcp_are_never_asked_over_udp(self) -> None:
        server = self.serve(answer_all)
        exchange = Exchange()
        self.dialer.send(attempt_of(exchange, server, self.now, tcp=False), self.now)
        await self.until(lambda: exchange.messages)
        assert self.dialer.sockets == 0

    async def test_a_full_connection_gets_a_second_one_and_there_is_a_limit(self) -> None:
        server = self.serve(swallow)
        exchange = Exchange()
        attempts = [self.send(server, exchange) for _ in range(MOST_WAITING * MOST_STREAMS)]
        await self.until(lambda: self.server.accepted == MOST_STREAMS)
        assert self.dialer.connections == MOST_STREAMS
        with self.assertRaisesRegex(OSError, "too many"):
            self.send(server, exchange)
        self.dialer.cancel(attempts[150])
        self.send(server, exchange)
        assert not exchange.reasons

    async def test_length_and_query_leave_in_one_piece(self) -> None:
        pieces: list[bytes] = []

        def read_once(connection: Connection) -> None:
            pieces.append(connection.stream.recv(65536))
            connection.send(reply(pieces[0][2:]))

        exchange = Exchange()
        await self.ask(self.serve(read_once), exchange)
        query = query_of(OCTETS)
        assert pieces[0][:2] == (2 + len(query)).to_bytes(2)
        assert pieces[0][4:] == query

    async def test_a_reply_in_single_octets_is_put_together(self) -> None:
        def dribble(connection: Connection) -> None:
            connection.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            message = reply(connection.query()) + bytes(300)
            for octet in len(message).to_bytes(2) + message:
                connection.stream.sendall(bytes((octet,)))
            connection.wait_for_the_end()

        exchange = Exchange()
        await self.ask(self.serve(dribble), exchange)
        assert len(exchange.messages[0]) == len(reply(bytes(2))) + 300

    async def test_the_longest_message_there_can_be_is_taken(self) -> None:
        def long(connection: Connection) -> None:
            message = reply(connection.query())
            connection.send(message + bytes(65535 - len(message)))
            connection.wait_for_the_end()

        exchange = Exchange()
        await self.ask(self.serve(long), exchange)
        assert len(exchange.messages[0]) == 65535

    async def test_what_is_no_answer_is_counted_and_waiting_goes_on(self) -> None:
        def lie(connection: Connection) -> None:
            query = connection.query()
            right = reply(query)
            connection.send(
                bytes((query[0] ^ 1,)) + right[1:],
                reply(query, OCTETS.replace(b"wWw", b"wXw")),
                query,
                query[:2] + b"\x81\x81" + bytes(8),
                right[:2] + b"\xa1" + right[3:],
                reply(query, OCTETS.lower()),
                right,
                right,
            )
            connection.wait_for_the_end()

        server = self.serve(lie)
        Asked.of(server).keeps_case = True
        exchange = Exchange()
        await self.ask(server, exchange)
        await self.until(lambda: self.counters.bad_replies["unexpected"] == 2)
        assert len(exchange.messages) == 1
        assert exchange.bare == 1
        assert self.counters.bad_replies == {
            "unexpected": 2,
            "question": 1,
            "query": 1,
            "bare refusal": 1,
            "opcode": 1,
            "case": 1,
        }

    async def test_garbage_closes_the_connection(self) -> None:
        def garbage(connection: Connection) -> None:
            connection.query()
            connection.stream.sendall(b"\0\3abc")
            connection.wait_for_the_end()

        exchange = Exchange()
        await self.ask(self.serve(garbage), exchange)
        assert exchange.reasons == ["over TCP: no DNS message"]
        assert self.dialer.connections == 0

    async def test_a_connection_closed_while_idle_costs_no_query(self) -> None:
        """It is often closed just as the next query leaves."""

        def answer_one(connection: Connection) -> None:
            connection.send(reply(connection.query()))
            connection.query()

        server = self.serve(answer_one, answer_all)
        exchange = Exchange()
        await self.ask(server, exchange)
        for _ in range(3):
            self.send(server, exchange)
        await self.until(lambda: len(exchange.messages) == 4)
        assert not exchange.reasons
        assert self.server.accepted == 2

    async def test_a_query_is_sent_again_once_and_no_more(self) -> None:
        def answer_one(connection: Connection) -> None:
            connection.send(reply(connection.query()))
            connection.query()

        server = self.serve(answer_one, answer_one, hang_up)
        first, second = Exchange(), Exchange()
        await self.ask(server, first)
        self.send(server, second)
        self.send(server, second)
        await self.until(lambda: len(second.messages) + len(second.reasons) == 2)
        assert len(second.messages) == 1  # on the second connection, which then closes
        assert second.reasons == ["over TCP: connection closed by the server"]
        assert self.server.accepted == 2

    async def test_a_server_that_hangs_up_at_once_fails_the_attempts(self) -> None:
        server = self.serve(hang_up)
        exchange = Exchange()
        await self.ask(server, exchange)
        assert exchange.reasons == ["over TCP: connection closed by the server"]
        assert self.server.accepted == 1

    async def test_a_reset_fails_the_attempts(self) -> None:
        def reset(connection: Connection) -> None:
            query = connection.query()
            connection.stream.sendall(b"\0\x50" + query[:7])
            connection.reset()

        exchange = Exchange()
        await self.ask(self.serve(reset), exchange)
        assert exchange.reasons == ["over TCP: connection reset by the server"]

    async def test_a_refused_connection_fails_all_that_waits_for_it(self) -> None:
        server = self.serve(answer_all)
        self.server.close()
        exchange = Exchange()
        self.send(server, exchange)
        await self.ask(server, exchange)
        assert exchange.reasons == ["over TCP: Connection refused"] * 2
        assert self.dialer.connections == 0

    async def test_a_connection_that_does_not_come_about_fails_after_a_second(self) -> None:
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for client in (first, second):
                client.setblocking(False)
                client.connect_ex(full.getsockname())
            exchange = Exchange()
            server = Server("127.0.0.1", full.getsockname()[1], Transport.TCP)
            await self.ask(server, exchange)
            assert exchange.reasons == ["over TCP: no connection within 1 s"]

    async def test_idle_connections_are_closed_after_ten_seconds(self) -> None:
        server = self.serve(answer_all)
        exchange = Exchange()
        await self.ask(server, exchange)
        self.tick(IDLE_S - 0.1)
        assert self.dialer.connections == 1
        self.tick(0.2)
        await self.until(lambda: self.dialer.connections == 0)
        await self.ask(server, exchange)
        assert len(exchange.messages) == 2
        assert self.server.accepted == 2

    async def test_a_dead_connection_is_given_up_and_younger_queries_go_on_another(self) -> None:
        def answer_one(connection: Connection) -> None:
            connection.send(reply(connection.query()))
            connection.wait_for_the_end()

        server = self.serve(answer_one, answer_all)
        first, old, young = Exchange(), Exchange(), Exchange()
        await self.ask(server, first)
        self.now += 1
        self.send(server, old)
        self.tick(PATIENCE_S - 1)
        self.send(server, young)
        self.tick(1)
        await self.until(lambda: young.messages)
        assert not old.messages
        assert not old.reasons  # its exchange has given it up long ago
        assert self.server.accepted == 2

    async def test_a_slow_answer_does_not_end_a_connection_on_which_others_come(self) -> None:
        def slow_first(connection: Connection) -> None:
            connection.query()
            answer_all(connection)

        server = self.serve(slow_first)
        slow, exchange = Exchange(), Exchange()
        self.send(server, slow)
        self.tick(PATIENCE_S - 1)
        await self.ask(server, exchange)
        self.tick(1)
        await self.ask(server, exchange)
        assert len(exchange.messages) == 2
        assert self.server.accepted == 1

    async def test_a_cancelled_attempt_hears_nothing_more(self) -> None:
        def answer_both(connection: Connection) -> None:
            queries = connection.query(), connection.query()
            connection.send(*map(reply, queries))
            connection.wait_for_the_end()

        server = self.serve(answer_both)
        cancelled, exchange = Exchange(), Exchange()
        attempt = self.send(server, cancelled)
        self.dialer.cancel(attempt)
        await self.ask(server, exchange)
        assert not cancelled.messages
        assert self.counters.bad_replies == {"unexpected": 1}

    async def test_what_a_failure_leads_to_may_cancel_the_next(self) -> None:
        server = self.serve(hang_up)
        second = Exchange()
        attempts: list[Attempt] = []

        class First(Exchange):
            def failed(self, attempt: Attempt, reason: str, now: float) -> None:
                super().failed(attempt, reason, now)
                dialer.cancel(attempts[1])

        dialer = self.dialer
        first = First()
        attempts += [self.send(server, first), self.send(server, second)]
        await self.until(lambda: first.reasons and not self.dialer.connections)
        assert not second.reasons

    async def test_a_fault_of_ours_with_one_answer_does_not_touch_the_others(self) -> None:
        def stumble(attempt: Attempt) -> None:
            raise RuntimeError("not this one")

        server = self.serve(answer_all)
        broken, exchange = Exchange(then=stumble), Exchange()
        self.send(server, broken)
        await self.ask(server, exchange)
        assert self.counters.exceptions == 1
        assert len(self.flushLoggedErrors(RuntimeError)) == 1  # type: ignore[no-untyped-call]
        assert self.server.accepted == 1

    async def test_servers_that_are_no_more_configured_answer_what_they_were_asked(self) -> None:
        server = self.serve(answer_all)
        exchange = Exchange()
        self.send(server, exchange)
        self.dialer.retain([])
        await self.until(lambda: exchange.messages)
        self.tick(1)
        await self.until(lambda: self.dialer.connections == 0)

    async def test_the_source_address_of_a_server_is_kept(self) -> None:
        seen: list[str] = []

        def note(connection: Connection) -> None:
            seen.append(connection.stream.getpeername()[0])
            answer_all(connection)

        exchange = Exchange()
        server = self.serve(note, source="127.0.0.9", interface="lo")
        await self.ask(server, exchange)
        assert seen == ["127.0.0.9"]

    async def test_a_device_that_is_not_there_fails_at_once(self) -> None:
        server = self.serve(answer_all, interface="nosuchdev")
        with self.assertRaisesRegex(OSError, "No such device"):
            self.send(server, Exchange())
        assert self.dialer.connections == 0

    async def test_servers_on_ipv6_are_asked_in_the_same_way(self) -> None:
        exchange = Exchange()
        await self.ask(self.serve(answer_all, host="::1"), exchange)
        assert exchange.messages

    async def test_closing_ends_everything_and_nobody_hears_of_it(self) -> None:
        server = self.serve(swallow)
        exchange = Exchange()
        self.send(server, exchange)
        await self.until(lambda: self.server.accepted)
        self.dialer.close()
        await self.until(lambda: self.dialer.connections == 0)
        assert not exchange.reasons
        with self.assertRaisesRegex(OSError, "stopped"):
            self.send(server, exchange)
