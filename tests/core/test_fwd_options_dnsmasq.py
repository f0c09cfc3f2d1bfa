"""Options of dnsmasq behind `--`: what each one means, and what is refused with which line."""

from dataclasses import fields
from typing import Any

import pytest

from dnsmasq_py.options import OptionError, Options, ShowText, parse
from dnsmasq_py.optiontable import LETTERS, OPTIONS, Verdict
from dnsmasq_py.optionvalues import HANDLERS
from kubedns.wire.name import from_text

READ_ELSEWHERE = {"conf-dir", "conf-file", "help", "test", "version"}


def options(*words: str) -> Options:
    """Return what words behind `--` ask for, whatever files this machine has."""
    return parse(["--", *words], conf_file="", memory=1 << 40)


def changed(found: Options) -> dict[str, Any]:
    """Return the fields that differ from their defaults."""
    return {
        field.name: value
        for field in fields(found)
        if (value := getattr(found, field.name)) != field.default
    }


def refusal(*words: str) -> str:
    """Return the line that the start fails with."""
    with pytest.raises(OptionError) as caught:
        options(*words)
    assert caught.value.status == 1
    return str(caught.value)


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    # getopt
    ("-k", {}),
    ("-c1000", {"cache_size": 1000}),
    ("-c 1000", {"cache_size": 1000}),
    ("-kNc1000 -R", {"no_negcache": True, "cache_size": 1000, "no_resolv": True}),
    ("--cache-size=1000", {"cache_size": 1000}),
    ("--cache-size=", {"cache_size": 0}),
    ("--cache-s=7", {"cache_size": 7}),
    ("--no-neg", {"no_negcache": True}),
    ("--dns-for 7", {"dns_forward_max": 7}),
    ("-q", {"log_queries": "yes"}),
    ("--log-queries", {"log_queries": "yes"}),
    ("--log-queries=extra", {"log_queries": "extra"}),
    # where to listen
    ("-p 5353", {"port": 5353}),
    ("--port=05353", {"port": 5353}),
    ("-a 127.0.0.1,::1 -a 10.0.0.1", {"listen_addresses": ("127.0.0.1", "::1", "10.0.0.1")}),
    ("-i eth0,lo* -i br0", {"interfaces": ("eth0", "lo*", "br0")}),
    ("--interface=", {"interfaces": ("",)}),
    ("-I docker*", {"except_interfaces": ("docker*",)}),
    ("--bind-interfaces", {"bind_interfaces": True}),
    ("-z", {"bind_interfaces": True}),
    ("-u kube-dns", {"user": "kube-dns"}),
    ("--user", {}),
    ("--max-tcp-connections=20", {"max_tcp_connections": 20}),
    # cache
    ("--neg-ttl=5", {"neg_ttl_s": 5}),
    ("--neg-ttl=0", {}),
    ("--min-cache-ttl=3600", {"min_cache_ttl_s": 3600}),
    ("--max-cache-ttl=60", {"max_cache_ttl_s": 60}),
    ("--max-cache-ttl=0", {}),
    ("--max-ttl=60", {"max_ttl_s": 60}),
    ("-T 3", {"local_ttl_s": 3}),
    ("--use-stale-cache", {"use_stale_cache_s": 86400}),
    ("--use-stale-cache=60", {"use_stale_cache_s": 60}),
    ("--use-stale-cache=0", {"use_stale_cache_s": 0}),
    ("--cache-rr=ANY --cache-rr=TXT,65", {}),
    # whom to ask
    ("-R", {"no_resolv": True}),
    ("-r /a", {"resolv_files": ("/a",)}),
    ("-r /a -r /b", {"resolv_files": ("/a", "/b")}),
    ("--resolv-file", {"resolv_files": ()}),
    ("--resolv-file= -r /b", {"resolv_files": ("/b",)}),
    ("-n", {"no_poll": True}),
    ("-o", {"strict_order": True}),
    ("--all-servers", {"all_servers": True}),
    ("--dns-loop-detect", {"dns_loop_detect": True}),
    ("-0 500", {"dns_forward_max": 500}),
    ("--fast-dns-retry", {}),
    ("--fast-dns-retry=100,2000", {}),
    ("-Q 5300", {"query_port": 5300}),
    ("-Q 0", {"query_port": 0}),
    ("--min-port=2000 --max-port=3000", {"min_port": 2000, "max_port": 3000}),
    ("--min-port=0 --max-port=0", {}),
    ("-P 4096", {"edns_packet_max": 4096}),
    ("--servers-file=/s", {"servers_file": "/s"}),
    ("--strip-mac --strip-subnet", {}),
    # what is known here
    ("-h", {"no_hosts": True}),
    ("-H /a -H /b", {"addn_hosts": ("/a", "/b")}),
    ("--hostsdir=/h", {"hostsdirs": ("/h",)}),
    ("-E -s Example.COM.", {"expand_hosts": True, "domain": from_text("example.com")}),
    ("--domain-suffix=a.b --domain=c", {"domain": from_text("c")}),
    ("--domain=", {}),
    # what is not passed on
    ("-b", {"bogus_priv": True}),
    ("-D", {"domain_needed": True}),
    ("--stop-dns-rebind", {"stop_dns_rebind": True}),
    ("--rebind-localhost-ok", {"rebind_localhost_ok": True}),
    ("--rebind-domain-ok=A.b", {"rebind_domains_ok": (from_text("a.b"),)}),
    (
        "--rebind-domain-ok=/a/b.c/ --rebind-domain-ok=d",
        {"rebind_domains_ok": (from_text("a"), from_text("b.c"), from_text("d"))},
    ),
    ("--filter-A", {"filter_a": True}),
    ("--filter-AAAA", {"filter_aaaa": True}),
    ("--proxy-dnssec", {"proxy_dnssec": True}),
    ("--no-round-robin", {"no_round_robin": True}),
    ("--no-ident", {"no_ident": True}),
    # log
    ("--log-facility=/var/log/dns", {"log_facility": "/var/log/dns"}),
    ("-8 LOCAL0", {"log_facility": "LOCAL0"}),
]


