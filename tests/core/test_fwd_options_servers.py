"""Servers, addresses and records as options of dnsmasq spell them."""

import re
import socket

import pytest

from dnsmasq_py import recordtext
from dnsmasq_py.options import (
    AddressRule,
    Match,
    OptionError,
    Options,
    ServerRule,
    parse,
)
from dnsmasq_py.server import Server, Transport
from dnsmasq_py.servertext import parse_nameserver, parse_server
from kubedns.wire.name import ROOT, from_text

SUFFIX, DOTLESS, TEXT = Match.SUFFIX, Match.DOTLESS, Match.TEXT
IP = Server("1.2.3.4")


def options(*words: str) -> Options:
    """Return what words behind `--` ask for."""
    return parse(["--", *words], conf_file="", memory=1 << 40)


def refusal(word: str) -> str:
    """Return the line that the start fails with."""
    with pytest.raises(OptionError) as caught:
        options(word)
    return str(caught.value)


SERVERS: list[tuple[str, Server]] = [
    ("1.2.3.4", IP),
    ("1.2.3.4#5353", Server("1.2.3.4", 5353)),
    ("1.2.3.4 # 5353", Server("1.2.3.4", 5353)),
    ("1.2.3.4#", Server("1.2.3.4", 0)),
    ("2001:DB8::0:1", Server("2001:db8::1")),
    ("2001:db8::1#5353", Server("2001:db8::1", 5353)),
    ("[2001:db8::1]", Server("2001:db8::1")),
    ("[2001:db8::1]#53", Server("2001:db8::1")),
    ("[2001:db8::1]:5353", Server("2001:db8::1", 5353)),
    ("fe80::1%eth0#54", Server("fe80::1%eth0", 54)),
    ("1.2.3.4@eth0", Server("1.2.3.4", interface="eth0")),
    ("1.2.3.4@", IP),
    ("1.2.3.4@10.0.0.1", Server("1.2.3.4", source="10.0.0.1")),
    ("1.2.3.4#54@10.0.0.1#99", Server("1.2.3.4", 54, source="10.0.0.1", source_port=99)),
    ("1.2.3.4@eth0@10.0.0.1", Server("1.2.3.4", interface="eth0", source="10.0.0.1")),
    ("1.2.3.4@eth0#99", Server("1.2.3.4", interface="eth0", source_port=99)),
    ("::1@::2", Server("::1", source="::2")),
]


@pytest.mark.parametrize(("text", "server"), SERVERS, ids=[row[0] for row in SERVERS])
def test_a_server_is_spelled_as_in_dnsmasq(text: str, server: Server) -> None:
    assert parse_server(text) == server


