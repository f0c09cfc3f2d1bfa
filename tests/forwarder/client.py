"""Questions to a server on loopback, whole or as raw octets, one or hundreds at a time."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Iterable, Sequence

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

PATIENCE_S = 20.0
"""How long before a test gives up; a forwarder must have answered long before."""


def query(
    name: str,
    rdtype: str = "A",
    rdclass: str = "IN",
    *,
    flags: str = "RD",
    edns: int | None = 1232,
    do: bool = False,
    options: Sequence[dns.edns.Option] = (),
) -> dns.message.Message:
    """Make a query; edns: the UDP size to offer, None for no OPT at all."""
    made = dns.message.make_query(name, rdtype, rdclass, use_edns=False)
    made.flags = dns.flags.Flag(dns.flags.from_text(flags))
    if edns is not None:
        made.use_edns(0, dns.flags.DO if do else 0, edns, options=list(options))
    return made


def data(reply: dns.message.Message) -> set[str]:
    """Return the data of all answers as text; of a negative reply its rcode or NODATA."""
    found = {record.to_text() for rrset in reply.answer for record in rrset}
    if reply.rcode() != dns.rcode.NOERROR:
        found.add(dns.rcode.to_text(reply.rcode()))
    return found or {"NODATA"}


def ede(reply: dns.message.Message) -> list[int]:
    """Return the codes of the Extended DNS Errors in a reply (RFC 8914)."""
    return [int(each.code) for each in reply.options if isinstance(each, dns.edns.EDEOption)]


class Client:
    """Asks one server."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port

    def ask(
        self, name: str, rdtype: str = "A", *, tcp: bool = False, **rest: object
    ) -> dns.message.Message:
        """Ask once, by UDP or TCP; the rest is that of `query`."""
        return self.send(query(name, rdtype, **rest), tcp=tcp)  # type: ignore[arg-type]

    def send(self, asked: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
        """
        Send a query as it is, and return the reply, which must repeat the question to the octet.

        Raises:
            dns.exception.Timeout: nothing came.
        """
        how = dns.query.tcp if tcp else dns.query.udp
        reply = how(asked, self.address, port=self.port, timeout=PATIENCE_S)
        if reply.question or asked.question:
            (ours,), (theirs,) = asked.question, reply.question
            assert ours.name.labels == theirs.name.labels, "the question's letter case is lost"
        return reply

    def look(self, name: str, rdtype: str = "A", *, tcp: bool = False) -> set[str]:
        """Return the data of all answers as text; of a negative reply its rcode or NODATA."""
        return data(self.ask(name, rdtype, tcp=tcp))

    def statistic(self, name: str) -> str:
        """Return the one string of a CHAOS TXT answer, such as `hits.bind`."""
        reply = self.ask(name, "TXT", rdclass="CH", edns=None)
        ((record,),) = reply.answer
        (text,) = record.strings
        found: bytes = text
        return found.decode()

    def raw(self, octets: bytes, *, within_s: float = PATIENCE_S) -> bytes | None:
        """Send octets as a datagram from a new socket; return the first reply, None: none came."""
        with self.open() as sock:
            sock.settimeout(within_s)
            sock.send(octets)
            try:
                return sock.recv(65535)
            except TimeoutError:
                return None

    def listens(self) -> bool:
        """Ask for its version, and tell whether anything comes back within a second."""
        try:
            asked = query("version.bind.", "TXT", "CH", edns=None)
            return self.raw(asked.to_wire(), within_s=1.0) is not None
        except OSError:
            return False

    def open(self) -> socket.socket:
        """Open a UDP socket connected to the server."""
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.connect((self.address, self.port))
        return made

    def connect(self, source: str = "") -> socket.socket:
        """Open a TCP connection; source: the address of the client, if it matters."""
        made = socket.create_connection(
            (self.address, self.port), PATIENCE_S, (source, 0) if source else None
        )
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def together(
        self, queries: Iterable[bytes], *, within_s: float = PATIENCE_S
    ) -> list[bytes | None]:
        """Send each query from a socket of its own, all at once; return the replies in order."""
        with Volley(self, list(queries)) as volley:
            return volley.replies(within_s)

    def volley(self, queries: Iterable[bytes]) -> Volley:
        """Send each query from a socket of its own, all at once; the replies can wait."""
        return Volley(self, list(queries))


class Volley:
    """Queries that are on their way, each from a socket of its own."""

    def __init__(self, client: Client, queries: list[bytes]) -> None:
        self._sockets = [client.open() for _ in queries]
        for sock, octets in zip(self._sockets, queries, strict=True):
            sock.send(octets)

    def __enter__(self) -> Volley:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.close()

    def replies(self, within_s: float = PATIENCE_S) -> list[bytes | None]:
        """Wait for the first reply to each, None where none came; in the order of the queries."""
        found: list[bytes | None] = [None] * len(self._sockets)
        deadline = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            for place, sock in enumerate(self._sockets):
                selector.register(sock, selectors.EVENT_READ, place)
            while selector.get_map() and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    found[key.data] = self._sockets[key.data].recv(65535)
                    selector.unregister(key.fileobj)
        return found


def framed(*messages: bytes) -> bytes:
    """Put messages behind their lengths, as TCP wants them."""
    return b"".join(struct.pack(">H", len(each)) + each for each in messages)


def receive(connection: socket.socket) -> bytes | None:
    """Read one framed message; None when the connection ended."""
    head = _exactly(connection, 2)
    return None if head is None else _exactly(connection, struct.unpack(">H", head)[0])


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    octets = bytearray()
    while len(octets) < count:
        try:
            piece = connection.recv(count - len(octets))
        except ConnectionError:
            return None
        if not piece:
            return None
        octets += piece
    return bytes(octets)
