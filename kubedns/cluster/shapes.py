"""
The API's own shapes of objects, as far as DNS reads them; all other fields are passed over.

Everything may be null or absent: `"endpoints": null` is an empty list, and files hold anything.
"""

import msgspec


class SliceLabels(msgspec.Struct, gc=False):
    """The one label of a slice that counts."""

    service: str = msgspec.field(name="kubernetes.io/service-name", default="")


class Meta(msgspec.Struct, gc=False):
    """Metadata of any object."""

    name: str = ""
    namespace: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    deletion: str | None = msgspec.field(name="deletionTimestamp", default=None)


class Named(msgspec.Struct, gc=False):
    """Any object, for its metadata alone."""

    metadata: Meta


class SliceMeta(msgspec.Struct, gc=False):
    """Metadata of an EndpointSlice."""

    name: str = ""
    namespace: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    labels: SliceLabels | None = None


class Port(msgspec.Struct, gc=False):
    """A port of a service, a slice or a subset."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class ServiceSpec(msgspec.Struct, gc=False):
    """What a Service asks for."""

    type: str | None = None
    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
    cluster_ips: list[str] | None = msgspec.field(name="clusterIPs", default=None)
    external_name: str | None = msgspec.field(name="externalName", default=None)
    ports: list[Port] | None = None


class Service(msgspec.Struct, gc=False):
    """v1 Service."""

    metadata: Meta
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class Conditions(msgspec.Struct, gc=False):
    """Conditions of an endpoint; absent means true."""

    ready: bool | None = None


class TargetRef(msgspec.Struct, gc=False):
    """What an endpoint is, usually a pod."""

    kind: str | None = None
    name: str | None = None


class Endpoint(msgspec.Struct, gc=False):
    """One endpoint of a slice."""

    addresses: list[str] | None = None
    conditions: Conditions | None = None
    hostname: str | None = None
    target: TargetRef | None = msgspec.field(name="targetRef", default=None)


class Slice(msgspec.Struct, gc=False):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: SliceMeta
    family: str = msgspec.field(name="addressType", default="")
    endpoints: list[Endpoint] | None = None
    ports: list[Port] | None = None


class EndpointAddress(msgspec.Struct, gc=False):
    """One address of a subset."""

    ip: str = ""
    hostname: str | None = None
    target: TargetRef | None = msgspec.field(name="targetRef", default=None)


class Subset(msgspec.Struct, gc=False):
    """Addresses of an Endpoints object that share their ports."""

    addresses: list[EndpointAddress] | None = None
    not_ready: list[EndpointAddress] | None = msgspec.field(name="notReadyAddresses", default=None)
    ports: list[Port] | None = None


class Endpoints(msgspec.Struct, gc=False):
    """v1 Endpoints."""

    metadata: Meta
    subsets: list[Subset] | None = None


class Namespace(msgspec.Struct, gc=False):
    """v1 Namespace."""

    metadata: Meta


class PodIp(msgspec.Struct, gc=False):
    """One address of a pod."""

    ip: str = ""


class PodStatus(msgspec.Struct, gc=False):
    """What the kubelet says of a pod."""

    phase: str | None = None
    ip: str | None = msgspec.field(name="podIP", default=None)
    ips: list[PodIp] | None = msgspec.field(name="podIPs", default=None)


class Pod(msgspec.Struct, gc=False):
    """v1 Pod."""

    metadata: Meta
    status: PodStatus | None = None


class ConfigMap(msgspec.Struct, gc=False):
    """v1 ConfigMap."""

    metadata: Meta
    data: dict[str, str] | None = None


class ListMeta(msgspec.Struct, gc=False):
    """Metadata of a list; following: the token of its next page."""

    resource_version: str = msgspec.field(name="resourceVersion", default="")
    following: str = msgspec.field(name="continue", default="")


class RawList(msgspec.Struct, gc=False):
    """A page of a list, its items not decoded yet."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None
