"""The key `extensions`: servers over TLS and TCP, and how it goes with the original's keys."""

import pytest

from dnsmasq_py.extensions import Configured, Extensions, merge, parse
from dnsmasq_py.server import Server, Transport
from kubedns.config import Config
from kubedns.nameserver import HostServer, Nameserver

TLS = Server("10.0.0.53", 853, Transport.TLS, "dns.acme.example")
BEFORE = Extensions({"kept.local": (Server("9.9.9.9"),)}, (Server("8.8.8.8"),))

FULL = """\
# servers that must be spoken to in private
stubDomains:
  acme.local:
    - tls://10.0.0.53#dns.acme.example
    - "[2001:db8::1]:5353"
  b.acme.local: [10.0.0.54, tcp://10.0.0.55]
upstreamNameservers:
  - tls://1.1.1.1:8853#Dns.Example
  - 1.0.0.1:54
"""


def test_a_full_key_is_read() -> None:
    found, errors, warnings = parse(FULL, BEFORE)
    assert (errors, warnings) == ([], [])
    assert found == Extensions(
        {
            "acme.local": (TLS, Server("2001:db8::1", 5353)),
            "b.acme.local": (Server("10.0.0.54"), Server("10.0.0.55", 53, Transport.TCP)),
        },
        (Server("1.1.1.1", 8853, Transport.TLS, "dns.example"), Server("1.0.0.1", 54)),
    )


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "null", "~", "# nothing", "{}", "stubDomains:\nupstreamNameservers:", "---\n"],
)
def test_an_absent_or_empty_key_goes_back_to_nothing(text: str) -> None:
    assert parse(text, BEFORE) == (Extensions(), [], [])


def test_a_domain_may_have_no_servers() -> None:
    found, errors, _ = parse("stubDomains: {a: [], b: null}", BEFORE)
    assert not errors
    assert found.stub_domains == {"a": (), "b": ()}


FORMS = "must be IP, IP:PORT, [IPv6]:PORT, tcp://IP[:PORT] or tls://IP[:PORT]#NAME"
NAME = "must end in # and the host name that the server's certificate has"
DOMAIN = "not a domain name: labels of a-z, 0-9 and - joined by dots, at most 253 characters"

BAD: list[tuple[str, list[str]]] = [
    ("[", ["extensions: not valid YAML: did not find expected node content (line 2, column 1)"]),
    (
        "a:\n  b: c: d",
        [
            "extensions: not valid YAML: mapping values are not allowed in this context "
            "(line 2, column 7)"
        ],
    ),
    ("- a", ["extensions: must be a mapping, not a list (line 1, column 1)"]),
    ("text", ["extensions: must be a mapping, not text (line 1, column 1)"]),
    (
        "stubdomains: {}",
        [
            'extensions["stubdomains"]: unknown, it must be stubDomains or upstreamNameservers '
            "(line 1, column 1)"
        ],
    ),
    (
        "stubDomains: [a]\nupstreamNameservers: {a: b}",
        [
            'extensions["stubDomains"]: must be a mapping, not a list (line 1, column 14)',
            'extensions["upstreamNameservers"]: must be a list, not a mapping (line 2, column 22)',
        ],
    ),
    (
        "stubDomains:\n  Acme.local.: [1.1.1.1]\n  a_b: [1.1.1.1]",
        [
            'extensions["stubDomains"]["Acme.local."]: must be written "acme.local" '
            "(line 2, column 3)",
            f'extensions["stubDomains"]["a_b"]: {DOMAIN} (line 3, column 3)',
        ],
    ),
    (
        "upstreamNameservers:\n- tls://1.1.1.1\n- ns.example\n- [x]\n- null\n- 53",
        [
            f'extensions["upstreamNameservers"][0]: "tls://1.1.1.1": {NAME} (line 2, column 3)',
            f'extensions["upstreamNameservers"][1]: "ns.example": {FORMS} (line 3, column 3)',
            'extensions["upstreamNameservers"][2]: must be text, not a list (line 4, column 3)',
            'extensions["upstreamNameservers"][3]: must be text, not nothing (line 5, column 3)',
            f'extensions["upstreamNameservers"][4]: "53": {FORMS} (line 6, column 3)',
        ],
    ),
    (
        f"upstreamNameservers: [{','.join(['1.1.1.1'] * 17)}]",
        ['extensions["upstreamNameservers"]: 17 servers, the most is 16 (line 1, column 22)'],
    ),
    (
        f"stubDomains: {{a: [{','.join(['1.1.1.1'] * 17)}]}}",
        ['extensions["stubDomains"]["a"]: 17 servers, the most is 16 (line 1, column 18)'],
    ),
    (
        "stubDomains:\n" + "".join(f"  d{n}: [1.1.1.1]\n" for n in range(1001)),
        ['extensions["stubDomains"]: 1001 domains, the most is 1000'],
    ),
    ("a: 1\na: 2", ["extensions: the same key a second time (line 2, column 1)"]),
    ("a: 1\n---\nb: 2", ["extensions: must be one document (line 2, column 1)"]),
    ("? [a]\n: b", ["extensions: a key must be text (line 1, column 3)"]),
    ("x" * (1 << 20) + "y", ["extensions: 1048577 characters, the most is 1048576"]),
]


