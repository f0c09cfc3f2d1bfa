"""
One server: how fast it is, whether it is there, and what was counted of it.

The state outlives configurations and is changed by what happens to attempts, in any exchange:
`answered`, `lost` (no answer in the time that 98 of 100 take) and `spoiled`. Figures are those of
RFC 6298 (Jacobson): each attempt has its own ID, so every answer is a sample, also a late one.

A server that lost attempts falls behind in `score` at once; after four in a row, and some time
without any answer, it is down. From the first loss on it is tried with copies of questions that
another server gets, 0.25 s apart at first, up to 5 s, until it answers again. Nothing is ever sent
that nobody asked for.
"""

from bisect import bisect_left
from collections import Counter
from math import inf
from random import Random

from dnsmasq_py.habits import Habits
from dnsmasq_py.server import Server, Transport
from kubedns.serve.counters import Histogram
from kubedns.wire import rr

LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_UNKNOWN_S = 0.15  # what an unknown server is taken to need, and what it is given
_UNKNOWN_RTO_S = 0.125
_MIN_PATIENCE_S = 0.03  # hides the stalls of a busy node
_MAX_PATIENCE_S = 0.4
_MAX_RTO_S = 2.0
_DOWN_AFTER = 4  # losses in a row: 1 in 1,000 at 19 % loss, and then silence is asked for too
_DOWN_SILENCE_S = 0.25
_MIN_PAUSE_S = 0.25  # between two tries of a server that lost something
_MAX_PAUSE_S = 5.0
_JITTER = 0.2


class Upstream:
    """
    The state of one server; times in monotonic seconds.

    srtt, rttvar, rto: round trip, its deviation, and what nearly all answers come within; srtt 0:
    not known. patience: how long the next server is not asked. score: the less the better; bad: 0
    to 1, how often it failed where another server did not. up: see the head of this module.
    next_try: when it may have a copy; infinite while nothing is wrong.

    Counts: sent (attempts), retried (of these, not the first of their question), failed (refusals
    and errors, also of the network), timeouts (never answered), nxdomain, broken, rcodes, latency.
    """

    __slots__ = (
        "_pause",
        "_random",
        "bad",
        "broken",
        "consec_loss",
        "failed",
        "habits",
        "is_stream",
        "last_ok",
        "latency",
        "next_try",
        "nxdomain",
        "patience",
        "rcodes",
        "retried",
        "rto",
        "rttvar",
        "score",
        "sent",
        "server",
        "srtt",
        "timeouts",
        "up",
    )

    def __init__(self, server: Server, random: Random) -> None:
        self.server = server
        self.is_stream = server.transport is not Transport.UDP
        self.habits = Habits()
        self.srtt = 0.0
        self.rttvar = 0.0
        self.rto = _UNKNOWN_RTO_S
        self.patience = _UNKNOWN_S
        self.bad = 0.0
        self.score = _UNKNOWN_S
        self.consec_loss = 0
        self.last_ok = -inf
        self.up = True
        self.next_try = inf
        self._pause = _MIN_PAUSE_S
        self._random = random
        self.sent = 0
        self.retried = 0
        self.failed = 0
        self.timeouts = 0
        self.nxdomain = 0
        self.broken = 0
        self.rcodes: Counter[int] = Counter()
        self.latency = Histogram(LATENCY_S)

    def answered(self, rtt: float, rcode: int, now: float) -> None:
        """Take in a reply, good or bad, rtt seconds after its query."""
        srtt = self.srtt
        if srtt:
            error = rtt - srtt
            srtt += error / 8
            rttvar = self.rttvar
            rttvar += ((error if error > 0 else -error) - rttvar) / 4
        else:
            srtt = rtt or 1e-6
            rttvar = rtt / 2
        self.srtt = srtt
        self.rttvar = rttvar
        rto = srtt + 4 * rttvar
        self.rto = rto if rto < _MAX_RTO_S else _MAX_RTO_S
        if rto < _MIN_PATIENCE_S:
            self.patience = _MIN_PATIENCE_S
        else:
            self.patience = rto if rto < _MAX_PATIENCE_S else _MAX_PATIENCE_S
        latency = self.latency
        latency.counts[bisect_left(LATENCY_S, rtt)] += 1
        latency.total += rtt
        self.rcodes[rcode] += 1
        if rcode == rr.NXDOMAIN:
            self.nxdomain += 1
        if self.consec_loss:
            self._forgive()
        self.last_ok = now
        self.score = srtt + self.bad

    def alive(self, rcode: int, now: float) -> None:
        """Take in a reply that says nothing of the round trip."""
        self.last_ok = now
        self.rcodes[rcode] += 1
        if rcode == rr.NXDOMAIN:
            self.nxdomain += 1
        if self.consec_loss:
            self._forgive()
        self.score = (self.srtt or _UNKNOWN_S) + self.bad

    def _forgive(self) -> None:
        """Forget the losses."""
        self.consec_loss = 0
        self.up = True
        self.next_try = inf

    def lost(self, now: float) -> None:
        """Take in that an attempt has waited for longer than nearly all answers take, or failed."""
        self.consec_loss += 1
        if self.consec_loss == 1:
            self._pause = _MIN_PAUSE_S
            self.next_try = now + _MIN_PAUSE_S
        silence = max(_DOWN_SILENCE_S, 4 * self.rto)
        if self.consec_loss >= _DOWN_AFTER and now - self.last_ok >= silence:
            self.up = False
        self._rate()

    def tried(self, now: float) -> None:
        """Take in that it was given a copy because it had lost something."""
        jitter = 1 + _JITTER * (2 * self._random.random() - 1)
        self.next_try = now + self._pause * jitter
        self._pause = min(2 * self._pause, _MAX_PAUSE_S)

    def pleased(self) -> None:
        """Take in a good answer to somebody's question."""
        self.bad *= 0.95
        self._rate()

    def spoiled(self) -> None:
        """Take in that it failed at a question to which another server knew the answer."""
        self.bad = 0.9 * self.bad + 0.1
        self._rate()

    def saw_other_case(self) -> bool:
        """Take in a reply in another letter case than its query; tell whether it may count."""
        return self.habits.case_changed(self.last_ok)

    def _rate(self) -> None:
        self.score = (self.srtt or _UNKNOWN_S) + self.bad + self.consec_loss * self.rto
