"""What is seen of the traffic, for operators only: who asks for what, findings, the recorder."""

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.explain import shapes
from sidecar.view.reading import Reading
from sidecar.view.told import plain
from sidecar.view.words import (
    NONE,
    When,
    count,
    counted,
    moment,
    octets,
    percent,
    span,
    when,
)

_MOST = 10  # lines of a list
_MOST_FINDINGS = 20
_CHAPTER = "findings-"

# What a finding is called, in the order in which they are shown; others come last, by their ids.
_TITLES = {
    "upstream-loops-back": "An upstream asks us back",
    "upstream-slow-or-silent": "An upstream is slow or silent",
    "mtu-or-truncation": "Large answers are lost",
    "conntrack-race": "Questions repeated after 5 s, as in the conntrack race",
    "burst": "A burst of failures or of slow answers",
    "one-client-floods": "One client asks for very much",
    "missing-name": "A name that does not exist is asked for again and again",
    "search-domain-never-exists": "A search domain that never exists",
    "search-waste": "Many questions of search lists come to nothing",
    "aaaa-on-ipv4-only": "AAAA asked on a cluster without IPv6",
}
_ORDER = tuple(_TITLES)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list. about: its pod, its type, its rcode; queries: as a number or a range."""

    name: str
    about: str
    queries: str


@dataclass(frozen=True, slots=True)
class List:
    """One of the lists. column: what its names are. none: what to say if there are no lines."""

    id: str
    title: str
    said: str
    column: str
    lines: tuple[Line, ...]
    none: str


@dataclass(frozen=True, slots=True)
class Top:
    """said: over what time; note: why pods have no names, empty if they have."""

    said: str
    rcodes: tuple[tuple[str, str], ...]
    lists: tuple[List, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A loop or a dead end; chapter: the anchor in README's chapter on findings."""

    id: str
    title: str
    about: str
    count: str
    first: When | None
    last: When | None
    text: str
    chapter: str


@dataclass(frozen=True, slots=True)
class Recorder:
    """The flight recorder; why: empty: no burst was kept."""

    facts: tuple[tuple[str, str], ...]
    why: str
    at: When | None
    held: str


@dataclass(frozen=True, slots=True)
class Seen:
    """All of it. top, recorder: None: not known; problem: why, empty otherwise."""

    reading: Reading
    problem: str
    top: Top | None
    findings: tuple[Finding, ...]
    more: int
    recorder: Recorder | None


def seen(found: shapes.Seen | None, now: float) -> Seen:
    """Return what was read last; now: seconds since the epoch."""
    if found is None:
        return Seen(Reading(None, "not read yet", ""), "not read yet", None, (), 0, None)
    # Not as they were seen last: they would change places all the time.
    findings = sorted(found.findings, key=_place)
    return Seen(
        reading=Reading(when(found.at, now), "", ""),
        problem=plain(found.problem),
        top=_top(found.top, now) if found.top else None,
        findings=tuple(_finding(each, now) for each in findings[:_MOST_FINDINGS]),
        more=len(findings[_MOST_FINDINGS:]),
        recorder=_recorder(found.recorder, now) if found.recorder else None,
    )


# Who asks for what


def _top(top: shapes.Top, now: float) -> Top:
    sampled = f", one hit of {top.sampled} looked at" if top.sampled > 1 else ""
    wasted = f"{count(top.waste)} questions, {percent(top.waste_share)} of all"
    return Top(
        said=f"{counted(top.transactions, 'question')} in {span(top.seconds_s)}{sampled}",
        rcodes=tuple((plain(name, 40), count(of)) for name, of in list(top.rcodes.items())[:_MOST]),
        lists=(
            List("top-clients", "Clients", "those that ask most", "Client",
                 tuple(map(_client, top.clients[:_MOST])), "No client has asked yet."),
            List("top-names", "Names", "those that are asked for most", "Name",
                 _names(top.names), "No name was asked for yet."),
            List("top-failing", "Failing names", "those that end in an error", "Name",
                 _names(top.failing), "No name fails."),
            List("top-waste", "Search waste", wasted, "Name", _names(top.wasted),
                 "No question of a search list came to nothing."),
        ),
        note="" if top.pods_known else f"pods are not looked up: {plain(top.pods_problem) or NONE}",
    )  # fmt: skip


def _client(busy: shapes.Busy) -> Line:
    pod = f"pod {pod_name(busy.pod)}" if busy.pod else ""
    return Line(plain(busy.client, 60) or NONE, pod, _queries(busy.queries, busy.error))


def _names(found: Iterable[shapes.Popular]) -> tuple[Line, ...]:
    return tuple(map(_name, list(found)[:_MOST]))


def _name(popular: shapes.Popular) -> Line:
    about = " ".join(filter(None, (plain(popular.type, 20), plain(popular.rcode, 20))))
    return Line(plain(popular.name) or NONE, about, _queries(popular.queries, popular.error))


def pod_name(pod: tuple[str, str]) -> str:
    """Write namespace and name of a pod."""
    return f"{plain(pod[0], 80)}/{plain(pod[1])}"


def _queries(queries: int, error: int) -> str:
    """Write an estimate that may be too high: from, to."""
    return f"{count(queries - error)} to {count(queries)}" if error else count(queries)


# Findings


def _place(found: shapes.Finding) -> tuple[int, str, str]:
    known = found.id in _TITLES
    return _ORDER.index(found.id) if known else len(_ORDER), found.id, found.about


def _finding(found: shapes.Finding, now: float) -> Finding:
    chapter = plain(found.chapter, 80) or plain(found.id, 80)
    return Finding(
        id=plain(found.id, 80),
        title=_TITLES.get(found.id) or plain(found.id, 80) or NONE,
        about=plain(found.about),
        count=counted(found.count, "time"),
        first=_moment(found.first, now),
        last=_moment(found.last, now),
        text=plain(found.text, 600),
        chapter=chapter if chapter.startswith(_CHAPTER) else _CHAPTER + chapter,
    )


def _moment(text: str, now: float) -> When | None:
    at = moment(text)
    return None if at is None else when(at, now)


# The recorder


def _recorder(recorder: shapes.Recorder, now: float) -> Recorder:
    kept = "each one" if recorder.sampled <= 1 else f"one of {count(recorder.sampled)}"
    burst = recorder.burst
    return Recorder(
        facts=(
            ("transactions held", count(recorder.held)),
            ("memory", octets(recorder.octets)),
            ("kept", kept),
        ),
        why=(plain(burst.why) or "no reason told") if burst else "",
        at=_moment(burst.at, now) if burst else None,
        held=counted(burst.transactions, "transaction") if burst else "",
    )
