"""What to ask of whom: the text of --probe becomes a Probe (kube-dns: cmd/sidecar, Set)."""

import re
from dataclasses import dataclass

from kubedns.nameserver import DNS_PORT, ip_text, quote, split_host_port
from kubedns.wire import name as names

EXAMPLE = "--probe=kubedns,127.0.0.1:10053,kubernetes.default.svc.cluster.local,5,SRV"
TYPES = ("ANY", "A", "AAAA", "SRV")
_FORM = "<label>,<server>,<dns name>[,<interval seconds>][,<type>]"
_INTERVAL_S = 5
_MAX_INTERVAL_S = 86_400
_PATIENCE_S = 2.0  # how long the original waits for a reply
_HOST = re.compile(r"[A-Za-z0-9_](?:[-A-Za-z0-9_.]{0,251}[A-Za-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Probe:
    """
    One --probe. host: an IP address without brackets, or a name; qname: with its final dot.

    rtype: ANY, A, AAAA or SRV.
    """

    label: str
    host: str
    port: int
    qname: str
    interval_s: int
    rtype: str

    @property
    def server(self) -> str:
        """Its server as one text: `127.0.0.1:53`, `[::1]:53`."""
        return where(self.host, self.port)

    @property
    def patience_s(self) -> float:
        """
        How long to wait for a reply.

        As the original, but less than the interval: a server that has stopped is known within two
        intervals, whatever these are.
        """
        return min(_PATIENCE_S, 0.9 * self.interval_s)


def where(host: str, port: int) -> str:
    """Write a server as one text: `127.0.0.1:53`, `[::1]:53`, `dns.example:53`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read(text: str) -> Probe:
    """
    Return what the value of one --probe asks for.

    Raises:
        ValueError: the reason in the original's words, and an example of a right one.
    """
    try:
        return _read(text)
    except ValueError as error:
        raise ValueError(f"{error}; a right one: {EXAMPLE}") from None


def _read(text: str) -> Probe:
    parts = text.split(",")
    if not 3 <= len(parts) <= 5:
        raise ValueError(f"invalid format to --probe, {len(parts)} parts: it must be {_FORM}")
    defaults = (str(_INTERVAL_S), "ANY")
    label, server, qname, interval, rtype = (*parts, *defaults[len(parts) - 3 :])
    if not re.fullmatch(r"[a-zA-Z0-9_]+", label):
        raise ValueError(f"label must be of format ^[a-zA-Z0-9_]+$, and {quote(label)} is not")
    host, port = read_server(server)
    if rtype not in TYPES:
        types = ", ".join(TYPES)
        raise ValueError(f"invalid type for DNS: {quote(rtype)} is none of {types}")
    return Probe(label, host, port, _read_name(qname), _read_interval(interval), rtype)


def read_server(text: str) -> tuple[str, int]:
    """
    Return host and port of a server: an IP address, or a name to be looked up.

    Raises:
        ValueError: it is neither; IPv6 needs brackets, as for the original.
    """
    host, port = split_host_port(text) if ":" in text else (text, str(DNS_PORT))
    if text.startswith("[") and text.endswith("]"):
        host, port = text[1:-1], str(DNS_PORT)
    host = ip_text(host) or host
    if ":" not in host and not _HOST.fullmatch(host):
        raise ValueError(f"invalid server {quote(text)}: it must be host, host:port or [IPv6]:port")
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or not 0 < int(port) < 65536:
        raise ValueError(f"invalid server {quote(text)}: the port must be 1 to 65535")
    return host, int(port)


def _read_name(text: str) -> str:
    try:
        names.from_text(text)
    except names.BadNameError as error:
        raise ValueError(f"invalid DNS name {quote(text)}: {error}") from None
    return text if text.endswith(".") else text + "."


def _read_interval(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not 0 < int(text) <= _MAX_INTERVAL_S:
        raise ValueError(
            f"invalid interval, parsing {quote(text)}: invalid syntax, it must be whole seconds "
            f"from 1 to {_MAX_INTERVAL_S}"
        )
    return int(text)
