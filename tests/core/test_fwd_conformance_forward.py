"""
Rows L and M of the conformance cases, as far as they need no socket.

L3 to L5, L9: forwarder.md 5.3 decides which server is asked when (test_fwd_exchange_*); here is
only what a client sees of it. Not here: L1, L2 (no probes: copies of live questions, 5.3 rule 9),
L7, M1 to M3, M13 (no such feature), L13, L14 (test_fwd_sources, test_fwd_stubhosts), L18
(test_fwd_streams), M5 to M9, M16 (the process).
"""

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from dnsmasq_py.local import HostLine
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from tests.fwdreplay import DEFAULT, Asked, Replay, soa

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"
SECOND, THIRD = Server("192.0.2.2"), Server("192.0.2.3")


def until_reply(replay: Replay, asked: Asked, *, fail: bool = False) -> float:
    """Let time pass until the client hears something; return how long that took."""
    while not asked.replies:
        assert replay.clock.now - asked.at < 5, "a client is kept waiting"
        if fail and replay.waiting:
            replay.upstream_fails()
        else:
            replay.time_passes(0.05)
    return replay.clock.now - asked.at


def test_l3_a_dead_server_is_not_asked_first_for_long() -> None:
    replay = Replay(upstreams=(DEFAULT, SECOND))

    def second_only(question: str) -> None:
        while not asked.replies:
            for attempt in replay.waiting:
                if attempt.upstream.server == SECOND:
                    replay.upstream_answers(
                        f"{question} 60 IN A 192.0.2.7", question=f"{question} A"
                    )
                    return
                break
            replay.sent[:] = [a for a in replay.sent if a.upstream.server != DEFAULT]
            replay.time_passes(0.02)

    for number in range(30):
        asked = replay.client_asks(f"n{number}.example.com. A")
        second_only(f"n{number}.example.com.")
        assert asked.rcode == "NOERROR"
    asked = replay.client_asks("last.example.com. A")
    (first, *_) = [question for question in replay.questions if "last" in question]
    assert first.startswith("192.0.2.2")


def test_l4_all_servers_down_and_one_is_still_tried_then_servfail() -> None:
    replay = Replay(upstreams=(DEFAULT, SECOND))
    for number in range(10):
        asked = replay.client_asks(f"n{number}.example.com. A")
        until_reply(replay, asked)
    assert not any(replay.upstreams.get(server).up for server in (DEFAULT, SECOND))
    replay.sent.clear()
    asked = replay.client_asks("last.example.com. A")
    assert replay.sent, "asked all the same"
    assert until_reply(replay, asked) <= 4.6
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [22])


def test_l4_a_stale_answer_comes_before_servfail() -> None:
    """Our difference to CoreDNS, as the cases' last table says."""
    replay = Replay()
    replay.resolve(f"{NAME} A", A)
    replay.time_passes(100)
    asked = replay.client_asks(f"{NAME} A")
    assert until_reply(replay, asked) == pytest.approx(1.8, abs=0.1)
    assert asked.ede == [3]


@pytest.mark.parametrize("servers", [(DEFAULT,), (DEFAULT, SECOND, THIRD)], ids=["1", "3"])
def test_l5_connections_refused_everywhere_end_without_a_busy_loop(
    servers: tuple[Server, ...],
) -> None:
    replay = Replay(upstreams=servers)
    asked = replay.client_asks(f"{NAME} A")
    until_reply(replay, asked, fail=True)
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [23])
    assert len(replay.sent) <= 8
    assert all(sum(a.upstream.server == server for a in replay.sent) >= 2 for server in servers), (
        "each is asked twice at least"
    )


@pytest.mark.parametrize("servers", [(DEFAULT,), (DEFAULT, SECOND)], ids=["1", "2"])
def test_l5_sending_is_impossible_everywhere(servers: tuple[Server, ...]) -> None:
    replay = Replay(upstreams=servers)
    replay.refuses.update(servers)
    asked = replay.client_asks(f"{NAME} A")
    assert not asked.replies or asked.rcode == "SERVFAIL"
    assert until_reply(replay, asked) < 4.6
    assert (asked.rcode, asked.ede) == ("SERVFAIL", [23])
    assert replay.is_quiet()


