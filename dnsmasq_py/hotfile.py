"""
The file of the hottest questions: looked at every five seconds, written every thirty at most.

What is hot (hotness.py) is looked at some entries at a time; what takes longer is done in a thread:
no query waits for it. Written is also what was purged since, away: its answers are wrong by now.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from dnsmasq_py import hotanswers, hotlist
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.hotlist import HotList, HotQuestion, Moment
from dnsmasq_py.hotness import Hotness
from dnsmasq_py.routing import Route
from kubedns.keptfile import KeptFile

log = Logger()

_LOOK_S = 5.0
_PAUSE_S = 30.0  # between two writes
_PART = 500  # entries looked at, at once; 0.2 ms
_SOME = 100  # entries taken down; 1 ms
_BREATH_S = 0.002  # between two parts


class HotFile(KeptFile):
    """
    See the head of this module, and KeptFile.

    path: empty for no file. moment: tells the time. most: questions. kept, answers: how many were
    written last, and how many of them with their answer.
    """

    def __init__(
        self,
        path: str,
        forwarder: Forwarder,
        reactor: Any,
        moment: Callable[[], Moment],
        in_thread: Callable[..., Any] = deferToThread,
    ) -> None:
        # Without a cache there is nothing to be warm.
        super().__init__(path if forwarder.cache.max_entries else "", "hot-file", in_thread)
        self.hotness = Hotness()
        self.most = min(hotlist.MOST, forwarder.cache.max_entries)
        self.kept = self.answers = 0
        self._forwarder = forwarder
        self._reactor = reactor
        self._moment = moment
        self._written: Moment | None = None
        self._purged = 0
        self._last = float("-inf")  # monotonic seconds of the last try to write
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor
        self._looking: Any = None
        self._stopped = False

    def load(self) -> HotList | None:
        """Return what the file holds, if it can be used."""
        read = self.read(hotlist.decode)
        if read is None:
            return None
        found, _ = read
        self._written = found.written
        return found

    def start(self) -> None:
        """Begin to write."""
        if self.path is not None:
            self._looking = self._loop.start(_LOOK_S, now=False)

    async def stop(self, *, write: bool) -> None:
        """End that, perhaps with a last time."""
        self._stopped = True
        if not self._loop.running:
            return
        self._loop.stop()
        await self._looking  # a write that is under way
        if write:
            with log.failuresHandled("while writing the hot-file"):
                await self._count()
                await self._save()

    @property
    def age_s(self) -> float | None:
        """Return how long ago the file was written; None: there is none."""
        return None if self._written is None else self._written.until(self._moment())

    async def _look(self) -> None:
        with log.failuresHandled("while writing the hot-file"):
            await self._count()
            purges = self._forwarder.purges
            purged = purges.dropped + purges.suspected
            # What the file says of a name that was purged since is wrong by now.
            due = self.hotness.changed or purged != self._purged
            if due and self._reactor.seconds() >= self._last + _PAUSE_S:
                self._purged = purged
                await self._save()

    async def _count(self) -> None:
        """See what was used, some entries at a time."""
        entries = self._forwarder.cache.entries
        keys = list(entries)
        for start in range(0, len(keys), _PART):
            if start:
                await self._breath()
            now = self._forwarder.clock()
            for key in keys[start : start + _PART]:
                stored = entries.get(key)
                if stored is not None:
                    self.hotness.look(key, stored, now)

    async def _save(self) -> None:
        forwarder, self._last = self._forwarder, self._reactor.seconds()
        self.hotness.changed = False
        ranked = await self._in_thread(
            self.hotness.ranked, self.most, forwarder.clock(), forwarder.cache.entries
        )
        hot = await self._taken(ranked)
        if await self.write(partial(hotlist.encode, hot)):
            self._written = hot.written
            self.kept = len(hot.questions)
            self.answers = sum(each.answer is not None for each in hot.questions)
        else:
            self.hotness.changed = True

    async def _taken(self, ranked: list[tuple[bytes, float]]) -> HotList:
        """Take down what the cache has to these questions."""
        written = self._moment()
        began = self._forwarder.clock()
        cache = self._forwarder.cache
        routes: dict[Route, int] = {}
        questions: list[HotQuestion] = []
        for key, heat in ranked:
            if questions and not len(questions) % _SOME:
                await self._breath()
            stored = cache.entries.get(key) if cache.stale_s else None
            answer = None
            if stored is not None and began < stored.expires + cache.stale_s:
                answer = hotanswers.taken(
                    stored, began, lambda route: routes.setdefault(route, len(routes))
                )
            questions.append(HotQuestion(key, heat, answer))
        return HotList(written, tuple(map(hotanswers.identity, routes)), tuple(questions))

    async def _breath(self) -> None:
        if not self._stopped:
            await deferLater(self._reactor, _BREATH_S)
