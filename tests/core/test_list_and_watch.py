"""
What is asked of an API server, in which order, after what pause: the machine without the network.

The server's words are recorded ones where there are any (tests/fixtures/apiserver).
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubedns.cluster.listwatch import ApiError, Event, ListWatch, State, status_text
from kubedns.cluster.objects import Decoded, Kind, Reader
from tests.builders import Object, namespace, service

RECORDED = Path(__file__).parents[1] / "fixtures" / "apiserver"


def _machine(kind: Kind = Kind.SERVICE, seed: int = 1, **rest: object) -> ListWatch:
    return ListWatch(Reader(kind), rng=random.Random(seed), **rest)  # type: ignore[arg-type]


def _page(*items: Object, version: str = "100", following: str = "") -> bytes:
    meta = {"resourceVersion": version} | ({"continue": following} if following else {})
    return json.dumps({"metadata": meta, "items": items or None}).encode()


def _event(kind: str, value: Object, version: str = "") -> bytes:
    made = json.loads(json.dumps(value))
    if version:
        made["metadata"]["resourceVersion"] = version
    return json.dumps({"type": kind, "object": made}).encode() + b"\n"


def _error(code: int, message: str = "") -> bytes:
    return _event("ERROR", {"kind": "Status", "metadata": {}, "code": code, "message": message})


def _bookmark(version: str) -> bytes:
    return _event("BOOKMARK", {"kind": "Service", "metadata": {"resourceVersion": version}})


def _watching(kind: Kind = Kind.SERVICE) -> ListWatch:
    machine = _machine(kind)
    machine.request(0.0)
    machine.listed(_page(), 0.0)
    assert machine.request(0.0).watch
    return machine


def _keys(events: list[Event]) -> list[tuple[str, bool]]:
    return [(event.object.key, event.deleted) for event in events]


# Lists


def test_a_list_is_asked_for_in_pages() -> None:
    """Without resourceVersion: with `0` the server would ignore the limit."""
    machine = _machine()
    request = machine.request(0.0)
    assert (request.path, request.watch) == ("/api/v1/services", False)
    assert request.query == {"limit": "500"}
    assert machine.state is State.LISTING


def test_the_recorded_pages_are_one_list() -> None:
    """Each page asks with the token of the one before; the last gives all objects."""
    machine = _machine()
    tokens = []
    found = None
    for number in (1, 2, 3):
        request = machine.request(0.0)
        tokens.append(request.query.get("continue"))
        assert found is None
        found = machine.listed((RECORDED / f"services.page{number}.json").read_bytes(), 0.0)
    first = json.loads((RECORDED / "services.page1.json").read_bytes())
    assert tokens[:2] == [None, first["metadata"]["continue"]]
    whole = json.loads((RECORDED / "services.list.json").read_bytes())
    assert found is not None
    assert [each.key for each in found] == [
        f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in whole["items"]
    ]
    request = machine.request(0.0)
    assert request.watch
    assert request.query["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert machine.lists == 1
    assert machine.relists == 0


def test_a_watch_asks_for_bookmarks_and_an_end() -> None:
    """The server picks 30 to 60 minutes otherwise; ends differ, so that not all come at once."""
    ends = set()
    for seed in range(50):
        machine = _machine(seed=seed)
        machine.request(0.0)
        machine.listed(_page(version="7"), 0.0)
        query = dict(machine.request(0.0).query)
        ends.add(int(query.pop("timeoutSeconds")))
        assert query == {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "7"}
    assert 240 <= min(ends) < max(ends) <= 300


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Kind.SERVICE, "/api/v1/services"),
        (Kind.ENDPOINTS, "/api/v1/endpoints"),
        (Kind.SLICE, "/apis/discovery.k8s.io/v1/endpointslices"),
        (Kind.NAMESPACE, "/api/v1/namespaces"),
        (Kind.POD, "/api/v1/pods"),
    ],
)
def test_where_each_kind_is_read(kind: Kind, path: str) -> None:
    """All namespaces at once."""
    assert _machine(kind).request(0.0).path == path


def test_one_config_map_is_asked_for_by_its_name() -> None:
    """Q19: not the whole namespace."""
    machine = _machine(Kind.CONFIG_MAP, one=("kube-system", "kube-dns"))
    request = machine.request(0.0)
    assert request.path == "/api/v1/namespaces/kube-system/configmaps"
    assert request.query["fieldSelector"] == "metadata.name=kube-dns"
    machine.listed(_page(), 0.0)
    assert machine.request(0.0).query["fieldSelector"] == "metadata.name=kube-dns"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"<html>", b"\xff", b'{"items": []}',
        b'{"metadata": {}, "items": {}}', b'{"metadata": {"resourceVersion": 5}, "items": []}',
        b'{"metadata": {}, "items": []}',
    ],
)  # fmt: skip
def test_a_list_that_is_none(body: bytes) -> None:
    """An ApiError, and the whole list is asked for again."""
    machine = _machine()
    machine.request(0.0)
    machine.listed(_page(service("a"), following="token"), 0.0)
    with pytest.raises(ApiError) as raised:
        machine.listed(body, 0.0)
    machine.failed(raised.value, 0.0)
    assert "continue" not in machine.request(0.0).query
    found = machine.listed(_page(service("b")), 0.0)
    assert found is not None
    assert [each.key for each in found] == ["shop/b"], "nothing of the broken list is left"


def test_a_continue_token_that_expired() -> None:
    """Recorded 410: the list begins anew, at once."""
    machine = _machine()
    machine.request(0.0)
    machine.listed(_page(service("a"), following="token"), 0.0)
    reason = status_text((RECORDED / "error.410.continue.json").read_bytes())
    assert reason.startswith("The provided continue parameter is too old")
    machine.failed(ApiError(reason, 410), 0.0)
    assert machine.pause_s == 0.0
    assert machine.request(0.0).query == {"limit": "500"}


def test_an_empty_list_drops_everything() -> None:
    """`items` null, absent or empty; it still moves the version."""
    for body in (b'{"metadata":{"resourceVersion":"5"}}',
                 b'{"metadata":{"resourceVersion":"5"},"items":null}',
                 b'{"metadata":{"resourceVersion":"5"},"items":[]}'):  # fmt: skip
        machine = _machine()
        machine.request(0.0)
        assert machine.listed(body, 0.0) == []
        assert machine.resource_version == "5"


# Watches


def _cut(stream: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        size = next(sizes)
        yield stream[at : at + size]
        at += size


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1000, 4096, 1 << 20])
@pytest.mark.parametrize("name", ["services", "endpoints", "endpointslices", "namespaces", "pods"])
def test_recorded_streams_in_pieces_of_any_size(name: str, size: int) -> None:
    """One octet at a time or all at once: the same events, the same version at the end."""
    machine = _watching(Kind(name))
    stream = (RECORDED / f"{name}.watch.jsonl").read_bytes()
    found: list[Event] = []
    for piece in _cut(stream, iter(lambda: size, None)):
        found += machine.received(piece, 1.0)
    lines = [json.loads(line) for line in stream.splitlines()]
    assert _keys(found) == [
        (f"{meta.get('namespace', '')}/{meta['name']}", line["type"] == "DELETED")
        for line in lines
        if line["type"] != "BOOKMARK"
        for meta in (line["object"]["metadata"],)
    ]
    assert machine.resource_version == lines[-1]["object"]["metadata"]["resourceVersion"]
    assert machine.reader.problems == []
    machine.ended(20.0)
    assert machine.request(20.0).query["resourceVersion"] == machine.resource_version


def test_recorded_streams_in_random_pieces() -> None:
    """Lines end inside of pieces and pieces inside of lines."""
    stream = (RECORDED / "services.watch.jsonl").read_bytes() * 3
    whole = _keys(_watching().received(stream, 1.0))
    for seed in range(20):
        rng = random.Random(seed)
        machine = _watching()
        sizes = iter(lambda rng=rng: rng.choice((1, 10, 500, 3000)), None)
        found = [e for piece in _cut(stream, sizes) for e in machine.received(piece, 1.0)]
        assert _keys(found) == whole


@pytest.mark.parametrize("name", ["services", "endpointslices"])
def test_recorded_streaming_lists_are_events_too(name: str) -> None:
    """ADDED events in no order and a bookmark: what a watch from nothing would send."""
    machine = _watching(Kind(name))
    found = machine.received((RECORDED / f"{name}.watchlist.jsonl").read_bytes(), 1.0)
    listed = json.loads((RECORDED / f"{name}.list.json").read_bytes())["items"]
    assert len(found) >= len(listed) - 2
    assert not any(event.deleted for event in found)


def test_lines_of_several_megabytes() -> None:
    """A Service may carry 1.5 MB of annotations; a slice of a big service is long as well."""
    value = service("big")
    value["metadata"]["annotations"] = {f"note-{i}": "x" * 100_000 for i in range(50)}
    machine = _watching()
    stream = _event("ADDED", value, "200") + _event("ADDED", service("small"), "201")
    found = [
        event
        for piece in _cut(stream, iter(lambda: 65536, None))
        for event in machine.received(piece, 1.0)
    ]
    assert [event.object.key for event in found] == ["shop/big", "shop/small"]


def test_a_line_without_end_is_given_up() -> None:
    """Memory stays bounded when a server sends no line feed any more."""
    machine = _watching()
    with pytest.raises(ApiError):
        for _ in range(40):
            machine.received(b"x" * (1 << 20), 1.0)
    machine.failed(ApiError("too long"), 1.0)
    machine.request(1.0)
    assert _keys(machine.received(_event("ADDED", service("a")), 1.0)) == [("shop/a", False)]


def test_empty_lines_are_nothing() -> None:
    """Line feeds as a heartbeat: no error, but no word about the cluster either."""
    machine = _watching()
    assert machine.received(b"\n\r\n  \n", 1.0) == []
    assert machine.heard == 0.0


def test_bookmarks_move_the_version_alone() -> None:
    """And show that the watch lives."""
    machine = _watching()
    assert machine.received(_bookmark("555"), 9.0) == []
    assert machine.resource_version == "555"
    assert machine.heard == 9.0


def test_what_a_stream_left_unfinished_comes_again() -> None:
    """Half a line at the end is no event; the next watch starts before it."""
    machine = _watching()
    stream = _event("ADDED", service("a"), "101") + _event("ADDED", service("b"), "102")
    assert _keys(machine.received(stream[:-20], 1.0)) == [("shop/a", False)]
    machine.ended(2.0)
    assert machine.request(2.0).query["resourceVersion"] == "101"
    assert _keys(machine.received(_event("ADDED", service("b"), "102"), 3.0)) == [("shop/b", False)]


@pytest.mark.parametrize("name", ["services", "endpointslices"])
def test_recorded_410_lists_again_at_once(name: str) -> None:
    """HTTP 200 and an ERROR event: the version is too old. Nothing is broken, so no pause."""
    machine = _watching(Kind(name))
    with pytest.raises(ApiError) as raised:
        machine.received((RECORDED / f"{name}.watch.410.jsonl").read_bytes(), 1.0)
    assert raised.value.status == 410
    machine.failed(raised.value, 1.0)
    assert machine.pause_s == 0.0
    request = machine.request(1.0)
    assert not request.watch
    assert "resourceVersion" not in request.query
    machine.listed(_page(version="900"), 1.0)
    assert machine.relists == 1
    assert machine.request(1.0).query["resourceVersion"] == "900"


def test_410_again_and_again_is_not_a_busy_loop() -> None:
    """A server that takes back each version that it has just given is asked ever more slowly."""
    machine = _machine()
    waited = 0.0
    for _ in range(20):
        machine.request(waited)
        machine.listed(_page(version="100"), waited)
        assert machine.request(waited).watch
        with pytest.raises(ApiError) as raised:
            machine.received(_error(410, "too old"), waited)
        machine.failed(raised.value, waited)
        waited += machine.pause_s
    assert waited > 1.0, "20 lists and watches without a pause"


def test_an_error_event_behind_others_loses_none_of_them() -> None:
    """In one piece: what came before it is handed over, or comes again with the next watch."""
    machine = _watching()
    piece = _event("ADDED", service("a"), "101") + _error(500, "etcd leader changed")
    found: list[Event] = []
    try:
        found = machine.received(piece, 1.0)
        machine.ended(1.0)
    except ApiError as error:
        machine.failed(error, 1.0)
    asks_from = machine.request(2.0).query.get("resourceVersion")
    assert _keys(found) == [("shop/a", False)] or asks_from == "100", (
        f"shop/a was never handed over, and the next watch asks from {asks_from}"
    )


def test_a_broken_line_behind_others_loses_none_of_them() -> None:
    """The same for a line that is no event."""
    for broken in (b"{\n", b'{"type":"ADDED"}\n', b'{"type":"PATCHED","object":{}}\n', b"\xff\n"):
        machine = _watching()
        found: list[Event] = []
        try:
            found = machine.received(_event("ADDED", service("a"), "101") + broken, 1.0)
        except ApiError as error:
            machine.failed(error, 1.0)
        asks_from = machine.request(2.0).query.get("resourceVersion")
        assert _keys(found) == [("shop/a", False)] or asks_from in ("100", None)


def test_a_line_that_never_can_be_read_is_got_over() -> None:
    """A watch that meets the same broken line each time must list anew, or it is stuck for ever."""
    machine = _watching()
    for _ in range(5):
        request = machine.request(0.0)
        if not request.watch:
            return
        with pytest.raises(ApiError) as raised:
            machine.received(b'{"type":"ADDED","object":{"metadata":7}}\n', 0.0)
        machine.failed(raised.value, 0.0)
    pytest.fail("five watches from the same version met the same line")


def test_an_object_that_cannot_be_read_is_skipped() -> None:
    """The others of the stream go on; the version moves past it; one line says so."""
    machine = _watching()
    bad = service("bad")
    bad["spec"] = {"clusterIPs": "10.0.0.1", "type": 7}
    stream = _event("ADDED", bad, "101") + _event("ADDED", service("good"), "102")
    found = [event for event in machine.received(stream, 1.0) if event.object.value is not None]
    assert _keys(found) == [("shop/good", False)]
    assert machine.resource_version == "102"
    assert len(machine.reader.problems) == 1


def test_a_deletion_of_an_object_that_cannot_be_read_is_applied() -> None:
    """H11: whatever a DELETED event carries, its object is gone."""
    machine = _watching()
    bad = service("bad")
    bad["spec"] = {"clusterIPs": "10.0.0.1", "type": 7}
    assert _keys(machine.received(_event("DELETED", bad, "101"), 1.0)) == [("shop/bad", True)]


@pytest.mark.parametrize("kind", [Kind.NAMESPACE, Kind.SERVICE])
def test_a_deletion_needs_no_more_than_a_name(kind: Kind) -> None:
    """H11: an object without spec."""
    machine = _watching(kind)
    value = namespace("a") if kind is Kind.NAMESPACE else {"metadata": service("a")["metadata"]}
    key = "/a" if kind is Kind.NAMESPACE else "shop/a"
    assert _keys(machine.received(_event("DELETED", value, "101"), 1.0)) == [(key, True)]


# Failures


def _pauses(machine: ListWatch, count: int, error: ApiError) -> list[float]:
    found = []
    for _ in range(count):
        machine.request(0.0)
        machine.failed(error, 0.0)
        found.append(machine.pause_s)
    return found


@pytest.mark.parametrize("status", [0, 401, 409, 500, 502, 503, 504])
def test_pauses_grow_to_two_seconds_and_no_further(status: int) -> None:
    """A cluster whose API server comes back is right again within three seconds."""
    for seed in range(20):
        pauses = _pauses(_machine(seed=seed), 40, ApiError("no", status))
        assert max(pauses) <= 2.0
        assert min(pauses[6:]) >= 1.0
        assert 0.05 <= pauses[0] <= 0.1


def test_pauses_differ_between_replicas() -> None:
    """Jitter: they do not come all together."""
    error = ApiError("no")
    assert len({tuple(_pauses(_machine(seed=seed), 5, error)) for seed in range(20)}) == 20


def test_success_forgets_the_pause() -> None:
    """The first failure after a good list, a good event, a bookmark is the first again."""
    for word in (_bookmark("101"), _event("ADDED", service("a"), "101")):
        machine = _watching()
        _pauses(machine, 10, ApiError("no", 500))
        machine.request(0.0)
        machine.received(word, 1.0)
        assert machine.last_error is None
        assert _pauses(machine, 1, ApiError("no", 500))[0] <= 0.1


def test_a_failed_watch_resumes_where_it_was() -> None:
    """No new list after a connection that broke."""
    machine = _watching()
    machine.received(_bookmark("555"), 1.0)
    _pauses(machine, 3, ApiError("connection reset"))
    assert machine.state is State.WAITING
    request = machine.request(9.0)
    assert request.watch
    assert request.query["resourceVersion"] == "555"


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("kind", [Kind.SLICE, Kind.NAMESPACE, Kind.POD])
def test_what_is_forbidden_is_asked_for_again_every_minute(kind: Kind, status: int) -> None:
    """Rights arrive late, or are granted later; 404 is an old server without the kind."""
    machine = _machine(kind, forbidden_retry_s=60.0)
    for _ in range(5):
        machine.request(0.0)
        machine.failed(ApiError("forbidden", status), 0.0)
        assert machine.state is State.FORBIDDEN
        assert machine.pause_s == 60.0
    machine.request(0.0)
    assert machine.listed(_page(), 0.0) == []
    assert machine.request(0.0).watch


@pytest.mark.parametrize("kind", [Kind.SERVICE, Kind.ENDPOINTS])
def test_what_nothing_stands_in_for_is_asked_for_at_the_usual_pace(kind: Kind) -> None:
    """A minute without services would be a minute without DNS after the rights have come."""
    assert max(_pauses(_machine(kind), 20, ApiError("forbidden", 403))) <= 2.0


def test_rights_taken_away_during_a_watch() -> None:
    """It ends with 403: nothing old is kept of its version."""
    machine = _watching(Kind.SLICE)
    machine.failed(ApiError("forbidden", 403), 1.0)
    assert machine.state is State.FORBIDDEN
    assert not machine.request(1.0).watch


@pytest.mark.parametrize(
    ("retry_after_s", "least", "most"), [(0.0, 0.05, 0.1), (1.0, 1.0, 1.0), (600.0, 10.0, 10.0)]
)
def test_a_server_that_asks_to_wait(retry_after_s: float, least: float, most: float) -> None:
    """429 with Retry-After, or 503: obeyed up to ten seconds."""
    machine = _watching()
    machine.failed(ApiError("too many requests", 429, retry_after_s), 0.0)
    assert least <= machine.pause_s <= most
    assert machine.request(1.0).watch


def test_a_version_from_the_future() -> None:
    """Recorded 504, after the server was restored from an older snapshot: a failure as others."""
    reason = status_text((RECORDED / "error.504.rv-too-large.json").read_bytes())
    assert reason == "Timeout: Too large resource version: 99999999, current: 349"
    machine = _watching()
    machine.failed(ApiError(reason, 504), 0.0)
    assert 0 < machine.pause_s <= 2.0


def test_a_stream_that_says_nothing_proves_nothing() -> None:
    """A watch from a future version ends normally without a word: the kind is listed again."""
    machine = _watching()
    machine.ended(250.0)
    assert not machine.request(250.0).watch


def test_a_silent_stream_that_was_torn_down() -> None:
    """The same when we ended it."""
    machine = _watching()
    machine.failed(ApiError("no word", silent=True), 330.0)
    assert not machine.request(330.0).watch
    machine = _watching()
    machine.received(_bookmark("200"), 60.0)
    machine.failed(ApiError("no word", silent=True), 400.0)
    assert machine.request(400.0).query["resourceVersion"] == "200"


def test_a_watch_that_ends_at_once_is_a_failure() -> None:
    """A proxy that cuts each stream must not be asked a thousand times a second."""
    machine = _watching()
    pauses = []
    for _ in range(10):
        machine.ended(0.0)
        pauses.append(machine.pause_s)
        machine.request(0.0)
    assert min(pauses) > 0
    assert sum(pauses) > 3


def test_a_stream_that_ended_in_good_order_goes_on_at_once() -> None:
    """After an event, whatever its length."""
    machine = _watching()
    machine.received(_bookmark("200"), 0.1)
    machine.ended(0.2)
    assert machine.pause_s == 0.0
    assert machine.request(0.2).query["resourceVersion"] == "200"


@pytest.mark.parametrize("code", [401, 403, 404])
def test_recorded_errors_have_a_reason(code: int) -> None:
    """It is shown in log and /status, escaped, in one line."""
    text = status_text((RECORDED / f"error.{code}.json").read_bytes())
    assert text
    assert text.isprintable()


def test_an_error_text_is_fit_for_a_log() -> None:
    """Whatever a server, or who answers in its place, writes."""
    hostile = json.dumps({"message": "a\n\x1b[31mb\u2028" + "x" * 5000}).encode()
    assert status_text(hostile).startswith("a\\n\\x1b[31mb\\u2028")
    assert len(status_text(hostile)) <= 200
    for other in (b"", b"<html>", b"\xff\xfe", b'{"message": 7}'):
        assert status_text(other) == ""
    machine = _watching()
    with pytest.raises(ApiError) as raised:
        machine.received(_error(500, "a\n\x1b[31mb" + "x" * 5000), 0.0)
    machine.failed(raised.value, 0.0)
    assert machine.last_error is not None
    assert machine.last_error.isprintable(), "shown by /status and in the log"
    with pytest.raises(ApiError) as raised:
        machine.received(b'{"type":"\\u001b[31m\\n","object":{}}\n', 0.0)
    assert str(raised.value).isprintable()


def test_what_a_list_gives_can_be_read_by_all() -> None:
    """Decoded objects of the recorded lists, by kind, without a problem."""
    for kind in (Kind.SERVICE, Kind.SLICE, Kind.ENDPOINTS, Kind.NAMESPACE, Kind.POD):
        machine = _machine(kind)
        machine.request(0.0)
        found = machine.listed((RECORDED / f"{kind.value}.list.json").read_bytes(), 0.0)
        assert found
        assert all(isinstance(each, Decoded) for each in found)
        assert machine.reader.problems == []


# What is not said


def test_a_watch_that_goes_well_is_never_given_up_for_a_list() -> None:
    """Comparing is the audit's work, beside the watch: a list in its place would be a gap."""
    machine = _watching()
    for began in range(0, 30_000, 300):
        assert machine.request(float(began)).watch
        machine.received(_bookmark(str(500 + began)), began + 10.0)
        machine.ended(began + 300.0)


