"""
UDP to servers: the connected sockets, and what waits on each.

The reactor sees one descriptor: an epoll object that holds all sockets. It costs one call for any
number of replies, and a reply costs one `recv`; a registration of each socket with the reactor
would double the cost of a question. Those of clients are here too, while misses come thick
(readers.py): then one turn reads queries and replies, and sends what they lead to (departures.py).

Invariants:
- An attempt waits under one ID on one socket, from `Pool.send` until its exchange says that it is
  over, it is cancelled, its socket fails, or `PATIENCE_S` have passed.
- A socket is closed only when nothing waits on it (or everything ends).
- Exchanges are not called from within `Pool.send`: they are what calls it.
- An attempt that could not be sent hears of it in the next turn of the reactor.
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.counters import Counters
from dnsmasq_py.departures import Departures, Parcel
from dnsmasq_py.replies import UNEXPECTED, deliver, fail
from kubedns.serve.receiver import TURN_S

log = Logger()

PATIENCE_S = 5.0  # nobody is interested in a reply that comes later
_AT_ONCE = 64  # sockets looked at together


class Line:
    """
    A connected socket. pending: what waits on it, by ID, oldest first.

    until: the monotonic time at which another takes its place. retired: it has been replaced.
    """

    __slots__ = ("datagrams", "fd", "pending", "recv", "retired", "socket", "until", "uses")

    def __init__(self, datagrams: "Datagrams", udp: socket.socket, until: float) -> None:
        self.datagrams = datagrams
        self.socket = udp
        self.fd = udp.fileno()
        self.recv = udp.recv
        self.pending: dict[bytes, Attempt] = {}
        self.uses = 0
        self.until = until
        self.retired = False

    def forget(self, query_id: bytes, attempt: Attempt) -> None:
        """Wait no longer for a reply to this attempt."""
        if self.pending.get(query_id) is attempt:
            del self.pending[query_id]

    @property
    def is_open(self) -> bool:
        """Tell whether the socket is there."""
        return self.fd >= 0

    def not_sent(self, parcel: Parcel, number: int, later: Sequence[Parcel]) -> None:
        """
        Hear that a query could not be sent.

        Refused is ICMP's word on what was sent before by this socket; this query is not out.
        """
        waiting = dict(self.pending)
        query = parcel[1]
        this = query[:2]
        if number == errno.ECONNREFUSED:
            for octets in (query, *(octets for _, octets, _, owner in later if owner is self)):
                waiting.pop(octets[:2], None)
            self.datagrams.fail_soon(self, waiting, number)
            try:
                self.socket.send(query)
            except OSError as error:
                number = error.errno or errno.EIO
                if number == errno.ECONNREFUSED:  # of what left behind this one: any of them
                    self.datagrams.fail_soon(self, dict(self.pending), number)
                    return
            else:
                return
        if this in self.pending:
            self.datagrams.fail_soon(self, {this: self.pending[this]}, number)


@implementer(IReadDescriptor)
class Datagrams:
    """
    All open sockets, and the descriptor that stands for them in the reactor.

    departures: what its turns send. clock: monotonic seconds. opened is called when a socket has
    been opened: from then on, while `count` is not 0, somebody must call `sweep` about once a
    second. most: sockets at once. max_size: octets of a datagram that are read; what is longer is
    cut, and so broken.
    """

    def __init__(
        self,
        reactor: Any,
        counters: Counters,
        clock: Callable[[], float],
        opened: Callable[[], None],
        *,
        most: int,
        max_size: int,
    ) -> None:
        self.counters = counters
        self.departures = Departures()
        self._reactor = reactor
        self._clock = clock
        self._opened = opened
        self._most = most
        self._max_size = max_size
        self._lines: dict[int, Line] = {}
        self._others: dict[int, Callable[[float], None]] = {}
        self._failed: list[tuple[Line, dict[bytes, Attempt], str]] = []
        self._epoll = select.epoll()
        reactor.addReader(self)

    @property
    def count(self) -> int:
        """Return how many sockets are open."""
        return len(self._lines)

    def has_room(self) -> bool:
        """Tell whether one more socket may be opened."""
        return len(self._lines) < self._most

    def open(self, udp: socket.socket, until: float) -> Line:
        """Listen to one more socket."""
        line = Line(self, udp, until)
        self._epoll.register(line.fd, select.EPOLLIN)
        self._lines[line.fd] = line
        self._opened()
        return line

    def close(self, line: Line) -> None:
        """Close a socket; that alone takes it out of the epoll object."""
        if line.is_open:
            self.departures.flush()
            del self._lines[line.fd]
            line.fd = -1
            line.until = -inf
            line.socket.close()

    def join(self, fd: int, read: Callable[[float], None]) -> None:
        """Read another's socket too; read: called when there is something, with now."""
        self._epoll.register(fd, select.EPOLLIN)
        self._others[fd] = read

    def leave(self, fd: int) -> None:
        """Leave a socket that has joined to its owner, who has not closed it yet."""
        if self._others.pop(fd, None) and not self._epoll.closed:
            self._epoll.unregister(fd)

    def fileno(self) -> int:
        """Return the descriptor of the epoll object."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        """Return what stands in front of the reactor's own log lines."""
        return "datagrams"

    def doRead(self) -> None:
        """
        Read one datagram from each socket that has any, and on while there are more.

        For a turn at most, but as long a turn as new queries have: replies that pile up would
        look like questions that nobody answers.
        """
        now = self._clock()
        until = now + TURN_S
        try:
            while self._read_some(now) and now < until:
                now = self._clock()
        except Exception:  # the reactor would never read again
            self.counters.exceptions += 1
            log.failure("while datagrams were read")

    def _read_some(self, now: float) -> int:
        """Read from some sockets, and send what that leads to; return from how many."""
        readable: list[tuple[int, int]] = self._epoll.poll(0, _AT_ONCE)
        if readable:
            self.departures.begin()
            try:
                self._read_each(readable, now)
            finally:
                self.departures.end()
        return len(readable)

    def _read_each(self, readable: Iterable[tuple[int, int]], now: float) -> None:
        """Read one datagram from each of our sockets, and some from those of others."""
        lines = self._lines
        for fd, _ in readable:
            line = lines.get(fd)
            if line is None:  # or it was closed by what an earlier reply of this turn led to
                if other := self._others.get(fd):
                    other(now)
                continue
            try:
                message = line.recv(self._max_size)
            except OSError as error:
                self._broken(line, error, now)
                continue
            query_id = message[:2]
            attempt = line.pending.get(query_id)
            if attempt is None:
                self.counters.bad_replies[UNEXPECTED] += 1
            elif deliver(attempt, message, now, self.counters):
                line.pending.pop(query_id, None)
                if line.retired and not line.pending:
                    self.close(line)

    def connectionLost(self, reason: object) -> None:
        """Close everything: the reactor has ended."""
        self.close_all()

    def _broken(self, line: Line, error: OSError, now: float) -> None:
        """Fail all that waits on a socket with an error: what ICMP says concerns any of them."""
        if isinstance(error, BlockingIOError):  # a datagram with a wrong checksum
            return
        self._fail(line, dict(line.pending), reason_of(error), now)

    def fail_soon(self, line: Line, waiting: dict[bytes, Attempt], number: int) -> None:
        """Fail what waits on a socket for this errno, in the next turn of the reactor."""
        self._failed.append((line, waiting, os.strerror(number)))
        self._reactor.callLater(0, self._tell)

    def _tell(self) -> None:
        failed, self._failed = self._failed, []
        for line, waiting, reason in failed:
            self._fail(line, waiting, reason, self._clock())

    def _fail(self, line: Line, waiting: dict[bytes, Attempt], reason: str, now: float) -> None:
        for query_id, attempt in waiting.items():
            if line.pending.get(query_id) is attempt:  # else it is over, by what another led to
                del line.pending[query_id]
                fail(attempt, reason, now, self.counters)

    def sweep(self, now: float) -> None:
        """Forget attempts that have waited long enough; close sockets that have had their time."""
        for line in list(self._lines.values()):
            for query_id in list(_expired(line.pending, now)):
                del line.pending[query_id]
            if not line.pending and (line.retired or now >= line.until):
                self.close(line)

    def close_all(self) -> None:
        """End everything; no exchange hears of it."""
        if not self._epoll.closed:
            self._reactor.removeReader(self)
            for line in list(self._lines.values()):
                self.close(line)
            self._others.clear()
            self._failed.clear()
            self._epoll.close()


def _expired(pending: dict[bytes, Attempt], now: float) -> Iterator[bytes]:
    """Yield the IDs of the attempts that have waited long enough; the oldest stand in front."""
    for query_id, attempt in pending.items():
        if now - attempt.sent_at < PATIENCE_S:
            return
        yield query_id


def reason_of(error: OSError) -> str:
    """Return an error in words."""
    return error.strerror or str(error)
