"""
dnsmasq-nanny: argv → Options → DnsForwarder → reactor.

Exit status as the original: 2 for its own flags, 1 for dnsmasq's options, 255 for what is fatal.
"""

import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from dnsmasq_py.options import Options, parse
from kubedns import logs
from kubedns.errors import KubednsError
from kubedns.flags import ShowText, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dnsmasq_py.service import DnsForwarder
    from dnsmasq_py.workers.place import Place

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
    if options.workers == 1:
        sys.exit(run(options))
    from dnsmasq_py.workers.supervisor import Supervisor

    try:
        status = Supervisor(options, run).run()
    except KubednsError as error:
        print(f"dnsmasq-nanny: {error}", file=sys.stderr)
        status = _FATAL
    sys.exit(status)


def run(options: Options, place: "Place | None" = None) -> int:
    """
    Run one forwarder; return the exit status.

    place: among several, which get their orders from a parent.
    """
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred

    from dnsmasq_py.logs import Lines, Stream

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
        service, obey = _made(options, reactor, place)
    except KubednsError as error:
        print(f"dnsmasq-nanny: {error}", file=sys.stderr)
        return _FATAL
    out = Lines()
    logs.begin(options.v, ("kubedns", "dnsmasq_py"), service.observe, Stream(out), service.tells)
    actions: dict[int, Any] = {
        **dict.fromkeys(_ENDING, ending),
        signal.SIGHUP: calling(service.reload),
        signal.SIGUSR1: calling(service.write_report),
        signal.SIGUSR2: calling(service.reopen_log),
    }
    obey(actions, partial(begin, partial(end, drain=False)))
    reactor.callWhenRunning(begin, start)
    reactor.run(installSignalHandlers=False)
    for number in _SIGNALS:  # one that comes so late must not change the exit status
        signal.signal(number, signal.SIG_IGN)
    out.close()
    if fatal:  # the last line, behind those of stopping
        print(fatal, file=sys.stderr)
    return status


def _made(
    options: Options, reactor: Any, place: "Place | None"
) -> "tuple[DnsForwarder, Callable[[Mapping[int, Any], Any], None]]":
    """Return the service, and what lets it act on signals and on the loss of its parent."""
    if place is None:
        from dnsmasq_py.service import DnsForwarder

        return DnsForwarder(options, reactor), _obey_signals
    from dnsmasq_py.workers.worker import Worker

    worker = Worker(options, reactor, place)
    return worker, worker.obey


def _obey_signals(actions: "Mapping[int, Any]", lost: object) -> None:
    for number, action in actions.items():
        signal.signal(number, action)


if __name__ == "__main__":
    main()
