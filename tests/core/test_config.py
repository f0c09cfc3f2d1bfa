"""The kube-dns ConfigMap: what is accepted, what is refused and what then stays in force."""

import json
from typing import Any

import pytest

from kubedns.config import Config, HostServer, Nameserver, apply

NONE = Config()


def data(**keys: Any) -> dict[str, str]:
    """Return ConfigMap data; a value that is no text is written as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()
    }


ACCEPTED = [
    ("an empty ConfigMap", {}, NONE),
    ("empty maps", data(stubDomains={}, upstreamNameservers=[], federations=""), NONE),
    ("null means empty", data(stubDomains="null", upstreamNameservers=" null\n"), NONE),
    ("federation in its own format", data(federations="abc=d.e.f"), NONE),
    ("federation as the documentation shows it", data(federations={"abc": "d.e.f"}), NONE),
    ("federation nobody can read", data(federations="a.b=cdef"), NONE),
    ("keys of others", data(extensions="}{", Corefile=".:53 {"), NONE),
    (
        "a stub domain with an address",
        data(stubDomains={"foo.com": ["1.2.3.4"]}),
        Config({"foo.com": (Nameserver("1.2.3.4"),)}),
    ),
    (
        "with a port",
        data(stubDomains={"foo.com": ["1.2.3.4:32564"]}),
        Config({"foo.com": (Nameserver("1.2.3.4", 32564),)}),
    ),
    (
        "with a name",
        data(stubDomains={"foo.com": ["ns.foo.com"]}),
        Config({"foo.com": (HostServer("ns.foo.com"),)}),
    ),
    (
        "two stub domains",
        data(stubDomains={"foo.com": ["ns.foo.com"], "bar.com": ["1.2.3.4"]}),
        Config({"foo.com": (HostServer("ns.foo.com"),), "bar.com": (Nameserver("1.2.3.4"),)}),
    ),
    (
        "IPv6 servers, order kept",
        data(stubDomains={"foo.com": ["2001:db8:1:1:1::1", "[2001:db8:2:2:2::2]:10053"]}),
        Config(
            {"foo.com": (Nameserver("2001:db8:1:1:1::1"), Nameserver("2001:db8:2:2:2::2", 10053))}
        ),
    ),
    (
        "a stub domain without servers",
        data(stubDomains={"a.b": [], "c": None}),
        Config({"a.b": (), "c": ()}),
    ),
    (
        "the last of a repeated key counts",
        data(stubDomains='{"a.b": ["1.1.1.1", "bad:"], "a.b": ["2.2.2.2"]}'),
        Config({"a.b": (Nameserver("2.2.2.2"),)}),
    ),
    (
        "a label longer than DNS allows",
        data(stubDomains={"a" * 64: []}),
        Config({"a" * 64: ()}),
    ),
    (
        "one upstream server",
        data(upstreamNameservers=["1.2.3.4"]),
        Config(upstream_nameservers=(Nameserver("1.2.3.4"),)),
    ),
    (
        "three, with ports and IPv6",
        data(upstreamNameservers=["1.2.3.4:53", "2001:DB8::1", "[2001:db8::2]:10053"]),
        Config(
            upstream_nameservers=(
                Nameserver("1.2.3.4"),
                Nameserver("2001:db8::1"),
                Nameserver("2001:db8::2", 10053),
            )
        ),
    ),
]


@pytest.mark.parametrize(
    ("given", "config"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_accepted(given: dict[str, str], config: Config) -> None:
    found, errors, _ = apply(given, Config({"old.local": ()}, (Nameserver("9.9.9.9"),)))
    assert errors == []
    assert found == config


REFUSED = [
    (
        "empty value",
        data(stubDomains=""),
        "stubDomains: not valid JSON: Expecting value (line 1, column 1)",
    ),
    (
        "text after the value",
        data(upstreamNameservers='["1.2.3.4"]\n x'),
        "upstreamNameservers: not valid JSON: Extra data (line 2, column 2)",
    ),
    (
        "a comma too many",
        data(stubDomains='{\n  "a.b": ["1.2.3.4"],\n}'),
        "stubDomains: not valid JSON: Expecting property name enclosed in double quotes "
        "(line 3, column 1)",
    ),
    (
        "YAML",
        data(upstreamNameservers="- 1.2.3.4"),
        "upstreamNameservers: not valid JSON: Expecting value (line 1, column 1)",
    ),
    (
        "what Python takes for JSON",
        data(upstreamNameservers="[NaN]"),
        "upstreamNameservers: not valid JSON: NaN is no JSON value",
    ),
    (
        "nested deeper than anybody needs",
        data(stubDomains="[" * 100_000),
        "stubDomains: not valid JSON: nested too deeply",
    ),
    (
        "a number of many digits",
        data(stubDomains="9" * 10_000),
        "stubDomains: must be an object, not a number",
    ),
    (
        "array for object",
        data(stubDomains=["1.2.3.4"]),
        "stubDomains: must be an object, not an array",
    ),
    (
        "object for array",
        data(upstreamNameservers={}),
        "upstreamNameservers: must be an array of strings, not an object",
    ),
    (
        "text for array",
        data(stubDomains={"a.b": "1.2.3.4"}),
        'stubDomains["a.b"]: must be an array of strings, not a string',
    ),
    (
        "boolean for text",
        data(stubDomains={"a.b": [True]}),
        'stubDomains["a.b"][0]: must be a string, not a boolean',
    ),
    (
        "null for text",
        data(upstreamNameservers=["1.2.3.4", None]),
        'upstreamNameservers[1]: "" is not IP, IP:port or [IPv6]:port',
    ),
    (
        "empty domain",
        data(stubDomains={"": ["1.2.3.4"]}),
        'stubDomains[""]: not a domain name: labels of a-z, 0-9 and - joined by dots, '
        "at most 253 characters",
    ),
    (
        "no domain",
        data(stubDomains={"$$$$\n": ["1.2.3.4"]}),
        'stubDomains["$$$$\\n"]: not a domain name: labels of a-z, 0-9 and - joined by dots, '
        "at most 253 characters",
    ),
    (
        "domain with capitals and a final dot",
        data(stubDomains={"Acme.Local.": []}),
        'stubDomains["Acme.Local."]: must be written "acme.local"',
    ),
    (
        "no server",
        data(stubDomains={"foo": ["1.2.3.4", "$$$$"]}),
        'stubDomains["foo"][1]: "$$$$" is not IP, IP:port, [IPv6]:port or a lower-case name',
    ),
    (
        "port out of range",
        data(stubDomains={"foo": ["1.2.3.4:65564"]}),
        'stubDomains["foo"][0]: "1.2.3.4:65564": the port must be a number from 0 to 65535',
    ),
    (
        "four upstream servers",
        data(upstreamNameservers=["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"]),
        "upstreamNameservers: 4 servers, the most is 3",
    ),
    (
        "upstream port is no number",
        data(upstreamNameservers=["1.1.1.1:abc"]),
        'upstreamNameservers[0]: "1.1.1.1:abc": the port must be a number from 1 to 65535',
    ),
    (
        "upstream port empty",
        data(upstreamNameservers=["1.1.1.1:"]),
        'upstreamNameservers[0]: "1.1.1.1:": the port must be a number from 1 to 65535',
    ),
    (
        "upstream port too long",
        data(upstreamNameservers=["1.1.1.1:123456789"]),
        'upstreamNameservers[0]: "1.1.1.1:123456789": the port must be a number from 1 to 65535',
    ),
    (
        "upstream is a host name",
        data(upstreamNameservers=["ns.foo.com"]),
        'upstreamNameservers[0]: "ns.foo.com" is not IP, IP:port or [IPv6]:port',
    ),
    (
        "too many domains",
        data(stubDomains={f"d{number}": [] for number in range(1001)}),
        "stubDomains: 1001 domains, the most is 1000",
    ),
    (
        "too many servers",
        data(stubDomains={"a.b": ["1.1.1.1"] * 17}),
        'stubDomains["a.b"]: 17 servers, the most is 16',
    ),
]


@pytest.mark.parametrize(
    ("given", "line"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused(given: dict[str, str], line: str) -> None:
    previous = Config({"old.local": ()}, (Nameserver("9.9.9.9"),))
    key = next(iter(given))
    found, errors, _ = apply(given, previous)
    assert [str(error) for error in errors] == [line]
    assert [error.key for error in errors] == [key]
    kept = {"stubDomains": found.stub_domains, "upstreamNameservers": found.upstream_nameservers}
    last = {
        "stubDomains": previous.stub_domains,
        "upstreamNameservers": previous.upstream_nameservers,
    }
    assert kept[key] == last[key], "the bad key keeps its last good value"


def test_a_bad_key_keeps_its_value_while_the_others_apply() -> None:
    previous = Config({"old.local": (Nameserver("1.1.1.1"),)}, (Nameserver("9.9.9.9"),))
    found, errors, _ = apply(
        data(stubDomains={"Bad": []}, upstreamNameservers=["8.8.8.8"]), previous
    )
    assert found == Config({"old.local": (Nameserver("1.1.1.1"),)}, (Nameserver("8.8.8.8"),))
    assert [error.key for error in errors] == ["stubDomains"]


def test_a_bad_key_at_start_means_its_default() -> None:
    found, _, _ = apply(data(stubDomains="{", upstreamNameservers=["8.8.8.8"]), NONE)
    assert found == Config(upstream_nameservers=(Nameserver("8.8.8.8"),))


def test_a_key_that_is_gone_goes_back_to_empty() -> None:
    previous = Config({"old.local": ()}, (Nameserver("9.9.9.9"),))
    assert apply({}, previous) == (NONE, [], [])


def test_every_bad_field_is_reported_at_once() -> None:
    _, errors, _ = apply(
        data(
            stubDomains={"Bad": ["x:y"], "good": ["1.1.1.1", 7, "[::1]"]},
            upstreamNameservers=["a", "1.1.1.1", ":53"],
        ),
        NONE,
    )
    assert [error.path for error in errors] == [
        'stubDomains["Bad"]',
        'stubDomains["Bad"][0]',
        'stubDomains["good"][1]',
        'stubDomains["good"][2]',
        "upstreamNameservers[0]",
        "upstreamNameservers[2]",
    ]


def test_the_largest_configuration_we_take_is_taken() -> None:
    servers = [f"10.0.0.{number}" for number in range(16)]
    found, errors, _ = apply(
        data(stubDomains={f"d{number}.local": servers for number in range(1000)}), NONE
    )
    assert not errors
    assert len(found.stub_domains) == 1000


WARNED = [
    ("federation", data(federations="abc=d.e.f"), ["federations: ignored, cluster federation"]),
    ("federation as JSON", data(federations={"a": "b"}), ["federations: ignored"]),
    (
        "the cluster's own domain",
        data(stubDomains={"cluster.local": ["1.1.1.1"]}),
        ['stubDomains["cluster.local"]: this is the cluster\'s own domain'],
    ),
    (
        "more than 64 domains",
        data(stubDomains={f"d{number}": [] for number in range(65)}),
        ["stubDomains: 65 domains"],
    ),
    (
        "a port nobody listens at",
        data(stubDomains={"a.b": ["1.1.1.1", "2.2.2.2:0"]}),
        ['stubDomains["a.b"][1]: nothing answers at port 0'],
    ),
    (
        "almost an IP address",
        data(stubDomains={"a.b": ["300.1.1.1", "ns1.b"]}),
        ['stubDomains["a.b"][0]: 300.1.1.1 is no IP address, taken as a host name'],
    ),
    (
        "a label longer than DNS allows",
        data(stubDomains={"a" * 64 + ".b": []}),
        ["no query can match, a label is longer than 63 characters"],
    ),
    ("nothing odd", data(stubDomains={"a.b": ["1.1.1.1"]}, federations=" ", other="x"), []),
]


@pytest.mark.parametrize(
    ("given", "lines"), [row[1:] for row in WARNED], ids=[row[0] for row in WARNED]
)
def test_odd_but_legal_is_applied_with_a_warning(given: dict[str, str], lines: list[str]) -> None:
    _, errors, warnings = apply(given, NONE, zones=["cluster.local"])
    assert errors == []
    assert len(warnings) == len(lines)
    assert all(line in warning for line, warning in zip(lines, warnings, strict=True))


HOSTILE = ["\x1b[2J", "\u2028", "\ud800", "a\x7f\n\r", "x" * 5000]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_reaches_a_log_escaped_and_short(text: str) -> None:
    _, errors, _ = apply(
        data(stubDomains={text: [text]}, upstreamNameservers=[text], federations=text), NONE
    )
    assert len(errors) == 3
    for error in errors:
        assert str(error).isascii()
        assert str(error).isprintable()
        assert len(str(error)) < 300
