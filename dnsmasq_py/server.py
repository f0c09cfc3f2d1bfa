"""A server that we may ask: where it is, and how it is spoken to."""

from dataclasses import dataclass
from enum import Enum

DNS_PORT = 53
TLS_PORT = 853


class Transport(Enum):
    """How queries travel. UDP means UDP, and TCP where UDP does not do."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Server:
    """
    address: an IP address in its shortest form. tls_name: the name that its certificate must have.

    source: the local address to ask from, and interface the device; empty for any.
    source_port: 0 for random ones, as it should be.
    """

    address: str
    port: int = DNS_PORT
    transport: Transport = Transport.UDP
    tls_name: str = ""
    source: str = ""
    source_port: int = 0
    interface: str = ""

    def __str__(self) -> str:
        """Write it as dnsmasq does in its log: `IP` or `IP#PORT`; other transports as URLs."""
        match self.transport:
            case Transport.UDP:
                return self.address if self.port == DNS_PORT else f"{self.address}#{self.port}"
            case transport:
                host = f"[{self.address}]" if ":" in self.address else self.address
                name = f"#{self.tls_name}" if self.tls_name else ""
                return f"{transport.value}://{host}:{self.port}{name}"
