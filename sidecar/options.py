"""
The command line of the sidecar: argv becomes one frozen Options.

The flags of the original with their names and defaults, our own ones, and old logging flags that
are accepted and ignored.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubedns import __version__, klogflags, readers
from kubedns.flags import Flag, Parsed, ShowText, UsageError, describe, parse_flags
from kubedns.nameserver import quote
from sidecar import probe
from sidecar.probe import Probe

__all__ = ["Options", "ShowText", "UsageError", "parse", "usage"]

Address = tuple[str, int]  # an IP address without brackets, or a name; port
_PAGES = ("/", "/healthz", "/readyz", "/explain", "/top", "/findings", "/recorder")
_MAX_POLL_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the command line asks for. Fields are named after their flags; `_s` means seconds.

    kubedns_status, dnsmasq_status, operator_address: loopback; None: off. operator_token_file:
    None: outside of the loopback address nobody is an operator. node_resolv_conf: None: not read.
    """

    dnsmasq: Address
    dnsmasq_poll_interval_s: float
    probes: tuple[Probe, ...]
    prometheus: Address  # an IP address; port 0: any free one
    prometheus_path: str
    prometheus_namespace: str  # empty: none
    v: int

    kubedns_status: Address | None
    dnsmasq_status: Address | None
    operator_address: Address | None
    operator_token_file: Path | None
    node_resolv_conf: Path | None
    drain_s: float

    warnings: tuple[str, ...]  # one line each, to be logged at start


def parse(argv: Sequence[str]) -> Options:
    """
    Return the options in `argv`, without the program's name.

    Raises:
        UsageError: one line that names the flag and its value.
        ShowText: --help or --version.
    """
    parsed = parse_flags(argv, (*_ORIGINAL, *_OURS), klogflags.IGNORED, usage)
    values = parsed.values
    match values.pop("version"):
        case "raw":
            raise ShowText(f'"{__version__}"')
        case "true":
            raise ShowText(f"sidecar {__version__}")
    _check_labels(values["probes"])
    return Options(
        dnsmasq=(values.pop("dnsmasq_addr"), values.pop("dnsmasq_port")),
        dnsmasq_poll_interval_s=values.pop("dnsmasq_poll_interval_ms") / 1000,
        prometheus=(values.pop("prometheus_addr"), values.pop("prometheus_port")),
        **values,
        warnings=tuple(_warnings(parsed)),
    )


def usage() -> str:
    """Return the text of --help."""
    ignored = " ".join(f"--{flag.name}" for flag in klogflags.IGNORED)
    return _USAGE.format(
        original=describe(_ORIGINAL),
        ours=describe(_OURS),
        ignored=textwrap.indent(textwrap.fill(ignored, 90, break_on_hyphens=False), "  "),
    )


def _check_labels(probes: Sequence[Probe]) -> None:
    seen: set[str] = set()
    for each in probes:
        if each.label in seen:
            raise UsageError(
                f"--probe: the label {quote(each.label)} is used twice; each probe needs its own, "
                f"such as {probe.EXAMPLE}"
            )
        seen.add(each.label)


def _warnings(parsed: Parsed) -> Iterator[str]:
    """Yield one line for each thing that was given and has no effect."""
    if parsed.stray:
        yield f"ignored, belongs to no flag: {' '.join(map(quote, parsed.stray))}"
    # --logtostderr stands in the published manifests and is what happens anyway.
    if ignored := sorted(
        parsed.given & {flag.name for flag in klogflags.IGNORED} - {"logtostderr"}
    ):
        names = " ".join(f"--{name}" for name in ignored)
        yield f"ignored, the log goes to standard error: {names}"
    if not parsed.values["probes"]:
        yield f"no --probe: nothing is looked at; for example {probe.EXAMPLE}"


def _read_host(text: str) -> str:
    """Return the host of a server; unlike the original's, IPv6 may stand without brackets."""
    return probe.read_server(f"[{text}]" if ":" in text and "[" not in text else text)[0]


def _read_loopback(text: str) -> Address | None:
    return None if text == "off" else readers.read_status_address(text)


def _read_file(text: str) -> Path | None:
    if "\0" in text:
        raise ValueError("must be the path of a file")
    return Path(text) if text not in ("", "off") else None


def _read_metrics_path(text: str) -> str:
    path = readers.read_http_path(text)
    if not re.fullmatch(r"[-/\w.~]+", path, re.ASCII):
        raise ValueError("must be a plain path of letters, digits and - . / _ ~")
    if path in _PAGES or path.startswith("/healthcheck/"):
        raise ValueError("is another page of this program")
    return path


def _read_namespace(text: str) -> str:
    return readers.read_metric_word(text) if text else ""


_ORIGINAL = (
    Flag(
        "probe",
        probe.read,
        None,
        "PROBE",
        "<label>,<server>,<dns name>[,<interval seconds>][,<type>]: what to ask of whom, shown at "
        "/healthcheck/<label>; types ANY (default), A, AAAA, SRV",
        field="probes",
    ),
    Flag("dnsmasq-addr", _read_host, "127.0.0.1", "HOST", "whose statistics to read"),
    Flag("dnsmasq-port", readers.int_between(1, 65535), "53", "PORT", "its UDP port"),
    Flag(
        "dnsmasq-poll-interval-ms",
        readers.int_between(1, _MAX_POLL_MS),
        "5000",
        "MS",
        "how long to wait after reading the statistics",
    ),
    Flag(
        "prometheus-addr",
        readers.read_bind_address,
        "0.0.0.0",
        "IP",
        "address of the pages; 0.0.0.0 and :: mean all, of both families",
    ),
    Flag("prometheus-port", readers.read_port, "10054", "PORT", "port of the pages; 0: any"),
    Flag("prometheus-path", _read_metrics_path, "/metrics", "PATH", "path of the metrics"),
    Flag(
        "prometheus-namespace",
        _read_namespace,
        "kubedns",
        "WORD",
        "prefix of the names of the original's metrics",
    ),
    klogflags.V,
    klogflags.VERSION,
)

_OURS = (
    Flag(
        "kubedns-status",
        _read_loopback,
        "127.0.0.1:10057",
        "IP:PORT",
        "where kubedns tells about itself (its --status-address); empty or off: not read",
    ),
    Flag(
        "dnsmasq-status",
        _read_loopback,
        "127.0.0.1:10056",
        "IP:PORT",
        "where dnsmasq-nanny tells about itself (its --admin-address); empty or off: not read",
    ),
    Flag(
        "operator-address",
        _read_loopback,
        "127.0.0.1:10058",
        "IP:PORT",
        "loopback address where the pages are served as well, with those for operators: /explain, "
        "/top, /findings, /recorder; empty or off: none",
    ),
    Flag(
        "operator-token-file",
        _read_file,
        "",
        "FILE",
        "a file with the token that opens the operators' pages at --prometheus-port too "
        "(Authorization: Bearer); read again when it changes; empty or off: they are not there",
    ),
    Flag(
        "node-resolv-conf",
        _read_file,
        "/etc/resolv.conf",
        "FILE",
        "where the node's search domains stand, which /explain appends to those of a pod; empty or "
        "off: none",
    ),
    Flag(
        "drain",
        readers.read_duration,
        "9.5s",
        "DURATION",
        "after SIGTERM: how long to go on serving at most; less once both neighbours have ended",
        field="drain_s",
    ),
)

_USAGE = """\
usage: sidecar [flags]

Probes the DNS servers of the pod, and shows how they are: health, metrics, a status page.

Flags of the original:
{original}

Flags of this implementation:
{ours}

Accepted and ignored:
{ignored}
"""
