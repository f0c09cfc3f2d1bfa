"""kube-dns: argv → Options → KubeDns → reactor. Exit status as the original: 2 usage, 255 fatal."""

import os
import signal
import sys
import time
from typing import Any

from kubedns import logs
from kubedns.errors import KubednsError
from kubedns.options import ShowText, UsageError, parse, usage

_FATAL = 255


def main() -> None:
    """Run until a signal: SIGTERM drains, SIGINT or a second signal ends at once."""
    try:
        options = parse(sys.argv[1:], os.environ)
    except ShowText as text:
        print(text)
        sys.exit(0)
    except UsageError as error:
        print(f"{usage()}\n{error}", file=sys.stderr)
        sys.exit(2)
    from twisted.internet import asyncioreactor

    asyncioreactor.install()
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred

    from kubedns.service import KubeDns

    reactor: Any = installed
    # Twisted's own clock is the wall clock: its timers would stall or run away when that is set.
    reactor.seconds = time.monotonic
    logs.begin(options.v)
    status = 0

    def end(coroutine: Any) -> None:
        ended = Deferred.fromCoroutine(coroutine)
        ended.addCallbacks(lambda _: reactor.running and reactor.stop(), crashed)

    def crashed(failure: Any) -> None:
        nonlocal status
        failure.printTraceback(file=sys.stderr)
        status = _FATAL
        if reactor.running:
            reactor.stop()

    def signalled(number: int, _: object) -> None:
        service = services[0]
        at_once = number == signal.SIGINT or len(signals) > 0
        signals.append(number)
        reactor.callFromThread(end, service.stop() if at_once else service.drain())

    async def start() -> None:
        nonlocal status
        try:
            services.append(KubeDns(options, reactor))
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signalled)
            await services[0].start()
        except KubednsError as error:
            print(f"kube-dns: {error}", file=sys.stderr)
            status = _FATAL
            if services:
                await services[0].stop()
            reactor.stop()

    services: list[KubeDns] = []
    signals: list[int] = []
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(start()).addErrback(crashed))
    reactor.run(installSignalHandlers=False)
    sys.exit(status)


if __name__ == "__main__":
    main()
