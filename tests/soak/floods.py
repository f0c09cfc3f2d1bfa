"""
Too much from one client, whose answers nobody looks at: questions, connections.

``python -m tests.soak.floods PORT RATE SECONDS DOMAIN…`` asks for names never asked before.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

from tests.soak.questions import Key, query

FLOODER = "127.0.7.7"


@contextlib.contextmanager
def connections(port: int, count: int, says: Callable[[int], bytes]) -> Iterator[None]:
    """Keep so many TCP connections open, each after it said something."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            tcp = stack.enter_context(socket.socket())
            tcp.setblocking(False)
            tcp.bind((FLOODER, 0))
            tcp.connect_ex(("127.0.0.1", port))
            opened.append(tcp)
        time.sleep(0.2)
        for number, tcp in enumerate(opened):
            with contextlib.suppress(OSError):  # not taken, or taken and closed
                tcp.send(says(number))
        yield


def framed(key: Key) -> bytes:
    octets = b"\x12\x34" + query(key)
    return struct.pack("!H", len(octets)) + octets


def _flood(port: int, rate: float, seconds: float, domains: list[str]) -> None:
    run = random.getrandbits(32)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((FLOODER, 0))
        udp.connect(("127.0.0.1", port))
        udp.setblocking(False)
        began, count = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            while count < passed * rate:
                key = Key(f"u{run:x}-{count}.{domains[count % len(domains)]}")
                count += 1
                with contextlib.suppress(OSError):
                    udp.send(struct.pack("!H", count & 0xFFFF) + query(key))
            with contextlib.suppress(OSError):
                while udp.recv(65535):
                    pass
            time.sleep(0.005)


if __name__ == "__main__":
    _flood(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
