"""
The client side: threads that answer from the cache, and the way to the forwarder for all else.

The hot path of the whole pod is `Batch.answer` (kubedns/batch.py): receive, one look-up of the
octets behind the ID, send. No parsing, no lock, no reactor, and of the clock one reading, since a
reply is right only until its TTL changes; then it is aged in that thread, once for the whole
second. What is not there goes to the reactor's thread with one wake-up for all that came since the
last one (kubedns.serve.receiver.Backlog). While misses come thick that thread reads the socket
itself, between the replies of upstream servers (readers.py, datagrams.py), and the receiver's
thread is parked.
"""

import contextlib
import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from dnsmasq_py.counters import Counters
from dnsmasq_py.datagrams import Datagrams
from dnsmasq_py.departures import Parcel
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.readers import Shift
from dnsmasq_py.stored import Ready
from kubedns.batch import AT_ONCE, Missed, Source, Table
from kubedns.serve.answered import Answered
from kubedns.serve.receiver import Backlog, Send, SocketThread

log = Logger()

_STAMP_OF_LAST = 0x8906  # SIOCGSTAMP: when the datagram came that was read last
_TIMEVAL = struct.Struct("ll")
_MAX_AGE_S = 2.0  # a client that has waited so long in our socket asks again or is gone
_NEARLY_NONE_S = 0.01  # of such an age the kernel need not be asked


class Misses(Backlog):
    """What receivers hand over, and which of them offer their socket to the reactor's thread."""

    def __init__(
        self,
        reactor: Any,
        answer: Callable[[bytes, Any, Any], None],
        counters: Counters,
        datagrams: Datagrams,
    ) -> None:
        super().__init__(reactor, answer, counters)
        self.datagrams = datagrams
        self._offered: list[CacheReceiver] = []

    def offer(self, receiver: "CacheReceiver") -> None:
        """Have a socket read by the reactor; its thread hands something over next, and waits."""
        self._offered.append(receiver)

    def _drain(self) -> None:
        departures = self.datagrams.departures
        departures.begin()
        try:
            super()._drain()
        finally:
            try:
                departures.end()
            finally:  # their threads wait
                while self._offered:
                    self._offered.pop().take_over()


