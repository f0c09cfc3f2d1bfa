"""sidecar: argv → Options → Sidecar → reactor. Exit status: 2 usage, 255 fatal."""

import signal
import sys
import time
from typing import Any

from kubedns import logs
from kubedns.errors import KubednsError
from sidecar.options import ShowText, UsageError, parse, usage

_FATAL = 255


def main() -> None:
    """Run until a signal: SIGTERM drains, SIGINT or a second signal ends at once."""
    try:
        options = parse(sys.argv[1:])
    except ShowText as text:
        print(text)
        sys.exit(0)
    except UsageError as error:
        print(f"{usage()}\nsidecar: {error}", file=sys.stderr)
        sys.exit(2)
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred

    from sidecar.service import Sidecar

    reactor: Any = installed
    # Twisted's own clock is the wall clock: its timers would stall or run away when that is set.
    reactor.seconds = time.monotonic
    status = 0
    fatal = ""

    async def end(*, drain: bool) -> None:
        if drain:
            await service.drain()
        if await service.stop():
            reactor.stop()

    def crashed(failure: Any) -> None:
        nonlocal status
        failure.printTraceback(file=sys.stderr)
        status = _FATAL
        if reactor.running:
            reactor.stop()

    def begin(work: Any) -> None:
        Deferred.fromCoroutine(work).addErrback(crashed)

    def signalled(number: int, _: object) -> None:
        drain = number == signal.SIGTERM and not signals
        signals.append(number)
        reactor.callFromThread(lambda: begin(end(drain=drain)))

    async def start() -> None:
        nonlocal status, fatal
        try:
            await service.start()
        except KubednsError as error:
            fatal, status = f"sidecar: {error}", _FATAL
            if await service.stop():
                reactor.stop()

    signals: list[int] = []
    logs.begin(options.v, ("kubedns", "sidecar"))
    service = Sidecar(options, reactor)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signalled)
    reactor.callWhenRunning(lambda: begin(start()))
    reactor.run(installSignalHandlers=False)
    for number in (signal.SIGINT, signal.SIGTERM):  # one that comes so late changes nothing
        signal.signal(number, signal.SIG_IGN)
    if fatal:  # the last line, behind those of stopping
        print(fatal, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
