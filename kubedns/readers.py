"""
The text of one setting becomes its value: what may stand behind a flag.

Every reader takes the text and returns the value. Its ValueError says what the text must
be, in words that follow "invalid value ... for --flag:", so it names neither.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from kubedns.nameserver import (
    SUBDOMAIN_MAX,
    Nameserver,
    NameserverError,
    is_label,
    is_subdomain,
    parse_nameserver,
    quote,
    split_host_port,
)

E = TypeVar("E", bound=StrEnum)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What strconv.ParseBool takes.
_BOOLS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True)
_BOOLS |= dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)

_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "\N{MICRO SIGN}s": 1e-6,
    "\N{GREEK SMALL LETTER MU}s": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_DURATION_PART = re.compile(rf"([0-9]+\.?[0-9]*|\.[0-9]+)({'|'.join(_UNITS_S)})")
_DURATION_MAX_S = 2**63 / 1e9  # Go counts nanoseconds in an int64.


def read_bool(text: str) -> bool:
    """Return a boolean in the spellings Go takes."""
    if text not in _BOOLS:
        raise ValueError("must be true or false")
    return _BOOLS[text]


def int_between(low: int, high: int) -> Callable[[str], int]:
    """
    Return a reader of whole numbers from `low` to `high`.

    Decimal, or with Go's prefix 0x, 0o or 0b. Go also reads 010 as octal, which nobody
    means: that is refused.
    """

    def read(text: str) -> int:
        try:
            number = int(text, 0) if re.fullmatch(r"[-+]?\w+", text, re.ASCII) else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return read


def read_duration(text: str) -> float:
    """Return the seconds of a Go duration that is not negative: 10s, 1m30s, 100ms, 1.5h, 0."""
    unsigned = text.removeprefix("+")
    if unsigned == "0":
        return 0.0
    parts = _DURATION_PART.findall(unsigned)
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        raise ValueError("must be a duration with its unit, such as 10s, 1m30s, 100ms or 0")
    if seconds >= _DURATION_MAX_S:
        raise ValueError("must be less than 292 years")
    return seconds


def one_of(choices: type[E]) -> Callable[[str], E]:
    """Return a reader of the values of an enumeration."""

    def read(text: str) -> E:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"must be one of {', '.join(choices)}") from None

    return read


def read_port(text: str) -> int:
    """Return a port; what 0 means is said where it is used."""
    return int_between(0, 65535)(text)


def read_optional_port(text: str) -> int | None:
    """Return a port, None for an empty text."""
    return read_port(text) if text else None


def read_zone(text: str) -> str:
    """Return a domain of lower-case RFC 1123 labels, without its trailing dot."""
    zone = text.removesuffix(".")
    for label in zone.split("."):
        if not is_label(label):
            raise ValueError(
                f"label {quote(label)} is not 1 to 63 of a-z, 0-9 and -, with no - at its ends"
            )
    if len(zone) > SUBDOMAIN_MAX:
        raise ValueError(f"must be at most {SUBDOMAIN_MAX} characters")
    return zone


def read_bind_address(text: str) -> str:
    """Return an IP address; as for the original an empty text means all addresses."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare)) if text else "0.0.0.0"
    except ValueError:
        raise ValueError("must be an IP address") from None


def read_url(text: str, environ: Mapping[str, str]) -> str:
    """Return an http or https URL with $NAME and ${NAME} replaced; empty stays empty."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if not environ.get(name):
            raise ValueError(f"environment variable {name} is not set")
        return environ[name]

    if not text:
        return ""
    url = re.sub(r"\$(?:\{(\w+)\}|(\w+))", value_of, text)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("host or port cannot be read; an IPv6 address needs brackets") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"\s", url):
        raise ValueError("must have a scheme, http or https, and a host")
    return url


def read_nameservers(text: str) -> tuple[Nameserver, ...]:
    """Return the servers of a comma list, none for an empty text."""
    items = text.split(",") if text else []
    try:
        return tuple(parse_nameserver(item.strip()) for item in items)
    except NameserverError as error:
        raise ValueError(str(error)) from None


def read_network(text: str) -> Network:
    """Return the network of an address with a prefix length that covers all its set bits."""
    address, slash, length = text.partition("/")
    try:
        if not (slash and length.isdigit()) or "%" in address:
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8 or fd00::/8") from None
    if ipaddress.ip_address(address) != network.network_address:
        raise ValueError(f"has bits set beyond its prefix, did you mean {network}?")
    return network


def read_object_name(text: str) -> str:
    """Return the name of an API object, empty for none."""
    if text and not is_subdomain(text):
        raise ValueError("must be the name of an object, lower case")
    return text


def read_service(text: str) -> tuple[str, str]:
    """Return namespace and name."""
    namespace, _, name = text.partition("/")
    if not (is_label(namespace) and is_label(name)):
        raise ValueError("must be namespace/name of a service")
    return namespace, name


def read_status_address(text: str) -> tuple[str, int] | None:
    """Return a loopback address and a port (0: any free one); None for an empty text."""
    if not text:
        return None
    host, port = split_host_port(text)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
        number = read_port(port)
    except ValueError:
        raise ValueError("must be IP:port, an IPv6 address in brackets") from None
    if not loopback:
        raise ValueError("must be a loopback address, 127.0.0.1 or [::1]")
    return str(ipaddress.ip_address(host)), number


def read_listener(text: str) -> tuple[str, int] | None:
    """Return the address and port of a listener of ours; None for `off`."""
    if text == "off":
        return None
    host, port = split_host_port(text)
    try:
        address = ipaddress.ip_address(host)
        number = read_port(port)
    except ValueError:
        raise ValueError("must be IP:port, an IPv6 address in brackets, or off") from None
    if address.is_unspecified or address.is_multicast or not number or "%" in host:
        raise ValueError("must be the address and port of one listener")
    return str(address), number


def read_path(text: str) -> str:
    """Return the path of a file or folder; whether it exists is not looked at."""
    if not text:
        raise ValueError("must be a path")
    return text


def read_http_path(text: str) -> str:
    """Return the path of a page."""
    if not re.fullmatch(r"/[!-~]*", text):
        raise ValueError("must start with / and hold no spaces")
    return text


def read_metric_word(text: str) -> str:
    """Return a word that the name of a metric may start with."""
    if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text):
        raise ValueError("must be letters, digits and _, with no digit in front")
    return text
