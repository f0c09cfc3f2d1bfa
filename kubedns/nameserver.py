"""
A name server as text: what stub domains, upstream lists, flags and resolv.conf hold.

Two grammars, both the original's: `parse_nameserver` (IP addresses in any spelling) and
`parse_stub_server` (canonical addresses, or a host name to be looked up later).
"""

import ipaddress
import json
import re
from dataclasses import dataclass

from kubedns.errors import KubednsError

DNS_PORT = 53

LABEL_MAX = 63
SUBDOMAIN_MAX = 253
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"


class NameserverError(KubednsError):
    """A text that should be a name server and is none; str() is the reason, in one line."""


@dataclass(frozen=True, slots=True)
class Nameserver:
    """An IP address as text (shortest form, IPv6 without brackets) and a port, 0 to 65535."""

    address: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class HostServer:
    """A stub server given by host name, lower case, to be looked up; its port is always 53."""

    name: str

    def __str__(self) -> str:
        return self.name


Server = Nameserver | HostServer


def parse_nameserver(text: str) -> Nameserver:
    """
    Return the server that `IP`, `IP:port` or `[IPv6]:port` names; the port is 1 to 65535.

    The address comes back in its shortest form, an IPv4-mapped one as IPv4: the original
    takes any spelling here, unlike for stub servers.

    Raises:
        NameserverError: it is something else, a host name for example.
    """
    if address := ip_text(text):
        return Nameserver(address)
    host, port = split_host_port(text)
    address = ip_text(host)
    if address is None:
        raise NameserverError(f"{quote(text)} is not IP, IP:port or [IPv6]:port")
    # Go's Atoi, which the original uses here, takes a plus sign too.
    number = _port(port.removeprefix("+"))
    if not number:
        raise NameserverError(f"{quote(text)}: the port must be a number from 1 to 65535")
    return Nameserver(address, number)


def parse_stub_server(text: str) -> Server:
    """
    Return the stub server that `IP`, `IP:port`, `[IPv6]:port` or a host name names.

    As in the original: an address only in its canonical text form (RFC 5952), no port
    beside a host name, any port from 0 to 65535. Two accidents of it are kept: an empty
    port (`1.2.3.4:`) is 53, and `300.1.1.1` is a host name.

    Raises:
        NameserverError: it is something else.
    """
    if _is_canonical_ip(text):
        return Nameserver(text)
    if is_subdomain(text):
        return HostServer(text)
    host, port = split_host_port(text)
    if _is_canonical_ip(host):
        number = _port(port) if port else DNS_PORT
        if number is None:
            raise NameserverError(f"{quote(text)}: the port must be a number from 0 to 65535")
        return Nameserver(host, number)
    if address := ip_text(host):
        raise NameserverError(f"{quote(text)}: the address must be written {address}")
    raise NameserverError(f"{quote(text)} is not IP, IP:port, [IPv6]:port or a lower-case name")


def parse_resolv_conf(text: str) -> tuple[Nameserver, ...]:
    """
    Return the servers of the `nameserver` lines of resolv.conf(5), in order, each once.

    What is no IP address is skipped, as the system's resolver does. So is an address with
    a scope (fe80::1%eth0): its interface is the host's, which a pod does not have.
    """
    addresses = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", word, *_]:
                addresses.append(ip_text(word))
    return tuple(Nameserver(address) for address in dict.fromkeys(addresses) if address)


def is_label(text: str) -> bool:
    """Say whether `text` is a lower-case RFC 1123 label of at most 63 characters."""
    return len(text) <= LABEL_MAX and re.fullmatch(_LABEL, text) is not None


def is_subdomain(text: str) -> bool:
    """
    Say whether `text` is a lower-case RFC 1123 subdomain in the sense of Kubernetes.

    At most 253 characters in all; as in Kubernetes no bound for one label.
    """
    return len(text) <= SUBDOMAIN_MAX and re.fullmatch(_SUBDOMAIN, text) is not None


def quote(text: str) -> str:
    """Return `text` in double quotes, cut at 80 characters and escaped to printable ASCII."""
    cut = text if len(text) <= 80 else text[:77] + "..."
    # json leaves DEL, the one control character beyond the first 32, as it is.
    return json.dumps(cut).replace("\x7f", "\\u007f")


def ip_text(text: str) -> str | None:
    """Return an IP address in its shortest form, IPv4-mapped IPv6 as IPv4; None: it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return str(address.ipv4_mapped or address)
    return str(address)


def split_host_port(text: str) -> tuple[str, str]:
    """
    Split `host:port` or `[host]:port`; ("", "") if it is neither.

    Brackets may hold an IPv4 address too, as in Go's net.SplitHostPort.
    """
    match = re.fullmatch(r"\[([^\[\]]*)\]:([^\[\]:]*)|([^\[\]:]*):([^\[\]:]*)", text)
    if match is None:
        return "", ""
    bracketed, port, plain, plain_port = match.groups()
    return (plain, plain_port) if bracketed is None else (bracketed, port)


def _is_canonical_ip(text: str) -> bool:
    """Say whether `text` is an IP address in the one spelling that Kubernetes allows."""
    return ip_text(text) == text


def _port(text: str) -> int | None:
    """Return the port that ASCII digits spell, 0 to 65535; None: they do not."""
    digits = text.lstrip("0")
    if not (text.isascii() and text.isdigit() and len(digits) <= 5):
        return None
    number = int(digits or "0")
    return number if number <= 65535 else None