BAD_SERVERS: list[tuple[str, str]] = [
    (
        "ns.example",
        "must be an IP address; servers given by name work in stubDomains of the ConfigMap",
    ),
    ("1.2.3.4:53", "a port is written IP#PORT"),
    ("1.2.3.4#65536", "the port must be a number from 0 to 65535"),
    ("1.2.3.4#53#54", "the port must be a number from 0 to 65535"),
    ("1.2.3.4#x", "the port must be a number from 0 to 65535"),
    ("1.2.3.4%eth0", "must be an IP address;"),
    ("1.2.3.4@10.0.0.1@eth0", "the interface can only be given once, and the source must be an IP"),
    ("1.2.3.4@::1", "server and source must be of the same family"),
    ("::1@1.2.3.4", "server and source must be of the same family"),
    ("1.2.3.4@averyveryverylong", "an interface has at most 15 characters"),
    ("[1.2.3.4]#53", "must be IP, IP:PORT, [IPv6]:PORT"),
    ("[::1]x", "must be IP, IP:PORT, [IPv6]:PORT"),
    ("[::1]:", "the port must be a number from 0 to 65535"),
    ("1.2.3", "must be an IP address;"),
    ("001.2.3.4", "must be an IP address;"),
    ("1.2.3.4,5.6.7.8", "must be an IP address;"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_SERVERS, ids=[row[0] for row in BAD_SERVERS])
def test_a_bad_server_fails_the_start_with_the_reason(text: str, reason: str) -> None:
    assert refusal(f"--server={text}").startswith(f'invalid value "{text}" for --server: {reason}')


URLS: list[tuple[str, Server]] = [
    ("1.1.1.1", Server("1.1.1.1")),
    ("1.1.1.1:54", Server("1.1.1.1", 54)),
    ("2001:DB8::1", Server("2001:db8::1")),
    ("[2001:db8::1]", Server("2001:db8::1")),
    ("[2001:db8::1]:54", Server("2001:db8::1", 54)),
    ("tcp://1.1.1.1", Server("1.1.1.1", 53, Transport.TCP)),
    ("tcp://[::1]:54", Server("::1", 54, Transport.TCP)),
    ("tls://1.1.1.1#Dns.Example", Server("1.1.1.1", 853, Transport.TLS, "dns.example")),
    ("tls://1.1.1.1:8853#dns", Server("1.1.1.1", 8853, Transport.TLS, "dns")),
    ("tls://[2001:db8::1]:853#a.b", Server("2001:db8::1", 853, Transport.TLS, "a.b")),
]


@pytest.mark.parametrize(("text", "server"), URLS, ids=[row[0] for row in URLS])
def test_transports_have_the_forms_of_urls(text: str, server: Server) -> None:
    assert parse_nameserver(text) == server
    if "://" in text:
        assert parse_nameserver(str(server)) == server


NAME_NEEDED = "must end in # and the host name that the server's certificate has"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tls://1.1.1.1", NAME_NEEDED),
        ("tls://1.1.1.1#", NAME_NEEDED),
        ("tls://1.1.1.1#1.1.1.1", NAME_NEEDED),
        ("tls://1.1.1.1#a_b", NAME_NEEDED),
        ("tls://1.1.1.1#" + "a" * 64, NAME_NEEDED),
        ("tcp://1.1.1.1#name", "a name behind # is for tls:// only"),
        ("udp://1.1.1.1", "must start with tcp:// or tls://, or be an IP address"),
        ("https://1.1.1.1/dns-query", "must start with tcp:// or tls://, or be an IP address"),
        ("tls://dns.example#dns.example", "must be IP, IP:PORT"),
        ("tls://1.1.1.1:0#dns.example", "the port must be a number from 1 to 65535"),
        ("tls://1.1.1.1:x#dns.example", "the port must be a number from 0 to 65535"),
        ("1.1.1.1:65536", "the port must be a number from 0 to 65535"),
        ("ns.example", "must be IP, IP:PORT"),
        ("", "must be IP, IP:PORT"),
    ],
)
def test_a_bad_url_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(reason)):
        parse_nameserver(text)


def rules(*rows: tuple[str, Match, Server | None]) -> tuple[ServerRule, ...]:
    """Return rules; a TEXT domain is taken as it is."""
    return tuple(
        ServerRule(domain.encode() if match is TEXT else from_text(domain), match, server)
        for domain, match, server in rows
    )


