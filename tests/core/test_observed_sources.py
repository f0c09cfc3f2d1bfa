"""Every reply that leaves is noted, once, as it left, and with where it came from."""

from typing import Any

import pytest

from dnsmasq_py.observed import records
from dnsmasq_py.observed.recorder import Recorder
from tests.fwdreplay import Asked, Replay, soa

NAME = "www.example.com."
A = f"{NAME} 60 IN A 192.0.2.7"


class Recorded(Replay):
    """A forwarder with a recorder."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.recorder = Recorder(self.clock.seconds, self.clock.seconds)
        self.forwarder.answering.recorder = self.recorder

    def noted(self) -> list[records.Record]:
        return [record for piece in self.recorder.live() for record in piece]


@pytest.fixture
def replay() -> Recorded:
    """Records what it answers."""
    return Recorded()


def check(record: records.Record, asked: Asked, source: int) -> None:
    assert (record.query, record.reply) == (asked.message, asked.octets)
    assert records.address_text(record.address) == asked.sender[0]
    assert (record.port, record.source) == (asked.sender[1], source)


def test_an_upstream_and_then_the_cache(replay: Recorded) -> None:
    """The short way of a miss, and the answer that is kept; how long each took is told."""
    first = replay.client_asks(f"{NAME} A")
    replay.time_passes(0.02)
    replay.upstream_answers(A)
    second = replay.client_asks(f"{NAME} A", tcp=True)
    one, two = replay.noted()
    check(one, first, records.UPSTREAM)
    check(two, second, records.CACHE)
    assert 19_000 <= (one.took or 0) <= 21_000
    assert (two.took, one.tcp, two.tcp) == (0, False, True)


def test_the_general_way_is_noted_too(replay: Recorded) -> None:
    """Two who wait for the same question get a record each, from when each of them asked."""
    first = replay.client_asks(f"{NAME} A")
    replay.time_passes(0.01)
    second = replay.client_asks(f"{NAME} A")
    replay.time_passes(0.01)
    replay.upstream_answers(A)
    one, two = replay.noted()
    check(one, first, records.UPSTREAM)
    check(two, second, records.UPSTREAM)
    assert 19_000 <= (one.took or 0) <= 21_000
    assert 9_000 <= (two.took or 0) <= 11_000


def test_what_is_answered_here(replay: Recorded) -> None:
    """Names that are known here, refusals, and messages that are no query."""
    local = replay.client_asks("localhost. A")
    refused = replay.client_asks(f"{NAME} AXFR")
    broken = replay.client_asks(b"\1\2\1\0\0\2\0\0\0\0\0\0")
    one, two, three = replay.noted()
    check(one, local, records.LOCAL)
    check(two, refused, records.ERROR)
    check(three, broken, records.LOCAL)
    assert three.took == 0


def test_stale_answers_and_failures(replay: Recorded) -> None:
    """What has expired, when nobody can be asked, and a failure where there is nothing of old."""
    replay.client_asks(f"{NAME} A")
    replay.upstream_answers(A)
    replay.time_passes(100)
    stale = replay.client_asks(f"{NAME} A")
    replay.time_passes(10)
    failed = replay.client_asks("other.example.com. A")
    replay.time_passes(10)
    _, two, three = replay.noted()
    check(two, stale, records.STALE)
    check(three, failed, records.ERROR)
    assert three.rcode == 2


def test_a_truncated_answer_that_tcp_did_not_bring(replay: Recorded) -> None:
    """That its server cannot be asked over TCP is told as such."""
    replay.client_asks(f"{NAME} A")
    replay.upstream_answers(flags="TC")
    while replay.waiting:
        replay.upstream_fails()
        replay.time_passes(0.5)
    replay.time_passes(10)
    assert [each.source for each in replay.noted()] == [records.CUT]


def test_nothing_is_noted_where_nothing_is_recorded() -> None:
    """Without a recorder all is as before."""
    replay = Replay()
    asked = replay.client_asks(f"{NAME} A")
    replay.upstream_answers(authority=soa("example.com."), rcode="NXDOMAIN")
    assert asked.rcode == "NXDOMAIN"
