"""
The key `extensions` of the ConfigMap, ours alone: servers over TLS and TCP.

    stubDomains:
      acme.local: ["tls://10.0.0.53#dns.acme.example", "10.0.0.54:5353"]
    upstreamNameservers:
      - tls://1.1.1.1#cloudflare-dns.com

The original ignores the key, so going back to it is safe. As with the other keys: all that is
bad is named at once, and the key then keeps the value it had.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from dnsmasq_py.server import Server
from dnsmasq_py.servertext import parse_nameserver
from dnsmasq_py.yamlnodes import List, Map, Node, PlainYamlError, Text
from kubedns.config import (
    MANY_DOMAINS,
    MAX_DOMAINS,
    MAX_SERVERS_PER_DOMAIN,
    Config,
    ConfigError,
)
from kubedns.nameserver import HostServer, Nameserver, is_subdomain, quote

KEY = "extensions"
MAX_UPSTREAMS = 16


@dataclass(frozen=True, slots=True)
class Extensions:
    """
    What the key asks for; the default is what an absent key means.

    stub_domains: domain without trailing dot → its servers in order (may be none).
    """

    stub_domains: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    upstream_nameservers: tuple[Server, ...] = ()


@dataclass(frozen=True, slots=True)
class Configured:
    """
    All that the ConfigMap says about servers, whichever key said it.

    stub_domains: domain without trailing dot → its servers in order, none at all included.
    upstreams: empty: those of the command line and of resolv.conf.
    """

    stub_domains: dict[str, tuple[Server | HostServer, ...]] = field(default_factory=dict)
    upstreams: tuple[Server, ...] = ()


def merge(config: Config, extensions: Extensions) -> Configured:
    """
    Return both configurations as one.

    A domain of `extensions` replaces the same one of `stubDomains`, with all its servers; its
    upstream servers, if there are any, replace all of `upstreamNameservers`.
    """
    domains: dict[str, tuple[Server | HostServer, ...]] = {
        domain: tuple(_server(server) for server in servers)
        for domain, servers in config.stub_domains.items()
    }
    plain = tuple(Server(server.address, server.port) for server in config.upstream_nameservers)
    return Configured(
        stub_domains=domains | dict(extensions.stub_domains),
        upstreams=extensions.upstream_nameservers or plain,
    )


def parse(
    text: str, previous: Extensions, *, zones: Collection[str] = ()
) -> tuple[Extensions, list[ConfigError], list[str]]:
    """
    Return what the text of the key leaves in force, its bad fields and its oddities.

    text: empty for an absent key. With a bad field all stays as in `previous`. `zones` are the
    cluster's own zones (lower case, no trailing dot): one of them as a stub domain is worth a
    warning.
    """
    if not text:
        return Extensions(), [], []
    from dnsmasq_py import plainyaml  # a megabyte, which most do not need

    errors: list[ConfigError] = []
    try:
        extensions = _extensions(plainyaml.parse(text), errors)
    except PlainYamlError as error:
        errors.append(ConfigError(KEY, str(error)))
    if errors:
        extensions = previous
    return extensions, errors, list(_warnings(extensions, zones))


def _extensions(node: Node, errors: list[ConfigError]) -> Extensions:
    """Return what the key says; what is bad in it is added to `errors`."""
    stub_domains: dict[str, tuple[Server, ...]] = {}
    upstreams: tuple[Server, ...] = ()
    for key, (place, value) in _map(KEY, node, errors).items():
        path = f"{KEY}[{quote(key)}]"
        if key == "stubDomains":
            stub_domains = _stub_domains(path, value, errors)
        elif key == "upstreamNameservers":
            upstreams = _servers(path, value, MAX_UPSTREAMS, errors)
        else:
            reason = "unknown, it must be stubDomains or upstreamNameservers"
            errors.append(ConfigError(path, f"{reason} ({place})"))
    return Extensions(stub_domains, upstreams)


def _stub_domains(
    path: str, node: Node, errors: list[ConfigError]
) -> dict[str, tuple[Server, ...]]:
    pairs = _map(path, node, errors)
    if len(pairs) > MAX_DOMAINS:
        errors.append(ConfigError(path, f"{len(pairs)} domains, the most is {MAX_DOMAINS}"))
        return {}
    domains = {}
    for domain, (place, value) in pairs.items():
        path_in = f"{path}[{quote(domain)}]"
        if not is_subdomain(domain):
            errors.append(ConfigError(path_in, f"{_domain_reason(domain)} ({place})"))
        domains[domain] = _servers(path_in, value, MAX_SERVERS_PER_DOMAIN, errors)
    return domains


def _servers(path: str, node: Node, most: int, errors: list[ConfigError]) -> tuple[Server, ...]:
    """Return the servers of one list; what is bad in it is added to `errors`."""
    if node == Text(None, node.place):
        return ()
    if not isinstance(node, List):
        errors.append(ConfigError(path, f"must be a list, not {_kind(node)} ({node.place})"))
        return ()
    if len(node.items) > most:
        reason = f"{len(node.items)} servers, the most is {most}"
        errors.append(ConfigError(path, f"{reason} ({node.place})"))
        return ()
    servers = []
    for number, item in enumerate(node.items):
        try:
            servers.append(_server_of(item))
        except ValueError as error:
            errors.append(ConfigError(f"{path}[{number}]", f"{error} ({item.place})"))
    return tuple(servers)


def _server_of(item: Node) -> Server:
    if not isinstance(item, Text) or item.text is None:
        raise ValueError(f"must be text, not {_kind(item)}")
    try:
        return parse_nameserver(item.text)
    except ValueError as error:
        raise ValueError(f"{quote(item.text)}: {error}") from None


def _map(path: str, node: Node, errors: list[ConfigError]) -> dict[str, tuple[object, Node]]:
    """Return the pairs of a mapping, none of null."""
    if isinstance(node, Map):
        return dict(node.items)
    if node != Text(None, node.place):
        errors.append(ConfigError(path, f"must be a mapping, not {_kind(node)} ({node.place})"))
    return {}


def _server(server: Nameserver | HostServer) -> Server | HostServer:
    match server:
        case Nameserver(address, port):
            return Server(address, port)
        case HostServer():
            return server


def _warnings(extensions: Extensions, zones: Collection[str]) -> Iterator[str]:
    """Yield one line for each thing that is legal and yet is hardly what was meant."""
    path = f"{KEY}[{quote('stubDomains')}]"
    count = len(extensions.stub_domains)
    if count > MANY_DOMAINS:
        yield f"{path}: {count} domains, more than {MANY_DOMAINS}"
    for domain in extensions.stub_domains:
        if domain in zones:
            yield f"{path}[{quote(domain)}]: this is the cluster's own domain"


def _kind(node: Node) -> str:
    match node:
        case Map():
            return "a mapping"
        case List():
            return "a list"
        case Text(None):
            return "nothing"
        case Text():
            return "text"


def _domain_reason(domain: str) -> str:
    """Return why a stub domain is refused."""
    meant = domain.removesuffix(".").lower()
    if is_subdomain(meant):
        return f"must be written {quote(meant)}"
    return "not a domain name: labels of a-z, 0-9 and - joined by dots, at most 253 characters"
