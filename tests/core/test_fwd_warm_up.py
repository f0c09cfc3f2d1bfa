"""The hottest questions asked again after a start: in which order, how many, and when no more."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from dnsmasq_py.warmup import FEED_S, MOST_AT_ONCE, PATIENCE_S, STEP_S, WarmUp

CLUSTER, DEFAULT, STUB = "cluster", "default", "stub"


class Start:
    """
    A warm-up, and those who are asked: `answers` tells of a question and its route what comes.

    True: something; False: it fails; None: silence, until `answer` is called.
    """

    def __init__(
        self,
        routes: dict[str, Iterable[bytes]],
        answers: Callable[[bytes, str], bool | None] = lambda key, route: True,
        *,
        needless: Iterable[bytes] = (),
        told_at: float = 0.0,
    ) -> None:
        self.route = {key: route for route, keys in routes.items() for key in keys}
        self.answers = answers
        self.needless = frozenset(needless)
        self.asked: list[tuple[float, bytes]] = []
        self.open: list[bytes] = []
        self.most_open = 0
        self.busy = False
        self.ends = 0
        self.now = 0.0
        self.warmup = WarmUp(
            self._ask,
            is_told=lambda now: now >= told_at,
            is_busy=lambda _: self.busy,
            over=self._over,
        )
        questions = [(key, route, route == CLUSTER) for key, route in self.route.items()]
        self.warmup.start(questions, 0.0)

    def _ask(self, key: bytes, now: float) -> bool:
        if key in self.needless:
            return False
        self.asked.append((now, key))
        self.open.append(key)
        self.most_open = max(self.most_open, len(self.open))
        return True

    def _over(self) -> None:
        self.ends += 1

    def answer(self, key: bytes, *, good: bool) -> None:
        self.open.remove(key)
        self.warmup.ended(key, good=good, now=self.now)

    def passes(self, seconds: float) -> None:
        """Let time pass; who answers does so within a step."""
        ends = self.now + seconds
        while self.now < ends and self.warmup.due < float("inf"):
            self.now = max(self.now, self.warmup.due)
            self.warmup.timed_out(self.now)
            for key in list(self.open):
                said = self.answers(key, self.route[key])
                if said is not None:
                    self.answer(key, good=said)
        self.now = max(self.now, ends)

    @property
    def order(self) -> list[bytes]:
        return [key for _, key in self.asked]

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.warmup.refreshed, self.warmup.failed, self.warmup.needless


def keys(prefix: str, count: int) -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(count)]


def test_the_hottest_first_and_each_once() -> None:
    """Then it is over, and no timer is left."""
    start = Start({DEFAULT: keys("n", 100)})
    start.passes(10.0)
    assert start.order == keys("n", 100)
    assert start.counts == (100, 0, 0)
    assert (start.ends, start.warmup.left, start.warmup.due) == (1, 0, float("inf"))


def test_names_of_the_cluster_come_before_others() -> None:
    """Their server is next door."""
    start = Start({DEFAULT: keys("n", 20), CLUSTER: keys("c", 20)})
    start.warmup.timed_out(0.0)
    assert start.order == [*keys("c", 4), *keys("n", 4)]


def test_servers_are_not_flooded() -> None:
    """So many at once; no more than 800 a second however fast they are, and half of it outside."""
    slow = Start({CLUSTER: keys("c", 50), DEFAULT: keys("n", 50)}, lambda key, route: None)
    slow.passes(1.0)
    assert slow.most_open == 8, "nobody has heard of these servers yet"
    for key in list(slow.open):
        slow.answer(key, good=True)
    slow.passes(1.0)
    assert slow.most_open == MOST_AT_ONCE
    for route, most in ((CLUSTER, 800), (DEFAULT, 400)):
        fast = Start({route: keys("n", 1000)})
        fast.passes(1.0)
        assert 0.9 * most <= len(fast.asked) <= most + MOST_AT_ONCE
        fast.passes(2.0)
        assert fast.counts == (1000, 0, 0)


def test_a_client_is_never_held_up() -> None:
    """While there is much to do, or we are late, nothing is asked."""
    start = Start({DEFAULT: keys("n", 10)})
    start.busy = True
    start.passes(5.0)
    assert start.asked == []
    start.busy = False
    start.warmup.timed_out(start.now, extras=False)
    assert start.asked == []
    start.passes(1.0)
    assert start.counts == (10, 0, 0)


def test_what_is_known_by_then_is_not_asked() -> None:
    """A client was faster."""
    start = Start({DEFAULT: keys("n", 10)}, needless=keys("n", 4))
    start.passes(1.0)
    assert start.counts == (6, 0, 4)
    assert start.ends == 1


def test_names_of_the_cluster_wait_for_the_feed() -> None:
    """What is heard before its first message is not trusted after it; others do not wait."""
    start = Start({CLUSTER: keys("c", 5), DEFAULT: keys("n", 5)}, told_at=0.7)
    start.passes(0.5)
    assert start.order == keys("n", 5)
    start.passes(0.5)
    assert start.order[5:] == keys("c", 5)


def test_a_server_that_tells_nothing_is_asked_all_the_same() -> None:
    """It may be of another make."""
    start = Start({CLUSTER: keys("c", 5)}, told_at=float("inf"))
    start.passes(FEED_S - STEP_S)
    assert start.asked == []
    start.passes(1.0)
    assert start.counts == (5, 0, 0)


def test_servers_that_are_away_hold_up_nobody_else() -> None:
    """And are asked seldom, until it is enough."""
    start = Start(
        {CLUSTER: keys("c", 300), STUB: keys("s", 300), DEFAULT: keys("n", 300)},
        lambda key, route: route == DEFAULT,
    )
    start.passes(5.0)
    assert start.warmup.refreshed == 300
    start.passes(PATIENCE_S)
    asked = Counter(start.route[key] for key in start.order)
    assert asked[CLUSTER] < 40
    assert asked[STUB] < 30
    assert start.counts == (300, 600, 0)
    assert start.ends == 1


def test_silent_servers_are_given_up_in_time() -> None:
    """Also by who has asked them: what is open then is counted when it ends."""
    start = Start({DEFAULT: keys("n", 300)}, lambda key, route: None)
    start.passes(PATIENCE_S + 1)
    assert len(start.asked) == 4
    assert start.warmup.left == 4
    for key in list(start.open):
        start.answer(key, good=False)
    start.passes(1.0)
    assert start.counts == (0, 300, 0)
    assert start.ends == 1


def test_servers_that_come_back_are_asked_on() -> None:
    """One question finds out, then the others follow: a kubedns that started at the same time."""
    start = Start({CLUSTER: keys("c", 200)}, lambda key, route: start.now > 20.0)
    start.passes(20.0)
    assert start.warmup.refreshed == 0
    start.passes(30.0)
    refreshed, failed, _ = start.counts
    assert refreshed + failed == 200
    assert failed <= 3, "some were tried thrice"
    assert start.ends == 1


def test_one_name_that_always_fails_does_not_stop_the_others() -> None:
    """It is tried three times; a broken delegation is not the server's fault."""
    broken = {b"n3", b"n40"}
    start = Start({DEFAULT: keys("n", 100)}, lambda key, route: key not in broken)
    start.passes(60.0)
    assert start.counts == (98, 2, 0)
    assert Counter(start.order)[b"n3"] == 3


@pytest.mark.parametrize("open_", [False, True], ids=["nothing open", "questions open"])
def test_stopping_ends_it(open_: bool) -> None:
    """Nothing is asked any more, and what is answered late does no harm."""
    start = Start({DEFAULT: keys("n", 100)}, lambda key, route: None)
    if open_:
        start.passes(0.1)
    start.warmup.stop()
    asked = list(start.asked)
    for key in list(start.open):
        start.answer(key, good=False)
    start.warmup.timed_out(1.0)
    assert start.asked == asked
    assert start.warmup.left == 0
    assert start.ends == 0


def test_a_file_without_questions() -> None:
    """There is nothing to do, and nothing is said."""
    start = Start({})
    assert start.warmup.due == float("inf")
    start.warmup.timed_out(0.0)
    assert start.ends == 0
