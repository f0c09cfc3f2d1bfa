"""
The flags in front of `--`: those of dnsmasq-nanny with their names and defaults, and our own.

As for the original, one dash is as good as two: `-configDir=x`, `--configDir x`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dnsmasq_py.server import Server
from kubedns import __version__, klogflags, readers
from kubedns.flags import Flag, ShowText, describe, parse_flags, split_go
from kubedns.nameserver import NameserverError, ip_text, parse_nameserver, quote

DEADLINE_MAX_S = 60.0
CACHE_BYTES_MIN = 1 << 20
WORKERS_MAX = 64
_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def read(argv: Sequence[str], usage: Callable[[], str]) -> tuple[dict[str, Any], list[str]]:
    """
    Return the values of Options that `argv` asks for, and a line for each thing without effect.

    argv: the words in front of `--`.

    Raises:
        UsageError: one line that names the flag and its value; the exit status is 2.
        ShowText: --help or --version.
    """
    parsed = parse_flags(argv, (*_NANNY, *_OURS), _IGNORED, usage, split_go)
    values = parsed.values
    if values.pop("version"):
        raise ShowText(f"dnsmasq-nanny {__version__}")
    return values, list(_warnings(parsed.given, parsed.stray))


def describe_nanny() -> str:
    """Return the part of --help about the original's flags."""
    return describe(_NANNY)


def describe_ours() -> str:
    """Return the part of --help about our own flags."""
    return describe(_OURS)


def describe_ignored() -> str:
    """Return the names of the flags that are accepted and have no effect, in one line."""
    return " ".join(f"-{flag.name}" for flag in _IGNORED)


def _warnings(given: frozenset[str], stray: Sequence[str]) -> Iterator[str]:
    if stray:
        yield f"ignored, belongs to no flag: {' '.join(map(quote, stray))}"
    if "dnsmasqExec" in given:
        yield "-dnsmasqExec is ignored, no dnsmasq is run: this program does its work"
    # -logtostderr stands in the published manifests and is what happens anyway.
    if ignored := sorted(given & {flag.name for flag in _IGNORED} - {"dnsmasqExec", "logtostderr"}):
        names = " ".join(f"-{name}" for name in ignored)
        yield f"ignored, the log goes to standard error: {names}"


def _read_server(text: str) -> Server:
    try:
        server = parse_nameserver(text)
    except NameserverError as error:
        raise ValueError(str(error)) from None
    return Server(server.address, server.port)


def _read_admin_address(text: str) -> tuple[str, int] | None:
    return None if text == "off" else readers.read_status_address(text)


def _read_deadline(text: str) -> float:
    seconds = readers.read_duration(text)
    if not 0.1 <= seconds <= DEADLINE_MAX_S:
        raise ValueError(f"must be 100ms to {DEADLINE_MAX_S:.0f}s")
    return seconds


def _read_cache_bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,15})(Ki|Mi|Gi|)", text, re.ASCII)
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    if size < CACHE_BYTES_MIN:
        raise ValueError("must be a size such as 16Mi, at least 1Mi; --cache-size=0: no cache")
    return size


def _read_on(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("must be on or off")
    return text == "on"


def _read_ip(text: str) -> str:
    address = ip_text(text)
    if address is None:
        raise ValueError("must be an IP address")
    return address


def _switch(name: str, help: str, field: str = "") -> Flag:
    return Flag(name, readers.read_bool, "false", "", help, field, bare="true")


_NANNY = (
    Flag(
        "configDir",
        readers.read_path,
        "/etc/k8s/dns/dnsmasq-nanny",
        "DIR",
        "folder with one file for each key of the configuration, a mounted ConfigMap",
        "config_dir",
    ),
    Flag(
        "syncInterval",
        readers.read_duration,
        "10s",
        "DURATION",
        "how often to look at -configDir, beside being told of changes; 0: read it once",
        "sync_interval_s",
    ),
    _switch(
        "restartDnsmasq",
        "accepted; a change of the configuration is applied in place, whatever this says",
        "restart_dnsmasq",
    ),
    Flag(
        "kubednsServer",
        _read_server,
        "127.0.0.1:10053",
        "IP[:PORT]",
        "the server of the cluster's own names; it also looks up stub servers given by name",
        "kubedns_server",
    ),
    Flag(
        "logInterval",
        readers.read_duration,
        "0s",
        "DURATION",
        "how often to log statistics, as on SIGUSR1; 0: never",
        "log_interval_s",
    ),
    klogflags.V,
)

_OURS = (
    Flag(
        "admin-address",
        _read_admin_address,
        "127.0.0.1:10056",
        "IP:PORT",
        "loopback address of /metrics, /status and /healthz; empty or off: none",
    ),
    Flag(
        "healthz-port",
        readers.read_port,
        "0",
        "PORT",
        "port of /healthz and /readyz for the kubelet's probes, on every address; 0: none",
    ),
    Flag(
        "client-deadline",
        _read_deadline,
        "4.5s",
        "DURATION",
        "how long to look for an answer before the client is told SERVFAIL",
        "client_deadline_s",
    ),
    Flag(
        "cache-bytes",
        _read_cache_bytes,
        "16Mi",
        "SIZE",
        "memory for stored answers, beside the bound by --cache-size",
    ),
    Flag(
        "max-stale",
        readers.read_duration,
        "1h",
        "DURATION",
        "how long after its expiry an answer may be served while its servers fail; 0: never",
        "max_stale_s",
    ),
    Flag(
        "hot-file",
        str,
        "",
        "FILE",
        "keep the hottest questions and their answers in this file too: after a restart they are "
        "asked again, and answered stale while nobody can be asked; its folder must be ours to "
        "write to; empty: off",
        "hot_file",
    ),
    Flag(
        "recorder",
        _read_on,
        "on",
        "on|off",
        "keep the last transactions, and count who asks for what: /recorder, /top and /findings at "
        "--admin-address",
    ),
    Flag(
        "drain",
        readers.read_duration,
        "8s",
        "DURATION",
        "how long to go on serving after SIGTERM, unready",
        "drain_s",
    ),
    Flag(
        "workers",
        readers.int_between(1, WORKERS_MAX),
        "1",
        "NUMBER",
        "processes that share the port, each with a cache of its own",
    ),
    Flag(
        "tls-ca",
        str,
        "",
        "FILE",
        "PEM file with the authorities of tls:// servers; empty: those of the system",
    ),
    Flag(
        "trusted",
        _read_ip,
        None,
        "IP",
        "server whose AD bit (authentic data) is passed on to clients",
    ),
    Flag(
        "log-queries-rate",
        readers.int_between(0, 1_000_000),
        "100",
        "LINES",
        "lines of --log-queries in a second at most; 0: all",
        "log_queries_per_s",
    ),
    _switch(
        "dnsmasq-compat-counters",
        "count hits and misses as dnsmasq did, without queries over TCP",
        "cache_hits_compat",
    ),
    _switch("version", "print the version and exit"),
)

_IGNORED = (klogflags.ignored("dnsmasqExec"), *klogflags.IGNORED)
