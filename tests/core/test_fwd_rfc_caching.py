"""The RFC checklist of the design, lines about what is kept and for how long."""

from typing import Any

import pytest

from dnsmasq_py.server import Server
from tests.fwdreplay import DEFAULT, Replay, asked_of, reply_to, soa

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"
ZONE = "example.com."


@pytest.fixture
def replay() -> Replay:
    return Replay()


def all_fail(replay: Replay, rcode: str = "SERVFAIL") -> None:
    while replay.waiting:
        replay.upstream_answers(rcode=rcode)


def test_1034_1_chains_come_in_order_and_a_loop_ends(replay: Replay) -> None:
    links = [f"n{i}.{ZONE} 60 IN CNAME n{i + 1}.{ZONE}" for i in range(9)]
    asked = replay.resolve(f"n0.{ZONE} A", *reversed(links), f"n9.{ZONE} 60 IN A 192.0.2.7")
    assert [r.to_text() for r in asked.reply.answer][:9] == links
    loop = [f"a.{ZONE} 60 IN CNAME b.{ZONE}", f"b.{ZONE} 60 IN CNAME a.{ZONE}"]
    asked = replay.resolve(f"a.{ZONE} A", *loop)
    assert len(asked.answer) <= 2


def test_1034_1_a_chain_without_end_is_cut(replay: Replay) -> None:
    links = [f"n{i}.{ZONE} 60 IN CNAME n{i + 1}.{ZONE}" for i in range(100)]
    assert len(replay.resolve(f"n0.{ZONE} A", *links).answer) <= 16
    assert not replay.is_kept(f"n0.{ZONE} A")


def test_2181_2_differing_ttls_are_evened_to_the_smallest(replay: Replay) -> None:
    records = [f"{NAME} {ttl} IN A 192.0.2.{ttl}" for ttl in (60, 20, 90)]
    asked = replay.client_asks(f"{NAME} A")
    made = reply_to(asked_of(replay.waiting[0]))
    octets = made.to_wire()[:6] + b"\0\3" + made.to_wire()[8:]
    opt_at = len(octets) - 11
    plain = octets[:opt_at]
    for record in records:
        _, ttl, *_, address = record.split()
        plain += b"\xc0\x0c\0\1\0\1" + int(ttl).to_bytes(4) + b"\0\4"
        plain += bytes(map(int, address.split(".")))
    replay.deliver(replay.waiting[0], plain + octets[opt_at:])
    assert (len(asked.answer), asked.ttls) == (3, {20})
    replay.time_passes(15)
    again = replay.client_asks(f"{NAME} A")
    assert (len(again.answer), again.ttls) == (3, {5}), "none of them vanishes alone"


@pytest.mark.parametrize("section", ["answer", "soa", "minimum", "chain"])
def test_2181_3_a_ttl_with_the_top_bit_counts_as_zero(replay: Replay, section: str) -> None:
    huge = 0x80000000
    match section:
        case "answer":
            asked = replay.client_asks(f"{NAME} A")
            replay.upstream_answers(A, change=lambda o: _replace_ttl(o, 60, huge))
        case "chain":
            asked = replay.client_asks(f"{NAME} A")
            replay.upstream_answers(
                [f"{NAME} 61 IN CNAME t.{ZONE}", f"t.{ZONE} 60 IN A 192.0.2.7"],
                change=lambda o: _replace_ttl(o, 61, huge),
            )
        case "soa":
            asked = replay.client_asks(f"{NAME} A")
            replay.upstream_answers(
                authority=soa(ZONE, 60, 77), change=lambda o: _replace_ttl(o, 60, huge)
            )
        case _:
            asked = replay.client_asks(f"{NAME} A")
            replay.upstream_answers(
                authority=soa(ZONE, 77, 60), change=lambda o: _replace_ttl(o, 60, huge)
            )
    assert asked.ttls == {0}
    assert not replay.is_kept(f"{NAME} A")


def _replace_ttl(octets: bytes, old: int, new: int) -> bytes:
    at = octets.rindex(old.to_bytes(4))
    return octets[:at] + new.to_bytes(4) + octets[at + 4 :]


