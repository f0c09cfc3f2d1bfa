"""
Where the sockets to servers are bound: device, address and port, as a server or the options say.

Without a word on ports the kernel chooses: at random among those of `ip_local_port_range`, which
are 28,000 by default (RFC 5452 section 9.2, RFC 6056), also when an address is given.
"""

import errno
import secrets
import socket

from dnsmasq_py.options import Options
from dnsmasq_py.server import Server

_ALL = (Options().min_port, Options().max_port)
_TRIES = 20  # random ports that may turn out to be taken


class Ports:
    """min_port, max_port, query_port: as the options of these names say."""

    def __init__(self, options: Options) -> None:
        self._query_port = options.query_port
        self._least = options.min_port
        self._count = options.max_port - options.min_port + 1
        self._any = (options.min_port, options.max_port) == _ALL

    def is_fixed(self, server: Server) -> bool:
        """Tell whether all queries to a server leave from one port."""
        return bool(server.source_port) or self._query_port is not None

    def connected(self, server: Server) -> socket.socket:
        """
        Return a UDP socket that hears this server only, and its ICMP errors (RFC 1122 4.1.3.3).

        Raises:
            OSError: there is no such address or device here, no free port, no way to the server.
        """
        udp = self.bound(server)
        try:
            udp.connect((server.address, server.port))
            _empty(udp)
        except OSError:
            udp.close()
            raise
        return udp

    def bound(self, server: Server) -> socket.socket:
        """
        Return a UDP socket that is bound as it should be, but not connected.

        Raises:
            OSError: there is no such address or device here, or no free port.
        """
        udp = socket.socket(_family(server), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            bind_to_device(udp, server)
            self._bind(udp, server)
        except OSError:
            udp.close()
            raise
        return udp

    def _bind(self, udp: socket.socket, server: Server) -> None:
        port = server.source_port or self._query_port or 0
        if port:
            # Sockets to other servers have this port too, and so has the one this one replaces.
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind((server.source, port))
        elif not self._any:
            self._bind_at_random(udp, server.source)
        elif server.source:
            udp.bind((server.source, 0))

    def _bind_at_random(self, udp: socket.socket, source: str) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                udp.bind((source, self._least + secrets.randbelow(self._count)))
                return
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not tries_left:
                    raise


def bind_to_device(one: socket.socket, server: Server) -> None:
    """
    Let a socket use the device of a server alone.

    Raises:
        OSError: there is no such device, or (before Linux 5.7) CAP_NET_RAW is missing.
    """
    if server.interface:
        device = server.interface.encode()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)


def _family(server: Server) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server.address else socket.AF_INET


def _empty(udp: socket.socket) -> None:
    """Drop what came from anybody between bind and connect."""
    try:
        while True:
            udp.recv(1)
    except BlockingIOError:
        pass
