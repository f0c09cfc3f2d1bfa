"""
Answers by question, bounded in number and octets.

Two tables. `entries` holds one Stored for each question: the folded question section and one octet
for DO and CD, the only bits of a query that make it another question. Receiver threads answer from
it by its `shelf` (kubedns/plainshelf.py), as far as that goes. `ready` holds replies to exact
queries (stored.py), which cost receivers less where all is Python, and memory: for questions that
are asked all the time, and for what is too odd for the shelf.

Eviction is second chance: entries stand in a queue in the order they came; the one at its head
goes, unless it was used since it was last looked at, in whatever form: then its uses are forgotten
and it goes back to the end. A scan of names that are asked once pushes out only its like.

Threads: receivers read `ready` and `entries`, count the uses of what they find, and age what is
ready. All else belongs to the reactor's thread. An entry is out of their reach with the one step
that takes it out of its table, and all are with a new epoch (`clear_ready`), until each has been
found right again. Expired entries stay for `stale_s`, for times when nobody can be asked.

`by_name` finds entries by the cluster's names in them, for when one of these changes (purge.py). It
holds exactly the entries with marks, and these do not change while an entry is here.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from math import inf
from operator import sub

from dnsmasq_py.counters import Counters
from dnsmasq_py.nameindex import USUAL_DEPTH, NameIndex
from dnsmasq_py.stored import Ready, Stored
from kubedns.batch import Shelf, Table
from kubedns.wire import name as names
from kubedns.wire import rr

MAX_READY = 65536
_ENTRY_COST = 300  # octets that an entry takes beside its octets and its key, measured
_MARK_COST = 100  # each of the cluster's names in it
_READY_COST = 500  # a ready reply beside its turns
_MAX_FORMS = 8  # ready replies of one answer: clients choose the EDNS size that they write
_MAX_SPARED = 64  # entries that get their second chance for one that comes
_MAX_SPARED_STALE = 1024  # the same, while they have expired
_SWEEP_PARTS = 60  # calls of `sweep` for one look at everything
_MANY_READY = 4096  # up to so many are summed up in less than a millisecond or two
_COLLECT_S = 0.2


class Cache:
    """
    See the head of this module.

    max_entries 0: nothing is kept. max_octets: what all of it may take, measured in wire size and
    fixed costs. stale_s: how long after its expiry an entry stays. depth: see NameIndex.
    """

    def __init__(
        self,
        max_entries: int,
        max_octets: int,
        stale_s: float,
        counters: Counters,
        depth: int = USUAL_DEPTH,
    ) -> None:
        self.entries: dict[bytes, Stored] = {}
        self.ready: Table[Ready] = Table()
        self.shelf = Shelf(self.entries)
        self.shelf.epoch = 1
        self.by_name = NameIndex(depth)
        self.octets = 0
        self.max_entries = max_entries
        self.max_octets = max_octets
        self.stale_s = stale_s
        self._counters = counters
        self._queue: deque[bytes] = deque()
        self._sweep: Iterator[list[bytes]] = iter(())
        self._collected = -inf
        self._given = self.shelf.given()

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, key: bytes, stored: Stored, now: float) -> None:
        """Keep an answer in place of any other to its question."""
        entries = self.entries
        cost = _ENTRY_COST + len(key) + len(stored.octets)
        if stored.marks:
            cost = _cost(key, stored)
        old = entries.get(key)
        if old is None:
            if len(entries) >= self.max_entries or self.octets + cost > self.max_octets:
                if not self.max_entries or cost > self.max_octets:
                    return
                self._make_room(now, entries=1, octets=cost)
            self._queue.append(key)
        else:  # it keeps its place in the queue
            self._forget(key, old)
            if cost > self.max_octets:
                return
            stored.used = old.used
        entries[key] = stored
        self.octets += cost
        if stored.marks:
            self.by_name.add(key, stored.marks)
        if old is not None:
            self._make_room(now)
        self._counters.insertions += 1

    def put_ready(self, ready: Ready, now: float) -> bool:
        """
        Keep a reply for receivers; False: it cannot be given any more.

        Its answer must be in the cache.
        """
        if not ready.age(now):
            return False
        if len(self.ready) >= MAX_READY:
            for oldest in list(islice(self.ready.values(), MAX_READY // 8)):
                self._drop_ready(oldest)
        if known := self.ready.get(ready.raw):
            self._drop_ready(known)
        stored = ready.stored
        if stored.forms is None:
            stored.forms = []
        elif len(stored.forms) >= _MAX_FORMS:
            self._drop_ready(stored.forms[0])
        stored.forms.append(ready)
        self.octets += _ready_cost(ready)
        self.ready[ready.raw] = ready
        self._make_room(now)
        return True

    def drop(self, key: bytes) -> None:
        """Forget the answer to a question."""
        stored = self.entries.get(key)
        if stored is not None:
            self._forget(key, stored)

    def expire(self, key: bytes, at: float) -> None:
        """Let an entry expire then, unless it does before."""
        stored = self.entries[key]
        if at < stored.expires:
            stored.expires = at
            for ready in list(stored.forms or ()):
                self._drop_ready(ready)

    def drop_where(self, is_wrong: Callable[[bytes, Stored], bool]) -> None:
        """Forget the answers of which that is true, called with key and answer."""
        wrong = [(key, stored) for key, stored in self.entries.items() if is_wrong(key, stored)]
        for key, stored in wrong:
            self._forget(key, stored)

    def clear(self) -> None:
        """Forget all."""
        for key in list(self.entries):
            self.drop(key)
        self._queue.clear()

    @property
    def epoch(self) -> int:
        """Return the number of the configuration that answers must be right for (Stored.epoch)."""
        return self.shelf.epoch

    def open_shelf(self, max_ttl: int | None) -> None:
        """Let receivers answer from the entries."""
        if max_ttl is not None:
            self.shelf.max_ttl = max_ttl
        self.ready.shelf = self.shelf

    def clear_ready(self) -> None:
        """
        Have receivers ask again, as after a change of the configuration; entries stay.

        Each must be found right before receivers give it again.
        """
        self.shelf.epoch += 1
        for ready in list(self.ready.values()):
            self._drop_ready(ready)

    def sweep(self, now: float) -> None:
        """Drop a part of what is too old even to be stale; to be called about once a second."""
        part = next(self._sweep, None)
        if part is None:
            keys = list(self.entries)
            size = len(keys) // _SWEEP_PARTS + 1
            self._sweep = (keys[i : i + size] for i in range(0, len(keys), size))
            if len(self._queue) > 2 * len(keys) + 1000:  # full of what is gone
                self._queue = deque(keys)
            return
        for key in part:
            stored = self.entries.get(key)
            if stored is not None and now >= stored.expires + self.stale_s:
                self._forget(key, stored)

    def collect(self, now: float | None = None) -> None:
        """
        Add what receivers answered to the counters; before they are read.

        now: for those who may ask often: of many replies, uses of the last 0.2 s are left out.
        """
        self._count_given()
        if now is not None and len(self.ready) > _MANY_READY:
            if now - self._collected < _COLLECT_S:
                return
            self._collected = now
        for ready in list(self.ready.values()):
            self._count(ready)

    def cut_by(self, folded: bytes, zone: bytes, route: object, now: float) -> bytes | None:
        """
        Return the highest name above this one, in or at a zone, known not to exist (RFC 8020).

        Only by what was heard by this route, whose server can be trusted to know its empty
        non-terminals. One look at each name above, however many do not exist.
        """
        found = None
        while folded != zone and folded[0]:
            folded = names.parent(folded)
            for rtype in (rr.A, rr.AAAA):
                stored = self.entries.get(folded + bytes((0, rtype, 0, rr.IN, 0)))
                if (
                    stored is not None
                    and stored.rcode == rr.NXDOMAIN
                    and stored.route is route
                    and stored.octets[4:6] == b"\0\0"  # else it is said of a CNAME's target
                    and now < stored.dies()
                ):
                    found = folded
                    break
        return found

    def _make_room(self, now: float, *, entries: int = 0, octets: int = 0) -> None:
        """Evict until there is room for more; every entry has a place in the queue."""
        max_entries = self.max_entries - entries
        max_octets = self.max_octets - octets
        spared = 0
        while len(self.entries) > max_entries or self.octets > max_octets:
            key = self._queue.popleft()
            stored = self.entries.get(key)
            if stored is None:
                continue
            for ready in stored.forms or ():
                self._count(ready)
            alive = now < stored.expires
            # What is used although it has expired may be all that is left of a name: nobody can be
            # asked for it just now.
            if stored.used and spared < (_MAX_SPARED if alive else _MAX_SPARED_STALE):
                stored.used = 0
                spared += 1
                self._queue.append(key)
                continue
            self._counters.evictions += alive
            self._forget(key, stored)

    def _forget(self, key: bytes, stored: Stored) -> None:
        del self.entries[key]
        self.octets -= _cost(key, stored)
        if stored.marks:
            self.by_name.remove(key, stored.marks)
        for ready in stored.forms or ():
            self._drop_ready(ready, listed=False)

    def _drop_ready(self, ready: Ready, *, listed: bool = True) -> None:
        del self.ready[ready.raw]
        self.octets -= _ready_cost(ready)
        if listed and ready.stored.forms:
            ready.stored.forms.remove(ready)
        self._count(ready)

    def _count(self, ready: Ready) -> None:
        now = ready.uses  # once: a receiver may count on
        uses = now - ready.seen
        if uses:
            ready.seen = now
            ready.stored.used += uses
            self._counters.hits += uses
            self._counters.queries["udp", ready.stored.rcode] += uses

    def _count_given(self) -> None:
        """Add the replies that were made of entries to the counters."""
        before, self._given = self._given, self.shelf.given()
        for protocol, old, new in zip(("udp", "tcp"), before, self._given, strict=True):
            for rcode, uses in enumerate(map(sub, new, old)):
                if uses:
                    self._counters.queries[protocol, rcode] += uses
                    if protocol == "udp":
                        self._counters.hits += uses
                    else:
                        self._counters.tcp_hits += uses


def _cost(key: bytes, stored: Stored) -> int:
    marks = _MARK_COST * len(stored.marks)
    return _ENTRY_COST + len(key) + len(stored.octets) + marks


def _ready_cost(ready: Ready) -> int:
    # Of all its turns as many octets as the answer has: they do not change with its age.
    return _READY_COST + min(len(ready.stored.cycle) or 1, 16) * len(ready.stored.octets)
