"""
Both ends of the feed together: kubedns' zone, its session, the forwarder and its cache.

The universe of test_any_order_of_events.py changes step by step; after each step every question is
asked through a warm cache, and again of a forwarder that keeps nothing. They must say the same.
"""

import itertools
import random
from collections.abc import Callable
from typing import Any

import dns.message
import pytest

from dnsmasq_py.attempt import Attempt
from kubedns.cluster.objects import Kind
from kubedns.tell.session import Session, State
from kubedns.wire import response, rr
from kubedns.zone.lookup import PodNames
from tests.builders import Served
from tests.core.test_any_order_of_events import (
    DECODED,
    KEYS,
    MESSAGES,
    Drop,
    Forget,
    Listed,
    Put,
    apply,
    started,
    zone_of,
)
from tests.fwdreplay import CLIENT, KUBEDNS, Replay, reply_to, soa, text_of

STEPS = 6
SENDER = (KUBEDNS.address, KUBEDNS.port)
OUTSIDE = "www.example.com. 300 IN A 192.0.2.80"
ASKED = [each[:2] + b"\1" + each[3:] for each in MESSAGES]  # with RD
Said = tuple[int, frozenset[Any], frozenset[Any]]


class Pair(Replay):
    """
    A forwarder whose cluster server is a zone; outside there is one name.

    held: what is said now, and delivered later; None: at once.
    """

    def __init__(self, served: Served, **options: Any) -> None:
        self.served = served
        self.held: list[tuple[Attempt, bytes]] | None = None
        self._ports = itertools.count(1)
        super().__init__(auto=lambda _: None, **options)
        self.forwarder.cluster_is_ours = True

    def _answer_one(self) -> bool:
        if not self.sent:
            return False
        attempt = self.sent.pop(0)
        octets = self._said(attempt)
        if self.held is None:
            self.deliver(attempt, octets)
        else:
            self.held.append((attempt, octets))
        return True

    def _said(self, attempt: Attempt) -> bytes:
        message = b"\x12\x34" + attempt.message
        if attempt.upstream.server == KUBEDNS:
            octets = self.served.octets(message)
            assert octets is not None
            return octets
        asked = dns.message.from_wire(message)
        if text_of(attempt) == "www.example.com. A":
            return reply_to(asked, OUTSIDE).to_wire()
        return reply_to(asked, authority=soa(".", 300), rcode="NXDOMAIN").to_wire()

    def ask(self, message: bytes) -> bytes:
        """Return the reply, of receivers if they have one."""
        at_once = self.at_once(message)
        if at_once is not None:
            return at_once
        (reply,) = self.asks(message)
        return reply

    def asks(self, message: bytes) -> list[bytes]:
        """Ask, and return the replies, which may be still to come."""
        replies: list[bytes] = []
        self.forwarder.handle(message, (CLIENT, next(self._ports)), replies.append)
        self.settle()
        return replies

    def release(self) -> None:
        """Deliver what was held."""
        held, self.held = self.held or [], None
        for attempt, octets in held:
            self.deliver(attempt, octets)
        self.settle()


def said(reply: bytes) -> Said:
    """Read a reply: rcode, answer and additional, in no order."""
    parsed = response.read(reply)
    answer, additional = (
        frozenset(
            (r.owner, r.type, b"" if r.type == rr.SOA else rdata)  # its serial ages by its TTL
            for r in section
            for rdata in r.rdatas
        )
        for section in (parsed.answer, parsed.additional)
    )
    return parsed.rcode, answer, additional


class Feed:
    """A session with a forwarder, on its clock, over a line without loss."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        tree = pair.served.cluster.tree
        self.session = Session(tree.zone, lambda: tree.serial, lambda: b"instance")
        self._carry(lambda now: self.session.start(now))

    def tell(self, changed: set[bytes] | None) -> None:
        """Tell of a change, and wait for its receipt."""
        self._carry(lambda now: self.session.tell(changed, now))

    def _carry(self, first: Callable[[float], bytes | None]) -> None:
        octets = first(self._pair.clock.now)
        while octets is not None or self.session.waiting != 0:
            if octets is None:
                self._pair.clock.run(self.session.deadline)
                octets = self.session.timed_out(self._pair.clock.now)
                continue
            replies: list[bytes] = []
            self._pair.forwarder.handle(octets, SENDER, replies.append)
            (receipt,) = replies
            octets = self.session.received(receipt, self._pair.clock.now)
        assert self.session.state is State.TOLD


def step(rng: random.Random) -> list[Any]:
    """Return a few events that come together."""
    made: list[Any] = []
    for kind in rng.choices((Put, Drop, Forget, Listed), (80, 30, 1, 1), k=rng.randint(1, 3)):
        if kind is Put:
            made.append(Put(rng.randrange(len(DECODED))))
        elif kind is Drop:
            made.append(Drop(rng.randrange(len(KEYS))))
        elif kind is Forget:
            made.append(Forget(Kind.NAMESPACE))
        else:
            made.append(Listed(Kind.NAMESPACE, tuple(range(len(DECODED)))))
    return made


@pytest.mark.parametrize("mode", list(PodNames))
def test_a_warm_cache_says_what_no_cache_says_whatever_has_changed(mode: PodNames) -> None:
    rng = random.Random(f"whole {mode}")
    cluster = started()
    served = Served(cluster, zone_of(cluster, {"pods": mode, "wildcards": True}))
    kept = Pair(served, cache_size=5000, no_negcache=True)
    feed = Feed(kept)
    asked = hits = 0
    for _ in range(STEPS):
        for message in ASKED:
            kept.ask(message)
        kept.held = []
        for message in rng.sample(ASKED, 20):  # on their way when the change comes
            kept.cache.drop(_key(message))
            kept.held = kept.held or []
            kept.asks(message)
        for event in step(rng):
            apply(cluster, event)
        change = cluster.flush()
        served.answers.forget(change.tags)
        if change:
            feed.tell(change.names())
        kept.release()
        truth = Pair(served, cache_size=0)
        for message in ASKED:
            misses = kept.counters.misses
            rcode, answer, additional = said(kept.ask(message))
            expected = said(truth.ask(message))
            assert (rcode, answer) == expected[:2], message
            assert additional <= expected[2]
            asked += 1
            hits += kept.counters.misses == misses
        kept.time_passes(0.5)
    assert kept.forwarder.feed.out_of_step == 0
    assert not kept.counters.exceptions
    print(f"{hits} of {asked} questions after a change were answered from the cache")
    assert hits > asked // 2, "else nothing was tested"


def _key(message: bytes) -> bytes:
    end = 12
    while message[end]:
        end += 1 + message[end]
    return message[12 : end + 5] + b"\0"
