"""Faults that a review found: each keeps its replay."""

import socket

import dns.flags

from dnsmasq_py.rules import LocalRecords
from dnsmasq_py.server import Server
from kubedns.wire import name as names
from tests.fwdreplay import DEFAULT, STUBS, Replay, soa

WEB = "web.shop.svc.cluster.local."
NAME = "www.example.com."
A = f"{NAME} 60 IN A 198.51.100.7"
NEW = Server("192.0.2.77")


def test_a_question_that_was_one_too_many_is_asked_again_at_once() -> None:
    """Load says nothing of a name: a flood must not leave its victims behind."""
    replay = Replay(dns_forward_max=1)
    shed = replay.client_asks(f"{NAME} A")
    replay.client_asks("other.example.com. A")
    assert shed.rcode == "SERVFAIL"
    replay.upstream_answers("other.example.com. 60 IN A 198.51.100.8")
    again = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A)
    assert again.rcode == "NOERROR"


def test_a_stale_name_of_the_cluster_comes_at_once_while_its_server_is_away() -> None:
    replay = Replay()
    replay.resolve(f"{WEB} A", f"{WEB} 30 IN A 10.0.0.7")
    replay.time_passes(60)
    replay.client_asks(f"{WEB} A")
    replay.time_passes(10)
    for _ in range(3):
        asked = replay.client_asks(f"{WEB} A")
        assert (asked.answer, asked.ede) == ([f"{WEB} 5 IN A 10.0.0.7"], [3])
        replay.time_passes(5)


def test_a_foreign_name_cannot_lead_to_the_clusters_addresses_where_rebinding_is_stopped() -> None:
    replay = Replay(stop_dns_rebind=True)
    asked = replay.client_asks("evil.example.com. A")
    replay.upstream_answers(f"evil.example.com. 60 IN CNAME {WEB}")
    replay.upstream_answers(f"{WEB} 30 IN A 10.0.0.7")
    assert (asked.rcode, asked.answer, asked.ede) == ("NOERROR", [], [15])
    assert replay.client_asks(f"{WEB} A").rcode == "NOERROR", "who asks for it by name"


def test_an_error_of_our_own_ends_the_question_that_met_it() -> None:
    replay = Replay()
    send = replay.send

    def fault(*_: object) -> None:
        raise ValueError

    replay.send = fault  # type: ignore[method-assign]
    assert replay.client_asks(f"{NAME} A").rcode == "SERVFAIL"
    assert replay.counters.exceptions == 1
    replay.send = send  # type: ignore[method-assign]
    assert replay.is_quiet()
    replay.time_passes(6)
    assert replay.resolve(f"{NAME} A", A).rcode == "NOERROR"


def test_an_alias_of_ours_is_resolved_once_for_all_who_ask() -> None:
    alias = names.from_text("alias.example.com")
    local = LocalRecords(cnames=((alias, names.from_text(NAME), None),))
    replay = Replay(local=local)
    asked = [replay.client_asks("alias.example.com. A") for _ in range(50)]
    again = replay.client_asks("alias.example.com. A", port=asked[0].sender[1], id=1)
    assert len(replay.forwarder.flights) == 2, "the alias, and what it leads to"
    replay.upstream_answers(A)
    assert {one.rcode for one in asked} == {"NOERROR"}
    assert again.replies == [], "one reply for one query"


def test_who_asks_after_a_change_does_not_hear_the_servers_of_before() -> None:
    replay = Replay()
    before = replay.client_asks("git.acme.example. A")
    replay.configure(stubs={**STUBS, "acme.example": (NEW,)})
    after = replay.client_asks("git.acme.example. A")
    assert replay.questions == [f"{s} git.acme.example. A" for s in (DEFAULT, NEW)]
    replay.upstream_answers(authority=soa("example."), rcode="NXDOMAIN")
    replay.upstream_answers("git.acme.example. 60 IN A 198.51.100.9")
    assert (before.rcode, after.rcode) == ("NXDOMAIN", "NOERROR")


def test_a_server_that_is_trusted_is_asked_whether_it_has_validated() -> None:
    for options, wanted in (({"trusted": (DEFAULT.address,)}, True), ({}, False)):
        replay = Replay(**options)
        replay.client_asks(f"{NAME} A")
        flags = int.from_bytes(replay.waiting[0].message[:2])
        assert bool(flags & dns.flags.AD) is wanted


def test_what_filters_leave_is_kept() -> None:
    replay = Replay(filter_aaaa=True)
    address = socket.inet_ntop(socket.AF_INET6, bytes(15) + b"\7")
    for _ in range(3):
        asked = replay.client_asks(f"{NAME} AAAA")
        if replay.waiting:
            replay.upstream_answers(f"{NAME} 60 IN AAAA {address}")
        assert (asked.rcode, asked.answer) == ("NOERROR", [])
    assert replay.counters.misses == 1


def test_names_that_never_leave_are_told_without_recursion_too() -> None:
    replay = Replay()
    assert replay.client_asks("localhost. A", flags="").answer == ["localhost. 0 IN A 127.0.0.1"]
    assert replay.client_asks("foo.invalid. A", flags="").rcode == "NXDOMAIN"
    assert replay.client_asks(f"{NAME} A", flags="").rcode == "REFUSED"


def test_statistics_are_for_the_clusters_own_networks() -> None:
    replay = Replay()
    for client, rcode in (("10.1.0.1", "NOERROR"), ("::ffff:10.1.0.1", "NOERROR"),
                          ("8.8.8.8", "REFUSED")):  # fmt: skip
        assert replay.client_asks("hits.bind. TXT CH", client=client).rcode == rcode