@pytest.mark.parametrize(("text", "lines"), BAD, ids=[row[0][:30] for row in BAD])
def test_all_that_is_bad_is_named_and_the_key_keeps_its_value(text: str, lines: list[str]) -> None:
    found, errors, _ = parse(text, BEFORE)
    assert [str(error) for error in errors] == lines
    assert {error.key for error in errors} == {"extensions"}
    assert found is BEFORE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [1]\nb: *x", "anchors and aliases are not allowed (line 1, column 4)"),
        ("a: *x", "anchors and aliases are not allowed (line 1, column 4)"),
        ("!!python/object/apply:os.system [x]", "tags are not allowed (line 1, column 1)"),
        ("a: !!str b", "tags are not allowed (line 1, column 4)"),
        ("[" * 100_000, "nested too deeply (line 1, column 10)"),
        ("{a: " * 100_000, "nested too deeply (line 1, column 34)"),
        ("- " * 100_000, "nested too deeply (line 1, column 19)"),
        ("a: \x00", "not valid YAML: unacceptable character #x0000"),
    ],
    ids=["anchor", "alias", "object", "tag", "lists", "mappings", "block", "control"],
)
def test_nothing_in_the_text_can_grow_or_become_an_object(text: str, reason: str) -> None:
    found, (error,), _ = parse(text, BEFORE)
    assert str(error).startswith(f"extensions: {reason}")
    assert found is BEFORE


def test_errors_are_one_line_however_odd_the_text() -> None:
    _, errors, _ = parse('upstreamNameservers: ["a\\nb\\x1b[31m", "\\u2028"]', BEFORE)
    assert len(errors) == 2
    assert all(str(error).isascii() and str(error).isprintable() for error in errors)


def test_the_domain_of_the_cluster_and_very_many_domains_are_warnings() -> None:
    text = "stubDomains:\n  cluster.local: [1.1.1.1]\n"
    text += "".join(f"  d{n}: [1.1.1.1]\n" for n in range(64))
    found, errors, warnings = parse(text, Extensions(), zones=["cluster.local"])
    assert not errors
    assert len(found.stub_domains) == 65
    assert warnings == [
        'extensions["stubDomains"]: 65 domains, more than 64',
        'extensions["stubDomains"]["cluster.local"]: this is the cluster\'s own domain',
    ]


PLAIN = Config(
    {"a.local": (Nameserver("1.1.1.1"), HostServer("ns.b")), "b.local": (Nameserver("::1", 54),)},
    (Nameserver("8.8.8.8"), Nameserver("8.8.4.4", 54)),
)


def test_without_the_key_the_configuration_is_that_of_the_original() -> None:
    assert merge(PLAIN, Extensions()) == Configured(
        {
            "a.local": (Server("1.1.1.1"), HostServer("ns.b")),
            "b.local": (Server("::1", 54),),
        },
        (Server("8.8.8.8"), Server("8.8.4.4", 54)),
    )
    assert merge(Config(), Extensions()) == Configured()


def test_a_domain_of_the_key_replaces_the_same_one_and_leaves_the_others() -> None:
    merged = merge(PLAIN, Extensions({"a.local": (TLS,), "c.local": (TLS,), "b.local": ()}))
    assert merged.stub_domains == {"a.local": (TLS,), "b.local": (), "c.local": (TLS,)}
    assert merged.upstreams == (Server("8.8.8.8"), Server("8.8.4.4", 54))


def test_upstream_servers_of_the_key_replace_all_others() -> None:
    assert merge(PLAIN, Extensions({}, (TLS,))).upstreams == (TLS,)