@pytest.mark.parametrize(("line", "expected"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_an_option_means_what_it_means_to_dnsmasq(line: str, expected: dict[str, Any]) -> None:
    assert changed(options(*line.split())) == expected


REFUSED: list[tuple[str, str]] = [
    # getopt
    ("junk", '"junk" belongs to no option of dnsmasq'),
    ("-k -", '"-" belongs to no option of dnsmasq'),
    ("-- -k", '"-k" belongs to no option of dnsmasq'),
    ("--no-negcache=1", "--no-negcache takes no value"),
    ("--server", "--server needs a value"),
    ("-S", "-S (--server) needs a value"),
    ("--cache-size", "--cache-size needs a value"),
    ("--cache=5", "--cache may mean --cache-size --cache-rr"),
    ("--no-", "--no- may mean --no-negcache --no-resolv --no-poll --no-hosts ..."),
    ("--cachesize=5", 'unknown option "--cachesize", did you mean --cache-size?'),
    ("--filter-a", 'unknown option "--filter-a", did you mean --filter-A?'),
    ("--frobnicate", 'unknown option "--frobnicate"'),
    ("-kG", "-G (--dhcp-host) needs a value"),
    ("-%", 'unknown option "-%"'),
    ("--=x", 'unknown option "--"'),
    ("--cache-size=1 -c 2", "--cache-size is given twice"),
    # values
    ("-c x", 'invalid value "x" for --cache-size: must be a whole number from 0 to 5000000'),
    ("-p 65536", 'invalid value "65536" for --port: must be a whole number from 0 to 65535'),
    ("-p -1", 'invalid value "-1" for --port: must be a whole number from 0 to 65535'),
    (
        "-p 0",
        'invalid value "0" for --port: 0 switches DNS off, and there is nothing else to do here',
    ),
    ("-T \N{ARABIC-INDIC DIGIT FIVE}", "from 0 to 2147483647"),
    ("--max-ttl=99999999999", "from 0 to 2147483647"),
    ("-a lo", 'invalid value "lo" for --listen-address: must be IP addresses, joined by commas'),
    ("-a 127.0.0.1,", "must be IP addresses, joined by commas"),
    ("--max-tcp-connections=0", "from 1 to 2147483647"),
    ("--dns-forward-max=0", "from 1 to 2147483647"),
    ("--fast-dns-retry=49", "from 50 to 2147483647"),
    (
        "--log-facility=none",
        "must be -, a path with a / in it, or the name of a facility of syslog",
    ),
    ("--domain=#", "the domain of resolv.conf is not taken over, write it out"),
    ("--domain=a,10.0.0.0/8", "ranges of addresses are for DHCP, which is not served"),
    ("--domain=a..b", "a name must be labels of 1 to 63 characters, joined by dots"),
    ("--rebind-domain-ok=/", "must be a domain"),
    ("--addn-hosts=", "must be a path"),
    # together
    ("-n -r a -r b", "--no-poll allows only one --resolv-file"),
    ("--min-port=5000 --max-port=4000", "--max-port=4000 is smaller than --min-port=5000"),
    # classes
    ("--dhcp-range=10.0.0.1,10.0.0.9", "--dhcp-range is not supported: DHCP is not served"),
    ("-F x", "--dhcp-range is not supported: DHCP is not served"),
    ("--enable-tftp", "--enable-tftp is not supported: TFTP is not served"),
    ("--dnssec", "--dnssec is not supported: DNSSEC is not validated here, only passed on"),
    ("--auth-zone=a", "--auth-zone is not supported: zones are not served with authority"),
    (
        "--bogus-nxdomain=1.2.3.4",
        "--bogus-nxdomain is not supported: answers cannot be rewritten in this way",
    ),
]


@pytest.mark.parametrize(("line", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_is_named_with_the_reason(line: str, message: str) -> None:
    assert refusal(*line.split()).endswith(message)


def test_what_cannot_change_an_answer_is_one_warning_each() -> None:
    found = options("-d", "-x", "/run/x", "--log-async=5", "--quiet-dhcp", "--quiet-dhcp")
    assert changed(found).keys() == {"warnings"}
    assert [line.partition(" has no effect: ")[0] for line in found.warnings] == [
        "--no-daemon",
        "--pid-file",
        "--log-async",
        "--quiet-dhcp",
    ]


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("--min-cache-ttl=7200", "min_cache_ttl_s", 3600),
        ("--edns-packet-max=100", "edns_packet_max", 512),
        ("--edns-packet-max=70000", "edns_packet_max", 65535),
    ],
)
def test_a_value_beyond_its_bounds_is_cut_with_a_warning(word: str, field: str, value: int) -> None:
    found = options(word)
    assert getattr(found, field) == value
    assert found.warnings == (f"{word} is beyond the bounds, {value} counts",)


def test_an_unknown_kind_of_query_log_is_the_plain_one_with_a_warning() -> None:
    found = options("--log-queries=proto")
    assert found.log_queries == "yes"
    assert found.warnings == ('--log-queries=proto: "proto" means nothing here',)


def test_a_server_at_port_0_is_a_warning() -> None:
    assert options("--server=1.2.3.4#0").warnings == ("1.2.3.4#0: nothing answers at port 0",)


def test_the_syntax_check_ends_well_or_with_the_fault() -> None:
    with pytest.raises(ShowText, match=r"^syntax check OK\.$"):
        options("--test", "--server=1.2.3.4")
    assert "must be an IP address" in refusal("--test", "--server=x")


def test_every_option_is_in_one_class_and_every_supported_one_is_read() -> None:
    supported = {name for name, row in OPTIONS.items() if row.verdict is Verdict.SUPPORTED}
    assert supported == HANDLERS.keys() | READ_ELSEWHERE
    assert not HANDLERS.keys() & READ_ELSEWHERE
    assert len(LETTERS) == sum(bool(row.letter) for row in OPTIONS.values())
    assert all(row.group for row in OPTIONS.values())


@pytest.mark.parametrize(
    "name", [name for name, row in OPTIONS.items() if row.verdict is Verdict.REFUSED]
)
def test_a_refused_option_fails_the_start_with_its_name(name: str) -> None:
    assert refusal(f"--{name}", "x").startswith(f"--{name} is not supported: ")
