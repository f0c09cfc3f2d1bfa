"""One question, asked aside from the load."""

from __future__ import annotations

import socket

from tests.soak.questions import SILENT, Answer, Key, query, read


def ask_once(port: int, key: Key, timeout_s: float = 1.0, *, recurse: bool = True) -> Answer:
    """Ask 127.0.0.1 once, aside from the load."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", port))
        udp.settimeout(timeout_s)
        try:
            udp.send(b"\x12\x34" + query(key, recurse=recurse))
            return read(udp.recv(65535))[0]
        except OSError:
            return SILENT, frozenset()
