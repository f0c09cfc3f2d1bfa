"""The table of ready answers: its bounds, its forms of a question, and what it forgets."""

from kubedns.wire import name as names
from kubedns.zone.answers import Answer, Answers
from tests.builders import headless, query, serve, service, slice_

N = "shop.svc.cluster.local."


def _answers(max_entries: int = 100, max_octets: int = 1 << 20) -> tuple[Answers, list[Answer]]:
    dropped: list[Answer] = []
    return Answers(dropped.append, max_entries, max_octets), dropped


def test_a_flood_of_names_stays_within_bounds() -> None:
    """Entries and octets; the oldest go, and each is told of once."""
    answers, dropped = _answers(max_entries=64, max_octets=50_000)
    for i in range(10_000):
        answers.keep(b"key%d" % i, (b"x" * 100,), None, (b"tag%d" % (i % 7),))
        assert len(answers.table) <= 64
        assert answers.octets <= 60_000
    assert b"key9999" in answers.table
    assert len(dropped) + len(answers.table) == 10_000


def test_one_answer_larger_than_all_the_room() -> None:
    """It is kept alone, and makes room with the next one."""
    answers, _ = _answers(max_octets=10_000)
    answers.keep(b"small", (b"x",), None, ())
    answers.keep(b"large", (b"x" * 50_000,), None, ())
    assert b"large" in answers.table
    answers.keep(b"next", (b"x",), None, ())
    assert answers.table.keys() == {b"next"}
    assert answers.octets < 10_000


def test_what_is_forgotten_is_forgotten_under_every_form() -> None:
    """A question may be kept as it came and as it is meant."""
    answers, dropped = _answers()
    answer = answers.keep(b"meant", (b"x",), None, (b"a", b"b"))
    answers.keep_also(b"as it came", answer)
    other = answers.keep(b"other", (b"y",), None, (b"b", b"c"))
    answers.forget({b"a"})
    assert answers.table.keys() == {b"other"}
    assert dropped == [answer]
    answers.keep_also(b"too late", answer)
    assert b"too late" not in answers.table, "nobody would ever forget it"
    answers.forget({b"c"})
    assert dropped == [answer, other]
    assert not answers.table
    assert not answers.octets
    assert not answers._by_tag


def test_an_answer_kept_again_takes_the_place_of_the_old_one() -> None:
    """And leaves nothing of it behind."""
    answers, dropped = _answers()
    old = answers.keep(b"key", (b"x",), None, (b"a",))
    new = answers.keep(b"key", (b"yy",), None, (b"b",))
    assert answers.table == {b"key": new}
    assert dropped == [old]
    answers.forget({b"a"})
    assert answers.table == {b"key": new}
    answers.clear()
    assert not answers.octets
    assert not answers._by_tag


def test_uses_are_counted_once_whoever_asks() -> None:
    """Hits of a receiver show in the counters when the answer leaves, or at a scrape."""
    served = serve(headless(), slice_(addresses=["10.1.0.1", "10.1.0.2", "10.1.0.3"]))
    asked = query(f"db.{N} A").to_wire()
    for _ in range(10):
        served.octets(asked)
    served.counters.collect(served.answers.table.values())
    served.counters.collect(served.answers.table.values())
    assert sum(served.counters.outcomes.values()) == 10
    for _ in range(5):
        served.octets(asked)
    served.answers.clear()
    assert sum(served.counters.outcomes.values()) == 15


def test_an_event_forgets_what_depends_on_it_and_nothing_else() -> None:
    """One service of two; the answers about its missing neighbour stay."""
    served = serve(service("a", ip="10.0.0.1"), service("b", ip="10.0.0.2"))
    questions = [f"{name}.{N} A" for name in ("a", "b", "c")]
    for each in questions:
        served.ask(each)
    assert len(served.answers.table) == 3
    change = served.cluster.put(service("b", ip="10.0.0.3"))
    served.answers.forget(change.tags)
    left = {key[10:].split(b"\4shop")[0] for key in served.answers.table}
    assert left == {b"\1a", b"\1c"}
    assert change.names() == {
        names.from_text(text)
        for text in (f"b.{N}", "2.0.0.10.in-addr.arpa", "3.0.0.10.in-addr.arpa")
    }
