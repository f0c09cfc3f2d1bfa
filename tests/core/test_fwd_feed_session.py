"""Who may tell the forwarder of changes, and what becomes of everything that only looks like it."""

import pytest

from kubedns.wire import notify
from kubedns.wire.notify import Kind, Notice
from tests.fwdreplay import CLIENT, Replay, decoded
from tests.fwdteller import NO_KEY, SOA, Teller, fed, is_held, wire
from tests.mutation import mutated

WEB = "web.shop.svc.cluster.local."
WEB_A = f"{WEB} 30 IN A 10.0.0.7"


def held() -> tuple[Replay, Teller]:
    """Return a forwarder with a feed, which holds an answer."""
    replay, teller = fed()
    replay.resolve(f"{WEB} A", WEB_A)
    assert is_held(replay, f"{WEB} A")
    return replay, teller


def rcode(replies: list[bytes]) -> int:
    (octets,) = replies
    return decoded(octets).rcode()


def test_a_greeting_gets_a_key_and_changes_nothing() -> None:
    replay = Replay()
    replay.resolve(f"{WEB} A", WEB_A)
    teller = Teller(replay)
    receipt = teller.greets()
    assert receipt.key != NO_KEY
    assert receipt.after == 0, "nothing is known of this start"
    assert not replay.forwarder.feed.alive
    assert is_held(replay, f"{WEB} A")


def test_the_first_message_begins_the_feed_and_what_was_known_before_is_not_trusted() -> None:
    replay = Replay()
    replay.resolve(f"{WEB} A", WEB_A)
    teller = Teller(replay)
    said: list[str] = []
    replay.forwarder.feed.say = said.append
    teller.begins()
    assert replay.forwarder.feed.alive
    assert not is_held(replay, f"{WEB} A")
    assert len(said) == 1
    assert "at serial 1000" in said[0]


def test_a_change_is_taken_in_and_the_serial_moves() -> None:
    replay, teller = held()
    teller.changes(WEB)
    assert replay.forwarder.feed.serial == 1001
    assert not is_held(replay, f"{WEB} A")


def test_a_heartbeat_purges_nothing_and_counts_as_no_change() -> None:
    replay, teller = held()
    count_before = replay.forwarder.purges.count
    teller.lives(20)
    assert replay.forwarder.purges.count == count_before
    assert is_held(replay, f"{WEB} A")
    assert replay.forwarder.feed.messages["heartbeat"] == 21


def test_a_change_in_several_parts_moves_the_serial_with_the_last() -> None:
    replay, teller = held()
    for name in ("a.shop.svc.cluster.local.", WEB):
        teller._taken(Kind.CHANGE, teller.known, teller.known, name)
    teller.serial += 1
    teller._taken(Kind.CHANGE, teller.known, teller.serial, "c.shop.svc.cluster.local.")
    assert replay.forwarder.feed.out_of_step == 0
    assert not is_held(replay, f"{WEB} A")


def test_a_repeated_message_is_receipted_again_and_does_no_harm() -> None:
    replay, teller = held()
    octets = teller.notice(Kind.CHANGE, 1000, 1001, "other.shop.svc.cluster.local.").encode()
    first, second = teller.says(octets), teller.says(octets)
    assert first == second
    assert notify.read(first[0]).kind is Kind.TAKEN
    assert replay.forwarder.feed.out_of_step == 0
    assert is_held(replay, f"{WEB} A")


def test_one_lost_message_and_nothing_that_was_known_is_trusted() -> None:
    replay, teller = held()
    replay.resolve("nope.shop.svc.cluster.local. A", rcode="NXDOMAIN", authority=SOA)
    said: list[str] = []
    replay.forwarder.feed.say = said.append
    teller._taken(Kind.CHANGE, 1001, 1002, "other.shop.svc.cluster.local.")
    assert replay.forwarder.feed.out_of_step == 1
    assert not is_held(replay, f"{WEB} A")
    assert not is_held(replay, "nope.shop.svc.cluster.local. A")
    assert len(said) == 1
    assert "told of 1001 to 1002, at 1000 here" in said[0]
    teller.beats()
    assert replay.forwarder.feed.out_of_step == 1, "in step again"


def test_lines_about_lost_messages_are_few() -> None:
    replay, teller = fed()
    said: list[str] = []
    replay.forwarder.feed.say = said.append
    for number in range(100):
        teller._taken(Kind.CHANGE, 5000 + 2 * number, 5001 + 2 * number)
    assert replay.forwarder.feed.out_of_step == 100
    assert len(said) == 1


def test_the_feed_ends_after_three_seconds_of_silence_and_says_so() -> None:
    replay, teller = held()
    teller.lives(5)
    said: list[str] = []
    replay.forwarder.feed.say = said.append
    replay.time_passes(2.9)
    assert replay.forwarder.feed.alive
    replay.time_passes(0.2)
    assert not replay.forwarder.feed.alive
    assert len(said) == 1
    replay.time_passes(60)
    assert len(said) == 1


