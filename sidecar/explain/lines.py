"""
The JSON of /explain as lines for a terminal: the walks as small tables, the verdict last.

Only the standard library: the console script must be quick. Whatever other processes or their
clients put into it, no control character reaches the terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sidecar.view.told import Told, plain

_WIDEST = 60  # of a column
_MOST = 3


def explanation(said: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines, without line ends; said may be of any shape."""
    told = Told(said)
    yield from _client(told)
    for text in told.texts("limits"):
        yield f"limit    {text}"
    walks = list(told.objects("walks"))
    shown = [_walk(each) for each in walks]
    if len(shown) == 2 and shown[0] == shown[1]:
        yield from _headed("glibc and musl", walks[0], shown[0])
    else:
        for walk, rows in zip(walks, shown, strict=True):
            yield from _headed(walk.text("resolver", 40), walk, rows)
    yield ""
    notes = told.texts("notes")
    yield from _questions(told, notes)
    hints = [each.text("text", 600) for each in told.inner("verdict").objects("hints")]
    for text in notes:
        if not any(each.startswith(text) for each in hints):
            yield f"note     {text}"
    for text in hints:
        yield f"hint     {text}"
    yield f"verdict  {told.inner('verdict').text('text', 600)}"


def _client(told: Told) -> Iterator[str]:
    client = told.inner("client")
    pod = client.inner("pod")
    who = f"pod {pod.text('namespace')}/{pod.text('name')}" if pod else ""
    who = who or f"namespace {client.text('namespace') or 'unknown'}"
    search = " ".join(client.texts("search"))
    yield f"asked    {told.text('name')} {told.text('type', 20)}, from {who}"
    yield f"resolv   search {search or '(none)'}; ndots:{client.text('ndots', 10)}"


def _headed(title: str, walk: Told, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    count = int(walk.number("queries") or 0)
    yield ""
    yield f"{title}: {walk.text('ends', 40)} after {count} question{'s' if count != 1 else ''}"
    yield from _table(rows)


def _walk(walk: Told) -> list[tuple[str, ...]]:
    return [
        (
            each.text("name"),
            each.text("type", 20),
            _outcome(each),
            each.text("rule"),
            each.text("ede"),
        )
        for each in walk.objects("steps")
    ]


def _outcome(step: Told) -> str:
    answers = step.texts("answers")
    said = ", ".join(answers[:_MOST]) + (
        f" +{len(answers) - _MOST}" if len(answers) > _MOST else ""
    )
    rcode = step.text("rcode", 20)
    if rcode == "NOERROR":
        rcode = said or "no such record"
    return f"{rcode} (cached)" if step.flag("cached") else rcode


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows with their columns below each other; the last one is as wide as it likes."""
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{text:<{width}}" for text, width in zip(row, widths, strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()


def _questions(told: Told, notes: Sequence[str]) -> Iterator[str]:
    """Tell where answers came from, if there is anything to tell; what is alike once."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in told.objects("questions"):
        theirs = each.inner("forwarder")
        facts = [*_service(each.inner("authority")), *_cache(theirs), *_live(theirs)]
        problems = [text for text in each.text("problem").split("; ") if text and text not in notes]
        facts += [f"not known: {text}" for text in problems]
        if facts:
            means = theirs.inner("rule").text("means") or "rule unknown"
            key = (each.text("name"), means, *facts)
            alike.setdefault(key, []).append(each.text("type", 20))
    for (name, means, *lines), types in alike.items():
        yield f"{name} {', '.join(types)}: {means}"
        yield from (f"  {line}" for line in lines)


def _service(ours: Told) -> Iterator[str]:
    service = ours.inner("service")
    if service:
        target = service.text("external_name")
        where = target or ", ".join(service.texts("cluster_ips", 60)) or "headless"
        yield (
            f"service {service.text('namespace')}/{service.text('name')} ({where})"
            f"{_version(service)}"
        )
    for each in ours.objects("slices"):
        yield (
            f"slice {each.text('name')}: {each.text('ready', 10)} ready, "
            f"{each.text('unready', 10)} not{_version(each)}"
        )


def _version(told: Told) -> str:
    version, changed = told.text("resource_version", 40), told.text("changed", 40)
    return f"{f', version {version}' if version else ''}{f', changed {changed}' if changed else ''}"


def _cache(theirs: Told) -> Iterator[str]:
    cache = theirs.inner("cache")
    if cache:
        state = "expired" if cache.flag("expired") else f"{cache.text('left_s', 20)} s left"
        yield f"cache: {cache.text('rcode', 20)}, {cache.text('age_s', 20)} s old, {state}"
    elif cut_by := theirs.text("cut_by"):
        yield f"cache: {cut_by}"
    if failure := theirs.inner("failure").text("text"):
        yield f"kept failure: {failure}"


def _live(theirs: Told) -> Iterator[str]:
    for each in theirs.objects("live"):
        said = each.text("error") or f"{each.text('rcode', 20)} {', '.join(each.texts('answers'))}"
        ms = each.text("ms", 20)
        yield f"live: {each.text('server')} {said.rstrip()}{f' in {ms} ms' if ms else ''}"


def error(text: str) -> str:
    """Return what a server said about an error as one line."""
    return plain(" ".join(text.split()))
