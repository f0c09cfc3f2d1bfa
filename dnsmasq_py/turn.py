"""The part of one server in one exchange: what it was asked, and what may still be asked of it."""

from typing import Any

from dnsmasq_py.upstream import Upstream

MAX_SENDS = 3  # of one question to one server over one transport (RFC 9520 3.1)
_CUT_SENDS = 2  # over TCP, when there is a truncated reply to fall back on
_PATIENCE = 1.5  # round-trip time-outs between two queries
_MIN_PAUSE_S = 0.06
_MAX_PAUSE_S = 2.0
_DOWN_PAUSE_S = 0.5
_STREAM_PAUSE_S = 1.0
_UNREACHABLE_PAUSE_S = 0.25


class Turn:
    """
    See the head of this module.

    sends: over its usual transport. connects: over TCP where that is not the usual one, which ends
    the UDP; connecting: now. again_at: when it may be asked again. waits: it was down when that
    came. plain: it said that it does not like EDNS. ended: it has said what it has to say, or
    cannot be asked any more. reply: the bad one that it gave; cut: its truncated reply, unread.
    news: what it did last, for people; unreachable: so said the network.
    """

    __slots__ = ("again_at", "connecting", "connects", "cut", "ended", "news", "plain", "reply",
                 "sends", "unreachable", "upstream", "waits")  # fmt: skip

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.sends = 0
        self.connects = 0
        self.again_at = 0.0
        self.connecting = self.waits = self.plain = self.ended = self.unreachable = False
        self.reply: Any = None
        self.cut: bytes | None = None
        self.news = "timed out"

    def sent(self, now: float) -> None:
        """Count a query over the usual transport, and space the next one."""
        self.postpone(now)
        self.sends += 1

    def postpone(self, now: float) -> None:
        """Put the next query off."""
        upstream = self.upstream
        pause = _PATIENCE * upstream.rto
        if upstream.is_stream:
            pause = max(pause, _STREAM_PAUSE_S)
        elif not upstream.up:
            pause = _DOWN_PAUSE_S * 2**self.sends
        elif pause < _MIN_PAUSE_S:
            pause = _MIN_PAUSE_S
        self.again_at = now + (pause if pause < _MAX_PAUSE_S else _MAX_PAUSE_S)

    def connected(self) -> None:
        """Count a query over TCP beside UDP."""
        self.connects += 1
        self.connecting = True

    def failed(self, reason: str, now: float, *, beside: bool) -> None:
        """Take in that an attempt failed; a server that restarts gets more time from one to one."""
        self.news = reason
        self.unreachable = True
        if beside:
            self.connecting = False
            self.ended = self.cut is not None and self.connects >= _CUT_SENDS
            self.again_at = now + _UNREACHABLE_PAUSE_S
        else:
            self.again_at = max(self.again_at, now + _UNREACHABLE_PAUSE_S * 2 ** (self.sends - 1))

    def may_send(self) -> bool:
        """Tell whether it may be asked once more, as far as it goes."""
        if self.ended or self.connecting:
            return False
        if self.upstream.is_stream:
            return self.sends < MAX_SENDS
        return (self.connects if self.wants_tcp() else self.sends) < MAX_SENDS

    def wants_tcp(self) -> bool:
        """Tell whether UDP has come to its end with a server that is asked over UDP."""
        if self.upstream.is_stream:
            return False
        return self.sends >= MAX_SENDS or self.cut is not None or self.connects > 0

    def look(self, now: float) -> None:
        """See whether a server that was down has come back: then it is asked without waiting."""
        if not self.upstream.up:
            self.waits = True
        elif self.waits:
            self.waits = False
            self.again_at = min(self.again_at, now)
