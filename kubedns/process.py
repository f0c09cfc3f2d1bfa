"""The life of a process of ours: a service in a reactor, from its start to a signal."""

import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from kubedns.errors import KubednsError

FATAL = 255


class Service(Protocol):
    """What is run, in the reactor's thread."""

    async def start(self) -> None:
        """Open everything; KubednsError: what cannot be opened, in one line."""

    async def drain(self) -> None:
        """Be unready, and serve on for a while, or until `stop` is called."""

    async def stop(self) -> bool:
        """Close everything; tell whether that was still to be done."""


def run(name: str, reactor: Any, make: Callable[[], Service]) -> int:
    """
    Run a service until a signal: SIGTERM drains, SIGINT or a second signal ends at once.

    name: stands in front of the line that says why it could not start. make: called in the running
    reactor. Returns the exit status, as the originals': 0 after a signal, FATAL when the service
    could not start, or broke.
    """
    # Twisted's own clock is the wall clock: its timers would stall or run away when that is set.
    reactor.seconds = time.monotonic
    status = 0
    fatal = ""
    signals: list[int] = []
    services: list[Service] = []

    def begin(work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(crashed)

    def crashed(failure: Any) -> None:
        nonlocal status
        failure.printTraceback(file=sys.stderr)
        status = FATAL
        if reactor.running:
            reactor.stop()

    async def start() -> None:
        nonlocal status, fatal
        try:
            services.append(make())
            await services[0].start()
        except KubednsError as error:
            fatal, status = f"{name}: {error}", FATAL
            await end(drain=False)

    async def end(*, drain: bool) -> None:
        if drain and services:
            await services[0].drain()
        if not services or await services[0].stop():
            reactor.stop()

    def signalled(number: int, _: object) -> None:
        drain = number == signal.SIGTERM and not signals
        signals.append(number)
        reactor.callFromThread(lambda: begin(end(drain=drain)))

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signalled)
    reactor.callWhenRunning(lambda: begin(start()))
    reactor.run(installSignalHandlers=False)
    for number in (signal.SIGINT, signal.SIGTERM):  # one that comes so late changes nothing
        signal.signal(number, signal.SIG_IGN)
    if fatal:  # the last line, behind those of stopping
        print(fatal, file=sys.stderr)
    return status
