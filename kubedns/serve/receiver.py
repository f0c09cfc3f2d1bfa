"""
UDP: one thread for each socket, which answers what is ready by itself.

The hot path of the whole process is `Batch.answer` (kubedns/batch.py): the thread waits for
datagrams, looks their octets up in the table of ready answers, and sends the next turn of what it
finds: no parsing, no lock, no reactor. In prototypes that took 0.9 of the CPU of a reactor which
drains its socket per wake-up when saturated, and 0.6 at 1,000 queries a second, where wake-ups
dominate.

What is not in the table goes to the reactor's thread, which alone may touch the zone: gathered in a
queue, with one wake-up for all that came since the last one. The queue is bounded; what does not
fit is dropped, as the kernel would.

A wildcard socket must answer from the address that was asked (RFC 2181 section 4.1), which takes
ancillary data with each datagram and 1.3 times the CPU. So there is a plain socket for every
address that the machine has, up to a bound, the kernel prefers them, and the wildcard socket
catches the rest: addresses that came a moment ago, and all of 127/8.
"""

import contextlib
import os
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from kubedns import batch
from kubedns.batch import Missed, Source
from kubedns.serve.answered import Answered
from kubedns.serve.counters import Counters
from kubedns.wire import question, reply, rr
from kubedns.zone.answers import Answer, Key

log = Logger()

_MAX_QUEUE = 4096
TURN_S = 0.005  # how long one client's questions may keep the reactor at a time
_JOIN_S = 1.0
_PAUSE_S = 0.05  # of a receiver whose socket cannot be read

Respond = Callable[[bytes], Answered]
Send = Callable[[bytes], object]
Waiting = tuple[bytes, Any, Send]  # the message, its client's socket address, how to reply


class Drops(Protocol):
    """Where lost datagrams and our own faults are counted."""

    dropped: Counter[str]
    exceptions: int


class Backlog:
    """
    Queries that are not ready to be answered, on their way to the reactor's thread.

    answer is called there, for one after the other, and may keep `send` for later.
    """

    def __init__(
        self,
        reactor: Any,
        answer: Callable[[bytes, Any, Send], None],
        counters: Drops,
    ) -> None:
        self._reactor = reactor
        self._answer = answer
        self._counters = counters
        self._queue: deque[Waiting] = deque()
        self._woken = False
        self.closed = False

    def add(self, message: bytes, client: Any, send: Send) -> None:
        """Hand a query over; called by receiver threads."""
        if len(self._queue) >= _MAX_QUEUE:
            self._counters.dropped["queue full"] += 1
            return
        self._queue.append((message, client, send))
        if not self._woken:
            self._woken = True
            self._reactor.callFromThread(self._drain)

    @property
    def waiting(self) -> int:
        """Return how many queries wait."""
        return len(self._queue)

    def answer(self, message: bytes, client: Any, send: Send) -> None:
        """Answer one query, in the reactor's thread; one must not cost another one its answer."""
        try:
            self._answer(message, client, send)
        except OSError as error:  # the client's address, or its network
            self._counters.dropped[f"send: {error.strerror}"] += 1
        except Exception:
            send_failure(message, send, self._counters)

    def _drain(self) -> None:
        """Answer what has gathered, a few milliseconds of it: others have the reactor too."""
        queue = self._queue
        until = self._reactor.seconds() + TURN_S
        while queue and self._reactor.seconds() < until:
            message, client, send = queue.popleft()
            if self.closed:
                continue
            self.answer(message, client, send)
        self._woken = bool(queue)
        if queue:  # or one was added just now, and its thread saw that we are awake
            self._woken = True
            self._reactor.callLater(0, self._drain)


def answering(respond: Respond, counters: Drops) -> Callable[[bytes, Any, Send], None]:
    """Return what a Backlog calls, of a function from query to reply."""

    def answer(message: bytes, client: Any, send: Send) -> None:
        answered = respond(message)
        if isinstance(answered, bytes):
            send(answered)
        elif answered is not None:
            finish(answered, message, send, counters)

    return answer