RULES: list[tuple[str, tuple[ServerRule, ...]]] = [
    ("--server=1.2.3.4", rules(("", SUFFIX, IP))),
    ("--server=/Acme.Local/1.2.3.4", rules(("acme.local", SUFFIX, IP))),
    ("--server=/acme.local./1.2.3.4", rules(("acme.local", SUFFIX, IP))),
    ("--server=/a/b.c/1.2.3.4", rules(("a", SUFFIX, IP), ("b.c", SUFFIX, IP))),
    ("--server=/.a/1.2.3.4", rules(("a", SUFFIX, IP))),
    ("--server=//1.2.3.4", rules(("", DOTLESS, IP))),
    ("--server=/a//1.2.3.4", rules(("a", SUFFIX, IP), ("", DOTLESS, IP))),
    ("--server=/#/1.2.3.4", rules(("", SUFFIX, IP))),
    ("--server=/*/1.2.3.4", rules(("", SUFFIX, IP))),
    ("--server=/./1.2.3.4", rules(("", SUFFIX, IP))),
    ("--server=/*a/1.2.3.4", rules(("a", TEXT, IP))),
    ("--server=/*.A.b./1.2.3.4", rules((".a.b", TEXT, IP))),
    ("--server=/a_b.-c/1.2.3.4", rules(("a_b.-c", SUFFIX, IP))),
    ("--server=/a/", rules(("a", SUFFIX, None))),
    ("--local=/a/b/", rules(("a", SUFFIX, None), ("b", SUFFIX, None))),
    ("--local=/a/1.2.3.4", rules(("a", SUFFIX, IP))),
    ("--server=", rules(("", SUFFIX, None))),
    ("--server=#", (ServerRule(ROOT, SUFFIX, None, use_default=True),)),
    ("--server=/a/#", (ServerRule(from_text("a"), SUFFIX, None, use_default=True),)),
    (
        "--server=/a/tls://1.2.3.4:853#dns.example",
        rules(("a", SUFFIX, Server("1.2.3.4", 853, Transport.TLS, "dns.example"))),
    ),
    ("--server=tcp://1.2.3.4", rules(("", SUFFIX, Server("1.2.3.4", 53, Transport.TCP)))),
    ("--server=/a//tcp://1.2.3.4", rules(
        ("a", SUFFIX, Server("1.2.3.4", 53, Transport.TCP)),
        ("", DOTLESS, Server("1.2.3.4", 53, Transport.TCP)),
    )),
    ("--rev-server=10.0.0.0/8,1.2.3.4", rules(("10.in-addr.arpa", SUFFIX, IP))),
    ("--rev-server=10.1.2.3/8,1.2.3.4", rules(("10.in-addr.arpa", SUFFIX, IP))),
    ("--rev-server=10.1.2.0/24 , 1.2.3.4", rules(("2.1.10.in-addr.arpa", SUFFIX, IP))),
    ("--rev-server=10.1.2.3,1.2.3.4", rules(("3.2.1.10.in-addr.arpa", SUFFIX, IP))),
    (
        "--rev-server=10.17.0.0/14,1.2.3.4",
        rules(*((f"{n}.10.in-addr.arpa", SUFFIX, IP) for n in (16, 17, 18, 19))),
    ),
    (
        "--rev-server=192.0.2.128/25,1.2.3.4",
        rules(*((f"{n}.2.0.192.in-addr.arpa", SUFFIX, IP) for n in range(128, 256))),
    ),
    ("--rev-server=2001:db8::/32,1.2.3.4", rules(("8.b.d.0.1.0.0.2.ip6.arpa", SUFFIX, IP))),
    (
        "--rev-server=fd00::/7,1.2.3.4",
        rules(*((f"{n}.f.ip6.arpa", SUFFIX, IP) for n in "cd")),
    ),
    ("--rev-server=10.0.0.0/8", rules(("10.in-addr.arpa", SUFFIX, None))),
    ("--rev-server=10.0.0.0/8,", rules(("10.in-addr.arpa", SUFFIX, None))),
    (
        "--rev-server=10.0.0.0/8,#",
        (ServerRule(from_text("10.in-addr.arpa"), SUFFIX, None, use_default=True),),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), RULES, ids=[row[0] for row in RULES])
def test_each_domain_of_an_option_is_one_rule(word: str, expected: tuple[ServerRule, ...]) -> None:
    assert options(word).servers == expected


def test_a_reverse_name_of_one_ipv6_address_has_32_digits() -> None:
    (rule,) = options("--rev-server=2001:db8::1,1.2.3.4").servers
    assert rule.domain == from_text("1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa")


