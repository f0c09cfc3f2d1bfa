"""
Small builders of API objects, and a whole DNS without sockets made of them.

The builders give what the API server would send, with only the fields that DNS reads; every one
takes the fields a test is about as keywords. `serve` carries them through the real path, JSON →
Reader → Pairing → Tree → Responder, and gives a `Served` that is asked with octets.
"""

import copy
import json
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from kubedns.cluster.objects import Decoded, EndpointNames, Kind, Reader
from kubedns.cluster.pairing import Pairing
from kubedns.errors import KubednsError
from kubedns.serve.counters import Counters
from kubedns.serve.responder import Responder
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.zone import address
from kubedns.zone.answers import Answers
from kubedns.zone.lookup import Zone
from kubedns.zone.tree import Change, Tree

Object = dict[str, Any]

SERIAL = 1_700_000_000  # Unix time at which every test cluster was read
KINDS = {
    "Service": Kind.SERVICE,
    "EndpointSlice": Kind.SLICE,
    "Endpoints": Kind.ENDPOINTS,
    "Namespace": Kind.NAMESPACE,
    "Pod": Kind.POD,
}


def port(text: str) -> Object:
    """Read `http:80`, `dns:53/UDP`, `80` (no name) or `http:` (no number) as a port."""
    rest, _, protocol = text.partition("/")
    name, colon, number = rest.rpartition(":")
    made: Object = {"protocol": protocol or "TCP"}
    if name:
        made["name"] = name
    if number:
        made["port"] = int(number)
    return made if colon or number else {"name": text}


def _ports(ports: Sequence[str | Object]) -> list[Object]:
    return [port(each) if isinstance(each, str) else each for each in ports]


def service(
    name: str = "web",
    namespace: str = "shop",
    *,
    ip: str | Sequence[str] = "10.0.0.7",
    ports: Sequence[str | Object] = (),
    **spec: Any,
) -> Object:
    """Build a Service; ip: one or several cluster IPs, `None` in text for headless."""
    ips = [ip] if isinstance(ip, str) else list(ip)
    fields: Object = {"type": "ClusterIP", "clusterIP": ips[0], "clusterIPs": ips}
    if ports:
        fields["ports"] = _ports(ports)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"},
        "spec": fields | spec,
    }


def headless(name: str = "db", namespace: str = "shop", **rest: Any) -> Object:
    """Build a Service without cluster IP."""
    return service(name, namespace, ip="None", **rest)


def external(target: str, name: str = "ext", namespace: str = "shop") -> Object:
    """Build a Service of type ExternalName."""
    made = service(name, namespace)
    made["spec"] = {"type": "ExternalName", "externalName": target}
    return made


def slice_(
    service: str = "db",
    namespace: str = "shop",
    *,
    addresses: Iterable[Any] = ("10.1.0.1",),
    ports: Sequence[str | Object] | None = ("http:80",),
    name: str = "",
    family: str = "",
    **rest: Any,
) -> Object:
    """
    Build an EndpointSlice of a service.

    addresses: text, (text, hostname), or a whole endpoint. family: by the first address.
    """
    endpoints = [_endpoint(each) for each in addresses]
    first = next((a for e in endpoints for a in e.get("addresses") or ()), "")
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name or f"{service}-{'six' if ':' in first else 'abcde'}",
            "namespace": namespace,
            "resourceVersion": "1",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family or ("IPv6" if ":" in first else "IPv4"),
        "endpoints": endpoints,
        "ports": None if ports is None else _ports(ports),
    } | rest


def _endpoint(given: Any) -> Object:
    match given:
        case str():
            return {"addresses": [given], "conditions": {"ready": True}}
        case (ip, hostname):
            return {"addresses": [ip], "hostname": hostname, "conditions": {"ready": True}}
        case _:
            return dict(given)


def endpoints(
    name: str = "db",
    namespace: str = "shop",
    *,
    addresses: Iterable[Any] = ("10.1.0.1",),
    ports: Sequence[str | Object] = ("http:80",),
    subsets: list[Object] | None = None,
) -> Object:
    """Build an Endpoints object, of one subset unless they are given whole; see slice_."""
    made: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"},
    }
    return made | {"subsets": [subset(addresses, ports)] if subsets is None else subsets}


def subset(addresses: Iterable[Any], ports: Sequence[str | Object] = ("http:80",)) -> Object:
    """Build a subset of an Endpoints object."""
    return {
        "addresses": [
            {"ip": each} if isinstance(each, str) else {"ip": each[0], "hostname": each[1]}
            for each in addresses
        ],
        "ports": _ports(ports),
    }


