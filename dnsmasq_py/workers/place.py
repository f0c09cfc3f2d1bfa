"""What a worker is born with."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from dnsmasq_py.options import Options

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """
    number: from 0, which leads; it passes on to whoever takes the place of a worker that ended.

    count: of workers. channel: to the parent, a stream. pages: listening sockets of HTTP, one for
    all workers. secret: the same for all, drawn at the start.
    """

    number: int
    count: int
    channel: socket.socket
    pages: Mapping[Address, socket.socket]
    secret: bytes

    @property
    def leads(self) -> bool:
        """Tell whether it says what all would say alike."""
        return self.number == 0


def pages_of(options: Options) -> list[Address]:
    """Return where pages are served."""
    probes = [("", options.healthz_port)] if options.healthz_port else []
    return [*probes, *([options.admin_address] if options.admin_address is not None else [])]