def test_a_feed_that_comes_back_with_the_same_serial_has_missed_nothing() -> None:
    replay, teller = held()
    replay.time_passes(10)
    assert not replay.forwarder.feed.alive
    teller.begins()
    assert replay.forwarder.feed.begun == 2
    assert is_held(replay, f"{WEB} A")
    replay.time_passes(5)
    teller.beats()  # of the session that goes on
    assert replay.forwarder.feed.begun == 3
    assert is_held(replay, f"{WEB} A")


def test_the_welcome_tells_a_teller_what_it_was_told_of_last() -> None:
    replay, teller = held()
    teller.changes(WEB)
    assert teller.greets().after == 1001
    other = Teller(replay, instance=b"another!", serial=1001)
    assert other.greets().after == 0


def test_a_new_start_of_the_clusters_server_is_no_reason_to_trust() -> None:
    replay, _ = held()
    again = Teller(replay, instance=b"another!")
    again.begins()
    assert replay.forwarder.feed.alive
    assert not is_held(replay, f"{WEB} A"), "the serial is the same by chance"
    assert replay.forwarder.feed.out_of_step == 1


def test_a_forwarder_that_keeps_nothing_listens_all_the_same() -> None:
    replay, teller = fed(cache_size=0)
    replay.resolve(f"{WEB} A", WEB_A)
    teller.changes(WEB)
    teller.changes_all()
    replay.resolve(f"{WEB} A", WEB_A)
    assert replay.forwarder.feed.serial == 1002


# Forged


def test_a_greeting_leaves_the_session_that_lives_alone() -> None:
    replay, teller = held()
    forged = Teller(replay, instance=b"forged!!")
    forged.greets()
    teller.changes("other.shop.svc.cluster.local.")
    assert is_held(replay, f"{WEB} A")
    assert replay.forwarder.feed.out_of_step == 0


def test_a_greeting_does_not_take_the_key_away_that_another_one_was_given() -> None:
    replay = Replay()
    teller = Teller(replay)
    teller.greets()
    Teller(replay, instance=b"forged!!").greets()
    teller.beats()
    assert replay.forwarder.feed.instance == teller.instance


def test_each_session_has_a_key_of_its_own() -> None:
    replay = Replay()
    keys = set()
    for _ in range(50):
        teller = Teller(replay)
        teller.begins()
        keys.add(teller.key)
        replay.time_passes(1)
    assert len(keys) == 50


@pytest.mark.parametrize(
    "sender",
    [
        ("127.0.0.1", 10054),
        ("127.0.0.1", 53),
        ("127.0.0.2", 10053),
        (CLIENT, 10053),
        ("::1", 10053, 0, 0),
        ("::ffff:127.0.0.2", 10053, 0, 0),
    ],
    ids=str,
)
def test_from_elsewhere_nobody_tells_of_changes(sender: tuple[str, int]) -> None:
    """Not even with the key, and the answer is what anybody gets from a server without NOTIFY."""
    replay, teller = held()
    notices = (
        teller.notice(Kind.CHANGE, 1000, 1001, WEB),
        teller.notice(Kind.ALL, 1000, 1001),
        teller.notice(Kind.HELLO),
    )
    teller.sender = sender
    for notice in notices:
        assert rcode(teller.says(notice.encode())) == 4, "NOTIMP"
    assert replay.forwarder.feed.serial == 1000
    assert replay.forwarder.feed.refused["from elsewhere"] == 3
    assert is_held(replay, f"{WEB} A")


def test_on_a_socket_for_both_families_the_address_is_the_same() -> None:
    replay = Replay()
    teller = Teller(replay)
    teller.sender = ("::ffff:127.0.0.1", 10053, 0, 0)  # type: ignore[assignment]
    teller.begins()
    assert replay.forwarder.feed.alive


def test_over_tcp_nobody_tells_of_changes() -> None:
    replay, teller = held()
    octets = teller.notice(Kind.CHANGE, 1000, 1001, WEB).encode()
    assert rcode(teller.says(octets, tcp=True)) == 4
    assert is_held(replay, f"{WEB} A")


@pytest.mark.parametrize("key", [NO_KEY, b"k" * 16], ids=["no key", "a wrong key"])
def test_without_the_key_a_teller_must_greet_again(key: bytes) -> None:
    replay, teller = held()
    teller.key = key
    for kind in (Kind.CHANGE, Kind.ALL):
        receipt = teller.receipt(kind, 1000, 1001)
        assert (receipt.kind, receipt.key) == (Kind.AGAIN, NO_KEY)
    assert replay.forwarder.feed.serial == 1000
    assert replay.forwarder.feed.refused["without the key"] == 2
    assert is_held(replay, f"{WEB} A")


def test_a_forwarder_that_was_restarted_has_tellers_greet_again() -> None:
    _, teller = fed()
    teller.replay = Replay()
    assert teller.receipt(Kind.CHANGE).kind is Kind.AGAIN
    teller.begins()


def test_the_key_of_one_start_is_worth_nothing_to_another() -> None:
    replay, teller = held()
    teller.instance = b"another!"
    assert teller.receipt(Kind.ALL).kind is Kind.AGAIN
    assert is_held(replay, f"{WEB} A")


