"""A worker as its parent has it: a process, and a channel that nobody waits for."""

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Iterator

from dnsmasq_py.errors import ForwarderError
from dnsmasq_py.workers.messages import Inbox, Message

_MAX_WAITING = 128 << 20  # octets that it does not read
_AT_ONCE = 1 << 16


class Child:
    """
    channel: our end, in the selector while is_open. began: monotonic seconds.

    why: it was killed, in words; empty if it was not, by us.
    """

    def __init__(
        self,
        number: int,
        pid: int,
        channel: socket.socket,
        began: float,
        selector: selectors.BaseSelector,
    ) -> None:
        self.number = number
        self.pid = pid
        self.channel = channel
        self.began = began
        self.why = ""
        self._selector = selector
        self._inbox = Inbox()
        self._out = bytearray()
        self.is_open = True
        channel.setblocking(False)
        selector.register(channel, selectors.EVENT_READ, self)

    def say(self, message: Message) -> None:
        """Tell it something, now or when it reads."""
        if not self.is_open:
            return
        self._out += message.encode()
        if len(self._out) > _MAX_WAITING:
            self.kill("it does not read")
        else:
            self.send()

    def send(self) -> None:
        """Send what can be sent."""
        if not self.is_open:
            return
        try:
            while self._out:
                del self._out[: self.channel.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self.shut()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._selector.get_key(self.channel).events != events:
            self._selector.modify(self.channel, events, self)

    def receive(self) -> Iterator[Message]:
        """Give what it said."""
        while self.is_open:
            try:
                octets = self.channel.recv(_AT_ONCE)
            except BlockingIOError:
                return
            except OSError:
                octets = b""
            if not octets:
                self.shut()
                return
            try:
                yield from self._inbox.put(octets)
            except ForwarderError as error:
                self.kill(str(error))
                return

    def shut(self) -> None:
        """Hear no more of it: it ends, or it must."""
        if self.is_open:
            self.is_open = False
            self._selector.unregister(self.channel)
            self.channel.close()

    def kill(self, why: str) -> None:
        """End it at once."""
        self.why = why
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # not waited for yet, so it is nobody else
