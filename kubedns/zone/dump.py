"""
The whole zone as kube-dns' `/cache` shows it: nested labels from the root down, as JSON.

A node is `{"ChildNodes": {label: node}, "Entries": {label: record}}`; a record leaves out what is
zero or empty. Given a service at a time, since a large cluster's dump is tens of megabytes.
"""

import json
from collections.abc import Iterator
from typing import Any

from kubedns.wire import name as names
from kubedns.zone import address
from kubedns.zone.branch import PRIORITY, Addressed, Alias, Branch, Port
from kubedns.zone.lookup import Zone

_Node = dict[str, Any]


def pieces(zone: Zone) -> Iterator[str]:
    """Give the JSON text of the zone in pieces, indented with tabs as the original's."""
    path = [*reversed(names.labels(zone.tree.zone)), b"svc"]
    for depth, label in enumerate(path):
        yield "{\n" + _indented(2 * depth + 1, f'"ChildNodes": {{\n\t{_key(label)}: ')
    yield "{\n" + _indented(2 * len(path) + 1, '"ChildNodes": {')
    margin = 2 * len(path) + 2
    separator = "\n"
    for namespace in sorted(zone.tree.namespaces()):
        yield separator + _indented(margin, f'{_key(namespace)}: {{\n\t"ChildNodes": {{')
        comma = "\n"
        for service, branch in sorted(zone.tree.services(namespace)):
            text = json.dumps(_service(zone, branch), indent="\t")
            yield comma + _indented(margin + 2, f"{_key(service)}: {text}")
            comma = ",\n"
        yield "\n" + _indented(margin, '\t},\n\t"Entries": {}\n}')
        separator = ",\n"
    for depth in range(len(path), -1, -1):
        tabs = "\t" * (2 * depth)
        yield f'\n{tabs}\t}},\n{tabs}\t"Entries": {{}}\n{tabs}}}'
    yield "\n"


def _service(zone: Zone, branch: Branch) -> _Node:
    """Build the node of one service: its entries, endpoints and ports."""
    if isinstance(branch, Alias):
        return _node({}, {"alias": _record(zone, names.to_text(branch.target))})
    protocols: dict[str, _Node] = {}
    entries: _Node = {}
    if isinstance(branch, Addressed):
        for packed in branch.cluster_ips:
            entries[address.dashed(packed).decode()] = _record(zone, address.unpack(packed))
        _add_ports(
            zone, protocols, branch.ports, [(address.dashed(branch.cluster_ips[0]), branch.owner)]
        )
    else:
        for group in branch.groups:
            endpoints = list(group.endpoints())
            for label, packed in endpoints:
                key = names.label_to_text(label)
                if key in entries:  # one hostname, several addresses
                    key += f" {address.unpack(packed)}"
                entries[key] = _record(zone, address.unpack(packed))
            targets = [(label, names.child(label, branch.owner)) for label, _ in endpoints]
            _add_ports(zone, protocols, group.ports, targets)
    return _node(protocols, entries)


def _add_ports(
    zone: Zone,
    protocols: dict[str, _Node],
    ports: tuple[Port, ...],
    targets: list[tuple[bytes, bytes]],
) -> None:
    for port in ports:
        if not port.service:
            continue
        protocol = protocols.setdefault(names.label_to_text(port.protocol), _node({}, {}))
        node = protocol["ChildNodes"].setdefault(names.label_to_text(port.service), _node({}, {}))
        for label, target in targets:
            node["Entries"][names.label_to_text(label)] = _record(
                zone, names.to_text(target), port.number
            )


def _node(children: _Node, entries: _Node) -> _Node:
    return {"ChildNodes": children, "Entries": entries}


def _record(zone: Zone, host: str, port: int = 0) -> _Node:
    number = {"port": port} if port else {}
    return {"host": host, **number, "priority": PRIORITY, "weight": PRIORITY, "ttl": zone.ttl}


def _key(label: bytes) -> str:
    return json.dumps(names.label_to_text(label))


def _indented(tabs: int, text: str) -> str:
    return "\n".join("\t" * tabs + line for line in text.split("\n"))
