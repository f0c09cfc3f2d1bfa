"""One exchange played on a plain clock: what was sent, what came, and how it ended."""

from math import inf
from random import Random

from dnsmasq_py.exchange import Attempt, Exchange, Failure
from dnsmasq_py.question import Question
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.spelling import Spelling
from dnsmasq_py.upstreams import Group, Policy, Upstream, Upstreams
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.question import WireError

PATIENCE_S = 4.5
BROKEN = b"broken"
RTT_S = 0.010


class Reading:
    """A reply, read; broken if it says so."""

    def __init__(self, message: bytes) -> None:
        if message.endswith(BROKEN):
            raise WireError("cut short", None)
        self.message = message
        self.rcode = message[3] & 15


def question(qname: str = "www.example.com.") -> Question:
    """Return a question for addresses, with the letter case of the text."""
    name = names.from_text(qname)
    return Question(name + b"\0\1\0\1", name.lower(), rr.A, do=False, cd=False, rd=True)


class Play:
    """
    An exchange with servers 192.0.2.1, .2 and so on, of which `known` have answered in 10 ms.

    `log` has what was sent as (ms, number of the server, what): a dot for UDP, t for TCP, p for
    plain DNS without EDNS.
    """

    def __init__(
        self,
        servers: int = 2,
        *,
        known: int | None = None,
        policy: Policy = Policy.FASTEST,
        cluster: bool = False,
        transport: Transport = Transport.UDP,
        spelling: Spelling | None = None,
        asked: Question | None = None,
    ) -> None:
        self.now = 1000.0
        self.upstreams = Upstreams(Random(1))
        self.members = [
            self.upstreams.get(Server(f"192.0.2.{n}", transport=transport))
            for n in range(1, servers + 1)
        ]
        for n, upstream in enumerate(self.members[:known], 1):
            for _ in range(20):
                upstream.answered(RTT_S + n / 1e6, 0, self.now - 1)
            upstream.habits.edns_works()
        self.group = Group(
            names.ROOT,
            self.members,
            policy=policy,
            cluster=cluster,
            spelling=spelling,
            random=Random(2),
        )
        self.asked = asked or question()
        self.refuse: set[Upstream] = set()
        self.cancelled: list[Attempt] = []
        self.late: list[Reading] = []
        self.outcomes: list[Reading | Failure] = []
        self.sent: list[Attempt] = []
        self.began = self.now

    def start(self, *, extras: bool = True) -> "Play":
        """Send the question off."""
        self.began = self.now
        self.ended_at = inf
        self.outcomes.clear()
        self.exchange = Exchange(
            self.asked,
            self.group,
            self,
            Reading,
            self._finished,
            self.now + PATIENCE_S,
            late=lambda _, reply: self.late.append(reply),
            extras=extras,
        )
        self.exchange.start(self.now)
        assert not self.outcomes, "an outcome before start has returned"
        return self

    def send(self, attempt: Attempt, now: float) -> None:
        self.sent.append(attempt)
        if attempt.upstream in self.refuse:
            raise OSError(101, "Network is unreachable")

    def cancel(self, attempt: Attempt) -> None:
        self.cancelled.append(attempt)

    def _finished(self, exchange: Exchange[Reading], outcome: Reading | Failure) -> None:
        self.outcomes.append(outcome)
        self.ended_at = round(1000 * (self.now - self.began))

    # What happens

    def hear(
        self, rcode: int = 0, attempt: int = -1, *, cut: bool = False, broken: bool = False
    ) -> bool:
        """Let a reply to an attempt come, by default to the last one."""
        one = self.sent[attempt]
        flags = bytes((0x83 if cut else 0x81, 0x80 | rcode))
        message = b"\0\0" + flags + b"\0\1\0\0\0\0\0\0" + one.octets + (BROKEN if broken else b"")
        return self.exchange.received(one, message, self.now)

    def fail(self, reason: str = "Connection refused", attempt: int = -1) -> None:
        """Let an attempt fail."""
        self.exchange.failed(self.sent[attempt], reason, self.now)

    def wait(self, ms: float = 10_000) -> "Play":
        """Let time pass; the exchange is called exactly when it wants to be."""
        end = self.now + ms / 1000
        while self.exchange.due <= end:
            self.now = max(self.now, self.exchange.due)
            self.exchange.timed_out(self.now)
        self.now = end
        return self

    # What came of it

    @property
    def log(self) -> list[tuple[int, int, str]]:
        """Return what was sent."""
        return [
            (
                round(1000 * (attempt.sent_at - self.began)),
                self.members.index(attempt.upstream) + 1,
                "t" if attempt.tcp else "." if attempt.edns else "p",
            )
            for attempt in self.sent
        ]

    @property
    def rcode(self) -> int | None:
        """Return the code of the outcome; None for a failure, or if there is none yet."""
        match self.outcomes:
            case [Reading() as reply]:
                return reply.rcode
            case _:
                return None

    @property
    def failure(self) -> Failure:
        """Return the outcome, which is a failure."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, Failure)
        return outcome