def finish(
    answered: Awaitable[bytes], message: bytes, send: Send, counters: Drops
) -> "Deferred[None]":
    """Send a reply that is still to come; a fault in it is a SERVFAIL."""

    async def wait() -> None:
        try:
            send(await answered)
        except CancelledError:
            pass  # nobody waits any more
        except OSError as error:
            counters.dropped[f"send: {error.strerror}"] += 1
        except Exception:
            send_failure(message, send, counters)

    return Deferred.fromCoroutine(wait())


def send_failure(message: bytes, send: Send, counters: Drops) -> None:
    """Answer SERVFAIL and log what happened; to be called while handling an exception."""
    counters.exceptions += 1
    log.failure("while answering {query}", query=message[:300].hex())
    try:
        send(reply.refusal(message, rr.SERVFAIL, question.read(message)))
    except Exception:  # it was the reading, or the sending
        log.failure("while answering SERVFAIL")


class SocketThread:
    """
    A UDP socket and the thread that reads it.

    table: answers in turns by the octets behind the ID. any_address: the socket is bound to a
    wildcard, so the address that was asked must be noted. ring: where replies are noted, if at all.
    """

    def __init__(
        self,
        bound: socket.socket,
        table: dict[Any, Any],
        backlog: Backlog,
        counters: Drops,
        *,
        any_address: bool,
        ring: batch.Ring | None = None,
    ) -> None:
        self.socket = bound
        self._table = table
        self._backlog = backlog
        self._drops = counters
        self._any_address = any_address
        self._stopping = False
        self._batch = batch.Batch(bound, any_address=any_address, ring=ring)
        self._thread = threading.Thread(target=self._run, daemon=True, name="receiver")

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def halt(self) -> None:
        """Begin to stop: the thread ends with the query that it has in hand."""
        self._stopping = True
        self._batch.stop()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)  # wakes a blocked recvfrom, although it raises

    def stop(self) -> None:
        """Answer no more; return when the thread has ended and the socket is closed."""
        self.halt()
        if self._thread.ident is not None:
            self._thread.join(timeout=_JOIN_S)
        if not self._thread.is_alive():
            self.socket.close()  # else the number might be another socket's while it is read

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._serve()
            except OSError as error:
                if not self._stopping:
                    self._drops.dropped[f"receive: {error.strerror}"] += 1
                    time.sleep(_PAUSE_S)  # else it would fail as fast as it can, perhaps for ever
            except Exception:
                self._drops.exceptions += 1
                log.failure("in a receiver")
                time.sleep(random.uniform(0.01, 0.1))
        self.socket.close()

    def _serve(self) -> None:
        """Answer until an exception, or a call of `halt`."""
        while not self._stopping:
            misses: list[Missed] = []
            failures: list[int] = []
            try:
                self._batch.answer(self._table, misses, failures)
            finally:
                self._tell(failures)
                if misses and not self._stopping:
                    self._hand_over(misses)

    def _tell(self, failures: list[int]) -> None:
        """Count replies that could not be sent, by their errno."""
        for number in failures:
            self._drops.dropped[f"send: {os.strerror(number)}"] += 1

    def _hand_over(self, misses: list[Missed]) -> None:
        """Let the reactor's thread answer these."""
        for query, client, source in misses:
            self._backlog.add(query, client, self._sender(client, source))

    def _sender(self, client: Any, source: Source) -> Send:
        """Return how to reply to one client."""
        if self._any_address:
            send_from = self.socket.sendmsg
            return lambda octets: send_from((octets,), source, 0, client)
        send = self.socket.sendto
        return lambda octets: send(octets, client)


class Receiver(SocketThread):
    """Answers from a table of ready answers."""

    def __init__(
        self,
        bound: socket.socket,
        table: dict[Key, Answer],
        backlog: Backlog,
        counters: Counters,
        *,
        any_address: bool,
    ) -> None:
        super().__init__(bound, table, backlog, counters, any_address=any_address)
        self._counters = counters
        self._sampled_s = 0.0

    def _hand_over(self, misses: list[Missed]) -> None:
        super()._hand_over(misses)
        took_s = self._batch.send_s
        if took_s != self._sampled_s:
            self._sampled_s = took_s
            self._counters.sample_hit(took_s)
