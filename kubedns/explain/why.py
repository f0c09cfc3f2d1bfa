"""
Why a name has no records, or none of a type: a result of the zone becomes a sentence.

A pure function of what is known: zone, objects, border. Every sentence states a fact; what is only
likely says so. What the border forbids is left out of the sentence, or the sentence says less:
under `same-namespace` it is made of the question's own labels and of its own namespace's services.
"""

from kubedns.explain.facts import Facts
from kubedns.explain.lacking import no_such_type
from kubedns.explain.missing import no_such_name
from kubedns.explain.spelling import type_text
from kubedns.explain.wording import dotted, sentence, word
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone.lookup import Result


def why(facts: Facts, qname: bytes, qtype: int, result: Result) -> str | None:
    """
    Return the sentence for a result without the records asked for; None: there is nothing to say.

    qname: folded. A chain of CNAMEs is explained by its last name.
    """
    if result.outside is not None:
        return None
    chain = [rrset for rrset in result.answer if rrset.type == rr.CNAME]
    if len(chain) != len(result.answer) or (chain and qtype == rr.CNAME):
        return None
    if not chain:
        return _one(facts, qname, qtype, result.rcode)
    target = chain[-1].rdatas[0].lower()
    if names.is_below(target, facts.zone.tree.zone) and result.authority is None:
        return _endless(facts, qname, target, {rrset.owner for rrset in chain})
    return _led_astray(facts, qname, qtype, target, result)


def _one(facts: Facts, qname: bytes, qtype: int, rcode: int) -> str | None:
    if rcode == rr.NXDOMAIN:
        return no_such_name(facts, qname)
    return no_such_type(facts, qname, qtype) if rcode == rr.NOERROR else None


def _endless(facts: Facts, qname: bytes, target: bytes, owners: set[bytes]) -> str:
    service = facts.form(qname).service or b""
    if target in owners:
        return sentence(f"the externalName of {word(service)} leads in a circle")
    return sentence(f"more than {len(owners)} externalNames in a row behind {word(service)}")


def _led_astray(
    facts: Facts, qname: bytes, qtype: int, target: bytes, result: Result
) -> str | None:
    """Explain a chain by its end, which may be a name that the border hides."""
    asked = facts.form(qname)
    alias = f"the externalName of {word(asked.service or b'')} leads to"
    match result.rcode:
        case rr.NXDOMAIN:
            lacks = "does not exist"
        case rr.NOERROR:
            lacks = f"has no {type_text(qtype)} records"
        case _:
            lacks = "no nameserver resolves"
    if not (facts.everywhere or facts.form(target).namespace == asked.namespace):
        return sentence(f"{alias} a name that {lacks}")
    end = None
    if names.is_below(target, facts.zone.tree.zone):
        end = _one(facts, target, qtype, result.rcode)
    return sentence(f"{alias} {dotted(target, 40)}, which {lacks}", end or "")
