"""
Questions on their way: each once, and so many: then one makes room for the newest.

Who has much under way pays for the lack of room. Each question is charged to one client of those
who wait for it, the one with the least under way. What goes is, in this order,

- one that nobody waits for, such as a refresh of what is stored,
- the oldest of the client with the most, if that is more than LIGHT,
- the oldest.

So one client that asks a thousand at once costs nobody else an answer, and what a flood takes from
forged addresses is what came first, as before: there everybody is light, and an own count for each
would tell nothing. To refuse the newest of the heavy one instead (limits.Crowd does so) would need
a bound below that of the group, which a node's cache that stands for a hundred pods would feel on
a quiet day, and what it asked before others came would still push these out.

Costs: two or three dict operations a question; to find the one with the most is to look at those
with more than LIGHT, 58 in a group of 1,000, and only when there is no room.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from dnsmasq_py.counters import Counters
from dnsmasq_py.limits import MAX_GROUP_QUESTIONS, MAX_QUESTIONS, Alarm, Shed
from dnsmasq_py.upstreams import Group
from kubedns.wire import rr

if TYPE_CHECKING:
    from dnsmasq_py.resolution import Resolution

_EDE_NOT_READY = 14
LIGHT = 16  # questions to one group, with which a client is like any other
NOBODY = ""


class Queue:
    """
    The questions to one group, in the order in which they came, and by who pays for them.

    Each is in `order`, and among those of its payer; `heavy` has the payers with more than LIGHT.
    """

    __slots__ = ("by_payer", "heavy", "order")

    def __init__(self) -> None:
        self.order: dict[Resolution, None] = {}
        self.by_payer: dict[str, dict[Resolution, None]] = {}
        self.heavy: dict[str, dict[Resolution, None]] = {}

    def add(self, resolution: "Resolution") -> None:
        """Take one in, to be paid by its payer."""
        self.order[resolution] = None
        self._charge(resolution)

    def remove(self, resolution: "Resolution") -> None:
        """Forget one that is there."""
        del self.order[resolution]
        self._discharge(resolution)

    def pass_on(self, resolution: "Resolution", payer: str) -> None:
        """Charge one that is there to somebody else."""
        self._discharge(resolution)
        resolution.payer = payer
        self._charge(resolution)

    def is_lighter(self, client: str, payer: str) -> bool:
        """Tell whether a client has less here than who pays."""
        by_payer = self.by_payer
        return payer == NOBODY or len(by_payer.get(client, ())) < len(by_payer[payer])

    def first_to_go(self) -> "dict[Resolution, None]":
        """Return the questions of which one goes before all others; without any: nobody's do."""
        by_most = max(self.heavy.values(), key=len, default={})
        return self.by_payer.get(NOBODY) or by_most

    def _charge(self, resolution: "Resolution") -> None:
        payer = resolution.payer
        own = self.by_payer.setdefault(payer, {})
        own[resolution] = None
        if len(own) == LIGHT + 1 and payer != NOBODY:
            self.heavy[payer] = own

    def _discharge(self, resolution: "Resolution") -> None:
        payer = resolution.payer
        own = self.by_payer[payer]
        del own[resolution]
        if not own:
            del self.by_payer[payer]
        elif len(own) == LIGHT:
            self.heavy.pop(payer, None)


class Flights:
    """
    Resolutions by cache key, and by the group that they wait for.

    max_group: questions of one group; None: our own bound.
    """

    def __init__(self, max_group: int | None, counters: Counters) -> None:
        self._by_key: dict[bytes, Resolution] = {}
        self._by_group: dict[Group, Queue] = {}
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
        """Take one in that goes to a group; where there are too many, another is given up."""
        queue = self._by_group.get(group)
        if queue is not None and len(queue.order) >= self.max_group:
            victim = next(iter(queue.first_to_go() or queue.order))
            self._shed(victim, "questions of one group", self.max_group, now)
        elif len(self._by_key) >= MAX_QUESTIONS and resolution.key not in self._by_key:
            self._shed(self._first_of_all(), "questions", MAX_QUESTIONS, now)
        self._by_key[resolution.key] = resolution
        self._by_group.setdefault(group, Queue()).add(resolution)
        self._alarm.see(len(self._by_key))

    def joined(self, resolution: "Resolution", client: str) -> None:
        """Note who waits for a resolution now, or who pays for another one that does."""
        step: Resolution | None = resolution
        while step is not None:
            queue = self._queue(step)
            if queue is None:
                step.payer = step.payer or client
            elif client != step.payer and queue.is_lighter(client, step.payer):
                queue.pass_on(step, client)
            step = step.inner

    def abandoned(self, resolution: "Resolution") -> None:
        """Note that nobody waits for a resolution any more, though it goes on."""
        queue = self._queue(resolution)
        if queue is not None:
            queue.pass_on(resolution, NOBODY)

    def leave(self, resolution: "Resolution", group: Group | None) -> None:
        """Note that a resolution waits for a group no more."""
        queue = self._queue(resolution)
        if queue is not None and group is not None:
            queue.remove(resolution)
            if not queue.order:
                del self._by_group[group]

    def end(self, resolution: "Resolution") -> None:
        """Note that a resolution is over."""
        self.leave(resolution, resolution.route.group)
        if self._by_key.get(resolution.key) is resolution:
            del self._by_key[resolution.key]

    def _queue(self, resolution: "Resolution") -> Queue | None:
        """Return the queue that a resolution is in."""
        group = resolution.route.group
        queue = self._by_group.get(group) if group is not None else None
        return queue if queue is not None and resolution in queue.order else None

    def _first_of_all(self) -> "Resolution":
        """Return what goes when there is no room for any group's: of the one with the most."""
        found = (queue.first_to_go() for queue in self._by_group.values())
        return next(iter(max(found, key=len, default={}) or self._by_key.values()))

    def _shed(self, victim: "Resolution", limit: str, most: int, now: float) -> None:
        self._counters.limits[limit] += 1
        text = f"more than {most} questions on their way"
        victim.give_up(Shed(rr.SERVFAIL, (_EDE_NOT_READY, text)), now)
