"""The status page with names that were chosen by an enemy, and with documents of any shape."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from sidecar import page, shapes
from sidecar.state import State
from sidecar.view import cache, load, routes, settings, sources, told, warnings
from tests.browser import documents, states
from tests.browser.states import NOW

WRONG = (None, True, -1, 3, 1e308, "", "<b>", [], {}, [[]], [None, {}, "x", 7], {"a": {"b": []}})

DOCUMENTS = {"kubedns": documents.kubedns_status, "dnsmasq": documents.forwarder_status}


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[tuple[str, ...]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add((tag, *(key for key, _ in attrs)))


def kinds(state: State) -> set[tuple[str, ...]]:
    """Return all kinds of elements of a page, each with the names of its attributes."""
    return _Tags(page.render(state, NOW)).seen


def test_hostile_names_make_no_elements():
    """Names that look like HTML are text: no element and no attribute comes from them."""
    known = kinds(states.well()) | kinds(states.unwell()) | kinds(states.crowded())
    extra = kinds(states.hostile()) - known
    # A list that is cut, and a note on errors: the template's own, which those pages lack.
    assert extra <= {("p", "class"), ("li", "class"), ("span", "class"), ("tr", "role")}


def test_hostile_names_are_shown_as_they_are():
    """The operator sees what was sent, with control characters and directions spelled out."""
    made = page.render(states.hostile(), NOW)
    assert "&lt;img src=x onerror=alert(1)&gt;" in made
    assert "{{ 7 * 7 }}{% raw %}" in made
    assert "line\\r\\nof\\x00two\\x1b[31m" in made
    assert "\\u202eevil\\u2066rtl שלום" in made
    assert "half \\ud800 of one" in made
    assert "a" * 1000 not in made


def test_hostile_page_can_be_sent_and_is_bounded():
    """Half a surrogate pair does not keep the page from being sent; long names do not fill it."""
    assert len(page.render(states.hostile(), NOW).encode()) < 150_000


def test_many_of_everything():
    """Ten thousand of each thing in a status make no page of megabytes."""
    many = [f"name-{number}" for number in range(10_000)]
    config = {
        "stub_domains": dict.fromkeys(many, many[:500]),
        "upstream_nameservers": many,
        "resolv_conf": many,
        "errors": dict.fromkeys(many, "bad"),
        "ignored_servers": many,
    }
    counts = dict.fromkeys(many, 1)
    kubedns = documents.kubedns_status(
        sources=[documents.source(each, 1) for each in many],
        waiting_for=many,
        config=config,
        objects=counts,
        dropped=counts,
    )
    forwarder = documents.forwarder_status(
        config=config | {"errors": [{"reason": each} for each in many]},
        load={"limits": counts, "limits_reached": counts},
        dropped=counts,
        malformed=counts,
        looping_servers=many,
        warnings=[{"text": each} for each in many],
    )
    assert len(page.render(states.well(kubedns, forwarder), NOW)) < 200_000


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a document with each of its keys or positions."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def mutations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the document with each value replaced by each wrong one, and without it."""
    for number in range(len(list(places(document)))):
        for wrong in WRONG:
            changed = copy.deepcopy(document)
            container, key = list(places(changed))[number]
            container[key] = wrong
            yield changed
        changed = copy.deepcopy(document)
        container, key = list(places(changed))[number]
        del container[key]
        yield changed


def views(name: str, document: Any) -> None:
    """Make all that the page makes of one document, without a look at its shape before."""
    one = states.neighbour(name, document)
    state = State(began=NOW, neighbours={name: one})
    sources.sources(one, NOW)
    routes.routes(one)
    warnings.warnings(state, NOW)
    cache.cache(state, one, NOW)
    load.load(one, one)
    settings.settings(one, one, NOW)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_any_value_may_be_of_any_shape(name):
    """Each value of a status in turn is missing or of a wrong type: nothing fails."""
    for changed in mutations(DOCUMENTS[name]()):
        views(name, changed)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("document", [*WRONG, {"status": "ok"}, {"components": ["a"]}])
def test_status_of_somebody_else(name, document):
    """Another program answers where the neighbour should be: nothing fails."""
    views(name, document)


SHAPES: dict[str, tuple[Callable[[], dict[str, Any]], Any]] = {
    "kubedns": (documents.kubedns_status, shapes.KUBEDNS),
    "dnsmasq": (documents.forwarder_status, shapes.DNSMASQ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_whatever_passes_the_door_makes_a_page(name):
    """A document that the sidecar took in makes a page, whatever else is odd about it."""
    make, shape = SHAPES[name]
    rng = random.Random(5)
    changed = list(mutations(make()))
    shown = 0
    for each in rng.sample(changed, 400):
        try:
            document = shapes.read(json.dumps(each).encode(), shape)
        except shapes.ShapeError:
            continue
        state = states.well(**{"forwarder" if name == "dnsmasq" else name: document})
        page.render(state, NOW).encode()
        shown += 1
    assert shown > 50


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("web.shop", "web.shop"),
        ("tab\tand\nline", "tab\\tand\\nline"),
        ("a" * 400, "a" * 300 + "…"),
        ("e\u0301", "e\u0301"),
        (12, "12"),
        (1.5, "1.5"),
        (True, ""),
        (None, ""),
        (["x"], ""),
    ],
)
def test_text_of_anything(value, seen):
    """A text is shown on one line; a number as a text; anything else is no text."""
    assert told.plain(value) == seen


@pytest.mark.parametrize(
    ("value", "seen"),
    [(3, 3), (0.5, 0.5), (True, None), (-1, None), (float("nan"), None), (10**400, None)],
)
def test_number_of_anything(value, seen):
    """A number counts only if it is finite, not negative, and no yes or no."""
    assert told.number(value) == seen
