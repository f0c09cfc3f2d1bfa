"""Why a name resolves or does not: the verdict first, then the walk, then each question."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from sidecar.explain import shapes
from sidecar.view.mark import Mark
from sidecar.view.question import Question, question
from sidecar.view.seen import pod_name
from sidecar.view.told import plain
from sidecar.view.words import When, counted, milliseconds, when

_MOST = 40  # stops of a walk, questions
_LONGEST = 600  # characters of a sentence

_ENDS = {
    "answer": (Mark.GOOD, "ends with an answer"),
    "not found": (Mark.BAD, "finds nothing"),
    "failure": (Mark.BAD, "ends with a failure"),
}
# What an rcode means to a walk: with NXDOMAIN it goes on, which is how search lists work.
_RCODES = {
    "NXDOMAIN": (Mark.IDLE, "NXDOMAIN, no such name"),
    "TIMEOUT": (Mark.BAD, "no reply in time"),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What was said to each of these types. cached: it was in the cache."""

    types: str
    mark: Mark
    says: str
    ede: str
    cached: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """A name of the walk, with all types that were asked for it. final: the walk ends here."""

    name: str
    rule: str
    replies: tuple[Reply, ...]
    final: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """The walk of all resolvers that go the same way. more: stops that are not listed."""

    title: str
    mark: Mark
    says: str
    stops: tuple[Stop, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Explained:
    """
    The page of one explanation.

    asked: the question as a sentence; at, took: when, and how long. facts: whose resolv.conf.
    """

    mark: Mark
    text: str
    hints: tuple[str, ...]
    asked: str
    at: When
    took: str
    facts: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    notes: tuple[str, ...]
    walks: tuple[Walk, ...]
    questions: tuple[Question, ...]
    more: int


def explained(found: shapes.Explanation, now: float) -> Explained:
    """Return what stands in the page; now: seconds since the epoch."""
    verdict = found.verdict
    steps = {(step.name, step.type): step for walk in found.walks for step in walk.steps}
    decisive = {_last(walk) for walk in found.walks}
    return Explained(
        mark=Mark.GOOD if verdict.good else Mark.BAD,
        text=plain(verdict.text, _LONGEST) or "no verdict",
        hints=_sentences(hint.text for hint in verdict.hints),
        asked=" ".join((plain(found.name), _type(found.type))),
        at=when(found.asked_at, now),
        took=milliseconds(found.took_ms),
        facts=tuple(_facts(found.client)),
        limits=_sentences(found.limits),
        notes=_sentences(found.notes),
        walks=tuple(_walks(found.walks)),
        questions=tuple(
            _question(each, steps.get((each.name, each.type)), now, decisive=decisive)
            for each in found.questions[:_MOST]
        ),
        more=len(found.questions[_MOST:]),
    )


def _sentences(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(each, _LONGEST) for each in list(texts)[:_MOST])


def _type(rtype: str) -> str:
    return "A and AAAA" if rtype == "addresses" else plain(rtype, 20)


def _facts(client: shapes.Client) -> Iterator[tuple[str, str]]:
    if client.pod:
        yield "asked by", f"pod {pod_name(client.pod)} ({plain(client.asked_from, 60)})"
    elif client.namespace:
        yield "asked by", f"a pod of namespace {plain(client.namespace, 80)}"
    else:
        yield "asked by", plain(client.asked_from, 80) or "nobody in particular"
    yield "search", " ".join(plain(each) for each in client.search[:_MOST]) or "none"
    given = "" if client.options_given else " (as the kubelet writes it)"
    yield "ndots", f"{client.ndots}{given}"


def _question(
    found: shapes.Question,
    step: shapes.Step | None,
    now: float,
    *,
    decisive: Container[shapes.Step | None],
) -> Question:
    """Return a question with what the walk was told; it is seen at once if that was decisive."""
    reply = _reply(step) if step else Reply("", Mark.IDLE, "not asked", "", cached=False)
    shown = step is not None and step in decisive
    return question(found, now, mark=reply.mark, says=reply.says, decisive=shown)


def _last(walk: shapes.Walk) -> shapes.Step | None:
    """Return the step that a walk ended with; of several types the one that has answers."""
    ends = [step for step in walk.steps if step.final]
    return max(ends, key=lambda step: bool(step.answers), default=None)


# The walks


def _walks(found: Sequence[shapes.Walk]) -> Iterator[Walk]:
    """Put together those that go the same way."""
    alike: dict[tuple[object, ...], list[shapes.Walk]] = {}
    for walk in found:
        alike.setdefault((walk.steps, walk.ends, walk.queries), []).append(walk)
    for walks in alike.values():
        who = " and ".join(plain(each.resolver, 40) for each in walks)
        yield _walk(f"As {who} {'ask' if len(walks) > 1 else 'asks'}", walks[0])


def _walk(title: str, walk: shapes.Walk) -> Walk:
    mark, says = _ENDS.get(walk.ends, (Mark.IDLE, f"ends: {plain(walk.ends, 60)}"))
    stops = [_stop(list(steps)) for _, steps in groupby(walk.steps, lambda step: step.name)]
    queries = counted(walk.queries, "question")
    return Walk(title, mark, f"{says} after {queries}", tuple(stops[:_MOST]), len(stops[_MOST:]))


def _stop(steps: Sequence[shapes.Step]) -> Stop:
    return Stop(
        name=plain(steps[0].name),
        rule=plain(steps[0].rule),
        replies=tuple(
            replace(reply, types=", ".join(each.types for each in alike))
            for reply, alike in _alike(map(_reply, steps))
        ),
        final=any(step.final for step in steps),
    )


def _alike(replies: Iterable[Reply]) -> Iterator[tuple[Reply, list[Reply]]]:
    """Put together types that were told the same."""
    for _, found in groupby(replies, lambda each: replace(each, types="")):
        alike = list(found)
        yield alike[0], alike


def _reply(step: shapes.Step) -> Reply:
    if step.rcode == "NOERROR" and step.answers:
        mark, says = Mark.GOOD, ", ".join(plain(each, 120) for each in step.answers)
    elif step.rcode == "NOERROR":
        mark, says = Mark.IDLE, f"no {plain(step.type, 20)} records"
    else:
        mark, says = _RCODES.get(step.rcode, (Mark.BAD, plain(step.rcode, 40) or "not known"))
    return Reply(plain(step.type, 20), mark, says, plain(step.ede), step.cached)
