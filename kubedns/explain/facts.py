"""What sentences are made of: the zone, the objects behind it, and the border."""

from dataclasses import dataclass

from kubedns.cluster.pairing import Pairing
from kubedns.explain.border import Border
from kubedns.explain.form import Form, form, service_of
from kubedns.zone.lookup import Zone
from kubedns.zone.tree import Service


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What sentences are made of.

    border: how much they may tell, not `off`. searching: whether names that were perhaps meant may
    be looked for, which is dear.
    """

    zone: Zone
    pairing: Pairing
    border: Border
    searching: bool = True

    @property
    def everywhere(self) -> bool:
        """Tell whether all namespaces may be named."""
        return self.border is Border.FULL

    def exists(self, service: Service) -> bool:
        """Tell whether a service has an object, or records from a snapshot."""
        known = self.pairing.service(service) is not None
        return known or self.zone.tree.branch(*service) is not None

    def form(self, qname: bytes) -> Form:
        """Take a folded name apart."""
        service = service_of(self.zone.tree, qname)
        return form(self.zone.tree, qname, exists=service is not None and self.exists(service))
