"""
Replies to clients, each counted and, if queries are logged, told in the log.

All replies of the reactor's thread go out here; those of receiver threads are counted in cache.py.
"""

from collections.abc import Callable
from typing import Any

from dnsmasq_py.counters import Counters
from dnsmasq_py.limits import ErrorRate, Failed
from dnsmasq_py.local import LocalAnswer
from dnsmasq_py.querylog import Asked, QueryLog
from dnsmasq_py.stored import Stored
from kubedns.serve.answered import TCP_IDLE_S
from kubedns.wire import reply, response, rr
from kubedns.wire.question import Query, WireError

_EDE_STALE = 3
_EDE_STALE_NXDOMAIN = 19
_STALE_TTL_S = 30  # RFC 8767 section 4
_CLUSTER_STALE_TTL_S = 5
_KEEPALIVE_MS = int(TCP_IDLE_S * 1000)
_CUT_SHORT = Failed(rr.SERVFAIL, (23, "the upstream cannot be asked over TCP"))
_ERRORS = (rr.FORMERR, rr.NOTIMP, rr.REFUSED, rr.BADVERS)


class Client:
    """A query and how to reply to it. sender: its socket address; send takes the reply's octets."""

    __slots__ = ("asked", "query", "send", "sender", "tcp")

    def __init__(
        self, query: Query, sender: Any, send: Callable[[bytes], Any], *, tcp: bool
    ) -> None:
        self.query = query
        self.sender = sender
        self.send = send
        self.tcp = tcp
        self.asked: Asked | None = None

    @property
    def address(self) -> str:
        """Return the IP address, of IPv4 as such on a socket for both."""
        address: str = self.sender[0]
        return address.removeprefix("::ffff:")


class Answering:
    """max_ttl: of --max-ttl; None: no bound. log: None when queries are not logged."""

    def __init__(self, counters: Counters, max_ttl: int | None, log: QueryLog | None) -> None:
        self.log = log
        self._counters = counters
        self._max_ttl = max_ttl
        self._errors = ErrorRate()

    def give(self, client: Client, stored: Stored, now: float, *, cached: bool) -> None:
        """
        Reply with an answer; cached: it was there before the query.

        One that is cut short was not to be had over TCP: a client that comes by TCP gets SERVFAIL.
        """
        if client.tcp and stored.is_cut:
            self.fail(client, _CUT_SHORT, "reply")
            return
        left = stored.left(now) if stored.ttl else 0
        if self._max_ttl is not None:
            left = min(left, self._max_ttl)
        if self.log is not None and client.asked is not None:
            self._tell(self.log, client, stored, cached=cached, stale=False)
        self._send(client, self._reply(client, stored, left, None), stored.rcode)

    def give_stale(self, client: Client, stored: Stored, *, cluster: bool, ttl: int) -> None:
        """Reply with an answer that has expired; ttl: at most, in seconds."""
        self._counters.stale += 1
        missing = stored.rcode == rr.NXDOMAIN
        error = (_EDE_STALE_NXDOMAIN if missing else _EDE_STALE, "no fresh answer to be had")
        ttl = min(ttl, _CLUSTER_STALE_TTL_S if cluster else _STALE_TTL_S)
        if self.log is not None and client.asked is not None:
            self._tell(self.log, client, stored, cached=True, stale=True)
        self._send(client, self._reply(client, stored, ttl, error), stored.rcode)

    def give_local(self, client: Client, found: LocalAnswer) -> None:
        """Reply with what is known here."""
        query = client.query
        turns = reply.compose(
            query,
            limit=_limit(client),
            rcode=found.rcode,
            authoritative=found.authoritative,
            answer=found.answer,
            additional=found.additional,
            error=found.error,
            keepalive_ms=_KEEPALIVE_MS if client.tcp else None,
        )
        if self.log is not None:
            if found.error is not None:
                self.log.error(client.asked, found.source, found.rcode, found.error[0])
            else:
                self.log.local(
                    client.asked,
                    found.source,
                    query.qname,
                    query.qtype,
                    found.rcode,
                    found.answer,
                )
        turn = turns[self._counters.local % len(turns)]
        self._counters.local += 1
        self._send(client, query.id + turn, found.rcode)

    def fail(self, client: Client, failed: Failed, source: str) -> None:
        """Reply that there is no answer, and why. source: config, cached or reply, for the log."""
        code, text = failed.error
        turns = reply.compose(
            client.query,
            limit=_limit(client),
            rcode=failed.rcode,
            error=(code, text[:200]),
            keepalive_ms=_KEEPALIVE_MS if client.tcp else None,
        )
        if self.log is not None:
            self.log.error(client.asked, source, failed.rcode, code)
        self._send(client, client.query.id + turns[0], failed.rcode)

    def refuse_message(
        self,
        message: bytes,
        error: WireError,
        sender: Any,
        send: Callable[[bytes], Any],
        *,
        tcp: bool,
    ) -> None:
        """Reply to what is no question as the RFCs say, or not at all."""
        if error.rcode is None:
            return
        client = Client(_NOBODYS, sender, send, tcp=tcp)
        self._send(client, reply.refusal(message, error.rcode, error.query), error.rcode)

    def _reply(
        self, client: Client, stored: Stored, ttl: int, error: tuple[int, str] | None
    ) -> bytes:
        keepalive = _KEEPALIVE_MS if client.tcp else None
        return stored.reply(
            client.query, ttl, _limit(client), stored.used, error=error, keepalive_ms=keepalive
        )

    def _send(self, client: Client, octets: bytes, rcode: int) -> None:
        counters = self._counters
        if rcode in _ERRORS and not (client.tcp or self._errors.allows(client.address)):
            counters.limits["error rate"] += 1
            counters.dropped["error rate"] += 1
            return
        counters.queries["tcp" if client.tcp else "udp", rcode] += 1
        try:
            client.send(octets)
        except OSError as error:  # the client's address, or its network
            counters.dropped[f"send: {error.strerror}"] += 1

    def _tell(
        self, log: QueryLog, client: Client, stored: Stored, *, cached: bool, stale: bool
    ) -> None:
        answer = response.read(b"\0\0" + stored.octets).answer
        query = client.query
        told = (client.asked, query.qname, query.qtype, stored.rcode, answer)
        if cached:
            log.cached(*told, stale=stale)
        else:
            log.reply(*told)


_NOBODYS = Query(b"\0\0", 0, b"\0", b"\0", 0, 0, b"")


def _limit(client: Client) -> int:
    return reply.MAX_TCP if client.tcp else reply.udp_limit(client.query)
