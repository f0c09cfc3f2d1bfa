"""Questions on their way: each once, and so many: the oldest makes room for the newest."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dnsmasq_py.counters import Counters
from dnsmasq_py.limits import MAX_GROUP_QUESTIONS, MAX_QUESTIONS, Alarm, Failed
from dnsmasq_py.upstreams import Group
from kubedns.wire import rr

if TYPE_CHECKING:
    from dnsmasq_py.resolution import Resolution

EDE_NOT_READY = 14


class Flights:
    """
    Resolutions by cache key, and by the group that they wait for.

    max_group: questions of one group; None: our own bound.
    """

    def __init__(self, max_group: int | None, counters: Counters) -> None:
        self._by_key: dict[bytes, Resolution] = {}
        self._by_group: dict[Group, dict[Resolution, None]] = {}
        self.max_group = max_group or MAX_GROUP_QUESTIONS
        self._counters = counters
        self._alarm = Alarm("questions", MAX_QUESTIONS, counters.limits)

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: bytes) -> "Resolution | None":
        """Return what is already being resolved."""
        return self._by_key.get(key)

    def begin(self, resolution: "Resolution") -> None:
        """Take one in that asks nobody itself."""
        self._by_key[resolution.key] = resolution

    def keep_apart(self, stays: "Callable[[Resolution], bool]") -> None:
        """Let nobody join the others any more; they go on for those who wait already."""
        self._by_key = {key: each for key, each in self._by_key.items() if stays(each)}

    def start(self, resolution: "Resolution", group: Group, now: float) -> None:
        """Take one in that goes to a group; where there are too many, the oldest is given up."""
        self._by_key[resolution.key] = resolution
        mine = self._by_group.setdefault(group, {})
        mine[resolution] = None
        self._alarm.see(len(self._by_key))
        if len(mine) > self.max_group:
            self._shed(next(iter(mine)), "questions of one group", self.max_group, now)
        elif len(self._by_key) > MAX_QUESTIONS:
            self._shed(next(iter(self._by_key.values())), "questions", MAX_QUESTIONS, now)

    def leave(self, resolution: "Resolution", group: Group | None) -> None:
        """Note that a resolution waits for a group no more."""
        mine = self._by_group.get(group) if group is not None else None
        if mine is not None and group is not None:
            mine.pop(resolution, None)
            if not mine:
                del self._by_group[group]

    def end(self, resolution: "Resolution") -> None:
        """Note that a resolution is over."""
        self.leave(resolution, resolution.route.group)
        if self._by_key.get(resolution.key) is resolution:
            del self._by_key[resolution.key]

    def _shed(self, oldest: "Resolution", limit: str, most: int, now: float) -> None:
        self._counters.limits[limit] += 1
        text = f"more than {most} questions on their way"
        oldest.give_up(Failed(rr.SERVFAIL, (EDE_NOT_READY, text)), now)
