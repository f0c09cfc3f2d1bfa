"""
The lines of --log-queries: those of dnsmasq 2.90, recorded from it, and their limits.

Where ours differ on purpose, a comment says so.
"""

from collections.abc import Callable

import pytest

from dnsmasq_py.querylog import QueryLog
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.wording import type_text
from kubedns.wire import name as names
from kubedns.wire import rr
from tests.builders import record

N = names.from_text
UPSTREAM = Server("127.0.0.77", 5399)
HOSTS = "/etc/hosts"
CHAIN = [
    record("c.t", rr.CNAME, "d.t"),
    record("d.t", rr.CNAME, "a.t"),
    record("a.t", rr.A, "192.0.2.1"),
]
REVERSE = "1.2.0.192.in-addr.arpa"
Calls = Callable[[QueryLog], object]


class Log(QueryLog):
    """A log whose lines a test reads, at times that the test sets."""

    def __init__(self, lines_per_s: int = 0, *, extra: bool = False) -> None:
        self.lines: list[str] = []
        self.now = 1000.0
        super().__init__(self.lines.append, lambda: self.now, lines_per_s=lines_per_s, extra=extra)

    def ask(self, text: str = "a.t") -> str | None:
        return self.query(rr.A, N(text), "10.1.2.3", 4711)


def logged(calls: Calls) -> list[str]:
    log = Log()
    calls(log)
    return log.lines


@pytest.mark.parametrize(
    ("qtype", "name", "line"),
    [
        (rr.A, "a.t", "query[A] a.t from 127.0.0.1"),
        (rr.AAAA, "A.T", "query[AAAA] A.T from 127.0.0.1"),
        (65, "https.t", "query[HTTPS] https.t from 127.0.0.1"),
        (65280, "weird.t", "query[type=65280] weird.t from 127.0.0.1"),
        (rr.NS, ".", "query[NS] . from 127.0.0.1"),
        (rr.ANY, "a.t", "query[ANY] a.t from 127.0.0.1"),
    ],
)
def test_a_query_is_logged_as_dnsmasq_does(qtype: int, name: str, line: str) -> None:
    """Type, name as spelled, client."""
    assert logged(lambda log: log.query(qtype, N(name), "127.0.0.1", 4711)) == [line]


@pytest.mark.parametrize(
    ("number", "name"),
    [(1, "A"), (23, "NSAP_PTR"), (53, "SMIMEA"), (54, "type=54"), (55, "HIP"), (63, "ZONEMD"),
     (66, "type=66"), (99, "SPF"), (109, "EUI64"), (110, "type=110"), (249, "TKEY"),
     (255, "ANY"), (257, "CAA"), (261, "RESINFO"), (262, "type=262"), (32768, "TA"),
     (32769, "DLV"), (0, "type=0")],
)  # fmt: skip
def test_types_have_the_names_that_dnsmasq_gives_them(number: int, name: str) -> None:
    """First and last of each run of its table."""
    assert type_text(number) == name


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (UPSTREAM, "127.0.0.77#5399"),
        (Server("127.0.0.79"), "127.0.0.79"),
        (Server("::1", 5354), "::1#5354"),
        (Server("192.0.2.1", 853, Transport.TLS, "dns.example"),
         "tls://192.0.2.1:853#dns.example"),
    ],
)  # fmt: skip
def test_a_forwarded_query_names_the_server(server: Server, text: str) -> None:
    """Its port only where it is not 53."""
    assert logged(lambda log: log.forwarded("", N("a.t"), server)) == [f"forwarded a.t to {text}"]


