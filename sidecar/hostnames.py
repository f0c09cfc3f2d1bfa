"""
Addresses of servers that are given by name, from the system's resolver.

It blocks, for longer than any probe may take, so it gets a thread; one for a name at a time, and
none that the end of the process would wait for.
"""

import socket
import threading
from typing import Any

from twisted.internet.defer import Deferred


class HostNames:
    """Looks names up. reactor: hears from the threads."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: dict[str, list[Deferred[str]]] = {}

    def address(self, host: str) -> "Deferred[str]":
        """Look up a name: its first address, or OSError."""
        found: Deferred[str] = Deferred()
        waiting = self._waiting.setdefault(host, [])
        waiting.append(found)
        if len(waiting) == 1:
            threading.Thread(target=self._look_up, args=(host,), daemon=True).start()
        return found

    def _look_up(self, host: str) -> None:
        found: str | OSError
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            found = str(infos[0][4][0])
        except OSError as error:
            found = OSError(f"cannot look it up: {error.strerror or error}")
        except UnicodeError:
            found = OSError("cannot look it up: no host name")
        self._reactor.callFromThread(self._found, host, found)

    def _found(self, host: str, found: str | OSError) -> None:
        for waiting in self._waiting.pop(host):
            # One that gave up has been cancelled, and does not mind.
            waiting.errback(found) if isinstance(found, OSError) else waiting.callback(found)
