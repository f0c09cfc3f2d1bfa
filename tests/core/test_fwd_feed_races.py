"""Answers that were on their way while something changed: passed on, but not kept."""

import pytest

from dnsmasq_py import purge
from tests.fwdreplay import Replay
from tests.fwdteller import SOA, Teller, fed, is_held

WEB = "web.shop.svc.cluster.local."
DB = "db.shop.svc.cluster.local."
OLD = f"{WEB} 30 IN A 10.0.0.7"
NEW = f"{WEB} 30 IN A 10.0.0.8"


def test_what_was_asked_before_a_change_and_comes_after_it_is_for_that_client_alone() -> None:
    replay, teller = fed()
    asked = replay.client_asks(f"{WEB} A")
    teller.changes(WEB)
    replay.upstream_answers(OLD)
    assert asked.answer == [OLD]
    assert replay.resolve(f"{WEB} A", NEW).answer == [NEW]
    assert replay.client_asks(f"{WEB} A").answer == [NEW]


@pytest.mark.parametrize("changed", [WEB, "shop.svc.cluster.local.", f"_http._tcp.{WEB}"])
def test_the_same_for_what_is_missing(changed: str) -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    teller.changes(changed)
    replay.upstream_answers(rcode="NXDOMAIN", authority=SOA)
    assert not is_held(replay, f"{WEB} A")


@pytest.mark.parametrize("changed", [DB, "a.b.other.svc.cluster.local.", f"a.{WEB}"])
def test_changes_elsewhere_keep_nobody_from_storing(changed: str) -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    for _ in range(20):
        teller.changes(changed)
    replay.upstream_answers(OLD)
    assert is_held(replay, f"{WEB} A")


def test_so_many_changes_that_nobody_remembers_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "_REMEMBERED", 8)
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    for _ in range(9):
        teller.changes(DB)
    replay.upstream_answers(OLD)
    assert not is_held(replay, f"{WEB} A")


def test_names_outside_are_kept_whatever_happens_in_the_cluster() -> None:
    replay, teller = fed()
    asked = replay.client_asks("www.example.com. A")
    teller.changes_all()
    Teller(replay, instance=b"another!").begins()
    assert not replay.client_asks("www.example.com. A").replies
    assert len(replay.waiting) == 1, "both wait for one question"
    replay.upstream_answers("www.example.com. 300 IN A 192.0.2.9")
    assert asked.answer
    assert is_held(replay, "www.example.com. A")


@pytest.mark.parametrize("how", ["all", "a lost message", "a new start", "the feed begins"])
def test_no_answer_of_before_is_kept_when_anything_may_have_changed(how: str) -> None:
    replay, teller = fed()
    if how == "the feed begins":
        replay = Replay()
        teller = Teller(replay)
    replay.client_asks(f"{WEB} A")
    match how:
        case "all":
            teller.changes_all()
        case "a lost message":
            teller.known += 1
            teller.changes(DB)
        case "a new start":
            Teller(replay, instance=b"another!").begins()
        case _:
            teller.begins()
    replay.upstream_answers(OLD)
    assert not is_held(replay, f"{WEB} A")


def test_who_asks_after_the_change_does_not_wait_for_an_answer_of_before() -> None:
    replay, teller = fed()
    first = replay.client_asks(f"{WEB} A")
    teller.changes(WEB)
    second = replay.client_asks(f"{WEB} A")
    third = replay.client_asks(f"{WEB} A")
    assert len(replay.waiting) == 2, "the question of before and a new one"
    replay.upstream_answers(OLD)
    assert first.answer == [OLD]
    assert not (second.replies or third.replies)
    replay.upstream_answers(NEW)
    assert second.answer == third.answer == [NEW]
    assert replay.client_asks(f"{WEB} A").answer == [NEW]
    assert replay.is_quiet()


def test_the_answer_of_before_does_not_displace_the_one_of_after() -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    teller.changes(WEB)
    replay.client_asks(f"{WEB} A")
    replay.sent.reverse()
    replay.upstream_answers(NEW)
    replay.upstream_answers(OLD)
    assert replay.client_asks(f"{WEB} A").answer == [NEW]


def test_a_chain_whose_first_part_changed_while_its_second_was_asked_for() -> None:
    replay, teller = fed()
    replay.client_asks(f"{DB} A")
    replay.upstream_answers(f"{DB} 30 IN CNAME www.example.com.")
    teller.changes(DB)
    replay.upstream_answers("www.example.com. 300 IN A 192.0.2.9")
    assert not is_held(replay, f"{DB} A")
    assert is_held(replay, "www.example.com. A")


