"""A forwarder of several workers, seen from outside: who they are, and what all of them answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import dns.message
import psutil

from tests.forwarder.client import PATIENCE_S, data, query
from tests.forwarder.conftest import Start
from tests.forwarder.program import Forwarder
from tests.realapi.waiting import until

SOCKETS = 64
"""As many that each of two workers gets some, but for one in 10^19 times."""


class Crew:
    """Wraps a running Forwarder, once all its workers answer."""

    def __init__(self, forwarder: Forwarder, count: int) -> None:
        self.forwarder = forwarder
        self.count = count
        forwarder.logs(f"{count} workers answer")

    def workers(self) -> list[psutil.Process]:
        """Return their processes."""
        return psutil.Process(self.forwarder.pid).children()

    def each(self, number: int) -> psutil.Process:
        """Return the process with a number; 0 leads."""
        pids = {each["number"]: each["pid"] for each in self.forwarder.status()["workers"]}
        return psutil.Process(pids[number])

    def anew(self, gone: psutil.Process) -> list[psutil.Process]:
        """Wait until another has taken the place of one that ended, and answers."""

        def numbers() -> set[int]:
            return {each["pid"] for each in self.forwarder.status()["workers"]}

        until(numbers, lambda pids: len(pids) == self.count and gone.pid not in pids)
        return self.workers()

    def looks(
        self, name: str, rdtype: str = "A", *, sockets: int = SOCKETS, within_s: float = PATIENCE_S
    ) -> Counter[str]:
        """Ask from many sockets at once; return what came, and how often; "" for nothing."""
        wire = query(name, rdtype).to_wire()
        found: Counter[str] = Counter()
        for octets in self.forwarder.together([wire] * sockets, within_s=within_s):
            reply = None if octets is None else dns.message.from_wire(octets)
            found["" if reply is None else " ".join(sorted(data(reply)))] += 1
        return found


def crew(
    start: Start, *options: str, nanny: Sequence[str] = (), count: int = 2, **rest: object
) -> Crew:
    """Start a forwarder of so many workers."""
    made = start(*options, nanny=[f"--workers={count}", *nanny], **rest)
    return Crew(made, count)
