"""
What to ask the API server next about one kind of object, without asking it.

    LISTING ──last page──▶ WATCHING ──stream ends──▶ WATCHING, from the last resourceVersion
       ▲                      │ 410 Gone: the version is no longer kept
       └──────────────────────┘
    any failure ──▶ the same again after a pause that doubles from 0.1 s to 2 s, with jitter
    403, 404 ──▶ FORBIDDEN: asked again every minute, since rights arrive late or are granted later;
                 but a kind that nothing stands in for is asked for as after any failure

The shell (apiserver.py) asks `request()`, sends it, and reports what came: `listed`, `received`,
`ended` or `failed`. A pause never grows past two seconds: when the API server comes back, every
answer must be right again within three, and a handful of DNS pods is no stampede.

Invariants
- A list is complete or nothing: pages are gathered, and what comes out replaces all that was
  known, so an object that vanished while nobody watched is dropped.
- `resource_version` only moves with a complete list, an event or a bookmark; the client library's
  own bookkeeping is not used, since it stops when objects are not turned into its models.
- A stream that ends without having said anything, not even a bookmark, proves nothing: the server
  may have been restored to before our version and wait for it. So the kind is listed again.
- An event that was lost without notice is found by the audit (audit.py), which pages through the
  same kind beside the watch, and has it begun anew (`restart`) only if it cannot be trusted.
- `heard` moves with whole lines that make sense, not with octets: a stream that trickles is silent.
- Paging asks without resourceVersion: with `0` the server ignores `limit`.
"""

import random
from dataclasses import dataclass
from enum import Enum

import msgspec

from kubedns.cluster.objects import Decoded, Kind, Reader
from kubedns.errors import KubednsError

PAGE = 500  # objects, as the original
WATCH_S = (240, 300)  # how long one stream is asked for
_FIRST_PAUSE_S = 0.1
_MAX_PAUSE_S = 2.0
_MAX_RETRY_AFTER_S = 10.0
_MAX_LINE = 16 << 20  # octets; etcd refuses objects over 1.5 MiB
_HOPELESS = (400, 404, 500, 504)  # said again and again to a watch: perhaps of its version
_HOPELESS_TRIES = 3
_INDISPENSABLE = (Kind.SERVICE, Kind.ENDPOINTS)  # Endpoints stand in for slices
_SHORT_STREAM_S = 1.0  # a stream that ends sooner, without an event, counts as a failure

PATHS = {
    Kind.SERVICE: "/api/v1/services",
    Kind.ENDPOINTS: "/api/v1/endpoints",
    Kind.SLICE: "/apis/discovery.k8s.io/v1/endpointslices",
    Kind.NAMESPACE: "/api/v1/namespaces",
    Kind.POD: "/api/v1/pods",
    Kind.CONFIG_MAP: "/api/v1/configmaps",
}


