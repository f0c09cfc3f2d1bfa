"""One question, asked aside from the load."""

from __future__ import annotations

import secrets
import socket
import time

from tests.faults.load import is_reply, query, read
from tests.faults.truth import Answer


def look(port: int, name: str, timeout_s: float = 1.0, source: str = "127.0.0.1") -> Answer | None:
    """
    Ask 127.0.0.1 once; None without a reply.

    The port may have been that of a question to which the reply comes late, so the reply must have
    this ID and this question.
    """
    asked = secrets.token_bytes(2) + query(name)
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((source, 0))
        udp.connect(("127.0.0.1", port))
        try:
            udp.send(asked)
            while (left := deadline - time.monotonic()) > 0:
                udp.settimeout(left)
                message = udp.recv(65535)
                if is_reply(message, asked):
                    rcode, found, _ = read(message)
                    return rcode, found
        except OSError:  # TimeoutError too
            return None
    return None
