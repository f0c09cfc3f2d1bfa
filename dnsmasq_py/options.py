"""
The command line of the forwarder: nanny flags, then `--`, then dnsmasq options.

Beside the words it reads the files that options name (--conf-file, --conf-dir, and without the
former /etc/dnsmasq.conf), and how much memory there is.
"""

import dataclasses
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dnsmasq_py import dnsmasqoptions, nannyflags
from dnsmasq_py.dnsmasqoptions import read_servers_file
from dnsmasq_py.getopt import OptionError
from dnsmasq_py.optiontable import OPTIONS, Option, Takes, Verdict
from dnsmasq_py.rules import AddressRule, LocalRecords, Match, ServerRule
from dnsmasq_py.server import Server
from kubedns.flags import ShowText, UsageError

# Rules are part of what Options holds.
__all__ = [
    "AddressRule",
    "LocalRecords",
    "Match",
    "OptionError",
    "Options",
    "ServerRule",
    "ShowText",
    "UsageError",
    "parse",
    "read_servers_file",
    "usage",
]

CONF_FILE = "/etc/dnsmasq.conf"
ENTRY_BYTES = 500  # of memory for each entry of the cache, roughly


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the command line and the files that it names ask for. `_s`: seconds.

    The defaults here are those of the flags and options when they are absent.
    """

    # nanny
    config_dir: str = "/etc/k8s/dns/dnsmasq-nanny"
    sync_interval_s: float = 10.0  # 0: read once
    restart_dnsmasq: bool = False  # accepted: a change is applied in place, whatever this says
    kubedns_server: Server = Server("127.0.0.1", 10053)  # noqa: RUF009 - frozen
    log_interval_s: float = 0.0  # 0: never; else statistics to the log, as SIGUSR1
    v: int = 0
    # ours, among the nanny's flags
    admin_address: tuple[str, int] | None = ("127.0.0.1", 10056)  # None: off
    healthz_port: int = 0  # for probes from outside of the pod; 0: off
    client_deadline_s: float = 4.5
    cache_bytes: int = 16 << 20
    max_stale_s: float = 3600.0  # how long after its expiry an answer may be served; 0: never
    recorder: bool = True  # keep the last transactions, and count who asks for what
    hot_file: str = ""  # what is asked for most, for the next start; empty: off
    drain_s: float = 8.0  # at most so long after SIGTERM
    workers: int = 1  # processes that share the port; 1: this one alone
    tls_ca: str = ""  # PEM file; empty: the system's
    trusted: tuple[str, ...] = ()  # addresses of servers whose AD bit is passed on
    log_queries_per_s: int = 100  # lines of --log-queries; 0: all
    cache_hits_compat: bool = False  # count hits and misses as dnsmasq: without TCP
    # dnsmasq: where to listen
    port: int = 53
    listen_addresses: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    except_interfaces: tuple[str, ...] = ()
    bind_interfaces: bool = False
    user: str = ""
    # dnsmasq: cache and TTLs
    cache_size: int = 150
    no_negcache: bool = False
    neg_ttl_s: int | None = None  # for negative answers without SOA
    min_cache_ttl_s: int = 0
    max_cache_ttl_s: int | None = None
    max_ttl_s: int | None = None
    local_ttl_s: int = 0
    use_stale_cache_s: int | None = None  # None: off; 0: for ever
    # dnsmasq: whom to ask
    servers: tuple[ServerRule, ...] = ()
    servers_file: str = ""  # more of them, see read_servers_file
    addresses: tuple[AddressRule, ...] = ()
    no_resolv: bool = False
    resolv_files: tuple[str, ...] = ("/etc/resolv.conf",)
    no_poll: bool = False
    strict_order: bool = False
    all_servers: bool = False
    dns_loop_detect: bool = False
    dns_forward_max: int | None = None  # for each group; None: our own limits
    query_port: int | None = None
    min_port: int = 1024
    max_port: int = 65535
    edns_packet_max: int = 1232
    # dnsmasq: what is answered or left out here
    bogus_priv: bool = False
    domain_needed: bool = False
    stop_dns_rebind: bool = False
    rebind_localhost_ok: bool = False
    rebind_domains_ok: tuple[bytes, ...] = ()
    filter_a: bool = False
    filter_aaaa: bool = False
    proxy_dnssec: bool = False
    no_round_robin: bool = False
    no_ident: bool = False
    local: LocalRecords = LocalRecords()  # noqa: RUF009 - frozen
    no_hosts: bool = False
    addn_hosts: tuple[str, ...] = ()  # files or folders
    hostsdirs: tuple[str, ...] = ()
    expand_hosts: bool = False
    domain: bytes = b"\0"  # appended to plain names of hosts files with expand_hosts
    max_tcp_connections: int = 256
    # dnsmasq: log
    log_queries: str = ""  # "", "yes" or "extra"
    log_facility: str = ""  # "-": stderr; a path: that file; else the facility, which means stderr

    warnings: tuple[str, ...] = ()  # one line each, to be logged at start


def parse(argv: Sequence[str], conf_file: str = CONF_FILE, memory: int | None = None) -> Options:
    """
    Return the options in `argv`, without the program's name, and in the files that it names.

    conf_file: read if it is there and there is no --conf-file; empty: none.
    memory: octets that the process may use; None: ask the system.

    Raises:
        OptionError: a UsageError about an option of dnsmasq or a file; the exit status is 1.
        UsageError: about a flag in front of `--`; the exit status is 2.
        ShowText: --help, --version or --test.
    """
    cut = argv.index("--") if "--" in argv else len(argv)
    try:
        values, warnings = nannyflags.read(argv[:cut], usage)
    except UsageError as error:
        if not any(word.lstrip("-").partition("=")[0] in OPTIONS for word in argv[:cut]):
            raise
        raise UsageError(f"{error}; options of dnsmasq stand behind --") from None
    more, more_warnings = dnsmasqoptions.read(argv[cut + 1 :], usage, conf_file)
    options = Options(**values, **more)
    memory = available_memory() if memory is None else memory
    if options.workers > 1 and _has_own_port(options):
        raise UsageError("--workers: several processes cannot ask from one port; see --query-port")
    warnings = [*warnings, *more_warnings, *_warnings(options, memory)]
    return dataclasses.replace(options, warnings=tuple(warnings))


def usage() -> str:
    """Return the text of --help."""
    groups = groupby(_class(Verdict.SUPPORTED), lambda option: option.group)
    options = "\n\n".join(
        f"Options of dnsmasq: {group.lower()}\n" + "\n".join(map(_describe, rows))
        for group, rows in groups
    )
    return _USAGE.format(
        nanny=nannyflags.describe_nanny(),
        ours=nannyflags.describe_ours(),
        options=options,
        ignored=_filled(nannyflags.describe_ignored()),
        without_effect=_filled(" ".join(f"--{row.name}" for row in _class(Verdict.IGNORED))),
        refused="\n".join(
            f"  {reason}:\n" + _filled(" ".join(f"--{row.name}" for row in rows), 8)
            for reason, rows in groupby(_class(Verdict.REFUSED), lambda row: row.group)
        ),
    )


def available_memory() -> int:
    """Return the octets of memory that this machine, or this container, has."""
    octets = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            octets = min(octets, int(Path(path).read_text()))
        except (OSError, ValueError):
            continue  # no such group, or no limit
    return octets


def _warnings(options: Options, memory: int) -> Iterator[str]:
    """Yield one line for each thing that is legal and yet is hardly what was meant."""
    needed = options.cache_size * ENTRY_BYTES
    if needed > memory // 2:
        yield (
            f"--cache-size={options.cache_size} may need {needed >> 20} MiB of {memory >> 20} MiB "
            f"memory; --cache-bytes={options.cache_bytes >> 20}Mi bounds it"
        )
    if options.cache_bytes > memory // 2:
        yield f"--cache-bytes is more than half of {memory >> 20} MiB memory"


def _has_own_port(options: Options) -> bool:
    """Tell whether some server is always asked from the same port."""
    servers = (rule.server for rule in options.servers)
    return options.query_port is not None or any(each and each.source_port for each in servers)


def _class(verdict: Verdict) -> Iterator[Option]:
    return (option for option in OPTIONS.values() if option.verdict is verdict)


def _describe(option: Option) -> str:
    letter = f"-{option.letter}, " if option.letter else ""
    value = {
        Takes.NOTHING: "",
        Takes.VALUE: f"={option.meta}",
        Takes.MAYBE: f"[={option.meta}]",
    }[option.takes]
    return f"  {letter}--{option.name}{value}\n" + _filled(option.help, 8)


def _filled(text: str, indent: int = 2) -> str:
    return textwrap.indent(textwrap.fill(text, 92, break_on_hyphens=False), " " * indent)


_USAGE = """\
usage: dnsmasq-nanny [flags] [-- options of dnsmasq]

Answers the DNS questions of a cluster: from its cache, from kube-dns, from other servers.

Flags of dnsmasq-nanny (one dash or two):
{nanny}

Flags of this implementation:
{ours}

Flags that are accepted and ignored:
{ignored}

{options}

Options of dnsmasq that are accepted and have no effect:
{without_effect}

Options of dnsmasq that are not supported:
{refused}
"""
