"""
How long a warm cache hides a change of the cluster, and what it costs that it does not.

The clock starts when the request to the API server is about to be sent, so its own time counts too.
Before each change the question is asked, so that the cache holds the answer of then: positive or
that there is none.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, figure
from tests.bench.fronts import FRONTS
from tests.bench.goals import WITHOUT_FEED
from tests.bench.objects import NAMESPACES, BenchService
from tests.bench.pairs import hits
from tests.bench.question import Question
from tests.bench.systems import POD, Running
from tests.realapi.api import Api, path_of

_PATIENCE_S = 45.0
_POLL_PAUSE_S = 0.0002
_SETTLE_S = 1.0
_CLUSTER_IPS = int(IPv4Address("10.0.200.1"))
_PODS = int(IPv4Address("10.11.0.1"))
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Change:
    """
    A request to the API server and what of it is seen: the address of a name, or that it has none.

    before, after: what has to be done besides, and changes no answer to the question.
    """

    story: str
    name: str
    address: bytes | None
    write: Callable[[Api], object]
    before: Callable[[Api], object] = lambda api: None
    after: Callable[[Api], object] = lambda api: None


def life() -> list[Change]:
    """Return the life of a service with a cluster IP and of a headless one."""
    number = next(_numbers)
    web = BenchService(
        f"fresh-web-{number}", NAMESPACES[1], str(IPv4Address(_CLUSTER_IPS + number)), ()
    )
    first, second = (str(IPv4Address(_PODS + 2 * number + each)) for each in range(2))
    group = BenchService(f"fresh-set-{number}", NAMESPACES[1], None, (first,))

    def put(*addresses: str) -> Callable[[Api], object]:
        slice_ = replace(group, addresses=addresses).slice_()
        return lambda api: api.ask("PUT", path_of(slice_), slice_)

    def packed(address: str) -> bytes:
        return IPv4Address(address).packed

    return [
        Change("service added", web.dns_name, web.answer[0], lambda api: api.create(web.service())),
        Change("headless added", group.dns_name, packed(first),
               lambda api: api.create(group.service()),
               before=lambda api: api.create(group.slice_())),
        Change("endpoint replaced", group.dns_name, packed(second), put(second)),
        Change("endpoints gone", group.dns_name, None, put()),
        Change("endpoint back", group.dns_name, packed(first), put(first)),
        Change("headless deleted", group.dns_name, None, lambda api: api.delete(group.service()),
               after=lambda api: api.delete(group.slice_())),
        Change("service deleted", web.dns_name, None, lambda api: api.delete(web.service())),
    ]  # fmt: skip


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure changes one by one through ours, some at once through all, and the feed's price."""
    running = bench.running(FRONTS)
    say("fresh: changes, one by one")
    taken = _one_by_one(bench, running[0], 60 if bench.quick else 500)
    all_ms = [each for many in taken.values() for each in many]
    kinds = ", ".join(f"{story} {statistics.median(ms):.1f}" for story, ms in taken.items())
    title = "API write to new answer, warm cache"
    yield figure("fresh.median", f"{title}: median", "ms", {POD: all_ms}, f"medians: {kinds}")
    p99 = statistics.quantiles(all_ms, n=100)[98]
    yield figure("fresh.p99", f"{title}: p99", "ms", {POD: [p99]}, f"of {len(all_ms)} changes")
    if not bench.quick:
        say("fresh: changes, all at once, through each")
        yield figure("fresh.batch", f"{title}, {len(life())} changes at once", "ms",
                     _at_once(bench, running))  # fmt: skip
    yield _price(bench)


def _one_by_one(bench: Bench, one: Running, count: int) -> Mapping[str, list[float]]:
    taken: dict[str, list[float]] = {}
    with bench.cluster.connect() as api:
        changes = itertools.chain.from_iterable(life() for _ in range(count // len(life()) + 1))
        for change in changes:
            change.before(api)
            question = Question(change.name, one.dns_port)
            question.ask()
            begun = time.monotonic()
            change.write(api)
            while not question.sees(change.address):
                if time.monotonic() > begun + _PATIENCE_S:
                    raise TimeoutError(f"{change.story}: not seen")
                time.sleep(_POLL_PAUSE_S)
            taken.setdefault(change.story, []).append((time.monotonic() - begun) * 1e3)
            question.close()
            change.after(api)
    return taken


def _at_once(bench: Bench, running: Sequence[Running]) -> Mapping[str, list[float]]:
    """Make each kind of change, of a service of its own; return the milliseconds of each."""
    with bench.cluster.connect() as api:
        changes = []
        for number, kind in enumerate(life()):
            *earlier, change = life()[: number + 1]
            for each in (*earlier, replace(change, write=lambda api: None)):
                each.before(api)
                each.write(api)
            assert kind.story == change.story
            changes.append(change)
        time.sleep(_SETTLE_S)
        questions = {
            (one.name, change.name): (Question(change.name, one.dns_port), change)
            for one in running
            for change in changes
        }
        for question, change in questions.values():
            if question.sees(change.address):
                raise RuntimeError(f"{change.story}: seen before it was made")
        return _seen(api, changes, questions, [one.name for one in running])


def _seen(
    api: Api,
    changes: Sequence[Change],
    questions: Mapping[tuple[str, str], tuple[Question, Change]],
    systems: Sequence[str],
) -> Mapping[str, list[float]]:
    taken: dict[str, list[float]] = {system: [] for system in systems}
    begun = {}
    for change in changes:
        begun[change.name] = time.monotonic()
        change.write(api)
    waiting = dict(questions)
    while waiting:
        for (system, name), (question, change) in list(waiting.items()):
            since_s = time.monotonic() - begun[name]
            if question.sees(change.address) or since_s > _PATIENCE_S:
                taken[system].append(since_s * 1e3)
                question.close()
                del waiting[system, name]
        time.sleep(_POLL_PAUSE_S)
    return taken


def _price(bench: Bench) -> Figure:
    """Return what a cached answer costs with the feed and without."""
    without = FRONTS[0].named(WITHOUT_FEED, feed=False)
    return hits(bench, "fresh.hit", "a hit with the feed and without", FRONTS[0], without)
