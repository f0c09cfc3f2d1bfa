"""Who asks most and for what: right where it matters, and in memory for a fixed number."""

import random
from collections import Counter
from typing import Any

from dnsmasq_py.observed.topmost import Topmost, together
from dnsmasq_py.observed.watch import MOST
from tests.observing import Seen


def test_what_is_frequent_is_found_among_any_number_of_keys() -> None:
    """No count is too low, none is higher than its error allows, and nothing frequent is missed."""
    rng = random.Random(5)
    counted, true = Topmost(50), Counter[bytes]()
    for _ in range(30_000):
        rank = int(rng.paretovariate(0.7)) if rng.random() < 0.7 else rng.randrange(10**9)
        key = str(rank).encode()
        counted.add(key)
        true[key] += 1
    assert len(counted) == 50
    for key, count, error in counted.all():
        assert count - error <= true[key] <= count
    kept = {each.key for each in counted.all()}
    assert {key for key, count in true.items() if count > 30_000 / 50} <= kept


def test_what_came_by_chance_is_not_told() -> None:
    """A thousand names asked once each make no list of ten."""
    counted = Topmost(10)
    for number in range(1000):
        counted.add(str(number))
    counted.add("often", 300)
    assert [each.key for each in together(counted)] == ["often"]


def test_two_windows_count_as_one() -> None:
    """What one window has dropped counts as an error in the sum."""
    first, second = Topmost(2), Topmost(2)
    for key, times in (("a", 10), ("b", 4), ("c", 1)):  # c takes the place of b
        first.add(key, times)
    second.add("a", 5)
    second.add("b", 20)
    assert [tuple(each) for each in together(first, second)] == [("b", 25, 5), ("a", 15, 0)]


def test_the_page_tells_clients_names_and_failures() -> None:
    """/top is what was asked, most first, with rcodes counted exactly."""
    seen = Seen()
    seen.asks("web.prod.svc.cluster.local.", times=5)
    seen.asks("Web.prod.svc.cluster.local.", times=2, client="10.0.0.2")
    seen.asks("gone.example.", rcode="NXDOMAIN", times=3)
    seen.asks("bad.example.", rcode="SERVFAIL")
    top = seen.top()
    assert top["transactions"] == 11
    assert top["rcodes"] == {"NOERROR": 7, "SERVFAIL": 1, "NXDOMAIN": 3}
    assert top["clients"] == [
        {"client": "10.0.0.1", "queries": 9, "error": 0},
        {"client": "10.0.0.2", "queries": 2, "error": 0},
    ]
    assert top["names"][0] == {
        "name": "web.prod.svc.cluster.local.", "type": "A", "queries": 7, "error": 0,
    }  # fmt: skip
    assert [(each["name"], each["rcode"]) for each in top["failing"]] == [
        ("gone.example.", "NXDOMAIN"),
        ("bad.example.", "SERVFAIL"),
    ]
    assert len(seen.top(1)["names"]) == 1


def test_type_65_is_not_taken_for_a_letter() -> None:
    """HTTPS questions, whose number is that of an upper-case A, are counted as such."""
    seen = Seen()
    seen.asks("web.example.", "HTTPS", answers=False)
    assert seen.top()["names"][0]["type"] == "TYPE65"


def test_steps_of_a_search_list_are_told_apart() -> None:
    """Only questions that end with NXDOMAIN on the way to another one are waste."""
    seen = Seen()
    seen.walks("github.com")
    seen.asks("gone.prod.svc.cluster.local.", rcode="NXDOMAIN", client="10.0.0.9")
    seen.asks("other.prod.svc.cluster.local.", client="10.0.0.9")
    waste = seen.top()["search_waste"]
    assert (waste["queries"], waste["share"]) == (6, 0.6)
    assert {each["name"] for each in waste["names"]} == {
        "github.com.prod.svc.cluster.local.",
        "github.com.svc.cluster.local.",
        "github.com.cluster.local.",
    }


