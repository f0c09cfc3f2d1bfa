"""
Objects of the API, as JSON: a document on each line, whatever it holds.

What can be read goes into a cluster; all that is served then can be read by clients, and when the
objects are gone nothing of them is left.
"""

import json

import msgspec

from kubedns.cluster.objects import Decoded, EndpointNames, Kind, Reader
from kubedns.cluster.pairing import Pairing
from kubedns.serve.counters import Counters
from kubedns.serve.responder import Responder
from kubedns.wire import name as names
from kubedns.wire import question, rr
from kubedns.zone import dump
from kubedns.zone.address import reverse_name
from kubedns.zone.answers import Answers
from kubedns.zone.branch import Alias
from kubedns.zone.lookup import Zone
from kubedns.zone.tree import Tree
from tests.builders import KINDS, World
from tests.fuzz import judge

MAX_LEN = 3000
TOKENS = tuple(
    word.encode()
    for word in (
        '"kind":"Service"', '"kind":"EndpointSlice"', '"kind":"Endpoints"', '"kind":"Namespace"',
        '"kind":"Pod"', '"metadata":{', '"name":"', '"namespace":"', '"spec":{',
        '"clusterIP":"None"',
        '"clusterIPs":["10.0.0.1","fd00::1"]', '"type":"ExternalName"', '"externalName":"',
        '"ports":[{',
        '"port":80', '"protocol":"TCP"', '"addressType":"IPv6"', '"endpoints":[{', '"addresses":["',
        '"conditions":{"ready":false}', '"hostname":"', '"labels":{"kubernetes.io/service-name":"',
        '"subsets":[{', '"ip":"', '"status":{', '"podIPs":[{', '"targetRef":{"kind":"Pod","name":"',
        "null", "\n", "\\ud800", "\\u0000", "1e9", "-1", "::ffff:1.2.3.4", ".", "*", "_",
    )
)  # fmt: skip
_ZONE = names.from_text("cluster.local")
_MAX_ASKED = 12
_TYPES = (rr.A, rr.AAAA, rr.SRV, rr.ANY)


def check(octets: bytes) -> None:
    """Assert all that must hold for a cluster of these objects."""
    naming = EndpointNames.POD if octets[:1] == b" " else EndpointNames.IP
    readers = {kind: Reader(kind, naming) for kind in Kind}
    found: dict[tuple[Kind, str], Decoded] = {}
    for line in octets.split(b"\n"):
        kind = _kind(line)
        decoded = _read(readers[kind], line)
        if decoded is not None:
            found[kind, decoded.key] = decoded
    if found:
        _is_served(found)


def _kind(line: bytes) -> Kind:
    for word, kind in KINDS.items():
        if b'"kind":"%s"' % word.encode() in line or b'"kind": "%s"' % word.encode() in line:
            return kind
    return Kind.CONFIG_MAP


def _read(reader: Reader, line: bytes) -> Decoded | None:
    """Read one object in all ways that there are: they agree, and faults are told in one line."""
    decoded = reader.read(line)
    told = list(reader.problems)
    reader.problems.clear()
    assert all(judge.is_one_line(each) and len(each) <= 300 for each in told)
    assert decoded is not None or told
    assert reader.read(line) == decoded
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        assert decoded is None or decoded.value is None or not line.isascii()
    else:
        assert json.loads(json.dumps(value)) == value
        if decoded is not None and decoded.value is not None:
            assert reader.convert(value) == decoded, "the same from YAML or JSON values"
        page = b'{"metadata":{"resourceVersion":"7","continue":"x"},"items":[%s]}' % line
        listed = reader.page(page)
        assert listed.objects == ([] if decoded is None else [decoded])
        assert (listed.resource_version, listed.following) == ("7", "x")
    reader.problems.clear()
    reader.remarks.clear()
    return decoded


def _is_served(found: dict[tuple[Kind, str], Decoded]) -> None:
    one, other = Pairing(Tree(_ZONE)), Pairing(Tree(_ZONE))
    for pairing, order in ((one, list(found)), (other, list(reversed(found)))):
        for kind in Kind:
            pairing.replace(kind, [])
        for kind, key in order:
            pairing.put(kind, found[kind, key])
        pairing.flush(1)
        assert not pairing.failed, pairing.failed
    assert _content(one.tree) == _content(other.tree), "the order of events shows"
    _can_be_asked(one.tree)
    _is_changed(one, list(found))


def _content(tree: Tree) -> tuple[object, ...]:
    pods = {namespace: frozenset(packed) for namespace, packed in tree.pods()}
    return dict(tree.branches()), tree.known_namespaces, pods


def _can_be_asked(tree: Tree) -> None:
    """Whoever asks for what is there gets what can be read, and over TCP all of it."""
    zone = Zone(tree)
    zone.synced = True
    counters = Counters()
    responder = Responder(
        zone, Answers(counters.left), World(), counters, version="0", host="h", clock=lambda: 0.0
    )
    json.loads("".join(dump.pieces(zone)))
    asked: list[bytes] = []
    for (namespace, service), branch in tree.branches():
        assert branch.owner == branch.owner.lower() == tree.owner_of((namespace, service))
        assert names.is_name(branch.owner)
        if isinstance(branch, Alias):
            assert names.is_name(branch.target)
            continue
        asked.append(branch.owner)
        asked += (reverse_name(each) for each in branch.addresses())
    for number, name in enumerate(asked[:_MAX_ASKED]):
        message = b"id\0\0\0\1\0\0\0\0\0\0" + name + bytes((0, _TYPES[number % 4], 0, rr.IN))
        question.read(message)
        for tcp in (False, True):
            replied = responder.answer(message, tcp=tcp)
            assert isinstance(replied, bytes)
            read = judge.fits(message, replied, 65535 if tcp else 512)
            assert read.rcode() == rr.NOERROR
            for rrset in read.answer:
                assert rrset.name.to_wire() == rrset.name.to_digestable()


def _is_changed(pairing: Pairing, keys: list[tuple[Kind, str]]) -> None:
    """Each object that goes is told of, and at the end nothing is left."""
    before = dict(pairing.tree.branches())
    for kind, key in keys:
        pairing.drop(kind, key)
        change = pairing.flush(2)
        after = dict(pairing.tree.branches())
        told = change.names()
        assert all(map(names.is_name, told))
        assert all(name == name.lower() for name in told)
        for service in before.keys() | after.keys():
            if before.get(service) != after.get(service):
                owner = pairing.tree.owner_of(service)
                assert any(names.is_below(name, owner) for name in told), "a change that none hears"
        before = after
    assert _content(pairing.tree) == ({}, frozenset(), {})
    assert not pairing.tree._holders
