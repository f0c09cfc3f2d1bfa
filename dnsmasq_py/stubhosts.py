"""
The addresses of stub servers that are given by host name.

Each name is looked up as soon as it is needed, for A and AAAA, and again when the TTL of what was
found is over (5 s to 5 min, kubedns.outside.hosts). A look-up that fails changes nothing: the last
good addresses go on being used, those of one family when only that one failed, and it is repeated
after 1 s, 2 s, 4 s ... 64 s.
"""

import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from twisted.internet import defer, task
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredSemaphore,
    FirstError,
    gatherResults,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from kubedns.errors import KubednsError
from kubedns.outside import trust
from kubedns.outside.hosts import MAX_AGE_S, MIN_AGE_S, Hosts
from kubedns.wire import name as names
from kubedns.wire import rr
from kubedns.wire.response import Response

_FAMILIES = {rr.A: socket.AF_INET, rr.AAAA: socket.AF_INET6}
_FIRST_RETRY_S = 1.0
_MAX_DOUBLINGS = 6
_AT_A_TIME = 16  # look-ups
_TOGETHER_S = 0.02  # changes within this time are told of once
_PATIENCE_S = 10.0  # with one question; who answers it has less

_log = Logger()


class _LookUpError(KubednsError):
    """No answer; str() says why."""


