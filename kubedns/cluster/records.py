"""
One Service with its endpoints becomes its branch of the zone. A pure function, no clock, no order.

Kubernetes DNS specification 1.1.0: 2.3 ClusterIP, 2.4 headless, 2.5 ExternalName.
"""

from collections.abc import Sequence

from kubedns.cluster.objects import Service, Slice
from kubedns.zone.branch import Addressed, Alias, Branch, Group, Headless


def branch(owner: bytes, service: Service, slices: Sequence[Slice]) -> Branch | None:
    """
    Return what a Service contributes to the zone.

    owner: its name. slices: all that belong to it, in a stable order; they only matter for a
    headless Service. None: a headless Service without a ready endpoint has no name (2.4.1).
    """
    if service.alias is not None:
        return Alias(owner, service.alias)
    if service.cluster_ips:
        return Addressed(owner, service.cluster_ips, service.ports, not service.external)
    groups: tuple[Group, ...] = tuple(group for each in slices for group in each.groups)
    return Headless(owner, groups) if groups else None
