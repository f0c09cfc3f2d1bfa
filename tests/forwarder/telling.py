"""A scripted server of the cluster that tells a running forwarder of changes, octet by octet."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence

from kubedns.wire import name as names
from kubedns.wire import notify
from kubedns.wire.notify import KEY, Kind, Notice
from tests.forwarder.behaviours import NXDOMAIN, reply
from tests.forwarder.program import Forwarder
from tests.forwarder.scripted import Act, Asked, Scripted
from tests.realapi.waiting import until

SOA = "cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 60 60 60 5"


class Cluster(Scripted):
    """
    Answers A from `addresses`, by name; all other names are missing.

    serial: of what the forwarder was told last.
    """

    def __init__(self, *, address: str, port: int = 10053) -> None:
        super().__init__(self._play, address=address, port=port)
        self.addresses: dict[str, str] = {}
        self.serial = 1
        self._key = bytes(KEY)
        self._ids = itertools.count(1)

    def _play(self, asked: Asked) -> Sequence[Act]:
        if notify.is_notify(asked.wire):
            return []
        if asked.name in self.addresses:
            if asked.rdtype != "A":
                return [Act(reply(asked, authority=[SOA], flags="QR AA RD RA"))]
            return [Act(reply(asked, f"@ 30 IN A {self.addresses[asked.name]}"))]
        return [Act(reply(asked, rcode=NXDOMAIN, authority=[SOA], flags="QR AA RD RA"))]

    def count(self, name: str) -> int:
        """Return how often a name was asked for."""
        return sum(not notify.is_notify(each.wire) and each.name == name for each in self.asked)

    def options(self) -> tuple[str, ...]:
        """Return what the forwarder's command line says of this server."""
        return tuple(
            f"--server=/{zone}/{self.server}" for zone in ("cluster.local", "in-addr.arpa")
        )

    # What is told

    def begin(self, forwarder: Forwarder) -> None:
        """Open a session, with the first message."""
        self._key = self.says(forwarder, Kind.HELLO).key
        self.changes(forwarder)

    def changes(self, forwarder: Forwarder, *changed: str) -> None:
        """Say that names changed, or that none did."""
        before, self.serial = self.serial, self.serial + bool(changed)
        receipt = self.says(forwarder, Kind.CHANGE, before, self.serial, *changed)
        assert (receipt.kind, receipt.after) == (Kind.TAKEN, self.serial)

    def says(
        self, forwarder: Forwarder, kind: Kind, before: int = 0, after: int = 0, *changed: str
    ) -> Notice:
        """Say something from where queries are answered, and return the receipt."""
        octets = self.notice(kind, before, after, *changed)
        self.sends(forwarder, octets)
        return notify.read(until(lambda: self._reply(octets[:2]), wanted="a receipt"))

    def sends(self, forwarder: Forwarder, octets: bytes) -> None:
        """Send octets from where queries are answered."""
        to = (forwarder.address, forwarder.port)
        self._loop.call_soon_threadsafe(self._udp.sendto, octets, to)

    def notice(self, kind: Kind, before: int = 0, after: int = 0, *changed: str) -> bytes:
        """Make a message, with the key."""
        key = bytes(KEY) if kind is Kind.HELLO else self._key
        wired = tuple(names.from_text(name) for name in changed)
        number = next(self._ids).to_bytes(2)
        zone = names.from_text("cluster.local")
        return Notice(number, kind, zone, b"scripted", before, after, key, wired).encode()

    def _reply(self, id_: bytes) -> bytes | None:
        found = (each.wire for each in self.asked if each.id == id_)
        return next((wire for wire in found if notify.is_notify(wire)), None)


def from_elsewhere(forwarder: Forwarder, octets: bytes, source: tuple[str, int]) -> bytes:
    """Send octets from another place, and return the reply."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(source)
        sock.settimeout(20)
        sock.sendto(octets, (forwarder.address, forwarder.port))
        return sock.recv(65535)