def test_a_chain_whose_second_part_changed_while_it_was_asked_for() -> None:
    replay, teller = fed()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    teller.changes(WEB)
    waits = replay.client_asks("www.example.com. A")
    replay.upstream_answers(OLD, question=f"{WEB} A")
    assert not waits.replies, "it asked after the change"
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(NEW, question=f"{WEB} A")
    assert waits.answer == sorted([f"www.example.com. 30 IN CNAME {WEB}", NEW])


def test_a_chain_does_not_lead_on_to_a_question_of_before() -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    teller.changes(WEB)
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}", question="www.example.com. A")
    assert len(replay.waiting) == 2
    replay.upstream_answers(OLD)
    assert not asked.replies
    replay.upstream_answers(NEW)
    assert NEW in asked.answer


def test_a_chain_that_joins_a_question_of_before_is_as_old_as_that() -> None:
    """What changed is not the name that is asked for, but one that it leads to."""
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    teller.changes(DB)
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}", question="www.example.com. A")
    assert len(replay.waiting) == 1
    replay.upstream_answers([f"{WEB} 30 IN CNAME {DB}", f"{DB} 30 IN A 10.0.0.7"])
    assert not is_held(replay, f"{WEB} A")
    assert not is_held(replay, "www.example.com. A")


def test_a_refresh_that_a_change_overtook() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", OLD)
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    teller.lives(298, lambda: replay.receiver_answers(f"{WEB} A"))
    assert set(replay.questions) == {f"127.0.0.1#10053 {WEB} A"}, "it is refreshed"
    teller.changes(WEB)
    replay.upstream_answers(OLD)
    assert not is_held(replay, f"{WEB} A")


def test_an_answer_to_a_question_that_had_failed_already() -> None:
    replay, teller = fed()
    asked = replay.client_asks(f"{WEB} A")
    late = replay.waiting[0]
    while not asked.replies:
        replay.time_passes(0.5)
        teller.beats()
    assert asked.rcode == "SERVFAIL"
    teller.changes(WEB)
    replay.sent[:] = [late]
    if late.open:
        replay.upstream_answers(OLD)
    assert not is_held(replay, f"{WEB} A")


def test_what_failed_before_a_change_is_tried_again_after_it() -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    teller.changes(DB)
    replay.upstream_answers(rcode="SERVFAIL")
    assert not len(replay.forwarder.failures)
    assert replay.resolve(f"{WEB} A", NEW).answer == [NEW]


def test_a_reverse_name_that_became_the_clusters_while_others_were_asked() -> None:
    replay, teller = fed()
    name = "9.0.0.10.in-addr.arpa."
    replay.client_asks(f"{name} PTR")
    replay.upstream_answers(rcode="REFUSED")
    teller.changes(name)
    replay.upstream_answers(f"{name} 300 IN PTR old.example.")
    assert not is_held(replay, f"{name} PTR")


def test_an_answer_that_a_change_made_wrong_is_not_served_stale() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", OLD)
    replay.time_passes(40)  # the feed has ended, and so has the answer
    teller.begins()
    asked = replay.client_asks(f"{WEB} A")
    teller.changes(WEB)
    replay.time_passes(1)
    teller.beats()
    assert not asked.replies
    while not asked.replies:
        replay.time_passes(0.5)
        teller.beats()
    assert asked.rcode == "SERVFAIL"


def test_a_failure_from_before_a_change_is_no_answer_after_it() -> None:
    """kubedns was started anew: SERVFAIL is on its way while its first list is told."""
    replay, teller = fed()
    replay.resolve(f"{WEB} A", OLD)
    Teller(replay, instance=b"another!").begins()
    asked = replay.client_asks(f"{WEB} A")
    teller = Teller(replay, instance=b"another!")
    teller.begins()
    teller.changes_all()
    replay.upstream_answers(rcode="SERVFAIL")
    assert not asked.replies
    replay.upstream_answers(OLD)
    assert asked.answer == [OLD]


def test_a_failure_is_overtaken_once() -> None:
    """Names that change all the time must not keep a client waiting for ever."""
    replay, teller = fed()
    asked = replay.client_asks(f"{WEB} A")
    for _ in range(2):
        teller.changes(WEB)
        replay.upstream_answers(rcode="SERVFAIL")
    while replay.waiting:
        replay.upstream_answers(rcode="SERVFAIL")
    assert asked.rcode == "SERVFAIL"
