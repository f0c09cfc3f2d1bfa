"""
Questions that were only steps of a search list: they end with NXDOMAIN, and the next one follows.

A stub resolver that is asked for `github.com` with `ndots:5` asks for github.com below each of its
search domains first. Nobody tells us what it was asked for, so this is a guess, made when the next
step comes. A question that ended with NXDOMAIN is a step, if within three seconds the same client
asks for the same type of a name that begins with the same labels, and goes on

- with nothing: it is the name itself, which comes last,
- with the end of what the first one went on with: prod.svc.cluster.local, svc.cluster.local,
- with another domain, where the first one went on with a search domain that every pod has: the
  cluster's, `svc` in it, a namespace in that.

What is taken for a step and is none: a client that asks for a.b.example, which is not there, and
then for a.example. What is missed: steps whose next one is answered from the client's own cache or
never comes, and, where the recorder holds but a sample, those whose next one was not looked at.

Bounded: so many clients, the ones that asked last, and for each its last questions.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from kubedns.wire import name as names

_MAX_CLIENTS = 1024
_MAX_STEPS = 8  # of one client, A and AAAA of up to four domains
_PAUSE_US = 3_000_000
_SVC = b"\3svc"


class Step(NamedTuple):
    """
    A question that ended with NXDOMAIN.

    name: folded, in wire form. suffix: the search domain, once that is known. at: microseconds.
    """

    name: bytes
    qtype: bytes
    at: int
    weight: float
    suffix: bytes = b""


class Walks:
    """See the head of this module; zones: returns the cluster's, in wire form."""

    def __init__(self, zones: Callable[[], Collection[bytes]]) -> None:
        self._zones = zones
        self._steps: dict[bytes, list[Step]] = {}

    def __len__(self) -> int:
        return len(self._steps)

    def seen(
        self, client: bytes, name: bytes, qtype: bytes, at: int, weight: float, *, missing: bool
    ) -> list[Step]:
        """Take in a question; return those before it that turn out to be steps to it."""
        steps = self._steps.get(client)
        if steps is None:
            if missing:
                self._add(client, [Step(name, qtype, at, weight)])
            return []
        found: list[Step] = []
        left: list[Step] = []
        for step in steps:
            if at - step.at > _PAUSE_US:
                continue
            suffix = self._suffix(step.name, name) if step.qtype == qtype else b""
            if suffix:
                found.append(step._replace(suffix=suffix))
            elif step.name != name or step.qtype != qtype:
                left.append(step)
        if missing:
            left.append(Step(name, qtype, at, weight))
            del left[:-_MAX_STEPS]
        del self._steps[client]
        if left:
            self._add(client, left)
        return found

    def _add(self, client: bytes, steps: list[Step]) -> None:
        if len(self._steps) >= _MAX_CLIENTS:
            del self._steps[next(iter(self._steps))]
        self._steps[client] = steps

    def _suffix(self, step: bytes, following: bytes) -> bytes:
        """Return the search domain of a step, if the other name is the next one, else nothing."""
        i = 0
        while (length := step[i]) and step[i : i + length + 1] == following[i : i + length + 1]:
            i += length + 1
        suffix, rest = step[i:], following[i:]
        if not i or suffix == names.ROOT:
            return b""
        if rest == names.ROOT or names.is_below(suffix, rest):
            return suffix
        for zone in self._zones():
            if is_usual(suffix, zone) and not names.is_below(rest, zone):
                return suffix
        return b""


def is_usual(suffix: bytes, zone: bytes) -> bool:
    """Tell whether every pod of a cluster has this search domain, or one like it."""
    services = _SVC + zone
    return suffix in (zone, services) or names.parent(suffix) == services
