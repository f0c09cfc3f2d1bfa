"""How well something is: a class for colours, a sign and never the colour alone."""

from enum import Enum


class Mark(Enum):
    """Value: the class in the style sheet, and a sign that tells it without colours."""

    BAD = ("bad", "✕")
    WARN = ("warn", "!")
    IDLE = ("idle", "·")
    GOOD = ("good", "✓")

    @property
    def css(self) -> str:
        """Return the class in the style sheet."""
        return self.value[0]

    @property
    def sign(self) -> str:
        """Return a sign of one character."""
        return self.value[1]
