"""Questions about foreign names, on a clock of their own and without a network."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure

from kubedns.config import Config, HostServer, Nameserver
from kubedns.outside.exchange import Action, Answered, Exchange, GaveUp, Send
from kubedns.outside.resolver import (
    MAX_IN_FLIGHT,
    MAX_WAITING,
    PATIENCE_S,
    NoServersError,
    Outside,
    UnreachableError,
)
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

UP = Nameserver("192.0.2.1")
UP2 = Nameserver("192.0.2.2")
ACME = Nameserver("10.0.0.1")
SOA = "acme.local. 60 IN SOA ns.acme.local. root.acme.local. 1 2 3 4 5"
T = TypeVar("T")


class Net:
    """
    Name servers that answer at once from records in zone-file text.

    down: those that refuse. asked: who was asked what. before: done first for each exchange. After
    `hold`, exchanges wait in held until `release`, or until they are cancelled and in left.
    """

    def __init__(self) -> None:
        self.records: dict[Nameserver, list[str]] = {}
        self.rcodes: dict[Nameserver, dns.rcode.Rcode] = {}
        self.down: set[Nameserver] = set()
        self.asked: list[tuple[Nameserver, str]] = []
        self.before: Callable[[Exchange], Awaitable[None]] | None = None
        self.held: list[Deferred[None]] = []
        self.left: list[Deferred[None]] = []

    async def converse(self, exchange: Exchange) -> Answered | GaveUp:
        actions = exchange.start(0.0)
        if self.before:
            await self.before(exchange)
        while True:
            match actions:
                case [Send() as send]:
                    actions = self._answer(exchange, send)
                case [Answered() | GaveUp() as outcome]:
                    return outcome
                case _:
                    actions = exchange.timed_out(exchange.deadline)

    def hold(self) -> None:
        self.before = self.wait

    def release(self) -> None:
        self.before = None
        for each in self.held:
            each.callback(None)

    async def wait(self, _: Exchange) -> None:
        self.held.append(Deferred(self.left.append))
        await self.held[-1]

    def _answer(self, exchange: Exchange, send: Send) -> list[Action]:
        query = dns.message.from_wire(send.query)
        self.asked.append((send.server, query.question[0].to_text().replace(" IN ", " ")))
        if send.server in self.down:
            return exchange.failed(send.number, "Connection refused", 0.0)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AD
        name, wanted = query.question[0].name, query.question[0].rdtype
        known = [record(line) for line in self.records.get(send.server, [])]
        seen: set[dns.name.Name] = set()
        while name not in seen:
            seen.add(name)
            here = [rrset for rrset in known if rrset.name == name]
            reply.answer += [rrset for rrset in here if rrset.rdtype == wanted]
            alias = [rrset for rrset in here if rrset.rdtype == rr.CNAME != wanted]
            reply.answer += alias
            if not alias:
                if not here:
                    reply.set_rcode(dns.rcode.NXDOMAIN)
                    reply.authority.append(record(SOA))
                break
            name = alias[0][0].target
        if send.server in self.rcodes:
            reply.set_rcode(self.rcodes[send.server])
        return exchange.received(send.number, reply.to_wire(), 0.0)


def record(line: str) -> dns.rrset.RRset:
    owner, ttl, rclass, rtype, data = line.split(maxsplit=4)
    return dns.rrset.from_text(owner, int(ttl), rclass, rtype, data)


class World:
    """An Outside with a clock, a network and a cluster zone `cluster.local.` beside it."""

    def __init__(self, *, own: Sequence[tuple[str, int]] = ()) -> None:
        self.clock = Clock()
        self.net = Net()
        self.cluster: dict[str, list[str]] = {}
        self.outside = Outside(
            self.clock, own=own, in_zone=self._in_zone, converse=self.net.converse
        )

    def configure(
        self,
        stubs: dict[str, tuple[Nameserver | HostServer, ...]] | None = None,
        *upstream: Nameserver,
    ) -> None:
        self.outside.configure(Config(stubs or {}, upstream), ())

    def begin(self, qname: str, qtype: int = rr.A, *, do: bool = False) -> Deferred[Response]:
        question = self.outside.ask(names.from_text(qname), qtype, do=do, cd=False)
        return Deferred.fromCoroutine(question)

    def ask(self, qname: str, qtype: int = rr.A) -> Response:
        return result(self.begin(qname, qtype))

    def _in_zone(self, qname: bytes) -> list[str] | None:
        if not names.is_below(qname, names.from_text("cluster.local.")):
            return None
        return self.cluster.get(names.to_text(qname), [])


def result(deferred: Deferred[T]) -> T:
    """Return what a Deferred has already fired with."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "not answered yet"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    found: T = results[0]
    return found


