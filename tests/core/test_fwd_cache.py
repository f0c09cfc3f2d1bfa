"""The cache alone: bounds, second chance, ready replies, octets that add up."""

import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from dnsmasq_py import cache as cache_module
from dnsmasq_py.cache import Cache
from dnsmasq_py.counters import Counters
from dnsmasq_py.question import Question
from dnsmasq_py.stored import Ready, Stored, compose
from kubedns.wire import name as names
from kubedns.wire import question as questions
from kubedns.wire import rr
from tests.builders import query

NOW = 1000.0
ROUTE = object()


def key_of(name: str) -> bytes:
    return names.from_text(name) + b"\0\1\0\1\0"


def stored(name: str = "www.example.com", *, ttl: int = 60, addresses: int = 1) -> Stored:
    folded = names.from_text(name)
    octets = folded + b"\0\1\0\1"
    asked = Question(octets, folded, rr.A, do=False, cd=False, rd=True)
    rdatas = tuple(bytes((192, 0, 2 + i // 256, i % 256)) for i in range(addresses))
    rrset = rr.RRset(folded, rr.A, ttl, rdatas)
    return compose(asked, rr.NOERROR, (rrset,), (), (), ROUTE, NOW)


def ready(one: Stored, name: str = "www.example.com", payload: int = 1232) -> Ready:
    message = query(f"{name} A", payload=payload).to_wire()
    return Ready(message[2:], one, questions.read(message), None, lambda _: None)


def make(max_entries: int = 1000, max_octets: int = 1 << 20, stale_s: float = 0.0) -> Cache:
    return Cache(max_entries, max_octets, stale_s, Counters())


def put(cache: Cache, name: str, now: float = NOW, **more: int) -> Stored:
    one = stored(name, **more)
    cache.put(key_of(name), one, now)
    return one


# What fits


def test_a_cache_of_no_entries_keeps_nothing() -> None:
    cache = make(0)
    put(cache, "a.example")
    assert len(cache) == cache.octets == 0


def test_the_oldest_makes_room_for_the_newest() -> None:
    cache = make(3)
    for name in ("a", "b", "c", "d"):
        put(cache, name)
    assert set(cache.entries) == {key_of("b"), key_of("c"), key_of("d")}


def test_a_scan_of_names_asked_once_does_not_flush_those_in_use() -> None:
    """Second chance: 20 names in use outlast 10,000 that nobody asks for again."""
    cache = make(100)
    used = [put(cache, f"used{i}") for i in range(20)]
    for number in range(10_000):
        for one in used:
            one.used += 1
        put(cache, f"scan{number}")
    assert all(key_of(f"used{i}") in cache.entries for i in range(20))
    assert len(cache) == 100


def test_names_that_receivers_answer_outlast_a_scan_within_one_second() -> None:
    """Their uses stand on the ready replies alone, which are aged once a second."""
    cache = make(100)
    used = [put(cache, f"used{i}") for i in range(20)]
    forms = [ready(one, f"used{i}") for i, one in enumerate(used)]
    for form in forms:
        assert cache.put_ready(form, NOW)
    for number in range(2000):
        for form in forms:
            form.uses += 1
        put(cache, f"scan{number}")
        if number % 50 == 0:
            cache.collect()
    assert all(key_of(f"used{i}") in cache.entries for i in range(20))
    assert cache._counters.hits < 20 * 2000
    cache.collect()
    assert cache._counters.hits == 20 * 2000, "each use is counted once"


def test_uses_of_a_reply_stay_with_the_name_when_its_answer_is_renewed() -> None:
    cache = make()
    form = ready(put(cache, "a"), "a")
    cache.put_ready(form, NOW)
    form.uses = 5
    assert put(cache, "a").used >= 5


def test_names_in_use_no_more_are_flushed() -> None:
    cache = make(100)
    put(cache, "was-used").used = 50
    for number in range(300):
        put(cache, f"scan{number}")
    assert key_of("was-used") not in cache.entries


def test_newcomers_find_room_even_among_names_that_are_all_in_use() -> None:
    cache = make(10)
    for number in range(500):
        put(cache, f"n{number}")
        assert key_of(f"n{number}") in cache.entries, "what was just asked for is there"
        for one in cache.entries.values():
            one.used += 1
    assert len(cache) == 10


def test_stale_answers_that_are_given_are_not_pushed_out_by_names_asked_once() -> None:
    """While nobody can be asked they are all that is left of the cluster's names."""
    cache = make(200)
    given = [put(cache, f"service-{number}", ttl=1) for number in range(150)]
    for number in range(1000):
        for one in given:
            one.used += 1
        put(cache, f"scan-{number}", NOW + 60)
    assert all(key_of(f"service-{number}") in cache.entries for number in range(150))


def test_stale_answers_that_nobody_wants_give_way() -> None:
    cache = make(200)
    for number in range(150):
        put(cache, f"service-{number}", ttl=1).used = 1
    for number in range(600):
        put(cache, f"new-{number}", NOW + 60)
    assert not any(key_of(f"service-{number}") in cache.entries for number in range(150))


def test_an_answer_in_place_of_another_keeps_its_popularity() -> None:
    cache = make()
    put(cache, "a").used = 7
    assert put(cache, "a", addresses=5).used == 7
    assert len(cache) == 1


def test_the_bound_of_octets_counts_ready_replies_too() -> None:
    cache = make(max_octets=100_000)
    for number in range(1000):
        name = f"n{number}.example"
        one = put(cache, name, addresses=10)
        cache.put_ready(ready(one, name), NOW)
        assert cache.octets <= 100_000
    assert len(cache) > 5
    assert cache.ready


def test_one_question_in_many_forms_does_not_fill_the_memory() -> None:
    """The UDP size of a query is the client's to choose: 65,536 forms of one question."""
    cache = make(max_octets=1 << 20)
    other = put(cache, "other.example")
    one = put(cache, "www.example.com", addresses=20)
    for payload in range(512, 4096):
        one.used += 1
        cache.put_ready(ready(one, payload=payload), NOW)
    assert cache.octets <= 100_000
    assert len(cache.ready) < 20
    assert key_of("other.example") in cache.entries
    assert other.forms is None


def test_an_answer_larger_than_the_cache_does_no_harm() -> None:
    cache = make(max_octets=2000)
    put(cache, "a")
    put(cache, "huge", addresses=500)
    put(cache, "b")
    put(cache, "c")
    assert cache.octets <= 2000
    assert key_of("c") in cache.entries


def test_evictions_count_answers_that_were_still_good() -> None:
    cache = make(2)
    put(cache, "old", ttl=10)
    put(cache, "live", ttl=1000)
    put(cache, "new1", NOW + 20)
    assert cache._counters.evictions == 0
    put(cache, "new2", NOW + 20)
    assert cache._counters.evictions == 1
    assert cache._counters.insertions == 4


# Ready replies


def test_a_ready_reply_goes_with_its_answer() -> None:
    for forget in (
        lambda c: c.drop(key_of("a")),
        lambda c: put(c, "a"),
        lambda c: c.clear(),
        lambda c: c.clear_ready(),
    ):
        cache = make()
        one = put(cache, "a")
        assert cache.put_ready(ready(one, "a"), NOW)
        forget(cache)
        assert not cache.ready


def test_ready_replies_are_bounded_and_the_oldest_go_first(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cache_module, "MAX_READY", 64)
    cache = make()
    for number in range(200):
        name = f"n{number}"
        cache.put_ready(ready(put(cache, name), name), NOW)
        assert len(cache.ready) <= 64
    last = query("n199 A").to_wire()[2:]
    assert last in cache.ready


def test_a_ready_reply_that_is_too_old_is_not_kept() -> None:
    cache = make()
    one = put(cache, "a", ttl=10)
    assert not cache.put_ready(ready(one, "a"), NOW + 10)
    assert not cache.ready


def test_uses_of_ready_replies_are_counted_once_wherever_they_end() -> None:
    cache = make()
    one = ready(put(cache, "a"), "a")
    cache.put_ready(one, NOW)
    one.uses = 5
    cache.collect()
    cache.collect()
    one.uses = 8
    cache.drop(key_of("a"))
    assert cache._counters.hits == 8
    assert cache._counters.queries["udp", rr.NOERROR] == 8


def test_who_asks_often_has_many_replies_summed_up_now_and_then(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(cache_module, "_MANY_READY", 1)
    cache = make()
    forms = [ready(put(cache, name), name) for name in ("a", "b")]
    for form in forms:
        cache.put_ready(form, NOW)
    for now, hits in ((NOW, 2), (NOW + 0.1, 2), (NOW + 0.3, 6)):
        for form in forms:
            form.uses += 1
        cache.collect(now)
        assert cache._counters.hits == hits
    forms[0].uses += 1
    cache.collect()
    assert cache._counters.hits == 7, "pages have it exactly"


def test_a_few_replies_are_summed_up_every_time() -> None:
    cache = make()
    form = ready(put(cache, "a"), "a")
    cache.put_ready(form, NOW)
    for uses in (1, 2, 3):
        form.uses = uses
        cache.collect(NOW)
        assert cache._counters.hits == uses


def test_answers_that_are_wrong_now_go_with_their_replies() -> None:
    cache = make()
    for name in ("a", "b", "c"):
        cache.put_ready(ready(put(cache, name), name), NOW)
    cache.drop_where(lambda key, stored: key == key_of("b") and stored.rcode == rr.NOERROR)
    assert set(cache.entries) == {key_of("a"), key_of("c")}
    assert len(cache.ready) == 2
    check(cache)


# What is too old


def test_expired_answers_stay_for_bad_times_and_then_go() -> None:
    cache = make(stale_s=100)
    put(cache, "a", ttl=60)
    sweep_all(cache, NOW + 159)
    assert len(cache) == 1
    sweep_all(cache, NOW + 161)
    assert len(cache) == cache.octets == 0


def sweep_all(cache: Cache, now: float) -> None:
    for _ in range(200):
        cache.sweep(now)


def test_the_queue_of_what_is_gone_is_cleared_away() -> None:
    cache = make(100_000)
    for number in range(5000):
        put(cache, f"n{number}", ttl=1)
    sweep_all(cache, NOW + 10)
    sweep_all(cache, NOW + 10)
    assert len(cache) == 0
    assert len(cache._queue) <= 1000


# RFC 8020


def test_what_is_below_a_name_that_does_not_exist_does_not_either() -> None:
    cache = make()
    zone = names.from_text("cluster.local")
    folded = names.from_text("nope.cluster.local")
    asked = Question(folded + b"\0\1\0\1", folded, rr.A, do=False, cd=False, rd=True)
    soa = rr.RRset(zone, rr.SOA, 5, (bytes(2) + bytes(16) + b"\0\0\0\5",))
    cache.put(
        key_of("nope.cluster.local"),
        compose(asked, rr.NXDOMAIN, (), (soa,), (), ROUTE, NOW),
        NOW,
    )
    for name, cut in (
        ("x.nope.cluster.local", True),
        ("a.b.nope.cluster.local", True),
        ("nope.cluster.local", False),  # is asked for by its own key
        ("x.cluster.local", False),
        ("cluster.local", False),
    ):
        found = cache.cut_by(names.from_text(name), zone, ROUTE, NOW)
        assert (found is not None) is cut, name
    below = names.from_text("x.nope.cluster.local")
    assert cache.cut_by(below, zone, ROUTE, NOW + 6) is None
    assert cache.cut_by(below, zone, object(), NOW) is None, "somebody else said so"


# Whatever happens, in any order

Step = Callable[[Cache, random.Random, float], None]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    max_entries=st.integers(1, 12),
    max_octets=st.sampled_from((500, 3000, 20_000, 1 << 20)),
    steps=st.lists(
        st.sampled_from(
            ("put", "put", "put", "ready", "ready", "use", "drop", "sweep", "clear_ready")
        ),
        max_size=120,
    ),
)
def test_the_bounds_hold_whatever_happens(
    seed: int, max_entries: int, max_octets: int, steps: list[str]
) -> None:
    rng = random.Random(seed)
    cache = make(max_entries, max_octets, stale_s=5)
    now = NOW
    for step in steps:
        now += rng.random()
        name = f"n{rng.randrange(3 * max_entries)}"
        key = key_of(name)
        one = cache.entries.get(key)
        match step:
            case "put":
                new = stored(name, ttl=rng.randrange(1, 20), addresses=rng.randrange(1, 30))
                new.expires = now + new.ttl
                cache.put(key, new, now)
            case "ready" if one is not None:
                cache.put_ready(ready(one, name, rng.choice((512, 1232, 4096))), now)
            case "use" if one is not None:
                one.used += 1
            case "drop":
                cache.drop(key)
            case "sweep":
                cache.sweep(now)
            case "clear_ready" if rng.random() < 0.1:
                cache.clear_ready()
        check(cache)
    cache.clear()
    check(cache)
    assert cache.octets == 0
    assert not cache.ready


def check(cache: Cache) -> None:
    assert len(cache) <= cache.max_entries
    assert cache.octets <= cache.max_octets
    expected = sum(cache_module._cost(key, one) for key, one in cache.entries.items())
    expected += sum(cache_module._ready_cost(one) for one in cache.ready.values())
    assert cache.octets == expected
    assert set(cache.entries) <= set(cache._queue), "an entry that could never be evicted"
    forms = [one for stored in cache.entries.values() for one in stored.forms or ()]
    assert len(forms) == len(cache.ready)
    assert all(cache.ready[one.raw] is one for one in forms)
