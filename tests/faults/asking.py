"""One question, asked aside from the load."""

from __future__ import annotations

import socket
import struct

from tests.faults.load import query, read
from tests.faults.truth import Answer


def look(port: int, name: str, timeout_s: float = 1.0, source: str = "127.0.0.1") -> Answer | None:
    """Ask 127.0.0.1 once; None without a reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((source, 0))
        udp.connect(("127.0.0.1", port))
        udp.settimeout(timeout_s)
        try:
            udp.send(struct.pack("!H", 4711) + query(name))
            rcode, found, _ = read(udp.recv(65535))
        except OSError:
            return None
    return rcode, found
