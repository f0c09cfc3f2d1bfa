"""
One more endpoint in a headless service: CPU for it, and how soon the answer has it.

The API server has one core with the questions; the server under test has the other.  The change is
a PUT of a slice of the service; the clock starts when its response has been read.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from tests.bench.objects import of_ten
from tests.bench.question import Question
from tests.bench.systems import Running
from tests.realapi.api import Api, path_of

_PATIENCE_S = 20.0
_POLL_PAUSE_S = 0.0001
_BETWEEN_S = 0.01
_NEW = itertools.count(int(IPv4Address("10.10.0.1")))

Change = Callable[[Api], tuple[str, bytes]]
"""Makes a change; returns the name that shows it, and the packed address that it then has."""


def new_address() -> IPv4Address:
    """Return an address that nothing had before."""
    return IPv4Address(next(_NEW))


def one_more(api: Api) -> tuple[str, bytes]:
    """Put the slice of ``of_ten()``, which the cluster must have, with an eleventh address."""
    added = new_address()
    slice_ = of_ten().slice_(extra=(str(added),))
    api.ask("PUT", path_of(slice_), slice_)
    return of_ten().dns_name, added.packed


def latency_s(one: Running, api: Api, change: Change) -> float:
    """Return the seconds from the response to a change until an answer has it."""
    time.sleep(_BETWEEN_S)
    name, address = change(api)
    responded = time.monotonic()
    return see(one, name, address) - responded


def cpu_s(one: Running, api: Api, change: Change, *, count: int) -> float:
    """Return the CPU seconds for one change, of ``count`` that no one asks about."""
    time.sleep(0.2)
    before_s = one.cpu_s()
    for _ in range(count):
        seen = change(api)
        time.sleep(_BETWEEN_S)
    see(one, *seen)
    return (one.cpu_s() - before_s) / count


def see(one: Running, name: str, address: bytes) -> float:
    """Ask until the answer has this; return the monotonic time of it."""
    question = Question(name, one.dns_port)
    try:
        deadline = time.monotonic() + _PATIENCE_S
        return question.wait_for([address], deadline=deadline, pause_s=_POLL_PAUSE_S)
    finally:
        question.close()
