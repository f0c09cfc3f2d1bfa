"""
The TCP or TLS connections to one server: one that is kept, and more while it is full (RFC 7766).
"""

import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.counters import Counters
from dnsmasq_py.server import Server
from dnsmasq_py.streams import Stream

if TYPE_CHECKING:
    from dnsmasq_py.tls import Channel

MOST_WAITING = 100  # on one connection
MOST_STREAMS = 4  # to one server
_PAUSE_S = 0.25  # after TLS has failed: each try costs both sides some milliseconds


class Streams:
    """All connections. clock and opened: see Datagrams; random: see randomness.triples."""

    def __init__(
        self,
        reactor: Any,
        counters: Counters,
        clock: Callable[[], float],
        opened: Callable[[], None],
        random: Iterator[bytes],
    ) -> None:
        self.reactor = reactor
        self.counters = counters
        self.clock = clock
        self.random = random
        self._opened = opened
        self._streams: set[Stream] = set()

    @property
    def count(self) -> int:
        """Return how many connections there are, those included that are being made or closed."""
        return len(self._streams)

    def opened(self, stream: Stream) -> None:
        """Take a stream in."""
        self._streams.add(stream)
        self._opened()

    def ended(self, stream: Stream) -> None:
        """Note that a stream is no more."""
        self._streams.discard(stream)

    def sweep(self, now: float) -> None:
        """End what is idle or dead."""
        for stream in list(self._streams):
            stream.sweep(now)

    def close_all(self) -> None:
        """End everything; no exchange hears of it."""
        for stream in list(self._streams):
            stream.pending.clear()
            stream.abort("stopped")


class Trunk:
    """The connections to one server. channel makes a TLS channel; None: plain TCP."""

    def __init__(
        self, server: Server, streams: Streams, channel: "Callable[[], Channel] | None"
    ) -> None:
        self.server = server
        self.streams = streams
        self.retired = False
        self._channel = channel
        self._open: list[Stream] = []
        self._refusal = ""
        self._refused_until = 0.0

    def send(self, attempt: Attempt, now: float, *, again: bool = False) -> None:
        """
        Send a query, under an ID of its own; again: this is the second time.

        Raises:
            OSError: there are too many in flight, or TLS has just failed.
        """
        for stream in self._open:
            if len(stream.pending) < MOST_WAITING:
                break
        else:
            stream = self._connect(now)
        stream.send(attempt, now, again=again)

    def _connect(self, now: float) -> Stream:
        if now < self._refused_until:
            raise OSError(self._refusal)
        if len(self._open) >= MOST_STREAMS:
            raise OSError(errno.EAGAIN, "too many queries wait on its connections")
        channel = self._channel() if self._channel else None
        stream = Stream(self, channel, now)
        stream.connect()
        self._open.append(stream)
        self.streams.opened(stream)
        return stream

    def useless(self, stream: Stream) -> None:
        """Send nothing more on a stream."""
        if stream in self._open:
            self._open.remove(stream)

    def refused(self, reason: str, now: float) -> None:
        """Make no connection for a while: TLS has failed."""
        self._refusal = reason
        self._refused_until = now + _PAUSE_S

    def retire(self) -> None:
        """Let each connection end as soon as nothing waits on it: no more is sent."""
        self.retired = True
