"""Why a name that exists has no records of a type: sentences for NODATA."""

from kubedns.explain.facts import Facts
from kubedns.explain.form import Form, Kind
from kubedns.explain.spelling import type_text
from kubedns.explain.wording import listed, sentence, word
from kubedns.wire import rr
from kubedns.zone import address
from kubedns.zone.tree import Service

_FAMILY = {rr.A: 4, rr.AAAA: 16}
_FAMILY_NAME = {4: "IPv4", 16: "IPv6"}


def no_such_type(facts: Facts, qname: bytes, qtype: int) -> str:
    """Return the sentence for a folded name without records of a type."""
    found = facts.form(qname)
    text = type_text(qtype)
    match found.kind:
        case Kind.NAMESPACE:
            return sentence("a namespace has no records", "names of services are in front of it")
        case Kind.APEX | Kind.SCHEMA:
            return f"this name has no {text} records"
        case Kind.REVERSE:
            parsed = address.from_reverse(qname)
            whole = parsed is not None and parsed[1] == 8 * len(parsed[0])
            return "reverse names have PTR records only" if whole else "no whole address"
        case Kind.PORT if len(found.below) == 1:
            return sentence(
                f"no {text} records", "ask for the SRV records of a port in front of it"
            )
        case Kind.PORT:
            return f"ports have SRV records, not {text}"
        case Kind.POD:
            packed = address.undashed(found.below[0]) or b""
            return sentence(
                f"{word(found.below[0])} has no {text} records",
                f"its address is {_FAMILY_NAME.get(len(packed), '')}",
            )
    if found.namespace is None or found.service is None:
        return f"this name has no {text} records"
    return _no_type_of_service(facts, found, (found.namespace, found.service), qtype)


def _no_type_of_service(facts: Facts, found: Form, service: Service, qtype: int) -> str:
    branch = facts.zone.tree.branch(*service)
    label = word(found.below[0] if found.below else service[1])
    fact = f"{label} has no {type_text(qtype)} records"
    kept = facts.pairing.service(service)
    if kept is not None and kept.external:
        only = address.unpack(kept.cluster_ips[0])
        return sentence(f"externalName is an IP address ({only}): {fact}")
    if qtype not in _FAMILY or branch is None:
        return fact
    held = {w for r, w in _FAMILY.items() if branch.find(found.below, r)}
    families = listed(_FAMILY_NAME[width] for width in sorted(held))
    return f"{fact}: its addresses are {families}" if families else fact
