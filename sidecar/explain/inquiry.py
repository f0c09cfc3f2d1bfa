"""
An explanation is made: the walks are gone through, and each question is put to whom it concerns.

Each question once: its page of kubedns and its page of the forwarder at the same time, then, for
the cache shall be seen as it was before, the question itself to the forwarder, as a client with
EDNS asks it. That reply is what the walk goes by. Only questions that a resolver would ask are
asked, so no name of the cluster goes to an upstream because somebody wanted to know about it.

Pages tell what is known and ask nobody: once the first name is none, those of all further names
that may come are fetched at the same time.

A process that is away costs one time-out, not one for each question; what the other one says then
stands for the reply.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults

from sidecar.ask import Answer, query
from sidecar.asking import Asks
from sidecar.explain import facts, heard, resolv, verdict, walk
from sidecar.explain.heard import Heard
from sidecar.explain.request import Asked
from sidecar.explain.resolv import Resolv
from sidecar.explain.shapes import Client, Explanation, Page, Question, Step, Walk
from sidecar.fetch import Page as Fetched
from sidecar.view.told import Told, plain

_PAGE_S = 1.5  # for a page of a neighbour
_TRY_S = 3.0  # for one that asks servers live, each of which has 2 s
_REPLY_S = 5.0  # what glibc waits; the forwarder gives up after 4.5 s
_WHOLE_S = 12.0
_AT_ONCE = 16  # requests of one explanation
DEFAULT_NAMESPACE = "default"

_Paged = Deferred[tuple[Page | None, str]]
Fetch = Callable[[str, str, float], "Deferred[Fetched]"]
"""Neighbour (`kubedns`, `dnsmasq`), path, patience in seconds -> its page."""


@dataclass(frozen=True, slots=True)
class Around:
    """
    What is known before anything is asked.

    zone: with final dot. server: the forwarder's DNS. remarks: one line each, told as notes.
    """

    zone: str = "cluster.local."
    node_search: tuple[str, ...] = ()
    server: tuple[str, int] = ("127.0.0.1", 53)
    remarks: tuple[str, ...] = ()


class Inquiry:
    """
    One explanation. fetch: gets a page. asker: asks DNS. clock: monotonic seconds; wall: since the
    epoch.
    """

    def __init__(
        self,
        asked: Asked,
        around: Around,
        *,
        fetch: Fetch,
        asker: Asks,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._asked = asked
        self._around = around
        self._fetch = fetch
        self._asker = asker
        self._clock = clock
        self._wall = wall
        self._began = clock()
        self._places = DeferredSemaphore(_AT_ONCE)
        self._further: list[str] = []
        self._heard: dict[tuple[str, str], Heard] = {}  # in the order in which they were put
        self._pages: dict[tuple[str, str], tuple[_Paged, _Paged]] = {}
        self._away: dict[str, str] = {}  # who, and why
        self._notes = list(around.remarks)

    async def explain(self) -> Explanation:
        """Go through all of it."""
        at = self._wall()
        client = await self._client()
        file = Resolv(client.search, client.ndots, self._asked.servers)
        self._further = list(walk.candidates(self._asked.name, file))
        walks = (
            await self._walk("glibc", walk.glibc, file),
            await self._walk("musl", self._musl, file),
        )
        await self._look_closer(walks[0])
        found = Explanation(
            name=self._asked.name,
            type=self._asked.type,
            asked_at=at,
            took_ms=0.0,
            client=client,
            limits=tuple(resolv.limits(file)),
            walks=walks,
            questions=tuple(each.question for each in self._heard.values()),
            verdict=verdict.NONE,
            notes=self._told_notes(),
            tried=self._asked.live,
        )
        found = replace(found, verdict=verdict.of(found))
        return replace(found, took_ms=round((self._clock() - self._began) * 1000, 1))

    # The client

    async def _client(self) -> Client:
        asked = self._asked
        pod: tuple[str, str] | None = None
        namespace: str | None = asked.asked_from or None
        if "." in asked.asked_from or ":" in asked.asked_from:
            pod = await self._pod(asked.asked_from)
            namespace = pod[0] if pod else None
        elif not asked.asked_from and asked.search is None:
            namespace = DEFAULT_NAMESPACE
            if not asked.name.endswith("."):  # such a one is the same from everywhere
                self._notes.append(f"not told from where: as a pod of namespace {namespace} asks")
        search = asked.search
        if search is None:
            search = resolv.of_namespace(
                namespace or DEFAULT_NAMESPACE, self._around.zone, self._around.node_search
            )
        given = asked.search is not None or asked.ndots is not None
        return Client(asked.asked_from, pod, namespace, search, asked.dots, given)

    async def _pod(self, address: str) -> tuple[str, str] | None:
        page, problem = await self._page("kubedns", "/pods", {"ip": address}, _PAGE_S)
        told = Told(page)
        found = told.inner("pods").inner(address)
        if found:
            return found.text("namespace"), found.text("name")
        why = problem or told.text("problem") or "no pod has it"
        self._notes.append(
            f"cannot tell which pod has {address}: {why}; as a pod of the namespace "
            f"{DEFAULT_NAMESPACE} asks"
        )
        return None

    # The walks

    @property
    def _musl(self) -> Callable[[str, Resolv], walk.Walking]:
        # Its getaddrinfo() searches, and nothing else of it does.
        return walk.musl if set(self._asked.types) <= set(walk.ADDRESSES) else walk.as_it_is

    async def _walk(
        self, resolver: str, way: Callable[[str, Resolv], walk.Walking], file: Resolv
    ) -> Walk:
        walking = way(self._asked.name, file)
        steps: list[Step] = []
        try:
            name = next(walking)
            while True:
                said = await self._hear(name)
                steps.extend(each.step for each in said)
                name = walking.send([each.reply for each in said])
        except StopIteration as ended:
            count = len(self._asked.types)
            steps[-count:] = [replace(each, final=True) for each in steps[-count:]]
            return Walk(resolver, tuple(steps), ended.value, len(steps))

    # The questions

    async def _hear(self, name: str) -> list[Heard]:
        """Put a name with all its types at the same time, each question once."""
        new = [each for each in self._asked.types if (name, each) not in self._heard]
        put = [Deferred.fromCoroutine(self._put(name, each)) for each in new]
        for rtype, each in zip(new, await gatherResults(put), strict=True):
            self._heard[name, rtype] = each
        said = [self._heard[name, each] for each in self._asked.types]
        if not any(each.answers for each in said):
            for further in self._further:
                for rtype in self._asked.types:
                    self._both(further, rtype)
        return said

    async def _put(self, name: str, rtype: str) -> Heard:
        authority, forwarder = self._both(name, rtype)
        known, problem = await forwarder
        answer = await self._dns(name, rtype)
        page, trouble = await authority
        said = "; ".join(each for each in (trouble, problem) if each)
        return heard.weigh(Question(name, rtype, page, known, said), answer)

    def _both(self, name: str, rtype: str) -> tuple[_Paged, _Paged]:
        """Fetch the pages of kubedns and of the forwarder about a question, once."""
        key, asked = (name, rtype), {"name": name, "type": rtype}
        if key not in self._pages:
            self._pages[key] = (
                Deferred.fromCoroutine(self._page("kubedns", "/explain", asked, _PAGE_S)),
                Deferred.fromCoroutine(self._page("dnsmasq", "/explain", asked, _PAGE_S)),
            )
        return self._pages[key]

    async def _dns(self, name: str, rtype: str) -> Answer:
        left_s = self._began + _WHOLE_S - self._clock()
        if why := self._away.get("dns"):
            return Answer(None, 0.0, why)
        if left_s > 0:
            asked = query(name, rtype, edns=True)
            answer = await self._asker.ask(*self._around.server, asked, min(_REPLY_S, left_s))
            if answer.reply is not None:
                return answer
            if left_s >= _REPLY_S or answer.refused:
                self._away["dns"] = answer.error
                return answer
        self._notes.append(f"after {_WHOLE_S:.0f} s nothing more was asked")
        return heard.NOT_ASKED

    async def _page(
        self, who: str, path: str, asked: Mapping[str, str], patience_s: float
    ) -> tuple[Page | None, str]:
        """Get a page that is a JSON object; else why there is none."""
        if why := self._away.get(who):
            return None, why
        fetched = await self._places.run(self._fetch, who, f"{path}?{urlencode(asked)}", patience_s)
        name = _NAMES[who]
        if fetched.error:
            if not fetched.error.startswith("HTTP status"):
                self._away[who] = f"{name}: {fetched.error}"
            return None, f"{name}: {fetched.error}"
        try:
            page = json.loads(fetched.body)
        except (ValueError, RecursionError):
            page = None
        if not isinstance(page, dict):
            return None, f"{name}: what it says is no JSON object"
        return page, ""

    # What costs more is asked only of what decides

    async def _look_closer(self, walked: Walk) -> None:
        """Ask why pods are not ready, and ask servers live if that is wanted."""
        for key, each in self._heard.items():
            told = Told(each.question.authority)
            if told.number("unready") and not told.number("ready"):
                await self._ask_again(key, "kubedns", {"pods": "1"}, _PAGE_S)
                break
        if self._asked.live:
            for key in [(each.name, each.type) for each in walked.steps if each.final]:
                await self._ask_again(key, "dnsmasq", {"try": "1"}, _TRY_S)

    async def _ask_again(
        self, key: tuple[str, str], who: str, more: Mapping[str, str], patience_s: float
    ) -> None:
        before = self._heard[key]
        question = before.question
        asked = {"name": question.name, "type": question.type, **more}
        page, problem = await self._page(who, "/explain", asked, patience_s)
        if page is None:
            self._notes.append(problem)
            return
        if who == "kubedns":
            question = replace(question, authority=page)
        elif question.forwarder is None:
            question = replace(question, forwarder=page)
        else:  # the cache is told as it was before we asked
            question = replace(question, forwarder={**question.forwarder, "live": page.get("live")})
        self._heard[key] = replace(before, question=question)

    def _told_notes(self) -> tuple[str, ...]:
        away = [
            f"{facts.DNS_AWAY}: {why}" if who == "dns" else why for who, why in self._away.items()
        ]
        return tuple(plain(each) for each in dict.fromkeys((*self._notes, *away)))


_NAMES = {"kubedns": "kubedns", "dnsmasq": "the forwarder"}
