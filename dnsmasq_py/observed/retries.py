"""
Clients that ask the same again after five seconds, from the same port, with the same ID.

That is what glibc and musl do when a reply does not come. As what the ring holds was answered, and
only what was answered at once is looked at here, something was lost on the way: most often the
second one of two questions sent at the same time, A and AAAA, of which the node's connection
tracking drops one when both make the same entry. Known by the same ID, what merely asks every five
seconds is not taken for it.
"""

from dnsmasq_py.observed.records import Record

_MAX = 8192  # questions remembered
_AFTER_US = 4_700_000
_UNTIL_US = 5_300_000
_AT_ONCE_US = 1_000_000


class Retries:
    """See the head of this module."""

    def __init__(self) -> None:
        self._asked: dict[int, int] = {}  # hashes of questions with their clients: when

    def __len__(self) -> int:
        return len(self._asked)

    def seen(self, record: Record, question: bytes) -> bool:
        """Take in a question over UDP, its octets; tell whether it is such a second one."""
        asked = self._asked
        at = record.at - (record.took or 0)
        key = hash(
            b"%b%b%b%b" % (record.query[:2], record.port.to_bytes(2), record.address, question)
        )
        before = asked.pop(key, None)
        if record.took is None or record.took < _AT_ONCE_US:
            if len(asked) >= _MAX:
                self._sweep(at)
            asked[key] = at
        return before is not None and _AFTER_US <= at - before <= _UNTIL_US

    def _sweep(self, at: int) -> None:
        """Forget the oldest ones: all that nothing more can come of, and at least a part."""
        asked = self._asked
        old = [key for key, when in asked.items() if when < at - _UNTIL_US]
        for key in old if len(old) > _MAX // 8 else list(asked)[: _MAX // 8]:
            del asked[key]