def namespace(name: str = "shop") -> Object:
    """Build a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(
    name: str = "web-0",
    namespace: str = "shop",
    *,
    ips: Sequence[str] = ("10.240.0.1",),
    phase: str = "Running",
    **metadata: Any,
) -> Object:
    """Build a Pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"} | metadata,
        "status": {"phase": phase, "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]},
    }


def kind_of(value: Object) -> Kind:
    """Return the kind of an object that a builder made."""
    return KINDS[value["kind"]]


def key_of(value: Object) -> str:
    """Return the key of an object: namespace/name."""
    meta = value["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def octets(value: Object) -> bytes:
    """Return an object as the API server sends it."""
    return json.dumps(value).encode()


class Cluster:
    """Objects on their way into a tree, as a source would report them."""

    def __init__(self, tree: Tree | None = None, naming: EndpointNames = EndpointNames.IP) -> None:
        self.tree = Tree(names.from_text("cluster.local")) if tree is None else tree
        self.pairing = Pairing(self.tree)
        self.readers = {kind: Reader(kind, naming) for kind in Kind}
        self._now = SERIAL

    @property
    def problems(self) -> list[str]:
        """Return what was wrong with the objects so far."""
        return [problem for reader in self.readers.values() for problem in reader.problems]

    def decode(self, value: Object) -> Decoded:
        """Read an object; one that is no object at all is a mistake of the test."""
        decoded = self.readers[kind_of(value)].read(octets(value))
        assert decoded is not None, value
        return decoded

    def listed(self, kind: Kind, values: Iterable[Object]) -> None:
        """Report a whole list of a kind."""
        decoded = [self.readers[kind].read(octets(value)) for value in values]
        self.pairing.replace(kind, [each for each in decoded if each is not None])

    def load(self, values: Iterable[Object]) -> Change:
        """Report everything there is: Services and endpoints; the others as far as given."""
        by_kind: dict[Kind, list[Object]] = {Kind.SERVICE: [], Kind.SLICE: []}
        for value in values:
            by_kind.setdefault(kind_of(value), []).append(value)
        for kind, listed in by_kind.items():
            self.listed(kind, listed)
        return self.flush()

    def put(self, *values: Object) -> Change:
        """Report objects that are new or changed, together."""
        for value in values:
            self.pairing.put(kind_of(value), self.decode(value))
        return self.flush()

    def drop(self, *values: Object) -> Change:
        """Report objects that are gone, together."""
        for value in values:
            self.pairing.drop(kind_of(value), key_of(value))
        return self.flush()

    def flush(self) -> Change:
        """Bring the tree up to date."""
        return self.pairing.flush(self._now)


@dataclass
class Reply:
    """What the world outside says about one name."""

    rcode: int = rr.NOERROR
    answer: list[rr.RRset] = field(default_factory=list)
    authority: list[rr.RRset] = field(default_factory=list)


class NobodyAnswersError(KubednsError):
    """What the world outside says when no nameserver does."""


class World:
    """The world outside, of a few names; notes what it was asked. None: nobody answers."""

    def __init__(self, replies: Mapping[str, Reply | None] | None = None) -> None:
        self._replies: dict[bytes, Reply | None] = {}
        self.has_any = replies is not None
        self.asked: list[tuple[str, int]] = []
        self.learn(replies or {})

    def learn(self, replies: Mapping[str, Reply | None]) -> None:
        """Know more names."""
        self._replies |= {names.from_text(name): reply for name, reply in replies.items()}

    def has_servers(self, qname: bytes) -> bool:
        """Tell whether there is anybody outside."""
        return self.has_any

    async def ask(self, qname: bytes, qtype: int, *, do: bool, cd: bool) -> Any:
        """Answer at once."""
        self.asked.append((names.to_text(qname), qtype))
        reply = self._replies.get(qname.lower(), Reply(rr.NXDOMAIN))
        if reply is None:
            raise NobodyAnswersError("192.0.2.53:53: no reply")
        # The answer is the responder's to change.
        return copy.deepcopy(reply)


def record(owner: str, rtype: int, *rdatas: str, ttl: int = 300) -> rr.RRset:
    """Build records of the world outside: addresses and names as text."""
    packed = tuple(address.pack(each) or names.from_text(each) for each in rdatas)
    return rr.RRset(names.from_text(owner), rtype, ttl, packed)


class Served:
    """A cluster that is asked with octets, as the sockets would."""

    def __init__(self, cluster: Cluster, zone: Zone, world: World | None = None) -> None:
        self.cluster = cluster
        self.zone = zone
        self.counters = Counters()
        self.answers = Answers(self.counters.left)
        self.world = World() if world is None else world
        self.responder = Responder(
            zone, self.answers, self.world, self.counters,
            version="kube-dns-py 0", host="dns-0", clock=lambda: 0.0,
        )  # fmt: skip

    def octets(self, message: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the reply to a message: a ready answer as a receiver takes it, or a new one."""
        ready = None if tcp else self.answers.table.get(message[2:])
        if ready is not None:
            turn = ready.turns[ready.uses % len(ready.turns)]
            ready.uses += 1
            return message[:2] + turn
        answered = self.responder.answer(message, tcp=tcp)
        return answered if answered is None or isinstance(answered, bytes) else _run(answered)

    def ask(
        self, question: str, *, tcp: bool = False, edns: bool = True, flags: str = "", **rest: Any
    ) -> dns.message.Message:
        """Ask `name TYPE [CLASS]` and return the decoded reply."""
        reply = self.octets(query(question, edns=edns, flags=flags, **rest).to_wire(), tcp=tcp)
        assert reply is not None, f"no reply to {question}"
        return decoded(reply)

    def answer(self, question: str, **rest: Any) -> list[str]:
        """Ask, and return the data of the answer section, sorted, CNAMEs included."""
        return sorted(line.split(" ", 4)[4] for line in lines(self.ask(question, **rest).answer))

    def rcode(self, question: str, **rest: Any) -> str:
        """Ask, and return the code in text."""
        return str(self.ask(question, **rest).rcode().name)

    def problems(self) -> list[str]:
        """Return what was wrong with the objects."""
        return self.cluster.problems


def _run(answered: Awaitable[bytes]) -> bytes:
    """Run a coroutine that never waits."""
    running: Any = answered
    try:
        running.send(None)
    except StopIteration as end:
        result: bytes = end.value
        return result
    raise AssertionError("waits for somebody")


def serve(
    *values: Object,
    synced: bool = True,
    naming: EndpointNames = EndpointNames.IP,
    world: World | None = None,
    **options: Any,
) -> Served:
    """Build a DNS that serves objects; options: fields of Zone."""
    cluster = Cluster(naming=naming)
    zone = Zone(cluster.tree, **options)
    zone.synced = synced
    cluster.load(values)
    if not cluster.tree.serial:
        cluster.tree.advance(SERIAL)
    return Served(cluster, zone, world)


def query(
    question: str, *, edns: bool = True, flags: str = "", payload: int = 1232, **rest: Any
) -> dns.message.QueryMessage:
    """Build a query for `name TYPE [CLASS]`; flags: further ones, RD is off."""
    name, rtype, *rclass = question.split()
    if edns or "DO" in flags:
        rest |= {"use_edns": 0, "payload": payload}
    made: dns.message.QueryMessage = dns.message.make_query(
        dns.name.from_text(name), rtype, rclass[0] if rclass else "IN", **rest
    )
    made.flags = dns.flags.from_text(" ".join(flags.replace("DO", "").split()))
    if "DO" in flags:
        made.want_dnssec()
    return made


def decoded(reply: bytes) -> dns.message.Message:
    """Decode a reply; every record by itself, nothing may follow."""
    return dns.message.from_wire(reply, one_rr_per_rrset=True)


def lines(section: Iterable[Any]) -> list[str]:
    """Write records as text: owner, TTL, class, type, data."""
    return [line for rrset in section for line in rrset.to_text().splitlines()]


def conformance_cluster() -> list[Object]:
    """Build the fixture of CoreDNS' own tests, which conformance tables are written for."""
    return [
        *map(namespace, ("testns", "kube-system", "podns", "svcns")),
        service("svc1", "testns", ip="10.0.0.1", ports=["http:80"]),
        slice_("svc1", "testns", addresses=[("172.0.0.1", "ep1a")]),
        service("svcempty", "testns", ip="10.0.0.1", ports=["http:80"]),
        service("svc6", "testns", ip="1234:abcd::1", ports=["http:80"]),
        service("svc-dual-stack", "testns", ip=["10.0.0.3", "10::3"], ports=["http:80"]),
        headless("hdls1", "testns", ports=["http:80"]),
        slice_(
            "hdls1", "testns",
            addresses=[
                "172.0.0.2", "172.0.0.3", ("172.0.0.4", "dup-name"), ("172.0.0.5", "dup-name"),
            ],
        ),
        slice_("hdls1", "testns", addresses=["5678:abcd::1", "5678:abcd::2"]),
        headless("hdlsprtls", "testns"),
        slice_("hdlsprtls", "testns", addresses=["172.0.0.20"], ports=None),
        external("ext.interwebs.test", "external", "testns"),
        external("svc1.testns.svc.cluster.local", "external-to-service", "testns"),
        service("kubedns", "kube-system", ip="10.0.0.10", ports=["dns:53/UDP"]),
        pod("web", "podns", ips=["10.240.0.1"]),
    ]  # fmt: skip
