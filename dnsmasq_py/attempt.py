"""One sending of a question to a server, what its server shows by it, and who carries it."""

from typing import TYPE_CHECKING, Any, Protocol

from dnsmasq_py.turn import MAX_SENDS, Turn
from kubedns.wire import rr
from kubedns.wire.question import HEADER

if TYPE_CHECKING:
    from dnsmasq_py.exchange import Exchange
    from dnsmasq_py.upstream import Upstream

NO_EDNS = frozenset((rr.FORMERR, rr.NOTIMP, rr.BADVERS))  # what servers say that dislike EDNS
_TCP_PATIENCE_S = (0.25, 1.0)


class Attempt:
    """
    A query on its way, until it is answered, failed or cancelled (`open`).

    octets: the question section as sent, perhaps in random letter case. message: the query behind
    its ID. tcp: over a connection (TLS, if the server's transport says so); beside: over TCP though
    UDP is usual. line: the dialer's own. soft_at: when silence begins to count as a loss; lost: it
    has. Times are monotonic seconds.
    """

    __slots__ = ("beside", "edns", "exchange", "line", "lost", "message", "octets", "open",
                 "sent_at", "soft_at", "tcp", "turn", "upstream")  # fmt: skip

    line: Any
    turn: Turn

    def __init__(self, exchange: "Exchange[Any]", turn: Turn, now: float) -> None:
        self.exchange = exchange
        self.turn = turn
        self.upstream: Upstream = turn.upstream
        self.sent_at = now
        self.open = True
        self.lost = False
        upstream = turn.upstream
        habits = upstream.habits
        question = exchange.question
        octets = question.octets
        edns = now >= habits.plain_until and not turn.plain
        self.tcp = upstream.is_stream
        self.beside = False
        self.soft_at = now + upstream.patience
        if turn.wants_tcp():
            turn.connected()
            self.tcp = self.beside = True
            least, most = _TCP_PATIENCE_S
            self.soft_at = now + min(max(4 * upstream.rto, least), most)
        else:
            turn.sent(now)
            if not self.tcp:
                if turn.sends >= MAX_SENDS and not habits.knows_edns:
                    edns = False
                spelling = exchange.group.spelling
                if spelling is not None and now >= habits.folds_until:
                    octets = spelling(octets)
        self.octets = octets
        self.edns = edns
        self.message = question.query(octets, exchange.group.edns_size if edns else None)

    def respelled(self, message: bytes) -> bytes:
        """
        Return a reply with the question as the client spelled it.

        Compressed names point there, also those in RDATA: our random letter case is no data.
        """
        octets = self.exchange.question.octets
        if self.octets is octets:
            return message
        return message[:HEADER] + octets + message[HEADER + len(octets) :]

    def replied(self, message: bytes, rcode: int, now: float) -> None:
        """Close it, and let its server have the credit."""
        self.open = False
        upstream = self.upstream
        if self.beside:
            upstream.alive(rcode, now)
        else:
            upstream.answered(now - self.sent_at, rcode, now)
        habits = upstream.habits
        if self.edns and not habits.knows_edns and rcode not in NO_EDNS:
            habits.edns_works()
        if habits.case_is_open:
            usual = self.exchange.question.octets
            if self.octets != usual and message.startswith(self.octets, HEADER):
                habits.case_kept()

    def pleased(self, now: float) -> None:
        """Take in that the reply was an answer."""
        upstream = self.upstream
        if upstream.bad:
            upstream.pleased()
        if not self.edns:
            habits = upstream.habits
            if self.turn.plain:
                habits.edns_refused(now)
            elif now >= habits.plain_until:
                habits.edns_unheard(now)

    def lose(self, now: float) -> None:
        """Count silence; not over TCP beside UDP: many servers that are well have no TCP."""
        self.lost = True
        if not self.beside:
            self.upstream.lost(now)

    def fail(self, reason: str, now: float) -> None:
        """Close it: it cannot be answered any more."""
        self.open = False
        self.upstream.failed += 1
        self.turn.failed(reason, now, beside=self.beside)
        if not self.lost:
            self.lose(now)


class Dialer(Protocol):
    """
    Carries attempts.

    Before it calls `exchange.received(attempt, message, now)` it has seen that the message came on
    the attempt's own line, with its ID, QR=1, opcode 0, one question, and that question's octets;
    in another letter case only if `attempt.upstream.saw_other_case()` lets it pass.
    """

    def send(self, attempt: Attempt, now: float) -> None:
        """
        Send it off.

        Raises:
            OSError: it could not be sent; the attempt has failed.
        """

    def cancel(self, attempt: Attempt) -> None:
        """Forget it: nobody waits for its answer any more."""
