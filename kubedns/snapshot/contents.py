"""
The zone as the octets of a file, and back.

The file is a sealed one (kubedns.sealed); in it stand a header and its parts, in msgpack, one after
the other. The header (`_Header`) says how many parts follow; each is a list of at most `_PART`
services, so that encoding never keeps other threads waiting for longer than a millisecond. Services
are the very structs of zone/branch.py, as arrays: whoever changes one of those, or what stands
here, counts `_VERSION` up, and the golden file of the tests anew.

A file is taken whole or not at all: its check-sum finds damage, `_problems` what else could be.
"""

from collections.abc import Iterator

import msgspec

from kubedns import sealed
from kubedns.sealed import SealError
from kubedns.wire import name as names
from kubedns.zone.branch import Addressed, Alias, Branch, Group, Headless, Port
from kubedns.zone.tree import Service, Tree

_VERSION = 1
_HEAD = sealed.head("snapshot", _VERSION)
_PART = 200  # services
_MAX_OCTETS = 1 << 30  # unpacked
_WIDTHS = (4, 16)


class SnapshotError(SealError):
    """A snapshot that cannot be used; the text says why."""


class Contents(msgspec.Struct, frozen=True):
    """
    What a zone was made of.

    zone: in wire form. namespaces: None when nobody might tell. pods: packed addresses, by
    namespace; there are some with `--pods=verified` only.
    """

    zone: bytes
    serial: int
    namespaces: tuple[bytes, ...] | None
    pods: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    services: tuple[tuple[Service, Branch], ...]


class _Header(msgspec.Struct, array_like=True):
    zone: bytes
    serial: int
    namespaces: tuple[bytes, ...] | None
    pods: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    parts: list[int]  # octets of each


_encode = msgspec.msgpack.encode
_header = msgspec.msgpack.Decoder(_Header)
_part = msgspec.msgpack.Decoder(tuple[tuple[Service, Branch], ...])


def of(tree: Tree) -> Contents:
    """Take down what a tree holds now; fast, and safe to be encoded in another thread."""
    known = tree.known_namespaces
    return Contents(
        zone=tree.zone,
        serial=tree.serial,
        namespaces=None if known is None else tuple(sorted(known)),
        pods=tuple((namespace, tuple(packed)) for namespace, packed in tree.pods()),
        services=tuple(tree.branches()),
    )


def encode(contents: Contents) -> bytes:
    """Return the octets of a file."""
    starts = range(0, len(contents.services), _PART)
    parts = [_encode(contents.services[start : start + _PART]) for start in starts]
    header = _Header(
        contents.zone, contents.serial, contents.namespaces, contents.pods, list(map(len, parts))
    )
    packed = _encode(header)
    return sealed.seal(_HEAD, b"".join((len(packed).to_bytes(4), packed, *parts)))


def decode(octets: bytes) -> Contents:
    """
    Read the octets of a file.

    Raises:
        SnapshotError: see there.
    """
    try:
        return _unpacked(sealed.opened(_HEAD, octets, _MAX_OCTETS))
    except SealError as error:
        raise SnapshotError(str(error)) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise SnapshotError(f"its contents make no sense: {error}") from None


def _unpacked(raw: bytes) -> Contents:
    end = 4 + int.from_bytes(raw[:4])
    header = _header.decode(raw[4:end])
    services: list[tuple[Service, Branch]] = []
    for size in header.parts:
        services += _part.decode(raw[end : end + size])
        end += size
    if end != len(raw):
        raise ValueError("more, or less, than there should be")
    contents = Contents(header.zone, header.serial, header.namespaces, header.pods, tuple(services))
    for problem in _problems(contents):
        raise ValueError(problem)
    return contents


def _problems(contents: Contents) -> Iterator[str]:
    """Give what no zone of ours could hold."""
    if contents.serial < 0 or not names.is_name(contents.zone):
        yield "a zone that is none"
    for namespace in contents.namespaces or ():
        if not _is_label(namespace):
            yield "a namespace that is no label"
    for namespace, pods in contents.pods:
        if not (_is_label(namespace) and pods and all(len(p) in _WIDTHS for p in pods)):
            yield "a pod that is none"
    root = names.child(b"svc", contents.zone)
    for (namespace, service), branch in contents.services:
        if not (_is_label(namespace) and _is_label(service) and _is_sound(branch)):
            yield "a service that is none"
        elif branch.owner != names.child(service, names.child(namespace, root)):
            yield "a service of another name"


def _is_sound(branch: Branch) -> bool:
    match branch:
        case Alias():
            return names.is_name(branch.target)
        case Addressed():
            ips = branch.cluster_ips
            return bool(ips) and all(len(ip) in _WIDTHS for ip in ips) and _are_ports(branch.ports)
        case Headless():
            return bool(branch.groups) and all(map(_is_group, branch.groups))


def _is_group(group: Group) -> bool:
    return (
        group.width in _WIDTHS
        and len(group.addresses) % group.width == 0
        and (group.labels is None or len(group.labels) == len(group.addresses) // group.width)
        and all(label is None or _is_label(label) for label in group.labels or ())
        and _are_ports(group.ports)
    )


def _are_ports(ports: tuple[Port, ...]) -> bool:
    return all(
        len(port.service) <= names.MAX_LABEL
        and len(port.protocol) <= names.MAX_LABEL
        and 0 <= port.number < 1 << 16
        for port in ports
    )


def _is_label(label: bytes) -> bool:
    return 0 < len(label) <= names.MAX_LABEL and label == label.lower()
