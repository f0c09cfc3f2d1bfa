"""
Rows K of the conformance cases: what CoreDNS' cache does, and so does this one.

Read as decisions.md says: TTLs are never raised, the cap is a day (K1, K17, K30), stale answers
follow our own timers (K23 to K27). Not here: K32 (no access lists yet), K8, K18, K28 (options that
we do not have).
"""

from collections.abc import Sequence
from typing import Any

import dns.flags
import dns.message
import pytest

from tests.fwdreplay import Replay, asked_of, reply_to, soa

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"
SOA = soa("example.com.")


@pytest.fixture
def replay() -> Replay:
    return Replay()


def test_k1_k30_a_ttl_beyond_a_day_is_served_as_a_day(replay: Replay) -> None:
    asked = replay.resolve(f"{NAME} A", f"{NAME} 604800 IN A 192.0.2.7")
    assert asked.ttls == {86400}
    replay.time_passes(10)
    assert replay.client_asks(f"{NAME} A").ttls == {86390}


def test_k2_letter_case_does_not_matter(replay: Replay) -> None:
    replay.resolve("mIEK.nL. A", "mIEK.nL. 60 IN A 192.0.2.7")
    asked = replay.client_asks("miek.nl. A")
    assert asked.answer == ["miek.nl. 60 IN A 192.0.2.7"]
    assert replay.client_asks("MIEK.nl. A").answer == ["MIEK.nl. 60 IN A 192.0.2.7"]
    assert replay.counters.misses == 1


@pytest.mark.parametrize("options", [{}, {"neg_ttl_s": 60}, {"min_cache_ttl_s": 60}], ids=str)
def test_k3_a_truncated_reply_is_not_stored(options: dict[str, Any]) -> None:
    """The server cannot be asked over TCP: this client gets TC=1, and the next one is asked for."""
    replay = Replay(**options)
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A, flags="TC")
    while not asked.replies:
        replay.upstream_fails()
        replay.time_passes(0.5)
    assert asked.reply.flags & dns.flags.TC
    assert not replay.is_kept(f"{NAME} A")


def test_k4_nxdomain_is_stored_with_soa(replay: Replay) -> None:
    asked = replay.resolve(f"{NAME} A", rcode="NXDOMAIN", authority=SOA)
    assert asked.rcode == "NXDOMAIN"
    assert replay.is_kept(f"{NAME} A")


def test_k4_nxdomain_is_not_stored_without_soa(replay: Replay) -> None:
    asked = replay.resolve(f"{NAME} A", rcode="NXDOMAIN")
    assert asked.rcode == "NXDOMAIN"
    assert not replay.is_kept(f"{NAME} A")


@pytest.mark.parametrize("rcode", ["SERVFAIL", "NOTIMP"])
def test_k5_failures_are_stored_for_five_seconds(replay: Replay, rcode: str) -> None:
    asked = replay.client_asks(f"{NAME} A")
    while not asked.replies:
        replay.upstream_answers(rcode=rcode)
    assert asked.rcode == rcode
    sent = len(replay.sent)
    replay.time_passes(4.9)
    again = replay.client_asks(f"{NAME} A")
    assert (again.rcode, again.ede) == (rcode, [13])
    assert len(replay.sent) == sent
    replay.time_passes(0.2)
    assert not replay.client_asks(f"{NAME} A").replies


KEYS = [f"{NAME} A", f"{NAME} AAAA", "other.example.com. A"]
FLAGS = ["RD", "RD DO", "RD CD", "RD DO CD"]


def test_k6_type_do_and_cd_make_another_question(replay: Replay) -> None:
    for question in KEYS:
        for flags in FLAGS:
            asked = replay.client_asks(question, flags=flags)
            assert not asked.replies, (question, flags)
            sent = replay.upstream_answers(authority=SOA)
            assert bool(sent.ednsflags & dns.flags.DO) == ("DO" in flags)
            assert bool(sent.flags & dns.flags.CD) == ("CD" in flags)
    for question in KEYS:
        for flags in FLAGS:
            assert replay.is_kept(question, flags=flags)


