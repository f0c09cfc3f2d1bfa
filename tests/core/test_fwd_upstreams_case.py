"""Random letter case: what is changed, and that it cannot be guessed."""

import os
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dnsmasq_py.habits import MEMORY_S, Habits
from dnsmasq_py.spelling import Spelling
from kubedns.wire import name as names

NAMES = st.lists(st.binary(min_size=1, max_size=12), max_size=8).map(names.from_labels)


@given(name=NAMES, qtype=st.binary(min_size=2, max_size=2))
def test_only_letters_of_the_name_change_and_only_their_case(name: bytes, qtype: bytes) -> None:
    asked = name + qtype + b"\0\1"
    spelled = Spelling(os.urandom)(asked)
    assert spelled.lower()[: len(name)] == asked.lower()[: len(name)]
    assert spelled[len(name) :] == asked[len(name) :]


def test_type_65_looks_like_a_letter_and_stays() -> None:
    asked = b"\1a\0\0\x41\0\1"
    assert Spelling(lambda size: b"\xff" * size)(asked) == b"\1A\0\0\x41\0\1"


def test_every_letter_is_a_coin_of_its_own_and_coins_are_used_once() -> None:
    spelling = Spelling()
    asked = names.from_text("abcdefgh.") + b"\0\1\0\1"
    spelled = [spelling(asked) for _ in range(4000)]
    for place in range(1, 9):
        capitals = sum(65 <= one[place] <= 90 for one in spelled)
        assert 1800 < capitals < 2200
    assert max(Counter(spelled).values()) < 50


def test_the_kernel_is_asked_for_many_octets_at_once() -> None:
    asked = []

    def octets(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    spelling = Spelling(octets)
    for _ in range(100):
        spelling(names.from_text("www.example.com.") + b"\0\1\0\1")
    assert asked == [4096]


def test_a_server_that_folds_is_found_out_with_its_first_reply_and_tried_again_later() -> None:
    habits = Habits()
    assert habits.case_changed(1000.0)
    assert habits.folds_until == 1000.0 + MEMORY_S


def test_what_is_learned_of_edns_is_forgotten_after_a_quarter_of_an_hour() -> None:
    habits = Habits()
    habits.edns_works()
    habits.edns_refused(1000.0)
    assert habits.plain_until == 1900.0
    assert not habits.knows_edns


def test_loss_is_not_taken_for_dislike_of_edns() -> None:
    habits = Habits()
    for now in (1.0, 2.0):
        habits.edns_unheard(now)
    habits.edns_works()
    habits.edns_unheard(3.0)
    assert habits.plain_until < 0
