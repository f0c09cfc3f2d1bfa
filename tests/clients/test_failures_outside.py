"""
Name servers outside that fail in every way, asked by all resolvers at once.

Those of the C libraries, of Go and of Java hear of a failure before they give up waiting; c-ares
has learnt by then how quick our answers are, and waits for none longer than 1.5 s. Those who ask
for names of the cluster meanwhile do not notice. What a resolver makes of a failure is its own
affair, and differs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.clients.capture import Capture, Heard
from tests.clients.conftest import StartAsker
from tests.clients.names import Difference
from tests.clients.place import RESOLV, SEARCH
from tests.clients.resolvers import (
    FAILURE,
    GLIBC,
    MUSL,
    NOTHING,
    RESOLVERS,
    Asker,
    Resolver,
    Said,
    missing,
)
from tests.clients.table import Row, Table

# c-ares gives up after 1.7 s here if nobody has time to answer it.
pytestmark = pytest.mark.alone

_CORP = RESOLV.replace(SEARCH, f"{SEARCH} corp.test")
_FOUR = frozenset({"192.0.2.7"})
_BOTH = frozenset({"192.0.2.7", "2001:db8::7"})
_LIMIT_S = 25.0
_Turn = dict[tuple[str, str], Said]
_NO_WORD = Difference(["getent"], NOTHING, "getent has one exit status for all")
_MUSL_BOTH = "musl wants a good answer to both questions; it waits 5 s for a better one than this"
_JNDI = "JNDI asks for one type after the other, and the second question fails"


@dataclass(frozen=True, slots=True)
class Case:
    """A zone, see outside.py; each resolver asks for a name of its own below it."""

    zone: str
    outcome: frozenset[str] | str
    but: Sequence[Difference] = (_NO_WORD,)
    resolv: str = RESOLV

    def name(self, resolver: Resolver) -> str:
        """Return the name that a resolver asks for."""
        return f"{resolver.title.replace(' ', '-')}.{self.zone}"

    def difference(self, resolver: Resolver) -> Difference | None:
        """Return in what this resolver differs, if it does."""
        return next((each for each in self.but if resolver.title in each.titles), None)

    def expected(self, resolver: Resolver) -> frozenset[str] | str:
        """Return what this resolver must give."""
        difference = self.difference(resolver)
        return difference.outcome if difference else self.outcome


CASES = (
    Case(
        "four-servfail.test",
        _FOUR,
        [Difference(["musl"], FAILURE, _MUSL_BOTH), Difference(["jndi"], FAILURE, _JNDI)],
    ),
    Case(
        "four-refused.test",
        _FOUR,
        [Difference(["musl"], FAILURE, _MUSL_BOTH), Difference(["jndi"], FAILURE, _JNDI)],
    ),
    Case(
        "four-nxdomain.test",
        _FOUR,
        [
            Difference(["musl"], NOTHING, "musl believes that there is no such name"),
            Difference(["jndi"], NOTHING, _JNDI),
        ],
    ),
    Case(
        "known.test",
        _BOTH,
        [
            Difference(
                ["musl", "aiodns"], FAILURE, "these end the walk at a suffix whose servers fail"
            )
        ],
        _CORP,
    ),
    Case("servfail.test", FAILURE),
    Case("closed.test", FAILURE),
    Case("silent.test", FAILURE),
)


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of all that, and of names of the cluster meanwhile."""

    said: _Turn
    heard: Heard
    meanwhile: Sequence[Said]


@pytest.fixture(scope="module")
def fates(asker: StartAsker, capture: Capture, table: Table) -> Iterator[Fates]:
    """Let all resolvers ask for all names, musl, which is slow here, with a process for each."""
    present = [resolver for resolver in RESOLVERS if not missing(resolver.needs)]
    turns: list[list[tuple[Case, Resolver, Asker]]] = []
    for resolver in present:
        turn = [
            (case, resolver, asker(resolver, case.resolv, number if resolver is MUSL else 0))
            for number, case in enumerate(CASES)
        ]
        turns += [[each] for each in turn] if resolver is MUSL else [turn]
    bystander = asker(GLIBC, RESOLV, 1)
    capture.heard(settle_s=0)
    with ThreadPoolExecutor(len(turns)) as threads:
        running = [threads.submit(_take, turn) for turn in turns]
        meanwhile = _ask_meanwhile(bystander, running)
    said = {key: value for each in running for key, value in each.result().items()}
    heard = capture.heard()
    for case in CASES:
        for resolver in present:
            one = Heard(
                [m for m in heard.messages if m.name.lower().startswith(case.name(resolver))]
            )
            difference = case.difference(resolver)
            table.rows.append(
                Row(
                    resolver.title,
                    f"*.{case.zone}{' (search corp.test)' if case.resolv is _CORP else ''}",
                    said[case.zone, resolver.title],
                    one,
                    difference.why if difference else "",
                )
            )
    yield Fates(said, heard, meanwhile)


def _take(turn: Sequence[tuple[Case, Resolver, Asker]]) -> _Turn:
    return {
        (case.zone, resolver.title): asking.ask(case.name(resolver))
        for case, resolver, asking in turn
    }


def _ask_meanwhile(bystander: Asker, running: Sequence[Future[_Turn]]) -> list[Said]:
    said = []
    while not all(each.done() for each in running):
        said.append(bystander.ask("web.shop"))
        time.sleep(0.05)
    return said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.zone)
@pytest.mark.parametrize("resolver", RESOLVERS, ids=lambda resolver: resolver.title)
def test_failure(case: Case, resolver: Resolver, asker: StartAsker, fates: Fates) -> None:
    """A resolver says what it can say, in its own time, and each of its queries got a reply."""
    asker(resolver)  # or there is a reason
    said = fates.said[case.zone, resolver.title]
    assert said.outcome == case.expected(resolver), said
    assert said.ms < _LIMIT_S * 1000
    waiting = [
        q for q in fates.heard.unanswered() if q.name.lower().startswith(case.name(resolver))
    ]
    assert waiting == []


def test_names_of_the_cluster_are_found_while_the_servers_outside_are_silent(fates: Fates) -> None:
    """Whoever asks for a service meanwhile gets it, and asks each question once."""
    assert len(fates.meanwhile) > 10
    assert {each.outcome for each in fates.meanwhile} == {frozenset({"10.96.20.1"})}
    slowest = max(each.ms for each in fates.meanwhile)
    print(f"{len(fates.meanwhile)} lookups of web.shop meanwhile, the slowest {slowest:.0f} ms")
    names = Heard([m for m in fates.heard.messages if m.name.lower().startswith("web.shop")])
    assert names.unanswered() == []
    assert len(names.queries) == 4 * len(fates.meanwhile)
