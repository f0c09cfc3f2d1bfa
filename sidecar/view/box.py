"""The form that asks why a name does not resolve: what stands in its fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from sidecar.view.told import plain

_LONGEST = 1100  # a name in escapes, and some more
_TYPES = ("A", "AAAA", "SRV", "PTR", "TXT", "CNAME", "MX", "NS", "SOA", "HTTPS")
_FIELDS = ("name", "type", "from", "search", "ndots", "servers", "try")


@dataclass(frozen=True, slots=True)
class Box:
    """
    The form. type: empty: A and AAAA together; types: those to choose from.

    asked_from: a namespace or a pod's address. search, ndots, servers: of resolv.conf; servers: how
    many there are. live: servers are to be asked. more: there is something in the folded fields.
    query: the same as a query string, without what is empty.
    """

    name: str
    type: str
    types: tuple[str, ...]
    asked_from: str
    search: str
    ndots: str
    servers: str
    live: bool
    more: bool
    query: str


def box(form: Mapping[str, str]) -> Box:
    """Return the form as it was sent; empty: as it is seen first."""
    rtype = _field(form, "type").upper()
    rtype = "" if rtype == "ADDRESSES" else rtype
    search, ndots, servers = (_field(form, each) for each in ("search", "ndots", "servers"))
    live = _field(form, "try") not in ("", "0", "false", "no")
    return Box(
        name=_field(form, "name"),
        type=rtype,
        types=_TYPES if rtype in ("", *_TYPES) else (*_TYPES, rtype),
        asked_from=_field(form, "from"),
        search=search,
        ndots=ndots,
        servers=servers,
        live=live,
        more=bool(search or ndots or servers or live),
        query=urlencode(
            {key: form[key][:_LONGEST] for key in _FIELDS if form.get(key)}, errors="replace"
        ),
    )


def _field(form: Mapping[str, str], key: str) -> str:
    return plain(form.get(key, "").strip(), _LONGEST)