def test_rules_keep_their_order_over_all_options() -> None:
    found = options(
        "-S1.1.1.1", "--local=/a/", "--rev-server=10.0.0.0/8,1.1.1.2", "-S", "/a/1.1.1.3"
    )
    assert [str(rule.server) for rule in found.servers] == ["1.1.1.1", "None", "1.1.1.2", "1.1.1.3"]


LABELS = "a name must be labels of 1 to 63 characters, joined by dots"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("--server=/acme.local", "a domain must stand between slashes: /DOMAIN/SERVER"),
        ("--server=/a..b/1.2.3.4", LABELS),
        ("--server=/*.a..b/1.2.3.4", LABELS),
        (f"--server=/{'a' * 64}/1.2.3.4", LABELS),
        (f"--server=/{'a.' * 127}aa/1.2.3.4", "a name of 258 octets, more than 255"),
        (
            "--server=/b\u00fccher.example/1.2.3.4",
            "a name beyond ASCII must be given in its xn-- form",
        ),
        ("--server=/a\x7f/1.2.3.4", "a name must not hold control characters"),
        ("--server=/a/https://1.2.3.4", "must start with tcp:// or tls://, or be an IP address"),
        ("--rev-server=10.0.0.0/0,1.2.3.4", "the length must be 1 to 32"),
        ("--rev-server=10.0.0.0/33,1.2.3.4", "the length must be 1 to 32"),
        ("--rev-server=fd00::/129,1.2.3.4", "the length must be 1 to 128"),
        ("--rev-server=10.0.0.0/x,1.2.3.4", "the length behind / must be a number"),
        ("--rev-server=10.0.0/8,1.2.3.4", "must start with a network: IP or IP/LENGTH"),
        ("--rev-server=10.0.0.0/8,x", "must be an IP address;"),
        ("--address=/a/x", "must end in an IP address, # or /"),
        ("--address=/a", "a domain must stand between slashes: /DOMAIN/SERVER"),
    ],
)
def test_a_bad_rule_is_refused_with_the_reason(word: str, reason: str) -> None:
    assert f": {reason}" in refusal(word)


V4, V6 = socket.inet_pton(socket.AF_INET, "1.2.3.4"), socket.inet_pton(socket.AF_INET6, "::1")
ANY = (bytes(4), bytes(16))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("--address=/A.b/1.2.3.4", [AddressRule(from_text("a.b"), SUFFIX, (V4,))]),
        ("--address=/a/b/::1", [AddressRule(from_text(d), SUFFIX, (V6,)) for d in "ab"]),
        ("--address=/a/", [AddressRule(from_text("a"), SUFFIX, ())]),
        ("--address=/a/#", [AddressRule(from_text("a"), SUFFIX, ANY)]),
        ("--address=/#/1.2.3.4", [AddressRule(ROOT, SUFFIX, (V4,))]),
        ("--address=1.2.3.4", [AddressRule(ROOT, SUFFIX, (V4,))]),
        ("--address=//1.2.3.4", [AddressRule(ROOT, DOTLESS, (V4,))]),
        ("-A/*.ads/#", [AddressRule(b".ads", TEXT, ANY)]),
    ],
)
def test_addresses_of_domains(word: str, expected: list[AddressRule]) -> None:
    assert options(word).addresses == tuple(expected)


def test_records_of_hosts() -> None:
    found = options(
        "--host-record=A.example, b ,1.2.3.4,::1,60",
        "--host-record=c,9.9.9.9,1.2.3.4",
        "--host-record=::1,d",
    )
    assert found.local.host_records == (
        ((from_text("a.example"), from_text("b")), (V4, V6), 60),
        ((from_text("c"),), (V4,), None),  # the last address of a family counts
        ((from_text("d"),), (V6,), None),
    )


