"""What is kept while the cluster's server tells of changes, and what when it does not."""

from typing import Any

import pytest

from tests.fwdreplay import Replay, soa
from tests.fwdteller import SOA, Teller, fed, is_held

WEB = "web.shop.svc.cluster.local."
ADDRESS = f"{WEB} 30 IN A 10.0.0.7"
EXTERNAL_SOA = soa("example.com.", 300)


def test_without_a_feed_nothing_missing_of_the_cluster_is_kept() -> None:
    replay = Replay()
    replay.resolve(f"{WEB} A", rcode="NXDOMAIN", authority=SOA)
    assert not is_held(replay, f"{WEB} A")


@pytest.mark.parametrize("options", [{}, {"no_negcache": True}], ids=["", "--no-negcache"])
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_what_is_missing_is_kept_while_the_feed_lives(rcode: str, options: dict[str, Any]) -> None:
    replay, teller = fed(**options)
    replay.resolve(f"{WEB} A", rcode=rcode, authority=SOA)
    for _ in range(60):
        asked = replay.client_asks(f"{WEB} A")
        assert asked.rcode == rcode
        assert asked.ttls == {5}, "clients may keep it no longer than before"
        teller.lives(1)


def test_no_negcache_is_in_force_for_all_others() -> None:
    replay, _ = fed(no_negcache=True)
    replay.resolve("no.example.com. A", rcode="NXDOMAIN", authority=EXTERNAL_SOA)
    assert not is_held(replay, "no.example.com. A")
    replay.client_asks(f"{WEB} A")  # an alias out of the zone
    replay.upstream_answers(f"{WEB} 30 IN CNAME no.example.com.")
    replay.upstream_answers(rcode="NXDOMAIN", authority=EXTERNAL_SOA)
    assert not is_held(replay, f"{WEB} A")


def test_without_no_negcache_an_alias_that_leads_out_to_nothing_is_kept_for_its_ttl() -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    replay.upstream_answers(f"{WEB} 30 IN CNAME no.example.com.")
    replay.upstream_answers(rcode="NXDOMAIN", authority=EXTERNAL_SOA)
    assert is_held(replay, f"{WEB} A")
    teller.lives(31)
    assert not is_held(replay, f"{WEB} A")


def test_when_the_feed_ends_what_is_missing_is_dropped_in_time() -> None:
    replay, teller = fed()
    teller.lives(3)
    replay.resolve(f"{WEB} A", rcode="NXDOMAIN", authority=SOA)
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    assert replay.receiver_answers(f"{WEB} A")
    replay.time_passes(2.9)
    assert replay.receiver_answers(f"{WEB} A")
    replay.time_passes(0.15)
    assert replay.receiver_answers(f"{WEB} A") is None
    assert not is_held(replay, f"{WEB} A")
    replay.resolve(f"{WEB} A", rcode="NXDOMAIN", authority=SOA)
    assert not is_held(replay, f"{WEB} A"), "nor is it kept any more"


def test_an_answer_that_comes_when_the_feed_has_ended() -> None:
    replay, _ = fed()
    replay.client_asks(f"{WEB} A")
    replay.time_passes(3.1)
    replay.upstream_answers(rcode="NXDOMAIN", authority=SOA)
    assert not is_held(replay, f"{WEB} A")


def test_what_is_missing_elsewhere_stays_when_the_feed_ends() -> None:
    replay, _ = fed()
    replay.resolve("no.example.com. A", rcode="NXDOMAIN", authority=EXTERNAL_SOA)
    name = "9.0.0.10.in-addr.arpa."
    replay.client_asks(f"{name} PTR")
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(rcode="NXDOMAIN", authority=soa("10.in-addr.arpa.", 300))
    replay.time_passes(10)
    assert is_held(replay, "no.example.com. A")
    assert is_held(replay, f"{name} PTR")


def test_answers_live_on_by_the_feeds_word_and_keep_their_ttl_when_it_ends() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    teller.lives(200)
    assert replay.client_asks(f"{WEB} A").answer == [ADDRESS], "as fresh as ever"
    replay.time_passes(3.1)
    assert not replay.forwarder.feed.alive
    assert replay.client_asks(f"{WEB} A").ttls == {30}
    replay.time_passes(20)
    assert replay.client_asks(f"{WEB} A").ttls == {10}
    replay.time_passes(11)
    assert not replay.client_asks(f"{WEB} A").replies


def test_receivers_give_the_same() -> None:
    replay, teller = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    for _ in range(3):
        replay.client_asks(f"{WEB} A")
    teller.lives(200)
    one = replay.receiver_answers(f"{WEB} A")
    assert one is not None
    assert one.ttls == {30}
    replay.time_passes(3.1)
    replay.client_asks(f"{WEB} A")
    replay.time_passes(20)
    one = replay.receiver_answers(f"{WEB} A")
    assert one is not None
    assert one.ttls == {10}


