"""Attempts over TLS: no question goes to a server whose certificate is not the expected one."""

import re
import socket
import ssl
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.message
from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from dnsmasq_py import streams
from dnsmasq_py.counters import Counters
from dnsmasq_py.dial import Dialer
from dnsmasq_py.options import Options
from dnsmasq_py.padding import padded
from dnsmasq_py.server import Server, Transport
from tests.dialing import OCTETS, Exchange, attempt_of, query_of, reply
from tests.tlsserver import Certificates, Connection, Script, StreamServer

# The module is typed as the interface without its clock and sockets.
reactor: Any = installed

PATIENCE = 20.0
NAME = "dot.test"


def answer_all(connection: Connection) -> None:
    """Answer as long as there is something to answer."""
    while True:
        connection.send(reply(connection.query()))


class Tls(TestCase):
    """A dialer that trusts a CA of our own."""

    timeout = 60
    _folder: tempfile.TemporaryDirectory[str]
    certificates: Certificates

    @classmethod
    def setUpClass(cls) -> None:
        cls._folder = tempfile.TemporaryDirectory()
        cls.certificates = Certificates(Path(cls._folder.name))

    @classmethod
    def tearDownClass(cls) -> None:
        cls._folder.cleanup()

    def setUp(self) -> None:
        self.now = 0.0
        self.counters = Counters()
        self.dialer = self.make_dialer(str(self.certificates.ca))

    def make_dialer(self, ca: str) -> Dialer:
        """Return a dialer that trusts what is in a file; "": what the system trusts."""
        options = Options(tls_ca=ca)
        dialer = Dialer(reactor, self.counters, options, clock=lambda: self.now)
        self.addCleanup(dialer.close)
        return dialer

    def serve(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None,
        name: str = NAME,
        host: str = "127.0.0.1",
    ) -> Server:
        """Start a server; tls None: plain TCP. name: what it is expected to be."""
        self.server = StreamServer(*scripts or (answer_all,), tls=tls, host=host)
        self.addCleanup(self.server.close)
        return Server(host, self.server.port, Transport.TLS, name)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to become true."""
        end = reactor.seconds() + PATIENCE
        while not condition():
            assert reactor.seconds() < end, "waited in vain"
            await deferLater(reactor, 0.005, lambda: None)

    async def ask(self, server: Server, dialer: Dialer | None = None) -> Exchange:
        """Send an attempt, and wait for what comes of it."""
        exchange = Exchange()
        attempt = attempt_of(exchange, server, self.now, tcp=True)
        (dialer or self.dialer).send(attempt, self.now)
        await self.until(lambda: exchange.messages or exchange.reasons)
        return exchange

    async def refusal(self, server: Server, dialer: Dialer | None = None) -> str:
        """Return why a server is not asked."""
        exchange = await self.ask(server, dialer)
        assert not exchange.messages
        return exchange.reasons[0]

    async def test_a_server_is_asked_by_the_name_in_its_certificate(self) -> None:
        server = self.serve(tls=self.certificates.server(f"DNS:other.test,DNS:{NAME}"))
        for _ in range(5):
            exchange = await self.ask(server)
            assert len(exchange.messages) == 1
        assert self.server.accepted == 1  # and so one handshake
        assert not self.counters.bad_replies

    async def test_the_name_may_be_an_address(self) -> None:
        tls = self.certificates.server("IP:127.0.0.1,IP:::1")
        for host, name in (("127.0.0.1", "127.0.0.1"), ("127.0.0.1", ""), ("::1", "::1")):
            exchange = await self.ask(self.serve(tls=tls, name=name, host=host))
            assert exchange.messages

    async def test_many_queries_before_the_handshake_go_over_one_connection(self) -> None:
        server = self.serve(tls=self.certificates.server(f"DNS:{NAME}"))
        exchange = Exchange()
        for _ in range(100):
            self.dialer.send(attempt_of(exchange, server, self.now, tcp=True), self.now)
        await self.until(lambda: len(exchange.messages) == 100)
        assert self.server.accepted == 1

    async def test_long_replies_come_whole(self) -> None:
        def long(connection: Connection) -> None:
            message = reply(connection.query())
            connection.send(message + bytes(65535 - len(message)))
            connection.wait_for_the_end()

        server = self.serve(long, tls=self.certificates.server(f"DNS:{NAME}"))
        exchange = await self.ask(server)
        assert len(exchange.messages[0]) == 65535

    async def test_a_certificate_for_another_name_is_refused(self) -> None:
        server = self.serve(tls=self.certificates.server("DNS:other.test,IP:127.0.0.1"))
        assert await self.refusal(server) == (
            "over TLS: certificate not accepted: "
            f"Hostname mismatch, certificate is not valid for '{NAME}'."
        )

    async def test_a_certificate_for_another_address_is_refused(self) -> None:
        server = self.serve(tls=self.certificates.server("IP:127.0.0.2"), name="")
        assert "IP address mismatch" in await self.refusal(server)

    async def test_an_expired_certificate_is_refused(self) -> None:
        server = self.serve(tls=self.certificates.server(f"DNS:{NAME}", days=-1))
        assert await self.refusal(server) == (
            "over TLS: certificate not accepted: certificate has expired"
        )

    async def test_a_certificate_of_an_unknown_authority_is_refused(self) -> None:
        server = self.serve(tls=self.certificates.server(f"DNS:{NAME}"))
        system = self.make_dialer("")
        assert await self.refusal(server, system) == (
            "over TLS: certificate not accepted: unable to get local issuer certificate"
        )

    async def test_no_question_is_sent_to_a_server_that_is_not_trusted(self) -> None:
        heard: list[bytes] = []

        def note(connection: Connection) -> None:
            heard.append(connection.stream.recv(65536))

        server = self.serve(note, tls=self.certificates.server("DNS:other.test"))
        await self.refusal(server)
        await self.until(lambda: self.dialer.connections == 0)
        self.server.close()
        assert not any(heard)

    async def test_old_versions_of_tls_are_refused(self) -> None:
        tls = self.certificates.server(f"DNS:{NAME}")
        tls.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            tls.minimum_version = ssl.TLSVersion.TLSv1
            tls.maximum_version = ssl.TLSVersion.TLSv1_1
        assert "version" in await self.refusal(self.serve(tls=tls))

    async def test_a_server_that_speaks_plain_dns_is_refused(self) -> None:
        def talk(connection: Connection) -> None:
            connection.stream.recv(65536)
            connection.send(reply(b"\0\0"))
            connection.wait_for_the_end()

        assert await self.refusal(self.serve(talk, tls=None)) == "over TLS: wrong version number"

    async def test_a_server_that_hangs_up_fails_the_attempt(self) -> None:
        server = self.serve(lambda connection: None, tls=None)
        reason = await self.refusal(server)
        assert reason.startswith("over TLS: connection ")

    async def test_a_server_that_is_silent_fails_the_attempt(self) -> None:
        self.patch(streams, "HANDSHAKE_S", 0.2)  # type: ignore[no-untyped-call]
        server = self.serve(Connection.wait_for_the_end, tls=None)
        assert await self.refusal(server) == "over TLS: no handshake within 3 s"
        await self.until(lambda: self.dialer.connections == 0)

    async def test_after_a_refusal_there_is_a_pause_before_the_next_handshake(self) -> None:
        server = self.serve(tls=self.certificates.server("DNS:other.test"))
        reason = await self.refusal(server)
        exchange = Exchange()
        with self.assertRaisesRegex(OSError, f"^{re.escape(reason)}$"):
            self.dialer.send(attempt_of(exchange, server, self.now, tcp=True), self.now)
        self.now += 0.3
        assert await self.refusal(server) == reason
        assert self.server.accepted == 2

    async def test_garbage_behind_the_handshake_ends_the_connection(self) -> None:
        def garbage(connection: Connection) -> None:
            connection.query()
            with socket.socket(fileno=connection.stream.detach()) as stream:
                stream.sendall(b"\x17\3\3\0\x40" + bytes(64))
                while stream.recv(65536):
                    pass

        server = self.serve(garbage, tls=self.certificates.server(f"DNS:{NAME}"))
        assert (await self.refusal(server)).startswith("over TLS: ")

    async def test_a_connection_closed_while_idle_costs_no_query(self) -> None:
        def answer_one(connection: Connection) -> None:
            connection.send(reply(connection.query()))
            connection.query()

        tls = self.certificates.server(f"DNS:{NAME}")
        server = self.serve(answer_one, answer_all, tls=tls)
        assert (await self.ask(server)).messages
        assert (await self.ask(server)).messages
        assert self.server.accepted == 2

    async def test_a_ca_file_that_is_gone_fails_the_attempt_until_it_is_there(self) -> None:
        server = self.serve(tls=self.certificates.server(f"DNS:{NAME}"))
        path = Path(self._folder.name) / "later.pem"
        dialer = self.make_dialer(str(path))
        assert dialer.problems([server])
        with self.assertRaisesRegex(OSError, "No such file"):
            await self.ask(server, dialer)
        path.write_bytes(self.certificates.ca.read_bytes())
        assert dialer.problems([server]) == []
        assert (await self.ask(server, dialer)).messages

    async def test_a_file_without_certificates_is_told_of(self) -> None:
        path = Path(self._folder.name) / "empty.pem"
        path.touch()
        server = Server("127.0.0.1", 853, Transport.TLS, NAME)
        (problem,) = self.make_dialer(str(path)).problems([server])
        assert f"{path}: " in problem

    async def test_queries_are_padded_to_blocks_of_128_octets(self) -> None:
        queries: list[bytes] = []

        def note(connection: Connection) -> None:
            queries.append(connection.query())
            connection.send(reply(queries[0]))

        await self.ask(self.serve(note, tls=self.certificates.server(f"DNS:{NAME}")))
        assert len(queries[0]) % 128 == 0
        message = dns.message.from_wire(queries[0])
        assert [(option.otype, set(option.to_wire())) for option in message.options] == [(12, {0})]
        assert message.payload == 1232


def test_padding_fits_every_length_of_name() -> None:
    """All of one block are alike, and nothing else of the query is changed."""
    for length in range(1, 240):
        labels = [min(63, length - start) for start in range(0, length, 63)]
        name = b"".join(bytes((n,)) + b"x" * n for n in labels) + b"\0"
        octets = name + b"\0\1\0\1"
        query = b"\0\7" + padded(query_of(octets), octets)
        assert len(query) % 128 == 0
        message = dns.message.from_wire(query)
        assert message.question[0].to_text().startswith("x")
        assert (message.edns, message.payload, len(message.options)) == (0, 1232, 1)


def test_padding_goes_behind_other_options() -> None:
    cookie = b"\0\x0a\0\x08" + bytes(range(8))
    query = query_of(OCTETS)[:-2] + len(cookie).to_bytes(2) + cookie
    message = dns.message.from_wire(b"\0\7" + padded(query, OCTETS))
    assert [int(option.otype) for option in message.options] == [10, 12]
