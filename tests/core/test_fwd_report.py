"""Lines about start, configuration and statistics: dnsmasq's words, recorded from 2.90."""

from dnsmasq_py import report
from dnsmasq_py.chaos import Statistics
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.rules import Match
from dnsmasq_py.server import Server, Transport
from kubedns.wire import name as names

N = names.from_text


def route(
    domain: str, *servers: Server, match: Match = Match.SUFFIX, kind: Kind = Kind.STUB
) -> Route:
    folded = domain.encode() if match is Match.TEXT else N(domain)
    return Route((folded, match), kind, servers)


def test_the_servers_in_use_are_told_as_dnsmasq_tells_them() -> None:
    """Domains without a server come last."""
    assert report.using(
        [
            route("t", Server("127.0.0.77", 5399), Server("127.0.0.78", 5399)),
            route("loc.t", kind=Kind.NXDOMAIN),
            route("v", Server("127.0.0.80")),
            route("", Server("127.0.0.81"), match=Match.DOTLESS),
            route("x.y", Server("127.0.0.82"), match=Match.TEXT),
            route("", Server("::1", 5354, interface="lo"), Server("127.0.0.85"), kind=Kind.DEFAULT),
        ]
    ) == [
        "using nameserver 127.0.0.77#5399 for domain t",
        "using nameserver 127.0.0.78#5399 for domain t",
        "using nameserver 127.0.0.80#53 for domain v",
        "using nameserver 127.0.0.81#53 for unqualified names",
        "using nameserver 127.0.0.82#53 for domain *x.y",
        "using nameserver ::1#5354(via lo)",
        "using nameserver 127.0.0.85#53",
        "using only locally-known addresses for loc.t",
    ]


def test_it_is_told_that_there_is_nobody_to_ask() -> None:
    """Names outside the cluster are refused then."""
    assert report.using([route("", kind=Kind.REFUSED)]) == [
        "warning: no upstream servers configured"
    ]


def test_servers_over_tls_are_told_as_they_were_configured() -> None:
    """dnsmasq has none."""
    tls = Server("2001:db8::1", 853, Transport.TLS, "dns.example")
    assert report.using([route("", tls, kind=Kind.DEFAULT)]) == [
        "using nameserver tls://[2001:db8::1]:853#dns.example"
    ]


def test_a_long_list_of_servers_is_cut() -> None:
    """Thousands of stub domains must not fill the log at every change."""
    routes = [route(f"d{n}", Server("192.0.2.1")) for n in range(1000)]
    routes += [route(f"l{n}", kind=Kind.NXDOMAIN) for n in range(100)]
    lines = report.using(routes)
    assert len(lines) == 30 + 1 + 8 + 1
    assert lines[30] == "using 970 more nameservers"
    assert lines[-1] == "using 92 more local addresses"


def test_lines_that_alerts_match_on() -> None:
    """Word by word."""
    server = Server("192.0.2.1")
    assert report.started("1.2", 1000) == "started, version 1.2 cachesize 1000"
    assert report.started("1.2", 0) == "started, version 1.2 cache disabled"
    assert report.CLEARED == "cleared cache"
    assert report.reading("/etc/resolv.conf") == "reading /etc/resolv.conf"
    assert report.read("/etc/hosts", 7) == "read /etc/hosts - 7 names"
    assert report.looping(server) == "NOT using nameserver 192.0.2.1#53 - query loop detected"
    assert report.overloaded(150) == ("Maximum number of concurrent DNS queries reached (max: 150)")
    assert report.overloaded(150, of_group=True) == (
        "Maximum number of concurrent DNS queries to one group of servers reached (max: 150)"
    )


def test_statistics_are_those_of_sigusr1() -> None:
    """But for connections: dnsmasq has child processes in their place."""
    told = Statistics(150, insertions=34, evictions=3, misses=41, hits=40, servers=())
    servers = [report.Asked(Server("127.0.0.77", 5399), 43, 1, 2, 4, 17.6)]
    assert report.statistics(1795272602.9, told, report.Tcp(0, 1, 256), servers) == [
        "time 1795272602",
        "cache size 150, 3/34 cache insertions re-used unexpired cache entries.",
        "queries forwarded 41, queries answered locally 40",
        "connections for TCP requests: in use 0, highest since last SIGUSR1 1, max allowed 256.",
        "server 127.0.0.77#5399: queries sent 43, retried 1, failed 2, nxdomain replies 4, "
        "avg. latency 18ms",
    ]


def test_stale_answers_are_told_where_they_are_allowed() -> None:
    """As dnsmasq."""
    told = Statistics(150, 0, 0, 0, 0, ())
    lines = report.statistics(0, told, report.Tcp(0, 0, 20), [], stale=5)
    assert lines[3] == "queries answered from stale cache 5"
