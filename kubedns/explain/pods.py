"""
Which pod has an address, and why a pod is not ready: asked of the API server when somebody reads.

Only with the right to get and list pods, which the role `system:kube-dns` does not give: without it
(403) that is said once, and not asked again for a minute. What was found is kept for 30 s, at most
1,000 addresses; all of a request takes two seconds at the most, and no more than five requests are
under way at a time. With objects from files there is nobody to ask.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    DeferredSemaphore,
    succeed,
)
from twisted.logger import Logger

from kubedns.errors import KubednsError
from kubedns.explain import reasons

log = Logger()

LIMIT_S = 2.0  # for all that one page asks
_KEPT_S = 30.0
_MAX_KEPT = 1000
_FORBIDDEN_S = 60.0
_AT_A_TIME = 5
_FORBIDDEN = (401, 403)

# (path, query) → body; raises a KubednsError, with `status` where the server replied.
ReadPods = Callable[[str, dict[str, str]], Awaitable[bytes]]
Named = dict[str, str]  # namespace, name
Question = Callable[[], Coroutine[Any, Any, None]]


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""


class _Status(msgspec.Struct, gc=False):
    phase: str | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta
    status: _Status | None = None


class _Pods(msgspec.Struct, gc=False):
    items: list[_Pod] | None = None


_pods = msgspec.json.Decoder(_Pods)


class Pods:
    """
    See the head of this module.

    read: None when there is no API server. problem: why the last question had no answer.
    """

    def __init__(self, read: ReadPods | None, reactor: Any) -> None:
        self._read = read
        self._reactor = reactor
        self._kept: dict[str, tuple[float, Named | None]] = {}
        self._forbidden_until = float("-inf")
        self._told = False
        self._turns = DeferredSemaphore(_AT_A_TIME)
        self.problem = "" if read is not None else "no API server: the objects are from files"

    @property
    def allowed(self) -> bool:
        """Tell whether pods may be asked for, as far as known."""
        return self._read is not None and self._reactor.seconds() >= self._forbidden_until

    async def named(self, addresses: Iterable[str]) -> dict[str, Named | None]:
        """Return the pod at each address; None: nobody's, several pods' (the node's) or unknown."""
        now = self._reactor.seconds()
        wanted = list(dict.fromkeys(addresses))
        unknown = [each for each in wanted if self._kept.get(each, (now, None))[0] <= now]
        await self._together(partial(self._find, each) for each in unknown)
        return {each: self._kept.get(each, (now, None))[1] for each in wanted}

    async def reasons(self, pods: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
        """Return why each of these pods (namespace, name) is not ready, if it can be told."""
        found: list[dict[str, str]] = []
        await self._together(
            partial(self._reason, *each, found) for each in list(pods)[:_AT_A_TIME]
        )
        return sorted(found, key=lambda each: (each["namespace"], each["pod"]))

    # One question each

    async def _find(self, address: str) -> None:
        query = {"fieldSelector": f"status.podIP={address}", "resourceVersion": "0"}
        octets = await self._ask("/api/v1/pods", query)
        if octets is None:
            return
        alive = [
            {"namespace": pod.metadata.namespace, "name": pod.metadata.name}
            for pod in _pods.decode(octets).items or ()
            if pod.status is None or pod.status.phase not in ("Succeeded", "Failed")
        ]
        self._kept.pop(address, None)
        while len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        # Pods on their node's network share its address: none of them is more likely.
        only = alive[0] if len(alive) == 1 else None
        self._kept[address] = (self._reactor.seconds() + _KEPT_S, only)

    async def _reason(self, namespace: str, name: str, found: list[dict[str, str]]) -> None:
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"
        octets = await self._ask(path, {"resourceVersion": "0"})
        if octets is not None:
            reason = reasons.of(octets)
            found.append({"pod": name, "namespace": namespace, "reason": reason})

    async def _ask(self, path: str, query: dict[str, str]) -> bytes | None:
        """Return a reply's body; None: there is none, and `problem` or the log says why."""
        if self._read is None or not self.allowed:
            return None
        try:
            octets = await self._read(path, query)
        except KubednsError as error:
            status = getattr(error, "status", 0)
            if status == 404:
                return None
            self.problem = str(error)
            if status in _FORBIDDEN:
                self._forbid(str(error))
            return None
        self.problem = ""
        self._told = False
        return octets

    def _forbid(self, reason: str) -> None:
        self._forbidden_until = self._reactor.seconds() + _FORBIDDEN_S
        if not self._told:
            self._told = True
            log.info("pods are not named on /pods and /explain: {reason}", reason=reason)

    async def _together(self, questions: Iterable[Question]) -> None:
        """Ask all of them, a few at a time, for two seconds; the rest stays unknown."""
        over: list[bool] = []

        def run(question: Question) -> "Deferred[None]":
            # When time is up, whoever ends gives its turn to the next one: that must not begin.
            return succeed(None) if over else Deferred.fromCoroutine(question())

        def end() -> None:
            over.append(True)
            whole.cancel()

        whole = DeferredList([self._turns.run(run, each) for each in questions], consumeErrors=True)
        timer = self._reactor.callLater(LIMIT_S, end)
        results: list[tuple[bool, Any]] = await whole
        if timer.active():
            timer.cancel()
        for went_well, failure in results:
            if went_well:
                continue
            if failure.check(CancelledError):
                self.problem = f"the API server did not answer within {LIMIT_S:.0f} s"
            else:
                self.problem = f"a reply that cannot be read: {failure.getErrorMessage()}"


def answer(found: Mapping[str, Named | None], pods: Pods) -> dict[str, object]:
    """Return what /pods shows."""
    return {"pods": dict(found), "allowed": pods.allowed, "problem": pods.problem}
