"""
The UDP sockets to one server, one of which is taken at random for each attempt.

An off-path attacker must hit the one port and the one ID (RFC 5452). So a socket serves at most 100
attempts and at most 10 s; then its place in the pool is taken by a new one, with another port, and
it stays open until nothing waits on it any more. Sockets are opened when they are first drawn.
"""

import errno
import secrets
from collections.abc import Iterator

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.datagrams import Datagrams, Line
from dnsmasq_py.ports import Ports
from dnsmasq_py.server import Server

MAX_USES = 100
MAX_AGE_S = 10.0
POOL_SIZE = 256
_MOST_PENDING = 32_768  # on one socket: of 65,536 IDs enough must be left to guess


class Pool:
    """The sockets to one server; random: see randomness.triples."""

    def __init__(
        self, server: Server, ports: Ports, datagrams: Datagrams, random: Iterator[bytes]
    ) -> None:
        self._server = server
        self._ports = ports
        self._datagrams = datagrams
        self._send = datagrams.departures.send
        self._random = random
        self._fixed = ports.is_fixed(server)
        self._slots: list[Line | None] = [None] * (1 if self._fixed else POOL_SIZE)
        self._mask = len(self._slots) - 1

    def send(self, attempt: Attempt, now: float) -> None:
        """
        Send a query, under an ID of its own, at the end of this turn.

        Raises:
            OSError: there is no way to the server.
        """
        draw = next(self._random)
        query_id = draw[:2]
        line = self._slots[draw[2] & self._mask]
        if line is None or line.uses >= MAX_USES or now >= line.until:
            line = self._renewed(draw[2] & self._mask, now)
        if query_id in line.pending:
            query_id = self._other_id(line)
        line.pending[query_id] = attempt
        line.uses += 1
        attempt.line = (line, query_id)
        self._send(line.fd, query_id + attempt.message, None, line)

    def retire(self) -> None:
        """Let each socket be closed as soon as nothing waits on it: no more is sent."""
        for line in self._slots:
            if line is not None:
                line.retired = True

    def _renewed(self, slot: int, now: float) -> Line:
        """Return a new socket for a place in the pool, or another where there cannot be one."""
        old = self._slots[slot]
        if old is not None and not old.pending:
            self._datagrams.close(old)
        elif old is not None and self._fixed:
            return old  # one with the same port would take its replies
        if not self._datagrams.has_room() and (spare := self._spare()):
            self._datagrams.counters.limits["upstream sockets"] += 1
            return spare
        try:
            udp = self._ports.connected(self._server)
        except OSError:
            if spare := self._spare():
                return spare
            raise
        if old is not None:
            old.retired = True
        line = self._slots[slot] = self._datagrams.open(udp, now + MAX_AGE_S)
        return line

    def _spare(self) -> Line | None:
        """Return any open socket, even one that has had its time."""
        lines = [line for line in self._slots if line is not None and line.is_open]
        return secrets.choice(lines) if lines else None

    def _other_id(self, line: Line) -> bytes:
        if len(line.pending) >= _MOST_PENDING:
            raise OSError(errno.ENOBUFS, "too many queries wait on one port")
        return next(draw[:2] for draw in self._random if draw[:2] not in line.pending)
