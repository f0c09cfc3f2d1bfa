"""
Why there is no such name: sentences for NXDOMAIN.

What the border forbids is left out, or the sentence says less.
"""

from collections.abc import Iterable

from kubedns.explain import near
from kubedns.explain.below import no_such_below
from kubedns.explain.facts import Facts
from kubedns.explain.form import Doubt, Form, Kind
from kubedns.explain.wording import dotted, listed, sentence, word
from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.lookup import PodNames
from kubedns.zone.tree import Service


def no_such_name(facts: Facts, qname: bytes) -> str:
    """Return the sentence for a folded name that does not exist."""
    found = facts.form(qname)
    if b"*" in names.labels(qname) and not facts.zone.wildcards:
        return "names with * are not answered (--wildcards is off)"
    match found.kind:
        case Kind.REVERSE:
            return _nobodys_address(qname)
        case Kind.POD:
            return _no_pod(facts, found)
        case Kind.NAMESPACE if names.is_below(qname, facts.zone.tree.pods_root):
            return _no_pod(facts, found)
        case Kind.NAMESPACE:
            return _no_namespace(facts, found.namespace or b"")
    if found.namespace is not None and found.service is not None:
        return _in_namespace(facts, found, (found.namespace, found.service))
    return _outside_svc(facts, qname, found)


def _nobodys_address(qname: bytes) -> str:
    parsed = address.from_reverse(qname)
    if parsed is None or parsed[1] != 8 * len(parsed[0]):
        return "not the reverse name of an address"
    return f"no service has the address {address.unpack(parsed[0])}"


def _no_pod(facts: Facts, found: Form) -> str:
    namespace = found.namespace or b""
    if facts.zone.pods is PodNames.DISABLED:
        return "pod names are not answered (--pods=disabled)"
    known = facts.zone.tree.namespace_exists(namespace) or facts.zone.tree.has_pods(namespace)
    if not known and (facts.zone.tree.namespaces_known or facts.zone.pods is PodNames.VERIFIED):
        return _no_namespace(facts, namespace)
    packed = address.undashed(found.below[0]) if len(found.below) == 1 else None
    if packed is None:
        return sentence(
            f"{dotted(found.below)} is no address with dashes",
            "pod names are like 10-1-2-3.prod.pod",
        )
    return sentence(
        f"no pod of namespace {word(namespace)} has the address {address.unpack(packed)}"
    )


def _no_namespace(facts: Facts, namespace: bytes) -> str:
    tree = facts.zone.tree
    if not tree.namespaces_known and not tree.namespace_exists(namespace):
        return sentence(
            f"no service in a namespace {word(namespace)}", _other_namespaces(facts, namespace)
        )
    return sentence(
        f"namespace {word(namespace)} does not exist", _other_namespaces(facts, namespace)
    )


def _other_namespaces(facts: Facts, namespace: bytes) -> str:
    if not (facts.everywhere and facts.searching):
        return ""
    return _did_you_mean(near.nearest(namespace, facts.zone.tree.namespaces()))


def _in_namespace(facts: Facts, found: Form, service: Service) -> str:
    branch = facts.zone.tree.branch(*service)
    if branch is not None:
        return no_such_below(facts, found, service, branch)
    if facts.pairing.service(service) is not None:
        return not_ready(facts, service)
    product = f"{found.doubt.value} {dotted(found.wanted)}" if found.wanted else ""
    missing = _missing_service(facts, service)
    if found.kind is Kind.SEARCH_PRODUCT:
        return sentence(product, missing)
    return sentence(missing, *_instead(facts, service), product)


def not_ready(facts: Facts, service: Service) -> str:
    """Say how many endpoints of a headless service without records there are."""
    name, kept = word(service[1]), facts.pairing.service(service)
    slices = facts.pairing.endpoints(service).values()
    if kept is None or kept.cluster_ips or kept.alias or any(each.groups for each in slices):
        return f"service {name} exists, its records are still being made"
    unready = sum(each.notes.unready for each in slices)
    if unready:
        return f"service {name} exists, 0 of {unready} endpoints ready"
    return f"service {name} exists, headless and without endpoints"


def _missing_service(facts: Facts, service: Service) -> str:
    namespace, name = service
    if facts.zone.tree.namespaces_known and not facts.zone.tree.namespace_exists(namespace):
        return f"namespace {word(namespace)} does not exist"
    return f"no service {word(name)} in namespace {word(namespace)}"


def _instead(facts: Facts, service: Service) -> Iterable[str]:
    """Give what may stand behind that a service is missing."""
    tree = facts.zone.tree
    namespace, name = service
    if facts.everywhere:
        if facts.exists((name, namespace)):
            yield f"the other way round, {dotted((namespace, name, b'svc'))}, it exists"
        others = elsewhere(facts, service)
        some = listed(map(word, others))
        if tree.namespace_exists(namespace):
            yield some and f"there is one in {some}"
        else:
            meant = near.nearest(namespace, others)
            yield _did_you_mean(meant) if meant else _other_namespaces(facts, namespace)
            yield some and f"there is a service {word(name)} in {some}"
    if facts.searching:
        yield _did_you_mean(near.nearest(name, (each for each, _ in tree.services(namespace))))


def elsewhere(facts: Facts, service: Service) -> list[bytes]:
    """Return at most three other namespaces with a service of this name, nearest first."""
    if not facts.searching:
        return []
    namespace, name = service
    others = (each for each in facts.zone.tree.having(name) if each != namespace)
    return near.ordered(namespace, others)


def _did_you_mean(labels: Iterable[bytes]) -> str:
    meant = listed(map(word, labels))
    return f"did you mean {meant}?" if meant else ""


def _outside_svc(facts: Facts, qname: bytes, found: Form) -> str:
    """Explain a name of the zone that is not below svc or pod."""
    zone = facts.zone.tree.zone
    if found.kind is Kind.SEARCH_PRODUCT and found.doubt is Doubt.NONE:
        return sentence(f"{found.doubt.value} {dotted(found.wanted)}")
    labels = names.labels(qname)[: -len(names.labels(zone)) or None]
    if facts.everywhere and len(labels) > 1 and facts.exists((labels[-1], labels[-2])):
        return sentence(f"the label svc is missing: {dotted((*labels, b'svc'))}.{dotted(zone, 40)}")
    product = f"{found.doubt.value} {dotted(found.wanted)}" if found.wanted else ""
    services = f"names of services end in svc.{dotted(zone, 40)}"
    return sentence(product, services) if product else sentence("no such name", services)
