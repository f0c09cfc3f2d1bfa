"""GET /explain of one process: which rule takes a name and why, and what is known of it already."""

import json
from collections.abc import Mapping
from typing import Any

import dns.message
import pytest
from twisted.internet.task import Clock

from dnsmasq_py.explain import texts
from dnsmasq_py.explain.account import Account
from dnsmasq_py.explain.live import Live
from dnsmasq_py.explain.rule import Origins
from dnsmasq_py.extensions import Configured
from dnsmasq_py.local import HostLine
from dnsmasq_py.options import Options
from dnsmasq_py.rules import AddressRule, LocalRecords, Match, ServerRule
from dnsmasq_py.server import Server, Transport
from kubedns.serve import http
from kubedns.wire import name as names
from kubedns.wire import rr
from tests.fwdreplay import DEFAULT, STUBS, Replay, reply_to, soa
from tests.fwdteller import SOA, Teller

WEB = "web.prod.svc.cluster.local."
HOSTS = (HostLine(b"\x0a\0\0\x09", (names.from_text("node.example"),), "/etc/hosts"),)


class Explained:
    """A forwarder that explains. sent: what was tried at servers."""

    def __init__(self, *, configured: bool = True, resolv: str = "", **options: Any) -> None:
        self.replay = Replay(**options)
        self.clock = Clock()
        upstreams = (DEFAULT,) if configured else ()
        self.origins = Origins(
            self.replay.options,
            Configured({k: tuple(v) for k, v in STUBS.items()}, upstreams),
            (DEFAULT,) if resolv else (),
        )
        self.live = Live(self, self.clock, lambda: 1000.0 + self.clock.seconds())
        self.account = Account(self.replay.forwarder, self.live, lambda: self.origins)
        self.sent: list[Any] = []
        self.cancelled: list[Any] = []

    def send(self, attempt: Any, now: float) -> None:
        self.sent.append(attempt)

    def cancel(self, attempt: Any) -> None:
        self.cancelled.append(attempt)

    def page(self, **query: str) -> dict[str, Any]:
        page = self.account.page(query)
        pages: list[http.Page] = []
        assert not isinstance(page, http.Page), page
        page.addCallback(pages.append)
        return self.read(pages[0])

    @staticmethod
    def read(page: http.Page) -> dict[str, Any]:
        assert (page.status, page.media_type) == (200, http.JSON)
        assert isinstance(page.body, str)
        assert page.body.endswith("\n")
        found: dict[str, Any] = json.loads(page.body)
        return found

    def begin(self, **query: str) -> list[http.Page]:
        """Ask with a try, for which servers have to answer."""
        page = self.account.page({**query, "try": "1"})
        pages: list[http.Page] = []
        if isinstance(page, http.Page):
            return [page]
        page.addCallback(pages.append)
        return pages

    def answers(self, number: int, *answer: str, **more: Any) -> None:
        """Let what was sent as this number be answered."""
        attempt = self.sent[number]
        asked = dns.message.from_wire(b"\x12\x34" + attempt.message)
        attempt.exchange.received(attempt, reply_to(asked, answer, **more).to_wire(), 1000.0)


# Which rule


@pytest.mark.parametrize(
    ("name", "kind", "domain", "means"),
    [
        (WEB, "cluster", "cluster.local.", "cluster zone cluster.local: kubedns is asked"),
        (
            "git.stub.example.",
            "stub",
            "stub.example.",
            "stub domain stub.example of the ConfigMap, the longest match",
        ),
        (
            "www.example.com.",
            "upstream",
            ".",
            "no domain of its own: upstreamNameservers of the ConfigMap",
        ),
        ("localhost.", "special", "localhost.", "special name: RFC 6761 localhost"),
        ("node.example.", "hosts", "node.example.", "hosts file /etc/hosts: answered here"),
    ],
)
def test_the_rule_that_takes_a_name_and_why(name: str, kind: str, domain: str, means: str) -> None:
    rule = Explained(hosts=HOSTS).page(name=name)["rule"]
    assert (rule["kind"], rule["domain"], rule["means"]) == (kind, domain, means)


