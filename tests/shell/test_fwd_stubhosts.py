"""Stub servers given by host name: when they are looked up, and what is used meanwhile."""

import socket
from collections.abc import Awaitable, Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from dnsmasq_py import stubhosts
from dnsmasq_py.errors import ForwarderError
from dnsmasq_py.stubhosts import StubHosts
from kubedns.outside.hosts import MAX_ADDRESSES
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

NS = "ns.example"
QNAME = names.from_text(NS)
Said = Response | Exception


class World:
    """
    Hosts on a clock of their own, and what they are told.

    says: what is answered at once, by name and type; NODATA without. held: questions that wait,
    while `hold` is set. asked: all questions. changes: how often addresses changed.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.says: dict[tuple[bytes, int], Said] = {}
        self.hold = False
        self.held: list[Deferred[Response]] = []
        self.cancelled = 0
        self.asked: list[tuple[bytes, int]] = []
        self.changes = 0
        self.hosts = StubHosts(self.clock, self._ask, self._changed)

    def _ask(self, qname: bytes, qtype: int) -> Awaitable[Response]:
        self.asked.append((qname, qtype))
        answer: Deferred[Response] = Deferred(self._cancel)
        if self.hold:
            self.held.append(answer)
            return answer
        said = self.says.get((qname, qtype), response(qtype=qtype))
        if isinstance(said, Exception):
            answer.errback(said)
        else:
            answer.callback(said)
        return answer

    def _cancel(self, _: object) -> None:
        self.cancelled += 1

    def _changed(self) -> None:
        self.changes += 1

    def follow(self, *hosts: str) -> None:
        self.hosts.retain(hosts or (NS,))
        self.hosts.start()

    def says_a(self, *addresses: str, ttl: int = 60, host: str = NS) -> None:
        self._say(rr.A, addresses, ttl, host)

    def says_aaaa(self, *addresses: str, ttl: int = 60, host: str = NS) -> None:
        self._say(rr.AAAA, addresses, ttl, host)

    def _say(self, qtype: int, addresses: tuple[str, ...], ttl: int, host: str) -> None:
        qname = names.from_text(host)
        self.says[qname, qtype] = response(*addresses, qtype=qtype, ttl=ttl, qname=qname)

    def fails(self, qtype: int, reason: str = "nobody answers") -> None:
        self.says[QNAME, qtype] = ForwarderError(reason)

    def both_fail(self) -> None:
        self.fails(rr.A)
        self.fails(rr.AAAA)

    def seconds_to_the_next_question(self) -> float:
        """Let time pass until something is asked; return how long that took."""
        before, began = len(self.asked), self.clock.seconds()
        while len(self.asked) == before:
            assert self.clock.seconds() - began < 1000, "nothing is asked any more"
            self.clock.advance(0.125)
        return self.clock.seconds() - began


def response(
    *addresses: str,
    qtype: int = rr.A,
    ttl: int = 60,
    rcode: int = rr.NOERROR,
    qname: bytes = QNAME,
    answer: tuple[rr.RRset, ...] = (),
) -> Response:
    family = socket.AF_INET if qtype == rr.A else socket.AF_INET6
    if addresses:
        packed = tuple(socket.inet_pton(family, each) for each in addresses)
        answer = (rr.RRset(qname, qtype, ttl, packed),)
    return Response(b"\0\0", 0x8180, rcode, qname, qtype, rr.IN, answer)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    if world.hosts.running:
        world.hosts.stop()
    assert world.clock.getDelayedCalls() == []


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that stubhosts logs, with the level's first letter."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"] == stubhosts.__name__:
            level = {LogLevel.info: "I", LogLevel.warn: "W"}.get(event["log_level"], "E")
            lines.append(f"{level} {formatEvent(event)}")

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_both_families_are_asked_for_at_once_and_used(world: World) -> None:
    world.says_a("10.0.0.1", "10.0.0.2")
    world.says_aaaa("2001:db8::1")
    world.follow()
    assert world.asked == [(QNAME, rr.A), (QNAME, rr.AAAA)]
    assert world.hosts.addresses(NS) == ("10.0.0.1", "10.0.0.2", "2001:db8::1")
    world.clock.advance(0.1)
    assert world.changes == 1


def test_nothing_is_asked_before_the_start(world: World) -> None:
    world.hosts.retain([NS])
    assert world.asked == []
    world.hosts.start()
    assert len(world.asked) == 2


def test_a_host_behind_an_alias_is_found(world: World) -> None:
    target = names.from_text("real.example")
    chain = (
        rr.RRset(QNAME, rr.CNAME, 7, (target,)),
        rr.RRset(target, rr.A, 60, (b"\x0a\0\0\1",)),
    )
    world.says[QNAME, rr.A] = response(answer=chain)
    world.follow()
    assert world.hosts.addresses(NS) == ("10.0.0.1",)
    assert world.seconds_to_the_next_question() == 7


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 5), (4, 5), (30, 30), (86400, 300)])
def test_the_ttl_says_when_to_ask_again_within_bounds(world: World, ttl: int, seconds: int) -> None:
    world.says_a("10.0.0.1", ttl=ttl)
    world.follow()
    assert world.seconds_to_the_next_question() == seconds


def test_the_shorter_ttl_of_both_families_counts(world: World) -> None:
    world.says_a("10.0.0.1", ttl=60)
    world.says_aaaa("2001:db8::1", ttl=20)
    world.follow()
    assert world.seconds_to_the_next_question() == 20


def test_only_other_addresses_are_a_change(world: World) -> None:
    world.says_a("10.0.0.1", "10.0.0.2")
    world.follow()
    world.says_a("10.0.0.2", "10.0.0.1")
    world.seconds_to_the_next_question()
    world.clock.advance(0.1)
    assert world.hosts.addresses(NS) == ("10.0.0.1", "10.0.0.2")
    assert world.changes == 1
    world.says_a("10.0.0.3", "10.0.0.2")
    world.seconds_to_the_next_question()
    world.clock.advance(0.1)
    assert world.hosts.addresses(NS) == ("10.0.0.2", "10.0.0.3")
    assert world.changes == 2


def test_the_last_good_addresses_stay_while_look_ups_fail(world: World, log: list[str]) -> None:
    world.says_a("10.0.0.1")
    world.follow()
    world.both_fail()
    waits = [world.seconds_to_the_next_question() for _ in range(10)]
    assert waits == [60, 1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert world.hosts.addresses(NS) == ("10.0.0.1",)
    assert world.hosts.failing() == [NS]
    world.says_a("10.0.0.1")
    world.fails(rr.AAAA)
    world.seconds_to_the_next_question()
    assert world.hosts.failing() == []
    assert world.changes == 1
    assert log == [
        "I stub server ns.example: 10.0.0.1",
        "W stub server ns.example: nobody answers; for now: 10.0.0.1",
        "I stub server ns.example: 10.0.0.1",
    ]


def test_a_host_that_was_never_found_is_tried_again_soon(world: World, log: list[str]) -> None:
    world.both_fail()
    world.follow()
    assert world.seconds_to_the_next_question() == 1
    world.says_a("10.0.0.1")
    assert world.seconds_to_the_next_question() == 2
    assert world.hosts.addresses(NS) == ("10.0.0.1",)
    world.clock.advance(0.1)
    assert world.changes == 1
    assert log[0] == (
        "W stub server ns.example: nobody answers; for now: its domain has no such server"
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (response(rcode=rr.SERVFAIL), "SERVFAIL"),
        (response(rcode=rr.REFUSED), "REFUSED"),
        (response(rcode=rr.NXDOMAIN), "it has no address"),
        (response(), "it has no address"),
        (ForwarderError("no server"), "no server"),
        (ValueError("a bug"), "an error of our own"),
    ],
)
def test_each_way_to_fail_keeps_the_addresses_and_is_told_once(
    world: World, log: list[str], said: Said, reason: str
) -> None:
    world.says_a("10.0.0.1")
    world.follow()
    world.says[QNAME, rr.A] = world.says[QNAME, rr.AAAA] = said
    for _ in range(3):
        world.seconds_to_the_next_question()
    assert world.hosts.addresses(NS) == ("10.0.0.1",)
    warnings = [line for line in log if line.startswith("W")]
    assert warnings == [f"W stub server ns.example: {reason}; for now: 10.0.0.1"]


def test_a_family_that_fails_keeps_its_addresses_beside_the_others_new_ones(world: World) -> None:
    world.says_a("10.0.0.1")
    world.says_aaaa("2001:db8::1")
    world.follow()
    world.says_a("10.0.0.2")
    world.fails(rr.AAAA)
    world.seconds_to_the_next_question()
    assert set(world.hosts.addresses(NS)) == {"10.0.0.2", "2001:db8::1"}
    assert world.seconds_to_the_next_question() == 1
    world.says.pop((QNAME, rr.AAAA))
    world.seconds_to_the_next_question()
    assert world.hosts.addresses(NS) == ("10.0.0.2",)


def test_silence_is_a_failure_after_a_while(world: World, log: list[str]) -> None:
    world.hold = True
    world.follow()
    world.clock.advance(10)
    assert world.cancelled == 2
    assert log == [
        "W stub server ns.example: no answer within 10 s; for now: its domain has no such server"
    ]


def test_hosts_that_are_no_longer_wanted_are_forgotten(world: World) -> None:
    world.says_a("10.0.0.1")
    world.says_a("10.0.0.9", host="other.example")
    world.follow(NS, "other.example")
    world.hosts.retain(["other.example"])
    assert world.hosts.addresses(NS) == ()
    assert world.hosts.addresses("other.example") == ("10.0.0.9",)
    world.asked.clear()
    world.clock.advance(60)
    assert {qname for qname, _ in world.asked} == {names.from_text("other.example")}


def test_the_same_hosts_again_ask_nothing_new(world: World) -> None:
    world.says_a("10.0.0.1")
    world.follow()
    world.hosts.retain([NS])
    assert len(world.asked) == 2


def test_a_new_configuration_tries_failing_hosts_at_once(world: World) -> None:
    world.both_fail()
    world.follow()
    for _ in range(6):
        world.seconds_to_the_next_question()
    world.says_a("10.0.0.1")
    world.hosts.retain([NS, "other.example"])
    assert world.hosts.addresses(NS) == ("10.0.0.1",)


def test_a_change_of_one_host_does_not_hurry_those_that_fail(world: World) -> None:
    other = "other.example"
    world.both_fail()
    hosts = StubHosts(world.clock, world._ask, lambda: hosts.retain([NS, other]))
    hosts.retain([NS, other])
    hosts.start()
    for number in range(30):
        world.says_a(f"10.0.0.{number}", ttl=5, host=other)
        world.clock.pump([1, 1, 1, 1, 1])
    # After 0, 1, 3, 7, 15, 31, 63 and 127 s.
    assert sum(asked == (QNAME, rr.A) for asked in world.asked) == 8
    hosts.stop()


def test_many_hosts_are_told_of_together_and_looked_up_a_few_at_a_time(world: World) -> None:
    hosts = [f"ns{number}.example" for number in range(100)]
    world.hold = True
    world.follow(*hosts)
    assert len(world.held) == 32
    world.hold = False
    for host in hosts:
        world.says_a("10.0.0.1", host=host)
    for held in world.held:
        held.callback(response("10.0.0.1"))
    world.clock.advance(0.1)
    assert all(world.hosts.addresses(host) for host in hosts)
    assert world.changes == 1


def test_the_number_of_addresses_is_bounded_and_those_in_use_stay(world: World) -> None:
    world.says_a(*(f"10.0.0.{number}" for number in range(20)))
    world.follow()
    first = world.hosts.addresses(NS)
    assert len(first) == MAX_ADDRESSES
    world.says_a(*(f"10.0.0.{number}" for number in reversed(range(20))))
    world.seconds_to_the_next_question()
    assert world.hosts.addresses(NS) == first


def test_a_host_that_is_no_name_is_never_asked_for(world: World, log: list[str]) -> None:
    world.follow("y" * 64 + ".example")
    world.clock.advance(1)
    assert world.asked == []
    assert len(log) == 1


def test_stopping_ends_look_ups_and_timers(world: World) -> None:
    world.hold = True
    world.follow(NS, "other.example")
    world.hosts.stop()
    assert world.cancelled == 4
    assert world.clock.getDelayedCalls() == []
    world.hold = False
    world.says_a("10.0.0.1")
    world.hosts.start()
    assert world.hosts.addresses(NS) == ("10.0.0.1",)


def test_an_error_in_using_new_addresses_does_not_end_the_look_ups(world: World) -> None:
    world.says_a("10.0.0.1")

    def broken() -> None:
        raise ValueError("a bug")

    hosts = StubHosts(world.clock, world._ask, broken)
    hosts.retain([NS])
    hosts.start()
    world.clock.advance(1)
    asked = len(world.asked)
    world.clock.advance(60)
    assert len(world.asked) > asked
    hosts.stop()
