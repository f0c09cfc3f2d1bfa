"""Explanations of a cluster that a test makes up: the other processes are fakes, nothing waits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from twisted.internet.defer import Deferred, succeed

from sidecar.ask import Answer
from sidecar.explain import request
from sidecar.explain.inquiry import Around, Inquiry
from sidecar.explain.shapes import Explanation
from sidecar.fetch import Page

ZONE = "cluster.local."
ADDRESSES = {"A": "192.0.2.1", "AAAA": "2001:db8::1"}


@dataclass
class Name:
    """
    What is said about a name, to each type alike unless `only` names the one that has records.

    rcode: SILENT: nothing comes; otherwise: that of other types than `only`, the same if empty.
    ours, theirs: fields of the pages of kubedns and the forwarder.
    """

    rcode: str = "NXDOMAIN"
    answers: Sequence[str] = ()
    only: str = ""
    otherwise: str = ""
    ede: str = ""
    took_s: float = 0.001
    ours: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)


SILENT = "SILENT"
MISSING = Name()


def rule(kind: str, domain: str = ".", *servers: str) -> dict[str, Any]:
    """Return the fields of the forwarder's page that tell a rule."""
    return {"rule": {"kind": kind, "domain": domain, "means": kind, "servers": list(servers)}}


@dataclass
class Cluster:
    """names: by full name. away: neighbours whose pages fail, with the error; dns: of the DNS."""

    names: Mapping[str, Name]
    pods: Mapping[str, Any] = field(default_factory=dict)
    away: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: float = 1000.0

    def explain(self, name: str, around: Around | None = None, **query: str) -> Explanation:
        """Explain a name; query: the parameters of /explain, `origin` for `from`."""
        query = {"from": query.pop("origin", "prod"), **query, "name": name}
        inquiry = Inquiry(
            request.read(query),
            around or Around(),
            fetch=self.fetch,
            asker=self,
            clock=lambda: self.now,
            wall=lambda: 0.0,
        )
        made: list[Explanation] = []
        Deferred.fromCoroutine(inquiry.explain()).addCallback(made.append).addErrback(_raise)
        (found,) = made
        return found

    def fetch(self, who: str, path: str, patience_s: float) -> Deferred[Page]:
        """Return a page of one of the other two processes."""
        self.asked.append(f"{who} {path}")
        if who in self.away:
            return succeed(Page(error=self.away[who]))
        query = dict(parse_qsl(urlsplit(path).query))
        if path.startswith("/pods"):
            return succeed(Page(json.dumps(self.pods).encode()))
        name = self.names.get(query["name"], MISSING)
        made = self._ours(name, query) if who == "kubedns" else self._theirs(name, query)
        return succeed(Page(json.dumps(made).encode()))

    def _ours(self, name: Name, query: Mapping[str, str]) -> dict[str, Any]:
        ours = query["name"].endswith(f".{ZONE}")
        made = {
            "name": query["name"], "type": query["type"], "zone": ZONE, "ours": ours,
            "synced": True, "api_away_s": None, "rcode": name.rcode,
            "answers": self._answers(name, query["type"]), "kind": "service" if ours else "unknown",
        }  # fmt: skip
        return {**made, **name.ours}

    def _theirs(self, name: Name, query: Mapping[str, str]) -> dict[str, Any]:
        ours = query["name"].endswith(f".{ZONE}")
        found = rule("cluster", ZONE) if ours else rule("upstream")
        live = {"live": [{"server": "192.0.2.53:53", "error": "timed out after 2.0 s"}]}
        return {**found, "cache": None, **name.theirs, **(live if query.get("try") else {})}

    def _answers(self, name: Name, rtype: str) -> list[str]:
        return list(name.answers) if name.only in ("", rtype) else []

    async def ask(
        self, host: str, port: int, asked: dns.message.QueryMessage, patience_s: float
    ) -> Answer:
        """Answer as the forwarder would."""
        question = asked.question[0]
        rtype = question.rdtype.name
        self.asked.append(f"dns {question.name} {rtype}")
        name = self.names.get(question.name.to_text(), MISSING)
        if "dns" in self.away or name.rcode == SILENT:
            self.now += patience_s
            return Answer(None, patience_s, self.away.get("dns", "no reply"))
        reply = dns.message.make_response(asked)
        as_is = name.only in ("", rtype) or not name.otherwise
        reply.set_rcode(dns.rcode.from_text(name.rcode if as_is else name.otherwise))
        if answers := self._answers(name, rtype):
            reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", rtype, *answers))
        if name.ede:
            reply.use_edns(options=[dns.edns.EDEOption(0, name.ede)])
        self.now += name.took_s
        return Answer(dns.message.from_wire(reply.to_wire()), name.took_s)


def _raise(failure: Any) -> None:
    failure.raiseException()


def service(name: str, namespace: str = "prod", **fields: Any) -> dict[str, Any]:
    """Return the fields of kubedns' page about a service that exists."""
    made = {
        "namespace": namespace, "name": name, "type": "Headless", "cluster_ips": [],
        "external_name": None, "ports": [], **fields,
    }  # fmt: skip
    return {"service": made, "namespace": {"name": namespace, "exists": True}}


def resolving(*answers: str, **fields: Any) -> Name:
    """Return a name that has addresses of one family."""
    return Name("NOERROR", answers or (ADDRESSES["A"],), only="A", **fields)
