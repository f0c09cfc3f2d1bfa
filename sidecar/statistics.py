"""
Counters of the forwarder, or of dnsmasq: asked for by name in class CHAOS, and summed up.

As the original (pkg/dnsmasq/metrics.go): five questions one after another; each answer has exactly
one record, TXT, of exactly one string, a decimal integer. The first failure ends the poll, is
counted, and changes nothing else. Sums grow by the difference to the poll before; a lower value
means that the process is a new one, and is the next base.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import dns.message
import dns.rcode
import dns.rdatatype

from sidecar.ask import Answer, query
from sidecar.state import Statistics

NAMES = ("hits", "misses", "evictions", "insertions", "cachesize")  # in this order
PATIENCE_S = 2.0
_MAX = 2**63 - 1  # an int64 for the original


class PollError(ValueError):
    """An answer that is none; str() names the question."""


async def poll(ask: Callable[[dns.message.QueryMessage], Awaitable[Answer]]) -> Mapping[str, int]:
    """
    Ask for all counters.

    Raises:
        PollError: at the first that failed.
    """
    found = {}
    for name in NAMES:
        answer = await ask(query(f"{name}.bind.", "TXT", "CH"))
        if answer.reply is None:
            raise PollError(f"{name}.bind: {answer.error}")
        found[name] = number(name, answer.reply)
    return found


def number(name: str, reply: dns.message.Message) -> int:
    """
    Return the number in a reply.

    Raises:
        PollError: it is not exactly one.
    """
    records = [(rrset.rdtype, rdata) for rrset in reply.answer for rdata in rrset]
    if not records:
        raise PollError(f"{name}.bind: no answer ({dns.rcode.to_text(reply.rcode())})")
    if len(records) != 1 or records[0][0] != dns.rdatatype.TXT:
        raise PollError(f"{name}.bind: not one TXT record")
    strings = records[0][1].strings
    if len(strings) != 1 or not re.fullmatch(rb"[-+]?[0-9]{1,19}", strings[0]):
        raise PollError(f"{name}.bind: not one number")
    value = int(strings[0])
    if not -_MAX <= value <= _MAX:
        raise PollError(f"{name}.bind: a number of more than 63 bits")
    return value


class Sums:
    """Counters over restarts of the process that counts."""

    def __init__(self) -> None:
        self.statistics = Statistics()
        self._base: dict[str, int] = dict.fromkeys(NAMES, 0)

    def polled(self, found: Mapping[str, int], now: float) -> Statistics:
        """Take in a poll and return the sums; now: seconds since the epoch."""
        grown = {name: max(0, found[name] - self._base[name]) for name in NAMES}
        self._base.update(found)
        was = self.statistics
        self.statistics = replace(
            was,
            hits=was.hits + grown["hits"],
            misses=was.misses + grown["misses"],
            evictions=was.evictions + grown["evictions"],
            insertions=was.insertions + grown["insertions"],
            max_size=found["cachesize"],
            error="",
            at=now,
        )
        return self.statistics

    def failed(self, error: str) -> None:
        """Count a poll that failed."""
        was = self.statistics
        self.statistics = replace(was, errors=was.errors + 1, error=error)
