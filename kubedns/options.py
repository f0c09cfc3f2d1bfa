"""
The command line of kubedns: argv and environment become one frozen Options.

The flags of kube-dns with their names, defaults and rules, our own ones, and old logging
flags that are accepted and ignored. Whatever can be judged without looking at the system is
judged here, so that a typo ends the start with one line instead of a broken cluster later.
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kubedns import __version__, klogflags, readers
from kubedns.cluster.objects import EndpointNames
from kubedns.explain.border import Border
from kubedns.flags import (
    Flag,
    Parsed,
    ShowText,
    UsageError,
    describe,
    parse_flags,
    read_value,
)
from kubedns.nameserver import Nameserver, quote
from kubedns.zone.lookup import PodNames

__all__ = ["Options", "ShowText", "UsageError", "parse", "usage"]

TTL_MAX_S = 3600
_NOTIFY = ("127.0.0.1", 53)  # dnsmasq-nanny's place in the pod


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the command line and the environment ask for; empty text means not set.

    Fields are named after their flags; `_s` means seconds. Domains have no trailing dot.
    """

    domain: str
    dns_port: int
    dns_bind_address: str  # an IP address, without brackets
    healthz_port: int  # 0: off
    kubecfg_file: str
    kube_master_url: str  # environment variables expanded
    initial_sync_timeout_s: float
    config_dir: str
    config_period_s: float  # 0: read once
    config_map: str
    config_map_namespace: str
    nameservers: tuple[Nameserver, ...]
    profiling: bool
    v: int

    objects: tuple[str, ...]  # paths; empty: the API server
    pods: PodNames
    endpoint_names: EndpointNames
    wildcards: bool
    ttl_s: int
    negative_ttl_s: int
    reverse_cidrs: tuple[readers.Network, ...]
    dns_service: tuple[str, str]  # namespace, name
    status_address: tuple[str, int] | None  # loopback; None: off
    notify: tuple[tuple[str, int], ...]  # IP address and port of each listener
    snapshot: str
    lame_duck_s: float
    watch_silence_s: float
    audit_interval_s: float
    forbidden_retry_s: float
    serve_cache: bool
    explain: Border

    prometheus_port: int | None  # None: off
    prometheus_path: str
    prometheus_namespace: str
    prometheus_subsystem: str

    warnings: tuple[str, ...]  # one line each, to be logged at start


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """
    Return the options in `argv` (without the program's name) and the environment.

    Raises:
        UsageError: one line that names the flag or variable and its value.
        ShowText: --help or --version.
    """
    parsed = parse_flags(argv, (*_KUBE_DNS, *_OURS), _IGNORED, usage)
    values = parsed.values
    match values.pop("version"):
        case "raw":
            raise ShowText(f'"{__version__}"')
        case "true":
            raise ShowText(f"Kube-DNS {__version__}")
    expand = partial(readers.read_url, environ=environ)
    values["kube_master_url"] = read_value("--kube-master-url", expand, values["kube_master_url"])
    _check_together(values)
    listeners = values["notify"] or (_NOTIFY,)
    values["notify"] = tuple(dict.fromkeys(each for each in listeners if each is not None))
    for name, (field, read, default) in _ENVIRONMENT.items():
        values[field] = read_value(name, read, environ.get(name) or default)
    return Options(**values, warnings=tuple(_warnings(parsed)))


def usage() -> str:
    """Return the text of --help."""
    ignored = " ".join(f"--{flag.name}" for flag in _IGNORED)
    return _USAGE.format(
        kube_dns=describe(_KUBE_DNS),
        ours=describe(_OURS),
        ignored=textwrap.indent(textwrap.fill(ignored, 90, break_on_hyphens=False), "  "),
    )


