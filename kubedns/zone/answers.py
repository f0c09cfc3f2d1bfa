"""
Encoded answers by the octets of their question, kept until something they depend on changes.

The key is the whole query behind its ID, so that a receiver finds the answer with one look-up in
`table` and never parses. Keys have two fixed forms only, made in serve/responder.py: no OPT, or one
OPT without options, and the name in lower case. A query that looks otherwise is parsed first, and
then finds its answer under the fixed form of what it means.

Threads: a receiver may read `table` and count `Answer.uses` from its own thread; a dictionary read
is one step, and a count lost between two threads is a turn repeated, no more. All else is for the
one writer, the reactor's thread.

Bounded in entries and octets. When it is full the oldest eighth goes, in one step that costs less
than a millisecond: the names of a flood push each other out, and what is asked often comes back
with its next question.
"""

import random
from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from math import inf

from kubedns.batch import Turning
from kubedns.wire.reply import Rotation, Turns

MAX_ENTRIES = 8192
MAX_OCTETS = 8 << 20
_KEY_COST = 700  # octets that key, answer and tag take beside the turns, measured


Key = bytes | tuple[bytes, bool]  # the second form, for TCP, is none that a datagram could be


class Answer(Turning):
    """
    One answer in all its turns. until: when it is to be made anew (monotonic seconds); an answer
    without a sentence leaves the table when it is wrong.

    uses counts from `first` the times it was given, and so picks the turn; label is the keeper's,
    by which the uses are summed up. keys: the forms of its question under which it is kept.
    """

    __slots__ = ("first", "keys", "label", "octets", "tags")

    turns: Turns

    def __init__(self, turns: Turns, label: Hashable, tags: Iterable[bytes], first: int) -> None:
        self.turns = turns
        self.until = inf
        self.label = label
        self.tags = tuple(tags)
        self.keys: list[Key] = []
        self.uses = self.first = first
        self.octets = turns.octets if isinstance(turns, Rotation) else sum(map(len, turns))

    def age(self, now: float) -> bool:
        """Return that it may not be given any more: the responder makes it anew."""
        return False


class Answers:
    """See the head of this module."""

    def __init__(
        self,
        dropped: Callable[[Answer], None],
        max_entries: int = MAX_ENTRIES,
        max_octets: int = MAX_OCTETS,
    ) -> None:
        """dropped is told of every answer that leaves, so that its uses can be counted."""
        self.table: dict[Key, Answer] = {}
        self.octets = 0
        self._by_tag: dict[bytes, set[Answer]] = {}
        self._dropped = dropped
        self._max_entries = max_entries
        self._max_octets = max_octets

    def keep(self, key: Key, turns: Turns, label: Hashable, tags: Iterable[bytes]) -> Answer:
        """Keep an answer; key: the octets of its question behind the ID."""
        self._make_room()
        # Where the turning starts is random, so that replicas do not send all to one endpoint.
        answer = Answer(turns, label, tags, random.randrange(len(turns)))
        self.octets += answer.octets
        for tag in answer.tags:
            self._by_tag.setdefault(tag, set()).add(answer)
        self._put(key, answer)
        return answer

    def keep_also(self, key: Key, answer: Answer) -> None:
        """Keep an answer under another form of the same question."""
        self._make_room()
        if answer.keys:  # else it had to make room itself, and nobody would ever forget it
            self._put(key, answer)

    def _put(self, key: Key, answer: Answer) -> None:
        if self.table.get(key) is answer:
            return
        self._drop_key(key)
        answer.keys.append(key)
        self.octets += _KEY_COST
        self.table[key] = answer

    def _make_room(self) -> None:
        """Drop the oldest eighth while there is too much; one answer alone may be too large."""
        while self.table and (
            len(self.table) >= self._max_entries or self.octets > self._max_octets
        ):
            for old in list(islice(self.table, max(1, len(self.table) // 8))):
                self._drop_key(old)

    def forget(self, tags: Iterable[bytes]) -> None:
        """Drop every answer that depends on one of the tags."""
        for tag in tags:
            for answer in self._by_tag.get(tag, set()).copy():
                for key in answer.keys.copy():
                    self._drop_key(key)

    def clear(self) -> None:
        """Drop all."""
        for key in list(self.table):
            self._drop_key(key)

    def _drop_key(self, key: Key) -> None:
        """Drop one form of a question, and its answer with the last of them."""
        answer = self.table.pop(key, None)
        if answer is None:
            return
        self.octets -= _KEY_COST
        answer.keys.remove(key)
        if answer.keys:
            return
        self.octets -= answer.octets
        for tag in answer.tags:
            answers = self._by_tag[tag]
            answers.discard(answer)
            if not answers:
                del self._by_tag[tag]
        self._dropped(answer)
