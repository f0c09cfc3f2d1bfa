"""
What is asked, and the one answer that every resolver must give.

Where a resolver differs by its own rules, a `Difference` names it, with the reason and what it
gives instead: it is asserted too, so a resolver that changes its ways is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.clients.outside import MANY as MANY_OUTSIDE
from tests.clients.pod import MANY
from tests.clients.resolvers import FAILURE, NOTHING, Resolver

IN_PART = "a part"
"""An outcome: some of the addresses, but not all."""
SUFFIXES = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")


@dataclass(frozen=True, slots=True)
class Difference:
    """What some resolvers give instead, and why."""

    titles: Sequence[str]
    outcome: frozenset[str] | str
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """
    One lookup. kind: as resolvers.py has it; outcome: what is found, NOTHING or FAILURE.

    absolute: whether it needs no search list. but: who differs.
    """

    name: str
    outcome: frozenset[str] | str
    kind: str = "addresses"
    absolute: bool = False
    but: Sequence[Difference] = field(default=())

    def __str__(self) -> str:
        return self.name if self.kind == "addresses" else f"{self.name} {self.kind}"

    def difference(self, resolver: Resolver) -> Difference | None:
        """Return in what this resolver differs, if it does."""
        return next((each for each in self.but if resolver.title in each.titles), None)

    def expected(self, resolver: Resolver) -> frozenset[str] | str:
        """Return what this resolver must give."""
        if difference := self.difference(resolver):
            return difference.outcome
        if not self.absolute and self.kind not in resolver.searches:
            return NOTHING
        return self.outcome

    def walk(self) -> list[str]:
        """Return the names that may be asked for this one: those of the search list, and it."""
        name = self.name.lower()
        if name.endswith("."):
            return [name[:-1]]
        return [*(f"{name}.{suffix}" for suffix in SUFFIXES), name]


def _all(found: Mapping[str, str], **rest: object) -> Iterable[Question]:
    for name, outcome in found.items():
        words = outcome if outcome in (NOTHING, FAILURE) else frozenset(outcome.split())
        yield Question(name, words, **rest)  # type: ignore[arg-type]


_WEB = "10.96.20.1"
_SHOP = "shop.svc.cluster.local"
_SHORT = {
    "web": "10.96.30.1 fd00:10:96::3001",
    "kubernetes": "10.96.0.1",
    "db": "10.244.1.30 10.244.2.30",
    "db-1.db": "10.244.2.30",
    "WeB": "10.96.30.1 fd00:10:96::3001",
    "web.shop": _WEB,
    "WEB.Shop": _WEB,
    "dual.shop": "10.96.20.3 fd00:10:96::2003",
    "six.shop": "fd00:10:96::6",
    "stock.shop": "10.244.1.10 10.244.2.10",
    "stock-0.stock.shop": "10.244.1.10",
    "10-244-1-20.search.shop": "10.244.1.20",
    "search.shop": "10.244.1.20 10.244.2.20 fd00:10:244:1::20 fd00:10:244:2::20",
    "legacy.shop": "198.51.100.90 198.51.100.91",
    "web.shop.svc": _WEB,
    "store.shop": _WEB,
    "payments.shop": "192.0.2.80 2001:db8::80",
    "partner": "192.0.2.90 2001:db8::90",
}
_FULL = {
    f"web.{_SHOP}": _WEB,
    f"web.{_SHOP}.": _WEB,
    "WEB.Shop.SVC.Cluster.LOCAL.": _WEB,
    f"store.{_SHOP}.": _WEB,
    "partner.default.svc.cluster.local.": "192.0.2.90 2001:db8::90",
    "10-244-1-20.shop.pod.cluster.local.": "10.244.1.20",
    "www.example.com": "192.0.2.80 2001:db8::80",
    "www.example.com.": "192.0.2.80 2001:db8::80",
    "four.example.com": "192.0.2.4",
    "six.example.com": "2001:db8::6",
    "chain.example.com": "192.0.2.90 2001:db8::90",
    "into.example.com.": _WEB,
    "intranet": "192.0.2.99",
}
_NONE = {
    "nope": NOTHING,
    "nope.shop": NOTHING,
    "idle.shop": NOTHING,
    f"nope.{_SHOP}.": NOTHING,
    f"{_SHOP}.": NOTHING,
    "broken-alias": NOTHING,
    "nope.example.com": NOTHING,
    "nope.example.com.": NOTHING,
}
_SRV = {
    f"_mysql._tcp.stock.{_SHOP}.":
        f"10:50:3306:stock-0.stock.{_SHOP} 10:50:3306:stock-1.stock.{_SHOP}",
    "_dns._udp.kube-dns.kube-system.svc.cluster.local.":
        "10:100:53:kube-dns.kube-system.svc.cluster.local",
    "_sip._tcp.example.com.": "10:60:5060:sip.example.com",
    f"_nope._tcp.web.{_SHOP}.": NOTHING,
}  # fmt: skip
_SHORT_SRV = {"_http._tcp.web.shop": f"10:100:80:web.{_SHOP}"}
_REVERSE = {
    "10.244.1.10": f"stock-0.stock.{_SHOP}",
    "10.96.30.1": "web.default.svc.cluster.local",
    "fd00:10:96::2003": f"dual.{_SHOP}",
    "fd00:10:244:1::20": f"fd00-10-244-1--20.search.{_SHOP}",
    "192.0.2.80": "www.example.com",
    "192.0.2.81": NOTHING,
}

_MANY = "many.default.svc.cluster.local"
_CUT = Difference(
    ["musl"],
    IN_PART,
    "musl before 1.2.4 asks without EDNS and never by TCP: it takes what fits into 512 octets",
)
_ODD = [
    Question(
        "shop",
        frozenset({"192.0.2.66"}),
        absolute=True,
        but=[Difference(["musl"], NOTHING, "ends its walk at the namespace, which is NODATA")],
    ),
    Question("many", frozenset(MANY), but=[_CUT]),
    Question("many.example.com.", frozenset(MANY_OUTSIDE), absolute=True, but=[_CUT]),
    Question(
        f"_http._tcp.{_MANY}.",
        frozenset(f"10:1:80:{each.replace('.', '-')}.{_MANY}" for each in MANY),
        kind="srv",
        absolute=True,
        but=[_CUT],
    ),
]

QUESTIONS = [
    *_all(_SHORT),
    *_all(_FULL, absolute=True),
    *_all(_NONE),
    *_all(_SHORT_SRV, kind="srv"),
    *_all(_SRV, kind="srv", absolute=True),
    *_all(_REVERSE, kind="reverse", absolute=True),
    *_ODD,
]