class StubHosts:
    """
    Keeps the addresses of host names.

    reactor: IReactorTime. ask puts a question to kubedns (cluster names) or to the default servers
    (all others), never to stub domains: a server may lie in the domain that it serves. It raises
    KubednsError. changed is called soon after addresses became others.
    """

    def __init__(
        self,
        reactor: Any,
        ask: Callable[[bytes, int], Awaitable[Response]],
        changed: Callable[[], None],
    ) -> None:
        self.running = False
        self._reactor = reactor
        self._ask = ask
        self._changed = changed
        self._hosts = Hosts()
        self._wanted: tuple[str, ...] = ()
        self._following: dict[str, Deferred[None]] = {}
        self._failing: set[str] = set()
        self._slots = DeferredSemaphore(_AT_A_TIME)
        self._telling: Any = None  # an IDelayedCall
        self._in_changed = False

    def addresses(self, host: str) -> tuple[str, ...]:
        """Return what is known of a host: at most 8 addresses, in an order that lasts."""
        return self._hosts.addresses(host)

    def failing(self) -> list[str]:
        """Return the hosts whose last look-up found nothing."""
        return sorted(self._failing)

    def retain(self, hosts: Collection[str]) -> None:
        """
        Look after these hosts and forget all others.

        Those that fail are tried at once, for others may be asked now; but not when it is called
        by `changed`, or each change of one host would hurry all that fail.
        """
        self._wanted = tuple(dict.fromkeys(hosts))
        self._hosts.retain(self._wanted)
        hurried = set() if self._in_changed else self._failing
        for host in [*self._following]:
            if host not in hosts or host in hurried:
                self._following.pop(host).cancel()
        self._failing.intersection_update(hosts)
        if self.running:
            self._follow_all()

    def start(self) -> None:
        """Look up what is wanted, now and whenever it is due."""
        self.running = True
        self._follow_all()

    def stop(self) -> None:
        """Look nothing up any more."""
        self.running = False
        while self._following:
            self._following.popitem()[1].cancel()
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _follow_all(self) -> None:
        for host in self._wanted:
            if host not in self._following:
                following = Deferred.fromCoroutine(self._follow(host))
                self._following[host] = following
                following.addErrback(_ended, host)

    async def _follow(self, host: str) -> None:
        """Look a host up again and again."""
        failures = 0
        while True:
            age_s = await self._slots.run(lambda: Deferred.fromCoroutine(self._look_up(host)))
            if age_s is None:
                age_s = _FIRST_RETRY_S * 2 ** min(failures, _MAX_DOUBLINGS)
                failures += 1
            else:
                failures = 0
            await task.deferLater(self._reactor, age_s)

    async def _look_up(self, host: str) -> float | None:
        """Look a host up; return for how many seconds that will do, None: it failed."""
        questions = [Deferred.fromCoroutine(self._records(host, rtype)) for rtype in _FAMILIES]
        results = await gatherResults(questions, consumeErrors=True)
        known = self._hosts.addresses(host)
        found: list[str] = []
        rrsets: list[rr.RRset] = []
        for rtype, result in zip(_FAMILIES, results, strict=True):
            if isinstance(result, _LookUpError):
                found += (each for each in known if (":" in each) is (rtype == rr.AAAA))
            else:
                found += _addresses(result)
                rrsets += result
        errors = [result for result in results if isinstance(result, _LookUpError)]
        if not _addresses(rrsets):
            self._failed(host, str(errors[0]) if errors else "it has no address")
            return None
        # Servers that stay keep their places, so nothing looks new when records just rotate.
        lasting = sorted(found, key=lambda each: known.index(each) if each in known else len(known))
        ttl = min(rrset.ttl for rrset in rrsets)
        self._hosts.found(host, lasting, ttl, self._reactor.seconds())
        self._found(host, known)
        return None if errors else min(max(ttl, MIN_AGE_S), MAX_AGE_S)

    async def _records(self, host: str, rtype: int) -> tuple[rr.RRset, ...] | _LookUpError:
        """Ask for one kind of address; return the chain that leads to it, if there is any."""
        try:
            asking = Deferred.fromCoroutine(self._asked(names.from_text(host), rtype))
            response: Response = await asking.addTimeout(_PATIENCE_S, self._reactor)
        except KubednsError as error:
            return _LookUpError(str(error))
        except defer.TimeoutError:
            return _LookUpError(f"no answer within {_PATIENCE_S:g} s")
        except CancelledError:
            raise
        except Exception:
            _log.failure("while looking up {host}", host=host)
            return _LookUpError("an error of our own")
        if response.rcode not in (rr.NOERROR, rr.NXDOMAIN):
            return _LookUpError(rr.RCODE_NAMES.get(response.rcode, f"rcode {response.rcode}"))
        return trust.keep(response, do=False, leaves=lambda _: False).answer

    async def _asked(self, qname: bytes, rtype: int) -> Response:
        return await self._ask(qname, rtype)

    def _found(self, host: str, known: tuple[str, ...]) -> None:
        """Tell of addresses that differ from those known until now, and of a failure's end."""
        addresses = self._hosts.addresses(host)
        if addresses != known or host in self._failing:
            _log.info("stub server {host}: {now}", host=host, now=", ".join(addresses))
        self._failing.discard(host)
        if addresses != known and self._telling is None:
            self._telling = self._reactor.callLater(_TOGETHER_S, self._tell)

    def _failed(self, host: str, reason: str) -> None:
        if host not in self._failing:
            self._failing.add(host)
            kept = ", ".join(self._hosts.addresses(host)) or "its domain has no such server"
            _log.warn(
                "stub server {host}: {reason}; for now: {kept}",
                host=host,
                reason=reason,
                kept=kept,
            )

    def _tell(self) -> None:
        self._telling = None
        self._in_changed = True
        with _log.failuresHandled("while using new addresses of stub servers"):
            self._changed()
        self._in_changed = False


def _ended(failure: Failure, host: str) -> None:
    """Take note that nobody looks after a host any more; on purpose, if nothing is wrong here."""
    if failure.check(CancelledError, FirstError) is None:
        _log.failure("while looking after {host}", failure, host=host)


def _addresses(rrsets: Iterable[rr.RRset]) -> list[str]:
    """Return the addresses among records."""
    return [
        socket.inet_ntop(_FAMILIES[rrset.type], rdata)
        for rrset in rrsets
        if rrset.type in _FAMILIES
        for rdata in rrset.rdatas
    ]