def test_the_serial_is_not_older_than_its_ttl() -> None:
    replay, teller = fed()
    replay.resolve("cluster.local. SOA", soa("cluster.local.", 30))
    teller.lives(31)
    assert not is_held(replay, "cluster.local. SOA")


def test_max_cache_ttl_bounds_what_the_feed_vouches_for() -> None:
    replay, teller = fed(max_cache_ttl_s=10)
    replay.resolve(f"{WEB} A", ADDRESS)
    teller.lives(11)
    assert not is_held(replay, f"{WEB} A")


def test_chains_that_lead_out_live_by_their_ttl() -> None:
    replay, teller = fed()
    replay.client_asks(f"{WEB} A")
    replay.upstream_answers(f"{WEB} 30 IN CNAME www.example.com.")
    replay.upstream_answers("www.example.com. 60 IN A 192.0.2.9")
    teller.lives(31)
    assert not is_held(replay, f"{WEB} A")


# Stale


def ask_while_unsynced(replay: Replay, question: str) -> Any:
    asked = replay.client_asks(question)
    if not asked.replies:
        replay.upstream_answers(rcode="SERVFAIL", ede=(14, "not synced yet"))
    return asked


def test_a_restart_of_the_clusters_server_while_the_api_is_away_takes_no_name_away() -> None:
    replay, _ = fed()
    replay.resolve(f"{WEB} A", ADDRESS)
    replay.resolve("no.shop.svc.cluster.local. A", rcode="NXDOMAIN", authority=SOA)
    again = Teller(replay, instance=b"another!", serial=0)
    again.begins()
    for _ in range(100):
        asked = ask_while_unsynced(replay, f"{WEB} A")
        assert asked.answer == [f"{WEB} 5 IN A 10.0.0.7"]
        assert asked.ede == [3], "Stale Answer"
        again.lives(1)
    assert ask_while_unsynced(replay, "no.shop.svc.cluster.local. A").rcode == "SERVFAIL"
    again.changes_all()  # it has the cluster now
    asked = replay.resolve(f"{WEB} A", f"{WEB} 30 IN A 10.0.0.8")
    assert asked.answer == [f"{WEB} 30 IN A 10.0.0.8"]


def test_a_foreign_alias_into_the_cluster_is_stale_for_as_short() -> None:
    replay, _ = fed()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(ADDRESS)
    Teller(replay, instance=b"another!").begins()
    asked = replay.client_asks("www.example.com. A")
    replay.upstream_answers(f"www.example.com. 300 IN CNAME {WEB}")
    replay.upstream_answers(rcode="SERVFAIL")
    assert asked.ttls == {5}


# RFC 8020


def test_what_is_below_a_missing_namespace_is_asked_of_nobody_until_that_comes() -> None:
    replay, teller = fed()
    replay.resolve("shop.svc.cluster.local. A", rcode="NXDOMAIN", authority=SOA)
    for name in (WEB, f"a.{WEB}", f"_http._tcp.{WEB}"):
        for rtype in ("A", "SRV", "TXT"):
            assert replay.client_asks(f"{name} {rtype}").rcode == "NXDOMAIN"
    teller.changes(WEB)
    assert replay.resolve(f"{WEB} A", ADDRESS).answer == [ADDRESS]


def test_an_empty_name_hides_nothing_below_it() -> None:
    replay, _ = fed()
    replay.resolve("shop.svc.cluster.local. A", authority=SOA)
    assert replay.resolve(f"{WEB} A", ADDRESS).answer == [ADDRESS]


def test_an_alias_that_leads_to_nothing_hides_nothing_below_it() -> None:
    replay, _ = fed()
    replay.resolve(
        f"{WEB} A",
        f"{WEB} 30 IN CNAME db.shop.svc.cluster.local.",
        rcode="NXDOMAIN",
        authority=SOA,
    )
    below = f"a.{WEB}"
    assert replay.resolve(f"{below} A", f"{below} 30 IN A 10.0.0.9").answer


def test_what_others_say_is_missing_hides_nothing_below_it() -> None:
    """A name of the forwarder's domain that the cluster's server refused."""
    replay, _ = fed()
    replay.client_asks("odd.cluster.local. A")
    replay.upstream_answers(rcode="REFUSED")
    replay.upstream_answers(rcode="NXDOMAIN", authority=soa(".", 300))
    assert is_held(replay, "odd.cluster.local. A")
    asked = replay.client_asks("a.odd.cluster.local. A")
    assert not asked.replies
    replay.upstream_answers("a.odd.cluster.local. 30 IN A 10.0.0.9")
    assert asked.answer