UNASKED: dict[str, dict[str, Any]] = {
    "additional address": {"answer": A, "additional": "victim.example.com. 60 IN A 192.0.2.66"},
    "authority and glue": {
        "answer": A,
        "authority": "example.com. 60 IN NS ns.example.com.",
        "additional": "ns.example.com. 60 IN A 192.0.2.66",
    },
    "another owner in the answer": {"answer": [A, "victim.example.com. 60 IN A 192.0.2.66"]},
    "another owner in front": {"answer": ["victim.example.com. 60 IN A 192.0.2.66", A]},
    "another type": {"answer": [A, f"{NAME} 60 IN TXT x"]},
    "an alias of another": {"answer": [A, "victim.example.com. 60 IN CNAME evil.example.com."]},
    "an alias above": {"answer": [A, "example.com. 60 IN CNAME evil.example.com."]},
}  # fmt: skip


@pytest.mark.parametrize("why", UNASKED)
def test_2181_4_only_what_was_asked_is_kept_and_passed_on(replay: Replay, why: str) -> None:
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(**UNASKED[why])
    for one in (asked, replay.client_asks(f"{NAME} A")):
        reply = one.reply
        assert one.answer == [A]
        assert not reply.authority
        assert not reply.additional
    assert len(replay.cache) == 1
    for question in (
        "victim.example.com. A",
        "ns.example.com. A",
        "example.com. NS",
        f"{NAME} TXT",
    ):
        assert not replay.is_kept(question)


@pytest.mark.parametrize(
    ("soa_ttl", "minimum", "kept_s"), [(60, 30, 30), (30, 60, 30), (86400, 86400, 10800)]
)
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_2308_1_negative_ttls(
    replay: Replay, soa_ttl: int, minimum: int, kept_s: int, rcode: str
) -> None:
    """The smaller one of TTL and minimum, 3 hours at most; counts down; the SOA comes along."""
    asked = replay.resolve(f"{NAME} A", rcode=rcode, authority=soa(ZONE, soa_ttl, minimum))
    assert asked.ttls == {kept_s}
    replay.time_passes(10)
    again = replay.client_asks(f"{NAME} A")
    assert (again.rcode, again.ttls) == (rcode, {kept_s - 10})
    assert again.reply.authority[0].to_text().split()[3] == "SOA"
    replay.time_passes(kept_s)
    assert not replay.is_kept(f"{NAME} A")


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_2308_2_negative_answers_without_soa_are_not_kept(replay: Replay, rcode: str) -> None:
    replay.resolve(f"{NAME} A", rcode=rcode)
    assert not replay.is_kept(f"{NAME} A")


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
@pytest.mark.parametrize(
    "options", [{"neg_ttl_s": 20}, {"min_cache_ttl_s": 50}, {"no_negcache": True}], ids=str
)
def test_2308_2_the_operator_may_say_for_how_long(options: dict[str, Any], rcode: str) -> None:
    replay = Replay(**options)
    replay.resolve(f"{NAME} A", rcode=rcode)
    kept_s = options.get("neg_ttl_s", 0)
    replay.time_passes(max(0, kept_s - 2))
    assert replay.is_kept(f"{NAME} A") == bool(kept_s)


