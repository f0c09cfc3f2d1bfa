"""A small name server on loopback: what kube-dns asks for the names it does not own."""

from __future__ import annotations

import socketserver
import struct
import threading
from types import TracebackType

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.realapi.ports import free_port


class Upstream:
    """
    Answers over UDP and TCP from records in zone-file text, aliases followed; NXDOMAIN for names
    it does not know.

    ``records`` may be changed at any time; ``asked`` lists the questions as ``name TYPE``.
    """

    def __init__(self, *records: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.asked: list[str] = []
        self.know(*records)
        self._servers: list[socketserver.BaseServer] = [
            _UdpServer(("127.0.0.1", self.port), _udp_handler(self)),
            _TcpServer(("127.0.0.1", self.port), _tcp_handler(self)),
        ]

    def __enter__(self) -> Upstream:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def know(self, *records: str) -> None:
        """Replace what this server knows."""
        self._records = [_record(text) for text in records]

    def reply(self, wire: bytes) -> bytes:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        self.asked.append(f"{question.name} {question.rdtype.name}")
        response = dns.message.make_response(query, recursion_available=True)
        name, chain = question.name, []
        while alias := self._find(name, dns.rdatatype.CNAME):
            chain.append(alias)
            name = alias[0].target
        response.answer = [*chain, *filter(None, [self._find(name, question.rdtype)])]
        if not any(known.name == name for known in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    def _find(self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
        found = (known for known in self._records if (known.name, known.rdtype) == (name, rdtype))
        return next(found, None)


def _record(text: str) -> dns.rrset.RRset:
    owner, ttl, rdclass, rdtype, *data = text.split()
    return dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, " ".join(data))


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _udp_handler(upstream: Upstream) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            sock.sendto(upstream.reply(wire), self.client_address)

    return Handler


def _tcp_handler(upstream: Upstream) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while length := self.rfile.read(2):
                reply = upstream.reply(self.rfile.read(*struct.unpack("!H", length)))
                self.wfile.write(struct.pack("!H", len(reply)) + reply)

    return Handler
