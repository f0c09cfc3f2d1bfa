"""
A cache in front that drops what it is told holds nothing that is wrong, whatever happens.

The universe of test_any_order_of_events.py: every question about it is asked before and after each
change, and stored as a cache would.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubedns.cluster.objects import Kind
from kubedns.tell.session import Session, State
from kubedns.tell.waiting import covering
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone.lookup import PodNames, Zone
from tests.builders import Cluster, pod
from tests.core.test_any_order_of_events import (
    BATCHES,
    DECODED,
    KEYS,
    WIRE,
    ZONES,
    Drop,
    Event,
    Forget,
    Listed,
    Put,
    Said,
    apply,
    said,
    started,
    zone_of,
)
from tests.listening import Listener, Question, covers


def _wrong(stored: Said, now: Said) -> bool:
    """Say whether a stored answer is wrong now; one that could hold more additional data is not."""
    if len(now) < 3 or (*stored[:2], *stored[3:]) != (*now[:2], *now[3:]):
        return True
    return not frozenset(stored[2]) <= frozenset(now[2])  # type: ignore[call-overload]


@example([[Listed(Kind.NAMESPACE, ())], [Forget(Kind.NAMESPACE)]], {"pods": PodNames.INSECURE})
@settings(max_examples=100)
@given(BATCHES, ZONES)
def test_every_name_that_changed_is_told(
    batches: list[list[Event]], options: dict[str, object]
) -> None:
    """The names of a change, less those below another one, cover each answer that is another."""
    cluster = started()
    zone = zone_of(cluster, options)
    stored = {question: said(zone, *question) for question in WIRE}
    for batch in batches:
        for event in batch:
            apply(cluster, event)
        change = cluster.flush()
        told = covering(change.names())
        assert bool(told) is bool(change)
        for question, (before, result) in stored.items():
            now = said(zone, *question)
            if result is not None and _wrong(before, now[0]):
                assert covers(told, question, result), _story(question, before, now[0], told)
            stored[question] = now


@pytest.mark.parametrize("mode", list(PodNames))
def test_a_long_walk(mode: PodNames) -> None:
    """The same in a universe that is full most of the time."""
    rng = random.Random(f"walk {mode}")
    cluster = started()
    zone = zone_of(cluster, {"pods": mode})
    stored = {question: said(zone, *question) for question in WIRE}
    for _ in range(200):
        kinds = rng.choices((Put, Drop, Forget, Listed), (80, 30, 1, 1), k=rng.randint(1, 3))
        for kind in kinds:
            if kind is Put:
                apply(cluster, Put(rng.randrange(len(DECODED))))
            elif kind is Drop:
                apply(cluster, Drop(rng.randrange(len(KEYS))))
            elif kind is Forget:
                apply(cluster, Forget(Kind.NAMESPACE))
            else:
                apply(cluster, Listed(Kind.NAMESPACE, tuple(range(len(DECODED)))))
        told = covering(cluster.flush().names())
        for question, (before, result) in stored.items():
            now = said(zone, *question)
            if result is not None and _wrong(before, now[0]):
                assert covers(told, question, result), _story(question, before, now[0], told)
            stored[question] = now


def _story(question: Question, before: Said, now: Said, told: set[bytes]) -> str:
    name, rtype = question
    listed = sorted(map(names.to_text, told))
    return f"{names.to_text(name)} {rtype}: {before} is now {now}, told: {listed}"


@dataclass
class Cache:
    """The zone, a session over a bad line, and a cache that asks and stores on one clock."""

    cluster: Cluster
    zone: Zone
    losses: Iterator[bool]
    listener: Listener = field(default_factory=Listener)
    stored: dict[Question, Said] = field(default_factory=dict)
    now: float = 0.0

    def __post_init__(self) -> None:
        numbers = itertools.count(1)
        serial = self.cluster.tree
        self.session = Session(
            serial.zone, lambda: serial.serial, lambda: next(numbers).to_bytes(8)
        )
        self._carry(self.session.start(self.now))

    def ask(self) -> None:
        """Ask all that is not stored, and store it."""
        for question in WIRE:
            if question in self.listener.stored:
                continue
            answer, result = said(self.zone, *question)
            if result is not None and result.rcode != rr.SERVFAIL:
                self.listener.stored[question] = result
                self.stored[question] = answer

    def wrong(self) -> list[Question]:
        """Return the stored answers that are wrong now."""
        return [
            question
            for question in self.listener.stored
            if _wrong(self.stored[question], said(self.zone, *question)[0])
        ]

    def tell(self, changed: set[bytes] | None) -> None:
        """Tell a change."""
        self._carry(self.session.tell(changed, self.now))

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self.session.deadline <= until:
            self.now = max(self.now, self.session.deadline)
            self._carry(self.session.timed_out(self.now))
        self.now = until

    def _carry(self, message: bytes | None) -> None:
        while message is not None:
            if next(self.losses):
                return
            receipt = self.listener.takes(message)
            if next(self.losses):
                return
            message = self.session.received(receipt, self.now)


@settings(max_examples=30)
@given(
    BATCHES,
    ZONES,
    st.lists(st.booleans(), max_size=80),
    st.lists(st.sampled_from([0.0, 0.004, 0.3, 3.5]), min_size=1),
)
def test_a_cache_behind_a_bad_line_is_right_in_the_end(
    batches: list[list[Event]],
    options: dict[str, object],
    losses: list[bool],
    pauses: list[float],
) -> None:
    """It asks while changes happen and messages are lost; soon after the last one all is true."""
    cluster = started()
    losing = itertools.chain(losses, itertools.repeat(False))
    cache = Cache(cluster, zone_of(cluster, options), losing)
    for batch, pause in zip(batches, itertools.cycle(pauses)):
        cache.ask()
        for event in batch:
            apply(cluster, event)
        change = cluster.flush()
        if change:
            cache.tell(change.names())
        cache.passes(pause)
    cache.losses = itertools.repeat(False)
    cache.passes(5.0)
    assert cache.session.state is State.TOLD
    assert cache.wrong() == []
    cache.ask()
    assert cache.wrong() == []


def test_a_lossless_line_leaves_nothing_wrong_for_a_moment() -> None:
    """What is told is dropped before the next question."""
    cluster = started()
    cache = Cache(cluster, zone_of(cluster, {"pods": PodNames.VERIFIED}), itertools.repeat(False))
    for number in range(0, 60, 3):
        cache.ask()
        apply(cluster, Put(number))
        change = cluster.flush()
        if change:
            cache.tell(change.names())
        cache.passes(0.005)
        assert cache.wrong() == []


def test_an_ipv6_pod_has_many_names() -> None:
    """All spellings of its address are answered, so all are told."""
    cluster = started()
    cluster.tree.set_namespaces(frozenset((b"a",)))
    change = cluster.put(pod("p", "a", ips=["fd00::1"]))
    root = names.from_text("a.pod.cluster.local")
    assert covering(change.names()) == {root}
    change = cluster.put(pod("q", "a", ips=["10.1.0.1"]))
    assert change.names() == {names.child(b"10-1-0-1", root)}


def test_names_below_others_are_left_out() -> None:
    """With a name goes all that lies below it; a label that only ends alike is another name."""
    told = {
        names.from_text(text)
        for text in ("web.shop.svc", "a.web.shop.svc", "b.a.web.shop.svc", "aweb.shop.svc")
    }
    left = {names.from_text(text) for text in ("web.shop.svc", "aweb.shop.svc")}
    assert covering(told) == left
    assert covering({names.ROOT, *told}) == {names.ROOT, *left}