def _check_together(values: Mapping[str, Any]) -> None:
    """Raise UsageError for flags that are right alone and make no sense together."""
    if values["config_map"] and values["config_dir"]:
        raise UsageError("--config-map and --config-dir cannot both be set")
    for field in ("kubecfg_file", "kube_master_url", "config_map"):
        if values["objects"] and values[field]:
            flag = "--" + field.replace("_", "-")
            raise UsageError(f"--objects replaces the API server, {flag} cannot be set with it")
    if None in values["notify"] and len(values["notify"]) > 1:
        raise UsageError("--notify=off cannot be set with another --notify")


def _warnings(parsed: Parsed) -> Iterator[str]:
    """Yield one line for each thing that was given and has no effect."""
    values, given = parsed.values, parsed.given
    if parsed.stray:
        words = " ".join(quote(word) for word in parsed.stray)
        yield f"ignored, belongs to no flag: {words}"
    if "federations" in given:
        yield "--federations is ignored, cluster federation no longer exists"
    if ignored := sorted(given & {flag.name for flag in _IGNORED} - {"federations"}):
        names = " ".join(f"--{name}" for name in ignored)
        yield f"ignored, the log goes to standard error: {names}"
    for field in ("config_dir", "config_map"):
        if values["nameservers"] and values[field]:
            yield f"--nameservers is ignored, --{field.replace('_', '-')} is set"


def _switch(name: str, default: str, help: str) -> Flag:
    return Flag(name, readers.read_bool, default, "", help, bare="true")


_KUBE_DNS = (
    Flag("domain", readers.read_zone, "cluster.local.", "ZONE", "zone to serve"),
    Flag(
        "dns-port",
        readers.read_port,
        "53",
        "PORT",
        "UDP and TCP port of the DNS server",
    ),
    Flag(
        "dns-bind-address",
        readers.read_bind_address,
        "0.0.0.0",
        "IP",
        "address of the DNS server; 0.0.0.0 and :: mean all, of both families",
    ),
    Flag(
        "healthz-port",
        readers.read_port,
        "8081",
        "PORT",
        "HTTP port of /readiness, /cache and /metrics; 0: off",
    ),
    Flag(
        "kubecfg-file",
        str,
        "",
        "FILE",
        "kubeconfig; without it and --kube-master-url: the pod's service account",
    ),
    Flag(
        "kube-master-url",
        str,
        "",
        "URL",
        "API server, instead of the one in the kubeconfig; $NAME and ${NAME} are replaced by "
        "environment variables",
    ),
    Flag(
        "initial-sync-timeout",
        readers.read_duration,
        "1m0s",
        "DURATION",
        "after this time without a first complete list the log says so; the process goes on",
        field="initial_sync_timeout_s",
    ),
    Flag(
        "config-dir",
        str,
        "",
        "DIR",
        "folder with one file for each key of the configuration, a mounted ConfigMap",
    ),
    Flag(
        "config-period",
        readers.read_duration,
        "10s",
        "DURATION",
        "how often to look at --config-dir, beside being told of changes; 0: read it once",
        field="config_period_s",
    ),
    Flag(
        "config-map",
        readers.read_object_name,
        "",
        "NAME",
        "ConfigMap to read from the API server instead of --config-dir",
    ),
    Flag(
        "config-map-namespace",
        readers.read_object_name,
        "kube-system",
        "NAMESPACE",
        "namespace of --config-map",
    ),
    Flag(
        "nameservers",
        readers.read_nameservers,
        "",
        "IP[:PORT],...",
        "upstream servers for names outside the cluster when no configuration is given; "
        "empty: those of /etc/resolv.conf",
    ),
    _switch("profiling", "false", "show what every thread does on localhost:6060/debug/pprof/"),
    klogflags.V,
    klogflags.VERSION,
)

