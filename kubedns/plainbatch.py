"""
What the native piece does (_batch.c), in Python: the same two classes, held to the same tests.

One datagram costs a `recvfrom` and a `sendto`, with a tuple and a text made for each address. When
datagrams come thick, plain sockets are read by `recvmmsg` and answered by `sendmmsg`, called
through ctypes, until nothing is left: dearer for one datagram, cheaper from three on.
"""

import ctypes
import errno
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from kubedns.plainring import Ring

ROOM = 4096  # octets of a query; the kernel cuts the rest off
AT_ONCE = 64  # datagrams that `take` answers at most
MOST = 32  # datagrams in a batch
_ANCILLARY = 128
_NAME = 28  # octets of a socket address, of either family
_THICK_S = 30e-6  # datagrams that come within so long of each other come thick
_HEADER = struct.Struct("@PIxxxxPNPNixxxxIxxxx")  # struct mmsghdr: name, parts, ancillary, flags
_PART = struct.Struct("@PN")  # struct iovec

Source = list[tuple[int, int, bytes]]  # ancillary data: where a reply leaves from
Missed = tuple[bytes, Any, Source]  # the message, its client's socket address


def send_each(parcels: list[Any]) -> list[tuple[int, int]]:
    """
    Send datagrams; return which could not be sent (offset in the list, errno).

    Of each: descriptor, octets, address (None: the socket is connected), who has it as `socket`.
    """
    failures = []
    for at, (_, octets, address, owner) in enumerate(parcels):
        try:
            if address is None:
                owner.socket.send(octets)
            else:
                owner.socket.sendto(octets, address)
        except OSError as error:
            failures.append((at, error.errno or errno.EIO))
    return failures


class Turning:
    """
    An answer in turns, of which each use takes the next.

    until: from then on (monotonic seconds) its method `age(now)` says whether it may still be
    given, and changes turns and until if so.
    """

    __slots__ = ("turns", "until", "uses")

    turns: Any
    until: float
    uses: int

    def age(self, now: float) -> bool:
        """Return whether it may still be given."""
        raise NotImplementedError


