"""What is known of a question already: its answer in the cache, what cuts it off, its failure."""

from typing import Any

from dnsmasq_py import sentences
from dnsmasq_py.explain import texts
from dnsmasq_py.forwarder import Forwarder
from dnsmasq_py.routing import Route
from dnsmasq_py.server import Server
from dnsmasq_py.stored import Stored
from dnsmasq_py.upstream import Upstream
from kubedns.wire import name as names
from kubedns.wire import rr

_IN = rr.IN.to_bytes(2)
_FLAGS = (0, 1, 2, 3)  # DO and CD: each is another question
_SAID_FOR_ALL = (rr.A, rr.AAAA)  # types whose NXDOMAIN holds for every type


def keys(folded: bytes, qtype: int) -> list[bytes]:
    """Return the keys under which answers to a question may stand, the usual one first."""
    return [folded + qtype.to_bytes(2) + _IN + bytes((flags,)) for flags in _FLAGS]


def cache(forwarder: Forwarder, folded: bytes, qtype: int, now: float) -> dict[str, Any] | None:
    """Return what is kept of an answer, fit for JSON; None: nothing."""
    for key in keys(folded, qtype):
        stored = forwarder.held(key)
        if stored is not None:
            return _shown(stored, key, now)
    return None


def _shown(stored: Stored, key: bytes, now: float) -> dict[str, Any]:
    found = texts.read(stored.octets)
    answers = texts.answers(found)
    error = stored.told(now)
    ready = sum(each.uses - each.seen for each in stored.forms or ())
    return {
        "rcode": texts.rcode_text(stored.rcode),
        "answers": answers[: texts.MAX_ANSWERS],
        "answer_count": len(answers),
        "age_s": round(max(0.0, now - stored.since), 1),
        "ttl_s": stored.ttl,
        "left_s": round(stored.expires - now, 1),
        "expired": now >= stored.expires,
        "used": stored.used + ready,
        "chain": texts.chain(found),
        "ede": None if error is None else {"code": error[0], "text": error[1]},
        "from": _from(stored),
        "dnssec": bool(key[-1] & 1),
    }


def _from(stored: Stored) -> str:
    """Name who answered, in the order of its chain."""
    routes = (stored.route, *(route for _, route in stored.chain))
    spoken = [sentences.spoken(each) for each in routes if isinstance(each, Route)]
    return ", then ".join(dict.fromkeys(spoken)) or "this forwarder"


def cut_by(forwarder: Forwarder, folded: bytes, qtype: int, now: float) -> str | None:
    """
    Name the kept NXDOMAIN that answers for this question: of another type, or of a name above.

    The same conditions as those under which clients get it (Forwarder, Cache.cut_by).
    """
    for other in _SAID_FOR_ALL:
        key = folded + other.to_bytes(2) + _IN + b"\0"
        if other != qtype and _is_missing(forwarder, key, now):
            return f"NXDOMAIN of {names.to_text(folded)} ({texts.type_text(other)})"
    route = forwarder.routes.find(folded)
    if not route.cluster:
        return None
    above = forwarder.cut_by(folded, route, now)
    return None if above is None else f"NXDOMAIN of {names.to_text(above)}"


def _is_missing(forwarder: Forwarder, key: bytes, now: float) -> bool:
    stored = forwarder.held(key)
    return (
        stored is not None
        and stored.rcode == rr.NXDOMAIN
        and stored.octets[4:6] == b"\0\0"
        and now < stored.dies()
    )


def failure(forwarder: Forwarder, folded: bytes, qtype: int, now: float) -> dict[str, Any] | None:
    """Return the failure that is not tried again yet, fit for JSON; None: there is none."""
    for key in keys(folded, qtype):
        kept = forwarder.failures.kept(key, now)
        if kept is not None:
            return {
                "text": kept.failed.error[1],
                "rcode": texts.rcode_text(kept.failed.rcode),
                "code": kept.failed.error[0],
                "age_s": round(now - kept.since, 1),
                "left_s": round(kept.until - now, 1),
            }
    return None


def in_flight(forwarder: Forwarder, folded: bytes, qtype: int) -> bool:
    """Tell whether somebody asks this just now."""
    flights, asks = forwarder.flights, forwarder.express.asks
    return any(key in asks or flights.find(key) is not None for key in keys(folded, qtype))


def upstream(known: Upstream, now: float) -> dict[str, Any]:
    """Return what is known of a server, fit for JSON."""
    return {
        "server": texts.place(known.server),
        "state": "up" if known.up else "down",
        "srtt_ms": round(1000 * known.srtt, 3) if known.srtt else None,
        "timeouts": known.timeouts,
        "losses_in_a_row": known.consec_loss,
        "sent": known.sent,
        "failed": known.failed,
        "heard_s_ago": round(now - known.last_ok, 1) if known.last_ok >= 0 else None,
    }


def looping(server: Server) -> dict[str, Any]:
    """Return the same of a server that is not asked."""
    unknown = dict.fromkeys(("srtt_ms", "heard_s_ago"))
    counts = dict.fromkeys(("timeouts", "losses_in_a_row", "sent", "failed"), 0)
    return {"server": texts.place(server), "state": "looping", **unknown, **counts}