def test_l6_each_server_is_asked_once_when_all_say_servfail() -> None:
    replay = Replay(upstreams=(DEFAULT, SECOND, THIRD))
    asked = replay.client_asks(f"{NAME} A")
    while not asked.replies:
        replay.upstream_answers(rcode="SERVFAIL")
    assert asked.rcode == "SERVFAIL"
    assert sorted(str(a.upstream.server) for a in replay.sent) == [
        "192.0.2.1", "192.0.2.2", "192.0.2.3",
    ]  # fmt: skip


def test_l6_an_error_of_one_is_made_good_by_another() -> None:
    for rcode in ("SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"):
        replay = Replay(upstreams=(DEFAULT, SECOND))
        asked = replay.client_asks(f"{NAME} A")
        first = replay.waiting[0].upstream.server
        while not asked.replies:
            attempt = replay.waiting[0]
            bad = attempt.upstream.server == first
            replay.upstream_answers(() if bad else A, rcode=rcode if bad else "NOERROR")
        assert asked.answer == [A], rcode


def test_l8_a_query_that_cannot_be_read_is_formerr_and_goes_nowhere() -> None:
    replay = Replay()
    good = replay.client_asks(f"{NAME} A").message
    sent = len(replay.sent)
    bad = good[:12] + b"\x7f" + good[13:]
    assert replay.client_asks(bad).replies[0][3] & 15 == 1
    assert len(replay.sent) == sent


def test_l10_a_reply_too_large_for_its_client_is_cut_with_tc() -> None:
    replay = Replay()
    many = [f"{NAME} 60 IN A 198.51.100.{i}" for i in range(200)]
    asked = replay.resolve(f"{NAME} A", *many, edns=False)
    assert asked.reply.flags & dns.flags.TC
    assert len(asked.octets) <= 512
    assert len(asked.answer) > 20
    over_tcp = replay.client_asks(f"{NAME} A", tcp=True)
    assert not over_tcp.reply.flags & dns.flags.TC
    assert len(over_tcp.answer) == 200
    assert replay.client_asks(f"{NAME} A", payload=4096).reply.flags & dns.flags.TC, "1232 at most"
    assert len(replay.sent) == 1


def test_l10_a_truncated_reply_is_asked_for_over_tcp() -> None:
    replay = Replay()
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(flags="TC")
    assert not asked.replies
    assert [a.tcp for a in replay.waiting] == [True]
    replay.upstream_answers(A)
    assert asked.answer == [A]
    assert not asked.reply.flags & dns.flags.TC
    assert replay.is_kept(f"{NAME} A")


def test_l11_garbage_and_then_the_valid_reply() -> None:
    """A broken reply to the right question: the right one behind it is accepted."""
    replay = Replay()
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A, change=lambda octets: octets[:-2])
    replay.upstream_answers(A, change=lambda octets: octets + b"x")
    assert not asked.replies
    replay.upstream_answers(A)
    assert asked.answer == [A]
    assert replay.upstreams.get(DEFAULT).broken == 2


def test_l12_of_three_servers_one_drops_all_and_no_client_sees_servfail() -> None:
    replay = Replay(upstreams=(DEFAULT, SECOND, THIRD))
    for number in range(60):
        name = f"n{number}.example.com."
        asked = replay.client_asks(f"{name} A")
        while not asked.replies:
            live = [a for a in replay.waiting if a.upstream.server != DEFAULT]
            if live:
                replay.sent[:] = live
                replay.upstream_answers(f"{name} 60 IN A 192.0.2.7")
            else:
                replay.time_passes(0.02)
        assert asked.rcode == "NOERROR"


def test_l15_too_many_questions_of_one_group() -> None:
    """decisions.md: the oldest makes room, with SERVFAIL and EDE 14."""
    replay = Replay(dns_forward_max=10)
    asked = [replay.client_asks(f"n{i}.example.com. A") for i in range(12)]
    assert [(one.rcode, one.ede) for one in asked[:2]] == [("SERVFAIL", [14])] * 2
    assert not any(one.replies for one in asked[2:])
    assert len(replay.waiting) == 10
    assert replay.counters.limits["questions of one group"] == 2


# M


