"""
Names that were perhaps meant, and which namespaces are nearest: bounded work, whatever is asked.

A label is near another one when one or two slips of the finger lie between them: a letter too many,
too few, another one, or two that changed places (the restricted Damerau-Levenshtein distance).
"""

from collections.abc import Iterable
from itertools import islice

_MAX_LOOKED_AT = 2000  # candidates of one search
_MAX_ORDERED = 200
_MAX_LENGTH = 40  # octets of a label that is compared: longer ones are not typed


def distance(one: bytes, other: bytes, limit: int) -> int:
    """Return how many slips lie between two labels; limit + 1 for more than `limit`."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    # What both begin or end with costs nothing, and is most of two names that are alike.
    alike = _common(one, other)
    one, other = one[alike:], other[alike:]
    alike = _common(one[::-1], other[::-1])
    one, other = one[: len(one) - alike], other[: len(other) - alike]
    if not (one and other):
        return len(one) or len(other)
    # A cell further from the diagonal than the limit has more slips than that.
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, here in enumerate(one, 1):
        before, last, row = row, before, [limit + 1] * (len(other) + 1)
        if i <= limit:
            row[0] = i
        for j in range(max(1, i - limit), min(len(other), i + limit) + 1):
            there = other[j - 1]
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (here != there))
            if i > 1 and j > 1 and here == other[j - 2] and one[i - 2] == there:
                cost = min(cost, last[j - 2] + 1)
            row[j] = cost
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def nearest(label: bytes, candidates: Iterable[bytes], most: int = 3) -> list[bytes]:
    """
    Return at most so many candidates that were perhaps meant by a label, best first.

    One slip in a label of up to four octets, two in a longer one; the label itself is not returned.
    """
    if not 1 < len(label) <= _MAX_LENGTH:
        return []
    limit = 1 if len(label) <= 4 else 2
    letters, most_letters = set(label), 2 * limit
    found = []
    for each in islice(candidates, _MAX_LOOKED_AT):
        # Cheap doubts first: most candidates differ in length or in more letters than that.
        if (
            abs(len(each) - len(label)) > limit
            or len(letters.symmetric_difference(each)) > most_letters
        ):
            continue
        slips = distance(label, each, limit)
        if 0 < slips <= limit:
            found.append((slips, each))
    return [each for _, each in sorted(found)[:most]]


def ordered(namespace: bytes, candidates: Iterable[bytes], most: int = 3) -> list[bytes]:
    """Return at most so many namespaces, those first that begin or end alike, then by name."""
    looked_at = islice(candidates, _MAX_ORDERED)
    return sorted(looked_at, key=lambda each: (-_alike(namespace, each), each))[:most]


def _alike(one: bytes, other: bytes) -> int:
    """Count the octets with which both begin, or those with which both end, if they are more."""
    return max(_common(one, other), _common(one[::-1], other[::-1]))


def _common(one: bytes, other: bytes) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
