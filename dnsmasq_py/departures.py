"""
What the reactor's thread sends in one turn, to servers and to clients, leaves at its end.

Whoever waits for the first datagram of many is awake when the others come, so that these cost
their senders no wake-up of another core; and in the native piece (kubedns/batch.py) all leave in
one call, without the interpreter in between. That a datagram could not be sent is found out only
then: its owner hears of it (`not_sent`), and whoever asked for it in a later turn, if at all.

Outside of a turn, as when a timer has run down, things are sent at once, and failures told alike.

Invariant: a descriptor is open, and the same socket's, from `send` to the end of the turn; whoever
closes one, calls `flush` before.
"""

import socket
from collections.abc import Sequence
from typing import Any, Protocol

from kubedns import batch

_AT_ONCE = 64  # sent before the turn ends, if there is so much: some already wait

Parcel = tuple[int, bytes, Any, "Owner"]
"""Descriptor, octets, address (None: the socket is connected), and whose socket that is."""


class Owner(Protocol):
    """Whose socket something is sent by."""

    socket: socket.socket

    def not_sent(self, parcel: Parcel, errno: int, later: Sequence[Parcel]) -> None:
        """Hear that one could not be sent, nor was at that time what comes later."""


class Departures:
    """See the head of this module."""

    def __init__(self) -> None:
        self._parcels: list[Parcel] = []
        self._gathers = False

    def begin(self) -> None:
        """Begin a turn, which must `end`."""
        self._gathers = True

    def send(self, fd: int, octets: bytes, address: Any, owner: Owner) -> None:
        """Send something by the end of this turn; now, if there is none."""
        self._parcels.append((fd, octets, address, owner))
        if not self._gathers or len(self._parcels) >= _AT_ONCE:
            self.flush()

    def end(self) -> None:
        """End a turn."""
        self._gathers = False
        if self._parcels:
            self.flush()

    def flush(self) -> None:
        """Send what has been gathered."""
        parcels, self._parcels = self._parcels, []
        for at, errno in batch.send_each(parcels):
            parcels[at][3].not_sent(parcels[at], errno, parcels[at + 1 :])
