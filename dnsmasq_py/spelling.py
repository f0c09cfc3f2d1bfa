"""
Random letter case for questions (draft-vixie-dnsext-dns0x20).

A forger must guess it like the ID and the port: one bit for each letter of the name.
"""

import os
from collections.abc import Callable

_BATCH = 4096
_LETTERS = bytes(0x20 if chr(octet).isalpha() and octet < 0x80 else 0 for octet in range(256))


class Spelling:
    """Spells questions; octets(n) returns n unpredictable octets, and is asked for many at once."""

    __slots__ = ("_at", "_octets", "_pool")

    def __init__(self, octets: Callable[[int], bytes] = os.urandom) -> None:
        self._octets = octets
        self._pool = b""
        self._at = 0

    def __call__(self, question: bytes) -> bytes:
        """Return a question section with its letters in random case; type and class stay."""
        size = len(question)
        start = self._at
        end = start + size - 4
        if end > len(self._pool):
            self._pool = self._octets(_BATCH)
            start, end = 0, size - 4
        self._at = end
        # Length octets are below 'A', so in a name only letters are letters. The shift keeps the
        # last four octets as they are: type 65 looks like an A.
        letters = int.from_bytes(question.translate(_LETTERS), "big")
        coins = int.from_bytes(self._pool[start:end], "big") << 32
        return (int.from_bytes(question, "big") ^ letters & coins).to_bytes(size, "big")