class CacheReceiver(SocketThread):
    """One UDP socket and its thread; ready: cache.Cache.ready. recorder: notes its replies."""

    def __init__(
        self,
        bound: socket.socket,
        ready: Table[Ready],
        backlog: Misses,
        counters: Counters,
        *,
        any_address: bool,
        recorder: Recorder | None = None,
    ) -> None:
        ring = None if recorder is None else recorder.ring
        super().__init__(bound, ready, backlog, counters, any_address=any_address, ring=ring)
        self._misses = backlog
        self._counters = counters
        self._shift = Shift()
        self._empty_at = 0.0  # when the reactor's thread saw the socket so last
        self._datagrams = backlog.datagrams
        self._send = self._datagrams.departures.send
        self._gate = threading.Lock()
        self._gate.acquire()

    def halt(self) -> None:
        super().halt()
        self.give_back()

    # The receiver's thread

    def _hand_over(self, misses: list[Missed]) -> None:
        age = self._age()  # of the youngest; after a stall some may be older
        if not self._is_young(age, len(misses)):
            return
        if self._any_address or not self._shift.is_thick(len(misses), time.monotonic()):
            super()._hand_over(misses)
            return
        self._misses.offer(self)
        super()._hand_over(misses)
        self._gate.acquire()

    # The reactor's thread

    def take_over(self) -> None:
        """Read the socket in the thread's place, from now on."""
        if self._stopping:
            self._resume()
            return
        self._shift.begin(time.monotonic())
        try:
            self._datagrams.join(self.socket.fileno(), self.read)
        except (OSError, ValueError):  # no room for it in the epoll object, or that is closed
            self._resume()

    def give_back(self) -> None:
        """Let the thread read again, if it does not."""
        self._datagrams.leave(self.socket.fileno())
        self._resume()

    def _resume(self) -> None:
        with contextlib.suppress(RuntimeError):  # it does not wait
            self._gate.release()

    def read(self, now: float) -> None:
        """Answer some of what there is."""
        misses: list[Missed] = []
        failures: list[int] = []
        got = 0
        is_broken = False
        try:
            got = self._batch.take(self._table, misses, failures)
        except OSError:
            is_broken = True
        except Exception:
            self._counters.exceptions += 1
            log.failure("in a receiver")
        if self._stopping:
            return
        self._tell(failures)
        waited = self._waited(now)
        if misses and self._is_young(waited, len(misses)):
            answer = self._misses.answer
            for query, client, source in misses:
                answer(query, client, self._sender(client, source))
        if got < AT_ONCE:
            self._empty_at = now
        # What is broken the thread meets again, tells, and pauses.
        if is_broken or self._shift.is_over(got, len(misses), waited, now):
            self.give_back()

    def _waited(self, now: float) -> float:
        """Return for how long what was just read was in the socket, at most or nearly."""
        since_empty = now - self._empty_at
        return since_empty if since_empty < _NEARLY_NONE_S else self._age()

    def _sender(self, client: Any, source: Source) -> Send:
        if self._any_address:
            return super()._sender(client, source)
        send = self._send
        fileno = self.socket.fileno
        return lambda octets: send(fileno(), octets, client, self)

    def not_sent(self, parcel: Parcel, number: int, later: Sequence[Parcel]) -> None:
        """Hear that a client, or his network, is not there."""
        self._counters.dropped[f"send: {os.strerror(number)}"] += 1

    # Both threads

    def _age(self) -> float:
        """Return how long ago the datagram that was read last came, in seconds."""
        try:
            stamp = fcntl.ioctl(self.socket, _STAMP_OF_LAST, bytes(_TIMEVAL.size))
        except OSError:  # a socket that none was read from yet
            return 0.0
        seconds, microseconds = _TIMEVAL.unpack(stamp)
        age: float = time.time() - seconds - microseconds / 1e6
        return age

    def _is_young(self, age: float, queries: int) -> bool:
        """Tell whether queries that came so long ago are worth an answer that costs something."""
        if age < _MAX_AGE_S:
            return True
        self._counters.dropped["too old"] += queries
        self._counters.limits["socket queue"] += queries
        return False


class Streams:
    """What TCP connections ask: the same as over UDP, with no bound of size."""

    def __init__(
        self,
        handle: Callable[..., None],
        ready: Table[Ready],
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
        recorder: Recorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._handle = handle
        self._table = ready
        self._counters = counters
        self._clock = clock

    def ready(self, message: bytes, client: tuple[str, int]) -> bytes | None:
        """Return the reply to a query that receivers could answer too, else None."""
        reply = self._ready(message)
        if reply is not None and self._recorder is not None:
            self._recorder.note_hit(message, reply, client)
        return reply

    def _ready(self, message: bytes) -> bytes | None:
        found = self._table.get(message[2:])
        now = self._clock()
        if found is None or (now >= found.until and not found.age(now)):
            shelf = self._table.shelf
            return None if shelf is None else shelf.reply(message, now, tcp=True)
        counters = self._counters
        counters.tcp_hits += 1
        counters.queries["tcp", found.stored.rcode] += 1
        turns = found.turns
        return message[:2] + turns[counters.tcp_hits % len(turns)]

    def respond(self, message: bytes, client: tuple[str, int]) -> Answered:
        """Return the reply to a query, now or later; None for what is answered with silence."""
        call = _Call()
        self._handle(message, client, call.send, tcp=True)
        if call.octets is not None:
            return call.octets
        if len(message) < 12 or message[2] & 0x80:
            return None
        call.waiting = Deferred()
        return call.waiting


class _Call:
    """One query: whether its reply came before anybody waited for it."""

    __slots__ = ("octets", "waiting")

    def __init__(self) -> None:
        self.octets: bytes | None = None
        self.waiting: Deferred[bytes] | None = None

    def send(self, octets: bytes) -> None:
        if self.waiting is None:
            self.octets = octets
        elif not self.waiting.called:
            self.waiting.callback(octets)
