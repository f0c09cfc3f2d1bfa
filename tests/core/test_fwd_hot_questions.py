"""Which questions are hot, and their file: order, bounds, damage, and clocks that are set."""

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from dnsmasq_py import hotlist
from dnsmasq_py.hotlist import MOST, HotAnswer, HotList, HotQuestion, Moment
from dnsmasq_py.hotness import HALF_LIFE_S, MOST_WATCHED, Hotness
from dnsmasq_py.stored import Ready, Stored
from kubedns import sealed
from kubedns.sealed import SealError
from kubedns.wire import name as names
from kubedns.wire import question, rr
from tests.builders import query

WRITTEN = Moment("a boot", 1000.0, 1_800_000_000.0)


def key(text: str, rtype: int = rr.A, bits: int = 0) -> bytes:
    """Return the key of a question."""
    return names.from_text(text) + bytes((0, rtype, 0, 1, bits))


def stored(text: str, now: float = 0.0, ttl: int = 60) -> Stored:
    """Make an answer: one address."""
    name = names.from_text(text)
    octets = b"\x80\x80\0\1\0\1\0\0\0\0" + name + b"\0\1\0\1"
    ttls = (len(octets) + 6,)
    octets += b"\xc0\x0c\0\1\0\1" + ttl.to_bytes(4) + b"\0\4\xc0\0\2\1"
    return Stored(octets, ttls, (), ttl, now, None)


# What is hot


def test_who_is_asked_for_most_comes_first() -> None:
    """And what was asked for once does not count: there are too many of these."""
    hotness = Hotness()
    for number, uses in enumerate((3, 50, 0, 7)):
        entry = stored("a")
        entry.used = uses
        hotness.look(key(f"n{number}"), entry, 0.0)
    ranked = hotness.ranked(10, 0.0)
    assert [each for each, _ in ranked] == [key("n1"), key("n3"), key("n0")]
    assert hotness.ranked(2, 0.0) == ranked[:2]


def test_only_what_was_used_since_the_last_look_is_counted() -> None:
    """However often somebody looks."""
    hotness, entry = Hotness(), stored("a")
    for _ in range(10):
        entry.used += 2
        for _ in range(5):
            hotness.look(key("a"), entry, 0.0)
    assert hotness.ranked(1, 0.0) == [(key("a"), 21.0)]


def test_the_uses_of_receivers_count_before_they_are_summed_up() -> None:
    """They only count in their own table."""
    hotness, entry = Hotness(), stored("www.example")
    asked = query("www.example. A", edns=False).to_wire()
    ready = Ready(asked[2:], entry, question.read(asked), None, lambda _: None)
    entry.forms = [ready]
    hotness.look(key("www.example"), entry, 0.0)
    ready.uses = 9
    hotness.look(key("www.example"), entry, 0.0)
    ready.seen, entry.used = 9, 9  # summed up
    hotness.look(key("www.example"), entry, 0.0)
    assert hotness.ranked(1, 0.0) == [(key("www.example"), 10.0)]


def test_uses_that_the_cache_forgot_are_no_loss() -> None:
    """It sets them back to spare an entry when it makes room."""
    hotness, entry = Hotness(), stored("a")
    entry.used = 5
    hotness.look(key("a"), entry, 0.0)
    entry.used = 2
    hotness.look(key("a"), entry, 0.0)
    assert hotness.ranked(1, 0.0) == [(key("a"), 8.0)]


def test_an_answer_that_came_anew_was_asked_for() -> None:
    """A name with a TTL of seconds is never used before it expires, and yet is hot."""
    hotness = Hotness()
    for now in range(0, 60, 10):
        hotness.look(key("a"), stored("a", now, ttl=5), now)
    ((_, heat),) = hotness.ranked(1, 60.0)
    assert 5.5 < heat < 6.0


def test_heat_is_half_after_ten_minutes() -> None:
    """So a name of an hour ago gives way to one of now."""
    hotness = Hotness()
    old, new = stored("old"), stored("new", HALF_LIFE_S * 6)
    old.used, new.used = 99, 4
    hotness.look(key("old"), old, 0.0)
    assert hotness.ranked(2, HALF_LIFE_S) == [(key("old"), 50.0)]
    hotness.look(key("new"), new, HALF_LIFE_S * 6)
    assert [each for each, _ in hotness.ranked(2, HALF_LIFE_S * 6)] == [key("new"), key("old")]


