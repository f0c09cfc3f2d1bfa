"""
Who reads a socket of clients: its own thread, or the reactor's.

Hits are for the thread: it waits in the kernel, and nothing that the reactor does keeps them
waiting. But of a miss the reactor's thread has the most to do, and two threads that both have
something to do pass the interpreter to and fro with every system call, which takes longer than the
miss itself. So while misses come thick the reactor's thread reads the socket, between the replies
of upstream servers, and the receiver's thread is parked.

It gets the socket back when of what came lately most were hits, or when the reactor does not keep
up with what comes: then hits must not wait behind misses. After that it keeps it for a while.
"""

from math import inf

_THICK = 8  # misses in a row, each within
_THICK_S = 0.01  # of the one before
_LOOKED_AT = 128  # queries, or those of
_LOOK_S = 1.0
_LONG_S = 0.02  # for a hit to be in the socket,
_PATIENCE = 10  # so often in a row
_PAUSE_S = 1.0


class Shift:
    """
    See the head of this module. Times are monotonic seconds.

    The receiver's thread calls `is_thick`, the reactor's thread the rest, never both at once.
    """

    def __init__(self) -> None:
        self._in_a_row = 0
        self._missed_at = -inf
        self._not_before = -inf
        self._began = 0.0
        self._read = 0
        self._missed = 0
        self._behind = 0

    def is_thick(self, misses: int, now: float) -> bool:
        """Take in misses of the thread's; tell whether the reactor's thread should read."""
        if now - self._missed_at > _THICK_S:
            self._in_a_row = 0
        self._missed_at = now
        self._in_a_row += misses
        return self._in_a_row >= _THICK and now >= self._not_before

    def begin(self, now: float) -> None:
        """Take in that the reactor's thread reads from now on."""
        self._began = now
        self._read = self._missed = self._behind = self._in_a_row = 0

    def is_over(self, read: int, missed: int, waited: float, now: float) -> bool:
        """
        Take in what the reactor's thread read at once; tell whether the other one should read.

        waited: for how many seconds that was in the socket, at least.
        """
        self._behind = self._behind + 1 if waited > _LONG_S else 0
        self._read += read
        self._missed += missed
        is_hits = False
        if self._read >= _LOOKED_AT or now - self._began >= _LOOK_S:
            is_hits = 2 * self._missed < self._read
            self._read = self._missed = 0
            self._began = now
        if is_hits or self._behind >= _PATIENCE:
            self._not_before = now + _PAUSE_S
            return True
        return False
