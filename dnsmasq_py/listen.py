"""
The client side: threads that answer from the cache, and the way to the forwarder for all else.

The hot path of the whole pod is `Batch.answer` (kubedns/batch.py): receive, one look-up of the
octets behind the ID, send. No parsing, no lock, no reactor, and of the clock one reading, since a
reply is right only until its TTL changes; then it is aged in that thread, once for the whole
second. What is not there goes to the reactor's thread with one wake-up for all that came since the
last one (kubedns.serve.receiver.Backlog).
"""

import contextlib
import fcntl
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dnsmasq_py.counters import Counters
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.stored import Ready
from kubedns.batch import ROOM, Missed, Table
from kubedns.serve.answered import Answered
from kubedns.serve.receiver import TURN_S, Backlog, SocketThread

_STAMP_OF_LAST = 0x8906  # SIOCGSTAMP: when the datagram came that was read last
_TIMEVAL = struct.Struct("ll")
_THICK_S = 0.002  # misses that come within so long of the last ones come thick
_MAX_AGE_S = 2.0  # a client that has waited so long in our socket asks again or is gone


class Misses(Backlog):
    """
    What receivers hand over, and who reads on while there is much of it.

    Two threads that both have something to do pass the interpreter to and fro with every system
    call. So when misses come thick, a receiver pauses after each, and the reactor's thread reads
    its socket in its place, until that is empty. If it cannot empty it within a turn, receivers do
    not pause any more: then misses wait in the queue, and hits do not wait behind them.
    """

    def __init__(
        self, reactor: Any, answer: Callable[[bytes, Any, Any], None], counters: Counters
    ) -> None:
        super().__init__(reactor, answer, counters)
        self._paused: list[CacheReceiver] = []
        self._drained_at = -1.0

    def may_pause(self, receiver: "CacheReceiver") -> bool:
        """Tell a receiver that has just added something whether to wait for `resume`."""
        if time.monotonic() - self._drained_at > _THICK_S:
            return False
        self._paused.append(receiver)
        return True

    def _drain(self) -> None:
        until = time.monotonic() + TURN_S
        super()._drain()
        kept_up = not self.waiting
        while self._paused:
            receiver = self._paused.pop()
            try:
                kept_up &= receiver.read_on(until)
            finally:
                receiver.resume()
        if kept_up:
            self._drained_at = time.monotonic()


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
        self._recorder = recorder
        self._misses = backlog
        self._shelf = ready.shelf
        self._counters = counters
        self._gate = threading.Lock()
        self._gate.acquire()

    def resume(self) -> None:
        """Let the thread go on, if it waits."""
        with contextlib.suppress(RuntimeError):  # it has given up to wait
            self._gate.release()

    def halt(self) -> None:
        super().halt()
        self.resume()

    def read_on(self, until: float) -> bool:
        """
        Read the socket in the thread's place, in the reactor's; tell whether it is empty now.

        Only plain sockets: those of a wildcard are read by their own threads.
        """
        receive = self.socket.recvfrom
        send = self.socket.sendto
        ready = self._table.get
        shelf = self._shelf
        now = time.monotonic
        while (t := now()) < until and not (self._any_address or self._stopping):
            try:
                query, client = receive(ROOM, socket.MSG_DONTWAIT)
            except OSError:  # nothing there, or the socket is being closed
                return True
            found = ready(query[2:])
            try:
                if found is not None and (t < found.until or found.age(t)):
                    uses = found.uses
                    found.uses = uses + 1
                    turns = found.turns
                    turn = turns[uses % len(turns)]
                    if self._recorder is not None:
                        self._recorder.note_hit(query, turn, client, tcp=False)
                    send(query[:2] + turn, client)
                    continue
                if shelf is not None and (octets := shelf.reply(query, t)) is not None:
                    send(octets, client)
                    continue
            except OSError as error:  # the client's address, or its network
                self._counters.dropped[f"send: {error.strerror}"] += 1
                continue
            if self._is_young():
                self._misses.answer(query, client, lambda octets, to=client: send(octets, to))  # type: ignore[misc]
        return self._any_address or self._stopping

    def _hand_over(self, misses: list[Missed]) -> None:
        if not self._is_young(len(misses)):  # the youngest; after a stall some may be older
            return
        super()._hand_over(misses)
        if not self._any_address and self._misses.may_pause(self):
            self._gate.acquire(timeout=TURN_S)

    def _is_young(self, queries: int = 1) -> bool:
        """Tell whether the datagram just read is worth an answer that costs something."""
        try:
            stamp = fcntl.ioctl(self.socket, _STAMP_OF_LAST, bytes(_TIMEVAL.size))
        except OSError:
            return True
        seconds, microseconds = _TIMEVAL.unpack(stamp)
        if time.time() - seconds - microseconds / 1e6 < _MAX_AGE_S:
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

    def ready(self, message: bytes) -> bytes | None:
        """Return the reply to a query that receivers could answer too, else None."""
        found = self._table.get(message[2:])
        now = self._clock()
        if found is None or (now >= found.until and not found.age(now)):
            shelf = self._table.shelf
            return None if shelf is None else shelf.reply(message, now, tcp=True)
        counters = self._counters
        counters.tcp_hits += 1
        counters.queries["tcp", found.stored.rcode] += 1
        turns = found.turns
        turn = turns[counters.tcp_hits % len(turns)]
        if self._recorder is not None:
            self._recorder.note_hit(message, turn, None, tcp=True)
        return message[:2] + turn

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
