"""
A network in virtual time: servers that lose, delay, refuse, freeze and die, and a load on them.

Nothing sleeps and nothing depends on the machine: the same seed gives the same run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from dnsmasq_py.agenda import Agenda
from dnsmasq_py.exchange import Attempt, Exchange, Failure
from dnsmasq_py.question import Question
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.upstreams import Group, Policy, Upstreams
from kubedns.wire import name as names
from kubedns.wire import rr

PATIENCE_S = 4.5
_SYN_AGAIN_S = 1.0  # as kernels do
_CONNECT_S = 1.0  # when a dialer gives up
_DATA_AGAIN_S = 0.2


class Call:
    """A call that is to come; what reactors return from callLater."""

    def __init__(self, clock: "Clock", at: float, call: Callable[[], None]) -> None:
        self._clock = clock
        self.at = at
        self.call: Callable[[], None] | None = call

    def active(self) -> bool:
        return self.call is not None

    def cancel(self) -> None:
        self.call = None

    def reset(self, delay: float) -> None:
        call, self.call = self.call, None
        assert call is not None
        self.at = self._clock.now + delay
        self.call = call
        self._clock.enter(self)


class Clock:
    """Virtual time, with as much of a reactor as an agenda needs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._calls: list[tuple[float, int, Call]] = []
        self._numbers = count()

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, call: Callable[[], None]) -> Call:
        later = Call(self, self.now + delay, call)
        self.enter(later)
        return later

    def enter(self, call: Call) -> None:
        heappush(self._calls, (call.at, next(self._numbers), call))

    def waiting(self) -> list[Call]:
        return [call for at, _, call in self._calls if call.call is not None and call.at == at]

    def run(self, until: float) -> None:
        """Let everything happen that is to happen until then."""
        while self._calls and self._calls[0][0] <= until:
            at, _, later = heappop(self._calls)
            if later.call is None or later.at != at:
                continue
            self.now = at
            call, later.call = later.call, None
            call()
        self.now = until


@dataclass
class Host:
    """
    A server and the way to it. loss: share of packets lost, in each direction.

    delay_s, jitter_s: round trip, and the mean of what comes on top, exponentially. dead, frozen:
    (from, to) in seconds after the start of the load: silence; silence, and all answers afterwards.
    """

    loss: float = 0.0
    delay_s: float = 0.010
    jitter_s: float = 0.005
    rcode: int = rr.NOERROR
    dead: tuple[float, float] = (0.0, 0.0)
    frozen: tuple[float, float] = (0.0, 0.0)
    transport: Transport = Transport.UDP
    asked: int = 0
    tcp_asked: int = 0


ALWAYS = (0.0, 1e9)


class Reading:
    """A reply, read."""

    def __init__(self, message: bytes) -> None:
        self.rcode = message[3] & 15


@dataclass
class Result:
    """What one question came to; took_s until the outcome."""

    asked_at: float
    took_s: float
    rcode: int | None