def test_2308_2_an_soa_of_another_zone_proves_nothing(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", authority=soa("other.org."))
    assert not replay.is_kept(f"{NAME} A")


def test_2308_3_nodata_is_of_one_type_nxdomain_of_all(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", authority=soa(ZONE))
    assert not replay.client_asks(f"{NAME} AAAA").replies
    other = "nope.example.com."
    replay.resolve(f"{other} AAAA", rcode="NXDOMAIN", authority=soa(ZONE))
    replay.time_passes(10)
    for rtype in ("A", "TXT", "AAAA", "A", "A", "A"):
        asked = replay.client_asks(f"{other} {rtype}")
        assert (asked.rcode, asked.ttls) == ("NXDOMAIN", {50})
        assert asked.reply.question[0].to_text().split()[-1] == rtype
    fast = replay.receiver_answers(f"{other} A")
    assert fast is not None
    assert fast.rcode == "NXDOMAIN"
    assert not any(other in question for question in replay.questions)
    assert not replay.client_asks(f"{other} A", flags="RD DO").replies, "another question"
    replay.time_passes(51)
    assert not replay.client_asks(f"{other} A").replies


def test_2308_3_nxdomain_behind_a_cname_belongs_to_the_target(replay: Replay) -> None:
    replay.resolve(
        f"{NAME} A", f"{NAME} 60 IN CNAME nope.{ZONE}", rcode="NXDOMAIN", authority=soa(ZONE)
    )
    assert replay.is_kept(f"{NAME} A")
    assert not replay.client_asks(f"{NAME} TXT").replies, "the alias itself exists"
    assert not replay.client_asks(f"nope.{ZONE} A").replies


def test_5452_3_one_question_at_a_time_for_each_question(replay: Replay) -> None:
    """CVE-2020-25686: 200 equal questions are one, whatever their clients, ports, cases, IDs."""
    asked = [
        replay.client_asks(
            f"{NAME if i % 2 else NAME.upper()} A", client=f"10.1.0.{i}", edns=i % 3 > 0
        )
        for i in range(200)
    ]
    assert len(replay.waiting) == 1
    for flags in ("RD DO", "RD CD", "RD DO CD"):
        replay.client_asks(f"{NAME} A", flags=flags)
    assert len(replay.waiting) == 4
    replay.upstream_answers(A)
    assert all(len(one.answer) == 1 for one in asked)
    assert len({one.octets[:2] for one in asked}) == 200, "each his own ID"


def test_5452_3_attempts_are_bounded(replay: Replay) -> None:
    replay.client_asks(f"{NAME} A")
    replay.time_passes(5)
    assert len(replay.sent) <= 8


def test_8020_no_cut_across_routes_or_outside(replay: Replay) -> None:
    """CVE-2026-44687: an NXDOMAIN says nothing of names below it, here or of others' zones."""
    replay.resolve(f"{ZONE} A", rcode="NXDOMAIN", authority=soa("com."))
    assert not replay.client_asks(f"{NAME} A").replies
    replay.resolve("example. A", rcode="NXDOMAIN", authority=soa("."))
    assert not replay.client_asks("x.stub.example. A").replies


def test_8767_1_after_a_failure_at_once_with_ttl_30_and_ede_3(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(600)
    asked = replay.client_asks(f"{NAME} A")
    all_fail(replay)
    assert (asked.ttls, asked.ede) == ({30}, [3])
    assert not replay.client_asks(f"{NAME} A", edns=False).reply.options


def test_8767_1_names_of_the_cluster_with_ttl_5_when_their_server_is_away(replay: Replay) -> None:
    web = "web.shop.svc.cluster.local."
    replay.resolve(f"{web} A", f"{web} 30 IN A 10.0.0.7")
    replay.time_passes(60)
    asked = replay.client_asks(f"{web} A")
    replay.time_passes(0.2)
    assert not asked.replies, "slow is not unreachable"
    replay.time_passes(0.2)
    assert (asked.ttls, asked.ede) == ({5}, [3])
    replay.time_passes(6)
    again = replay.client_asks(f"{web} A")
    assert (again.ttls, again.ede) == ({5}, [3]), "it is known to be away"
    assert replay.waiting, "and is asked all the same"


def test_8767_1_refused_is_no_failure_to_serve_stale_for(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(600)
    asked = replay.client_asks(f"{NAME} A")
    all_fail(replay, "REFUSED")
    assert asked.rcode == "REFUSED"


def test_8767_2_at_least_30_s_between_two_tries(replay: Replay) -> None:
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(600)
    replay.client_asks(f"{NAME} A")
    all_fail(replay)
    for _ in range(3):
        replay.time_passes(29.9)
        replay.client_asks(f"{NAME} A")
        assert not replay.waiting
        replay.time_passes(0.2)
        replay.client_asks(f"{NAME} A")
        assert replay.waiting
        all_fail(replay)


def test_a_question_in_flight_as_a_refresh_still_ends_in_a_stale_answer(replay: Replay) -> None:
    """The refresh before the end gets no reply, the answer expires meanwhile."""
    replay.resolve(f"{NAME} A", f"{NAME} 20 IN A 192.0.2.7")
    for _ in range(3):
        replay.client_asks(f"{NAME} A")
    replay.time_passes(18.5)
    replay.client_asks(f"{NAME} A")
    assert replay.waiting
    replay.time_passes(1.6)
    asked = replay.client_asks(f"{NAME} A")
    assert not asked.replies
    replay.time_passes(1.9)
    assert asked.ede == [3]


def test_use_stale_cache_gives_all_the_old_answer_at_once() -> None:
    """As dnsmasq: TTL 0, EDE 3, and one refresh behind it."""
    replay = Replay(use_stale_cache_s=0)
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(86400 * 3)
    for _ in range(3):
        asked = replay.client_asks(f"{NAME} A")
        assert (asked.ttls, asked.ede) == ({0}, [3])
    assert len(replay.waiting) == 1
    replay.upstream_answers(f"{NAME} 60 IN A 192.0.2.8")
    assert replay.client_asks(f"{NAME} A").answer == [f"{NAME} 60 IN A 192.0.2.8"]


def test_9520_1_failures_are_kept_for_5_s_doubling_to_5_minutes(replay: Replay) -> None:
    for kept_s in (5, 10, 20, 40, 80, 160, 300, 300):
        asked = replay.client_asks(f"{NAME} A")
        assert not asked.replies
        all_fail(replay)
        assert asked.rcode == "SERVFAIL"
        replay.time_passes(kept_s - 0.1)
        assert replay.client_asks(f"{NAME} A").ede == [13]
        assert not replay.waiting
        replay.time_passes(0.2)
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(61)
    replay.cache.clear()
    replay.client_asks(f"{NAME} A")
    all_fail(replay)
    replay.time_passes(5.1)
    assert not replay.client_asks(f"{NAME} A").replies, "an answer ends the doubling"


def test_9520_1_silence_is_a_failure_too_and_each_question_has_its_own(replay: Replay) -> None:
    asked = replay.client_asks(f"{NAME} A")
    replay.time_passes(5)
    assert asked.rcode == "SERVFAIL"
    assert replay.client_asks(f"{NAME} A").ede == [13]
    assert not replay.client_asks(f"{NAME} AAAA").replies
    assert not replay.client_asks(f"other.{ZONE} A").replies


def test_9520_1_failures_of_the_cluster_are_kept_for_a_second(replay: Replay) -> None:
    web = "web.shop.svc.cluster.local. A"
    for _ in range(3):
        replay.client_asks(web)
        all_fail(replay)
        replay.time_passes(0.9)
        assert replay.client_asks(web).ede == [13]
        replay.time_passes(0.2)
        assert not replay.waiting


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_9520_2_three_sends_to_one_server_over_one_transport(servers: int) -> None:
    chosen = tuple(Server(f"192.0.2.{n}") for n in range(1, servers + 1))
    replay = Replay(upstreams=chosen)
    asked = replay.client_asks(f"{NAME} A")
    replay.time_passes(6)
    assert asked.rcode == "SERVFAIL"
    for server in chosen:
        for tcp in (True, False):
            assert sum(a.upstream.server == server and a.tcp is tcp for a in replay.sent) <= 3
    assert DEFAULT in chosen


def test_rd_0_is_answered_from_the_cache_and_else_refused(replay: Replay) -> None:
    assert replay.client_asks(f"{NAME} A", flags="").rcode == "REFUSED"
    assert not replay.sent
    replay.resolve(f"{NAME} A", A)
    asked = replay.client_asks(f"{NAME} A", flags="")
    assert asked.answer == [A]
    replay.time_passes(61)
    assert replay.client_asks(f"{NAME} A", flags="").rcode == "REFUSED", "stale is no answer"


@pytest.mark.parametrize("ours", [True, False])
def test_the_cluster_server_of_our_make_is_asked_with_rd_0(replay: Replay, ours: bool) -> None:
    replay.forwarder.cluster_is_ours = ours
    for question, to_cluster in (("web.shop.svc.cluster.local. A", True), (f"{NAME} A", False)):
        replay.client_asks(question)
        rd = bool(asked_of(replay.waiting[-1]).flags & 0x0100)
        assert rd is not (to_cluster and ours)
