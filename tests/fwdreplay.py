"""
The forwarder's heart, replayed: clients ask, time passes, servers answer, replies are expected.

Everything is real but the network and the clock: Forwarder, Cache, Routes, Agenda, Exchange. The
network is a list of attempts that wait for the test to answer them, with messages that dnspython
makes; the clock stands still until `time_passes`.

    replay = Replay()
    replay.client_asks("www.example.com. A")
    replay.upstream_answers("www.example.com. 60 IN A 192.0.2.7")
    replay.expect_reply("www.example.com. 60 IN A 192.0.2.7")
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from dnsmasq_py import routing
from dnsmasq_py.agenda import Agenda
from dnsmasq_py.attempt import Attempt
from dnsmasq_py.cache import Cache
from dnsmasq_py.chaos import Chaos, Statistics
from dnsmasq_py.counters import Counters
from dnsmasq_py.extensions import Configured
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.listen import Streams
from dnsmasq_py.local import HostLine, LocalData
from dnsmasq_py.options import Options
from dnsmasq_py.routing import Routes
from dnsmasq_py.rules import Match, ServerRule
from dnsmasq_py.server import Server
from dnsmasq_py.upstreams import Group, Upstreams
from kubedns.outside.routing import Own
from kubedns.wire import name as names
from tests.builders import query
from tests.weather import Clock

KUBEDNS = Server("127.0.0.1", 10053)
DEFAULT = Server("192.0.2.1")
STUB = Server("192.0.2.50")  # of stub.example
OTHER_STUB = Server("192.0.2.60")  # of other.example
CLIENT = "10.1.0.1"
CLUSTER_DOMAINS = ("cluster.local", "in-addr.arpa", "ip6.arpa")
STUBS: Mapping[str, Sequence[Server]] = {
    "stub.example": (STUB,),
    "other.example": (OTHER_STUB,),
}
USUAL: dict[str, Any] = {"edns": True, "flags": "RD"}  # how a client asks
Answer = Callable[[dns.message.Message], dns.message.Message | None]


def soa(zone: str, ttl: int = 60, minimum: int | None = None) -> str:
    """Return an SOA record as text; its minimum is the TTL unless given."""
    above = "" if zone == "." else zone
    minimum = ttl if minimum is None else minimum
    return f"{zone} {ttl} IN SOA ns.{above} host.{above} 1 7200 1800 86400 {minimum}"


def rrsets(records: str | Iterable[str]) -> list[dns.rrset.RRset]:
    """Read records in zone-file text; those of one owner and type that follow each other join."""
    found: list[dns.rrset.RRset] = []
    for text in (records,) if isinstance(records, str) else records:
        owner, ttl, rclass, rtype, rdata = text.split(maxsplit=4)
        one = dns.rrset.from_text(owner, int(ttl), rclass, rtype, rdata)
        # dnspython lets a second CNAME take the first one's place; servers send both.
        joins = found and found[-1].match(one.name, one.rdclass, one.rdtype, one.covers)
        if joins and one.rdtype != dns.rdatatype.CNAME:
            found[-1].update(one)  # type: ignore[no-untyped-call]
        else:
            found.append(one)
    return found


def lines(section: Iterable[dns.rrset.RRset]) -> list[str]:
    """Return records as sorted text."""
    return sorted(line for rrset in section for line in rrset.to_text().splitlines())


def decoded(octets: bytes) -> dns.message.Message:
    """Read a reply."""
    return dns.message.from_wire(octets, raise_on_truncation=False)


class Asked:
    """One query of a client and what came back. at: when it was asked."""

    def __init__(self, message: bytes, sender: tuple[str, int], at: float) -> None:
        self.message = message
        self.sender = sender
        self.at = at
        self.replies: list[bytes] = []

    @property
    def octets(self) -> bytes:
        """Return the one reply."""
        assert len(self.replies) == 1, f"{len(self.replies)} replies"
        return self.replies[0]

    @property
    def reply(self) -> dns.message.Message:
        """Return the one reply, read; ID and question are those of the query."""
        octets = self.octets
        assert octets[:2] == self.message[:2]
        end = 12
        while self.message[end]:
            end += 1 + self.message[end]
        assert octets[12 : end + 5] == self.message[12 : end + 5], "the question as it was asked"
        return decoded(octets)

    @property
    def rcode(self) -> str:
        """Return the code of the one reply."""
        return dns.rcode.to_text(self.reply.rcode())

    @property
    def answer(self) -> list[str]:
        """Return the answer section of the one reply."""
        return lines(self.reply.answer)

    @property
    def ttls(self) -> set[int]:
        """Return the TTLs of all records."""
        reply = self.reply
        return {s.ttl for section in (reply.answer, reply.authority) for s in section}

    @property
    def ede(self) -> list[int]:
        """Return the codes of extended DNS errors."""
        return [int(o.code) for o in self.reply.options if isinstance(o, dns.edns.EDEOption)]

    @property
    def why(self) -> str:
        """Return the text of the one extended DNS error."""
        (error,) = (o for o in self.reply.options if isinstance(o, dns.edns.EDEOption))
        return error.text or ""


class Replay:
    """
    See the head of this module.

    upstreams, stubs: of the ConfigMap; cluster: whether kubedns is configured, as in the standard
    manifest. auto: how servers answer by themselves, when time passes or `settle` is called.
    Other keywords are Options.
    """

    def __init__(
        self,
        *,
        upstreams: Sequence[Server] = (DEFAULT,),
        stubs: Mapping[str, Sequence[Server]] = STUBS,
        cluster: bool = True,
        hosts: Iterable[HostLine] = (),
        rules: Sequence[ServerRule] = (),
        auto: Answer | None = None,
        **options: Any,
    ) -> None:
        servers = tuple(
            ServerRule(names.from_text(domain), Match.SUFFIX, KUBEDNS)
            for domain in CLUSTER_DOMAINS * cluster
        )
        options.setdefault("cache_size", 1000)
        self.options = Options(servers=servers + tuple(rules), no_resolv=True, **options)
        self.clock = Clock()
        self.counters = Counters()
        stale_s = self.options.max_stale_s
        if self.options.use_stale_cache_s is not None:
            stale_s = self.options.use_stale_cache_s or float("inf")
        self.cache = Cache(
            self.options.cache_size, self.options.cache_bytes, stale_s, self.counters
        )
        self.agenda = Agenda(self.clock)
        self.upstreams = Upstreams(Random(1))
        self.sent: list[Attempt] = []
        self.cancelled: list[Attempt] = []
        self.refuses: set[Server] = set()  # these cannot be sent to
        self.auto = auto
        self._later: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._ids = itertools.count(1)
        self.forwarder = Forwarder(
            self.options,
            self.cache,
            self,
            self.agenda,
            self.counters,
            Chaos(self._statistics, "0"),
            LocalData(self.options, hosts, lambda folded: self.forwarder.routes.rank(folded)),
            later=lambda call, *args: self._later.append((call, args)),
            clock=self.clock.seconds,
        )
        self.streams = Streams(
            self.forwarder.handle, self.cache.ready, self.counters, self.clock.seconds
        )
        self.configure(upstreams, stubs)

    def _statistics(self) -> Statistics:
        self.cache.collect()
        c = self.counters
        return Statistics(self.cache.max_entries, c.insertions, c.evictions, c.misses, c.hits, ())

    # The configuration

    def configure(
        self,
        upstreams: Sequence[Server] = (DEFAULT,),
        stubs: Mapping[str, Sequence[Server]] = STUBS,
    ) -> Routes:
        """Take over a ConfigMap, as the service does."""
        routes = routing.build(
            self.options,
            Configured({domain: tuple(each) for domain, each in stubs.items()}, tuple(upstreams)),
            (),
            own=Own((), lambda _: None),
            hosts=lambda _: (),
            previous=self.forwarder.routes,
        )
        for route in routes.all:
            if route.servers and route.group is None:
                members = [self.upstreams.get(server) for server in route.servers]
                route.group = Group(route.domain, members, cluster=route.cluster, random=Random(2))
        self.forwarder.configure(routes)
        return routes

    # The dialer

    def send(self, attempt: Attempt, now: float) -> None:
        """Take an attempt."""
        if attempt.upstream.server in self.refuses:
            raise OSError(101, "Network is unreachable")
        self.sent.append(attempt)

    def cancel(self, attempt: Attempt) -> None:
        """Hear that nobody waits for an attempt."""
        self.cancelled.append(attempt)

    # What happens

    def client_asks(
        self,
        question: str | bytes,
        *,
        client: str = CLIENT,
        port: int | None = None,
        id: int | None = None,
        tcp: bool = False,
        **more: Any,
    ) -> Asked:
        """Ask `name TYPE [CLASS]`, or octets; more: edns, flags (RD DO CD AD) and so on."""
        number = next(self._ids)
        if isinstance(question, bytes):
            message = question
        else:
            asked = query(question, **(USUAL | more))
            asked.id = number & 0xFFFF if id is None else id
            message = asked.to_wire()
        sender = (client, 1024 + number % 60000 if port is None else port)
        one = Asked(message, sender, self.clock.now)
        self.forwarder.handle(message, sender, one.replies.append, tcp=tcp)
        self.settle()
        return one

    def receiver_answers(self, question: str | bytes, **more: Any) -> Asked | None:
        """Ask as `client_asks`, but of a receiver thread; None: it would have to ask on."""
        if isinstance(question, bytes):
            message = question
        else:
            asked = query(question, **(USUAL | more))
            asked.id = next(self._ids) & 0xFFFF
            message = asked.to_wire()
        now = self.clock.now
        octets = self.at_once(message)
        if octets is None:
            return None
        one = Asked(message, (CLIENT, 1), now)
        one.replies.append(octets)
        self.settle()
        return one

    def at_once(self, message: bytes) -> bytes | None:
        """Return the reply of a receiver thread; None: it would have to ask on."""
        now = self.clock.now
        found = self.cache.ready.get(message[2:])
        if found is not None and (now < found.until or found.age(now)):
            found.uses += 1
            return message[:2] + found.turns[(found.uses - 1) % len(found.turns)]
        shelf = self.cache.ready.shelf
        return None if shelf is None else shelf.reply(message, now)

    def time_passes(self, seconds: float) -> None:
        """Let time pass, and happen what is due."""
        self.settle()
        self.clock.run(self.clock.now + seconds)
        self.settle()

    def settle(self) -> None:
        """Let happen what happens at once: calls from other threads, answers by themselves."""
        while True:
            if self._later:
                call, args = self._later.popleft()
                call(*args)
            elif self.auto is None or not self._answer_one():
                return

    def _answer_one(self) -> bool:
        assert self.auto is not None
        for attempt in self.sent:
            if attempt.open and getattr(attempt, "line", None) is None:
                attempt.line = "answered"
                message = self.auto(asked_of(attempt))
                if message is not None:
                    self.deliver(attempt, message.to_wire())
                return True
        self.sent.clear()
        return False

    # Servers

    @property
    def waiting(self) -> list[Attempt]:
        """Return the attempts that nobody answered yet."""
        return [attempt for attempt in self.sent if attempt.open]

    @property
    def questions(self) -> list[str]:
        """Return what waits at servers, as `ADDRESS name TYPE`, in lower case."""
        return [f"{a.upstream.server} {text_of(a)}" for a in self.waiting]

    def deliver(self, attempt: Attempt, message: bytes) -> bool:
        """Let a message come to an attempt, as the dialer does that has checked it."""
        return attempt.exchange.received(attempt, message, self.clock.now)

    def upstream_answers(
        self,
        answer: str | Iterable[str] = (),
        authority: str | Iterable[str] = (),
        additional: str | Iterable[str] = (),
        *,
        rcode: str = "NOERROR",
        flags: str = "",
        ede: tuple[int, str] | None = None,
        question: str = "",
        change: Callable[[bytes], bytes] | None = None,
    ) -> dns.message.Message:
        """
        Answer the oldest attempt that waits, or the oldest of this question (`name TYPE`).

        Returns what it was asked. change: what becomes of the octets on their way.
        """
        attempt = next(a for a in self.waiting if question in ("", text_of(a)))
        asked = asked_of(attempt)
        made = reply_to(asked, answer, authority, additional, rcode=rcode, flags=flags, ede=ede)
        octets = made.to_wire(max_size=65535)
        self.deliver(attempt, change(octets) if change else octets)
        self.settle()
        return asked

    def upstream_fails(self, reason: str = "Connection refused") -> None:
        """Let the oldest attempt fail that waits."""
        attempt = self.waiting[0]
        attempt.exchange.failed(attempt, reason, self.clock.now)
        self.settle()

    # Both together

    def resolve(self, question: str, *answer: str, **more: Any) -> Asked:
        """Ask, answer once, and return what the client got; with `authority` and the like."""
        for_server = {k: more.pop(k) for k in ("authority", "additional", "rcode") if k in more}
        asked = self.client_asks(question, **more)
        assert not asked.replies, "it was known already"
        name, rtype, *_ = question.split()
        self.upstream_answers(answer, question=f"{name.lower()} {rtype}", **for_server)
        return asked

    def is_kept(self, question: str, **more: Any) -> bool:
        """Ask once more, and tell whether nobody else had to be asked; else that fails now."""
        asked = self.client_asks(question, **more)
        if asked.replies:
            return True
        for route in self.forwarder.routes.all:
            if route.group is not None:
                route.group.tokens = 0
        for attempt in self.waiting:
            self.deliver(attempt, reply_to(asked_of(attempt), rcode="REFUSED").to_wire())
        self.forwarder.failures.clear()
        return False

    def is_quiet(self) -> bool:
        """Tell whether nothing is under way any more, and nobody waits."""
        forwarder = self.forwarder
        return not (forwarder.in_flight or forwarder.crowd.total or self.waiting)


def asked_of(attempt: Attempt) -> dns.message.Message:
    """Return the query of an attempt, read."""
    return dns.message.from_wire(b"\x12\x34" + attempt.message)


def text_of(attempt: Attempt) -> str:
    """Return an attempt's question as `name TYPE`, in lower case."""
    (question,) = asked_of(attempt).question
    return f"{question.name.to_text().lower()} {dns.rdatatype.to_text(question.rdtype)}"


def reply_to(
    asked: dns.message.Message,
    answer: str | Iterable[str] = (),
    authority: str | Iterable[str] = (),
    additional: str | Iterable[str] = (),
    *,
    rcode: str = "NOERROR",
    flags: str = "",
    ede: tuple[int, str] | None = None,
) -> dns.message.Message:
    """Make a server's reply."""
    reply = dns.message.make_response(asked, recursion_available=True)
    reply.flags |= dns.flags.from_text(flags)
    reply.set_rcode(dns.rcode.from_text(rcode))
    reply.answer, reply.authority = rrsets(answer), rrsets(authority)
    reply.additional = rrsets(additional)
    if ede is not None:
        reply.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.make(ede[0]), ede[1])])
    return reply