def test_servers_and_policy_of_the_rule() -> None:
    explained = Explained()
    rule = explained.page(name="git.stub.example")["rule"]
    assert (rule["servers"], rule["policy"]) == (["192.0.2.50:53"], "fastest")
    (upstream,) = explained.page(name="git.stub.example")["upstreams"]
    assert upstream["server"] == "192.0.2.50:53"
    assert (upstream["state"], upstream["srtt_ms"], upstream["timeouts"]) == ("up", None, 0)


def test_what_kubedns_refuses_goes_on_and_so_says_the_rule() -> None:
    rule = Explained().page(name="7.2.0.192.in-addr.arpa", type="PTR")["rule"]
    assert rule["kind"] == "cluster"
    assert rule["means"].startswith("reverse names of in-addr.arpa: kubedns is asked")
    assert (rule["then"]["kind"], rule["then"]["servers"]) == ("upstream", ["192.0.2.1:53"])


def test_servers_of_resolv_conf_are_named_by_their_file() -> None:
    explained = Explained(configured=False, resolv="/etc/resolv.conf")
    explained.origins = Origins(Options(), Configured(), (DEFAULT,))
    rule = explained.page(name="www.example.com")["rule"]
    assert rule["means"] == "no domain of its own: /etc/resolv.conf"


def test_options_with_records_are_named() -> None:
    records = LocalRecords(cnames=((names.from_text("old.test"), names.from_text(WEB), None),))
    rules = (AddressRule(names.from_text("ads.test"), Match.SUFFIX, (bytes(4),)),)
    explained = Explained(local=records, addresses=rules)
    ads = explained.page(name="x.ads.test")
    assert ads["rule"]["means"] == "--address: answered here"
    assert ads["local"]["answers"] == ["0.0.0.0"]
    old = explained.page(name="old.test")
    assert old["rule"]["kind"] == "address"
    assert old["rule"]["then"]["kind"] == "cluster"
    assert old["local"]["chain"] == [f"old.test. CNAME {WEB}"]


def test_names_that_nobody_is_asked_for() -> None:
    local = (ServerRule(names.from_text("gone.test"), Match.SUFFIX, None),)
    explained = Explained(rules=local, upstreams=())
    gone = explained.page(name="x.gone.test")
    assert gone["rule"]["kind"] == "none"
    assert gone["rule"]["means"] == "--local: gone.test is asked of nobody"
    assert gone["local"]["rcode"] == "NXDOMAIN"
    other = explained.page(name="www.example.com")["rule"]
    assert (other["kind"], other["means"]) == (
        "none",
        "no upstream nameservers are known: refused",
    )


def test_a_domain_that_is_sent_to_the_default_servers() -> None:
    hole = (ServerRule(names.from_text("x.stub.example"), Match.SUFFIX, None, use_default=True),)
    rule = Explained(rules=hole).page(name="a.x.stub.example")["rule"]
    assert rule["kind"] == "upstream"
    assert rule["means"].startswith("--server=/x.stub.example/#, the servers without a domain: ")


def test_a_server_that_asks_us_is_shown_though_it_is_not_asked() -> None:
    explained = Explained()
    explained.origins = Origins(
        Options(), Configured(), (), looping=frozenset((Server("192.0.2.99"),))
    )
    found = explained.page(name="www.example.com")["upstreams"]
    assert [(each["server"], each["state"]) for each in found] == [
        ("192.0.2.1:53", "up"),
        ("192.0.2.99:53", "looping"),
    ]


# What is known


def test_nothing_is_known_at_first() -> None:
    found = Explained().page(name=WEB, type="SRV")
    assert (found["name"], found["type"]) == (WEB, "SRV")
    keys = ("cache", "cut_by", "failure", "live", "local")
    assert [found[key] for key in keys] == [None] * len(keys)
    assert found["in_flight"] is False


def test_the_answer_in_the_cache_with_its_age_and_where_it_is_from() -> None:
    explained = Explained()
    replay = explained.replay
    replay.client_asks("www.example.com. A")
    assert explained.page(name="WWW.example.com")["in_flight"] is True
    replay.upstream_answers("www.example.com. 60 IN CNAME git.stub.example.")
    replay.upstream_answers(["git.stub.example. 60 IN A 192.0.2.7"])
    replay.time_passes(10.04)
    replay.client_asks("www.example.com. A")
    cache = explained.page(name="www.example.com")["cache"]
    assert cache == {
        "rcode": "NOERROR",
        "answers": ["192.0.2.7"],
        "answer_count": 1,
        "age_s": 10.0,
        "ttl_s": 60,
        "left_s": 50.0,
        "expired": False,
        "used": 1,
        "chain": ["www.example.com. CNAME git.stub.example."],
        "ede": None,
        "from": "the upstream nameservers, then stub domain stub.example",
        "dnssec": False,
    }
    replay.time_passes(60)
    assert explained.page(name="www.example.com")["cache"]["expired"] is True