def test_what_is_cold_is_forgotten_but_for_what_the_cache_has() -> None:
    """That would be taken for new at the next look, with all uses that it ever had."""
    hotness, entry = Hotness(), stored("a")
    entry.used = 1000
    hotness.look(key("a"), entry, 0.0)
    later = HALF_LIFE_S * 20
    assert hotness.ranked(1, later, {key("a")}) == []
    hotness.look(key("a"), entry, later)
    assert hotness.ranked(1, later) == [], "nobody used it"
    hotness.look(key("a"), entry, later)
    assert hotness.ranked(1, later)[0][1] == 1001.0, "forgotten: it is new"


def test_a_flood_of_names_takes_no_memory_without_end() -> None:
    """At most 20,000 are watched."""
    hotness, entry = Hotness(), stored("a")
    for number in range(MOST_WATCHED + 100):
        hotness.look(number.to_bytes(4), entry, 0.0)
    assert len(hotness._heats) == MOST_WATCHED
    assert hotness.ranked(MOST, 0.0) == []


def test_what_the_last_process_knew_is_not_counted_twice() -> None:
    """Its answer is no new one, and neither is the first one that takes its place."""
    hotness, entry = Hotness(), stored("a")
    entry.used = 1
    hotness.restore(key("a"), 40.0, 0.0, 1)
    hotness.look(key("a"), entry, 0.0)
    hotness.look(key("a"), entry, HALF_LIFE_S)
    assert not hotness.changed
    assert hotness.ranked(1, HALF_LIFE_S) == [(key("a"), 20.0)]


# The file


def hot_list() -> HotList:
    """Return what a file can hold."""
    alias = HotAnswer(stored("b.example").octets, -3.5, 0, ((names.from_text("c.example"), 1),))
    return HotList(
        WRITTEN,
        ("636c7573746572 SUFFIX CLUSTER 127.0.0.1#10053", " SUFFIX DEFAULT 192.0.2.1"),
        (
            HotQuestion(key("a.example"), 812.25),
            HotQuestion(key("b.example", rr.AAAA, bits=3), 4.5, alias),
        ),
    )


def test_a_file_is_read_as_it_was_written() -> None:
    """In the same order."""
    assert hotlist.decode(hotlist.encode(hot_list())) == hot_list()
    empty = HotList(WRITTEN)
    assert hotlist.decode(hotlist.encode(empty)) == empty


def test_the_form_is_that_of_version_1() -> None:
    """Whoever changes it must count the version up: an older program may find the file."""
    octets = hotlist.encode(hot_list())
    assert octets.startswith(b"kube-dns-py hot-file 1\n")
    raw = sealed.opened(b"kube-dns-py hot-file 1\n", octets, 1 << 20).decode()
    first, second, third = raw.split("\n")
    assert json.loads(first).keys() == {"boot", "since_boot_s", "wall", "routes"}
    assert second == '["0161076578616d706c65000001000100", 812.25]'
    assert json.loads(third)[1:] == [
        4.5,
        stored("b.example").octets.hex(),
        -3.5,
        0,
        [["0163076578616d706c6500", 1]],
    ]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "it is empty"),
        (lambda o: o[:-1], "damaged or cut short"),
        (lambda o: o[:30], "damaged or cut short"),
        (lambda o: o[:-9] + b"\0" + o[-8:], "damaged or cut short"),
        (lambda o: o.replace(b"hot-file 1", b"hot-file 2", 1), "its version is 2, not 1"),
        (lambda o: o.replace(b"hot-file", b"snapshot", 1), "it is no hot-file"),
        (lambda o: b"\x1b[31m" + o, "it is no hot-file"),
        (lambda o: o + b"more", "damaged or cut short"),
    ],
    ids=["empty", "cut", "short", "damaged", "a later version", "another file", "text", "longer"],
)
def test_a_file_that_cannot_be_used(damage: Callable[[bytes], bytes], reason: str) -> None:
    """Said in words that a log can show."""
    with pytest.raises(SealError, match=reason):
        hotlist.decode(damage(hotlist.encode(hot_list())))


