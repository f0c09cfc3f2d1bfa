"""Where the objects come from, and whether all of them are there: what the service asks of it."""

from typing import Protocol


class Source(Protocol):
    """What the service needs of either source."""

    async def start(self) -> None:
        """Begin to read; raises a KubednsError for what no waiting heals."""

    async def stop(self) -> None:
        """End reading."""

    def missing(self) -> list[str]:
        """Name what has not been read yet; empty when in sync."""

    def status(self, now: float) -> list[dict[str, object]]:
        """Describe each resource for /status; now: monotonic seconds."""

    def audits(self, now: float) -> dict[str, dict[str, object]]:
        """Describe the audits of each resource for /status; now: monotonic seconds."""

    def away_s(self, now: float) -> float | None:
        """Return for how long nothing has been heard from the API server; None: it is there."""
