"""What is in the cluster: names, and what they should be answered with.  No IO."""

from __future__ import annotations

from collections.abc import Iterator

from tests.soak.history import History
from tests.soak.questions import (
    AAAA,
    MISSING,
    NODATA,
    OUTSIDE,
    PTR,
    SRV,
    STUB,
    Answer,
    Key,
    data,
    foreign,
)

ZONE = "cluster.local"
NS = "soak"
STEADY, SETS, POOL, FLIPS, ALIASES, FIRSTS, CHURNED = 60, 12, 6, 12, 6, 40, 8
BACKWARD = 2  # of a pool: what is missing backwards is asked outside each time
EXTERNAL = f"ext.{OUTSIDE}"


def name(label: str, ns: str = NS) -> str:
    return f"{label}.{ns}.svc.{ZONE}"


def reverse(address: str) -> Key:
    return Key(f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa", PTR)


def stub_answers(world: int | None) -> dict[Key, Answer]:
    """Return what holds of the stub domain while one of its servers, from 0, serves it."""
    keys = [Key(f"git-{number}.{STUB}") for number in range(6)]
    if world is None:
        return dict.fromkeys(keys, MISSING)
    return {key: foreign(key.name, world + 1) for key in keys}


def steady(number: int) -> str:
    return f"10.0.16.{number + 1}"


def pool(number: int) -> list[str]:
    return [f"10.100.{number}.{last}" for last in range(1, POOL + 1)]


def first(number: int) -> Key:
    return Key(name("first", f"soak-{number}"))


def _dashed(address: str) -> str:
    return address.replace(".", "-")


def of_service(label: str, address: str | None) -> dict[Key, Answer]:
    own = name(label)
    keys = Key(own), Key(own, AAAA), Key(f"_http._tcp.{own}", SRV)
    if address is None:
        return dict.fromkeys(keys, MISSING)
    found = dict(zip(keys, (data(address), NODATA, data(f"80 {own}")), strict=True))
    if label.startswith("steady"):
        found[reverse(address)] = data(own)
    return found


def of_set(number: int, chosen: list[str]) -> dict[Key, Answer]:
    own = name(f"set-{number}")
    found = {
        Key(own): data(*chosen) if chosen else MISSING,
        Key(own, AAAA): NODATA if chosen else MISSING,
        Key(f"_http._tcp.{own}", SRV): data(*(f"8080 {_dashed(each)}.{own}" for each in chosen))
        if chosen
        else MISSING,
    }
    for address in pool(number):
        target = f"{_dashed(address)}.{own}"
        found[Key(target)] = data(address) if address in chosen else MISSING
        if address in pool(number)[:BACKWARD]:
            found[reverse(address)] = data(target) if address in chosen else MISSING
    return found


def of_alias(target: str) -> Answer:
    if target.endswith(OUTSIDE):
        _, addresses = foreign(target)
    else:
        addresses = frozenset({steady(int(target.split(".")[0].removeprefix("steady-")))})
    return data(f"={target}", *addresses)


def keys_of(history: History) -> Iterator[Key]:
    """Yield what to ask, those that never change first."""
    yield from sorted(history, key=lambda key: not key.name.startswith("steady"))
