"""
What of the answers is kept, and for how long: by their TTL, by the options, by the change feed.

While the cluster's server tells of its changes (feed.py), what it said stays true until it tells
otherwise. So its answers live longer than their TTL, with which they are given out unaged; and what
is missing is kept too, in spite of --no-negcache, whose reason is gone: that a name which has come
is not found for a while. Without a feed nothing missing of the cluster is kept.
"""

from dnsmasq_py import purge
from dnsmasq_py.cache import Cache
from dnsmasq_py.feed import Feed
from dnsmasq_py.options import Options
from dnsmasq_py.purge import Purges
from dnsmasq_py.routing import Route
from dnsmasq_py.sentences import STALE
from dnsmasq_py.stored import Stored
from kubedns.wire import rr

_POSITIVE_CAP_S = 86400
_NEGATIVE_CAP_S = 10800  # RFC 2308 section 5
VOUCHED_S = 300.0  # how long an answer lives by the feed's word alone
_SOA = rr.SOA.to_bytes(2)  # its serial moves with every change, untold


class Keeping:
    """Puts answers into the cache; see the head of this module."""

    def __init__(self, options: Options, cache: Cache, purges: Purges, feed: Feed) -> None:
        self._options = options
        self._is_special = bool(
            options.min_cache_ttl_s or options.max_cache_ttl_s is not None or options.no_round_robin
        )
        self._cache = cache
        self._purges = purges
        self._feed = feed

    def keep(self, key: bytes, stored: Stored, since: int, now: float) -> None:
        """
        Store an answer for as long as the options and the RFCs allow, or not at all.

        since: the purge count when it was asked for.
        """
        options = self._options
        if stored.is_cut:
            return  # RFC 2181 section 9
        negative = purge.is_missing(stored)
        if negative and not self._may_miss(stored, now):
            return
        ttl = self._ttl(stored, negative)
        if ttl <= 0:
            return
        self._purges.mark(key, stored)
        if self._purges.came_late(key, stored, since):
            return
        if options.no_round_robin:
            stored.cycle = ()
        stored.ttl = ttl
        stored.expires = now + ttl
        if options.max_cache_ttl_s is None and self._is_vouched(key, stored, now):
            stored.expires = now + max(ttl, VOUCHED_S)
        self._cache.put(key, stored, now)

    def keep_outside(self, key: bytes, stored: Stored, now: float) -> None:
        """Do the same with an answer in which the cluster has no part, not even by its name."""
        octets = stored.octets
        # With an SOA, which comes only with what is missing, perhaps behind CNAMEs.
        negative = not octets[5] or octets[7] != 0 or octets[1] & 15 != rr.NOERROR
        if negative or self._is_special or not 0 < stored.ttl <= _POSITIVE_CAP_S:
            options = self._options
            if negative and options.no_negcache:
                return
            ttl = self._ttl(stored, negative)
            if ttl <= 0:
                return
            if options.no_round_robin:
                stored.cycle = ()
            stored.ttl = ttl
            stored.expires = now + ttl
        self._cache.put(key, stored, now)

    def _ttl(self, stored: Stored, negative: bool) -> int:
        options = self._options
        ttl = stored.ttl
        if negative and stored.octets[6:8] == b"\0\0":  # no SOA that would say for how long
            if options.neg_ttl_s is None:
                return 0
            ttl = min(ttl, options.neg_ttl_s) if stored.ttls else options.neg_ttl_s
        ttl = max(ttl, options.min_cache_ttl_s)
        ttl = min(ttl, _NEGATIVE_CAP_S if negative else _POSITIVE_CAP_S)
        if options.max_cache_ttl_s is not None:
            ttl = min(ttl, options.max_cache_ttl_s)
        return ttl

    def _may_miss(self, stored: Stored, now: float) -> bool:
        """Tell whether it may be kept that something is not there."""
        *_, last = purge.routes_of(stored)
        if not purge.has_part(stored):
            return not self._options.no_negcache
        if not self._feed.is_alive(now) or not all(map(self._tells, purge.routes_of(stored))):
            return False
        return _is_clusters(last) or not self._options.no_negcache

    def _is_vouched(self, key: bytes, stored: Stored, now: float) -> bool:
        """Tell whether all of an answer is said by the server that tells when that changes."""
        if not stored.marks or key[-5:-3] == _SOA or not self._feed.is_alive(now):
            return False
        if stored.error is not None and stored.error[0] == STALE:
            return False  # kubedns itself does not know whether it is true yet
        return all(_is_clusters(each) and self._tells(each) for each in purge.routes_of(stored))

    def _tells(self, route: object) -> bool:
        """Tell whether a route's changes are told, or it is none of the cluster."""
        return (
            not isinstance(route, Route)
            or not route.cluster
            or (route.servers == (self._feed.teller,))
        )


def _is_clusters(route: object) -> bool:
    return isinstance(route, Route) and route.cluster
