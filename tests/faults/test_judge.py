"""How answers are judged: against all that was right between question and answer."""

from __future__ import annotations

import pytest

from tests.faults.judge import Outcome, judge
from tests.faults.load import Asked
from tests.faults.truth import MISSING, SERVFAIL, Answer, Truth, addresses

WEB, FRESH = "web.shop.svc.cluster.local", "fresh.example.com"
OLD, NEW, NEVER = addresses("10.0.0.7"), addresses("10.0.0.8"), addresses("10.0.0.9")


def judged(
    answer: Answer, *, sent: float, answered: float | None = None, tries: int = 1
) -> Outcome:
    """Judge one answer about a name whose address changed between seconds 10 and 11."""
    truth = Truth()
    truth.is_always([WEB], OLD)
    truth.becomes(WEB, NEW, 10.0, 11.0)
    truth.known = {WEB}
    at = sent + 0.01 if answered is None else answered
    asked = Asked(0, sent, at, answer[0], answer[1], 30, tries)
    return judge([asked], [WEB], truth, FRESH, began=0.0, over=12.0)


@pytest.mark.parametrize(("answer", "sent"), [(OLD, 9.0), (OLD, 10.5), (NEW, 10.5), (NEW, 20.0)])
def test_right(answer: Answer, sent: float) -> None:
    made = judged(answer, sent=sent)
    assert (made.answered, made.stale, made.wrong, made.failed) == (1, 0, 0, 0)


def test_right_at_any_moment_while_it_was_asked() -> None:
    assert judged(OLD, sent=9.0, answered=12.0).stale == 0
    assert judged(NEW, sent=9.0, answered=12.0).wrong == 0


def test_stale_and_by_how_much() -> None:
    made = judged(OLD, sent=15.0)
    assert (made.answered, made.stale, made.stale_s, made.heal_s) == (1, 1, 4.0, 3.0)


def test_an_answer_from_the_future_or_from_nowhere_is_wrong() -> None:
    assert judged(NEW, sent=9.0).wrong == 1
    assert judged(NEVER, sent=20.0).wrong == 1
    assert judged(MISSING, sent=20.0).wrong == 1


def test_a_failure_of_a_name_that_exists_is_counted_twice() -> None:
    made = judged((SERVFAIL, frozenset()), sent=5.0)
    assert (made.failed, made.failed_known, made.answered) == (1, 1, 0)


def test_an_answer_to_the_second_try_is_late() -> None:
    assert judged(OLD, sent=5.0, answered=7.2, tries=2).late == 1
    assert judged(OLD, sent=5.0, answered=5.2).late == 0


@pytest.mark.parametrize(("outage", "known"), [((4.9, 7.5), 0), ((4.9, 6.9), 1), ((5.1, 9.0), 1)])
def test_what_nobody_could_be_asked_in_either_try_is_no_fault_of_the_answers(
    outage: tuple[float, float], known: int
) -> None:
    truth = Truth()
    truth.is_always([WEB], OLD)
    truth.known = {WEB}
    asked = Asked(0, 5.0, 9.0, -1, frozenset(), -1, 2)
    made = judge([asked], [WEB], truth, FRESH, began=5.0, over=5.0, nobody=[outage])
    assert (made.failed, made.failed_known) == (1, known)


@pytest.mark.parametrize(("stall", "known"), [((8.9, 9.3), 0), ((4.0, 5.1), 0), ((9.1, 9.4), 1)])
def test_what_was_asked_of_a_machine_that_stood_still_is_no_fault_of_the_answers(
    stall: tuple[float, float], known: int
) -> None:
    truth = Truth()
    truth.is_always([WEB], OLD)
    truth.known = {WEB}
    asked = Asked(0, 5.0, 9.0, -1, frozenset(), -1, 2)
    late = Asked(0, 5.0, 8.5, 0, OLD[1], 5, 2)
    made = judge([asked, late], [WEB], truth, FRESH, began=5.0, over=5.0, stalls=[stall])
    assert (made.failed, made.failed_known, made.too_late_known) == (1, known, known)
    assert made.excused == 2 - 2 * known


def test_a_wrong_answer_has_no_excuse() -> None:
    truth = Truth()
    truth.is_always([WEB], OLD)
    asked = Asked(0, 5.0, 8.5, 0, NEVER[1], 5, 2)
    made = judge([asked], [WEB], truth, FRESH, began=5.0, over=5.0, stalls=[(4.0, 9.0)])
    assert made.wrong == 1
