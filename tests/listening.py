"""A listener as the forwarder is one, in the simplest way: what it is told, and what it forgets."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from kubedns.wire import name as names
from kubedns.wire import notify, rr
from kubedns.wire.notify import Kind, Notice
from kubedns.zone.lookup import Result

Question = tuple[bytes, int]


def covers(told: Iterable[bytes], question: Question, result: Result) -> bool:
    """Say whether a stored answer goes when names are told (decisions: what a purge drops)."""
    name, _ = question
    told = tuple(told)
    if b"\1*" in name:
        return bool(told)  # questions with a `*` label are dropped by any change
    held = [each.owner for each in (*result.answer, *result.additional)]
    if any(names.is_below(owner, each) for owner in held for each in told):
        return True
    last = result.answer[-1] if result.answer else None
    if last is not None and last.type != rr.CNAME:
        return False
    end = name if last is None else last.rdatas[0].lower()
    return any(names.is_below(end, each) or names.is_below(each, end) for each in told)


@dataclass
class Listener:
    """
    Takes in messages and gives the receipts.

    stored: what it keeps, by question; may be filled by the test. log: what was taken in, in words.
    """

    stored: dict[Question, Result] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)
    key: bytes | None = None
    instance: bytes | None = None
    serial: int = 0
    offered: bytes | None = None
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def takes(self, message: bytes) -> bytes:
        """Take in a message, return the receipt."""
        notice = notify.read(message)
        assert not notice.is_receipt
        assert len(message) <= notify.MAX_MESSAGE
        if notice.kind is Kind.HELLO:
            self.offered = next(self._keys).to_bytes(notify.KEY)
            return self._receipt(notice, Kind.WELCOME, self.offered)
        if notice.key not in (self.key, self.offered) or notice.key is None:
            return self._receipt(notice, Kind.AGAIN)
        if notice.key == self.offered:
            self._begin(notice)
        self._take(notice)
        self.instance, self.serial = notice.instance, notice.after
        return self._receipt(notice, Kind.TAKEN)

    def _begin(self, notice: Notice) -> None:
        self.key, self.offered = self.offered, None
        if (self.instance, self.serial) == (notice.instance, notice.before):
            self.log.append("resumed")
        else:
            self.log.append("stale")
            self.stored.clear()
            self.instance, self.serial = notice.instance, notice.before

    def _take(self, notice: Notice) -> None:
        if notice.kind is Kind.ALL:
            self.log.append("all")
            self.stored.clear()
            return
        if notice.before != self.serial and notice.after != self.serial:
            self.log.append("out of step")
            self.stored.clear()
        self.log.append(str(len(notice.names)))
        self.told += notice.names
        for question, result in list(self.stored.items()):
            if covers(notice.names, question, result):
                del self.stored[question]

    def _receipt(self, notice: Notice, kind: Kind, key: bytes = b"") -> bytes:
        receipt = replace(notice, kind=kind, key=key or notice.key, after=self.serial, names=())
        return receipt.encode()


def as_reply(message: bytes, rcode: int) -> bytes:
    """Return what a server of another make replies: the header and the question, with a code."""
    end = names.skip(message, 12) + 4
    head = message[:2] + bytes((message[2] | 0x80, rcode)) + b"\0\1\0\0\0\0\0\0"
    return head + message[12:end]
