"""
A list beside a running watch: what differs is found, and a race between the two is no difference.

The model is a store that numbers every change, a watch that brings them late and in order, and a
list whose pages show one moment. Some changes the watch never brings: those are to be found.
"""

import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubedns.cluster.audit import Audit, AuditError
from kubedns.cluster.listwatch import Event
from kubedns.cluster.objects import Kind, Reader
from tests.builders import Cluster, Object, service

IP = {1: "10.0.0.1", 2: "10.0.0.2", 3: "10.0.0.3"}


@dataclass
class Store:
    """
    A store of services, the watch of it, and what is kept.

    history: the change of each version, from 1 on: name, value (None: deleted), whether the watch
    ever brings it. state: what there is now. reported: the version that the watch has got to.
    """

    history: list[tuple[str, int | None, bool]] = field(default_factory=list)
    state: dict[str, tuple[int, int]] = field(default_factory=dict)
    reported: int = 0
    cluster: Cluster = field(default_factory=Cluster)

    def put(self, name: str, value: int, *, told: bool = True) -> None:
        self.history.append((name, value, told))
        self.state[name] = value, len(self.history)

    def delete(self, name: str, *, told: bool = True) -> None:
        if self.state.pop(name, None) is not None:
            self.history.append((name, None, told))

    def report(self, audit: Audit | None = None) -> None:
        """Let the watch bring the next change, if there is one."""
        if self.reported == len(self.history):
            return
        name, value, told = self.history[self.reported]
        self.reported += 1
        if not told:
            return
        object_ = self._object(name, value or 1, self.reported)
        event = Event(Reader(Kind.SERVICE).read(json.dumps(object_).encode()), value is None)  # type: ignore[arg-type]
        if audit is not None:
            audit.heard([event])
        self.apply([event])

    def report_all(self, audit: Audit | None = None) -> None:
        while self.reported < len(self.history):
            self.report(audit)

    def apply(self, events: list[Event]) -> None:
        for event in events:
            if event.deleted:
                self.cluster.pairing.drop(Kind.SERVICE, event.object.key)
            else:
                self.cluster.pairing.put(Kind.SERVICE, event.object)

    def audit(self) -> Audit:
        reader, kept = Reader(Kind.SERVICE), self.cluster.pairing.kept(Kind.SERVICE)
        return Audit(reader, kept, str(self.reported))

    def pages(self, size: int = 2) -> list[bytes]:
        """Return the pages of a list of now."""
        items = [self._object(name, *self.state[name]) for name in sorted(self.state)]
        starts = list(range(0, len(items), size)) or [0]
        return [
            _page(
                str(len(self.history)),
                items[start : start + size],
                "" if start == starts[-1] else str(start),
            )
            for start in starts
        ]

    def kept(self) -> dict[str, str]:
        """Return name and last digit of the address of all that is kept."""
        kept = self.cluster.pairing.kept(Kind.SERVICE)
        return {
            key.partition("/")[2]: str(value.cluster_ips[0][3])  # type: ignore[union-attr]
            for key, value in kept.items()
        }

    def truth(self) -> dict[str, str]:
        return {name: str(value) for name, (value, _) in self.state.items()}

    @staticmethod
    def _object(name: str, value: int, version: int) -> Object:
        made = service(name, ip=IP[value])
        made["metadata"]["resourceVersion"] = str(version)
        return made


def _page(version: str, items: list[Object], following: str = "") -> bytes:
    meta = {"resourceVersion": version, "continue": following}
    return json.dumps({"metadata": meta, "items": items}).encode()


def _found(events: list[Event] | None) -> dict[str, bool]:
    """Return the names of differences, and whether each is a deletion."""
    assert events is not None
    return {event.object.key.partition("/")[2]: event.deleted for event in events}


def _store(**values: int) -> Store:
    store = Store()
    for name, value in values.items():
        store.put(name, value)
    store.report_all()
    return store


def test_what_is_as_it_was_listed_is_no_difference_whatever_the_watch_has_said() -> None:
    """Nothing in doubt: nobody has to wait for a bookmark."""
    store = _store(a=1, b=2, c=3)
    audit = store.audit()
    assert [audit.page(page) for page in store.pages()] == [False, True]
    assert audit.differences("0") == []


def test_events_that_were_lost_are_found() -> None:
    """One that added, one that changed, one that deleted."""
    store = _store(changed=1, deleted=1, same=1)
    store.put("added", 2, told=False)
    store.put("changed", 3, told=False)
    store.delete("deleted", told=False)
    store.report_all()
    audit = store.audit()
    for page in store.pages():
        audit.page(page)
    found = audit.differences(str(store.reported))
    assert _found(found) == {"added": False, "changed": False, "deleted": True}
    store.apply(found or [])
    assert store.kept() == store.truth() == {"added": "2", "changed": "3", "same": "1"}


def test_a_watch_that_lags_behind_the_list_is_waited_for() -> None:
    """What it brings until then is no difference."""
    store = _store(a=1, b=1)
    store.put("a", 2)
    store.delete("b")
    store.put("c", 1)
    audit = store.audit()
    for page in store.pages():
        audit.page(page)
    assert audit.differences(str(store.reported)) is None
    store.report_all(audit)
    assert audit.differences(str(store.reported)) == []


