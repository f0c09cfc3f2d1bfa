"""
Records as options spell them: --host-record, --cname, --txt-record, --srv-host, --ptr-record.

The grammar is that of dnsmasq 2.90. Each function raises ValueError with the reason, in words
that follow "invalid value ...: ".
"""

import os
import re

from dnsmasq_py.quoting import items, reveal
from dnsmasq_py.servertext import packed, read_name
from kubedns.wire import name as names

HostRecord = tuple[tuple[bytes, ...], tuple[bytes, ...], int | None]
Cname = tuple[bytes, bytes, int | None]
Txt = tuple[bytes, tuple[bytes, ...]]
Srv = tuple[bytes, bytes, int, int, int]
Ptr = tuple[bytes, bytes]

NUMBER_MAX = 2**31 - 1
_STRING_MAX = 255
_TEXT_MAX = 65000  # octets, what surely fits into one record (RFC 1035 3.2.1)


def host_record(text: str) -> HostRecord:
    """
    Return names, packed addresses and TTL of `NAME,...,IP,...[,TTL]`, in any order.

    As there, the last address of each family counts.
    """
    found: list[bytes] = []
    addresses: dict[int, bytes] = {}
    ttl = None
    parts = items(text)
    if len(parts) < 2:
        raise ValueError("must be NAME,IP")
    for item in parts:
        if _is_number(item):
            ttl = whole(item)
        elif address := packed(item):
            addresses[len(address)] = address
        else:
            found.append(read_name(item))
    if not found or not addresses:
        raise ValueError("must have a name and an address")
    return tuple(found), tuple(addresses[size] for size in sorted(addresses)), ttl


def cnames(text: str) -> list[Cname]:
    """Return a row for each alias of `ALIAS,...,TARGET[,TTL]`."""
    parts = items(text)
    ttl = None
    # Of two words the second is the target, even if it is a number.
    if len(parts) > 2 and _is_number(parts[-1]):
        ttl = whole(parts.pop())
    if len(parts) < 2:
        raise ValueError("must be ALIAS,TARGET")
    target = read_name(parts[-1])
    return [(read_name(alias), target, ttl) for alias in parts[:-1]]


def looping(rows: list[Cname]) -> bytes | None:
    """Return an alias that leads to itself, if there is one."""
    targets = {alias: target for alias, target, _ in rows}
    for start in targets:
        seen = set()
        name = start
        while name in targets and name not in seen:
            seen.add(name)
            name = targets[name]
        if name in seen:
            return name
    return None


def txt(text: str) -> Txt:
    """Return name and strings of `NAME[,TEXT,...]`; longer strings are cut into 255 octets."""
    name, _, rest = text.partition(",")
    strings: list[bytes] = []
    for part in rest.lstrip(" ").split(","):
        octets = os.fsencode(reveal(part))
        cuts = range(0, max(len(octets), 1), _STRING_MAX)
        strings += [octets[cut : cut + _STRING_MAX] for cut in cuts]
    if sum(map(len, strings)) + len(strings) > _TEXT_MAX:
        raise ValueError(f"must be at most {_TEXT_MAX} octets")
    return read_name(reveal(name.strip(" "))), tuple(strings)


def srv(text: str) -> Srv:
    """Return name, target, port, priority and weight; without target: no such service."""
    name, *rest = items(text)
    if len(rest) > 4:
        raise ValueError("must be NAME[,TARGET[,PORT[,PRIORITY[,WEIGHT]]]]")
    target = read_name(rest[0]) if rest and rest[0] else names.ROOT
    numbers = [whole(item, 0, 65535) for item in rest[1:]]
    port, priority, weight = numbers + [1, 0, 0][len(numbers) :]
    return read_name(name), target, port, priority, weight


def in_domain(row: Srv, domain: bytes) -> Srv:
    """Put the domain of --domain behind a name of two labels, as `_http._tcp`."""
    name, target, port, priority, weight = row
    labels = names.labels(name)
    if len(labels) == 2:
        name = names.from_labels((*labels, *names.labels(domain)))
    return name, target, port, priority, weight


def ptr(text: str) -> Ptr:
    """Return name and target of `NAME[,TARGET]`; without target the root, as there."""
    name, *rest = items(text)
    if len(rest) > 1:
        raise ValueError("must be NAME,TARGET")
    return read_name(name), read_name(rest[0]) if rest and rest[0] else names.ROOT


def whole(text: str, low: int = 0, high: int = NUMBER_MAX) -> int:
    """Return a number of decimal digits; none at all are 0, as in dnsmasq."""
    digits = text.lstrip("0")
    number = int(digits or "0") if re.fullmatch(r"[0-9]{0,18}", digits, re.ASCII) else -1
    if not low <= number <= high:
        raise ValueError(f"must be a whole number from {low} to {high}")
    return number


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]+", text, re.ASCII) is not None