ANSWERS: list[tuple[str, Calls, list[str]]] = [
    (
        "a chain and its end",
        lambda log: log.reply("", N("c.t"), rr.A, 0, CHAIN),
        ["reply c.t is <CNAME>", "reply d.t is <CNAME>", "reply a.t is 192.0.2.1"],
    ),
    (
        "several addresses",
        lambda log: log.cached(
            "", N("a2.t"), rr.A, 0, [record("a2.t", rr.A, "192.0.2.2", "192.0.2.1")], stale=False
        ),
        ["cached a2.t is 192.0.2.2", "cached a2.t is 192.0.2.1"],
    ),
    (
        "an IPv6 address past its time",
        lambda log: log.cached(
            "", N("s.t"), rr.AAAA, 0, [record("s.t", rr.AAAA, "2001:db8::1")], stale=True
        ),
        ["cached-stale s.t is 2001:db8::1"],
    ),
    (
        "no IPv4 address",
        lambda log: log.reply("", N("six.t"), rr.A, 0, []),
        ["reply six.t is NODATA-IPv4"],
    ),
    (
        "no IPv6 address at the end of a chain",
        lambda log: log.cached("", N("c.t"), rr.AAAA, 0, CHAIN[:2], stale=False),
        ["cached c.t is <CNAME>", "cached d.t is <CNAME>", "cached a.t is NODATA-IPv6"],
    ),
    (
        "nothing of another type",
        lambda log: log.reply("", N("nodata.t"), 15, 0, []),
        ["reply nodata.t is NODATA"],
    ),
    (
        "no such name",
        lambda log: log.reply("", N("nx.t"), rr.A, rr.NXDOMAIN, []),
        ["reply nx.t is NXDOMAIN"],
    ),
    (
        "no such name at the end of a chain",
        lambda log: log.reply(
            "", N("cx.t"), rr.A, rr.NXDOMAIN, [record("cx.t", rr.CNAME, "nx.t")]
        ),
        ["reply cx.t is <CNAME>", "reply nx.t is NXDOMAIN"],
    ),
    (
        "an alias that was asked for",
        lambda log: log.local(
            "", "config", N("cname.t"), rr.CNAME, 0, [record("cname.t", rr.CNAME, "host.t")]
        ),
        ["config cname.t is <CNAME>"],
    ),
    (
        "a type without a text of its own",
        lambda log: log.reply("", N("m.t"), 15, 0, [rr.RRset(N("m.t"), 15, 60, (b"\0\1\0",))]),
        ["reply m.t is <MX>"],
    ),
    (
        "strings of a server",
        lambda log: log.reply(
            "", N("txt.t"), rr.TXT, 0,
            [rr.RRset(N("txt.t"), rr.TXT, 60, (rr.txt("hello world", "x"),))],
        ),
        ["reply txt.t is hello world", "reply txt.t is x"],
    ),
    (
        "strings of ours",
        lambda log: log.local(
            "", "config", N("hits.bind"), rr.TXT, 0,
            [rr.RRset(N("hits.bind"), rr.TXT, 0, (rr.txt("40"),))],
        ),
        ["config hits.bind is <TXT>"],
    ),
    (
        "the name of an address",
        lambda log: log.reply("", N(REVERSE), rr.PTR, 0, [record(REVERSE, rr.PTR, "a.t")]),
        ["reply 192.0.2.1 is a.t"],
    ),
    (
        "the name of an address, delegated (RFC 2317)",
        lambda log: log.reply(
            "", N(REVERSE), rr.PTR, 0,
            [record(REVERSE, rr.CNAME, "1.x.t"), record("1.x.t", rr.PTR, "a.t")],
        ),
        [f"reply {REVERSE} is <CNAME>", "reply 192.0.2.1 is a.t"],
    ),
    (
        "a hosts file",
        lambda log: log.local("", HOSTS, N("h.t"), rr.A, 0, [record("h.t", rr.A, "192.0.2.9")]),
        ["/etc/hosts h.t is 192.0.2.9"],
    ),
    (
        "a private address that we deny: written as an address",
        lambda log: log.local("", "config", N("9.9.9.10.in-addr.arpa"), rr.PTR, rr.NXDOMAIN, []),
        ["config 10.9.9.9 is NXDOMAIN"],
    ),
    (
        "an address that a server denied: written as a name",
        lambda log: log.reply("", N(REVERSE), rr.PTR, rr.NXDOMAIN, []),
        [f"reply {REVERSE} is NXDOMAIN"],
    ),
    (
        "a net's reverse name is no address",
        lambda log: log.local("", "config", N("10.in-addr.arpa"), rr.PTR, rr.NXDOMAIN, []),
        ["config 10.in-addr.arpa is NXDOMAIN"],
    ),
    (
        "a CHAOS name that we do not have",  # dnsmasq adds `(EDE: unknown)`, which says nothing
        lambda log: log.local("", "config", N("x.bind"), rr.TXT, rr.NOTIMP, []),
        ["config x.bind is not implemented"],
    ),
    (
        "an error of a server",
        lambda log: log.reply("", N("sf.t"), rr.A, rr.SERVFAIL, []),
        ["reply error is SERVFAIL"],
    ),
    (
        "an error without a name",
        lambda log: log.reply("", N("fe.t"), rr.A, rr.FORMERR, []),
        ["reply error is 1"],
    ),
    (
        "nobody to ask",
        lambda log: log.error("", "config", rr.REFUSED, 14),
        ["config error is REFUSED (EDE: not ready)"],
    ),
    (
        "silence",  # for which dnsmasq has no line
        lambda log: log.error("", "reply", rr.SERVFAIL, 22),
        ["reply error is SERVFAIL (EDE: no reachable authority)"],
    ),
    ("not implemented", lambda log: log.error("", "reply", rr.NOTIMP),
     ["reply error is not implemented"]),
]  # fmt: skip


