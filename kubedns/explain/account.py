"""
All that is known about one question, as the JSON of /explain: what is answered, and from what.

Asked by an operator on the loopback port, so it names what is there whatever `--explain` says; only
`ede` is what a client would be told.
"""

import time
from collections.abc import Iterable
from typing import Any

from kubedns.cluster.objects import Service, Slice
from kubedns.cluster.pairing import Pairing
from kubedns.explain import near
from kubedns.explain.border import Border
from kubedns.explain.facts import Facts
from kubedns.explain.form import Form, Kind
from kubedns.explain.missing import elsewhere
from kubedns.explain.sentences import Sentences
from kubedns.explain.spelling import rdata_text, type_text
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address
from kubedns.zone.branch import Addressed, Headless, Port
from kubedns.zone.lookup import Result, Zone, is_ours, lookup
from kubedns.zone.tree import Service as Key

_MOST = 20  # answers, addresses
_MOST_SLICES = 50
_MOST_MEANT = 3

Json = dict[str, Any]


class Accounts:
    """See the head of this module."""

    def __init__(self, zone: Zone, pairing: Pairing, sentences: Sentences) -> None:
        self._zone = zone
        self._pairing = pairing
        self._sentences = sentences

    def of(self, name: bytes, qtype: int) -> Json:
        """Return what /explain shows of a question; name as it was spelled, in wire form."""
        zone, qname = self._zone, name.lower()
        facts = Facts(zone, self._pairing, Border.FULL)
        ours = is_ours(zone, qname)
        result = lookup(zone, qname, qtype) if ours else Result(rcode=rr.REFUSED)
        found = facts.form(qname)
        key = _key(facts, found, result)
        away_s = self._sentences.away_s
        return {
            "name": names.to_text(name),
            "type": type_text(qtype),
            "zone": names.to_text(zone.tree.zone),
            "ours": ours,
            "synced": zone.synced,
            "api_away_s": None if away_s is None else round(away_s, 1),
            **(self._answered(qname, qtype, result) if ours else self._not_ours(qname)),
            "kind": found.kind.value,
            "namespace": self._namespace(found),
            **self._made_of(facts, key),
            **_perhaps(facts, found, qname, exists=result.rcode == rr.NOERROR),
            "unready_reasons": [],
        }

    def unready_pods(self, name: bytes) -> list[tuple[str, str]]:
        """Return (namespace, name) of pods that keep endpoints behind a name from being ready."""
        facts = Facts(self._zone, self._pairing, Border.FULL, searching=False)
        found = facts.form(name.lower())
        if found.namespace is None or found.service is None:
            return []
        slices = self._pairing.endpoints((found.namespace, found.service)).values()
        namespace = found.namespace.decode("ascii", "replace")
        return [(namespace, pod) for each in slices for pod in each.notes.unready_pods]

    # Parts

    def _answered(self, qname: bytes, qtype: int, result: Result) -> Json:
        error, _ = self._sentences.of(qname, qtype, result)
        chain = [each for each in result.answer if each.type == rr.CNAME and qtype != rr.CNAME]
        data = [each for each in result.answer if each not in chain]
        texts = [rdata_text(each.type, rdata) for each in data for rdata in each.rdatas]
        return {
            "rcode": rr.RCODE_NAMES.get(result.rcode, str(result.rcode)),
            "answers": texts[:_MOST],
            "answer_count": len(texts),
            "ttl": min((each.ttl for each in result.answer), default=self._zone.negative_ttl),
            "chain": [
                f"{names.to_text(each.owner)} CNAME {names.to_text(each.rdatas[0])}"
                for each in chain
            ],
            "outside": None if result.outside is None else names.to_text(result.outside),
            "ede": None if error is None else {"code": error[0], "text": error[1]},
        }

    def _not_ours(self, qname: bytes) -> Json:
        text = self._sentences.refusal(qname, "not a name of the cluster")
        return {
            "rcode": "REFUSED",
            "answers": [],
            "answer_count": 0,
            "ttl": 0,
            "chain": [],
            "outside": names.to_text(qname),
            "ede": {"code": 20, "text": text},
        }

    def _namespace(self, found: Form) -> Json | None:
        if found.namespace is None:
            return None
        tree = self._zone.tree
        exists: bool | None = tree.namespace_exists(found.namespace)
        if not exists and not (tree.namespaces_known and self._zone.synced):
            exists = None
        return {"name": names.label_to_text(found.namespace), "exists": exists}

    def _made_of(self, facts: Facts, key: Key | None) -> Json:
        if key is None:
            return {"service": None, "slices": [], "slice_count": 0, "ready": 0, "unready": 0}
        slices = dict(sorted(self._pairing.endpoints(key).items()))
        shown = list(slices.items())[:_MOST_SLICES]
        return {
            "service": self._service(key),
            "slices": [_slice(name, each) for name, each in shown],
            "slice_count": len(slices),
            "ready": sum(_ready(each) for each in slices.values()),
            "unready": sum(each.notes.unready for each in slices.values()),
        }

    def _service(self, key: Key) -> Json | None:
        kept = self._pairing.service(key)
        branch = self._zone.tree.branch(*key)
        if kept is None and branch is None:
            return None
        if kept is None:  # known from a snapshot alone
            ips = branch.cluster_ips if isinstance(branch, Addressed) else ()
            alias = getattr(branch, "target", None)
            kept = Service(*key, ips, alias, branch.ports if isinstance(branch, Addressed) else ())
        external = None if kept.alias is None else names.to_text(kept.alias)
        ports: Iterable[Port] = kept.ports
        if kept.external:
            external = address.unpack(kept.cluster_ips[0])
        if isinstance(branch, Headless):
            ports = dict.fromkeys(port for group in branch.groups for port in group.ports)
        return {
            "namespace": key[0].decode("ascii", "replace"),
            "name": key[1].decode("ascii", "replace"),
            "type": "ExternalName" if external else "ClusterIP" if kept.cluster_ips else "Headless",
            "cluster_ips": [] if external else [address.unpack(ip) for ip in kept.cluster_ips],
            "external_name": external,
            "ports": [_port(port) for port in ports][:_MOST],
            "resource_version": kept.notes.resource_version,
            "changed": _time(kept.notes.changed),
        }


