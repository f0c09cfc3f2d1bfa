"""
Whom to ask: the servers of a route, and how many attempts they may be given.

Policies: FASTEST asks the server with the least score, which is its round trip, with what it lost
lately and how often it failed alone added. STRICT_ORDER asks the first that is up; ALL_SERVERS asks
all. In all of them a server that is down, or lost something, gets only copies, and the next server
is asked after an error at once and after silence early (exchange.py).

Attempts beyond the first of a question are paid for: each question earns nearly half a token, so
they are half as many as the questions at most. 100 tokens are kept, or one for each question in
flight if these are more. With no token left, one attempt goes out every 250 ms, and copies that
look after a lost server, on credit. Free are only those that replace an attempt which was answered
badly or failed at once.

While nothing is known of the best server, a question goes to two at once; the second is paid for.
The same when all are down and few questions are in flight. When there are many, each goes to one
server, in turn, which finds the one that comes back as fast; and nobody spends a token, so that
those who still wait then can be asked again.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from math import inf
from operator import attrgetter
from random import Random, SystemRandom

from dnsmasq_py.server import Server
from dnsmasq_py.spelling import Spelling
from dnsmasq_py.upstream import Upstream

__all__ = ["EDNS_SIZE", "Group", "Policy", "Upstream", "Upstreams"]

EDNS_SIZE = 1232  # what passes unfragmented nearly everywhere (DNS flag day 2020)
TOKENS = 100.0
_EARNED = 0.47
_CREDIT = 25.0  # also what a group begins with
_PACE_S = 0.25
_FEW = 10  # questions in flight, with which somebody must be lucky
_EXPLORE_EVERY = 50  # questions

_by_score = attrgetter("score")
_by_next_try = attrgetter("next_try")


class Policy(Enum):
    """In which order servers are asked."""

    FASTEST = "fastest"
    STRICT_ORDER = "strict-order"
    ALL_SERVERS = "all-servers"


class Group:
    """
    The servers of one route, at least one. in_flight: questions on their way.

    cluster: these are the cluster's own servers, on loopback: letter case is left alone, and their
    REFUSED is final (the next route is asked then). spelling: None to leave letter case alone.
    """

    __slots__ = (
        "_explore_in",
        "_next_free",
        "_random",
        "cluster",
        "domain",
        "edns_size",
        "in_flight",
        "opt",
        "policy",
        "spelling",
        "tokens",
        "upstreams",
    )

    def __init__(
        self,
        domain: bytes,
        upstreams: Sequence[Upstream],
        *,
        policy: Policy = Policy.FASTEST,
        cluster: bool = False,
        edns_size: int = EDNS_SIZE,
        spelling: Spelling | None = None,
        random: Random | None = None,
    ) -> None:
        self.domain = domain
        self.upstreams = tuple(upstreams)
        self.policy = policy
        self.cluster = cluster
        self.edns_size = edns_size
        self.opt = b"\0\0\x29" + edns_size.to_bytes(2) + bytes(6)  # of a query without DO
        self.spelling = None if cluster else spelling
        self.in_flight = 0
        self.tokens = _CREDIT
        self._next_free = -inf
        self._random = random or Random(SystemRandom().random())
        self._explore_in = self._explore_next()

    def first(self, now: float) -> Sequence[Upstream]:
        """Return who gets a new question: the best, and perhaps others that get a copy."""
        if self.tokens < TOKENS or self.tokens < self.in_flight:
            self.tokens += _EARNED
        upstreams = self.upstreams
        if len(upstreams) == 1:
            return upstreams
        best = None
        least = inf
        troubled = False
        for upstream in upstreams:
            if upstream.next_try <= now:
                troubled = True
            if upstream.up and upstream.score < least:
                best = upstream
                least = upstream.score
        if best is None:
            return self._panic(now)
        if self.policy is not Policy.FASTEST:
            return self._by_policy(now)
        self._explore_in -= 1
        if not (troubled or self._explore_in <= 0 or best.srtt == 0.0):
            return (best,)
        if best.srtt == 0.0:
            return self._unknown()
        return (best, *self._copies(best, now))

    def sole(self, now: float) -> Upstream | None:
        """
        Return who alone gets a new question, over UDP with EDNS; None: there is more to it.

        Then nothing has changed, and `first` is to be asked.
        """
        upstreams = self.upstreams
        best = upstreams[0]
        if len(upstreams) > 1:
            if self.policy is not Policy.FASTEST or self._explore_in <= 1:
                return None
            least = inf
            for upstream in upstreams:
                if upstream.next_try <= now:
                    return None
                if upstream.up and upstream.score < least:
                    best = upstream
                    least = upstream.score
            if best.srtt == 0.0:
                return None
        if not best.up or best.is_stream or now < best.habits.plain_until:
            return None
        if len(upstreams) > 1:
            self._explore_in -= 1
        if self.tokens < TOKENS or self.tokens < self.in_flight:
            self.tokens += _EARNED
        return best

    def alone(self) -> Upstream:
        """Return who gets a new question that is of low priority: no copies."""
        if self.tokens < TOKENS:
            self.tokens += _EARNED
        up = [upstream for upstream in self.upstreams if upstream.up] or self.upstreams
        return up[0] if self.policy is Policy.STRICT_ORDER else min(up, key=_by_score)

    def best_of(self, upstreams: Iterable[Upstream]) -> Upstream | None:
        """Return who is to be asked next among these; None if there is nobody."""
        if self.policy is Policy.STRICT_ORDER:
            return next(iter(upstreams), None)
        return min(upstreams, key=_by_score, default=None)

    def all_down(self) -> bool:
        """Tell whether no server is up."""
        return not any(upstream.up for upstream in self.upstreams)

    def spend(self, now: float) -> bool:
        """Pay for one more attempt; tell whether there was a token, or it is time for one."""
        if self.tokens >= 1 and not self.all_down():
            self.tokens -= 1
            return True
        if now < self._next_free:
            return False
        self._next_free = now + _PACE_S
        self._owe()
        return True

    def _owe(self) -> None:
        if self.tokens > -_CREDIT:
            self.tokens -= 1

    def _panic(self, now: float) -> Sequence[Upstream]:
        if self.policy is Policy.ALL_SERVERS:
            return self.upstreams
        chosen = sorted(self.upstreams, key=_by_next_try)[:2]
        if self.in_flight <= _FEW and self.tokens >= 1:
            self.tokens -= 1
        else:
            del chosen[1:]
        return chosen

    def _by_policy(self, now: float) -> Sequence[Upstream]:
        up = [upstream for upstream in self.upstreams if upstream.up]
        first = up if self.policy is Policy.ALL_SERVERS else up[:1]
        lost = self._lost(first, now)
        return first if lost is None else (*first, lost)

    def _unknown(self) -> Sequence[Upstream]:
        chosen = sorted((u for u in self.upstreams if u.up), key=_least_known)[:2]
        if len(chosen) == 2 and self.tokens >= 1:
            self.tokens -= 1
        else:
            del chosen[1:]
        return chosen

    def _copies(self, best: Upstream, now: float) -> Sequence[Upstream]:
        lost = self._lost((best,), now)
        if lost is not None:
            return (lost,)
        if self._explore_in > 0:
            return ()
        self._explore_in = self._explore_next()
        others = [u for u in self.upstreams if u.up and u is not best]
        if not others or self.tokens < 1:
            return ()
        self.tokens -= 1
        return (self._random.choice(others),)

    def _lost(self, asked: Sequence[Upstream], now: float) -> Upstream | None:
        """Return a server that lost something and that it is time to look after."""
        for upstream in self.upstreams:
            if upstream.next_try <= now and upstream not in asked:
                upstream.tried(now)
                self._owe()
                return upstream
        return None

    def _explore_next(self) -> int:
        return self._random.randint(_EXPLORE_EVERY // 2, _EXPLORE_EVERY * 3 // 2)


def _least_known(upstream: Upstream) -> tuple[bool, float]:
    """Order the unknown by how often they were asked, before the others by their score."""
    known = upstream.srtt > 0
    return known, upstream.score if known else upstream.sent


class Upstreams:
    """All servers that we know, by their configuration; keeps their state when routes change."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random(SystemRandom().random())
        self._upstreams: dict[Server, Upstream] = {}

    def get(self, server: Server) -> Upstream:
        """Return the state of a server, new for a new one."""
        upstream = self._upstreams.get(server)
        if upstream is None:
            upstream = self._upstreams[server] = Upstream(server, self._random)
        return upstream

    def retain(self, servers: Iterable[Server]) -> None:
        """Forget all servers but these."""
        wanted = set(servers)
        for server in self._upstreams.keys() - wanted:
            del self._upstreams[server]

    def all(self) -> list[Upstream]:
        """Return all servers, in the order in which they came."""
        return list(self._upstreams.values())
