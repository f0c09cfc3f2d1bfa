"""What kubedns knows of the cluster, and how fresh that is."""

from dataclasses import dataclass

from sidecar.state import Neighbour
from sidecar.view.mark import Mark
from sidecar.view.told import Told
from sidecar.view.words import NONE, ago, count

_MOST = 20
_WORDS = {"endpointslices": "endpoint slices"}  # which a phone can break into lines


@dataclass(frozen=True, slots=True)
class Source:
    """One resource. heard: when the server last said anything of it."""

    resource: str
    mark: Mark
    state: str
    objects: str
    heard: str
    lists: str
    errors: str
    last_error: str


@dataclass(frozen=True, slots=True)
class Sources:
    """synced: in words; facts: names and values; more: sources that are not listed."""

    mark: Mark
    synced: str
    facts: tuple[tuple[str, str], ...]
    listed: tuple[Source, ...]
    more: int


def sources(neighbour: Neighbour, now: float) -> Sources:
    """Return what its status says, or what is left of that."""
    told = Told(neighbour.status)
    passed_s = max(0.0, now - neighbour.at)
    found = sorted((_source(each, passed_s) for each in told.objects("sources")), key=_worst)
    mark, synced = _synced(told)
    return Sources(mark, synced, tuple(_facts(told)), tuple(found[:_MOST]), len(found[_MOST:]))


def _worst(source: Source) -> bool:
    return source.mark is Mark.GOOD


def _synced(told: Told) -> tuple[Mark, str]:
    match told.flag("synced"):
        case True:
            return Mark.GOOD, "in sync with the cluster"
        case None:
            return Mark.IDLE, "does not say whether it is in sync"
    missing = ", ".join(told.texts("waiting_for")[:10])
    late = " too long" if told.flag("initial_sync_timed_out") else ""
    return Mark.BAD, f"not in sync: waiting{late} for {missing or 'the first records'}"


def _facts(told: Told) -> list[tuple[str, str]]:
    serial = told.number("serial")
    facts = [
        ("zone", told.text("zone") or NONE),
        ("serial", NONE if serial is None else f"{serial:.0f}"),
        ("records", count(told.number("records"))),
        ("services served", count(told.number("services"))),
    ]
    facts += [(_WORDS.get(name, name), count(number)) for name, number in _objects(told)[:_MOST]]
    if problems := told.number("object_problems"):
        facts.append(("objects with faults", count(problems)))
    return facts


def _objects(told: Told) -> list[tuple[str, float]]:
    """Return the kinds of objects of which there are any and that are no source of their own."""
    shown = {each.text("resource") for each in told.objects("sources")}
    found = told.counts("objects").items()
    return [(name, number) for name, number in found if number and name not in shown]


def _source(told: Told, passed_s: float) -> Source:
    synced, state = told.flag("synced"), told.text("state", 60)
    age_s = told.number("age_s")
    error = told.text("last_error")
    mark = Mark.GOOD if synced and state == "watching" else Mark.WARN if synced else Mark.BAD
    return Source(
        resource=told.text("resource", 80) or "without a name",
        mark=mark,
        state=state + ("" if synced else ", not in sync") or NONE,
        objects=count(told.number("objects")),
        heard="never" if age_s is None else ago(age_s + passed_s),
        lists=count(told.number("lists")),
        errors=count(told.number("errors")),
        last_error=error,
    )