@pytest.mark.parametrize(("calls", "lines"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
def test_an_answer_is_logged_as_dnsmasq_does(calls: Calls, lines: list[str]) -> None:
    """One line for each record, and one for what is not there."""
    assert logged(calls) == lines


def test_extra_puts_serial_and_client_in_front_of_every_line() -> None:
    """So that the lines of one query can be found among those of others."""
    log = Log(extra=True)
    first, second = log.ask("a.t"), log.ask("b.t")
    log.forwarded(second, N("b.t"), UPSTREAM)
    log.reply(first, N("a.t"), rr.A, 0, CHAIN[2:])
    assert log.lines == [
        "1 10.1.2.3/4711 query[A] a.t from 10.1.2.3",
        "2 10.1.2.3/4711 query[A] b.t from 10.1.2.3",
        "2 10.1.2.3/4711 forwarded b.t to 127.0.0.77#5399",
        "1 10.1.2.3/4711 reply a.t is 192.0.2.1",
    ]


def test_what_a_client_or_server_sends_cannot_forge_a_line() -> None:
    """Line ends, terminal escapes and spaces in names are written as numbers."""
    name = names.from_labels([b"a\nreply b is 1", b"\x1b[31m", b"t"])
    (line,) = logged(lambda log: log.query(rr.A, name, "10.1.2.3", 1))
    assert line == r"query[A] a\010reply\032b\032is\0321.\027[31m.t from 10.1.2.3"


def test_strings_of_a_record_stay_on_their_line() -> None:
    """What does not print is a number there, too."""
    odd = rr.RRset(N("t"), rr.TXT, 60, (bytes((5,)) + b"x\r\n\x1b\xff",))
    (line,) = logged(lambda log: log.reply("", N("t"), rr.TXT, 0, [odd]))
    assert line == r"reply t is x\013\010\027\255"


def test_a_huge_answer_takes_few_lines() -> None:
    """It may hold thousands of records."""
    addresses = rr.RRset(N("a.t"), rr.A, 60, tuple(n.to_bytes(4) for n in range(5000)))
    lines = logged(lambda log: log.reply("", N("a.t"), rr.A, 0, [addresses]))
    assert len(lines) == 51
    assert lines[-1] == "reply a.t is <4950 more records>"


def test_queries_beyond_the_limit_are_left_out_whole() -> None:
    """A query that began is told to its end; the next waits until that is paid back."""
    log = Log(lines_per_s=10)
    asked = [log.ask() for _ in range(25)]
    assert asked == [""] * 10 + [None] * 15
    for each in asked:
        log.reply(each, N("c.t"), rr.A, 0, CHAIN)
    log.error(asked[-1], "config", rr.REFUSED)
    log.forwarded(asked[-1], N("c.t"), UPSTREAM)
    assert len(log.lines) == 10 + 3 * 10
    assert log.suppressed == 15
    log.now += 3.0
    assert log.ask() is None, "thirty lines too many take three seconds"
    log.now += 0.1
    assert log.ask() == ""


def test_what_was_left_out_is_told_once_a_second() -> None:
    """And at the end, if nobody asks any more."""
    log = Log(lines_per_s=1)
    for _ in range(30):
        log.now += 0.1
        log.ask()
    told = [line for line in log.lines if "suppressed" in line]
    assert told == [
        "query log: more than 1 lines a second, 9 queries suppressed",
        "query log: more than 1 lines a second, 9 queries suppressed",
    ]
    log.tell_suppressed()
    log.tell_suppressed()
    assert log.lines[-1] == "query log: more than 1 lines a second, 9 queries suppressed"
    assert log.suppressed == 27


def test_without_a_limit_all_is_logged() -> None:
    """--log-queries-per-s=0 or the like."""
    log = Log()
    assert all(log.ask() == "" for _ in range(10_000))
    assert len(log.lines) == 10_000