@dataclass
class Net:
    """Hosts, the group that asks them, and what came of it."""

    hosts: list[Host]
    seed: int
    policy: Policy = Policy.FASTEST
    cluster: bool = False
    results: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.start = self.clock.now
        self.random = Random(self.seed)
        self.agenda = Agenda(self.clock)
        self.upstreams = Upstreams(Random(self.seed + 1))
        servers = [
            Server(f"192.0.2.{number}", transport=host.transport)
            for number, host in enumerate(self.hosts, 1)
        ]
        self._hosts = {
            server.address: host for server, host in zip(servers, self.hosts, strict=True)
        }
        self.group = Group(
            names.ROOT,
            [self.upstreams.get(server) for server in servers],
            policy=self.policy,
            cluster=self.cluster,
            random=Random(self.seed + 2),
        )

    # The dialer

    def send(self, attempt: Attempt, now: float) -> None:
        host = self._hosts[attempt.upstream.server.address]
        host.asked += 1
        if attempt.tcp:
            host.tcp_asked += 1
            self._connect(attempt, host)
            return
        if self._lost(host) or self._gone(host, now):
            return
        there = self._thaw(host, now + host.delay_s / 2)
        if not self._lost(host):
            back = there + host.delay_s / 2 + self._jitter(host)
            self._at(back, lambda: self._deliver(attempt, host))

    def cancel(self, attempt: Attempt) -> None:
        pass

    def _connect(self, attempt: Attempt, host: Host) -> None:
        if self._gone(host, self.clock.now) or self._lost(host) or self._lost(host):
            # The second SYN comes when the dialer has given up.
            self._at(self.clock.now + _CONNECT_S, lambda: self._fail(attempt, "no connection"))
            return
        ready = self.clock.now + host.delay_s + self._jitter(host)
        while self._lost(host) or self._lost(host):
            ready += _DATA_AGAIN_S
        ready = self._thaw(host, ready)
        self._at(ready + host.delay_s + self._jitter(host), lambda: self._deliver(attempt, host))

    def _deliver(self, attempt: Attempt, host: Host) -> None:
        message = bytes((0, 0, 0x81, 0x80 | host.rcode, 0, 1, 0, 0, 0, 0, 0, 0)) + attempt.octets
        attempt.exchange.received(attempt, message, self.clock.now)

    def _fail(self, attempt: Attempt, reason: str) -> None:
        attempt.exchange.failed(attempt, reason, self.clock.now)

    def _at(self, at: float, call: Callable[[], None]) -> None:
        self.clock.callLater(at - self.clock.now, call)

    def _lost(self, host: Host) -> bool:
        return self.random.random() < host.loss

    def _jitter(self, host: Host) -> float:
        return self.random.expovariate(1 / host.jitter_s) if host.jitter_s else 0.0

    def _gone(self, host: Host, now: float) -> bool:
        since, until = host.dead
        return since <= now - self.start < until

    def _thaw(self, host: Host, at: float) -> float:
        since, until = host.frozen
        return self.start + until if since <= at - self.start < until else at

    # The load

    def load(self, questions: int, per_s: float = 100.0) -> "Net":
        """Ask so many questions, evenly in time, and wait for the outcome of all."""
        for number in range(questions):
            self._at(self.clock.now + number / per_s, lambda: (self.ask(), None)[1])
        self.clock.run(self.clock.now + questions / per_s + PATIENCE_S + 3)
        return self

    def ask(self, **more: Any) -> Exchange[Reading]:
        now = self.clock.now
        result = Result(now - self.start, PATIENCE_S, None)
        self.results.append(result)

        def finished(exchange: Exchange[Reading], outcome: Reading | Failure) -> None:
            result.took_s = self.clock.now - now
            if not isinstance(outcome, Failure):
                result.rcode = outcome.rcode

        exchange = Exchange(
            question(), self.group, self, Reading, finished, now + PATIENCE_S, **more
        )
        exchange.start(now)
        self.agenda.add(exchange)
        return exchange

    # What came of it

    @property
    def good(self) -> float:
        """Return the share of questions with an answer."""
        return sum(result.rcode == rr.NOERROR for result in self.results) / len(self.results)

    def percentile(self, share: float) -> float:
        """Return within how many milliseconds so many questions had their outcome."""
        took = sorted(result.took_s for result in self.results)
        return 1000 * took[min(len(took) - 1, int(len(took) * share))]

    @property
    def effort(self) -> float:
        """Return attempts for each question."""
        return sum(host.asked for host in self.hosts) / len(self.results)


def question(qname: str = "www.example.com.") -> Question:
    octets = names.from_text(qname) + b"\0\1\0\1"
    return Question(octets, octets[:-4].lower(), rr.A, do=False, cd=False, rd=True)


def scenarios() -> Iterator[tuple[str, list[Host]]]:
    """Yield the weather of the design's table, by letter."""
    yield "A", [Host(), Host()]
    yield "B", [Host(loss=0.1), Host(loss=0.1)]
    yield "C", [Host(dead=ALWAYS), Host()]
    yield "D", [Host(dead=ALWAYS), Host(loss=0.1)]
    yield "E", [Host(frozen=(5, 7)), Host(delay_s=0.011)]
    yield "F", [Host(delay_s=0.001, jitter_s=0, rcode=rr.SERVFAIL), Host()]
    yield "G", [Host(delay_s=0.001, jitter_s=0, rcode=rr.REFUSED), Host()]
    yield "H", [Host(delay_s=0.3), Host()]