class ApiError(KubednsError):
    """
    The API server refused, or what it sent is unusable.

    status: HTTP status, 0 for none. retry_after_s: how long it asks us to wait. silent: it said
    nothing for too long.
    """

    def __init__(
        self,
        reason: str,
        status: int = 0,
        retry_after_s: float = 0.0,
        *,
        silent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.silent = silent
        self.status = status
        self.retry_after_s = retry_after_s


class State(Enum):
    """Where a list and watch stands; the words that /status shows."""

    LISTING = "listing"
    WATCHING = "watching"
    WAITING = "waiting"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Request:
    """What to GET. watch: the reply is a stream of events, to be reported in pieces."""

    path: str
    query: dict[str, str]
    watch: bool


class _RawEvent(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Bookmark(msgspec.Struct, gc=False):
    metadata: _BookmarkMeta


class _Status(msgspec.Struct, gc=False):
    message: str = ""
    code: int = 0


_event = msgspec.json.Decoder(_RawEvent)
_bookmark = msgspec.json.Decoder(_Bookmark)
_status = msgspec.json.Decoder(_Status)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch. deleted: the object is gone, else it is new or changed."""

    object: Decoded
    deleted: bool


def status_text(octets: bytes) -> str:
    """Read the message of a Status object, escaped and cut; empty if it is none."""
    try:
        return _status.decode(octets).message.encode("unicode_escape").decode("ascii")[:200]
    except msgspec.DecodeError:
        return ""


class ListWatch:
    """See the head of this module. now is monotonic seconds; pause_s what to wait before asking."""

    def __init__(
        self,
        reader: Reader,
        *,
        rng: random.Random,
        forbidden_retry_s: float = 60.0,
        one: tuple[str, str] | None = None,
    ) -> None:
        """one: (namespace, name) of the only object to be read."""
        self.reader = reader
        self._path = PATHS[reader.kind]
        self._selector: dict[str, str] = {}
        if one is not None:
            prefix, _, plural = self._path.rpartition("/")
            self._path = f"{prefix}/namespaces/{one[0]}/{plural}"
            self._selector = {"fieldSelector": f"metadata.name={one[1]}"}
        self.kind = reader.kind
        self.state = State.LISTING
        self.resource_version = ""
        self.pause_s = 0.0
        self.heard = 0.0  # when the server last said anything about this kind
        self.lists = 0
        self.errors = 0
        self.last_error: str | None = None
        self.watching_since: float | None = None
        self._rng = rng
        self._forbidden_retry_s = forbidden_retry_s
        self._failures = 0
        self._expired = 0  # 410 in a row, without anything heard between them
        self._broken: ApiError | None = None
        self._following = ""
        self._gathered: list[Decoded] = []
        self._rest = b""
        self._heard_on_stream = False

    @property
    def relists(self) -> int:
        """Count the complete lists after the first one."""
        return max(0, self.lists - 1)

    def request(self, now: float) -> Request:
        """Return what to ask now; the shell has waited `pause_s` before."""
        if self.resource_version:
            self.state = State.WATCHING
            self.watching_since = now
            self._rest = b""
            self._broken = None
            self._heard_on_stream = False
            query = {
                "watch": "1",
                "allowWatchBookmarks": "true",
                "resourceVersion": self.resource_version,
                "timeoutSeconds": str(self._rng.randint(*WATCH_S)),
            }
        else:
            if self.state is not State.FORBIDDEN:  # which it is until a list has come
                self.state = State.LISTING
            return self.page(self._following)
        return Request(self._path, query | self._selector, watch=True)

    def page(self, following: str, limit: int = PAGE) -> Request:
        """Return how to ask for one page of a list; following: the token of the page before."""
        query = {"limit": str(limit)} | ({"continue": following} if following else {})
        return Request(self._path, query | self._selector, watch=False)

    def listed(self, octets: bytes, now: float) -> list[Decoded] | None:
        """
        Take in a page; return all objects when it was the last one, else None.

        Raises:
            ApiError: it is no list.
        """
        try:
            page = self.reader.page(octets)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(f"a list that cannot be read: {error}") from error
        self.state = State.LISTING
        self._went_well(now)
        self._gathered += page.objects
        self._following = page.following
        if page.following:
            return None
        if not page.resource_version:
            raise ApiError("a list without resourceVersion")
        self.resource_version = page.resource_version
        self.lists += 1
        gathered, self._gathered = self._gathered, []
        return gathered

    def received(self, octets: bytes, now: float) -> list[Event]:
        """
        Take in a piece of a watch's stream; return the events that are complete with it.

        A piece may hold part of a line or several lines, of any length. The shell hands the events
        on and then calls `check`: an error behind them is raised there.

        Raises:
            ApiError: the server ended the watch with an error, or a line makes no sense.
        """
        *lines, self._rest = (self._rest + octets if self._rest else octets).split(b"\n")
        events: list[Event] = []
        try:
            for line in filter(bytes.strip, lines):
                event = self._line(line)
                self._heard_on_stream = True
                self._expired = 0
                self._went_well(now)
                if event is not None:
                    events.append(event)
            if len(self._rest) > _MAX_LINE:
                raise ApiError(f"a watch event of more than {_MAX_LINE} octets")
        except ApiError as error:
            if not events:
                raise
            self._broken = error  # what came before it counts, and is not sent again
        return events

    def check(self) -> None:
        """
        Look whether the stream may be read on.

        Raises:
            ApiError: see `received`.
        """
        if self._broken is not None:
            raise self._broken

    def _line(self, line: bytes) -> Event | None:
        try:
            raw = _event.decode(line)
            match raw.type:
                case "BOOKMARK":
                    self._moved_to(_bookmark.decode(raw.object).metadata.resource_version)
                    return None
                case "ERROR":
                    status = _status.decode(raw.object)
                    raise ApiError(status_text(raw.object) or "an error event", status.code)
                case "ADDED" | "MODIFIED" | "DELETED":
                    decoded = self.reader.read(raw.object)
                    if decoded is None:
                        raise ApiError("an event about no object", status=410)
                    self._moved_to(decoded.resource_version)
                    return Event(decoded, deleted=raw.type == "DELETED")
                case _:
                    raise ApiError(f"an event of type {raw.type[:40]!r}")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Read again it would be no better: as if our version had expired, list anew.
            raise ApiError(f"a watch event that cannot be read: {error}", status=410) from error

    def ended(self, now: float) -> None:
        """Note that the server ended the watch, in good order unless `check` says otherwise."""
        if self._broken is not None:
            self.failed(self._broken, now)
            return
        since = now if self.watching_since is None else self.watching_since
        if not self._heard_on_stream and now - since < _SHORT_STREAM_S:
            self.failed(ApiError("the watch ended at once, without an event"), now)
            return
        self.pause_s = 0.0
        if not self._heard_on_stream:
            self._start_over()

    def restart(self) -> None:
        """Begin anew, as if nothing had been read: what was known is kept nowhere any more."""
        self.state = State.LISTING
        self._failures = 0
        self._start_over()

    def failed(self, error: ApiError, now: float) -> None:
        """Note that a request failed, and set the pause before the next one."""
        self.errors += 1
        self.last_error = str(error)[:300]
        self.watching_since = None
        self._rest = b""
        watching = self.state is State.WATCHING
        if watching and error.silent and not self._heard_on_stream:
            self._start_over()
        if watching and error.status in _HOPELESS and self._failures >= _HOPELESS_TRIES:
            self._start_over()
        if error.status in (403, 404) and self.kind not in _INDISPENSABLE:
            self.state = State.FORBIDDEN
            self.pause_s = self._forbidden_retry_s
            self._start_over()
            return
        if error.status == 410:
            self._start_over()
            self._expired += 1
            if self._expired == 1:  # nothing is broken: list at once
                self.pause_s = 0.0
                self.state = State.LISTING
                return
        tries = max(self._failures, self._expired - 1)
        pause = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(tries, 10))
        self._failures += 1
        self.state = State.WAITING
        self.pause_s = max(
            pause * self._rng.uniform(0.5, 1.0), min(error.retry_after_s, _MAX_RETRY_AFTER_S)
        )
        if not self.resource_version:
            self._start_over()

    def _start_over(self) -> None:
        """List from the first page on: a continue token does not outlive its list."""
        self.resource_version = ""
        self._following = ""
        self._gathered = []

    def _moved_to(self, version: str) -> None:
        if version:
            self.resource_version = version

    def _went_well(self, now: float) -> None:
        self.heard = now
        self._failures = 0
        self.last_error = None
