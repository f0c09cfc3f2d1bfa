"""
The addresses of stub servers that are given by host name.

What was found is used for its TTL, at least 5 s and at most 5 min. When it is too old, or nothing
could be found, the last good addresses go on being used until there are others.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

MIN_AGE_S = 5.0
MAX_AGE_S = 300.0
MAX_ADDRESSES = 8


@dataclass(slots=True)
class _Host:
    addresses: tuple[str, ...]
    look_up_at: float


class Hosts:
    """Addresses by host name; now: monotonic seconds."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}

    def addresses(self, name: str) -> tuple[str, ...]:
        """Return what is known."""
        host = self._hosts.get(name)
        return host.addresses if host else ()

    def is_due(self, name: str, now: float) -> bool:
        """Tell whether the name should be looked up (again)."""
        host = self._hosts.get(name)
        return host is None or now >= host.look_up_at

    def found(self, name: str, addresses: Iterable[str], ttl: float, now: float) -> None:
        """Take the result of a look-up; no addresses: it failed, and those known stay."""
        some = tuple(dict.fromkeys(addresses))[:MAX_ADDRESSES]
        age = min(max(ttl, MIN_AGE_S), MAX_AGE_S) if some else MIN_AGE_S
        self._hosts[name] = _Host(some or self.addresses(name), now + age)

    def retain(self, names: Collection[str]) -> None:
        """Forget all other names."""
        self._hosts = {name: host for name, host in self._hosts.items() if name in names}