_OURS = (
    Flag(
        "objects",
        readers.read_path,
        None,
        "PATH",
        "serve the objects of this YAML or JSON file, or of those in this folder, instead of "
        "an API server's",
    ),
    Flag(
        "pods",
        readers.one_of(PodNames),
        "insecure",
        "MODE",
        "names below pod.<zone>: insecure (any that spells an address), verified (running "
        "pods only) or disabled",
    ),
    Flag(
        "endpoint-names",
        readers.one_of(EndpointNames),
        "ip",
        "KIND",
        "label of an endpoint without hostname: ip (10-1-2-3) or pod (the pod's name)",
    ),
    _switch("wildcards", "false", "answer names that hold a * label"),
    Flag(
        "ttl", readers.int_between(0, TTL_MAX_S), "30", "SECONDS", "TTL of records", field="ttl_s"
    ),
    Flag(
        "negative-ttl",
        readers.int_between(0, TTL_MAX_S),
        "5",
        "SECONDS",
        "TTL of negative answers",
        field="negative_ttl_s",
    ),
    Flag(
        "reverse-cidr",
        readers.read_network,
        None,
        "CIDR",
        "range of addresses whose unknown reverse names do not exist, instead of being asked "
        "upstream",
        field="reverse_cidrs",
    ),
    Flag(
        "dns-service",
        readers.read_service,
        "kube-system/kube-dns",
        "NAMESPACE/NAME",
        "service whose addresses ns.dns.<zone> has",
    ),
    Flag(
        "status-address",
        readers.read_status_address,
        "127.0.0.1:10057",
        "IP:PORT",
        "loopback address of /status and /metrics; empty: off",
    ),
    Flag(
        "notify",
        readers.read_listener,
        None,
        "IP:PORT",
        f"cache in front that is told which names change, if it is one of ours; none given: "
        f"{_NOTIFY[0]}:{_NOTIFY[1]}; off: nobody is told",
    ),
    Flag(
        "snapshot",
        str,
        "",
        "FILE",
        "keep what is served in this file too, and serve it after a restart until the lists are "
        "read; its folder must be ours to write to; empty: off",
    ),
    Flag(
        "lame-duck",
        readers.read_duration,
        "8s",
        "DURATION",
        "after SIGTERM: how long to go on answering; SIGINT stops at once",
        field="lame_duck_s",
    ),
    Flag(
        "watch-silence",
        readers.read_duration,
        "90s",
        "DURATION",
        "after this time without an event or a bookmark a watch is torn down and resumed",
        field="watch_silence_s",
    ),
    Flag(
        "audit-interval",
        readers.read_duration,
        "1h",
        "DURATION",
        "about how often everything is listed beside the watches and compared; 0: never",
        field="audit_interval_s",
    ),
    Flag(
        "forbidden-retry",
        readers.read_duration,
        "60s",
        "DURATION",
        "how often to ask again for objects that the API server does not let us read",
        field="forbidden_retry_s",
    ),
    _switch("serve-cache", "true", "serve all records as JSON at /cache"),
    Flag(
        "explain",
        readers.one_of(Border),
        "full",
        "HOW",
        "sentence with the reason in answers without records, to clients with EDNS: full, "
        "same-namespace (names nothing outside the question's namespace) or off",
    ),
)


_IGNORED = (klogflags.ignored("federations"), *klogflags.IGNORED)

# Variable → field, reader, default. As for the original, empty means not set.
_ENVIRONMENT: dict[str, tuple[str, Callable[[str], object], str]] = {
    "PROMETHEUS_PORT": ("prometheus_port", readers.read_optional_port, ""),
    "PROMETHEUS_PATH": ("prometheus_path", readers.read_http_path, "/metrics"),
    "PROMETHEUS_NAMESPACE": ("prometheus_namespace", readers.read_metric_word, "skydns"),
    "PROMETHEUS_SUBSYSTEM": ("prometheus_subsystem", readers.read_metric_word, "skydns"),
}

_USAGE = """\
usage: kube-dns [flags]

Serves the names of a Kubernetes cluster over DNS.

Flags of kube-dns:
{kube_dns}

Flags of this implementation:
{ours}

Accepted and ignored:
{ignored}

Environment:
  PROMETHEUS_PORT (unset: off), PROMETHEUS_PATH (default /metrics)
        where /metrics and the pages of --healthz-port are served too
  PROMETHEUS_NAMESPACE, PROMETHEUS_SUBSYSTEM (default skydns)
        prefix of the names of the metrics
"""
