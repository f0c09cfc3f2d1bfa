"""
GET /explain?name=&type=&try=: what becomes of a question, as JSON.

{"name", "type", "rule", "local", "cache", "cut_by", "failure", "in_flight", "upstreams", "live"};
local: what is answered here, like `cache` without ages. live: null unless it was asked for.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, succeed

from dnsmasq_py.explain import held, rule, texts
from dnsmasq_py.explain.live import Found, Live
from dnsmasq_py.explain.rule import Origins, Rule
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.local import LocalAnswer
from dnsmasq_py.question import Question
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.server import Server
from kubedns.serve import http
from kubedns.wire import name as names
from kubedns.wire import rr

Tree = dict[str, Any]
_FLAGS = {"": False, "0": False, "1": True}
BUSY = http.Page("try: too many tries are under way, ask again in a moment\n", 429)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be explained: name in wire form as it was written; tries: ask servers, too."""

    name: bytes
    qtype: int
    tries: bool

    @property
    def folded(self) -> bytes:
        """Return the name in lower case."""
        return self.name.lower()

    def text(self) -> str:
        """Write it as a query string's values, for another process."""
        return f"{texts.type_text(self.qtype)} {names.to_text(self.name)}"


def asked(query: Mapping[str, str]) -> "Asked | http.Page":
    """Read the query string; a page: what is wrong with it."""
    if not query.get("name"):
        return http.bad_request("name: which name is to be explained?")
    try:
        name = names.from_text(query["name"])
    except names.BadNameError as error:
        return http.bad_request(f"name: {error}")
    qtype = texts.type_number(query.get("type") or "A")
    if qtype is None or qtype in (rr.OPT, rr.IXFR, rr.AXFR):
        return http.bad_request(f"type: not a type that can be asked for: {query['type'][:40]}")
    tries = _FLAGS.get(query.get("try", ""))
    if tries is None:
        return http.bad_request("try: must be 0 or 1")
    return Asked(name, qtype, tries)


def read(text: str) -> Asked:
    """Read what `Asked.text` wrote."""
    rtype, _, name = text.partition(" ")
    return Asked(names.from_text(name), texts.type_number(rtype) or rr.A, tries=False)


class Account:
    """Explains by one process. origins: what the routes were made of, at the moment."""

    def __init__(self, forwarder: Forwarder, live: Live, origins: Callable[[], Origins]) -> None:
        self._forwarder = forwarder
        self._live = live
        self._origins = origins

    def page(self, query: Mapping[str, str]) -> "http.Page | Deferred[http.Page]":
        """Return the page."""
        found = asked(query)
        if isinstance(found, http.Page):
            return found
        if found.tries and self._live.is_busy:
            return BUSY
        return self.tried(found).addCallback(lambda live: shown(self.known(found) | {"live": live}))

    def known(self, question: Asked) -> Tree:
        """Return all but the tries."""
        forwarder = self._forwarder
        folded, qtype = question.folded, question.qtype
        now = forwarder.clock()
        origins = self._origins()
        taken = rule.takes(forwarder, origins, folded, qtype)
        return {
            "name": names.to_text(question.name),
            "type": texts.type_text(qtype),
            "rule": taken.shown(),
            "local": _local(taken.local, qtype),
            "cache": held.cache(forwarder, folded, qtype, now),
            "cut_by": held.cut_by(forwarder, folded, qtype, now),
            "failure": held.failure(forwarder, folded, qtype, now),
            "in_flight": held.in_flight(forwarder, folded, qtype),
            "upstreams": _upstreams(_rules(taken), origins, now),
            "live": None,
        }

    @property
    def is_busy(self) -> bool:
        """Tell whether no more servers are asked just now."""
        return self._live.is_busy

    def tried(self, question: Asked) -> "Deferred[list[Found] | None]":
        """Ask the servers of the rule, if that is wanted."""
        if not question.tries:
            return succeed(None)
        taken = rule.takes(self._forwarder, self._origins(), question.folded, question.qtype)
        return self._try(question, taken)

    def _try(self, question: Asked, taken: Rule) -> "Deferred[list[Found] | None]":
        route = taken.route
        if route is None:  # answered here, perhaps with an alias that leads elsewhere
            if taken.then is None or taken.local is None or taken.local.onward is None:
                return succeed([])
            target = Asked(taken.local.onward, question.qtype, tries=True)
            return self._try(target, taken.then)
        asking = self._live.ask(
            route.servers, self._question(question, route), plain=self._plain(route)
        )
        return asking.addCallback(self._onward, question, taken)

    def _onward(
        self, found: list[Found], question: Asked, taken: Rule
    ) -> "list[Found] | Deferred[list[Found] | None]":
        """Ask on where kubedns refused, as for clients."""
        refused = all(each["rcode"] == "REFUSED" for each in found)
        if taken.then is None or taken.then.route is None or not refused or self._live.is_busy:
            return found
        more = self._try(question, taken.then)
        return more.addCallback(lambda others: [*found, *(others or ())])

    def _question(self, question: Asked, route: Route) -> Question:
        octets = question.name + question.qtype.to_bytes(2) + rr.IN.to_bytes(2)
        rd = not (route.cluster and self._forwarder.cluster_is_ours)
        return Question(octets, question.folded, question.qtype, do=False, cd=False, rd=rd)

    def _plain(self, route: Route) -> frozenset[Server]:
        now = self._forwarder.clock()
        upstreams = () if route.group is None else route.group.upstreams
        return frozenset(each.server for each in upstreams if each.habits.plain_until > now)


def shown(tree: Tree) -> http.Page:
    """Return the page of an account."""
    return http.Page(json.dumps(tree, indent=1) + "\n", media_type=http.JSON)


def _rules(taken: Rule) -> list[Rule]:
    return [taken, *(_rules(taken.then) if taken.then is not None else ())]


def _local(found: LocalAnswer | None, qtype: int) -> Tree | None:
    if found is None:
        return None
    rdatas = [
        texts.rdata(rrset.type, rdata)
        for rrset in found.answer
        for rdata in rrset.rdatas
        if rrset.type != rr.CNAME or qtype in (rr.CNAME, rr.ANY)
    ]
    chain = [
        f"{names.to_text(rrset.owner)} CNAME {names.to_text(rrset.rdatas[0])}"
        for rrset in found.answer
        if rrset.type == rr.CNAME and qtype not in (rr.CNAME, rr.ANY)
    ]
    return {
        "rcode": texts.rcode_text(found.rcode),
        "answers": rdatas[: texts.MAX_ANSWERS],
        "answer_count": len(rdatas),
        "chain": chain[: texts.MAX_ANSWERS],
        "ede": None if found.error is None else {"code": found.error[0], "text": found.error[1]},
    }


def _upstreams(rules: Sequence[Rule], origins: Origins, now: float) -> list[Tree]:
    """Return each server once, though several rules name it; those that are not asked last."""
    routes = [each.route for each in rules if each.route is not None]
    found = [held.upstream(u, now) for r in routes if r.group for u in r.group.upstreams]
    if any(route.kind is Kind.DEFAULT for route in routes):
        found += map(held.looping, origins.looping)
    return list({each["server"]: each for each in found}.values())
