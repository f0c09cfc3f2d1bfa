"""
Servers as options and the configuration spell them: --server, --rev-server, --address, URLs.

The grammar is that of dnsmasq 2.90; beyond it `[v6]:port`, `[v6]#port`, `tcp://` and `tls://`.
Each function raises ValueError with the reason, in words that follow "invalid value ...: ".
"""

import re
import socket
from collections.abc import Iterator

from dnsmasq_py.rules import AddressRule, Match, ServerRule
from dnsmasq_py.server import DNS_PORT, TLS_PORT, Server, Transport
from kubedns.nameserver import ip_text, is_label, is_subdomain
from kubedns.wire import name as names

_INTERFACE_MAX = 15  # characters, IFNAMSIZ without its zero
_SCOPE = re.compile(rf"[!-.0-9;-~]{{1,{_INTERFACE_MAX}}}")  # what an interface may be called
_ANY = (bytes(4), bytes(16))  # 0.0.0.0 and ::
_URL = re.compile(r"(?P<domains>/.*/)?(?P<url>[a-z]+://[^/]*)", re.DOTALL)
_HOST = re.compile(r"\[(?P<v6>[^\[\]]*)\](?::(?P<port6>.*))?|(?P<v4>[^:\[\]]*)(?::(?P<port4>.*))?")
_PORTS = {Transport.UDP: DNS_PORT, Transport.TCP: DNS_PORT, Transport.TLS: TLS_PORT}


def server_rules(text: str) -> list[ServerRule]:
    """Return what one --server or --local says, a rule for each of its domains."""
    if url := _URL.fullmatch(text):
        domains, server = _domains(url["domains"] or "")[0], parse_url(url["url"])
        return [ServerRule(domain, match, server) for domain, match in domains]
    domains, rest = _domains(text)
    return _rules(domains, rest)


def rev_server_rules(text: str) -> list[ServerRule]:
    """Return what one --rev-server says: rules for all the reverse zones that make its network."""
    network, _, server = text.partition(",")
    domains = [(domain, Match.SUFFIX) for domain in _reverse_domains(network.strip(" "))]
    return _rules(domains, server.strip(" "))


def address_rules(text: str) -> list[AddressRule]:
    """Return what one --address says, a rule for each of its domains."""
    domains, rest = _domains(text)
    address = packed(rest)
    if rest and rest != "#" and address is None:
        raise ValueError("must end in an IP address, # or /")
    addresses = _ANY if rest == "#" else (address,) if address else ()
    return [AddressRule(domain, match, addresses) for domain, match in domains]


def parse_server(text: str) -> Server:
    """Return the server that `IP[#PORT][@INTERFACE][@SOURCE[#PORT]]` names."""
    host, _, source = (part.strip(" ") for part in text.partition("@"))
    source, source_port = _port_behind(source, 0)
    if host.startswith("["):
        address, port = _host_port(host.replace("]#", "]:"), DNS_PORT)
    else:
        host, port = _port_behind(host, DNS_PORT)
        address = _address(host)
    interface, at, source = source.rpartition("@")
    if (source_address := ip_text(source)) is None:
        if at:
            raise ValueError("the interface can only be given once, and the source must be an IP")
        interface = source
    elif (":" in source_address) is not (":" in address):
        raise ValueError("server and source must be of the same family")
    if len(interface) > _INTERFACE_MAX:
        raise ValueError(f"an interface has at most {_INTERFACE_MAX} characters")
    return Server(
        address,
        port,
        source=source_address or "",
        source_port=source_port,
        interface=interface.strip(" "),
    )


def parse_url(text: str) -> Server:
    """Return the server that `tcp://IP[:PORT]` or `tls://IP[:PORT]#NAME` names (RFC 8310 8.1)."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("tcp", "tls"):
        raise ValueError("must start with tcp:// or tls://, or be an IP address")
    transport = Transport(scheme)
    host, _, name = rest.partition("#")
    address, port = _host_port(host, _PORTS[transport])
    if transport is Transport.TCP and name:
        raise ValueError("a name behind # is for tls:// only")
    if transport is Transport.TLS and not _is_host_name(name):
        raise ValueError("must end in # and the host name that the server's certificate has")
    return Server(address, port, transport, name.lower())


def parse_nameserver(text: str) -> Server:
    """Return the server that `IP`, `IP:PORT`, `[IPv6]:PORT` or a URL as above names."""
    if "://" in text:
        return parse_url(text)
    address, port = _host_port(text, DNS_PORT)
    return Server(address, port)


def read_name(text: str) -> bytes:
    """Return a domain name of an option, folded, in wire form; there are no escapes in it."""
    if not text.isascii():
        raise ValueError("a name beyond ASCII must be given in its xn-- form")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("a name must not hold control characters")
    labels = text.removesuffix(".").lower().split(".")
    if not all(0 < len(label) <= names.MAX_LABEL for label in labels):
        raise ValueError("a name must be labels of 1 to 63 characters, joined by dots")
    try:
        return names.from_labels(label.encode() for label in labels)
    except names.BadNameError as error:
        raise ValueError(str(error)) from None


def packed(text: str) -> bytes | None:
    """Return an IP address as 4 or 16 octets; None: it is none."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
    return None


