"""
The ConfigMap: any text of its keys becomes a configuration that names can be routed by.

The texts stand one after the other, octets 0xFF between them: stubDomains, upstreamNameservers,
extensions, federations.
"""

import ipaddress
import json

import yaml

from dnsmasq_py import extensions, plainyaml, routing
from dnsmasq_py.extensions import Extensions
from dnsmasq_py.options import Options
from dnsmasq_py.plainyaml import List, Map, Node, PlainYamlError, Text
from dnsmasq_py.rules import Match, ServerRule
from dnsmasq_py.server import Server, Transport
from kubedns import config
from kubedns.config import Config, ConfigError, HostServer
from kubedns.nameserver import Nameserver, is_subdomain
from kubedns.outside.routing import Own
from kubedns.wire import name as names
from tests.fuzz.judge import is_one_line

MAX_LEN = 1200
TOKENS = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"acme.local", b"cluster.local",
    b"10.0.0.53",
    b"[fd00::1]:5353", b":53", b"tls://1.1.1.1#one.example", b"tcp://[::1]:53", b"stubDomains:",
    b"upstreamNameservers:", b"- ", b"\n  ", b"&a", b"*a", b"!!str ", b"|-\n", b"\\u0000", b"\xff",
    b"::ffff:10.0.0.1", b"---\n", b"# ", b"1e999",
)  # fmt: skip
_NULLS = ("", "~", "null", "Null", "NULL")
_ZONES = ("cluster.local",)
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the scanner that the product uses
_KUBEDNS = Server("127.0.0.1", 10053)
_OPTIONS = Options(
    servers=(ServerRule(names.from_text("cluster.local"), Match.SUFFIX, _KUBEDNS),), no_resolv=True
)
_OLD = Config({"old.example": (Nameserver("192.0.2.1"),)}, (Nameserver("192.0.2.2"),))
_OLD_MORE = Extensions({"old.more": (Server("192.0.2.3"),)}, (Server("192.0.2.4"),))


def check(octets: bytes) -> None:
    """Assert all that must hold for one ConfigMap."""
    texts = [part.decode("utf-8", "replace") for part in octets.split(b"\xff")]
    keys = ("stubDomains", "upstreamNameservers", "extensions", "federations")
    data = dict(zip(keys, texts, strict=False))
    found = _of_the_original(data)
    more = _of_ours(data.get("extensions", ""))
    _is_plain_yaml(data.get("extensions", ""))
    _is_routed(found, more)


def _of_the_original(data: dict[str, str]) -> Config:
    found, errors, warnings = config.apply(data, _OLD, zones=_ZONES)
    assert config.apply(data, _OLD, zones=_ZONES)[0] == found
    _are_told(errors, warnings, ("stubDomains", "upstreamNameservers"))
    bad = {error.key for error in errors}
    if "stubDomains" in bad:
        assert found.stub_domains is _OLD.stub_domains
    if "upstreamNameservers" in bad:
        assert found.upstream_nameservers is _OLD.upstream_nameservers
    for key in {"stubDomains", "upstreamNameservers"} - data.keys() - bad:
        assert not (found.stub_domains if key == "stubDomains" else found.upstream_nameservers)
    assert len(found.upstream_nameservers) <= config.MAX_UPSTREAM_NAMESERVERS
    for server in found.upstream_nameservers:
        _is_address(server.address, server.port)
        assert server.port
    for domain, servers in found.stub_domains.items():
        assert is_subdomain(domain)
        assert len(servers) <= config.MAX_SERVERS_PER_DOMAIN
        for server in servers:
            if isinstance(server, HostServer):
                assert is_subdomain(server.name)
            else:
                _is_address(server.address, server.port)
    written = {
        "stubDomains": json.dumps({d: [*map(str, s)] for d, s in found.stub_domains.items()}),
        "upstreamNameservers": json.dumps([*map(str, found.upstream_nameservers)]),
    }
    assert config.apply(written, Config())[:2] == (found, []), "written and read again"
    return found


def _of_ours(text: str) -> Extensions:
    found, errors, warnings = extensions.parse(text, _OLD_MORE, zones=_ZONES)
    _are_told(errors, warnings, ("extensions",))
    assert not errors or found is _OLD_MORE
    for server in (*found.upstream_nameservers, *_flat(found.stub_domains.values())):
        _is_address(server.address, server.port)
        assert server.port
    assert all(map(is_subdomain, found.stub_domains))
    written = json.dumps(  # JSON is YAML
        {
            "stubDomains": {d: [*map(_url, s)] for d, s in found.stub_domains.items()},
            "upstreamNameservers": [*map(_url, found.upstream_nameservers)],
        }
    )
    assert extensions.parse(written, Extensions())[:2] == (found, []), "written and read again"
    return found


def _flat(groups: object) -> list[Server]:
    return [server for group in groups for server in group]


def _url(server: Server) -> str:
    """Write a server as an operator would."""
    if server.transport is not Transport.UDP:
        return str(server)
    return str(Nameserver(server.address, server.port))


def _are_told(errors: list[ConfigError], warnings: list[str], keys: tuple[str, ...]) -> None:
    for error in errors:
        assert error.key in keys
        assert error.path.startswith(error.key)
        assert is_one_line(str(error))
    assert all(map(is_one_line, warnings))


def _is_address(text: str, port: int) -> None:
    assert str(ipaddress.ip_address(text)) == text
    assert 0 <= port <= 65535


def _is_plain_yaml(text: str) -> None:
    """What our part of YAML says is what all of YAML says."""
    try:
        ours = plainyaml.parse(text)
    except PlainYamlError as error:
        assert is_one_line(str(error)) or not text.isascii()
        return
    assert _is_the_same(ours, yaml.load(text, Loader=_LOADER))


def _is_the_same(node: Node, value: object) -> bool:
    match node:
        case Text(None):
            return value in (None, *_NULLS)
        case Text(text):
            return text == value
        case List(items):
            return isinstance(value, list) and all(map(_is_the_same, items, value))
        case Map(pairs):
            assert isinstance(value, dict)
            return all(_is_the_same(each, _at(key, value)) for key, (_, each) in pairs.items())


def _at(key: str, value: dict[str, object]) -> object:
    """Return the value of a key, the empty one of which may be written as null."""
    return next(value[each] for each in (key, *_NULLS) if each in value)


def _is_routed(found: Config, more: Extensions) -> None:
    """Each domain has a route with its servers, the same for the same text."""
    merged = extensions.merge(found, more)
    routes = routing.build(
        _OPTIONS,
        merged,
        (),
        own=Own((), lambda _: None),
        hosts=lambda _: ("192.0.2.99",),
        previous=routing.NOTHING,
    )
    again = routing.build(
        _OPTIONS,
        merged,
        (),
        own=Own((), lambda _: None),
        hosts=lambda _: ("192.0.2.99",),
        previous=routes,
    )
    for domain in (*merged.stub_domains, "cluster.local", "www.example.com"):
        try:
            name = names.from_text(domain)
        except names.BadNameError:
            continue  # longer labels than a name can have: warned of
        route = routes.find(name)
        assert again.find(name) is route, "the same configuration, other routes"
        for server in route.servers:
            _is_address(server.address, server.port)
        known = {
            (s.address, s.port)
            for s in merged.stub_domains.get(domain, ())
            if isinstance(s, Server)
        }
        if known and domain != "cluster.local":
            assert {(s.address, s.port) for s in route.servers} <= known | {("192.0.2.99", 53)}
