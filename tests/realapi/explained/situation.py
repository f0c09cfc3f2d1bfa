"""
One row of the table: a question, what a client sees of the answer, and what the operator is told.

In sentences `...` stands for anything: ports, seconds, what else is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.realapi.explained.dig import Said
from tests.realapi.explained.pod import Json, Pod
from tests.realapi.waiting import until

OTHER, STALE, CACHED_ERROR, NOT_READY, BLOCKED, FILTERED, STALE_NXDOMAIN = 0, 3, 13, 14, 15, 17, 19
SILENCE, NETWORK = 22, 23
"""INFO-CODEs of RFC 8914."""


_AGE = re.compile(", as of [0-9]+ s ago$")  # of one that was in the cache already


@dataclass(frozen=True, slots=True)
class Situation:
    """
    question: as on dig's command line. told: INFO-CODE and sentence; None: there is none.

    verdict: of /explain for `name`, as a person of the namespace or pod `asked_from` types it;
    empty: the question's own name with its final dot. hints: ids that must be among those given.
    good: it resolves. answers: those dig must show, in any order; None: not looked at.
    """

    story: str
    question: str
    rcode: str
    told: tuple[int, str] | None
    verdict: str
    hints: tuple[str, ...] = ()
    name: str = ""
    asked_from: str = "prod"
    good: bool = False
    answers: tuple[str, ...] | None = None

    def check(self, pod: Pod) -> None:
        """Put it to a pod; raises AssertionError."""
        faults = list(self.faults(pod))
        assert not faults, "\n".join((self.story, *faults))

    def check_once_seen(self, pod: Pod) -> None:
        """Wait until a client sees what it should, and have it explained; raises AssertionError."""
        words = self.question.split()
        until(lambda: list(self._seen(pod.dig(*words))), lambda found: not found, wanted=self.story)
        faults = list(self._explanation(pod))
        assert not faults, "\n".join((self.story, *faults))

    def faults(self, pod: Pod) -> Iterable[str]:
        """Put it to a pod; yield what is not as it should be."""
        yield from self._seen(pod.dig(*self.question.split()))
        yield from self._explanation(pod)

    def _explanation(self, pod: Pod) -> Iterable[str]:
        name, rtype = _meant(self.question.split())
        found = pod.explain(self.name or name, rtype, **{"from": self.asked_from})
        yield from self._explained(found)

    def _seen(self, said: Said | None) -> Iterable[str]:
        if said is None:
            yield "dig has no reply"
            return
        if said.rcode != self.rcode:
            yield f"rcode {said.rcode}, not {self.rcode}"
        told = said.errors[0] if said.errors else None
        if not _fits_told(self.told, told) or len(said.errors) > 1:
            yield f"told {said.errors!r}, not {self.told!r}"
        if self.answers is not None and sorted(said.answers) != sorted(self.answers):
            yield f"answers {said.answers!r}, not {self.answers!r}"

    def _explained(self, found: Json) -> Iterable[str]:
        verdict = found["verdict"]
        if not fits(self.verdict, verdict["text"]):
            yield f"verdict {verdict['text']!r}, not {self.verdict!r}"
        if verdict["good"] is not self.good:
            yield f"good: {verdict['good']}"
        ids = {each["id"] for each in verdict["hints"]}
        if not ids >= {*self.hints}:
            yield f"hints {verdict['hints']!r}, not {self.hints!r}"


def check_all(pod: Pod, situations: Iterable[Situation]) -> None:
    """Put several to a pod, all of them even if one fails; raises AssertionError."""
    faults = [
        "\n    ".join((f"{each.story}:", *found))
        for each in situations
        if (found := list(each.faults(pod)))
    ]
    assert not faults, "\n".join(faults)


def fits(pattern: str, text: str) -> bool:
    """Tell whether a sentence is as given."""
    parts = map(re.escape, pattern.split("..."))
    return re.fullmatch(".*".join(parts), text) is not None


def _fits_told(wanted: tuple[int, str] | None, told: tuple[int, str] | None) -> bool:
    if wanted is None or told is None:
        return wanted is told
    return wanted[0] == told[0] and fits(wanted[1], _AGE.sub("", told[1]))


def _meant(words: list[str]) -> tuple[str, str]:
    """Return the name that dig's words ask for, and the type if it is not an address's."""
    if words[0] == "-x":
        return words[1], ""
    name = words[0] if words[0].endswith(".") else f"{words[0]}."
    return name, words[1] if len(words) > 1 else ""