def _key(facts: Facts, found: Form, result: Result) -> Key | None:
    """Return the service that a question is about, a reverse name's first one for example."""
    if found.namespace is not None and found.service is not None:
        return (found.namespace, found.service)
    if found.kind is Kind.REVERSE and result.answer:
        for tag in result.tags:
            for holder in facts.zone.tree.holders(tag):
                return holder
    return None


def _perhaps(facts: Facts, found: Form, qname: bytes, *, exists: bool) -> Json:
    """Tell where else a service of this name is, and which names were perhaps meant."""
    namespace, service = found.namespace, found.service
    if exists or (
        namespace is not None and service is not None and facts.exists((namespace, service))
    ):
        return {"elsewhere": [], "did_you_mean": []}
    if found.kind is Kind.SEARCH_PRODUCT and service:
        return {"elsewhere": [], "did_you_mean": []}  # nobody asked for a service `com`
    others = elsewhere(facts, (namespace, service)) if namespace and service else []
    return {
        "elsewhere": [names.label_to_text(each) for each in others],
        "did_you_mean": _meant(facts, qname),
    }


def _meant(facts: Facts, qname: bytes) -> list[str]:
    """Return at most three names that exist and were perhaps meant."""
    keys = dict.fromkeys(_candidates(facts, qname))
    existing = [facts.zone.tree.owner_of(key) for key in keys if facts.exists(key)]
    return [names.to_text(name) for name in existing if name != qname][:_MOST_MEANT]


def _candidates(facts: Facts, qname: bytes) -> Iterable[Key]:
    tree = facts.zone.tree
    if not names.is_below(qname, tree.zone):
        return
    labels = [*names.labels(qname)[: -len(names.labels(tree.zone)) or None]]
    had_svc = labels[-1:] == [b"svc"]
    if had_svc:
        labels.pop()
    if len(labels) < 2:
        return
    service, namespace = labels[-2:]
    if not had_svc:
        yield namespace, service
    yield service, namespace
    near_namespaces = near.nearest(namespace, tree.namespaces())
    for each in near_namespaces:
        yield each, service
    for each in near.nearest(service, (name for name, _ in tree.services(namespace))):
        yield namespace, each
    for other in near_namespaces:
        for each in near.nearest(service, (name for name, _ in tree.services(other))):
            yield other, each
    for each in elsewhere(facts, (namespace, service)):
        yield each, service


def _ready(each: Slice) -> int:
    return sum(len(group.addresses) // group.width for group in each.groups)


def _slice(key: str, each: Slice) -> Json:
    packed = [a for group in each.groups for a in address.split(group.addresses, group.width)]
    return {
        "name": key.partition("/")[2],
        "resource_version": each.notes.resource_version,
        "changed": _time(each.notes.changed),
        "ready": len(packed),
        "unready": each.notes.unready,
        "addresses": [address.unpack(one) for one in packed[:_MOST]],
        "unready_pods": list(each.notes.unready_pods),
    }


def _port(port: Port) -> Json:
    return {
        "name": names.label_to_text(port.service[1:]),
        "protocol": port.protocol[1:].decode().upper(),
        "port": port.number,
    }


def _time(at: float) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at else None
