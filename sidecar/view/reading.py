"""How fresh something is that was read elsewhere."""

from dataclasses import dataclass

from sidecar.view.words import When


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How fresh a neighbour's status is. at: when it was read, None if it never was.

    missing: why there is nothing; stale: why there is nothing newer; empty otherwise.
    """

    at: When | None
    missing: str
    stale: str