def addresses(response: Response) -> list[str]:
    return [
        ".".join(map(str, rdata))
        for rrset in response.answer
        if rrset.type == rr.A
        for rdata in rrset.rdatas
    ]


def owners(response: Response) -> list[str]:
    return [names.to_text(rrset.owner) for rrset in response.answer]


@pytest.fixture
def world() -> World:
    return World()


# Routes


def test_a_name_of_a_stub_domain_is_asked_of_its_server_and_any_other_of_the_upstreams(
    world: World,
) -> None:
    world.configure({"acme.local": (ACME,)}, UP)
    world.net.records = {
        ACME: ["www.acme.local. 60 IN A 192.0.2.10"],
        UP: ["www.example.com. 60 IN A 192.0.2.20"],
    }
    assert addresses(world.ask("www.acme.local.")) == ["192.0.2.10"]
    assert addresses(world.ask("WWW.Example.com.")) == ["192.0.2.20"]
    assert world.net.asked == [(ACME, "www.acme.local. A"), (UP, "WWW.Example.com. A")]


def test_without_servers_nobody_is_asked(world: World) -> None:
    world.configure({"acme.local": ()}, UP)
    qname = names.from_text("www.acme.local.")
    assert not world.outside.has_servers(qname)
    assert world.outside.has_servers(names.from_text("example.com."))
    with pytest.raises(NoServersError):
        world.ask("www.acme.local.")
    assert not World().outside.has_servers(qname)


