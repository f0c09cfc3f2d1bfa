"""
Which answers of the cache hold names of the cluster: found by name when one of these changes.

Answers stand in buckets by the names in them (`Stored.marks`), each cut to a service's: its zone
and three labels (service.namespace.svc). Reverse names are whole. So a change of a service, with
all names below it, looks at one bucket; one of a namespace looks for buckets with that ending.
What a bucket gives is more than was asked for, and the caller looks at each (purge.py).

It costs a few microseconds on put and drop, and 82 octets for each answer of the usual ones, A and
AAAA of a name; nothing on a hit, and nothing for what the cluster has no part in.
"""

from collections.abc import Iterable, Iterator

from dnsmasq_py.question import name_of
from kubedns.wire import name as names

BELOW_ZONE = 3  # labels of a service's name
USUAL_DEPTH = 2 + BELOW_ZONE
QUESTIONS = b""
"""Among marks: the name that is asked for, which the key holds already."""

_IN_ADDR = names.from_text("in-addr.arpa")
_IP6 = names.from_text("ip6.arpa")
_REVERSE_DEPTHS = ((_IN_ADDR, 2 + 4), (_IP6, 2 + 32))
_FEW = 8  # keys in a tuple; more are in a set
_WILDCARD = b"\1*"
_Keys = tuple[bytes, ...] | set[bytes]


class NameIndex:
    """
    Keys of answers, by the folded names in them.

    depth: labels of a bucket's name, at most.
    """

    def __init__(self, depth: int = USUAL_DEPTH) -> None:
        self.wild: set[bytes] = set()  # answers that hold a name with a `*` label
        self._depth = depth
        self._buckets: dict[bytes, _Keys] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameIndex) and self._content() == other._content()

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self._buckets)

    def _content(self) -> tuple[set[bytes], dict[bytes, set[bytes]]]:
        return self.wild, {bucket: set(keys) for bucket, keys in self._buckets.items()}

    def add(self, key: bytes, marks: Iterable[bytes]) -> None:
        """Take in an answer by its key."""
        for name in names_in(key, marks):
            bucket = self._bucket(name)
            keys = self._buckets.get(bucket, ())
            if key not in keys:
                self._buckets[bucket] = _with(keys, key)
            if is_wild(name):
                self.wild.add(key)

    def remove(self, key: bytes, marks: Iterable[bytes]) -> None:
        """Forget an answer that was taken in with just these marks."""
        for name in names_in(key, marks):
            bucket = self._bucket(name)
            keys = self._buckets.get(bucket, ())
            if key not in keys:
                continue  # another name of the same bucket
            if len(keys) == 1:
                del self._buckets[bucket]
            else:
                self._buckets[bucket] = _without(keys, key)
        self.wild.discard(key)

    def near(self, name: bytes) -> Iterator[bytes]:
        """
        Give the keys of all answers with a name at or below this one; also of others near by.

        An answer may come twice.
        """
        depth = self._depth_of(name)
        if _size(name) >= depth:
            yield from self._buckets.get(self._bucket(name), ())
            return
        for bucket in [each for each in self._buckets if each.endswith(name)]:
            yield from self._buckets[bucket]

    def at(self, name: bytes) -> _Keys:
        """Return the keys of all answers with exactly this name, and of others near by."""
        return self._buckets.get(self._bucket(name), ())

    def all(self) -> set[bytes]:
        """Return all keys."""
        return {key for keys in self._buckets.values() for key in keys}

    def _bucket(self, name: bytes) -> bytes:
        starts = []
        i = 0
        while length := name[i]:
            starts.append(i)
            i += 1 + length
        cut = len(starts) - self._depth_of(name)
        return name[starts[cut] :] if cut > 0 else name

    def _depth_of(self, name: bytes) -> int:
        for domain, depth in _REVERSE_DEPTHS:
            if name.endswith(domain):
                return depth
        return self._depth


def names_in(key: bytes, marks: Iterable[bytes]) -> Iterator[bytes]:
    """Give the cluster's names in an answer, by its key and marks."""
    for mark in marks:
        yield mark or name_of(key)


def is_wild(name: bytes) -> bool:
    """Tell whether a name has a `*` label."""
    return _WILDCARD in name and b"*" in names.labels(name)


def _with(keys: _Keys, key: bytes) -> _Keys:
    if isinstance(keys, set):
        keys.add(key)
        return keys
    return (*keys, key) if len(keys) < _FEW else {*keys, key}


def _without(keys: _Keys, key: bytes) -> _Keys:
    if isinstance(keys, set):
        keys.discard(key)
        return keys
    return tuple(each for each in keys if each != key)


def _size(name: bytes) -> int:
    """Count the labels of a name."""
    count = i = 0
    while length := name[i]:
        count += 1
        i += 1 + length
    return count