def _rules(domains: list[tuple[bytes, Match]], text: str) -> list[ServerRule]:
    server = parse_server(text) if text not in ("", "#") else None
    return [ServerRule(domain, match, server, text == "#") for domain, match in domains]


def _domains(text: str) -> tuple[list[tuple[bytes, Match]], str]:
    """Return the domains of `/d1/d2/rest`, the root if there are none, and the rest."""
    if not text.startswith("/"):
        return [(names.ROOT, Match.SUFFIX)], text.strip(" ")
    if text.count("/") < 2:
        raise ValueError("a domain must stand between slashes: /DOMAIN/SERVER")
    *domains, rest = (part.strip(" ") for part in text[1:].split("/"))
    return [_domain(domain) for domain in domains], rest


def _domain(text: str) -> tuple[bytes, Match]:
    if not text:
        return names.ROOT, Match.DOTLESS
    if text in ("#", "*") or not text.strip("."):
        return names.ROOT, Match.SUFFIX
    if text.startswith("*"):
        suffix = text[1:].removesuffix(".").lower()
        read_name(suffix.removeprefix("."))
        return suffix.encode(), Match.TEXT
    # The manual calls /.d/ equivalent to /d/, "for historical reasons".
    return read_name(text.lstrip(".")), Match.SUFFIX


def _reverse_domains(text: str) -> Iterator[bytes]:
    """Give the zones in in-addr.arpa or ip6.arpa that make up a network; bits beyond count not."""
    address, slash, digits = (part.strip(" ") for part in text.partition("/"))
    octets = packed(address)
    if octets is None:
        raise ValueError("must start with a network: IP or IP/LENGTH")
    bits, step, zone = (32, 8, "in-addr.arpa") if len(octets) == 4 else (128, 4, "ip6.arpa")
    if not re.fullmatch(r"[0-9]{1,3}" if slash else "", digits, re.ASCII):
        raise ValueError("the length behind / must be a number")
    length = int(digits) if slash else bits
    if not 1 <= length <= bits:
        raise ValueError(f"the length must be 1 to {bits}")
    count = -(-length // step)  # labels; the last one may be free in its lower bits
    free = count * step - length
    first = int.from_bytes(octets) >> (bits - length) << free
    for number in range(first, first + (1 << free)):
        parts = [number >> shift & ((1 << step) - 1) for shift in range(0, count * step, step)]
        labels = [str(part) if step == 8 else f"{part:x}" for part in parts]
        yield read_name(".".join([*labels, zone]))


def _address(text: str) -> str:
    """Return an IP address in its shortest form; one with an interface (fe80::1%eth0) keeps it."""
    bare, percent, scope = text.partition("%")
    address = ip_text(bare)
    if address is None or (percent and (":" not in address or not _SCOPE.fullmatch(scope))):
        if re.fullmatch(r"[0-9.]+:[0-9]+", text):
            raise ValueError("a port is written IP#PORT")
        raise ValueError(
            "must be an IP address; servers given by name work in stubDomains of the ConfigMap"
        )
    return f"{address}%{scope}" if percent else address


def _host_port(text: str, default: int) -> tuple[str, int]:
    """Return address and port of `IP`, `IP:PORT`, `[IPv6]` or `[IPv6]:PORT`."""
    if address := ip_text(text):
        return address, default
    found = _HOST.fullmatch(text)
    address = ip_text(found["v6"] or found["v4"] or "") if found else None
    if found is None or address is None or (found["v6"] and ":" not in address):
        raise ValueError(
            "must be IP, IP:PORT, [IPv6]:PORT, tcp://IP[:PORT] or tls://IP[:PORT]#NAME"
        )
    digits = found["port6"] if found["v6"] else found["port4"]
    port = default if digits is None else _port(digits)
    if not port:
        raise ValueError("the port must be a number from 1 to 65535")
    return address, port


def _port_behind(text: str, default: int) -> tuple[str, int]:
    """Split `text#PORT`; without # the port is the default, with nothing behind it 0 as there."""
    host, mark, digits = (part.strip(" ") for part in text.partition("#"))
    return host, _port(digits or "0") if mark else default


def _port(digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", digits, re.ASCII) or int(digits) > 65535:
        raise ValueError("the port must be a number from 0 to 65535")
    return int(digits)


def _is_host_name(text: str) -> bool:
    """Say whether a certificate can be checked against this name."""
    name = text.lower()
    return is_subdomain(name) and all(map(is_label, name.split("."))) and ip_text(name) is None
