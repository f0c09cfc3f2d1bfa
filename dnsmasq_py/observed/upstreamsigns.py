"""Findings about servers: those that ask us in turn, are silent, or slow."""

from collections import deque
from collections.abc import Callable, Collection, Iterable

from dnsmasq_py.observed.findings import Findings
from dnsmasq_py.server import Server
from dnsmasq_py.upstream import Upstream

_SPAN_S = 60.0
_LEAST_LOST = 5
_LOST = 0.1
_SLOW_S = 0.5
_MAX = 1000  # servers looked at


class UpstreamSigns:
    """Looks at each server's counts now and then, and at what they were a minute ago."""

    def __init__(
        self,
        found: Findings,
        upstreams: Callable[[], Iterable[Upstream]],
        looping: Callable[[], Collection[Server]],
    ) -> None:
        self._found = found
        self._upstreams = upstreams
        self._looping = looping
        self._known_looping: frozenset[str] = frozenset()
        self._past: dict[str, deque[tuple[float, int, int]]] = {}  # when, sent, timeouts

    def judge(self, now: float) -> None:
        """Look at all of them; now: seconds since the epoch."""
        looping = frozenset(map(str, self._looping()))
        for about in sorted(looping):
            times = about not in self._known_looping
            self._found.seen("upstream-loops-back", about, _LOOPS.format(about), now, times)
        self._known_looping = looping
        past: dict[str, deque[tuple[float, int, int]]] = {}
        for upstream, _ in zip(self._upstreams(), range(_MAX), strict=False):
            about = str(upstream.server)
            looks = past[about] = self._past.get(about, deque())
            looks.append((now, upstream.sent, upstream.timeouts))
            while looks[0][0] < now - _SPAN_S:
                looks.popleft()
            if len(looks) > 1:
                self._judge_one(about, upstream, looks, now)
        self._past = past

    def _judge_one(
        self, about: str, upstream: Upstream, looks: deque[tuple[float, int, int]], now: float
    ) -> None:
        _, sent_then, lost_then = looks[0]
        _, sent_before, lost_before = looks[-2]
        sent, lost = upstream.sent - sent_then, upstream.timeouts - lost_then
        if upstream.timeouts > lost_before and lost >= _LEAST_LOST and lost >= _LOST * sent:
            text = _SILENT.format(about, lost, max(sent, lost))
            more = upstream.timeouts - lost_before
            self._found.seen("upstream-slow-or-silent", about, text, now, more)
        elif upstream.sent > sent_before and upstream.srtt >= _SLOW_S:
            text = _SLOW.format(about, upstream.srtt * 1000)
            more = upstream.sent - sent_before
            self._found.seen("upstream-slow-or-silent", about, text, now, more)


_LOOPS = (
    "questions that {} gets come back to us, so it is not asked any more; take it out of "
    "upstreamNameservers or the node's resolv.conf, or give it other servers to ask"
)
_SILENT = (
    "{} left {} of {} questions of the last minute without an answer; see whether it runs and "
    "whether the network lets UDP and TCP to it pass, or put another server beside it"
)
_SLOW = (
    "{} needs {:.0f} ms for an answer; see what keeps it, or put a server that is nearer beside it"
)
