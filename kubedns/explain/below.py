"""Why there is no such name below a service that has records: ports, protocols, endpoints."""

from kubedns.explain import near
from kubedns.explain.facts import Facts
from kubedns.explain.form import Form, Kind
from kubedns.explain.wording import dotted, listed, sentence, word
from kubedns.zone.branch import Addressed, Alias, Branch, Headless, Port
from kubedns.zone.tree import Service


def no_such_below(facts: Facts, found: Form, service: Service, branch: Branch) -> str:
    """Return the sentence for a name below a service that does not exist."""
    name = word(service[1])
    kept = facts.pairing.service(service)
    if isinstance(branch, Alias) or (kept is not None and kept.external):
        return sentence(f"{name} is an externalName: it has no ports and no endpoints")
    if found.kind is Kind.ENDPOINT:
        return _no_endpoint(facts, found.below, service, branch)
    ports = _ports(branch)
    match found.below:
        case (port, protocol) if port.startswith(b"_"):
            return _no_port(name, port, protocol, ports)
        case (protocol,):
            return sentence(f"no port of {name} has a name and the protocol {word(protocol[1:])}")
    return sentence(f"below {name} there are names like _http._tcp only")


def _no_port(name: str, port: bytes, protocol: bytes, ports: list[Port]) -> str:
    named = list(dict.fromkeys(each.service for each in ports if each.service))
    if not named:
        return sentence(f"no port named {word(port[1:])}", f"no port of {name} has a name")
    if port in named:
        other = {each.protocol for each in ports if each.service == port}
        spoken = listed(sorted(word(each[1:]).upper() for each in other))
        asked = word(protocol.lstrip(b"_")).upper()
        return sentence(f"port {word(port[1:])} of {name} is {spoken}, not {asked}")
    some = listed(word(each[1:]) for each in named[:5])
    has = f"{name} has {some}" + (", ..." if len(named) > 5 else "")
    return sentence(f"no port named {word(port[1:])}", has)


def _no_endpoint(
    facts: Facts, below: tuple[bytes, ...], service: Service, branch: Addressed | Headless
) -> str:
    name, label = word(service[1]), word(below[-1])
    if len(below) > 1:
        return sentence(f"{dotted(below)} is no name of an endpoint or a port of {name}")
    if isinstance(branch, Addressed):
        return sentence(f"{name} has a cluster IP, so its endpoints have no names")
    slices = facts.pairing.endpoints(service).values()
    if any(below[-1] == pod.encode() for each in slices for pod in each.notes.unready_pods):
        return sentence(f"endpoint {label} of {name} is not ready")
    hosts = sorted({each for group in branch.groups for each in group.labels or () if each})
    fact = f"no endpoint of {name} has the name {label}"
    if not hosts:
        return sentence(fact, "none has a hostname")
    some = listed(map(word, near.nearest(below[-1], hosts) or hosts[:3]))
    return sentence(
        fact, f"{len(hosts)} have others: {some}" if len(hosts) > 3 else f"it has {some}"
    )


def _ports(branch: Branch) -> list[Port]:
    if isinstance(branch, Addressed):
        return list(branch.ports)
    groups = branch.groups if isinstance(branch, Headless) else ()
    return list(dict.fromkeys(port for group in groups for port in group.ports))
