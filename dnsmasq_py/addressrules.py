"""
--address: addresses for whole domains.

A question for an address takes the most specific rule that has one of its type. `#` stands for
0.0.0.0 and ::, and gives way to an address of the type that the same domain has (dnsmasq 2.90).
"""

from collections.abc import Iterable

from dnsmasq_py.domains import Domains, Key
from dnsmasq_py.rules import AddressRule
from kubedns.wire import rr

_TYPES = {4: rr.A, 16: rr.AAAA}
_UNSPECIFIED = {rr.A: bytes(4), rr.AAAA: bytes(16)}
_Addresses = dict[int, tuple[bytes, ...]]  # by type


class AddressRules:
    """
    The rules with addresses; those without are routes (routing.py). False if there are none.

    ttl: that of all their records.
    """

    def __init__(self, rules: Iterable[AddressRule], ttl: int) -> None:
        self._ttl = ttl
        table: dict[Key, _Addresses] = {}
        unspecified = []
        for rule in rules:
            if not rule.addresses:
                continue
            addresses = table.setdefault((rule.domain, rule.match), {})
            if set(rule.addresses) == set(_UNSPECIFIED.values()):
                unspecified.append(addresses)
                continue
            for address in rule.addresses:
                rtype = _TYPES[len(address)]
                addresses[rtype] = tuple(dict.fromkeys((*addresses.get(rtype, ()), address)))
        for addresses in unspecified:
            for rtype, address in _UNSPECIFIED.items():
                addresses.setdefault(rtype, (address,))
        self._domains = Domains(table)
        self._some = bool(table)

    def __bool__(self) -> bool:
        return self._some

    def find(self, folded: bytes, qtype: int) -> tuple[int, tuple[rr.RRset, ...]]:
        """Return the addresses of a name and how specific their rule is; qtype: A, AAAA or ANY."""
        for rank, addresses in self._domains.matches(folded):
            found = tuple(
                rr.RRset(folded, rtype, self._ttl, rdatas)
                for rtype, rdatas in addresses.items()
                if qtype in (rtype, rr.ANY)
            )
            if found:
                return rank, found
        return 0, ()

    def rank(self, folded: bytes) -> int | None:
        """Return how specific the rule is that a name falls under; None: there is none."""
        matches = self._domains.matches(folded)
        return matches[0][0] if matches else None
