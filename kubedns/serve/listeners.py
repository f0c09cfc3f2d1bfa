"""
The sockets that queries come by: which addresses, TCP and UDP, and looking again when they change.

A wildcard is one socket for TCP; for UDP one that notes where each datagram went, and beside it a
plain one for each local address, up to a bound, which is cheaper (receiver.py). Or only certain
addresses are served, then each has its own socket of both kinds, as soon as the machine has it.
"""

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from kubedns.serve import sockets
from kubedns.serve.receiver import SocketThread

log = Logger()

_RESCAN_S = 30.0
# Addresses with a socket and thread of their own; a node in IPVS mode has one for each service.
_MAX_PLAIN_SOCKETS = 8
_MAX_ADDRESSES = 64  # when only certain ones are served

MakeReceiver = Callable[[socket.socket, bool], SocketThread]


class Listeners:
    """
    See the head of this module.

    wanted: returns the addresses to serve, None for all of them; asked again every 30 s.
    make: returns the receiver of a UDP socket; its second argument tells that it is a wildcard's.
    streams: the factory of TCP connections. seen: told of the machine's addresses when they change.
    shared: set before `open` where several processes share the port.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        wanted: Callable[[], list[str] | None],
        make: MakeReceiver,
        streams: Any,
        seen: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._reactor = reactor
        self._port = port
        self._wanted = wanted
        self._make = make
        self._streams = streams
        self._seen = seen
        self.shared = False
        self._known: list[str] = []
        self._tcp: dict[str, Any] = {}
        self._udp: dict[str, SocketThread] = {}
        self._rescan = LoopingCall(self._look)

    def open(self) -> None:
        """
        Listen.

        Raises:
            ListenError: an address that was asked for cannot be had.
        """
        wanted = self._wanted()
        # TCP first: its port tells whether another server is here, UDP's can be shared.
        for host in [""] if wanted is None else wanted:
            self._add_tcp(host)
        for host in [""] if wanted is None else wanted:
            self._add_udp(host)
        self._look()
        self._rescan.clock = self._reactor
        self._rescan.start(_RESCAN_S, now=False)

    def hosts(self) -> list[str]:
        """Return the addresses that are served; `*`: all."""
        return [host or "*" for host in self._tcp]

    def send(self, message: bytes, host: str, port: int) -> None:
        """
        Send a message of our own, from the UDP socket that queries from that host would come by.

        Raises:
            OSError: it could not be sent, or would have had to wait.
        """
        sending = self._towards(host)
        mapped = sending.family == socket.AF_INET6 and ":" not in host
        to = ("::ffff:" + host if mapped else host, port)
        sending.sendto(message, socket.MSG_DONTWAIT, to)

    def _towards(self, host: str) -> socket.socket:
        six = ":" in host
        loopback = "::1" if six else "127.0.0.1"
        if ipaddress.ip_address(host).is_loopback and loopback in self._udp:
            return self._udp[loopback].socket
        for served, receiver in self._udp.items():  # the wildcard's comes first
            if not served or (":" in served) is six:
                return receiver.socket
        raise OSError(errno.EADDRNOTAVAIL, "no socket of its family")

    async def close(self) -> None:
        """Listen no more; return when all threads have ended and all sockets are closed."""
        if self._rescan.running:
            self._rescan.stop()
        for receiver in self._udp.values():
            receiver.halt()
        for receiver in self._udp.values():
            receiver.stop()
        self._udp = {}
        ports, self._tcp = list(self._tcp.values()), {}
        for port in ports:
            await _done(port.stopListening())

    def _look(self) -> None:
        with log.failuresHandled("while looking at local addresses"):
            present = sockets.local_addresses()
            if present != self._known:
                self._known = present
                self._seen(present)
            wanted = self._wanted()
            if wanted is None:
                self._follow_plain(present)
            else:
                self._follow(wanted)

    def _follow_plain(self, present: list[str]) -> None:
        """Have a plain UDP socket for every local address beside the wildcard's."""
        for host in self._udp.keys() - set(present) - {""}:
            self._udp.pop(host).stop()
        for host in present:
            if len(self._udp) > _MAX_PLAIN_SOCKETS:
                break
            if host not in self._udp:
                try:
                    self._add_udp(host)
                except sockets.ListenError as error:
                    log.warn("{error}; the wildcard socket serves it", error=str(error))

    def _follow(self, wanted: list[str]) -> None:
        """Serve just these addresses."""
        for host in self._udp.keys() - set(wanted):
            log.info("no longer answering on {host}", host=host)
            self._udp.pop(host).stop()
            if port := self._tcp.pop(host, None):
                port.stopListening()
        for host in wanted[:_MAX_ADDRESSES]:
            if host not in self._udp:
                try:
                    if host not in self._tcp:
                        self._add_tcp(host)
                    self._add_udp(host)
                except sockets.ListenError as error:
                    log.warn("{error}; trying again", error=str(error))

    def _add_tcp(self, host: str) -> None:
        with sockets.tcp(
            host, self._port, shared=self.shared
        ) as listening:  # the reactor keeps a duplicate
            self._tcp[host] = self._reactor.adoptStreamPort(
                listening.fileno(), listening.family, self._streams
            )

    def _add_udp(self, host: str) -> None:
        bound = sockets.udp(host, self._port, shared=self.shared)
        receiver = self._make(bound, not host)
        try:
            receiver.start()
        except RuntimeError:  # no more threads
            bound.close()
            raise
        self._udp[host] = receiver


async def _done(result: Any) -> None:
    if isinstance(result, Deferred):
        await result
