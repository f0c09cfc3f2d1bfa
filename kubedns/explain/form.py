"""
What a name of the zone asks for, by its labels and by which services there are.

A search path puts its domains behind every name that a program asks for, external ones too:
`github.com` becomes `github.com.prod.svc.cluster.local`. What lies in front of such a domain is
`wanted`; that it was a product is certain only if it ends in the cluster's own domain.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.branch import Alias
from kubedns.zone.tree import Tree


class Kind(StrEnum):
    """What a name is the name of; the words that /explain gives."""

    SERVICE = "service"
    ENDPOINT = "endpoint"
    PORT = "port"
    POD = "pod"
    NAMESPACE = "namespace"
    REVERSE = "reverse"
    EXTERNAL_NAME = "external-name"
    APEX = "apex"
    SCHEMA = "schema"
    SEARCH_PRODUCT = "search-product"
    UNKNOWN = "unknown"


class Doubt(Enum):
    """How sure it is that a name is a product of a search path."""

    NONE = "search-path product of"
    LITTLE = "looks like a search-path product of"
    SOME = "perhaps a search-path product of"


@dataclass(frozen=True, slots=True)
class Form:
    """
    A name taken apart.

    below: the labels in front of the service, for a pod its label. wanted: of a search path's
    product the labels in front of the search domain; () for other names.
    """

    kind: Kind
    namespace: bytes | None = None
    service: bytes | None = None
    below: tuple[bytes, ...] = ()
    wanted: tuple[bytes, ...] = ()
    doubt: Doubt = Doubt.NONE


def form(tree: Tree, qname: bytes, *, exists: bool) -> Form:
    """
    Take a folded name apart.

    exists: whether the service that it names, if it names any, has an object in the cluster.
    """
    if not names.is_below(qname, tree.zone):
        return Form(Kind.REVERSE if address.is_reverse(qname) else Kind.UNKNOWN)
    zone = names.labels(tree.zone)
    labels = names.labels(qname)[: -len(zone) or None]
    match labels:
        case ():
            return Form(Kind.APEX)
        case (*below, service, namespace, b"svc"):
            if exists:
                kind = _kind_in_service(tree, tuple(below), (namespace, service))
                return Form(kind, namespace, service, tuple(below))
            return _missing(tree, zone, tuple(below), service, namespace)
        case (namespace, b"svc"):
            return Form(Kind.NAMESPACE, namespace)
        case (*below, namespace, b"pod"):
            return Form(Kind.POD if below else Kind.NAMESPACE, namespace, below=tuple(below))
        case (b"svc",) | (b"pod",) | (b"dns",) | (b"dns-version",) | (b"ns", b"dns"):
            return Form(Kind.SCHEMA)
    doubt = _doubt(zone, labels)
    if doubt is not None:
        return Form(Kind.SEARCH_PRODUCT, wanted=labels, doubt=doubt)
    return Form(Kind.UNKNOWN)


def service_of(tree: Tree, qname: bytes) -> tuple[bytes, bytes] | None:
    """Return the (namespace, service) that a folded name lies at or below."""
    if not names.is_below(qname, tree.services_root):
        return None
    labels = names.labels(qname)[: -len(names.labels(tree.services_root))]
    return (labels[-1], labels[-2]) if len(labels) > 1 else None


def _kind_in_service(tree: Tree, below: tuple[bytes, ...], service: tuple[bytes, bytes]) -> Kind:
    if not below:
        is_alias = isinstance(tree.branch(*service), Alias)
        return Kind.EXTERNAL_NAME if is_alias else Kind.SERVICE
    return Kind.PORT if below[-1].startswith(b"_") else Kind.ENDPOINT


def _missing(
    tree: Tree, zone: tuple[bytes, ...], below: tuple[bytes, ...], service: bytes, namespace: bytes
) -> Form:
    """Tell a service that is not there from a product of a search path."""
    wanted = (*below, service)
    # The search domain svc.<zone> leaves the name's last label in the namespace's place.
    if not tree.namespace_exists(namespace):
        doubt = _doubt(zone, (*wanted, namespace))
        if doubt in (Doubt.NONE, Doubt.LITTLE):
            whole = (*wanted, namespace)
            return Form(Kind.SEARCH_PRODUCT, namespace, service, below, whole, doubt)
    doubt = _doubt(zone, wanted)
    if doubt in (Doubt.NONE, Doubt.LITTLE):
        return Form(Kind.SEARCH_PRODUCT, namespace, service, below, wanted, doubt)
    if doubt is not None:
        return Form(Kind.SERVICE, namespace, service, below, wanted, doubt)
    return Form(Kind.PORT if below else Kind.SERVICE, namespace, service, below)


def _doubt(zone: tuple[bytes, ...], wanted: tuple[bytes, ...]) -> Doubt | None:
    """Say how sure it is that somebody asked for these labels; None: nothing speaks for it."""
    if wanted[-len(zone) :] == zone:
        return Doubt.NONE
    if any(label.startswith(b"_") or label == b"*" for label in wanted):
        return None
    if wanted[-1] in _ALONE or (len(wanted) > 1 and wanted[-1] in _TOP_LEVEL):
        return Doubt.LITTLE
    return Doubt.SOME if len(wanted) > 1 else None


_ALONE = frozenset((b"localhost", b"localdomain"))
# Last labels of names that are asked for in clusters, as far as they are unusual for a service.
_TOP_LEVEL = _ALONE | frozenset(
    b"com org net edu gov mil info biz io arpa de uk us eu fr nl cn jp ru br ca au pl se no fi dk "
    b"cz kr tv ai sh local internal lan corp consul intranet".split()
)