def test_looking_at_an_answer_does_not_use_it() -> None:
    explained = Explained()
    explained.replay.resolve("www.example.com. A", "www.example.com. 60 IN A 192.0.2.7")
    counts = [explained.page(name="www.example.com")["cache"]["used"] for _ in range(3)]
    assert counts == [0, 0, 0]
    assert not explained.replay.waiting


def test_an_nxdomain_of_another_type_or_above_cuts_a_name_off() -> None:
    explained = Explained()
    Teller(explained.replay).begins()
    explained.replay.client_asks(f"{WEB} A")
    explained.replay.upstream_answers(authority=SOA, rcode="NXDOMAIN", ede=(0, "no such service"))
    assert explained.page(name=WEB)["cache"]["ede"] == {"code": 0, "text": "no such service"}
    assert explained.page(name=WEB, type="TXT")["cut_by"] == f"NXDOMAIN of {WEB} (A)"
    assert explained.page(name=f"x.y.{WEB}")["cut_by"] == f"NXDOMAIN of {WEB}"
    assert explained.page(name="prod.svc.cluster.local")["cut_by"] is None


def test_a_kept_failure_with_the_time_until_the_next_try() -> None:
    explained = Explained()
    explained.replay.client_asks("git.stub.example. A")
    explained.replay.time_passes(6.5)
    failure = explained.page(name="git.stub.example")["failure"]
    assert failure == {
        "text": "stub domain stub.example: 192.0.2.50 timed out",
        "rcode": "SERVFAIL",
        "code": 22,
        "age_s": 2.0,
        "left_s": 3.0,
    }
    (upstream,) = explained.page(name="git.stub.example")["upstreams"]
    assert upstream["losses_in_a_row"] > 0


def test_of_an_answer_with_many_records_the_first_are_shown() -> None:
    explained = Explained()
    records = [f"www.example.com. 60 IN A 192.0.2.{i}" for i in range(50)]
    explained.replay.resolve("www.example.com. A", *records)
    cache = explained.page(name="www.example.com")["cache"]
    assert (len(cache["answers"]), cache["answer_count"]) == (20, 50)


# Live


def test_servers_are_asked_directly_and_nothing_is_kept_of_it() -> None:
    explained = Explained(upstreams=(DEFAULT, Server("192.0.2.2")))
    pages = explained.begin(name="www.example.com")
    assert not pages
    assert not explained.replay.cache.entries
    explained.clock.advance(0.0123)
    explained.answers(0, "www.example.com. 60 IN A 192.0.2.7")
    explained.clock.advance(2 - 0.0123)
    live = explained.read(pages[0])["live"]
    assert [(each["server"], each["answers"], each["ms"], each["error"]) for each in live] == [
        ("192.0.2.1:53", ["192.0.2.7"], 12.3, None),
        ("192.0.2.2:53", [], 2000.0, "timed out after 2.0 s"),
    ]
    assert explained.cancelled == [explained.sent[1]]
    assert not explained.replay.cache.entries
    states = explained.read(pages[0])["upstreams"]
    assert [(each["sent"], each["losses_in_a_row"]) for each in states] == [(0, 0), (0, 0)]


def test_a_reply_that_is_cut_is_asked_for_over_tcp() -> None:
    explained = Explained()
    pages = explained.begin(name="www.example.com")
    explained.answers(0, flags="TC")
    assert [each.tcp for each in explained.sent] == [False, True]
    explained.answers(1, "www.example.com. 60 IN A 192.0.2.7")
    (live,) = explained.read(pages[0])["live"]
    assert (live["transport"], live["answers"]) == ("tcp", ["192.0.2.7"])