def test_k6_class_makes_another_question(replay: Replay) -> None:
    replay.resolve(f"{NAME} TXT", f"{NAME} 60 IN TXT x")
    assert replay.client_asks(f"{NAME} TXT CH").rcode == "REFUSED"


def test_k6_ad_and_aa_and_ra_do_not(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    for flags in ("RD AD", "RD AA", "RD RA", "RD TC"):
        assert replay.is_kept(f"{NAME} A", flags=flags)


@pytest.mark.parametrize("first", ["RD", "RD AD"])
@pytest.mark.parametrize("trusted", [True, False])
def test_k7_ad_only_for_who_may_have_it(first: str, trusted: bool) -> None:
    replay = Replay(trusted=("192.0.2.1",) if trusted else ())
    asked = replay.client_asks(f"{NAME} A", flags=first)
    replay.upstream_answers(A, flags="AD")
    replies = [(first, asked)]
    for flags in ("RD", "RD AD"):
        replies += [(flags, replay.client_asks(f"{NAME} A", flags=flags)) for _ in range(3)]
        got = replay.receiver_answers(f"{NAME} A", flags=flags)
        assert got is not None
        replies.append((flags, got))
    for flags, one in replies:
        assert bool(one.reply.flags & dns.flags.AD) == (trusted and "AD" in flags)
    assert len(replay.sent) == 1


CNAME = f"{NAME} 60 IN CNAME target.example.com."
NOT_STORED: dict[str, tuple[str, Sequence[str]]] = {
    "A": ("A", [CNAME]),
    "MX": ("MX", [CNAME]),
    "the wrong family": ("AAAA", [CNAME, "target.example.com. 60 IN A 192.0.2.7"]),
    "an A off the chain": ("A", [CNAME, "unrelated.example.com. 60 IN A 192.0.2.7"]),
    "two targets, the other one known": (
        "A",
        [CNAME, f"{NAME} 60 IN CNAME other.example.com.", "other.example.com. 60 IN A 192.0.2.7"],
    ),
    "two targets, neither known": (
        "A",
        [f"{NAME} 60 IN CNAME other.example.com.", CNAME, "off.example.com. 60 IN A 192.0.2.7"],
    ),
    "a loop": ("A", [CNAME, f"target.example.com. 60 IN CNAME {NAME}"]),
}  # fmt: skip


@pytest.mark.parametrize("why", NOT_STORED)
@pytest.mark.parametrize("options", [{}, {"min_cache_ttl_s": 60}], ids=str)
def test_k9_a_chain_without_end_is_not_stored(why: str, options: dict[str, Any]) -> None:
    replay = Replay(**options)
    rtype, answer = NOT_STORED[why]
    asked = replay.resolve(f"{NAME} {rtype}", *answer)
    assert asked.rcode == "NOERROR"
    assert all(" CNAME " in line for line in asked.answer)
    assert not replay.is_kept(f"{NAME} {rtype}")


@pytest.mark.parametrize("why", NOT_STORED)
def test_k10_with_an_soa_it_is_stored_as_nodata(replay: Replay, why: str) -> None:
    rtype, answer = NOT_STORED[why]
    replay.resolve(f"{NAME} {rtype}", *answer, authority=SOA)
    assert replay.is_kept(f"{NAME} {rtype}")
    (one,) = replay.cache.entries.values()
    assert one.is_negative
    none = Replay(no_negcache=True)
    none.resolve(f"{NAME} {rtype}", *answer, authority=SOA)
    assert not none.is_kept(f"{NAME} {rtype}")


LINK = "target.example.com. 60 IN CNAME end.example.com."
END = "end.example.com. 60 IN A 192.0.2.7"


@pytest.mark.parametrize(
    "answer",
    [[CNAME, LINK, END], [END, LINK, CNAME], [LINK, CNAME, END], [CNAME, CNAME, LINK, LINK, END]],
    ids=["in order", "backwards", "mixed", "with doubles"],
)
def test_k11_a_chain_that_ends_in_the_type_is_stored(replay: Replay, answer: list[str]) -> None:
    asked = replay.resolve(f"{NAME} A", *answer)
    first = [rrset.to_text() for rrset in asked.reply.answer]
    assert first == [CNAME, LINK, END]
    assert replay.is_kept(f"{NAME} A")
    assert [r.to_text() for r in replay.client_asks(f"{NAME} A").reply.answer] == first


@pytest.mark.parametrize("rtype", ["CNAME", "ANY"])
def test_k12_an_alias_asked_for_as_such_is_stored(replay: Replay, rtype: str) -> None:
    asked = replay.resolve(f"{NAME} {rtype}", CNAME)
    assert asked.answer == [CNAME]
    assert replay.is_kept(f"{NAME} {rtype}")


def test_k13_ttl_zero_is_not_stored(replay: Replay) -> None:
    asked = replay.resolve(f"{NAME} A", f"{NAME} 0 IN A 192.0.2.7")
    assert asked.ttls == {0}
    assert not replay.is_kept(f"{NAME} A")


def test_k14_a_configured_maximum_is_honoured() -> None:
    replay = Replay(max_cache_ttl_s=7200)
    asked = replay.resolve(f"{NAME} A", f"{NAME} 20000 IN A 192.0.2.7")
    assert asked.ttls == {7200}
    replay.time_passes(7201)
    assert not replay.is_kept(f"{NAME} A")


def test_k15_a_failure_does_not_end_a_valid_answer(replay: Replay) -> None:
    """A refresh before the end fails; the answer is served for as long as it is good."""
    replay.resolve(f"{NAME} A", A)
    for _ in range(3):
        replay.client_asks(f"{NAME} A")
    replay.time_passes(56)
    assert replay.client_asks(f"{NAME} A").ttls == {4}
    replay.upstream_answers(rcode="SERVFAIL")
    replay.time_passes(0.5)
    assert replay.client_asks(f"{NAME} A").ttls == {4}


def test_k16_l17_a_reply_to_another_question_never_gets_here(replay: Replay) -> None:
    """The dialer compares ID, flags and question octets (test_fwd_dial_answers)."""
    asked = replay.client_asks(f"{NAME} A")
    (attempt,) = replay.waiting
    assert attempt.octets.lower() == asked.message[12 : 12 + len(attempt.octets)].lower()


@pytest.mark.parametrize(
    ("ttl", "least", "most", "given"),
    [
        (299, 0, None, 299), (300, 0, None, 300), (3601, 0, None, 3601),
        (299, 300, 3600, 300), (300, 300, 3600, 300), (3601, 300, 3600, 3600),
    ],
)  # fmt: skip
def test_k17_ttls_are_raised_only_if_the_operator_wants_it(
    ttl: int, least: int, most: int | None, given: int
) -> None:
    replay = Replay(min_cache_ttl_s=least, max_cache_ttl_s=most)
    replay.resolve(f"{NAME} A", f"{NAME} {ttl} IN A 192.0.2.7")
    assert replay.client_asks(f"{NAME} A").ttls == {given}


def refreshes(replay: Replay) -> list[str]:
    return replay.questions


def test_k19_a_popular_answer_is_refreshed_in_its_last_tenth(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", f"{NAME} 80 IN A 192.0.2.7")
    for _ in range(2):
        replay.client_asks(f"{NAME} A")
    replay.time_passes(71)
    assert replay.client_asks(f"{NAME} A").ttls == {9}
    assert not refreshes(replay)
    replay.time_passes(2)
    assert replay.client_asks(f"{NAME} A").ttls == {7}
    assert refreshes(replay) == [f"192.0.2.1 {NAME} A"]
    replay.upstream_answers(f"{NAME} 80 IN A 192.0.2.8")
    replay.time_passes(7)
    asked = replay.client_asks(f"{NAME} A")
    assert asked.answer == [f"{NAME} 73 IN A 192.0.2.8"]
    assert not refreshes(replay)
    assert replay.counters.prefetched == 1


def test_k19_an_answer_that_is_not_popular_is_not_refreshed(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", f"{NAME} 80 IN A 192.0.2.7")
    replay.time_passes(74)
    assert replay.client_asks(f"{NAME} A").replies
    assert not refreshes(replay)


def test_k20_a_short_answer_is_refreshed_in_its_last_second(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", f"{NAME} 5 IN A 192.0.2.7")
    for _ in range(3):
        replay.client_asks(f"{NAME} A")
    replay.time_passes(3.5)
    replay.client_asks(f"{NAME} A")
    assert not refreshes(replay)
    replay.time_passes(0.5)
    assert replay.client_asks(f"{NAME} A").ttls == {1}
    assert len(refreshes(replay)) == 1


@pytest.mark.parametrize("flags", ["RD DO", "RD CD", "RD"])
def test_k21_a_refresh_is_for_that_entry_only(replay: Replay, flags: str) -> None:
    for each in ("RD", "RD DO", "RD CD"):
        replay.resolve(f"{NAME} A", f"{NAME} 80 IN A 192.0.2.7", flags=each)
    for _ in range(3):
        replay.client_asks(f"{NAME} A", flags=flags)
    replay.time_passes(75)
    replay.client_asks(f"{NAME} A", flags=flags)
    (attempt,) = replay.waiting
    sent = asked_of(attempt)
    assert bool(sent.ednsflags & dns.flags.DO) == ("DO" in flags)
    assert bool(sent.flags & dns.flags.CD) == ("CD" in flags)


def test_k22_200_hits_on_an_answer_due_for_refresh_ask_once(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", f"{NAME} 80 IN A 192.0.2.7")
    for _ in range(3):
        replay.client_asks(f"{NAME} A")
    replay.time_passes(74)
    for number in range(200):
        if number % 2:
            assert replay.receiver_answers(f"{NAME} A") is not None
        else:
            assert replay.client_asks(f"{NAME} A").replies
    assert len(refreshes(replay)) == 1


def expired(replay: Replay, after_s: float) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(60 + after_s)


def fail(replay: Replay, rcode: str = "SERVFAIL") -> None:
    while replay.waiting:
        replay.upstream_answers(rcode=rcode)


@pytest.mark.parametrize(
    ("minutes", "served"), [(0.1, True), (30, True), (59, True), (61, False), (70, False)]
)
def test_k23_an_expired_answer_is_served_for_an_hour(
    replay: Replay, minutes: float, served: bool
) -> None:
    expired(replay, 60 * minutes)
    asked = replay.client_asks(f"{NAME} A")
    assert not asked.replies, "first the server is asked"
    fail(replay)
    assert asked.rcode == ("NOERROR" if served else "SERVFAIL")


@pytest.mark.parametrize(("option", "ttl"), [({}, 30), ({"use_stale_cache_s": 0}, 0)], ids=str)
def test_k24_the_ttl_of_a_stale_answer(option: dict[str, Any], ttl: int) -> None:
    replay = Replay(**option)
    expired(replay, 600)
    asked = replay.client_asks(f"{NAME} A")
    fail(replay)
    assert (asked.ttls, asked.ede) == ({ttl}, [3])
    fresh = replay.resolve("fresh.example.com. A", "fresh.example.com. 45 IN A 192.0.2.9")
    assert (fresh.ttls, fresh.ede) == ({45}, [])


@pytest.mark.parametrize(
    ("server", "rcode", "answer"),
    [
        ({"answer": f"{NAME} 60 IN A 192.0.2.8"}, "NOERROR", [f"{NAME} 60 IN A 192.0.2.8"]),
        ({"rcode": "SERVFAIL"}, "NOERROR", [f"{NAME} 30 IN A 192.0.2.7"]),
        ({"rcode": "NXDOMAIN", "authority": SOA}, "NXDOMAIN", []),
    ],
    ids=["good", "SERVFAIL", "NXDOMAIN"],
)
def test_k25_the_server_is_asked_before_a_stale_answer_is_given(
    replay: Replay, server: dict[str, Any], rcode: str, answer: list[str]
) -> None:
    expired(replay, 600)
    asked = replay.client_asks(f"{NAME} A")
    while replay.waiting:
        replay.upstream_answers(**server)
    assert (asked.rcode, asked.answer) == (rcode, answer)


def test_k26_a_slow_server_costs_no_more_than_1_8_s(replay: Replay) -> None:
    expired(replay, 600)
    asked = replay.client_asks(f"{NAME} A")
    replay.time_passes(1.75)
    assert not asked.replies
    replay.time_passes(0.1)
    assert asked.ede == [3]
    assert replay.client_asks(f"{NAME} A").ede == [3], "at once, the server is slow"
    replay.upstream_answers(f"{NAME} 60 IN A 192.0.2.8")
    assert replay.client_asks(f"{NAME} A").answer == [f"{NAME} 60 IN A 192.0.2.8"]


def test_k27_a_stale_nxdomain_does_not_hide_a_new_name(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", rcode="NXDOMAIN", authority=SOA)
    replay.time_passes(120)
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A)
    assert asked.answer == [A]
    assert replay.client_asks(f"{NAME} A").answer == [A]


def test_k27_a_stale_nxdomain_is_better_than_nothing(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", rcode="NXDOMAIN", authority=SOA)
    replay.time_passes(120)
    asked = replay.client_asks(f"{NAME} A")
    fail(replay)
    assert (asked.rcode, asked.ede) == ("NXDOMAIN", [19])


def test_k29_after_a_failed_refresh_nobody_is_asked_for_30_s(replay: Replay) -> None:
    expired(replay, 600)
    together = [replay.client_asks(f"{NAME} A") for _ in range(20)]
    assert len(replay.waiting) == 1, "parallel clients share one"
    fail(replay)
    assert {one.ede[0] for one in together} == {3}
    for _ in range(29):
        replay.time_passes(1)
        assert replay.client_asks(f"{NAME} A").ede == [3]
        assert not replay.waiting
    replay.time_passes(1.1)
    assert not replay.client_asks(f"{NAME} A").replies
    assert len(replay.waiting) == 1


@pytest.mark.parametrize("kind", ["miss", "hit", "ready", "stale", "failure"])
def test_k31_opt_for_opt(kind: str) -> None:
    for edns in (True, False):
        replay = Replay()
        asked = replay.client_asks(f"{NAME} A", edns=edns)
        replay.upstream_answers(rcode="SERVFAIL" if kind == "failure" else "NOERROR", answer=A)
        if kind == "hit":
            asked = replay.client_asks(f"{NAME} A", edns=edns)
        elif kind == "ready":
            for _ in range(3):
                replay.client_asks(f"{NAME} A", edns=edns)
            asked = replay.receiver_answers(f"{NAME} A", edns=edns)  # type: ignore[assignment]
        elif kind == "stale":
            replay.time_passes(100)
            asked = replay.client_asks(f"{NAME} A", edns=edns)
            fail(replay)
        while not asked.replies:
            fail(replay)
            replay.time_passes(1)
        reply = asked.reply
        assert (reply.edns == 0) is edns
        if edns:
            assert reply.payload == 1232
            assert not reply.ednsflags & dns.flags.DO


def test_k31_do_comes_back(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A, flags="RD DO")
    for _ in range(3):
        asked = replay.client_asks(f"{NAME} A", flags="RD DO")
        assert asked.reply.ednsflags & dns.flags.DO
    got = replay.receiver_answers(f"{NAME} A", flags="RD DO")
    assert got is not None
    assert got.reply.ednsflags & dns.flags.DO


def test_whoever_answers_is_asked_with_rd_and_edns_of_1232(replay: Replay) -> None:
    """Whatever the client said: everything is rebuilt from scratch (forwarder.md 1.7)."""
    replay.client_asks(f"{NAME} A", edns=False)
    (attempt,) = replay.waiting
    sent: dns.message.Message = asked_of(attempt)
    assert sent.flags == dns.flags.RD
    assert (sent.edns, sent.payload, sent.options) == (0, 1232, ())
    assert reply_to(sent).question == sent.question
