"""How the soak judges an answer: by what was true, and by what happens meanwhile."""

from __future__ import annotations

import pytest

from tests.soak.history import History
from tests.soak.kinds import HEALS_S, KINDS, Kind
from tests.soak.model import Asked, How, Model, Verdict
from tests.soak.questions import (
    MISSING,
    REFUSED,
    SERVFAIL,
    SILENT,
    Answer,
    Key,
    data,
    foreign,
)

WEB, SET, OUT = Key("web.shop.svc.cluster.local"), Key("set.cluster.local"), Key("www.example.com")
FIRST, SECOND, NEVER = data("10.0.0.1"), data("10.0.0.2"), data("10.0.0.3")
FAILS: Answer = SERVFAIL, frozenset()
SILENCE: Answer = SILENT, frozenset()

_KINDS = {kind.name: kind for kind in KINDS}
PAUSED, UPSTREAMS = _KINDS["kubedns STOP"], _KINDS["upstreams dead"]
KILLED, SIDECAR = _KINDS["forwarder KILL"], _KINDS["sidecar KILL"]


def model() -> Model:
    """Return a model in which SET changed between seconds 100 and 101."""
    history = History()
    history.starts("web", {WEB: FIRST})
    history.starts("set", {SET: FIRST})
    history.starts("outside", {OUT: foreign(OUT.name)})
    history.written(history.writes(100.0), 101.0, {SET: SECOND})
    return Model(history)


def asked(key: Key, sent: float, answer: Answer, *, took: float = 0.01, **how: bool) -> Asked:
    return Asked(key, False, sent, sent + took, answer, 30, How(**how))


def during(made: Model, kind: Kind, began: float, over: float) -> Model:
    made.ends(made.begins(kind, began), over)
    return made


def test_what_was_true_at_some_moment_while_it_was_asked_is_right() -> None:
    made = model()
    for sent, answer in ((99.0, FIRST), (100.5, FIRST), (100.5, SECOND), (200.0, SECOND)):
        assert made.judge(asked(SET, sent, answer)) is Verdict.RIGHT
    assert made.judge(asked(SET, 98.0, SECOND, took=3.0)) is Verdict.RIGHT
    assert not made.broken


@pytest.mark.parametrize("answer", [NEVER, MISSING, data("10.0.0.1", "10.0.0.2")])
def test_what_never_was_true_is_wrong_whatever_happens(answer: Answer) -> None:
    made = during(model(), PAUSED, 90.0, 110.0)
    assert made.judge(asked(SET, 105.0, answer)) is Verdict.WRONG
    assert made.all.wrong == 1
    assert sum(made.broken.values()) == 1


def test_what_is_not_true_yet_is_wrong() -> None:
    assert model().judge(asked(SET, 99.0, SECOND)) is Verdict.WRONG


def test_a_little_behind_is_stale_and_no_more() -> None:
    made = model()
    assert made.judge(asked(SET, 103.0, FIRST)) is Verdict.STALE
    assert made.judge(asked(SET, 107.0, FIRST)) is Verdict.NOT_ALLOWED_STALE


def test_far_behind_needs_an_excuse_that_began_before_the_answer_became_old() -> None:
    assert during(model(), PAUSED, 95.0, 120.0).judge(asked(SET, 115.0, FIRST)) is Verdict.STALE
    late = during(model(), PAUSED, 110.0, 120.0)
    assert late.judge(asked(SET, 115.0, FIRST)) is Verdict.NOT_ALLOWED_STALE
    other = during(model(), SIDECAR, 95.0, 120.0)
    assert other.judge(asked(SET, 115.0, FIRST)) is Verdict.NOT_ALLOWED_STALE


def test_an_excuse_ends_when_all_must_have_healed() -> None:
    made = during(model(), PAUSED, 95.0, 120.0)
    assert made.judge(asked(SET, 120.0 + HEALS_S - 1, FIRST)) is Verdict.STALE
    assert made.judge(asked(SET, 120.0 + HEALS_S + 1, FIRST)) is Verdict.NOT_ALLOWED_STALE
    made.closes(1000.0)
    assert made.kinds[PAUSED.name].heal_s == [pytest.approx(HEALS_S - 1)]


@pytest.mark.parametrize("answer", [FAILS, SILENCE])
def test_names_outside_may_fail_while_their_servers_do(answer: Answer) -> None:
    made = during(model(), UPSTREAMS, 10.0, 20.0)
    assert made.judge(asked(OUT, 15.0, answer)) is Verdict.FAILED
    assert made.judge(asked(WEB, 15.0, answer)) is Verdict.NOT_ALLOWED_FAILED
    assert made.judge(asked(OUT, 50.0, answer)) is Verdict.NOT_ALLOWED_FAILED


def test_a_known_name_may_not_fail_while_kubedns_is_away() -> None:
    made = during(model(), PAUSED, 10.0, 20.0)
    assert made.judge(asked(WEB, 14.0, FAILS)) is Verdict.FAILED  # nobody asked before
    made.judge(asked(WEB, 14.5, FIRST))
    assert made.judge(asked(WEB, 15.0, FAILS)) is Verdict.NOT_ALLOWED_FAILED


def test_a_name_that_changed_meanwhile_may() -> None:
    made = during(model(), PAUSED, 98.0, 110.0)
    made.judge(asked(SET, 99.0, FIRST))
    assert made.judge(asked(SET, 100.5, FAILS)) is Verdict.FAILED


def test_all_names_may_fail_while_both_are_away() -> None:
    made = during(during(model(), PAUSED, 10.0, 20.0), KILLED, 12.0, 13.0)
    made.judge(asked(WEB, 14.5, FIRST))
    assert made.judge(asked(WEB, 15.0, FAILS)) is Verdict.FAILED


def test_what_nobody_was_there_to_answer_is_no_broken_promise() -> None:
    made = during(model(), KILLED, 10.0, 14.0)
    made.nobody(10.0, 13.0)
    assert made.judge(asked(WEB, 10.5, SILENCE, took=4.0)) is Verdict.NOBODY
    assert made.judge(asked(WEB, 12.0, SILENCE, took=4.0)) is Verdict.NOT_ALLOWED_FAILED


def test_without_recursion_a_refusal_is_an_answer() -> None:
    refused: Answer = REFUSED, frozenset()
    assert model().judge(asked(WEB, 5.0, refused, recurse=False)) is Verdict.REFUSED
    assert model().judge(asked(WEB, 5.0, refused)) is Verdict.NOT_ALLOWED_FAILED


def test_a_name_outside_has_its_own_address() -> None:
    name = "q1.fresh.example.com"
    right = Asked(Key(name), True, 1.0, 1.1, foreign(name), 300, How())
    assert model().judge(right) is Verdict.RIGHT
    other = right._replace(answer=foreign("q2.fresh.example.com"))
    assert model().judge(other) is Verdict.WRONG


def test_nothing_is_judged_of_which_a_change_is_still_being_written() -> None:
    history = History()
    history.starts("web", {WEB: FIRST})
    number = history.writes(5.0)
    assert history.horizon(9.0) == 5.0
    history.written(number, 8.0, {WEB: SECOND})
    assert history.horizon(9.0) == 9.0


def test_a_dead_kubedns_is_excused_until_its_api_server_is_back() -> None:
    made = model()
    api = made.begins(_KINDS["API away"], 10.0)
    during(made, _KINDS["kubedns KILL"], 12.0, 14.0)
    made.ends(api, 40.0)
    assert made.judge(asked(WEB, 50.0, FAILS)) is Verdict.FAILED
