"""Ports that no one else takes, also when several test runs share a machine."""

from __future__ import annotations

import random
import socket

_claims: list[socket.socket] = []


def free_port() -> int:
    """
    Return a port that is free for TCP and UDP and stays ours while this process lives.

    Below the range from which the kernel takes source ports, so that a server which is restarted
    finds its port again.  Other runs keep away from it because of the claim: the name of an
    abstract socket, which the kernel releases when we end, however we end.
    """
    while True:
        port = random.randrange(12_000, 32_000)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0kube-dns tests, port {port}")
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("0.0.0.0", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