def test_a_message_of_an_old_session_is_worth_nothing() -> None:
    replay, teller = held()
    old = teller.notice(Kind.ALL, 1000, 1001).encode()
    teller.begins()
    (octets,) = teller.says(old)
    assert notify.read(octets).kind is Kind.AGAIN
    assert is_held(replay, f"{WEB} A")


def test_an_old_message_of_this_session_does_nothing() -> None:
    """Nor does it keep a feed alive; who repeats it can read what goes over loopback."""
    replay, teller = held()
    old = teller.notice(Kind.CHANGE, 1000, 1001, "a.shop.svc.cluster.local.").encode()
    teller.says(old)
    teller.serial = teller.known = 1001
    teller.changes("b.shop.svc.cluster.local.")
    assert is_held(replay, f"{WEB} A")
    heard = replay.forwarder.feed.heard
    replay.time_passes(1.0)
    teller.says(old)
    feed = replay.forwarder.feed
    assert (feed.out_of_step, feed.serial, feed.heard) == (0, 1002, heard)
    assert feed.refused["said before"] == 1
    assert is_held(replay, f"{WEB} A")
    teller.changes("c.shop.svc.cluster.local.")
    assert feed.serial == 1003


# Malformed


def test_every_prefix_of_a_message_is_refused_and_purges_nothing() -> None:
    replay, teller = held()
    whole = teller.notice(Kind.CHANGE, 1000, 1001, WEB, "b.shop.svc.cluster.local.").encode()
    for size in range(len(whole)):
        replies = teller.says(whole[:size])
        if size < 12:
            assert not replies
        else:
            assert rcode(replies) == 1, "FORMERR"
    assert replay.forwarder.feed.serial == 1000
    assert is_held(replay, f"{WEB} A")
    assert len(replay.forwarder.feed.refused) < 10, "few words for many faults"


def test_damaged_messages_raise_nothing_and_purge_only_by_the_key() -> None:
    replay, teller = held()
    feed = replay.forwarder.feed
    whole = teller.notice(Kind.CHANGE, 1000, 1001, WEB).encode()
    for octets in mutated([whole], 6, 3000):
        teller.says(octets)
        if teller.key in octets:  # damaged elsewhere, or not at all
            feed.serial = 1000
            if not is_held(replay, f"{WEB} A"):
                replay.resolve(f"{WEB} A", WEB_A)
        assert replay.cache.by_name.at(wire(WEB)), octets.hex()
    assert not replay.counters.exceptions


def test_octets_behind_the_message_are_refused() -> None:
    replay, teller = held()
    assert rcode(teller.says(teller.notice(Kind.ALL, 1000, 1001).encode() + b"\0")) == 1
    long = teller.notice(Kind.CHANGE, 1000, 1001).encode()
    assert rcode(teller.says(long + b"\1a\0" * 2000)) == 1
    assert is_held(replay, f"{WEB} A")


def test_what_other_servers_send_as_notify_is_refused() -> None:
    """RFC 1996 as a server for zone transfers sends it, without our option."""
    replay, teller = held()
    plain = b"\0\1\x20\0\0\1\0\0\0\0\0\0" + wire("cluster.local.") + b"\0\6\0\1"
    assert rcode(teller.says(plain)) == 1
    assert is_held(replay, f"{WEB} A")


def test_a_receipt_is_never_answered() -> None:
    replay, teller = held()
    for kind in (Kind.WELCOME, Kind.TAKEN, Kind.AGAIN):
        assert not teller.says(teller.notice(kind).encode())
    assert is_held(replay, f"{WEB} A")


def test_another_zone_is_refused() -> None:
    replay, teller = held()
    for zone in ("example.com", "stub.example", "10.in-addr.arpa"):
        notice = teller.notice(Kind.ALL, 1000, 1001)
        other = Notice(
            notice.id, Kind.ALL, wire(zone), teller.instance, 1000, 1001, teller.key
        )  # fmt: skip
        assert rcode(teller.says(other.encode())) == 5, "REFUSED"
    assert is_held(replay, f"{WEB} A")


def test_a_forwarder_that_asks_no_cluster_server_refuses() -> None:
    replay = Replay(cluster=False)
    teller = Teller(replay)
    assert rcode(teller.says(teller.notice(Kind.HELLO).encode())) == 5


def test_a_flood_of_greetings_is_bounded_and_the_session_lives_on() -> None:
    replay, teller = held()
    flood = Teller(replay, instance=b"forged!!")
    answered = sum(len(flood.says(flood.notice(Kind.HELLO).encode())) for _ in range(5000))
    assert answered <= 100
    assert replay.forwarder.feed.refused["too many greetings"] >= 4900
    teller.changes("other.shop.svc.cluster.local.")
    assert is_held(replay, f"{WEB} A")
    replay.time_passes(1)
    flood.greets()


def test_a_flood_from_elsewhere_gets_only_so_many_refusals() -> None:
    replay, teller = held()
    octets = teller.notice(Kind.ALL, 1000, 1001).encode()
    teller.sender = (CLIENT, 10053)
    answered = sum(len(teller.says(octets)) for _ in range(3000))
    assert answered <= 1000
    assert is_held(replay, f"{WEB} A")
