"""
Objects of the API become what DNS needs of them; the rest is dropped at the door.

JSON (or the values that YAML gives) is decoded by msgspec straight into structs that hold only the
fields read here, and these into values that are small, hashable and comparable: two of them are
equal when no answer could differ. What only explains (Notes) stands beside and is never compared.
Octets that recur (labels, port lists) are kept once.

An object with nonsense inside is cut to its valid part, or left out: each fault is put into
`problems` as one line, escaped, and nothing is raised. What the API server validates can still
come wrong from files.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, StrEnum
from typing import Any, TypeVar

import msgspec

from kubedns.cluster import shapes
from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.branch import Group, Port

T = TypeVar("T")

_MAX_UNREADY_PODS = 5  # whose names are kept, of one slice


class Kind(Enum):
    """The kinds of object that DNS is made of."""

    SERVICE = "services"
    SLICE = "endpointslices"
    ENDPOINTS = "endpoints"
    NAMESPACE = "namespaces"
    POD = "pods"
    CONFIG_MAP = "configmaps"


class EndpointNames(StrEnum):
    """What an endpoint without hostname is called: by its address, or by its pod."""

    IP = "ip"
    POD = "pod"


class Notes(msgspec.Struct, gc=False, eq=False):
    """
    What is told about an object and is in no answer: any two of them are equal.

    unready: endpoints that are not ready, with the names of at most five of their pods. changed:
    Unix time at which this version was seen first.
    """

    resource_version: str = ""
    unready: int = 0
    unready_pods: tuple[str, ...] = ()
    changed: float = 0.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notes)

    def __hash__(self) -> int:
        return 0

    def renew(self, newer: "Notes", now: float) -> None:
        """Take over what a newer version of the same object says."""
        if newer.resource_version != self.resource_version:
            self.resource_version = newer.resource_version
            self.changed = now
        self.unready = newer.unready
        self.unready_pods = newer.unready_pods


class Service(msgspec.Struct, frozen=True, gc=False):
    """
    A Service. alias: externalName in wire form, or None.

    cluster_ips are packed; none of them and no alias: headless. external: an externalName that is
    an address and stands among cluster_ips; its reverse name is not ours.
    """

    namespace: bytes
    name: bytes
    cluster_ips: tuple[bytes, ...] = ()
    alias: bytes | None = None
    ports: tuple[Port, ...] = ()
    external: bool = False
    notes: Notes = msgspec.field(default_factory=Notes)


class Slice(msgspec.Struct, frozen=True, gc=False):
    """
    The ready endpoints that one EndpointSlice, or one subset of an Endpoints object, adds.

    service: whose they are.
    """

    namespace: bytes
    service: bytes
    groups: tuple[Group, ...] = ()
    notes: Notes = msgspec.field(default_factory=Notes)


class Namespace(msgspec.Struct, frozen=True, gc=False):
    """A Namespace that exists."""

    name: bytes


class Pod(msgspec.Struct, frozen=True, gc=False):
    """A Pod with its packed addresses."""

    namespace: bytes
    addresses: tuple[bytes, ...]


class ConfigMap(msgspec.Struct, frozen=True, gc=False):
    """The text of a ConfigMap, by key."""

    data: tuple[tuple[str, str], ...]


Value = Service | Slice | Namespace | Pod | ConfigMap

_SHAPES: dict[Kind, Any] = {
    Kind.SERVICE: shapes.Service,
    Kind.SLICE: shapes.Slice,
    Kind.ENDPOINTS: shapes.Endpoints,
    Kind.NAMESPACE: shapes.Namespace,
    Kind.POD: shapes.Pod,
    Kind.CONFIG_MAP: shapes.ConfigMap,
}


class Decoded(msgspec.Struct, gc=False):
    """One object: key is namespace/name; value is None when DNS has no use for it."""

    key: str
    resource_version: str
    value: Value | None


class ListPage(msgspec.Struct, gc=False):
    """One page of a list: its objects, the list's resourceVersion, the token of the next page."""

    objects: list[Decoded]
    resource_version: str
    following: str


_named = msgspec.json.Decoder(shapes.Named)
_raw_list = msgspec.json.Decoder(shapes.RawList)