class Batch:
    """What reads one blocking UDP socket; see batch.py."""

    def __init__(
        self, bound: socket.socket, *, any_address: bool, ring: Ring | None = None
    ) -> None:
        self._ring = ring
        self._passed = 0  # replies of `take` since one was noted
        self.send_s = 0.0  # what sending one reply took, when it was measured last
        self._socket = bound
        self._stopped = False
        self._serve = self._serve_any if any_address else self._serve_one
        self._many: _Many | None = None

    def stop(self) -> None:
        """Let `answer` return after what it has in hand."""
        self._stopped = True

    def answer(self, table: dict[Any, Any], misses: list[Missed], failures: list[int]) -> None:
        """Answer what is in the table, until there is something else to do."""
        while not (self._stopped or misses or failures):
            self._serve(table, misses, failures)

    def take(self, table: dict[Any, Any], misses: list[Missed], failures: list[int]) -> int:
        """Answer what is there, without waiting; return how many datagrams that were."""
        receive = self._socket.recvfrom
        send = self._socket.sendto
        ready = table.get
        on_shelf = _shelf_of(table)
        ring = self._ring
        now = time.monotonic()
        faults: list[Exception] = []
        for read in range(AT_ONCE):
            try:
                query, client = receive(ROOM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                _raise(faults)
                return read
            try:
                found = ready(query[2:])
                if found is not None and (now < found.until or found.age(now)):
                    uses = found.uses
                    found.uses = uses + 1
                    turns = found.turns
                    octets = query[:2] + turns[uses % len(turns)]
                elif (octets := on_shelf(query, now)) is None:
                    misses.append((query, client, []))
                    continue
                send(octets, client)
                if ring is not None:
                    self._passed += 1
                    if self._passed >= ring.every:
                        ring.hit(query, octets[2:], client, now, self._passed)
                        self._passed = 0
            except OSError as error:  # the client's address, or its network
                failures.append(error.errno or errno.EIO)
            except Exception as error:  # one query must not cost another one its answer
                faults.append(error)
        _raise(faults)
        return AT_ONCE

    def _serve_one(self, table: dict[Any, Any], misses: list[Missed], failures: list[int]) -> None:
        receive = self._socket.recvfrom
        send = self._socket.sendto
        ready = table.get
        on_shelf = _shelf_of(table)
        now = time.monotonic
        ring = self._ring
        left = 0 if ring is None else random.randint(1, ring.every)
        thick = 0.0
        while not self._stopped:
            query, client = receive(ROOM)
            found = ready(query[2:])
            t = now()
            if found is not None and (t < found.until or found.age(t)):
                uses = found.uses
                found.uses = uses + 1
                turns = found.turns
                octets = query[:2] + turns[uses % len(turns)]
            elif (octets := on_shelf(query, t)) is None:
                misses.append((query, client, []))
                return
            try:
                send(octets, client)
            except OSError as error:  # the client's address, or its network
                failures.append(error.errno or errno.EIO)
                return
            if ring is not None:
                left -= 1
                if not left:
                    left = ring.every
                    ring.hit(query, octets[2:], client, t, left)
            if t < thick:
                if self._many is None:
                    self._many = _Many(self._socket, ring)
                while not self._stopped and self._many.answer(table, misses, failures):
                    self.send_s = self._many.send_s
                    if misses or failures:
                        return
            thick = t + _THICK_S

    def _serve_any(self, table: dict[Any, Any], misses: list[Missed], failures: list[int]) -> None:
        """The same on a wildcard socket: the reply leaves from the address that was asked."""
        receive = self._socket.recvmsg
        send = self._socket.sendmsg
        ready = table.get
        on_shelf = _shelf_of(table)
        now = time.monotonic
        ring = self._ring
        left = 0 if ring is None else random.randint(1, ring.every)
        while not self._stopped:
            query, ancillary, _, client = receive(ROOM, _ANCILLARY)
            source = [as_source(item) for item in ancillary]
            found = ready(query[2:])
            t = now()
            if found is not None and (t < found.until or found.age(t)):
                uses = found.uses
                found.uses = uses + 1
                turns = found.turns
                parts: tuple[bytes, ...] = query[:2], turns[uses % len(turns)]
            elif (octets := on_shelf(query, t)) is not None:
                parts = (octets,)
            else:
                misses.append((query, client, source))
                return
            try:
                send(parts, source, 0, client)
            except OSError as error:
                failures.append(error.errno or errno.EIO)
                return
            if ring is not None:
                left -= 1
                if not left:
                    left = ring.every
                    ring.hit(query, b"".join(parts)[2:], client, t, left)


class _Many:
    """Buffers for a batch on a plain socket, as the system calls want them, and these calls."""

    def __init__(self, bound: socket.socket, ring: Ring | None) -> None:
        self.send_s = 0.0
        self._socket = bound
        self._ring = ring
        self._passed = 0
        self._queries = memoryview(bytearray(MOST * ROOM))
        self._replies = memoryview(bytearray(MOST * ROOM))
        self._names = memoryview(bytearray(MOST * _NAME))
        self._name_at = [_address(self._names) + i * _NAME for i in range(MOST)]
        self._in, self._in_parts = self._made(self._queries)
        self._out, self._out_parts = self._made(self._replies)
        self._sizes = self._in.cast("I")[14 :: _HEADER.size // 4]  # msg_len of each
        self._targets = self._out.cast("Q")[:: _HEADER.size // 8]  # msg_name
        self._lengths = self._out_parts.cast("Q")[1::2]  # iov_len
        library = ctypes.CDLL(None, use_errno=True)
        self._receive, self._send = library.recvmmsg, library.sendmmsg
        self._fd = ctypes.c_int(bound.fileno())
        self._in_at = ctypes.c_void_p(_address(self._in))
        self._out_at = [ctypes.c_void_p(at) for at in _every(_address(self._out), _HEADER.size)]
        self._numbers = [ctypes.c_int(number) for number in range(MOST + 1)]
        self._without_waiting = ctypes.c_int(socket.MSG_DONTWAIT)

    def _made(self, octets: memoryview) -> tuple[memoryview, memoryview]:
        """Return message headers and parts that point to pieces of these octets."""
        names = _NAME if self._socket.family == socket.AF_INET6 else 16
        parts = memoryview(bytearray(MOST * _PART.size))
        heads = memoryview(bytearray(MOST * _HEADER.size))
        begin, at = _address(octets), _address(parts)
        for i, name_at in enumerate(self._name_at):
            _PART.pack_into(parts, i * _PART.size, begin + i * ROOM, ROOM)
            part_at = at + i * _PART.size
            _HEADER.pack_into(heads, i * _HEADER.size, name_at, names, part_at, 1, 0, 0, 0, 0)
        return heads, parts

    def answer(self, table: dict[Any, Any], misses: list[Missed], failures: list[int]) -> bool:
        """Answer what is there now; False: nothing, or it cannot be read."""
        got = self._receive(self._fd, self._in_at, self._numbers[MOST], self._without_waiting, None)
        if got <= 0:
            return False
        queries, replies, ready = self._queries, self._replies, table.get
        on_shelf = _shelf_of(table)
        faults: list[Exception] = []
        t = time.monotonic()
        at = end = replied = last = 0
        for i, size in enumerate(self._sizes[:got].tolist()):
            at = i * ROOM
            try:
                query = bytes(queries[at : at + size])
                found = ready(query[2:])
                if found is not None and (t < found.until or found.age(t)):
                    uses = found.uses
                    found.uses = uses + 1
                    turns = found.turns
                    turn = turns[uses % len(turns)]
                elif (octets := on_shelf(query, t)) is not None:
                    turn = octets[2:]
                else:
                    misses.append((query, self._client(i), []))
                    continue
                length = len(turn) + 2
                if length > ROOM:
                    self._send_alone(i, turn, failures)
                    continue
                end = replied * ROOM
                replies[end : end + 2] = queries[at : at + 2]
                replies[end + 2 : end + length] = turn
            except Exception as error:  # one query must not cost another one its answer
                faults.append(error)
                continue
            self._lengths[replied] = length
            self._targets[replied] = self._name_at[i]
            last = i
            replied += 1
        self._send_all(replied, failures)
        if replied:
            if self._ring is not None:
                self._passed += replied
                if self._passed >= self._ring.every:
                    self._note(self._ring, last, replied - 1, t)
                    self._passed = 0
            self.send_s = (time.monotonic() - t) / replied
        _raise(faults)
        return True

    def _note(self, ring: Ring, i: int, replied: int, now: float) -> None:
        """Note one query and its reply, by their places, for all since the last one."""
        asked, told = i * ROOM, replied * ROOM
        query = bytes(self._queries[asked : asked + self._sizes[i]])
        turn = bytes(self._replies[told + 2 : told + self._lengths[replied]])
        ring.hit(query, turn, self._client(i), now, self._passed)

    def _send_all(self, replied: int, failures: list[int]) -> None:
        sent = 0
        none = self._numbers[0]
        while sent < replied:
            now = self._send(self._fd, self._out_at[sent], self._numbers[replied - sent], none)
            if now > 0:
                sent += now
            elif now == 0 or ctypes.get_errno() != errno.EINTR:
                failures.append(ctypes.get_errno())
                sent += 1

    def _send_alone(self, i: int, turn: bytes, failures: list[int]) -> None:
        """Send a reply that is too large for its place."""
        begin = i * ROOM
        try:
            self._socket.sendto(bytes(self._queries[begin : begin + 2]) + turn, self._client(i))
        except OSError as error:
            failures.append(error.errno or errno.EIO)

    def _client(self, i: int) -> Any:
        """Return a client's address as the socket module writes it."""
        name = bytes(self._names[i * _NAME : (i + 1) * _NAME])
        port = int.from_bytes(name[2:4])
        if self._socket.family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, name[4:8]), port
        flow, scope = int.from_bytes(name[4:8]), struct.unpack_from("=I", name, 24)[0]
        return socket.inet_ntop(socket.AF_INET6, name[8:24]), port, flow, scope


def _raise(faults: list[Exception]) -> None:
    if faults:
        raise faults[0] if len(faults) == 1 else ExceptionGroup("in a batch", faults)


def as_source(item: tuple[int, int, bytes]) -> tuple[int, int, bytes]:
    """
    Turn the note where a datagram went into the wish where its reply comes from.

    Without the interface, so that routing may choose another one; link-local addresses need it.
    """
    level, kind, octets = item
    if level == socket.IPPROTO_IP:
        _, local, _ = struct.unpack("=I4s4s", octets[:12])
        return level, kind, struct.pack("=I4s4s", 0, local, b"\0" * 4)
    return level, kind, octets if octets[:2] == b"\xfe\x80" else octets[:16] + b"\0" * 4


def _shelf_of(table: dict[Any, Any]) -> Callable[[bytes, float], bytes | None]:
    """Return what makes the reply to a query that is not in a table, None if it cannot."""
    shelf = getattr(table, "shelf", None)
    return _nothing if shelf is None else shelf.reply


def _nothing(query: bytes, now: float) -> None:
    return None


def _address(octets: memoryview) -> int:
    """Return where they are, as long as somebody holds them."""
    return ctypes.addressof(ctypes.c_char.from_buffer(octets))


def _every(begin: int, size: int) -> Iterator[int]:
    return (at for at, _ in zip(count(begin, size), range(MOST)))
