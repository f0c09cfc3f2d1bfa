"""
What clients are told beside an answer, or in place of one: one sentence each (RFC 8914).

A sentence is true when it is given. What changes with time (since when a server is silent, how long
ago something was said) is therefore not stored but put together for each reply; none of it is on
the way of a hit, whose reply is made once a second at most (stored.py).

Sentences of kubedns and of other servers are passed on as they are, without what does not print,
and at most 128 octets of them (scrub.py).
"""

from collections.abc import Iterable

from dnsmasq_py.filters import BLOCKED, FILTERED
from dnsmasq_py.routing import Kind, Route
from dnsmasq_py.rules import Match
from dnsmasq_py.wording import name_text, printable
from kubedns.wire import rr

Error = tuple[int, str]
"""An extended DNS error: INFO-CODE and text."""

MOST = 160  # octets of a sentence of ours
OTHER = 0
STALE = 3
STALE_NXDOMAIN = 19
_UNREACHABLE = (22, 23)
_LEAST_SILENCE_S = 2.0  # with less, who answered a moment ago is not called silent
_OF_THE_MOMENT = (STALE, STALE_NXDOMAIN)  # codes of sentences that are true of one moment
_OURS = (FILTERED, BLOCKED)  # true at any time
_NEWS = {
    "Connection refused": "refused the connection",
    "Network is unreachable": "has no route from here",
    "No route to host": "has no route from here",
}


def spoken(route: Route) -> str:
    """Name those who are asked by a route."""
    match route:
        case Route(kind=Kind.CLUSTER):
            return "kubedns"
        case Route(match=Match.DOTLESS):
            return "the server of names of one label"
        case Route(match=Match.TEXT):
            return f"domain *{printable(route.domain)}"
        case Route(kind=Kind.STUB):
            return f"stub domain {name_text(route.domain)}"
        case Route(kind=Kind.DEFAULT):
            return "the upstream nameservers"
    domain = name_text(route.domain)
    return "every other name" if domain == "." else domain


def cut(text: str) -> str:
    """Return a sentence that is not too long."""
    octets = text.encode()
    return text if len(octets) <= MOST else octets[: MOST - 3].decode("utf-8", "ignore") + "..."


def cleaned(error: Error) -> Error:
    """Return what another server said without what does not print: it may end on a terminal."""
    code, text = error
    if text.isprintable():
        return error
    return code, "".join(c if c.isprintable() else " " for c in text).strip()


# Beside answers


def aged(error: Error, age_s: float, ttl_s: float) -> Error:
    """
    Return a sentence that came with an answer, as it is true when that is so old.

    Within its TTL it is as good as the answer. Beyond that the change feed vouches for the answer
    alone: that `web` is missing here is still known, that there is one elsewhere was said then.
    """
    code, text = error
    least = 1 if code in _OF_THE_MOMENT else ttl_s + 1
    if age_s < least or not text or error in _OURS:
        return error
    return code, f"{text}, as of {age_s:.0f} s ago"


def stale(route: Route, silent_s: float | None, why: Error | None, *, missing: bool) -> Error:
    """
    Tell why an answer is given that has expired.

    silent_s: since when none of its servers has answered anything; None: they were not asked
    lately. why: what became of the last try, if it is known. missing: the answer is NXDOMAIN.
    """
    code = STALE_NXDOMAIN if missing else STALE
    if silent_s is not None and silent_s >= _LEAST_SILENCE_S:
        who = "kubedns" if route.cluster else f"upstream of {spoken(route)}"
        who = "upstream nameservers" if route.kind is Kind.DEFAULT else who
        verb = "have" if route.kind is Kind.DEFAULT else "has"
        return code, cut(f"{who} {verb} not answered for {silent_s:.0f} s")
    if route.cluster and (why is None or why[0] in _UNREACHABLE):
        return code, "kubedns does not answer"
    if why is not None and why[1]:
        return code, cut(why[1])
    return code, cut(f"expired; {_is_asked(route)}, and no answer yet")


def _is_asked(route: Route) -> str:
    who = spoken(route)
    return f"{who} {'are' if route.kind is Kind.DEFAULT else 'is'} asked"


def cut_by(name: bytes, said: Error | None = None) -> Error:
    """
    Tell that a name is missing because one above it is (RFC 8020).

    said: what kubedns said of that one; None: nothing.
    """
    if said is not None and said[1]:
        return said[0], cut(f"nothing below {name_text(name)}: {said[1]}")
    text = f"{name_text(name)} does not exist, so there is nothing below it"
    if len(text) > MOST:
        text = "a name above this one does not exist, so there is nothing below it"
    return OTHER, text


def led_astray(end: bytes, *, missing: bool) -> Error:
    """Tell that a service's alias leads to a name of others without what was asked for."""
    lacks = "does not exist" if missing else "has no such records"
    text = f"the externalName leads to {name_text(end)}, which {lacks}"
    return OTHER, text if len(text) <= MOST else f"the externalName leads to a name that {lacks}"


def for_other_type(error: Error | None, *, clusters: bool) -> Error | None:
    """
    Return what goes with an NXDOMAIN when it is given for another type.

    The sentences of kubedns that go with one are about names alone. What others say may be about
    the type.
    """
    return error if error is None or clusters else (error[0], "")


# In place of answers


def unanswered(route: Route, news: Iterable[tuple[str, str]]) -> str:
    """
    Tell why there is no answer by a route.

    news: of each server that was asked, where it is and what it did, see turn.Turn.
    """
    found: dict[str, list[str]] = {}
    for server, did in news:
        found.setdefault(_done(did), []).append(server)
    said = ", ".join(f"{' and '.join(servers)} {did}" for did, servers in found.items())
    if route.cluster:
        odd = [did for did in found if did.startswith(("said ", "sent ", "cut "))]
        if not odd:
            return "kubedns is away and nothing is known of this name"
        return cut(f"kubedns {odd[0]}")
    if route.kind is Kind.DEFAULT:
        return cut(f"upstream {said}")
    return cut(f"{spoken(route)}: {said}")


def _done(news: str) -> str:
    """Write what a server did behind its name."""
    over, _, did = news.rpartition(": ")
    if over in ("over TCP", "over TLS"):
        return f"{_NEWS.get(did, did)} {over}"
    return _NEWS.get(news, news)


def said(route: Route, server: object, rcode: int) -> str:
    """Tell that a server gave an error in place of an answer."""
    if rcode == rr.REFUSED:
        did = "refused"
    else:
        did = f"said {rr.RCODE_NAMES.get(rcode, f'rcode {rcode}')}"
    if route.cluster:
        return f"kubedns {did}"
    if route.kind is Kind.DEFAULT:
        return f"upstream {server} {did}"
    return cut(f"{spoken(route)}: {server} {did}")


def kept(text: str, ago_s: float) -> str:
    """Tell of a failure of a moment ago that is not tried again yet."""
    text = text or "it failed"
    return cut(f"{text} ({ago_s:.0f} s ago, and not asked again yet)")
