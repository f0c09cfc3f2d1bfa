"""
Which message is the reply to an attempt, and what becomes of all others.

A message counts only with the ID, QR, opcode and question of its attempt, from the server that was
asked (RFC 5452 section 9.1). Where it came from and its ID are checked by those who call `deliver`.
Anything else is counted and waiting goes on: whoever can forge one bad reply could otherwise end
every question with it.
"""

from twisted.logger import Logger

from dnsmasq_py.attempt import Attempt
from dnsmasq_py.counters import Counters
from kubedns.wire import rr
from kubedns.wire.question import HEADER

log = Logger()

UNEXPECTED = "unexpected"
"""Nothing waits under this ID: the reply is forged, doubled or much too late."""

_QR_OPCODE = 0xF8
_QR = 0x80
_ONE = b"\0\1"
_NO_EDNS = (rr.FORMERR, rr.NOTIMP)


def deliver(attempt: Attempt, message: bytes, now: float, counters: Counters) -> bool:
    """Hand a message with the ID of an attempt to its exchange; True: the attempt is over."""
    try:
        if (
            message.startswith(attempt.octets, HEADER)
            and message[2] & _QR_OPCODE == _QR
            and message[4:6] == _ONE
        ):
            return attempt.exchange.received(attempt, message, now)
        return _odd(attempt, message, now, counters)
    except Exception:
        _failure(counters)
        return True


def fail(attempt: Attempt, reason: str, now: float, counters: Counters) -> None:
    """Tell an exchange that an attempt has failed."""
    try:
        attempt.exchange.failed(attempt, reason, now)
    except Exception:
        _failure(counters)


def _failure(counters: Counters) -> None:
    counters.exceptions += 1
    log.failure("while a reply was worked on")


def _odd(attempt: Attempt, message: bytes, now: float, counters: Counters) -> bool:
    """Pass on what may be the word of a server that is merely odd; count the rest."""
    kind = _fault(message, attempt.octets)
    if kind == "case" and attempt.upstream.saw_other_case():
        return attempt.exchange.received(attempt, message, now)
    if kind == "bare refusal":
        attempt.exchange.bare_refusal(attempt, now)
    counters.bad_replies[kind] += 1
    return False


def _fault(message: bytes, octets: bytes) -> str:
    """Return what is wrong with a message that is not the reply to octets as they are."""
    if len(message) < HEADER:
        return "short"
    if message[2] & _QR == 0:
        return "query"
    if message[2] & _QR_OPCODE != _QR:
        return "opcode"
    if len(message) == HEADER and message[3] & 15 in _NO_EDNS and message[4:] == bytes(8):
        return "bare refusal"  # a header alone: old servers' word on EDNS
    if message[4:6] == _ONE and _same_but_case(message[HEADER : HEADER + len(octets)], octets):
        return "case"
    return "question"


def _same_but_case(one: bytes, other: bytes) -> bool:
    # Only the name is folded: the type octet 0x41 is no letter A.
    return one[-4:] == other[-4:] and one[:-4].lower() == other[:-4].lower()
