"""
A load as a process: open loop, so a server that stalls gets no fewer questions for it.

``python -m tests.soak.asking`` reads lines of JSON: first a plan, then where to ask, or how
much, from then on.  It ends with its input.  It writes batches of records, pickled, each after its
length, see asker.py.  As a stub resolver does, it asks a second time when nothing came for 2 s, and
gives up 2 s later; SERVFAIL and REFUSED are final.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import select
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from tests.soak.model import GIVE_UP_S, RETRY_S, How
from tests.soak.overtcp import OverTcp
from tests.soak.questions import OUTSIDE, SILENT, Answer, Key, query, read

_SOCKETS = 24
_MAX_BEHIND_S = 0.5  # what a starved generator makes up for; the rest is not asked
_ROOM = 1 << 20
_FLUSH_S = 0.25
_OLD_S = GIVE_UP_S + 1.0

_FRESH, _ONE_SOCKET, _NO_RECURSION, _EDNS, _DO = 0.05, 0.05, 0.02, 0.3, 0.2
"""Shares: of names never asked before; of sockets, without RD, with EDNS; of those with DO."""

_DO_KEYS = 40  # with DO an answer has a place of its own in the cache: only of these


@dataclass(slots=True)
class _Open:
    key: Key
    fresh: bool
    how: How
    sent: float
    query: bytes
    own: socket.socket | None
    done: bool = False

    @property
    def question(self) -> bytes:
        return self.query[10 : len(self.key.name) + 16]


class Asking:
    """The generator; `run` returns when the standard input has ended."""

    def __init__(self, keys: list[Key], rate: float, seed: int, ports: list[int]) -> None:
        self._keys, self._rate = keys, rate
        self._rng = random.Random(seed)
        self._order: list[Key] = []
        self._count = 0
        self._out: list[tuple[Any, ...]] = []
        self._skipped = 0
        self._waiting: dict[tuple[int, int], _Open] = {}
        self._retries: deque[_Open] = deque()
        self._ends: deque[_Open] = deque()
        self._read: dict[bytes, tuple[Answer, int]] = {}
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._kept: dict[int, list[int]] = {}
        self._old: list[tuple[float, list[int]]] = []
        self.ports: list[int] = []
        self._tcp = OverTcp(keys, seed, ports)
        self._serve(ports)

    def run(self) -> None:
        self._tcp.start()
        stdin = sys.stdin.fileno()
        os.set_blocking(stdin, False)
        self._epoll.register(stdin, select.EPOLLIN | select.EPOLLHUP)
        due = flushed = time.monotonic()
        interval, asking, orders = 1 / self._rate, True, b""
        while asking or self._ends:
            now = time.monotonic()
            if asking and now - due > _MAX_BEHIND_S:
                self._skipped += int((now - due) / interval)
                due = now
            while asking and due <= now:
                self._ask(now)
                due += interval
            self._give_up(now)
            if now - flushed > _FLUSH_S:
                self._flush()
                flushed = now
            pause = max(due - time.monotonic(), 0.0) if asking else 0.05
            for fd, _ in self._epoll.poll(min(pause, 0.05)):
                if fd != stdin:
                    self._receive(fd)
                    continue
                told = os.read(stdin, 65536)
                *lines, orders = (orders + told).split(b"\n")
                for line in lines:
                    order = json.loads(line)
                    self._serve(order.get("ports", self.ports))
                    interval = 1 / order.get("rate", 1 / interval)
                if not told:
                    asking = False
                    self._epoll.unregister(stdin)
        self._flush()

    def _serve(self, ports: list[int]) -> None:
        """Ask at these ports from now on."""
        now = time.monotonic()
        for port in set(ports) - set(self._kept):
            self._kept[port] = [self._socket(port).fileno() for _ in range(_SOCKETS)]
        for port in set(self._kept) - set(ports):
            self._old.append((now + _OLD_S, self._kept.pop(port)))
        self.ports = self._tcp.ports = ports

    def _socket(self, port: int) -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        udp.connect(("127.0.0.1", port))
        self._sockets[udp.fileno()] = udp
        self._epoll.register(udp.fileno(), select.EPOLLIN)
        return udp

    def _close(self, fd: int) -> None:
        self._epoll.unregister(fd)
        self._sockets.pop(fd).close()

    def _next_key(self) -> tuple[Key, bool]:
        self._count += 1
        if self._rng.random() < _FRESH:
            return Key(f"q{self._count}.fresh.{OUTSIDE}"), True
        if not self._order:
            self._order = self._rng.sample(self._keys, len(self._keys))
        return self._order.pop(), False

    def _ask(self, now: float) -> None:
        key, fresh = self._next_key()
        rng = self._rng
        recurse = rng.random() >= _NO_RECURSION
        size = rng.choice((512, 1232, 4096)) if rng.random() < _EDNS else 0
        do = bool(size) and rng.random() < _DO and key in self._keys[:_DO_KEYS]
        own = None
        if rng.random() < _ONE_SOCKET:
            own = self._socket(rng.choice(self.ports))
        octets = query(key, recurse=recurse, size=size, do=do)
        asked = _Open(key, fresh, How(False, recurse, do), now, octets, own)
        self._send(asked)
        self._retries.append(asked)
        self._ends.append(asked)

    def _send(self, asked: _Open) -> None:
        udp = asked.own
        if udp is None or asked.how.tries > 1:
            udp = self._sockets[self._rng.choice(self._kept[self._rng.choice(self.ports)])]
        ident = self._rng.getrandbits(16)
        while (udp.fileno(), ident) in self._waiting:
            ident = (ident + 1) & 0xFFFF
        self._waiting[udp.fileno(), ident] = asked
        try:
            udp.send(struct.pack("!H", ident) + asked.query)
        except OSError:  # nobody is there; the client hears of it as little as through a service
            return

    def _receive(self, fd: int) -> None:
        for _ in range(64):
            try:
                message = self._sockets[fd].recv(65535)
            except (BlockingIOError, KeyError):
                return
            except OSError:
                continue
            now = time.monotonic()
            if len(message) < 12 or not message[2] & 0x80:
                continue
            asked = self._waiting.get((fd, int.from_bytes(message[:2])))
            # A late reply may have the ID of another question by now.
            if asked is None or not message.startswith(asked.question, 12):
                continue
            del self._waiting[fd, int.from_bytes(message[:2])]
            if not asked.done:
                self._note(asked, now, *self._reading(message))

    def _reading(self, message: bytes) -> tuple[Answer, int]:
        found = self._read.get(message[2:])
        if found is None:
            if len(self._read) > 20_000:
                self._read.clear()
            found = self._read[message[2:]] = read(message)
        return found

    def _note(self, asked: _Open, now: float, answer: Answer, ttl: int) -> None:
        asked.done = True
        if asked.own is not None:
            self._close(asked.own.fileno())
        self._out.append((*asked.key, asked.fresh, asked.sent, now, answer, ttl, tuple(asked.how)))

    def _give_up(self, now: float) -> None:
        while self._retries and (self._retries[0].done or self._retries[0].sent + RETRY_S <= now):
            asked = self._retries.popleft()
            if not asked.done:
                asked.how = asked.how._replace(tries=2)
                self._send(asked)
        while self._ends and (self._ends[0].done or self._ends[0].sent + GIVE_UP_S <= now):
            asked = self._ends.popleft()
            if not asked.done:
                self._note(asked, now, (SILENT, frozenset()), -1)
        if len(self._waiting) > 50_000:
            self._waiting = {key: each for key, each in self._waiting.items() if not each.done}
        while self._old and self._old[0][0] <= now:
            for fd in self._old.pop(0)[1]:
                self._close(fd)

    def _flush(self) -> None:
        self._out += self._tcp.taken()
        batch = pickle.dumps((self._skipped, self._out))
        self._out = []
        sys.stdout.buffer.write(struct.pack("!I", len(batch)) + batch)
        sys.stdout.buffer.flush()


def _first_line(fd: int) -> bytes:
    """Read a line and not an octet more: what follows is read by another way."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(fd, 1)
    return line


if __name__ == "__main__":
    first = json.loads(_first_line(sys.stdin.fileno()))
    names = [Key(*each) for each in first["keys"]]
    Asking(names, first["rate"], first["seed"], first["ports"]).run()