@pytest.mark.parametrize("octets", [b"\n", b"  \n\n", b'{"type": "ADD', b" " * 1000])
def test_octets_that_say_nothing_are_silence(octets: bytes) -> None:
    """A stream that trickles is as frozen as one that is silent, and looks so in /status."""
    machine = _watching()
    machine.received(_bookmark("7"), 10.0)
    machine.received(octets, 50.0)
    assert machine.heard == 10.0


def test_no_connection_is_no_silence() -> None:
    """A few seconds of lost packets must not make every replica list the whole cluster."""
    machine = _watching()
    machine.request(1.0)
    machine.failed(ApiError("no connection within 2 s"), 3.0)
    assert machine.request(4.0).watch


def test_a_stream_that_never_said_a_word_proves_nothing() -> None:
    """The server may have been restored to a time before our version, and wait for it."""
    machine = _watching()
    machine.request(1.0)
    machine.failed(ApiError("no word for 90 s", silent=True), 91.0)
    assert not machine.request(92.0).watch


@pytest.mark.parametrize("status", [400, 500, 504])
def test_a_watch_that_is_refused_again_and_again_lists(status: int) -> None:
    """Perhaps the version is what the server cannot stand."""
    machine = _watching()
    for number in range(5):
        if not machine.request(float(number)).watch:
            return
        machine.failed(ApiError("no", status), float(number))
    pytest.fail("watched from the same version for ever")


def test_beginning_anew_leaves_nothing_of_a_list_that_was_broken_off() -> None:
    """A continue token would be long expired by then."""
    machine = _machine()
    machine.request(0.0)
    machine.listed(_page(version="100", following="token"), 0.0)
    machine.restart()
    assert "continue" not in machine.request(1.0).query
