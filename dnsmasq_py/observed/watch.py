"""
Looks at what is new in the ring, a few times a second, and makes counts and findings of it.

Of what came since the last look so many are taken, from some place on, one behind the other, so
that walks through a search list are seen as a whole; each then stands for what was passed over,
too. So there is a bound to what all of this costs, however much is asked.

Where hits come by the ten thousand, receivers are told to note one of several only: that costs them
less, and failures are not pushed out of the ring within a moment.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from dnsmasq_py.observed import records
from dnsmasq_py.observed.findings import Findings
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.observed.signs import Signs
from dnsmasq_py.observed.tally import Tally
from dnsmasq_py.observed.upstreamsigns import UpstreamSigns
from dnsmasq_py.observed.walks import Walks
from dnsmasq_py.server import Server
from dnsmasq_py.upstream import Upstream
from kubedns.wire import rr
from kubedns.wire.question import HEADER

log = Logger()

LOOK_S = 0.2
MOST = 300  # records of one look
_LOOKED_PER_S = 500  # in the long run: at a thousand queries a second 2 us for each of them
_LEAST = 100
_FEWEST = 20  # so that a walk is seen as a whole
_BUDGET_S = 0.002  # of CPU time, for one look
_JUDGE_S = 5.0
_PER_S = 2000  # hits noted, or a little more: the ring reaches back for ten seconds
_PLAIN_PER_S = 50  # the same without the native piece, where noting costs a hundred times more
_MAX_EVERY = 127
_IN = rr.IN.to_bytes(2)
_MAX_QUESTIONS = 500  # remembered as they were spelled


class Observed:
    """
    Everything that is known of the traffic.

    rcodes: returns how many replies there were so far, by rcode. upstreams: those that are asked.
    looping: of them, those that ask us. zones: the cluster's, in wire form. wall: seconds since the
    epoch; cpu: those that this thread has had of a CPU.
    """

    def __init__(
        self,
        recorder: Recorder,
        reactor: Any,
        rcodes: Callable[[], Counter[int]],
        upstreams: Callable[[], Iterable[Upstream]],
        looping: Callable[[], Collection[Server]],
        zones: Callable[[], Collection[bytes]],
        *,
        filters_aaaa: bool = False,
        wall: Callable[[], float] = time.time,
        cpu: Callable[[], float] = time.thread_time,
        rng: Random | None = None,
    ) -> None:
        self.recorder = recorder
        self.wall = wall
        self.tally = Tally(rcodes, wall())
        self.findings = Findings()
        self._walks = Walks(zones)
        self._signs = Signs(self.findings, self.tally, recorder, zones, filters_aaaa=filters_aaaa)
        self._upstream_signs = UpstreamSigns(self.findings, upstreams, looping)
        self._cpu = cpu
        self._random = rng or Random()
        self._seen = 0
        self._every = recorder.ring.every  # at least
        self._most = MOST
        self._credit = float(MOST)  # how many more may be looked at now
        self._credited = wall()
        self._questions: dict[bytes, bytes] = {}
        self._looked = wall()
        self._judged = wall()
        self._loop = LoopingCall(self._look_around)
        self._loop.clock = reactor

    def start(self) -> None:
        """Look from now on."""
        self._loop.start(LOOK_S, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _look_around(self) -> None:
        with log.failuresHandled("while looking at what was answered"):
            self.look()

    def look(self) -> None:
        """Take in what is new."""
        now = self.wall()
        ring = self.recorder.ring
        end = ring.next
        new = end - self._seen
        if new:
            began = self._cpu()
            begin = max(self._seen, ring.first)
            most = self._allowed(now)
            if end - begin > most:
                begin = self._random.randrange(begin, end - most + 1)
            _, octets = ring.read(begin, most)
            self._seen = end
            found = list(records.read(octets))
            self._credit = max(0.0, self._credit - len(found))
            factor = new / len(found)
            self.tally.sampled = ring.every * factor
            for record in found:
                self._take(record, factor, now)
            if len(found) >= _LEAST:
                took = (self._cpu() - began) / len(found)
                self._most = max(_LEAST, min(MOST, int(_BUDGET_S / took))) if took else MOST
        self._pace(new, now)
        self.tally.turn(now)
        self.recorder.look()
        if not 0 <= now - self._judged < _JUDGE_S:
            self._judged = now
            self._signs.judge(now)
            self._upstream_signs.judge(now)

    def _allowed(self, now: float) -> int:
        """Return how many records this look may take in."""
        earned = max(0.0, now - self._credited) * _LOOKED_PER_S
        self._credited = now
        self._credit = min(float(MOST), self._credit + earned)
        return min(self._most, max(_FEWEST, int(self._credit)))

    def _pace(self, new: int, now: float) -> None:
        """Let fewer hits be noted when there are many: what is rare shall stay for a while."""
        span_s = now - self._looked
        if span_s < LOOK_S / 2:
            return
        self._looked = now
        ring = self.recorder.ring
        per_s = _PER_S if self._every == 1 else _PLAIN_PER_S
        every = int(new * ring.every / span_s / per_s)
        ring.every = max(self._every, min(every, _MAX_EVERY) | 1)  # odd: A and AAAA take turns

    def _take(self, record: records.Record, factor: float, now: float) -> None:
        reply = record.reply
        question = self._question(record.query)
        if not question or len(reply) < HEADER:
            return
        weight = factor * record.weight
        rcode = reply[3] & 15
        client = record.address
        self.tally.add(
            client, question, rcode, weight, answered=not rcode and reply[6:8] != b"\0\0"
        )
        for step in self._walks.seen(
            client,
            question[:-2],
            question[-2:],
            record.at,
            weight,
            missing=rcode == rr.NXDOMAIN,
        ):
            self.tally.wasted(step.name, step.weight)
            self._signs.stepped(step)
        self._signs.seen(record, question, now)

    def _question(self, query: bytes) -> bytes:
        """
        Return folded name and type, as long as the same is asked without reading it again.

        Nothing for other classes: our own statistics are asked for all the time.
        """
        asked = query[HEADER:]
        known = self._questions.get(asked)
        if known is None:
            end = records.question_end(query)
            # The name only: type 65 is the letter A.
            known = b""
            if end and query[end - 2 : end] == _IN:
                known = query[HEADER : end - 4].lower() + query[end - 4 : end - 2]
            if len(self._questions) >= _MAX_QUESTIONS:
                self._questions.clear()
            self._questions[asked] = known
        return known

    def top(self, most: int) -> dict[str, Any]:
        """Return what is asked for most, and by whom, fit for JSON."""
        self.look()
        return self.tally.top(most, self.wall())

    def found(self) -> list[dict[str, Any]]:
        """Return all findings, fit for JSON."""
        self.look()
        return self.findings.all(self.wall())
