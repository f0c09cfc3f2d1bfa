"""The name servers around the pod: honest ones of other makes, and some that fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.forwarder.behaviours import (
    REFUSED,
    SERVFAIL,
    answers,
    fails,
    in_turn,
    silent,
)
from tests.forwarder.peers import Peer, named, unbound
from tests.forwarder.scripted import Scripted
from tests.realapi.explained.pod import Json
from tests.realapi.product import NOBODY

_OUTSIDE = """$ORIGIN .
@ 60 SOA ns. host. 1 2 3 4 5
@ 60 NS ns.
ns. 60 A 127.0.0.1
github.com. 60 A 192.0.2.80
six.example.org. 60 AAAA 2001:db8::1
"""
_CORP = """$ORIGIN corp.example.
@ 60 SOA ns host 1 2 3 4 1
@ 60 NS ns
ns 60 A 127.0.0.1
www 60 A 192.0.2.90
www 60 AAAA 2001:db8::90
brief 1 A 192.0.2.91
"""


@dataclass(frozen=True, slots=True)
class Around:
    """outside: BIND, which knows some names and says NXDOMAIN to all else. corp: unbound."""

    outside: Peer
    corp: Peer
    silent: Scripted
    broken: Scripted
    refusing: Scripted
    lossy: Scripted

    @property
    def config(self) -> Json:
        """The ConfigMap that leads to all of them."""
        failing = {
            "silent": self.silent, "broken": self.broken, "refusing": self.refusing,
            "lossy": self.lossy,
        }  # fmt: skip
        stubs = {f"{name}.example": [each.nameserver] for name, each in failing.items()}
        stubs |= {"closed.example": [NOBODY], "corp.example": [self.corp.nameserver]}
        return {"upstreamNameservers": [self.outside.nameserver], "stubDomains": stubs}


@contextmanager
def servers(folder: Path) -> Iterator[Around]:
    """Run them all."""
    with ExitStack() as stack:
        yield Around(
            outside=stack.enter_context(named(folder, {".": _OUTSIDE})),
            corp=stack.enter_context(unbound(folder, {"corp.example.": _CORP})),
            silent=stack.enter_context(Scripted(silent)),
            broken=stack.enter_context(Scripted(fails(SERVFAIL))),
            refusing=stack.enter_context(Scripted(fails(REFUSED))),
            lossy=stack.enter_context(Scripted(in_turn(silent, silent, answers()))),
        )
