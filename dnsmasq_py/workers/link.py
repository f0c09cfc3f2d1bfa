"""A worker's way to its parent: messages over a stream, written and read by the reactor."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import main
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from dnsmasq_py.workers.messages import Inbox, Message

_AT_ONCE = 1 << 16


@implementer(IReadWriteDescriptor)
class Link(FileDescriptor):
    """heard: gets each message of the parent. lost: called when the parent has ended."""

    def __init__(
        self,
        channel: socket.socket,
        heard: Callable[[Message], None],
        lost: Callable[[], object],
        reactor: Any,
    ) -> None:
        super().__init__(reactor)
        channel.setblocking(False)
        self._channel = channel
        self._heard = heard
        self._lost = lost
        self._inbox = Inbox()
        self.connected = 1
        self.startReading()  # type: ignore[no-untyped-call]

    def say(self, message: Message) -> None:
        """Tell the parent, soon."""
        self.write(message.encode())

    def close(self) -> None:
        """Say nothing more, but what is written already."""
        self._lost = lambda: None
        self.loseConnection()  # type: ignore[no-untyped-call]

    def fileno(self) -> int:
        return self._channel.fileno()

    def doRead(self) -> Any:
        try:
            octets = self._channel.recv(_AT_ONCE)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not octets:
            return main.CONNECTION_DONE
        for message in self._inbox.put(octets):
            self._heard(message)
        return None

    def writeSomeData(self, data: bytes) -> Any:  # noqa: N802
        try:
            return self._channel.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return main.CONNECTION_LOST

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._channel.close()
        self._lost()
