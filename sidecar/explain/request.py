"""A query string of /explain becomes an Asked, or one line that says what is wrong with it."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kubedns.errors import KubednsError
from kubedns.nameserver import ip_text, is_label, quote
from kubedns.wire import name as names
from sidecar.explain.resolv import NDOTS
from sidecar.explain.walk import ADDRESSES

ADDRESS = "addresses"
TYPES = (
    *ADDRESSES, "SRV", "PTR", "TXT", "CNAME", "MX", "NS", "SOA", "CAA", "NAPTR", "HTTPS", "SVCB",
    "DS", "DNSKEY", "HINFO", "ANY",
)  # fmt: skip
_MAX_TEXT = 1024  # 255 octets, each of which may be an escape of four characters
_MAX_DOMAINS = 64
_MAX_NDOTS = 99
_MAX_SERVERS = 99


class RequestError(KubednsError):
    """What was asked for cannot be; str() names the parameter, in one line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What to explain.

    name: as a program would give it to its resolver, with or without the final dot. type: of the
    record, or `addresses`. asked_from: a pod's IP address, a namespace, or empty. search: with
    final dots, None: as the kubelet writes it. servers: lines `nameserver`, 0: not known. live:
    whether to ask the servers directly too.
    """

    name: str
    type: str = ADDRESS
    asked_from: str = ""
    search: tuple[str, ...] | None = None
    ndots: int | None = None
    servers: int = 0
    live: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types that are asked for at the same time."""
        return ADDRESSES if self.type == ADDRESS else (self.type,)

    @property
    def dots(self) -> int:
        """Return ndots, that of the kubelet if none was given."""
        return NDOTS if self.ndots is None else self.ndots


def read(query: Mapping[str, str]) -> Asked:
    """
    Return what a query string asks for; name, type, from, search, ndots, servers, try.

    An IP address as name without a type is its PTR record.

    Raises:
        RequestError: see there.
    """
    text = query.get("name", "").strip()
    rtype = _type(query.get("type", ""))
    if (address := ip_text(text)) is not None and rtype in (ADDRESS, "PTR"):
        text, rtype = reverse(address), "PTR"
    search = query.get("search", "").strip()
    return Asked(
        name=_name("name", text),
        type=rtype,
        asked_from=_from(query.get("from", "").strip()),
        search=_search(search) if search else None,
        ndots=_number("ndots", query.get("ndots", ""), _MAX_NDOTS),
        servers=_number("servers", query.get("servers", ""), _MAX_SERVERS) or 0,
        live=query.get("try", "") not in ("", "0", "false", "no"),
    )


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    return ip_text(text) is not None


def reverse(address: str) -> str:
    """Return the name under which the PTR records of an IP address stand."""
    return f"{ipaddress.ip_address(address).reverse_pointer}."


def _name(parameter: str, text: str) -> str:
    if not text:
        raise RequestError(f"{parameter}: what name? for example {parameter}=web.prod")
    if len(text) > _MAX_TEXT:
        raise RequestError(f"{parameter}: {len(text)} characters are too many for a name")
    if "/" in text or ":" in text:
        raise RequestError(f"{parameter}: {quote(text)} is more than a name: no port, no URL")
    try:
        wire = names.from_text(text)
    except names.BadNameError:
        raise RequestError(f"{parameter}: {quote(text)} is no domain name") from None
    # As everywhere in what we show; the final dot means something, and stays as it was.
    said = names.to_text(wire).lower()
    return said if text.endswith(".") else said.rstrip(".")


def _type(text: str) -> str:
    said = text.strip().upper()
    if said in ("", ADDRESS.upper(), "A,AAAA", "A+AAAA", "A AAAA"):
        return ADDRESS
    if said in TYPES or (re.fullmatch(r"TYPE[0-9]{1,5}", said) and int(said[4:]) < 65536):
        return said
    raise RequestError(f"type: {quote(text)} is none of {ADDRESS}, {', '.join(TYPES)}, TYPE123")


def _from(text: str) -> str:
    if not text:
        return ""
    found = ip_text(text)
    if found is None and not is_label(text):
        raise RequestError(f"from: {quote(text)} is neither an IP address nor a namespace")
    return found or text


def _search(text: str) -> tuple[str, ...]:
    words = [each for each in re.split(r"[,\s]+", text) if each]
    if len(words) > _MAX_DOMAINS:
        raise RequestError(f"search: {len(words)} domains, more than {_MAX_DOMAINS}")
    domains = (_name("search", each) for each in words)
    return tuple(each if each.endswith(".") else f"{each}." for each in domains)


def _number(parameter: str, text: str, most: int) -> int | None:
    said = text.strip()
    if not said:
        return None
    if not re.fullmatch(r"[0-9]{1,3}", said, re.ASCII) or int(said) > most:
        raise RequestError(f"{parameter}: {quote(text)} is no whole number from 0 to {most}")
    return int(said)
