"""
Random letter case for questions (draft-vixie-dnsext-dns0x20).

A forger must guess it like the ID and the port: one bit for each letter of the name.
"""

import os
from collections.abc import Callable, Iterator

_AT_ONCE = 128
_COINS = 32  # for so many octets of a name; longer ones take several throws
_LETTERS = bytes(0x20 if chr(octet).isalpha() and octet < 0x80 else 0 for octet in range(256))
_number = int.from_bytes


class Spelling:
    """Spells questions; octets(n) returns n unpredictable octets, and is asked for many at once."""

    __slots__ = ("_octets", "_throws")

    def __init__(self, octets: Callable[[int], bytes] = os.urandom) -> None:
        self._octets = octets
        self._throws = self._throw()

    def __call__(self, question: bytes) -> bytes:
        """Return a question section with its letters in random case; type and class stay."""
        size = len(question)
        coins = next(self._throws)
        room = _COINS + 4
        while size > room:
            coins = coins << 8 * _COINS | next(self._throws)
            room += _COINS
        # Length octets are below 'A', so in a name only letters are letters.
        letters = _number(question.translate(_LETTERS))
        return (_number(question) ^ letters & coins).to_bytes(size)

    def _throw(self) -> Iterator[int]:
        """Yield coins for some octets at a time, with four octets behind that have none."""
        while True:
            octets = self._octets(_AT_ONCE * _COINS)
            for start in range(0, len(octets), _COINS):
                yield _number(octets[start : start + _COINS]) << 32
