"""One question of an explanation: who answers it, from what, and what is kept of it."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.explain import shapes
from sidecar.view.mark import Mark
from sidecar.view.outcome import ede, outcome
from sidecar.view.told import Told, plain
from sidecar.view.words import NONE, count, counted, milliseconds, moment, span, when

_MOST = 20  # addresses, slices, servers
_STATES = {"up": Mark.GOOD, "down": Mark.BAD, "looping": Mark.BAD}


@dataclass(frozen=True, slots=True)
class Slice:
    """One EndpointSlice. ready: how many are, of how many."""

    name: str
    version: str
    changed: str
    ready: str
    addresses: str


@dataclass(frozen=True, slots=True)
class Server:
    """One upstream, as the forwarder knows it, and what it said when it was asked live."""

    server: str
    mark: Mark
    state: str
    latency: str
    live: str
    live_mark: Mark


@dataclass(frozen=True, slots=True)
class Question:
    """
    says: the answer in short. decisive: a walk ended with it, so it is to be seen at once.

    facts: names and sentences. tried: servers were asked live.
    """

    name: str
    type: str
    mark: Mark
    says: str
    decisive: bool
    problem: str
    facts: tuple[tuple[str, str], ...]
    slices: tuple[Slice, ...]
    servers: tuple[Server, ...]
    tried: bool


def question(
    found: shapes.Question, now: float, *, mark: Mark, says: str, decisive: bool
) -> Question:
    """Return what both processes say of it."""
    ours, theirs = Told(found.authority), Told(found.forwarder)
    return Question(
        name=plain(found.name),
        type=plain(found.type, 20),
        mark=mark,
        says=says,
        decisive=decisive,
        problem=plain(found.problem),
        facts=(*_rule(theirs), *_told(ours, now), *_kept(theirs), *_object(ours, now)),
        slices=tuple(_slice(each, now) for each in list(ours.objects("slices"))[:_MOST]),
        servers=tuple(_servers(theirs)),
        tried=theirs.has("live"),
    )


# Who answers


def _rule(theirs: Told) -> Iterator[tuple[str, str]]:
    rule = theirs.inner("rule")
    if not rule:
        return
    yield "Rule", rule.text("means") or rule.text("kind") or NONE
    servers = ", ".join(rule.texts("servers", 100)[:_MOST])
    if servers:
        policy = rule.text("policy", 60)
        yield "Asked are", f"{servers} ({policy})" if policy else servers


def _told(ours: Told, now: float) -> Iterator[tuple[str, str]]:
    """Tell the answer of kubedns, if it is one of its names."""
    if not ours or ours.flag("ours") is False:
        return
    if ours.flag("synced") is False:
        yield "kubedns", "is not in sync with the cluster yet"
    if away := ours.number("api_away_s"):
        yield "API server", f"has not been heard for {span(away)}"
    _, says = outcome(ours)
    ttl = ours.number("ttl")
    yield "Answer", says if ttl is None else f"{says} (TTL {ttl:.0f} s)"
    if said := ede(ours.inner("ede")):
        yield "Said to clients", said
    if chain := ours.texts("chain")[:_MOST]:
        yield "By way of", "; ".join(chain)
    if outside := ours.text("outside"):
        yield "Leads outside", outside


# What is kept


def _kept(theirs: Told) -> Iterator[tuple[str, str]]:
    if not theirs:
        return
    kept = theirs.inner("cache")
    yield "Cache", _cached(kept) if kept else "holds no answer"
    if kept and (said := ede(kept.inner("ede"))):
        yield "Kept with it", said
    if cut_by := theirs.text("cut_by"):
        yield "Cut off by", cut_by
    if failure := theirs.inner("failure"):
        left = failure.number("left_s")
        rest = "" if left is None else f", for {span(left)} more"
        yield "Failure kept", f"{failure.text('text') or NONE}{rest}"
    if theirs.flag("in_flight"):
        yield "Right now", "it is being asked"


def _cached(kept: Told) -> str:
    _, says = outcome(kept)
    words = [says]
    if (age := kept.number("age_s")) is not None:
        words.append(f"{span(age)} old")
    if kept.flag("expired"):
        words.append("expired")
    elif (left := kept.number("left_s")) is not None:
        words.append(f"{span(left)} left")
    if (used := kept.number("used")) is not None:
        words.append(f"used {counted(int(used), 'time')}")
    if source := kept.text("from", 120):
        words.append(f"from {source}")
    return ", ".join(words)


# What it is made of


def _object(ours: Told, now: float) -> Iterator[tuple[str, str]]:
    namespace = ours.inner("namespace")
    if namespace.flag("exists") is False:
        yield "Namespace", f"{namespace.text('name', 80)} does not exist"
    service = ours.inner("service")
    if service:
        yield "Service", _service(service)
        yield "Its version", _version(service, now)
        ready, unready = ours.number("ready"), ours.number("unready")
        if ready is not None and not service.has("external_name"):
            yield "Endpoints", f"{count(ready)} ready, {count(unready)} not ready"
    elif found := ours.texts("elsewhere", 80)[:_MOST]:
        yield "Is in namespace", ", ".join(found)
    reasons = [_reason(each) for each in ours.objects("unready_reasons")][:_MOST]
    if reasons:
        yield "Not ready", "; ".join(reasons)
    if meant := ours.texts("did_you_mean")[:_MOST]:
        yield "Did you mean", ", ".join(meant)


def _service(service: Told) -> str:
    words = [f"{service.text('namespace', 80)}/{service.text('name', 80)}"]
    words += filter(None, [service.text("type", 40), ", ".join(service.texts("cluster_ips", 60))])
    if target := service.text("external_name"):
        words.append(f"is {target}")
    ports = [
        f"{each.text('name', 40)} {each.text('port', 10)}/{each.text('protocol', 10)}".strip()
        for each in service.objects("ports")
    ][:_MOST]
    if ports:
        words.append(f"ports {', '.join(ports)}")
    return ", ".join(words)


def _version(told: Told, now: float) -> str:
    version = told.text("resource_version", 60) or NONE
    return f"{version}, changed {_changed(told, now)}"


def _changed(told: Told, now: float) -> str:
    text = told.text("changed", 60)
    at = moment(text)
    if at is None:
        return text or "at a time not told"
    # Not how long ago: the page stays open.
    return f"{when(at, now).text}, {span(max(0.0, now - at))} before this"


def _reason(told: Told) -> str:
    return f"pod {told.text('pod')}: {told.text('reason') or 'no reason told'}"


def _slice(told: Told, now: float) -> Slice:
    ready, unready = told.number("ready") or 0, told.number("unready") or 0
    addresses = ", ".join(told.texts("addresses", 60)[:_MOST])
    pods = ", ".join(told.texts("unready_pods")[:_MOST])
    return Slice(
        name=told.text("name") or NONE,
        version=told.text("resource_version", 60) or NONE,
        changed=_changed(told, now),
        ready=f"{count(ready)} of {count(ready + unready)}",
        addresses="; ".join(filter(None, (addresses, f"not ready: {pods}" if pods else "")))
        or NONE,
    )


# Who was asked


def _servers(theirs: Told) -> Iterator[Server]:
    tried = {each.text("server", 120): each for each in theirs.objects("live")}
    known = {each.text("server", 120): each for each in theirs.objects("upstreams")}
    asked = set(theirs.inner("rule").texts("servers", 120))
    if asked & known.keys():  # else it is not told whom the rule asks
        known = {server: each for server, each in known.items() if server in asked}
    for server in list(dict.fromkeys((*known, *tried)))[:_MOST]:
        told = known.get(server, Told(None))
        state = told.text("state", 40)
        mark, live = _live(tried[server]) if server in tried else (Mark.IDLE, NONE)
        yield Server(
            server=server or NONE,
            mark=_STATES.get(state, Mark.IDLE),
            state=state or NONE,
            latency=milliseconds(told.number("srtt_ms")),
            live=live,
            live_mark=mark,
        )


def _live(told: Told) -> tuple[Mark, str]:
    if error := told.text("error"):
        return Mark.BAD, error
    mark, says = outcome(told)
    words = [says, f"in {milliseconds(told.number('ms'))}"]
    if told.text("transport", 10) == "tcp":
        words.append("over TCP")
    if said := ede(told.inner("ede")):
        words.append(said)
    return mark, ", ".join(words)
