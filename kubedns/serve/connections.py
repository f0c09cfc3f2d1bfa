"""
The TCP connections that are open: how many there may be, for how long, and which must go.

No connection has a timer. Each notes since when it is idle, has begun a query, or has replies that
its client does not read; a sweep over all of them, a few times a second, ends what takes too long.

Where the connections are too many, whoever has most of them loses one, and the longest idle of
them: so twenty clients that ask nothing shut out nobody, and neither does one that opens hundreds.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Protocol

from kubedns.serve.answered import TCP_IDLE_S
from kubedns.serve.receiver import Drops

SWEEP_S = 0.2
IDLE = "tcp idle"  # for as long as a connection may be: no loss
CROWDED = "tcp crowded"  # idle for a shorter time
UNREAD = "tcp unread"
SLOW_QUERY = "tcp slow query"
IN_FLIGHT = "tcp in flight"
_TOTAL = "tcp limit"
_PER_CLIENT = "tcp client limit"


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may cost; times in seconds, sizes in octets."""

    connections: int = 512
    # Of one address, while more than half of all are used: behind a node's address translation
    # all its pods are one client.
    per_client: int | None = None
    idle_s: float = TCP_IDLE_S
    idle_half_full_s: float = 2.0  # when more than 50 % of the connections are open
    idle_crowded_s: float = 0.2  # 80 %
    query_s: float = 2.0  # from the first octet of a query to its last
    unread: int = 65536  # replies that a client does not read; the last one may exceed it
    unread_s: float = 5.0
    in_flight: int = 64  # queries of one connection that wait for somebody outside

    def idle(self, connections: int) -> float:
        """Return how long a connection may be idle when so many are open."""
        if connections * 10 > self.connections * 8:
            return self.idle_crowded_s
        return self.idle_half_full_s if connections * 2 > self.connections else self.idle_s


class Connection(Protocol):
    """
    One of them.

    host: its client's address. active_at: when the last query came, or its reply left. waited_for:
    the client waits for a reply.
    """

    host: str
    active_at: float
    closing: bool

    @property
    def waited_for(self) -> bool: ...

    def overdue(self, now: float, idle_s: float) -> str | None:
        """Return the name of the limit that it has exceeded."""

    def close(self) -> None:
        """Close it when all that was written is out."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """
    See the head of this module.

    counters: where lost connections are counted, by the name of the limit, in `limits` if there is
    such a thing, else in `dropped`.
    """

    def __init__(self, limits: Limits, counters: Drops, clock: Any) -> None:
        self.limits = limits
        limited: Counter[str] | None = getattr(counters, "limits", None)
        self._losses = counters.dropped if limited is None else limited
        self._waits = Counter[str]() if limited is None else limited
        self._clock = clock
        self._by_host: dict[str, dict[Connection, None]] = {}
        self._count = 0
        self._sweeping = False

    def __len__(self) -> int:
        return self._count

    @property
    def most_of_one_client(self) -> int:
        """Count the connections of the address that has most of them."""
        return max(map(len, self._by_host.values()), default=0)

    def make_room(self, host: str) -> bool:
        """
        Tell whether a client may have one more connection; another one may have to end for it.

        When everybody waits for a reply, only who has more than the newcomer loses one.
        """
        limits = self.limits
        mine = self._by_host.get(host, {})
        crowded = self._count * 2 > limits.connections
        if crowded and limits.per_client is not None and len(mine) >= limits.per_client:
            self._losses[_PER_CLIENT] += 1
            candidates = [mine]
        elif self._count >= limits.connections:
            self._losses[_TOTAL] += 1
            candidates = sorted(self._by_host.values(), key=len, reverse=True)
        else:
            return True
        goes = next(filter(None, map(_longest_idle, candidates)), None)
        if goes is None and len(candidates[0]) > len(mine) + 1:
            goes = _oldest(candidates[0])
        if goes is None:
            return False
        self.closed(goes)
        goes.abort()
        return True

    def opened(self, connection: Connection) -> None:
        """Take a connection in."""
        self._by_host.setdefault(connection.host, {})[connection] = None
        self._count += 1
        if not self._sweeping:
            self._sweeping = True
            self._clock.callLater(SWEEP_S, self._sweep)

    def closed(self, connection: Connection) -> None:
        """Note that a connection has ended; a second time, nothing."""
        of_client = self._by_host.get(connection.host, {})
        if connection in of_client:
            del of_client[connection]
            self._count -= 1
            if not of_client:
                del self._by_host[connection.host]

    def lost(self, connection: Connection, limit: str) -> None:
        """End a connection because of a limit: an idle one in good order, others at once."""
        if limit != IDLE:
            self._losses[limit] += 1
        if limit in (IDLE, CROWDED) and not connection.closing:
            connection.close()
        else:
            connection.abort()

    def held_up(self, limit: str) -> None:
        """Count a client that is made to wait, which costs it nothing else."""
        self._waits[limit] += 1

    def close_all(self) -> None:
        """End every connection when what was sent is out."""
        for connection in self._all():
            connection.close()

    def _sweep(self) -> None:
        """End what takes too long, the longest idle first: each makes it less crowded."""
        now = self._clock.seconds()
        left = self._count
        for connection in sorted(self._all(), key=attrgetter("active_at")):
            limit = connection.overdue(now, self.limits.idle(left))
            if limit is not None:
                left -= 1
                self.lost(connection, limit)
        self._sweeping = self._count > 0
        if self._sweeping:
            self._clock.callLater(SWEEP_S, self._sweep)

    def _all(self) -> list[Connection]:
        return [each for of_client in self._by_host.values() for each in of_client]


def _longest_idle(connections: Iterable[Connection]) -> Connection | None:
    return _oldest(each for each in connections if not each.waited_for)


def _oldest(connections: Iterable[Connection]) -> Connection | None:
    return min(connections, key=attrgetter("active_at"), default=None)