class Reader:
    """
    Reads the objects of one kind.

    problems collects what was wrong with them since the caller last emptied it, remarks what is
    served and yet odd.
    """

    def __init__(self, kind: Kind, naming: EndpointNames = EndpointNames.IP) -> None:
        self.kind = kind
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._naming = naming
        self._shape = _SHAPES[kind]
        self._one = msgspec.json.Decoder(self._shape)
        self._shared: dict[Any, Any] = {}

    def page(self, octets: bytes) -> ListPage:
        """
        Read one page of a list.

        Raises:
            msgspec.DecodeError: it is no list. Broken items inside only become problems.
        """
        page = _raw_list.decode(octets)
        items = [item for raw in page.items or () if (item := self.read(raw)) is not None]
        return ListPage(items, page.metadata.resource_version, page.metadata.following)

    def read(self, octets: bytes | msgspec.Raw) -> Decoded | None:
        """Read one object from JSON; None when it does not even have metadata."""
        try:
            return self._decoded(self._one.decode(octets))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._unreadable(octets, error)

    def convert(self, value: object) -> Decoded | None:
        """Read one object from the values that YAML or JSON text gave."""
        try:
            return self._decoded(msgspec.convert(value, self._shape))
        except msgspec.ValidationError as error:
            self._problem(f"an object of {self.kind.value}", str(error))
            return None

    def _unreadable(self, octets: bytes | msgspec.Raw, error: Exception) -> Decoded | None:
        """Say which object it is, at least: what is known of it is not true any more."""
        try:
            meta = _named.decode(octets).metadata
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._problem(f"an object of {self.kind.value}", str(error))
            return None
        key = f"{meta.namespace}/{meta.name}"
        self._problem(key, str(error))
        return Decoded(key, meta.resource_version, None)

    def _decoded(self, raw: Any) -> Decoded:
        meta = raw.metadata
        key = f"{meta.namespace}/{meta.name}"
        match raw:
            case shapes.Service():
                value: Value | None = self._service(raw, key)
            case shapes.Slice():
                value = self._slice(raw, key)
            case shapes.Endpoints():
                value = self._endpoints(raw, key)
            case shapes.Namespace():
                label = self._label(meta.name, key)
                value = None if label is None else Namespace(label)
            case shapes.ConfigMap():
                value = ConfigMap(tuple(sorted((raw.data or {}).items())))
            case _:
                value = self._pod(raw, key)
        return Decoded(key, meta.resource_version, value)

    def _service(self, raw: shapes.Service, key: str) -> Service | None:
        namespace, name = (
            self._label(raw.metadata.namespace, key),
            self._label(raw.metadata.name, key),
        )
        if namespace is None or name is None:
            return None
        spec = raw.spec
        notes = Notes(raw.metadata.resource_version)
        if spec.type == "ExternalName":
            return self._external(spec.external_name or "", namespace, name, key, notes)
        texts = spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])
        texts = [text for text in texts if text and text != "None"]
        packed = self._addresses(texts, key)
        if texts and not packed:
            return None  # taken for headless it would be answered with its endpoints
        return Service(namespace, name, packed, ports=self._ports(spec.ports, key), notes=notes)

    def _external(
        self, text: str, namespace: bytes, name: bytes, key: str, notes: Notes
    ) -> Service | None:
        packed = address.pack(text)
        if packed is not None:
            # Not a name, but kube-dns answered it as an address and users rely on that.
            self.remarks.append(f"{key}: externalName {text} is an address: answered as A or AAAA")
            return Service(namespace, name, (packed,), external=True, notes=notes)
        try:
            if not _HOST_NAME.fullmatch(text):
                raise names.BadNameError("no host name")
            return Service(namespace, name, alias=names.from_text(text), notes=notes)
        except names.BadNameError as error:
            self._problem(key, f"externalName {text!r}: {error}")
            return None

    def _slice(self, raw: shapes.Slice, key: str) -> Slice | None:
        service = raw.metadata.labels.service if raw.metadata.labels else ""
        width = {"IPv4": 4, "IPv6": 16}.get(raw.family)
        if not service or width is None:
            return None  # nobody's, or FQDN, which has no records
        namespace, owner = self._label(raw.metadata.namespace, key), self._label(service, key)
        if namespace is None or owner is None:
            return None
        ready: list[tuple[bytes, bytes | None]] = []
        unready: list[shapes.Endpoint] = []
        label: bytes | None
        are_named = self._naming is EndpointNames.POD
        for each in raw.endpoints or ():  # a hundred of them for one that has changed
            if each.conditions is not None and each.conditions.ready is False:
                unready.append(each)
                continue
            label = None
            if each.hostname or are_named:
                label = self._hostname(each.hostname, each.target, key)
            for text in each.addresses or ():
                packed = address.pack(text)
                if packed is not None and len(packed) == width:
                    ready.append((packed, label))
                else:
                    self._misfit(text, packed, raw.family, key)
        group = self._group(width, ready, self._ports(raw.ports, key))
        notes = _notes(raw.metadata.resource_version, unready)
        return Slice(namespace, owner, (group,) if group else (), notes)

    def _endpoints(self, raw: shapes.Endpoints, key: str) -> Slice | None:
        namespace, name = (
            self._label(raw.metadata.namespace, key),
            self._label(raw.metadata.name, key),
        )
        if namespace is None or name is None:
            return None
        groups: list[Group] = []
        unready: list[shapes.EndpointAddress] = []
        for subset in raw.subsets or ():
            unready += subset.not_ready or ()
            ports = self._ports(subset.ports, key)
            ready = [
                (packed, self._hostname(each.hostname, each.target, key))
                for each in subset.addresses or ()
                for packed in self._addresses((each.ip,), key)
            ]
            for width in (4, 16):
                group = self._group(width, [e for e in ready if len(e[0]) == width], ports)
                if group is not None:
                    groups.append(group)
        notes = _notes(raw.metadata.resource_version, unready)
        return Slice(namespace, name, tuple(groups), notes)

    def _pod(self, raw: shapes.Pod, key: str) -> Pod | None:
        status = raw.status
        # A pod that has ended may still show an address that another one has by now.
        if status is None or raw.metadata.deletion or status.phase in ("Succeeded", "Failed"):
            return None
        namespace = self._label(raw.metadata.namespace, key)
        texts = [each.ip for each in status.ips or ()] or ([status.ip] if status.ip else [])
        packed = self._addresses(texts, key)
        return Pod(namespace, packed) if namespace is not None and packed else None

    def _group(
        self, width: int, ready: Sequence[tuple[bytes, bytes | None]], ports: tuple[Port, ...]
    ) -> Group | None:
        if not ready:
            return None
        packed, labels = zip(*ready, strict=True)
        return Group(width, b"".join(packed), labels if any(labels) else None, ports)

    def _misfit(self, text: str, packed: bytes | None, family: str, key: str) -> None:
        """Say that an endpoint's address is none, or none of its slice's family."""
        if packed is None:
            self._problem(key, f"{text!r} is no IP address")
        else:
            self._problem(key, f"{address.unpack(packed)} in a slice of {family}")

    def _hostname(
        self, hostname: str | None, target: shapes.TargetRef | None, key: str
    ) -> bytes | None:
        if hostname:
            label = self._label(hostname, key, what="hostname")
            if label is not None:
                return label
        if self._naming is not EndpointNames.POD or target is None or target.kind != "Pod":
            return None
        # A pod's name may hold dots, which is no label: then the address names the endpoint.
        name = target.name or ""
        return self._share(name.encode("ascii")) if _LABEL.fullmatch(name) else None

    def _label(self, text: str, key: str, *, what: str = "name") -> bytes | None:
        """Check a label (RFC 1123, lower case as the API has it) and give it as octets, shared."""
        if not _LABEL.fullmatch(text):
            self._problem(key, f"{what} {text!r} is no lower-case RFC 1123 label")
            return None
        return self._share(text.encode("ascii"))

    def _addresses(self, texts: Iterable[str], key: str) -> tuple[bytes, ...]:
        found = []
        for text in texts:
            packed = address.pack(text)
            if packed is None:
                self._problem(key, f"{text!r} is no IP address")
            else:
                found.append(packed)
        return tuple(found)

    def _ports(self, raw: Sequence[shapes.Port] | None, key: str) -> tuple[Port, ...]:
        return self._share(tuple(self._valid_ports(raw or (), key)))

    def _valid_ports(self, raw: Iterable[shapes.Port], key: str) -> Iterator[Port]:
        for each in raw:
            name = each.name or ""
            protocol = (each.protocol or "TCP").lower()
            if each.port is None:
                continue  # "all ports": nothing that a record could say
            if not 0 < each.port < 65536:
                self._problem(key, f"port number {each.port}")
            elif name and not _PORT_NAME.fullmatch(name):
                self._problem(key, f"port name {name!r} is no label")
            elif protocol not in _PROTOCOLS:
                self._problem(key, f"protocol {each.protocol!r}")
            else:
                label = f"_{name.lower()}".encode() if name else b""
                yield self._share(
                    Port(self._share(label), self._share(f"_{protocol}".encode()), each.port)
                )

    def _share(self, value: T) -> T:
        """Keep one copy of what recurs; bounded, since names come from outside."""
        if len(self._shared) > 20_000:
            self._shared.clear()
        shared: T = self._shared.setdefault(value, value)
        return shared

    def _problem(self, key: str, reason: str) -> None:
        text = f"{key}: {reason}"
        self.problems.append(text.encode("unicode_escape").decode("ascii")[:300])


def _notes(
    resource_version: str, unready: Sequence[shapes.Endpoint | shapes.EndpointAddress]
) -> Notes:
    if not unready:
        return Notes(resource_version)
    targets = [each.target for each in unready if each.target is not None]
    pods = [target.name for target in targets if target.kind == "Pod" and target.name]
    return Notes(resource_version, len(unready), tuple(pods[:_MAX_UNREADY_PODS]))


_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9]{0,60}[A-Za-z0-9])?")  # 62, with its "_" 63
_HOST_NAME = re.compile(
    r"(?:[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.?"
)
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
