"""What observes traffic, with a clock to be set, and transactions that it is shown."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from dnsmasq_py.observed import records
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.observed.watch import Observed
from dnsmasq_py.server import Server
from kubedns.wire import name as names

ZONE = names.from_text("cluster.local.")
SEARCH = ("prod.svc.cluster.local.", "svc.cluster.local.", "cluster.local.")
NOW = 1_800_000_000.0  # seconds since the epoch
UPTIME = 1000.0  # monotonic


class Seen:
    """Observed traffic; zones, upstreams and looping servers are as set."""

    def __init__(self, **recorder: Any) -> None:
        self.passed = 0.0
        self.upstreams: list[Any] = []
        self.looping: set[Server] = set()
        self.rcodes: Counter[int] = Counter()
        self.recorder = Recorder(
            lambda: UPTIME + self.passed, lambda: NOW + self.passed, **recorder
        )
        self.observed = Observed(
            self.recorder,
            None,
            lambda: Counter(self.rcodes),
            lambda: self.upstreams,
            lambda: self.looping,
            lambda: (ZONE,),
            wall=lambda: NOW + self.passed,
            cpu=lambda: 0.0,
            rng=Random(1),
        )

    def time_passes(self, seconds: float) -> None:
        self.passed += seconds

    def asks(
        self,
        name: str,
        rtype: str = "A",
        rcode: str = "NOERROR",
        *,
        client: str = "10.0.0.1",
        port: int = 40000,
        number: int = 1,
        answers: bool = True,
        took: float = 0.001,
        source: int = records.UPSTREAM,
        tcp: bool = False,
        times: int = 1,
    ) -> None:
        """Note a question with its reply."""
        query = dns.message.make_query(name, rtype, id=number)
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.from_text(rcode))
        if answers and rcode == "NOERROR":
            rdata = {"A": "10.9.9.9", "AAAA": "2001:db8::9"}[rtype]
            reply.answer.append(dns.rrset.from_text(name, 30, "IN", rtype, rdata))
        octets = query.to_wire(), reply.to_wire()
        for _ in range(times):
            self.rcodes[reply.rcode()] += 1
            self.recorder.note(
                *octets, (client, port), source, UPTIME + self.passed - took, reply.rcode(), tcp=tcp
            )

    def walks(self, name: str, *, search: tuple[str, ...] = SEARCH, **more: Any) -> None:
        """Ask for a name as a stub resolver with ndots:5 does, A and AAAA."""
        for domain in search:
            for rtype in ("A", "AAAA"):
                self.asks(f"{name}.{domain}", rtype, "NXDOMAIN", **more)
        for rtype in ("A", "AAAA"):
            self.asks(f"{name}.", rtype, **more)

    def findings(self) -> dict[str, dict[str, Any]]:
        """Return what was found by now, by kind and what it is about."""
        self.time_passes(5)
        return {f"{each['id']} {each['about']}": each for each in self.observed.found()}

    def top(self, most: int = 10) -> dict[str, Any]:
        """Return /top."""
        top: dict[str, Any] = json.loads(json.dumps(self.observed.top(most)))
        return top
