"""
dnsmasq-nanny: argv → Options → DnsForwarder → reactor.

Exit status as the original: 2 for its own flags, 1 for dnsmasq's options, 255 for what is fatal.
"""

import signal
import sys
import time
from functools import partial
from typing import Any

from dnsmasq_py.options import parse
from kubedns import logs
from kubedns.errors import KubednsError
from kubedns.flags import ShowText, UsageError

_FATAL = 255
_USAGE = 2
_ENDING = (signal.SIGINT, signal.SIGTERM)
_SIGNALS = (*_ENDING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Run until a signal: SIGTERM drains, SIGINT or a second signal ends at once."""
    for number in _SIGNALS:
        if number not in _ENDING:  # they would end us until there is something to reload
            signal.signal(number, signal.SIG_IGN)
    try:
        options = parse(sys.argv[1:])
    except ShowText as text:
        print(text)
        sys.exit(0)
    except UsageError as error:
        print(f"dnsmasq-nanny: {error}", file=sys.stderr)
        sys.exit(getattr(error, "status", _USAGE))
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred

    from dnsmasq_py.logs import Lines, Stream
    from dnsmasq_py.service import DnsForwarder

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

    def ending(number: int, _: object) -> None:
        drain = number == signal.SIGTERM and not signals
        signals.append(number)
        reactor.callFromThread(begin, partial(end, drain=drain))

    def begin(work: Any) -> None:
        Deferred.fromCoroutine(work()).addErrback(crashed)

    def calling(function: Any) -> Any:
        return lambda number, frame: reactor.callFromThread(function)

    async def start() -> None:
        nonlocal status, fatal
        try:
            await service.start()
        except KubednsError as error:
            fatal = f"dnsmasq-nanny: {error}"
            status = _FATAL
            if await service.stop():
                reactor.stop()

    signals: list[int] = []
    try:
        service = DnsForwarder(options, reactor)
    except KubednsError as error:
        print(f"dnsmasq-nanny: {error}", file=sys.stderr)
        sys.exit(_FATAL)
    out = Lines()
    logs.begin(options.v, ("kubedns", "dnsmasq_py"), service.observe, Stream(out))
    for number in _ENDING:
        signal.signal(number, ending)
    signal.signal(signal.SIGHUP, calling(service.reload))
    signal.signal(signal.SIGUSR1, calling(service.write_report))
    signal.signal(signal.SIGUSR2, calling(service.reopen_log))
    reactor.callWhenRunning(begin, start)
    reactor.run(installSignalHandlers=False)
    for number in _SIGNALS:  # one that comes so late must not change the exit status
        signal.signal(number, signal.SIG_IGN)
    out.close()
    if fatal:  # the last line, behind those of stopping
        print(fatal, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
