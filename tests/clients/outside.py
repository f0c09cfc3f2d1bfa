"""The name servers outside of the cluster, as one scripted server in the pod's namespace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tests.clients.place import enter
from tests.forwarder.behaviours import (
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    answers,
    fails,
    silent,
    zone,
)
from tests.forwarder.scripted import Act, Asked, Play, Scripted

MANY = [f"198.18.1.{i}" for i in range(1, 101)]
"""The addresses of many.example.com."""
RECORDS = (
    "www.example.com. 300 IN A 192.0.2.80",
    "www.example.com. 300 IN AAAA 2001:db8::80",
    "four.example.com. 300 IN A 192.0.2.4",
    "six.example.com. 300 IN AAAA 2001:db8::6",
    "chain.example.com. 300 IN CNAME one.example.net.",
    "one.example.net. 300 IN CNAME two.example.org.",
    "two.example.org. 300 IN A 192.0.2.90",
    "two.example.org. 300 IN AAAA 2001:db8::90",
    "into.example.com. 300 IN CNAME web.shop.svc.cluster.local.",
    "intranet. 300 IN A 192.0.2.99",
    "shop. 300 IN A 192.0.2.66",
    "_sip._tcp.example.com. 300 IN SRV 10 60 5060 sip.example.com.",
    "80.2.0.192.in-addr.arpa. 300 IN PTR www.example.com.",
    *(f"many.example.com. 300 IN A {each}" for each in MANY),
)
_FOUR = answers("@ 300 IN A 192.0.2.7")
ZONES: dict[str, tuple[Play, Play]] = {
    "known.test": (_FOUR, answers("@ 300 IN AAAA 2001:db8::7")),
    "four-servfail.test": (_FOUR, fails(SERVFAIL)),
    "four-refused.test": (_FOUR, fails(REFUSED)),
    "four-nxdomain.test": (_FOUR, fails(NXDOMAIN)),
    "servfail.test": (fails(SERVFAIL), fails(SERVFAIL)),
    "corp.test": (fails(SERVFAIL), fails(SERVFAIL)),
    "silent.test": (silent, silent),
}
"""What is said of every name below these: to A, and to all else."""
CLOSED = "closed.test"
"""Has a name server at a port where nobody listens."""
NOBODY = "127.0.0.2:5399"


@cache
def _zone(origin: str) -> Play:
    return zone(*RECORDS, origin=origin)


def outside(asked: Asked) -> Sequence[Act]:
    """Play all name servers of the world."""
    for suffix, (four, other) in ZONES.items():
        if asked.name.endswith(f".{suffix}."):
            return (four if asked.rdtype == "A" else other)(asked)
    return _zone(asked.name.rpartition(".")[0].rpartition(".")[2] + ".")(asked)


class Outside(Scripted):
    """That server, at 127.0.0.2:5300 of a namespace."""

    def __init__(self, namespace: str) -> None:
        super().__init__(outside, port=5300)
        self._namespace = namespace

    def __enter__(self) -> Outside:
        super().__enter__()
        return self

    async def _open(self) -> None:
        enter(self._namespace)  # the thread of its loop
        await super()._open()