def test_what_kubedns_refuses_is_tried_at_the_next_rule() -> None:
    explained = Explained()
    pages = explained.begin(name="7.2.0.192.in-addr.arpa", type="PTR")
    explained.answers(0, rcode="REFUSED")
    explained.answers(1, rcode="NXDOMAIN", authority=soa("192.in-addr.arpa."), ede=(0, "why\x1b"))
    live = explained.read(pages[0])["live"]
    assert [(each["server"], each["rcode"]) for each in live] == [
        ("127.0.0.1:10053", "REFUSED"),
        ("192.0.2.1:53", "NXDOMAIN"),
    ]
    assert live[1]["ede"] == {"code": 0, "text": "why"}


def test_at_most_five_servers_and_two_tries_at_a_time() -> None:
    explained = Explained(upstreams=[Server(f"192.0.2.{i}") for i in range(1, 9)])
    first, second = explained.begin(name="a.example"), explained.begin(name="b.example")
    assert len(explained.sent) == 10
    (third,) = explained.begin(name="c.example")
    assert third.status == 429
    assert explained.page(name="c.example")["live"] is None, "without a try there is no limit"
    explained.clock.advance(2)
    assert len(explained.read(first[0])["live"]) == len(explained.read(second[0])["live"]) == 5
    assert explained.begin(name="c.example") == []


def test_a_broken_reply_and_an_unreachable_server() -> None:
    explained = Explained(upstreams=(DEFAULT, Server("192.0.2.2")))
    pages = explained.begin(name="www.example.com")
    one, two = explained.sent
    one.exchange.received(one, b"\0\0\x80\0\0\1\0\1\0\0\0\0" + one.octets, 1000.0)
    two.exchange.failed(two, "Connection refused", 1000.0)
    live = explained.read(pages[0])["live"]
    assert live[0]["error"].startswith("a broken reply: ")
    assert live[1]["error"] == "Connection refused"


def test_a_name_that_is_answered_here_is_tried_nowhere() -> None:
    explained = Explained(hosts=HOSTS)
    (page,) = explained.begin(name="node.example")
    assert explained.read(page)["live"] == []


# Input


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({}, "name: "),
        ({"name": ""}, "name: "),
        ({"name": "a..b"}, "name: "),
        ({"name": "x" * 64}, "name: "),
        ({"name": "ä.example"}, "name: "),
        ({"name": "a.example", "type": "NONE"}, "type: "),
        ({"name": "a.example", "type": "TYPE99999"}, "type: "),
        ({"name": "a.example", "type": "AXFR"}, "type: "),
        ({"name": "a.example", "try": "yes"}, "try: "),
    ],
)
def test_bad_input_is_named_in_one_line(query: Mapping[str, str], reason: str) -> None:
    page = Explained().account.page(query)
    assert isinstance(page, http.Page)
    assert page.status == 400
    assert isinstance(page.body, str)
    assert page.body.startswith(reason)
    assert page.body.count("\n") == 1


def test_names_are_escaped_and_types_may_be_numbers() -> None:
    found = Explained().page(name="a\\000<b>.example", type="TYPE65")
    assert (found["name"], found["type"]) == ("a\\000<b>.example.", "HTTPS")


@pytest.mark.parametrize(
    ("rtype", "octets", "text"),
    [
        (rr.A, b"\x0a\0\0\1", "10.0.0.1"),
        (rr.AAAA, bytes(15) + b"\1", "::1"),
        (rr.SRV, b"\0\1\0\2\0\x50" + names.from_text("a.b"), "1 2 80 a.b."),
        (15, b"\0\x0a" + names.from_text("mx.b"), "10 mx.b."),
        (rr.TXT, b'\5a"b\0c\1d', '"a\\"b\\000c" "d"'),
        (rr.SOA, b"\1a\0\1b\0" + bytes(19) + b"\5", "a. b. 0 0 0 0 5"),
        (65, b"\0\1\2", "\\# 3 000102"),
        (rr.A, b"\1", "\\# 1 01"),
        (rr.SRV, b"\1", "\\# 1 01"),
        (rr.SOA, b"\1", "\\# 1 01"),
    ],
)
def test_records_as_people_write_them(rtype: int, octets: bytes, text: str) -> None:
    assert texts.rdata(rtype, octets) == text


def test_servers_as_people_write_them() -> None:
    assert texts.place(Server("2001:db8::1", 5353)) == "[2001:db8::1]:5353"
    tls = Server("192.0.2.1", 853, Transport.TLS, "dns.example")
    assert texts.place(tls) == "tls://192.0.2.1:853#dns.example"