def test_a_walk_that_ends_early_or_goes_on_elsewhere_is_seen() -> None:
    """A service of another namespace, and search domains of the node, are walks too."""
    seen = Seen()
    seen.asks("db.test.prod.svc.cluster.local.", rcode="NXDOMAIN")
    seen.asks("db.test.svc.cluster.local.")
    assert seen.top()["search_waste"]["queries"] == 1
    seen.asks("x.cluster.local.", rcode="NXDOMAIN")
    seen.asks("x.corp.example.", rcode="NXDOMAIN")
    seen.asks("x.")
    assert seen.top()["search_waste"]["queries"] == 3


def test_two_clients_or_a_long_pause_make_no_walk() -> None:
    """What another client asks, or the same one later, has nothing to do with it."""
    seen = Seen()
    seen.asks("a.example.svc.cluster.local.", rcode="NXDOMAIN")
    seen.asks("a.example.", client="10.0.0.2")
    seen.time_passes(3.5)
    seen.asks("a.example.")
    assert seen.top()["search_waste"]["queries"] == 0


def test_where_only_a_part_is_looked_at_it_stands_for_all() -> None:
    """Numbers are estimates of all queries, and how many were passed over is told."""
    seen = Seen()
    seen.asks("web.example.", times=5000)
    top = seen.top()
    assert top["sampled"] == round(5000 / MOST, 1)
    assert top["names"][0]["queries"] == top["clients"][0]["queries"] == 5000


def test_hits_are_thinned_out_while_there_are_many() -> None:
    """At a hundred thousand a second one of several is noted; when it gets quiet, each again."""
    seen = Seen()
    least = seen.recorder.ring.every
    for _ in range(10):
        seen.asks("web.example.", times=2000)
        seen.time_passes(0.02)
    seen.observed.look()
    assert seen.recorder.ring.every >= 9
    seen.time_passes(0.2)
    seen.observed.look()
    assert seen.recorder.ring.every == least


def test_what_was_asked_half_an_hour_ago_is_forgotten() -> None:
    """The lists tell what goes on now: the last ten to twenty minutes."""
    seen = Seen()
    seen.asks("old.example.")
    seen.observed.look()
    for _ in range(2):
        seen.time_passes(700)
        seen.asks("new.example.")
        seen.observed.look()
    top = seen.top()
    assert [each["name"] for each in top["names"]] == ["new.example."]
    assert (top["transactions"], top["seconds"]) == (1, 700.0)


def test_a_flood_of_unique_names_and_clients_takes_no_more_memory() -> None:
    """Whatever clients make up, what is kept of it has a fixed size."""
    seen = Seen()
    rng = random.Random(1)
    for _ in range(60):
        for _ in range(100):
            client = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
            name = f"{rng.randrange(10**12)}.svc.cluster.local."
            rcode = rng.choice(("NXDOMAIN", "SERVFAIL"))
            seen.asks(name, rcode=rcode, client=client, number=rng.randrange(65536))
        seen.observed.look()
    window = seen.observed.tally.now
    assert len(window.clients) == len(window.failing) == 256
    assert len(window.names) == 512
    assert len(seen.observed._walks) <= 1024
    assert seen.top()["transactions"] == 6000


def test_in_the_long_run_a_part_is_looked_at_however_much_is_asked() -> None:
    """A thousand queries a second for a minute: half of them are, the others are counted in."""
    seen = Seen()
    looked = 0
    add = seen.observed.tally.add

    def counted(*args: Any, **named: Any) -> None:
        nonlocal looked
        looked += 1
        add(*args, **named)

    seen.observed.tally.add = counted  # type: ignore[method-assign]
    for _ in range(300):
        seen.asks("web.example.", times=200)
        seen.time_passes(0.2)
        seen.observed.look()
    assert 25_000 <= looked <= 31_000
    (first,) = seen.observed.top(1)["names"]
    assert 55_000 <= first["queries"] <= 65_000
