"""
What a change of the cluster makes untrue, and what is too old to be believed after one.

A purge of N drops every answer that holds a record owned by N or a name below, under whatever
question, and everything missing that is N, below it or above: of a name above it was known that
nothing is below (RFC 8020), or that it has no records of its own. Questions with a `*` label go
with any purge. Answers that the cluster's server has no part in never go (`mark`).

Races are closed by the purge count. Who asks remembers it (`Resolution.since`); what comes back
after a purge of a name in it is for those who asked before, and is not kept (`covers`). The last
few purges are remembered, so that changes elsewhere keep nobody from storing; what was asked before
these is not kept.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from dnsmasq_py.cache import Cache
from dnsmasq_py.failures import Failures
from dnsmasq_py.filters import FILTERED
from dnsmasq_py.nameindex import QUESTIONS, is_wild, names_in
from dnsmasq_py.question import name_of
from dnsmasq_py.routing import Route
from dnsmasq_py.stored import Stored
from kubedns.wire import name as names
from kubedns.wire import response, rr

_REMEMBERED = 256  # purges; at one each 5 ms, all of the last 1.3 s
_QUESTION_ALONE = (QUESTIONS,)


class Purges:
    """
    See the head of this module.

    is_clusters: tells of a folded name whether the cluster's server is asked about it.
    count: purges so far. dropped: answers that went with them; suspected: answers that became good
    for nothing but to be served stale.
    """

    def __init__(
        self, cache: Cache, failures: Failures, is_clusters: Callable[[bytes], bool]
    ) -> None:
        self.count = 0
        self.dropped = 0
        self.suspected = 0
        self._cache = cache
        self._failures = failures
        self._is_clusters = is_clusters
        self._recent: deque[frozenset[bytes] | None] = deque(maxlen=_REMEMBERED)

    # What changes

    def purge(self, changed: Iterable[bytes]) -> None:
        """Forget what these folded names and those below made true."""
        these = frozenset(changed)
        self._note(these)
        self._drop(self._hit_by(these))

    def purge_all(self) -> None:
        """Forget all that the cluster's server has a part in."""
        self._note(None)
        self._drop(self._cache.by_name.all())

    def suspect_all(self, now: float) -> None:
        """Trust nothing of the cluster any more: at most serve it stale, if it was something."""
        self._note(None)
        for key in self._cache.by_name.all():
            if self._cache.entries[key].is_negative:
                self._cache.drop(key)
                self.dropped += 1
            else:
                self._cache.expire(key, now)
                self.suspected += 1

    def leave_alone(self, now: float) -> None:
        """
        Go back to what holds while nobody tells of changes: TTLs, and nothing missing is kept.

        What others answered, since the cluster's server refused, stays.
        """
        for key in self._cache.by_name.all():
            stored = self._cache.entries[key]
            if not has_part(stored):
                continue
            if is_missing(stored):
                self._cache.drop(key)
                self.dropped += 1
            else:
                self._cache.expire(key, now + stored.ttl)

    def _note(self, changed: frozenset[bytes] | None) -> None:
        self.count += 1
        self._recent.append(changed)
        self._failures.end_clusters()

    def _drop(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._cache.drop(key)
            self.dropped += 1

    def _hit_by(self, changed: frozenset[bytes]) -> set[bytes]:
        entries = self._cache.entries
        by_name = self._cache.by_name
        found = set(by_name.wild)
        for name in changed:
            for key in by_name.near(name):
                if key not in found and is_hit(key, entries[key], name):
                    found.add(key)
            for _, above in names.suffixes(names.parent(name)):
                for key in by_name.at(above):
                    if key not in found and is_hit(key, entries[key], name):
                        found.add(key)
        return found

    # What is kept

    def mark(self, key: bytes, stored: Stored) -> None:
        """Note which of the cluster's names an answer holds, before it goes into the cache."""
        is_clusters = self._is_clusters
        asked = name_of(key)
        found: tuple[bytes, ...] = _QUESTION_ALONE if is_clusters(asked) else ()
        if others := dict.fromkeys(_others(stored)):
            others.pop(asked, None)
            found += tuple(filter(is_clusters, others))
        stored.marks = found

    def came_late(self, key: bytes, stored: Stored, since: int) -> bool:
        """Tell whether a marked answer, asked for at a purge count, may be untrue by now."""
        if since == self.count or not stored.marks:
            return False
        return self.covers(since, names_in(key, stored.marks), missing=stored.is_negative)

    def covers(self, since: int, held: Iterable[bytes], *, missing: bool) -> bool:
        """Tell whether a purge after the given count was of one of these names."""
        missed = self.count - since
        if not missed:
            return False
        if missed > len(self._recent):
            return True
        held = tuple(held)
        return any(
            changed is None or any(_touches(changed, name, missing=missing) for name in held)
            for changed in islice(reversed(self._recent), missed)
        )


def is_hit(key: bytes, stored: Stored, changed: bytes) -> bool:
    """Tell whether a marked answer goes with a purge of a name; see the head of this module."""
    for name in names_in(key, stored.marks):
        if names.is_below(name, changed) or is_wild(name):
            return True
        if names.is_below(changed, name) and stored.is_negative:
            return True
    return False


def is_missing(stored: Stored) -> bool:
    """Tell whether an answer says that something is not there; not: that it was filtered."""
    return stored.is_negative and stored.error is not FILTERED


def has_part(stored: Stored) -> bool:
    """Tell whether the cluster's server said some of an answer."""
    return any(isinstance(route, Route) and route.cluster for route in routes_of(stored))


def routes_of(stored: Stored) -> Iterator[object]:
    """Give the routes that an answer is from, in the order of its chain."""
    yield stored.route
    for _, route in stored.chain:
        yield route


def _touches(changed: frozenset[bytes], name: bytes, *, missing: bool) -> bool:
    if is_wild(name) or any(above in changed for _, above in names.suffixes(name)):
        return True
    return names.ROOT in changed or (
        missing and any(names.is_below(each, name) for each in changed)
    )


def _others(stored: Stored) -> Iterator[bytes]:
    """Give all names but the asked one of which an answer says something."""
    for name, _ in stored.chain:
        yield name
    aliases = stored.octets[4:6] != b"\0\0" and stored.is_negative
    if not aliases and stored.octets[8:10] == b"\0\0":
        return
    parsed = response.read(b"\0\0" + stored.octets)
    for rrset in parsed.additional:
        yield rrset.owner
    for rrset in parsed.answer:  # the last of them leads to what is missing
        if aliases and rrset.type == rr.CNAME:
            yield from (rdata.lower() for rdata in rrset.rdatas)
