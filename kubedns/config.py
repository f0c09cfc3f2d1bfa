"""
The kube-dns ConfigMap: its text becomes a frozen Config, every bad field named at once.

Three keys count, with the rules of the original: `stubDomains`, `upstreamNameservers` and
`federations` (ignored: federation is gone). Other keys are ignored. A key that is bad keeps
its last good value while the others apply; a key that is absent goes back to empty.

The caller reads the data and logs what is said here.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kubedns.errors import KubednsError
from kubedns.nameserver import (
    LABEL_MAX,
    HostServer,
    Nameserver,
    NameserverError,
    Server,
    is_subdomain,
    parse_nameserver,
    parse_resolv_conf,
    parse_stub_server,
    quote,
)

# The values that a Config holds belong to its interface.
__all__ = [
    "Config",
    "ConfigError",
    "HostServer",
    "Nameserver",
    "Server",
    "apply",
    "parse_nameserver",
    "parse_resolv_conf",
]

# Our own bounds; the original has none but the three upstream servers.
MAX_DOMAINS = 1000
MAX_SERVERS_PER_DOMAIN = 16
MAX_UPSTREAM_NAMESERVERS = 3
# A dozen is usual; more than this is legal, but somebody should know.
MANY_DOMAINS = 64

S = TypeVar("S", Nameserver, Server)


class ConfigError(KubednsError):
    """
    One bad field of the ConfigMap.

    Attributes:
        key: the key of the ConfigMap, whose last good value stays in force.
        path: the field, such as `stubDomains["acme.local"][1]`.
        reason: what is wrong with it; names the value, escaped for a log.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.key = path.partition("[")[0]
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Config:
    """
    What the ConfigMap asks for; the default is what an empty ConfigMap means.

    stub_domains: domain suffix, without trailing dot → its servers in order (may be none).
    upstream_nameservers: at most three; empty: those of /etc/resolv.conf.
    """

    stub_domains: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    upstream_nameservers: tuple[Nameserver, ...] = ()


def apply(
    data: Mapping[str, str], previous: Config, *, zones: Collection[str] = ()
) -> tuple[Config, list[ConfigError], list[str]]:
    """
    Return the configuration that `data` leaves in force, its bad fields and its oddities.

    A key with a bad field keeps the value it has in `previous`. `zones` are the cluster's
    own zones (lower case, no trailing dot): one of them as a stub domain is worth a warning.
    """
    stub_domains, stub_errors = _stub_domains(data.get("stubDomains", "null"))
    upstreams, upstream_errors = _upstream_nameservers(data.get("upstreamNameservers", "null"))
    config = Config(
        stub_domains=previous.stub_domains if stub_errors else stub_domains,
        upstream_nameservers=previous.upstream_nameservers if upstream_errors else upstreams,
    )
    return config, stub_errors + upstream_errors, list(_warnings(data, config, zones))


def _stub_domains(text: str) -> tuple[dict[str, tuple[Server, ...]], list[ConfigError]]:
    """Return the stub domains of a JSON object and every bad field in it."""
    key = "stubDomains"
    value, errors = _json(key, text)
    if value is None:
        return {}, errors
    if not isinstance(value, dict):
        return {}, [ConfigError(key, f"must be an object, not {_kind(value)}")]
    if len(value) > MAX_DOMAINS:
        return {}, [ConfigError(key, f"{len(value)} domains, the most is {MAX_DOMAINS}")]
    domains = {}
    for domain, items in value.items():
        path = f"{key}[{quote(domain)}]"
        if not is_subdomain(domain):
            errors.append(ConfigError(path, _domain_reason(domain)))
        domains[domain] = _servers(path, items, MAX_SERVERS_PER_DOMAIN, parse_stub_server, errors)
    return domains, errors


def _upstream_nameservers(text: str) -> tuple[tuple[Nameserver, ...], list[ConfigError]]:
    """Return the upstream servers of a JSON array and every bad field in it."""
    key = "upstreamNameservers"
    value, errors = _json(key, text)
    return _servers(key, value, MAX_UPSTREAM_NAMESERVERS, parse_nameserver, errors), errors


def _servers(
    path: str,
    value: object,
    most: int,
    parse: Callable[[str], S],
    errors: list[ConfigError],
) -> tuple[S, ...]:
    """Return the servers of one JSON array; what is bad in it is added to `errors`."""
    if value is None:
        return ()
    if not isinstance(value, list):
        errors.append(ConfigError(path, f"must be an array of strings, not {_kind(value)}"))
        return ()
    if len(value) > most:
        errors.append(ConfigError(path, f"{len(value)} servers, the most is {most}"))
        return ()
    servers = []
    for number, item in enumerate(value):
        try:
            servers.append(parse(_string(item)))
        except NameserverError as error:
            errors.append(ConfigError(f"{path}[{number}]", str(error)))
    return tuple(servers)


def _warnings(data: Mapping[str, str], config: Config, zones: Collection[str]) -> Iterator[str]:
    """Yield one line for each thing that is legal and yet is hardly what was meant."""
    if data.get("federations", "").strip():
        yield "federations: ignored, cluster federation no longer exists"
    if len(config.stub_domains) > MANY_DOMAINS:
        yield f"stubDomains: {len(config.stub_domains)} domains, more than {MANY_DOMAINS}"
    for domain, servers in config.stub_domains.items():
        path = f"stubDomains[{quote(domain)}]"
        if domain in zones:
            yield f"{path}: this is the cluster's own domain"
        if any(len(label) > LABEL_MAX for label in domain.split(".")):
            yield f"{path}: no query can match, a label is longer than {LABEL_MAX} characters"
        for number, server in enumerate(servers):
            match server:
                case Nameserver(port=0):
                    yield f"{path}[{number}]: nothing answers at port 0"
                case HostServer(name) if name.rpartition(".")[2].isdigit():
                    yield f"{path}[{number}]: {name} is no IP address, taken as a host name"


def _json(key: str, text: str) -> tuple[object, list[ConfigError]]:
    """Return what the JSON of one key says, None (with or without an error) for nothing."""
    try:
        # Numbers are never right here: as floats the longest of them costs nothing.
        return json.loads(text, parse_constant=_refuse_constant, parse_int=float), []
    except json.JSONDecodeError as error:
        reason = f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except ValueError as error:
        reason = f"not valid JSON: {error}"
    except RecursionError:
        reason = "not valid JSON: nested too deeply"
    return None, [ConfigError(key, reason)]


def _refuse_constant(name: str) -> object:
    """Refuse NaN and Infinity, which Python's reader takes and JSON does not know."""
    raise ValueError(f"{name} is no JSON value")


def _string(item: object) -> str:
    """Return a list item that is a string; null counts as an empty one, as in Go."""
    if item is None:
        return ""
    if not isinstance(item, str):
        raise NameserverError(f"must be a string, not {_kind(item)}")
    return item


def _kind(value: object) -> str:
    """Return how JSON calls the type of a decoded value."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return names.get(type(value), "a number")


def _domain_reason(domain: str) -> str:
    """Return why a stub domain is refused."""
    if is_subdomain(domain.removesuffix(".").lower()):
        return f"must be written {quote(domain.removesuffix('.').lower())}"
    return "not a domain name: labels of a-z, 0-9 and - joined by dots, at most 253 characters"
