"""Random octets, fetched from the kernel many at a time: a call for each query would cost 1 µs."""

import os
from collections.abc import Iterator

_AT_ONCE = 1024


def triples() -> Iterator[bytes]:
    """
    Yield three random octets at a time, for ever: an ID, and a choice among 256.

    They are the kernel's own (CSPRNG), and each is used once (RFC 5452 section 9.2).
    """
    while True:
        octets = os.urandom(3 * _AT_ONCE)
        for start in range(0, len(octets), 3):
            yield octets[start : start + 3]
