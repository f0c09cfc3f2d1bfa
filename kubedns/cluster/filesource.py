"""Objects from files, as one resource; see objectfiles.py."""

from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import Logger

from kubedns.cluster.feed import Feed
from kubedns.cluster.objectfiles import FilePoll, Loaded, ObjectFiles
from kubedns.cluster.objects import EndpointNames, Kind

log = Logger()


class FileSource:
    """Reads from files."""

    def __init__(
        self,
        paths: Iterable[str],
        feed: Feed,
        *,
        reactor: Any,
        naming: EndpointNames,
        settled: Callable[[], None],
    ) -> None:
        self._feed = feed
        self._reactor = reactor
        self._settled = settled
        self._poll = FilePoll(ObjectFiles(paths, naming), reactor, self._loaded)
        self._complete = False
        self._loads = 0
        self._errors = 0
        self._last_error: str | None = None
        self._loaded_at = 0.0

    async def start(self) -> None:
        """Begin to read."""
        self._poll.start()

    async def stop(self) -> None:
        """End reading."""
        self._poll.stop()

    def missing(self) -> list[str]:
        """Name what has not been read yet."""
        return [] if self._complete else ["objects"]

    def status(self, now: float) -> list[dict[str, object]]:
        """Describe the files as one resource."""
        return [
            {
                "resource": "files",
                "state": "watching" if self._complete else "waiting",
                "synced": self._complete,
                "resource_version": str(self._loads),
                "objects": self._feed.count(),
                "age_s": round(now - self._loaded_at, 3),
                "lists": self._loads,
                "relists": max(0, self._loads - 1),
                "errors": self._errors,
                "last_error": self._last_error,
                "events": 0,
                "restarts": 0,
            }
        ]

    def audits(self, now: float) -> dict[str, dict[str, object]]:
        """None: what the files hold is read whole whenever it changes."""
        return {}

    def away_s(self, now: float) -> float | None:
        """None: files are always there."""
        return None

    def _loaded(self, loaded: Loaded) -> None:
        self._loads += 1
        self._loaded_at = self._reactor.seconds()
        self._errors += bool(loaded.problems)
        self._last_error = loaded.problems[0] if loaded.problems else None
        self._feed.report(loaded.problems, loaded.remarks)
        for kind, objects in loaded.objects.items():
            self._feed.listed(kind, objects)
        if Kind.NAMESPACE not in loaded.objects:
            self._feed.forget_kind(Kind.NAMESPACE)
        log.info("read {count} objects from files", count=sum(map(len, loaded.objects.values())))
        self._complete = loaded.complete
        self._feed.settled(self._settled)
