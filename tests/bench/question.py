"""One DNS question over UDP, and whether its answer holds what we wait for."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable

_A = 1
_IN = 1
_OPT_4096 = b"\0\0\x29\x10\0\0\0\0\0\0\0"  # RFC 6891: root name, OPT, payload 4096, no options


class Question:
    """An A question with EDNS, asked again and again from one socket."""

    def __init__(self, name: str, port: int) -> None:
        self._body = (
            b"\x01\0\0\x01\0\0\0\0\0\x01"
            + b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
            + b"\0"
            + struct.pack(">HH", _A, _IN)
            + _OPT_4096
        )
        self._id = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))

    def close(self) -> None:
        self._socket.close()

    def ask(self, patience_s: float = 0.2) -> bytes | None:
        """Return the reply, or None when there was none in time or no one listens yet."""
        self._id = self._id + 1 & 0xFFFF
        ident = struct.pack(">H", self._id)
        self._socket.settimeout(patience_s)
        try:
            self._socket.send(ident + self._body)
            while True:
                reply = self._socket.recv(65535)
                if reply[:2] == ident:  # an older one may still come in
                    return reply
        except OSError:
            return None

    def holds(self, addresses: Iterable[bytes]) -> bool:
        """Ask once: is there a good reply that holds one of these packed addresses?"""
        reply = self.ask()
        return reply is not None and any(address in _data(reply) for address in addresses)

    def sees(self, address: bytes | None) -> bool:
        """Ask once: does a good reply hold this packed address, or for None: nothing at all?"""
        if address:
            return self.holds([address])
        reply = self.ask()
        return reply is not None and reply[3] & 0x0F in (0, 3) and reply[6:8] == b"\0\0"

    def wait_for(self, addresses: Iterable[bytes], *, deadline: float, pause_s: float) -> float:
        """
        Ask until a good reply holds one of these packed addresses; return the monotonic time of it.

        Raises:
            TimeoutError: it was not so at ``deadline`` (monotonic seconds).
        """
        wanted = tuple(addresses)
        while True:
            seen = self.holds(wanted)
            now = time.monotonic()
            if seen:
                return now
            if now > deadline:
                raise TimeoutError("no such answer in time")
            time.sleep(pause_s)


def _data(reply: bytes) -> bytes:
    """Return what follows the header of a NOERROR reply that has answers."""
    return reply[12:] if not reply[3] & 0x0F and reply[6:8] != b"\0\0" else b""