def test_m4_addresses_rotate_behind_their_cnames_and_the_answer_stays() -> None:
    replay = Replay()
    cname = f"{NAME} 60 IN CNAME t.example.com."
    addresses = [f"t.example.com. 60 IN A 192.0.2.{i}" for i in (1, 2, 3)]
    replay.resolve(f"{NAME} A", cname, *addresses)
    (stored,) = replay.cache.entries.values()
    before = stored.octets
    firsts = []
    for ask in [replay.client_asks] * 6 + [replay.receiver_answers] * 6:
        asked = ask(f"{NAME} A")
        assert asked is not None
        alias, *turned = [
            line for rrset in asked.reply.answer for line in rrset.to_text().split("\n")
        ]
        assert alias == cname
        assert sorted(turned) == addresses
        firsts.append(turned[0])
    assert {firsts.count(address) for address in addresses} <= {3, 4, 5}
    assert stored.octets == before


def test_m4_no_rotation_where_the_operator_wants_none() -> None:
    replay = Replay(no_round_robin=True)
    addresses = [f"{NAME} 60 IN A 192.0.2.{i}" for i in (3, 1, 2)]
    first = replay.resolve(f"{NAME} A", *addresses).reply.answer[0].to_text()
    for ask in [replay.client_asks] * 4 + [replay.receiver_answers] * 4:
        asked = ask(f"{NAME} A")
        assert asked is not None
        assert asked.reply.answer[0].to_text() == first


def host(line: str) -> HostLine:
    address, *aliases = line.split()
    packed = bytes(map(int, address.split(".")))
    return HostLine(packed, tuple(map(names.from_text, aliases)), "/etc/hosts")


def test_m10_hosts_files_answer_and_other_types_are_asked() -> None:
    replay = Replay(hosts=[host("192.0.2.99 db.example.com db")], local_ttl_s=7)
    forward = replay.client_asks("db.example.com. A")
    assert forward.answer == ["db.example.com. 7 IN A 192.0.2.99"]
    assert forward.reply.flags & dns.flags.AA
    reverse = replay.client_asks("99.2.0.192.in-addr.arpa. PTR")
    assert reverse.answer == ["99.2.0.192.in-addr.arpa. 7 IN PTR db.example.com."]
    assert not replay.sent
    other = replay.client_asks("db.example.com. MX")
    replay.upstream_answers(rcode="NXDOMAIN", authority=soa("example.com."))
    assert other.rcode == "NOERROR", "the name exists, we know it"


def test_m11_many_records_in_512_octets_are_compressed_or_cut() -> None:
    replay = Replay()
    fits = [f"{NAME} 60 IN A 192.0.2.{i}" for i in range(28)]
    asked = replay.resolve(f"{NAME} A", *fits, edns=False)
    assert not asked.reply.flags & dns.flags.TC
    assert len(asked.answer) == 28
    other = "x" + NAME
    more = [f"{other} 60 IN A 192.0.2.{i}" for i in range(31)]
    assert replay.resolve(f"{other} A", *more, edns=False).reply.flags & dns.flags.TC


def test_m12_the_opt_record_comes_last() -> None:
    replay = Replay()
    srv = "_sip._tcp.svc.cluster.local. 30 IN SRV 0 100 80 a.svc.cluster.local."
    asked = replay.client_asks("_sip._tcp.svc.cluster.local. SRV")
    replay.upstream_answers(srv, additional="a.svc.cluster.local. 30 IN A 10.0.0.1")
    for one in (asked, replay.client_asks("_sip._tcp.svc.cluster.local. SRV")):
        assert len(one.reply.additional) == 1
        assert one.octets[-11:-8] == b"\0\0\x29"


@pytest.mark.parametrize("question", [f"{NAME} A CH", "hits.example. TXT CH", f"{NAME} A HS"])
def test_m15_other_classes_are_refused(question: str) -> None:
    assert Replay().client_asks(question).rcode == "REFUSED"


def test_m15_chaos_names_of_statistics_are_answered() -> None:
    replay = Replay()
    replay.resolve(f"{NAME} A", A)
    replay.client_asks(f"{NAME} A")
    (line,) = replay.client_asks("hits.bind. TXT CH").answer
    assert line == 'hits.bind. 0 CH TXT "2"', "this question is one of them, as in dnsmasq"
    assert replay.client_asks("misses.bind. TXT CH").answer == ['misses.bind. 0 CH TXT "1"']


def test_m15_a_name_without_a_server_is_refused_with_a_reason() -> None:
    replay = Replay(upstreams=())
    asked = replay.client_asks(f"{NAME} A")
    assert (asked.rcode, asked.ede) == ("REFUSED", [14])
    assert not replay.client_asks(f"{NAME} A", edns=False).reply.options
    assert replay.client_asks("web.shop.svc.cluster.local. A").replies == [], "that has one"
