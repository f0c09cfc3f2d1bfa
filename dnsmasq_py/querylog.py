"""
--log-queries: each query and what became of it, in dnsmasq's lines.

    query[A] www.example.com from 10.1.2.3
    forwarded www.example.com to 192.0.2.53
    reply www.example.com is 198.51.100.7

Whole queries are logged or left out, never parts of one: `query` gives what its further lines
begin with, or None when more than so many lines a second would be written.
"""

from collections.abc import Callable, Sequence
from itertools import count

from dnsmasq_py import wording
from dnsmasq_py.server import Server
from kubedns.wire import rr

_NOTICE_S = 1.0

Asked = str  # what stands in front of each line about one query


class QueryLog:
    """
    The lines of queries.

    write: takes a line, never waits (logs.Lines.write). lines_per_s: the most on average, 0 for
    all; a query that has begun is told to its end, and paid back in silence. extra:
    --log-queries=extra, a serial and the client in front of each line. clock: monotonic seconds.
    suppressed: queries that were left out.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float],
        *,
        lines_per_s: int,
        extra: bool,
    ) -> None:
        self.suppressed = 0
        self._write = write
        self._clock = clock
        self._lines_per_s = lines_per_s
        self._extra = extra
        self._serials = count(1)
        self._allowed = float(lines_per_s)  # lines, now
        self._refilled = clock()
        self._untold = 0  # suppressed queries that no line has told of
        self._notice_due = 0.0

    def query(self, qtype: int, name: bytes, client: str, port: int) -> Asked | None:
        """Log a query of a client; return what the other methods want for it."""
        serial = next(self._serials)
        if self._lines_per_s and not self._may(self._clock()):
            self.suppressed += 1
            return None
        asked = f"{serial} {client}/{port} " if self._extra else ""
        text = f"query[{wording.type_text(qtype)}] {wording.name_text(name)} from {client}"
        self._line(asked, text)
        return asked

    def forwarded(self, asked: Asked | None, name: bytes, server: Server) -> None:
        """Log that a server is asked."""
        if asked is not None:
            self._line(asked, f"forwarded {wording.name_text(name)} to {server}")

    def reply(
        self, asked: Asked | None, name: bytes, qtype: int, rcode: int, answer: Sequence[rr.RRset]
    ) -> None:
        """Log what a server answered."""
        self._answer(asked, wording.REPLY, name, qtype, rcode, answer)

    def cached(
        self,
        asked: Asked | None,
        name: bytes,
        qtype: int,
        rcode: int,
        answer: Sequence[rr.RRset],
        *,
        stale: bool,
    ) -> None:
        """Log an answer from the cache; stale: it had expired."""
        self._answer(asked, wording.STALE if stale else wording.CACHED, name, qtype, rcode, answer)

    def local(
        self,
        asked: Asked | None,
        source: str,
        name: bytes,
        qtype: int,
        rcode: int,
        answer: Sequence[rr.RRset],
    ) -> None:
        """
        Log an answer from local data, CHAOS names too.

        source: `config`, or the path of a hosts file.
        """
        self._answer(asked, source, name, qtype, rcode, answer)

    def error(self, asked: Asked | None, source: str, rcode: int, ede: int | None = None) -> None:
        """
        Log an error.

        source: `config` when nobody was asked, `cached` for a failure remembered, else `reply`.
        ede: the extended error (RFC 8914) that tells why.
        """
        if asked is not None:
            self._line(asked, f"{source} {wording.error(rcode, ede)}")

    def tell_suppressed(self) -> None:
        """Write how many queries were left out, if any were since that was last told."""
        untold, self._untold = self._untold, 0
        if untold:
            limit = f"more than {self._lines_per_s} lines a second"
            self._write(f"query log: {limit}, {untold} queries suppressed")

    def _may(self, now: float) -> bool:
        if self._untold and now >= self._notice_due:
            self.tell_suppressed()
        earned = (now - self._refilled) * self._lines_per_s
        self._refilled = now
        self._allowed = min(self._allowed + earned, self._lines_per_s)
        if self._allowed >= 1:
            return True
        if not self._untold:
            self._notice_due = now + _NOTICE_S
        self._untold += 1
        return False

    def _answer(
        self,
        asked: Asked | None,
        source: str,
        name: bytes,
        qtype: int,
        rcode: int,
        answer: Sequence[rr.RRset],
    ) -> None:
        if asked is None:
            return
        for text in wording.answer(source, name, qtype, rcode, answer):
            self._line(asked, f"{source} {text}")

    def _line(self, asked: Asked, text: str) -> None:
        self._allowed -= 1
        self._write(asked + text)
