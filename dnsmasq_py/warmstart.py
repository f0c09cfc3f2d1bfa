"""
What clients ask for most outlives the process: at the start it comes out of its file (hotfile.py).

Answers go into the cache as stale ones (hotanswers.py), the hottest before the first query is
taken, the others a few at a time; then all questions are asked again (warmup.py).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from dnsmasq_py import hotanswers
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.hotfile import HotFile
from dnsmasq_py.hotlist import HotList, Moment
from dnsmasq_py.limits import Failed
from dnsmasq_py.question import name_of
from dnsmasq_py.resolution import Outcome
from dnsmasq_py.stored import Stored
from dnsmasq_py.warmup import WarmUp
from kubedns.wire import rr

log = Logger()

_FIRST = 40  # answers taken in before the first query: what most clients ask for; 10 ms
_FEW = 10  # answers taken in at once after it; 2 ms
_BREATH_S = 0.002  # between two of these
_BUSY_FLIGHTS = 200  # questions of clients at servers, with which ours have to wait
_BUSY_CLIENTS = 500
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WarmStart:
    """
    See the head of this module.

    path: empty for no file. moment: tells the time. in_thread: see KeptFile. loaded, restored:
    questions that the start found, and how many answers to them are in the cache.
    """

    def __init__(
        self,
        path: str,
        forwarder: Forwarder,
        reactor: Any,
        *,
        moment: Callable[[], Moment] | None = None,
        in_thread: Callable[..., Any] = deferToThread,
    ) -> None:
        self._forwarder = forwarder
        self._reactor = reactor
        self._moment = moment or Clocks().now
        self._found: HotList | None = None  # until all of it is taken in
        self._since = 0  # purge count
        self._stopped = False
        self.file = HotFile(path, forwarder, reactor, self._moment, in_thread)
        self.warmup = WarmUp(
            self._ask, is_told=forwarder.feed.is_alive, is_busy=self._is_busy, over=self._over
        )
        self.loaded = self.restored = 0

    def load(self) -> None:
        """Read the file, and take in the hottest of it; routes must be in force."""
        found = None
        with log.failuresHandled("while reading the hot-file"):
            found = self.file.load()
        if found is None:
            return
        self._found = replace(found, questions=found.questions[: self.file.most])
        self._since = self._forwarder.purges.count
        self.loaded = len(self._found.questions)
        with log.failuresHandled("while taking in the hot-file"):
            self._take_in(self._found, 0, _FIRST)

    def start(self) -> None:
        """Begin to ask again, and to write."""
        self.file.start()
        if self._found is not None:
            Deferred.fromCoroutine(self._begin(self._found))

    async def stop(self) -> None:
        """Ask no more, and write a last time, unless the file has more than we know."""
        self._stopped = True
        self.warmup.stop()
        await self.file.stop(write=self._found is None)

    def cleared(self) -> None:
        """Note that the cache was emptied on purpose: the file must not bring it back."""
        self._found = None
        self.file.hotness.changed = True

    def status(self) -> dict[str, object] | None:
        """Describe it for /status; None: there is no file."""
        if self.file.path is None:
            return None
        return {
            "file": self.file.shown,
            "age_s": None if self.file.age_s is None else round(self.file.age_s, 3),
            "octets": self.file.octets,
            "questions": self.file.kept,
            "answers": self.file.answers,
            "writes": self.file.writes,
            "errors": self.file.errors,
            "last_error": self.file.last_error,
            "at_start": {
                "questions": self.loaded,
                "answers": self.restored,
                "refreshed": self.warmup.refreshed,
                "failed": self.warmup.failed,
                "needless": self.warmup.needless,
                "left": self.warmup.left,
            },
        }

    async def _begin(self, found: HotList) -> None:
        """Take in the rest, and have all of it asked again."""
        with log.failuresHandled("while taking in the hot-file"):
            for start in range(_FIRST, len(found.questions), _FEW):
                await deferLater(self._reactor, _BREATH_S)
                if self._stopped or self._found is None:
                    return
                self._take_in(found, start, _FEW)
        self._found = None
        routes = self._forwarder.routes
        keys = [each.key for each in found.questions]
        asked = [(key, route := routes.find(name_of(key)), route.cluster) for key in keys]
        log.info(
            "asking again for {count} questions of {age} ago; {answers} answers of then at hand",
            count=len(asked), age=_in_words(self.file.age_s or 0.0), answers=self.restored,
        )  # fmt: skip
        self.warmup.start(asked, self._forwarder.clock())
        self._forwarder.agenda.add(self.warmup)

    def _take_in(self, found: HotList, start: int, count: int) -> None:
        """Put some of the answers into the cache; what came meanwhile is newer."""
        forwarder = self._forwarder
        cache, now = forwarder.cache, forwarder.clock()
        elapsed_s = found.written.until(self._moment())
        route_of = hotanswers.resolver(forwarder.routes, found.routes)
        for each in found.questions[start : start + count]:
            stored = None
            # What filters take out of replies now may not have been taken out of these.
            if each.answer is not None and forwarder.takes_plain and each.key not in cache.entries:
                stored = hotanswers.restored(each.key, each.answer, elapsed_s, route_of, now)
            if stored is not None and self._is_usable(each.key, stored, now):
                cache.put(each.key, stored, now)
                self.restored += 1
            self.file.hotness.restore(each.key, each.heat, now - elapsed_s, int(stored is not None))

    def _is_usable(self, key: bytes, stored: Stored, now: float) -> bool:
        """Tell whether an answer is good for anything, and make it as `Keeping` would."""
        forwarder = self._forwarder
        if forwarder.options.no_round_robin:
            stored.cycle = ()
        forwarder.purges.mark(key, stored)
        if forwarder.purges.came_late(key, stored, self._since):
            return False
        if now >= stored.expires + forwarder.cache.stale_s:
            return False
        return stored.rcode != rr.NXDOMAIN or not forwarder.local.knows(name_of(key))

    def _ask(self, key: bytes, now: float) -> bool:
        resolution = self._forwarder.renew(key)
        if resolution is None:
            return False
        resolution.tell(_Asked(key, self._ended))
        resolution.ask(now)
        return True

    def _ended(self, key: bytes, outcome: Outcome, now: float) -> None:
        self.file.hotness.renewed(key)
        self.warmup.ended(key, good=not isinstance(outcome, Failed), now=now)

    def _is_busy(self, now: float) -> bool:
        forwarder = self._forwarder
        return forwarder.in_flight > _BUSY_FLIGHTS or forwarder.crowd.total > _BUSY_CLIENTS

    def _over(self) -> None:
        log.info(
            "asked again: {refreshed} questions, {failed} failed, {needless} needed no asking",
            refreshed=self.warmup.refreshed, failed=self.warmup.failed,
            needless=self.warmup.needless,
        )  # fmt: skip


class _Asked:
    """Waits for what becomes of a question (resolution.Follower)."""

    __slots__ = ("_ended", "_key")

    def __init__(self, key: bytes, ended: Callable[[bytes, Outcome, float], None]) -> None:
        self._key = key
        self._ended = ended

    def followed(self, outcome: Outcome, target: bytes, now: float) -> None:
        self._ended(self._key, outcome, now)


class Clocks:
    """The machine's clocks, as they compare with those of another process on it."""

    def __init__(self) -> None:
        try:
            self._boot = _BOOT_ID.read_text().strip()
        except OSError:  # hidden: the clock on the wall must do
            self._boot = ""

    def now(self) -> Moment:
        """Return the time of now."""
        return Moment(self._boot, time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def _in_words(seconds: float) -> str:
    """Return a time as people say it: `40 s`, `4 min`, `3 h`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