ROWS = [
    "7",
    "null",
    "[]",
    '["01", 1]',
    '["zz", 1]',
    '["0141000001000100", 1]',
    '["0161000001000300", 1]',
    '["0161000001000104", 1]',
    '["0161000001000100", -1]',
    '["0161000001000100", NaN]',
    '["0161000001000100", "1"]',
    '["0161000001000100", 1, "00"]',
    '["0161000001000100", 1, "00", 1, 2, []]',
    '["0161000001000100", 1, "00", 1, true, []]',
    '["0161000001000100", 1, "00", 1, 0, [["41", 0]]]',
    '["0161000001000100", 1, "00", 1, 0, [7]]',
    '["0161000001000100", 1, "00", 1, 0, {"a": 1}]',
    "[" * 5000,
    "",
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_contents_that_make_no_sense(row: str) -> None:
    """With the right check-sum: refused as a whole, in one line."""
    head = '{"boot": "", "since_boot_s": 1, "wall": 1, "routes": ["a"]}'
    good = '["0161000001000100", 1]'
    for lines in ((head, good, row), (row, good)):
        with pytest.raises(SealError, match="its contents make no sense") as error:
            hotlist.decode(sealed.seal(hotlist._HEAD, "\n".join(lines).encode()))
        assert str(error.value).isprintable()


def test_mutated_contents_are_refused_or_sound() -> None:
    """Changed anywhere, with the right check-sum."""
    rng = random.Random(6)
    raw = sealed.opened(hotlist._HEAD, hotlist.encode(hot_list()), 1 << 20)
    refused = 0
    for _ in range(2000):
        octets = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            octets[rng.randrange(len(octets))] = rng.choice(b'0123456789abcdef[]{}",:-.\n\xff')
        try:
            found = hotlist.decode(sealed.seal(hotlist._HEAD, bytes(octets)))
        except SealError:
            refused += 1
        else:
            assert hotlist.decode(hotlist.encode(found)).routes == found.routes
    assert 500 < refused < 2000


def test_no_more_questions_than_the_bound_are_read() -> None:
    """A file of another make of us may have more."""
    many = tuple(HotQuestion(key(f"n{n}.example"), 9.0) for n in range(MOST + 50))
    found = hotlist.decode(hotlist.encode(replace(hot_list(), questions=many)))
    assert found.questions == many[:MOST]


def test_a_bomb_does_not_unfold() -> None:
    """Some kilobytes that would be gigabytes."""
    with pytest.raises(SealError, match="more, or less, than there should be"):
        hotlist.decode(sealed.seal(hotlist._HEAD, b" " * (17 << 20)))


# How long ago


@pytest.mark.parametrize(
    ("later", "elapsed"),
    [
        (Moment("a boot", 1240.0, 1_800_000_240.0), 240.0),
        (Moment("a boot", 1240.0, 1_800_000_240.0 + 3600), 240.0),
        (Moment("a boot", 1240.0, 1_800_000_240.0 - 3600), 240.0),
        (Moment("a boot", 1240.0, 0.0), 240.0),
        (Moment("another", 10.0, 1_800_000_240.0), 240.0),
        (Moment("another", 10.0, 1_800_000_000.0 - 3600), 0.0),
        (Moment("", 1240.0, 1_800_000_100.0), 100.0),
    ],
    ids=[
        "usual", "clock an hour on", "clock an hour back", "no clock", "machine started anew",
        "machine started anew, clock back", "boots cannot be told apart",
    ],
)  # fmt: skip
def test_how_long_ago_is_told_by_a_clock_that_nobody_sets(later: Moment, elapsed: float) -> None:
    """But for a start of the machine between: then by the one on the wall, and never below 0."""
    assert WRITTEN.until(later) == elapsed


@pytest.mark.parametrize("field", ["since_boot_s", "wall"])
def test_a_number_that_no_clock_ever_shows(field: str) -> None:
    """A file must never keep the process from starting."""
    head = {"boot": "", "since_boot_s": 0, "wall": 0, "routes": []} | {field: 10**400}
    with pytest.raises(SealError, match="no sense"):
        hotlist.decode(sealed.seal(hotlist._HEAD, json.dumps(head).encode()))