def test_aliases() -> None:
    found = options("--cname=a,B.c", "--cname=d,e,f,60", "--cname=g,7", "--cname=*.h,i")
    a, bc, d, e, f = map(from_text, ("a", "b.c", "d", "e", "f"))
    assert found.local.cnames == (
        (a, bc, None),
        (d, f, 60),
        (e, f, 60),
        (from_text("g"), from_text("7"), None),
        (from_text("*.h"), from_text("i"), None),
    )


def test_texts() -> None:
    found = options("--txt-record=a", "-Y", "b ,  x , y,", "--txt-record=c," + "z" * 300)
    assert found.local.txts == (
        (from_text("a"), (b"",)),
        (from_text("b"), (b"x ", b" y", b"")),
        (from_text("c"), (b"z" * 255, b"z" * 45)),
    )


def test_services() -> None:
    found = options(
        "--srv-host=_http._tcp",
        "--srv-host=_ldap._tcp.b,t",
        "-W",
        "_sip._udp,t.c,80,1,2",
        "--srv-host=_x._y.b,t,",
        "--domain=example.com",
    )
    assert found.local.srvs == (
        (from_text("_http._tcp.example.com"), ROOT, 1, 0, 0),
        (from_text("_ldap._tcp.b"), from_text("t"), 1, 0, 0),
        (from_text("_sip._udp.example.com"), from_text("t.c"), 80, 1, 2),
        (from_text("_x._y.b"), from_text("t"), 0, 0, 0),
    )


def test_pointers() -> None:
    found = options("--ptr-record=_http._tcp.a,B", "--ptr-record=c")
    assert found.local.ptrs == (
        (from_text("_http._tcp.a"), from_text("b")),
        (from_text("c"), ROOT),
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("--host-record=a", "must be NAME,IP"),
        ("--host-record=a,60", "must have a name and an address"),
        ("--host-record=1.2.3.4,::1", "must have a name and an address"),
        ("--host-record=,1.2.3.4", LABELS),
        ("--host-record=a,1.2.3.4,99999999999", "must be a whole number from 0 to 2147483647"),
        ("--cname=a", "must be ALIAS,TARGET"),
        ("--cname=,b", LABELS),
        ("--cname=a,a", "a. leads back to itself"),
        ("--cname=a,b,c,b", "b. leads back to itself"),
        ("--cname=a,A,b", "a. is an alias already"),
        ("--txt-record=,x", LABELS),
        ("--txt-record=a," + "x" * 65000, "must be at most 65000 octets"),
        ("--srv-host=_a._b,t,x", "must be a whole number from 0 to 65535"),
        ("--srv-host=_a._b,t,1,2,65536", "must be a whole number from 0 to 65535"),
        ("--srv-host=_a._b,t,1,2,3,4", "must be NAME[,TARGET[,PORT[,PRIORITY[,WEIGHT]]]]"),
        ("--srv-host=", LABELS),
        ("--ptr-record=a,b,c", "must be NAME,TARGET"),
    ],
)
def test_a_bad_record_is_refused_with_the_reason(word: str, reason: str) -> None:
    assert refusal(word).endswith(reason)


def test_a_short_service_name_may_become_too_long_with_the_domain() -> None:
    domain = "a." * 124 + "com"
    with pytest.raises(OptionError, match="--srv-host with --domain: a name of 2"):
        options("--srv-host=_http._tcp", f"--domain={domain}")


def test_an_alias_given_twice_is_refused() -> None:
    with pytest.raises(OptionError, match=r"a\. is an alias already"):
        options("--cname=a,b", "--cname=A,c")


def test_a_long_chain_of_aliases_is_no_loop() -> None:
    chain: list[recordtext.Cname] = [
        (bytes([1, n, 0]), bytes([1, n + 1, 0]), None) for n in range(200)
    ]
    assert recordtext.looping(chain) is None
    assert recordtext.looping([*chain, (bytes([1, 200, 0]), bytes([1, 7, 0]), None)]) is not None