def test_what_was_deleted_after_the_list_is_not_brought_back() -> None:
    """Nor is what was made or changed then undone."""
    store = _store(deleted=1, changed=1, again=1)
    audit = store.audit()
    pages = store.pages()
    store.delete("deleted")
    store.put("changed", 2)
    store.put("made", 3)
    store.delete("again")
    store.put("again", 2)
    audit.page(pages[0])
    store.report_all(audit)
    audit.page(pages[1])
    assert audit.differences(str(store.reported)) == []


def test_an_event_without_a_version_is_newer_than_any_list() -> None:
    """Nobody knows, so the object is left alone."""
    store = _store(a=1)
    store.put("a", 2, told=False)
    audit = store.audit()
    for page in store.pages():
        audit.page(page)
    decoded = store.cluster.decode(service("a", ip=IP[1]))
    decoded.resource_version = ""
    audit.heard([Event(decoded, deleted=False)])
    assert audit.differences("2") == []


def test_an_object_that_dns_has_no_use_for_is_kept_by_nobody() -> None:
    """A service with an address that is none: left out by watch and list alike."""
    store = _store(a=1)
    broken = service("broken", ip="nonsense")
    audit = store.audit()
    assert audit.page(_page("9", [Store._object("a", 1, 1), broken]))
    assert audit.differences("9") == []
    assert audit._reader.problems == []


@pytest.mark.parametrize(
    ("pages", "distrust"),
    [
        ([b"{"], False),
        ([_page("9", [], "more"), _page("10", [])], False),
        ([_page("1", [])], True),
        ([_page("", [])], True),
        ([_page("abc", [])], True),
        ([_page("9" * 5000, [])], True),
    ],
)
def test_lists_that_cannot_be_compared(pages: list[bytes], distrust: bool) -> None:
    """No list, two lists, one from before the watch (a store set back), versions without order."""
    store = _store(a=1, b=1)
    audit = store.audit()
    with pytest.raises(AuditError) as raised:
        for page in pages:
            audit.page(page)
    assert raised.value.distrust is distrust


NAMES = st.sampled_from("abcdef")
CHANGE = st.one_of(
    st.tuples(st.just("put"), NAMES, st.sampled_from([1, 2, 3]), st.just(True)),
    st.tuples(st.just("delete"), NAMES, st.just(0), st.just(True)),
)
LOSSY = st.one_of(
    st.tuples(st.just("put"), NAMES, st.sampled_from([1, 2, 3]), st.booleans()),
    st.tuples(st.just("delete"), NAMES, st.just(0), st.booleans()),
)
STEPS = st.tuples(st.just("report"), st.just(""), st.just(0), st.just(True))
PAGES = st.tuples(st.just("page"), st.just(""), st.just(0), st.just(True))


def _run(store: Store, steps: list[tuple[str, str, int, bool]], audit: Audit | None) -> None:
    pages: list[bytes] | None = None
    for what, name, value, told in steps:
        if what == "put":
            store.put(name, value, told=told)
        elif what == "delete":
            store.delete(name, told=told)
        elif what == "report":
            store.report(audit)
        elif audit is not None:
            pages = store.pages() if pages is None else pages
            if pages:
                audit.page(pages.pop(0))
    if audit is not None:
        for page in store.pages() if pages is None else pages:
            audit.page(page)


@given(
    before=st.lists(st.one_of(LOSSY, STEPS), max_size=20),
    during=st.lists(st.one_of(CHANGE, STEPS, PAGES), max_size=40),
)
@settings(max_examples=600)
def test_whatever_happens_meanwhile(
    before: list[tuple[str, str, int, bool]], during: list[tuple[str, str, int, bool]]
) -> None:
    """
    Exactly the objects whose last change was lost, and not made up for since, are differences.

    When the audit is over, what is kept is right, but for nothing.
    """
    store = Store()
    _run(store, before, None)
    store.report_all()
    lost = {name for name in "abcdef" if store.kept().get(name) != store.truth().get(name)}
    audit = store.audit()
    length = len(store.history)
    _run(store, during, audit)
    found = audit.differences(str(store.reported))
    while found is None:
        store.report(audit)
        found = audit.differences(str(store.reported))
    listed = int(audit.version)
    touched_later = {name for name, _, _ in store.history[listed : store.reported]}
    assert set(_found(found)) <= lost - touched_later
    store.apply(found)
    store.report_all()
    assert store.kept() == store.truth()
    changed_again = {name for name, _, _ in store.history[length:]}
    assert set(_found(found)) >= lost - changed_again


@given(
    before=st.lists(st.one_of(LOSSY, STEPS), max_size=20),
    during=st.lists(st.one_of(LOSSY, STEPS, PAGES), max_size=40),
)
@settings(max_examples=600)
def test_whatever_is_lost_meanwhile_a_second_audit_leaves_nothing_wrong(
    before: list[tuple[str, str, int, bool]], during: list[tuple[str, str, int, bool]]
) -> None:
    """And the first one made nothing wrong, but where the watch goes on losing events."""
    store = Store()
    _run(store, before, None)
    audit = store.audit()
    _run(store, during, audit)
    store.report_all(audit)
    losing = {name for name, _, told in store.history[int(audit.version) :] if not told}
    right = {n for n in "abcdef" if store.kept().get(n) == store.truth().get(n)}
    found = audit.differences(str(store.reported))
    assert found is not None
    store.apply(found)
    assert right - losing <= {n for n in "abcdef" if store.kept().get(n) == store.truth().get(n)}
    second = store.audit()
    for page in store.pages():
        second.page(page)
    store.apply(second.differences(str(store.reported)) or [])
    assert store.kept() == store.truth()
