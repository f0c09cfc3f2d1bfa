"""
Replies to clients, each counted and, if queries are logged, told in the log.

All replies of the reactor's thread go out here; those of receiver threads are counted in cache.py.
"""

from collections.abc import Callable
from typing import Any

from dnsmasq_py.counters import Counters
from dnsmasq_py.limits import ErrorRate, Failed
from dnsmasq_py.local import LocalAnswer
from dnsmasq_py.observed import records
from dnsmasq_py.observed.recorder import Recorder
from dnsmasq_py.querylog import Asked, QueryLog
from dnsmasq_py.stored import Stored
from kubedns.serve.answered import TCP_IDLE_S
from kubedns.wire import reply, response, rr
from kubedns.wire.question import Query, WireError

_STALE_TTL_S = 30  # RFC 8767 section 4
_CLUSTER_STALE_TTL_S = 5
_KEEPALIVE_MS = int(TCP_IDLE_S * 1000)
_CUT_SHORT = Failed(rr.SERVFAIL, (23, "the upstream cannot be asked over TCP"))
_SAID = (rr.NOERROR, rr.NXDOMAIN)  # by an answer, whatever else goes with it
_ERRORS = (rr.FORMERR, rr.NOTIMP, rr.REFUSED, rr.BADVERS)


class Client:
    """
    A query and how to reply to it.

    sender: its socket address; send takes the reply's octets. message: the query's; came: when, in
    monotonic seconds.
    """

    __slots__ = ("asked", "came", "message", "query", "send", "sender", "tcp")

    def __init__(
        self,
        query: Query,
        sender: Any,
        send: Callable[[bytes], Any],
        *,
        tcp: bool,
        message: bytes = b"",
        came: float = 0.0,
    ) -> None:
        self.message = message
        self.came = came
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
    """
    max_ttl: of --max-ttl; None: no bound. log: None when queries are not logged.

    recorder: where all replies are noted, None where they are not.
    """

    recorder: Recorder | None = None

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
        source = records.CUT if stored.is_cut else records.CACHE if cached else records.UPSTREAM
        octets = self._reply(client, stored, left, stored.told(now))
        self._send(client, octets, stored.rcode, source)

    def give_stale(
        self, client: Client, stored: Stored, *, cluster: bool, ttl: int, error: tuple[int, str]
    ) -> None:
        """Reply with an answer that has expired; ttl: at most, in seconds. error: why."""
        self._counters.stale += 1
        ttl = min(ttl, _CLUSTER_STALE_TTL_S if cluster else _STALE_TTL_S)
        if self.log is not None and client.asked is not None:
            self._tell(self.log, client, stored, cached=True, stale=True)
        octets = self._reply(client, stored, ttl, error)
        self._send(client, octets, stored.rcode, records.STALE)

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
            if found.error is not None and found.rcode not in _SAID:
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
        self._send(client, query.id + turn, found.rcode, records.LOCAL)

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
        kind = records.CUT if failed is _CUT_SHORT else records.ERROR
        self._send(client, client.query.id + turns[0], failed.rcode, kind)

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
        client = Client(_NOBODYS, sender, send, tcp=tcp, message=message)
        refusal = reply.refusal(message, error.rcode, error.query)
        self._send(client, refusal, error.rcode, records.LOCAL)

    def _reply(
        self, client: Client, stored: Stored, ttl: int, error: tuple[int, str] | None
    ) -> bytes:
        keepalive = _KEEPALIVE_MS if client.tcp else None
        return stored.reply(
            client.query, ttl, _limit(client), stored.used, error=error, keepalive_ms=keepalive
        )

    def _send(self, client: Client, octets: bytes, rcode: int, source: int) -> None:
        counters = self._counters
        if rcode in _ERRORS and not (client.tcp or self._errors.allows(client.address)):
            counters.limits["error rate"] += 1
            counters.dropped["error rate"] += 1
            return
        counters.queries["tcp" if client.tcp else "udp", rcode] += 1
        if (recorder := self.recorder) is not None:
            recorder.note(
                client.message, octets, client.sender, source, client.came, rcode, tcp=client.tcp
            )
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