def test_a_new_configuration_counts_from_the_next_question_on(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    before = world.begin("www.example.com.")
    world.configure(None, UP2)
    after = world.begin("www.example.com.")
    world.net.records = {UP: ["www.example.com. 60 IN A 192.0.2.1"]}
    world.net.records[UP2] = ["www.example.com. 60 IN A 192.0.2.2"]
    world.net.release()
    assert addresses(result(before)) == ["192.0.2.1"], "no question in flight is lost"
    assert addresses(result(after)) == ["192.0.2.2"]


def test_resolv_conf_serves_when_the_configuration_names_no_upstream(world: World) -> None:
    world.outside.configure(Config(), (UP2,))
    world.net.records[UP2] = ["www.example.com. 60 IN A 192.0.2.2"]
    assert addresses(world.ask("www.example.com.")) == ["192.0.2.2"]


def test_we_do_not_ask_ourselves_and_one_line_says_so() -> None:
    lines: list[LogEvent] = []
    globalLogPublisher.addObserver(lines.append)
    try:
        world = World(own=[("0.0.0.0", 53)])
        for _ in range(3):
            world.configure({"acme.local": (Nameserver("127.0.0.1"), ACME)}, Nameserver("::1"))
    finally:
        globalLogPublisher.removeObserver(lines.append)
    assert not world.outside.has_servers(names.from_text("example.com."))
    assert world.outside.has_servers(names.from_text("acme.local."))
    assert [line["server"] for line in lines] == ["127.0.0.1:53", "[::1]:53"]


def test_the_server_that_answered_last_is_asked_first(world: World) -> None:
    world.configure(None, UP, UP2)
    records = ["www.example.com. 60 IN A 192.0.2.1"]
    world.net.records = {UP: records, UP2: records}
    world.net.down = {UP}
    world.ask("www.example.com.")
    world.ask("www.example.com.")
    assert [server for server, _ in world.net.asked] == [UP, UP2, UP2]
    world.net.down = {UP2}
    world.ask("www.example.com.")
    world.ask("www.example.com.")
    assert [server for server, _ in world.net.asked[3:]] == [UP2, UP, UP]
    world.net.asked.clear()
    world.configure(None, UP2, UP)
    world.ask("www.example.com.")
    assert [server for server, _ in world.net.asked] == [UP2, UP], "a new order counts"


# What comes back


def test_a_missing_name_comes_with_the_soa_that_says_so(world: World) -> None:
    world.configure({"acme.local": (ACME,)})
    response = world.ask("nope.acme.local.")
    assert response.rcode == rr.NXDOMAIN
    assert [rrset.type for rrset in response.authority] == [rr.SOA]


def test_the_word_of_a_server_that_something_is_authentic_is_not_passed_on(world: World) -> None:
    world.configure(None, UP)
    world.net.records[UP] = ["www.example.com. 60 IN A 192.0.2.1"]
    assert world.ask("www.example.com.").flags & dns.flags.AD == 0


def test_the_code_of_a_server_that_cannot_help_is_passed_on(world: World) -> None:
    world.configure(None, UP, UP2)
    world.net.rcodes = {UP: dns.rcode.REFUSED, UP2: dns.rcode.SERVFAIL}
    assert world.ask("www.example.com.").rcode == rr.SERVFAIL


def test_when_nobody_answers_the_error_says_who_was_asked_and_what_happened(world: World) -> None:
    world.configure(None, UP)
    world.net.down = {UP}
    with pytest.raises(UnreachableError) as caught:
        world.ask("www.example.com.")
    assert str(caught.value) == (
        "no answer: 192.0.2.1:53 Connection refused; asked for www.example.com. A"
    )
    assert not caught.value.timed_out


def test_the_error_is_short_and_harmless_for_any_name(world: World) -> None:
    world.configure(None, UP)
    world.net.down = {UP}
    qname = names.from_labels([b"\n\x1b[31m" + b"\xff" * 57] * 3)
    with pytest.raises(UnreachableError) as caught:
        result(Deferred.fromCoroutine(world.outside.ask(qname, rr.A, do=False, cd=False)))
    assert len(str(caught.value)) <= 400
    assert str(caught.value).isascii() and str(caught.value).isprintable()


# Chains


def test_a_chain_into_a_stub_domain_is_finished_by_the_server_of_that_domain(world: World) -> None:
    world.configure({"acme.local": (ACME,)}, UP)
    forged = "web.acme.local. 60 IN A 192.0.2.66"
    world.net.records = {
        UP: ["www.example.com. 60 IN CNAME Web.acme.local.", forged],
        ACME: ["web.acme.local. 60 IN A 192.0.2.10"],
    }
    response = world.ask("www.example.com.")
    assert addresses(response) == ["192.0.2.10"]
    assert owners(response) == ["www.example.com.", "web.acme.local."]
    assert response.qname == names.from_text("www.example.com.")
    assert world.net.asked == [(UP, "www.example.com. A"), (ACME, "Web.acme.local. A")]


def test_a_chain_that_only_the_right_server_can_finish_ends_in_its_word(world: World) -> None:
    world.configure({"acme.local": (ACME,)}, UP)
    world.net.records[UP] = ["www.example.com. 60 IN CNAME gone.acme.local."]
    response = world.ask("www.example.com.")
    assert (response.rcode, owners(response)) == (rr.NXDOMAIN, ["www.example.com."])
    assert [names.to_text(rrset.owner) for rrset in response.authority] == ["acme.local."]


@pytest.mark.parametrize("forged", [[], ["web.shop.svc.cluster.local. 60 IN A 192.0.2.66"]])
def test_a_chain_into_the_cluster_is_left_to_the_cluster(world: World, forged: list[str]) -> None:
    """Neither what a foreign server makes up about it counts, nor that it knows nothing."""
    world.configure(None, UP)
    world.net.records[UP] = ["www.example.com. 60 IN CNAME web.shop.svc.cluster.local.", *forged]
    response = world.ask("www.example.com.")
    assert (response.rcode, owners(response)) == (rr.NOERROR, ["www.example.com."])
    assert response.authority == ()


def test_a_chain_that_goes_in_a_circle_between_servers_ends(world: World) -> None:
    world.configure({"acme.local": (ACME,)}, UP)
    world.net.records = {
        UP: ["www.example.com. 60 IN CNAME www.acme.local."],
        ACME: ["www.acme.local. 60 IN CNAME www.example.com."],
    }
    with pytest.raises(UnreachableError):
        world.ask("www.example.com.")
    assert len(world.net.asked) == 2


def test_a_chain_to_and_fro_without_end_ends(world: World) -> None:
    world.configure({"acme.local": (ACME,)}, UP)
    world.net.records = {
        UP: [f"n{i}.example.com. 60 IN CNAME n{i + 1}.acme.local." for i in range(50)],
        ACME: [f"n{i}.acme.local. 60 IN CNAME n{i + 1}.example.com." for i in range(50)],
    }
    with pytest.raises(UnreachableError):
        world.ask("n0.example.com.")
    assert len(world.net.asked) == 8


# Many at once


def test_equal_questions_in_flight_are_asked_once(world: World) -> None:
    world.configure(None, UP)
    world.net.records[UP] = ["www.example.com. 60 IN A 192.0.2.1"]
    world.net.hold()
    asking = [world.begin("wWw.example.com." if i % 2 else "www.example.com.") for i in range(200)]
    world.net.release()
    assert {tuple(addresses(result(each))) for each in asking} == {("192.0.2.1",)}
    assert len(world.net.asked) == 1
    assert world.outside.counts()["shared"] == 199


def test_questions_that_differ_in_what_changes_the_answer_are_asked_apart(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    world.begin("www.example.com.")
    world.begin("www.example.com.", rr.AAAA)
    world.begin("www.example.com.", do=True)
    assert len(world.net.held) == 3


def test_one_that_gives_up_does_not_disturb_the_others(world: World) -> None:
    world.configure(None, UP)
    world.net.records[UP] = ["www.example.com. 60 IN A 192.0.2.1"]
    world.net.hold()
    first, second = world.begin("www.example.com."), world.begin("www.example.com.")
    first.cancel()
    with pytest.raises(CancelledError):
        result(first)
    world.net.release()
    assert addresses(result(second)) == ["192.0.2.1"]


def test_when_all_have_given_up_the_question_ends_too(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    asking = [world.begin("www.example.com.") for _ in range(3)]
    for each in asking:
        assert world.net.left == []
        each.addErrback(lambda _: None)
        each.cancel()
    assert world.net.left == world.net.held
    assert not world.clock.getDelayedCalls()


def test_beyond_the_bound_a_question_fails_at_once(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    asking = [world.begin(f"n{i}.example.com.") for i in range(MAX_IN_FLIGHT)]
    with pytest.raises(UnreachableError, match="too many"):
        world.ask("one.more.example.com.")
    world.net.release()
    for each in asking:
        result(each)
    world.ask("one.more.example.com.")


def test_beyond_the_bound_one_more_asker_fails_at_once(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    asking = [world.begin("www.example.com.") for _ in range(MAX_WAITING)]
    with pytest.raises(UnreachableError, match="too many"):
        world.ask("www.example.com.")
    world.net.release()
    assert [result(each).rcode for each in asking] == [rr.NXDOMAIN] * MAX_WAITING


def test_an_asker_may_send_others_away_when_its_answer_comes(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    first, second, third = (world.begin("www.example.com.") for _ in range(3))
    first.addCallback(lambda _: second.cancel())
    world.net.release()
    with pytest.raises(CancelledError):
        result(second)
    assert result(third).rcode == rr.NXDOMAIN


def test_nobody_waits_longer_than_the_patience(world: World) -> None:
    world.configure(None, UP)
    world.net.hold()
    asking = world.begin("www.example.com.")
    world.clock.advance(PATIENCE_S)
    with pytest.raises(UnreachableError) as caught:
        result(asking)
    assert caught.value.timed_out
    assert not world.clock.getDelayedCalls()


def test_what_happens_is_counted(world: World) -> None:
    world.configure(None, UP)
    world.net.records[UP] = ["www.example.com. 60 IN A 192.0.2.1"]
    world.ask("www.example.com.")
    world.net.down = {UP}
    with pytest.raises(UnreachableError):
        world.ask("www.example.com.")
    counts = world.outside.counts()
    assert (counts["asked"], counts["answered"], counts["failed"]) == (2, 1, 1)


# Stub servers given by host name

HOST = HostServer("ns.acme.example")
HOST_ADDRESS = Nameserver("10.0.0.9")


@pytest.fixture
def hosted(world: World) -> World:
    """Give a world whose stub domain is served by a host that the upstream knows."""
    world.configure({"acme.local": (HOST,)}, UP)
    world.net.records = {
        UP: [
            "ns.acme.example. 60 IN CNAME dns.acme.example.",
            "dns.acme.example. 30 IN A 10.0.0.9",
        ],
        HOST_ADDRESS: ["www.acme.local. 60 IN A 192.0.2.10"],
    }
    return world


def look_ups(world: World) -> list[str]:
    return [question for server, question in world.net.asked if server == UP]


def test_a_host_is_looked_up_once_for_its_ttl(hosted: World) -> None:
    for _ in range(3):
        assert addresses(hosted.ask("www.acme.local.")) == ["192.0.2.10"]
    assert look_ups(hosted) == ["ns.acme.example. A", "ns.acme.example. AAAA"]
    hosted.clock.advance(30)
    hosted.ask("www.acme.local.")
    assert len(look_ups(hosted)) == 4, "the smallest TTL of the chain counts"


def test_nobody_waits_for_a_host_whose_old_address_is_known(hosted: World) -> None:
    hosted.ask("www.acme.local.")
    hosted.clock.advance(30)

    async def slow_look_ups(exchange: Exchange) -> None:
        if exchange.question.qname == names.from_text("ns.acme.example."):
            await hosted.net.wait(exchange)

    hosted.net.before = slow_look_ups
    assert addresses(hosted.ask("www.acme.local.")) == ["192.0.2.10"]
    assert len(hosted.net.held) == 2


def test_any_number_of_questions_may_come_during_a_look_up(hosted: World) -> None:
    lines: list[LogEvent] = []
    hosted.ask("www.acme.local.")
    hosted.clock.advance(30)

    async def slow_look_ups(exchange: Exchange) -> None:
        if exchange.question.qname == names.from_text("ns.acme.example."):
            await hosted.net.wait(exchange)

    hosted.net.before = slow_look_ups
    globalLogPublisher.addObserver(lines.append)
    try:
        for _ in range(1100):
            assert addresses(hosted.ask("www.acme.local.")) == ["192.0.2.10"]
    finally:
        globalLogPublisher.removeObserver(lines.append)
    assert lines == []


def test_the_last_good_address_stays_in_use_when_the_host_cannot_be_looked_up(
    hosted: World,
) -> None:
    hosted.ask("www.acme.local.")
    hosted.net.down = {UP}
    hosted.clock.advance(30)
    assert addresses(hosted.ask("www.acme.local.")) == ["192.0.2.10"]
    before = len(look_ups(hosted))
    hosted.clock.advance(1)
    hosted.ask("www.acme.local.")
    assert len(look_ups(hosted)) == before, "and not every question tries again"


def test_a_host_that_nobody_knows_is_an_error_with_its_name(hosted: World) -> None:
    hosted.net.records[UP] = []
    with pytest.raises(UnreachableError, match=r"no address for ns\.acme\.example"):
        hosted.ask("www.acme.local.")


def test_an_address_beside_an_unknown_host_is_asked_without_waiting(world: World) -> None:
    world.configure({"acme.local": (HOST, ACME)}, UP)
    world.net.records[ACME] = ["www.acme.local. 60 IN A 192.0.2.10"]
    world.net.down = {UP}
    assert addresses(world.ask("www.acme.local.")) == ["192.0.2.10"]


def test_a_host_of_the_cluster_is_found_in_the_zone_at_each_question(world: World) -> None:
    world.configure({"acme.local": (HostServer("dns.acme.svc.cluster.local"),)}, UP)
    world.net.records[HOST_ADDRESS] = ["www.acme.local. 60 IN A 192.0.2.10"]
    with pytest.raises(UnreachableError):
        world.ask("www.acme.local.")
    world.cluster["dns.acme.svc.cluster.local."] = [HOST_ADDRESS.address]
    assert addresses(world.ask("www.acme.local.")) == ["192.0.2.10"]
    assert look_ups(world) == []


def test_a_host_that_turns_out_to_be_ourselves_is_not_asked() -> None:
    world = World(own=[("10.96.0.10", 53)])
    world.configure({"acme.local": (HOST,)}, UP)
    world.net.records[UP] = ["ns.acme.example. 60 IN A 10.96.0.10"]
    with pytest.raises(UnreachableError, match="no address"):
        world.ask("www.acme.local.")


def test_a_host_without_any_upstream_is_an_error_not_a_wait(world: World) -> None:
    world.configure({"acme.local": (HOST,)})
    with pytest.raises(UnreachableError, match="no address"):
        world.ask("www.acme.local.")


def test_an_exception_of_ours_reaches_the_one_who_asked(world: World) -> None:
    """A fault of ours costs that question, and the next one is answered."""

    async def faulty(_: Exchange) -> None:
        raise ZeroDivisionError

    world.configure(None, UP)
    world.net.before = faulty
    with pytest.raises(ZeroDivisionError):
        world.ask("www.example.com.")
    world.net.before = None
    assert world.ask("www.example.com.").rcode == rr.NXDOMAIN
