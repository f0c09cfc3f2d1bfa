"""The part of the load that goes over TCP: one question after the other."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections import deque
from typing import Any

from tests.soak.model import RETRY_S, How
from tests.soak.questions import SILENT, Key, query, read

_PAUSE_S = 0.02
_KEPT = 10  # questions over a connection that is kept
_LEAST_S = 0.01


class OverTcp(threading.Thread):
    """Asks at `ports`, over new connections and over some that are kept."""

    def __init__(self, keys: list[Key], seed: int, ports: list[int]) -> None:
        super().__init__(daemon=True)
        self.ports = ports
        self._keys, self._rng = keys, random.Random(seed)
        self._out = deque[tuple[Any, ...]]()
        self._connection: socket.socket | None = None

    def taken(self) -> list[tuple[Any, ...]]:
        """Return the records since the last time."""
        return [self._out.popleft() for _ in range(len(self._out))]

    def run(self) -> None:
        left = 0
        while True:
            time.sleep(_PAUSE_S)
            if left == 0:
                self._hang_up()
                left = self._rng.choice((1, _KEPT))
            left -= 1
            key = self._rng.choice(self._keys)
            sent = time.monotonic()
            tries, message = self._tried(query(key), sent)
            found = read(message) if message else ((SILENT, frozenset[str]()), -1)
            how = How(True, True, False, tries)
            self._out.append((*key, False, sent, time.monotonic(), *found, tuple(how)))

    def _tried(self, octets: bytes, sent: float) -> tuple[int, bytes]:
        """
        Ask over the connection that is open, at once over a new one if that ends, or 2 s later.

        Return number of tries and reply, which is empty if there was none.
        """
        if self._connection is not None:
            with contextlib.suppress(OSError):
                return 1, _asked(self._connection, octets, sent + RETRY_S)
        for tries in (1, 2):
            self._hang_up()
            until = sent + tries * RETRY_S
            with contextlib.suppress(OSError):
                here = ("127.0.0.1", self._rng.choice(self.ports))
                self._connection = socket.create_connection(here, _left(until))
                return tries, _asked(self._connection, octets, until)
            time.sleep(max(until - time.monotonic(), 0.0))
        self._hang_up()
        return 2, b""

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _left(until: float) -> float:
    return max(until - time.monotonic(), _LEAST_S)


def _asked(tcp: socket.socket, octets: bytes, until: float) -> bytes:
    """
    Ask over a connection.

    Raises:
        OSError: it broke, or nothing came in time.
    """
    tcp.settimeout(_left(until))
    ident = os.urandom(2)
    tcp.sendall(struct.pack("!H", len(octets) + 2) + ident + octets)
    message = b""
    while len(message) < 2 or len(message) < 2 + int.from_bytes(message[:2]):
        tcp.settimeout(_left(until))
        more = tcp.recv(65535)
        if not more:
            raise ConnectionError("closed")
        message += more
    if message[2:4] != ident:
        raise ConnectionError("an answer to something else")
    return message[2:]
