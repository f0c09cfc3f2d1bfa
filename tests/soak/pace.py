"""How many questions a second the machine allows.  No IO."""

from __future__ import annotations

from dataclasses import dataclass

_LESS, _MORE = 0.6, 1.25
_PATIENCE = 3  # looks in a row that say the same
_ROOMY = 0.5  # share of a second for which a thread may wait while there is room for more
_LEAST = 0.15


@dataclass
class Pace:
    """
    The rate, by how the machine does: less while it is too busy, again more when it is not.

    most: questions a second when nothing else wants the processors.
    """

    most: float
    rate: float = 0.0
    _busy: int = 0
    _roomy: int = 0

    def __post_init__(self) -> None:
        self.rate = self.most

    def looked(self, waited: float, much: float) -> bool:
        """Take for what share of a second a thread waited; tell whether the rate changed."""
        self._busy = self._busy + 1 if waited > much else 0
        self._roomy = self._roomy + 1 if waited < _ROOMY else 0
        before = self.rate
        if self._busy >= _PATIENCE:
            self.rate = max(self.rate * _LESS, self.most * _LEAST)
            self._busy = 0
        elif self._roomy >= _PATIENCE:
            self.rate = min(self.rate * _MORE, self.most)
            self._roomy = 0
        return self.rate != before
