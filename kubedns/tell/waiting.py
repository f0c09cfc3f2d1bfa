"""The names that a listener has yet to be told: gathered, bounded, cut into messages."""

from collections.abc import Iterable, Set

from kubedns.wire import name as names

MAX_NAMES = 1000  # above that it is cheaper to forget all than to look for each


class Waiting:
    """Names that changed, or `everything`: too many of them, or nobody knows which."""

    __slots__ = ("everything", "names")

    def __init__(self) -> None:
        self.names: set[bytes] = set()
        self.everything = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.names)

    def add(self, changed: Iterable[bytes] | None) -> None:
        """Take in folded names; None: everything."""
        if changed is not None and not self.everything:
            self.names.update(changed)
        if changed is None or len(self.names) > MAX_NAMES:
            self.names.clear()
            self.everything = True

    def take(self, room: int) -> list[tuple[bytes, ...] | None]:
        """
        Return what waits and forget it: the names of each message, or one None for everything.

        room: octets of names that fit into a message. Nothing waits: one message without names.
        """
        if self.everything:
            self.everything = False
            return [None]
        parts: list[list[bytes]] = [[]]
        left = room
        for name in sorted(covering(self.names)):
            if len(name) > left:
                parts.append([])
                left = room
            parts[-1].append(name)
            left -= len(name)
        self.names.clear()
        return [tuple(part) for part in parts]


def covering(changed: Set[bytes]) -> set[bytes]:
    """Return the names that do not lie below another one: with a name goes all below it."""
    return {
        name
        for name in changed
        if not any(above in changed for _, above in names.suffixes(names.parent(name)))
    }
