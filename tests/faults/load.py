"""
A load as a process: open loop, so a server that stalls gets no fewer questions for it.

``python -m tests.faults.load PLAN OUT`` reads a :class:`Plan` as JSON, asks until its standard
input ends, waits for the last answers, and pickles :class:`Asked` records.  Like a stub resolver
it asks a second time when nothing came for 2 s, and gives up 2 s later; SERVFAIL and REFUSED are
final.
"""

from __future__ import annotations

import json
import pickle
import random
import select
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RETRY_S = 2.0
GIVE_UP_S = 4.0
_SOCKETS = 32
_MAX_BEHIND_S = 0.5  # what a starved generator makes up for; the rest is not asked
_STALL_S = 0.25  # so late it asks only on a machine that gave it no time, and nobody else either
_ROOM = 1 << 20
_A, _CNAME = 1, 5
_RETRIED, _SILENT = 1, -1


@dataclass(frozen=True)
class Plan:
    """
    What to ask of 127.0.0.1: names (absolute, without the last dot), in an order drawn with a seed.

    rate: questions a second. fresh: a domain below which one question in so many (every) is for a
    name never asked before. source: the client's address.
    """

    port: int
    rate: float
    names: list[str]
    fresh: str = ""
    every: int = 10
    source: str = "127.0.0.1"
    seed: int = 1


class Asked(NamedTuple):
    """
    What became of a question. name: its index in the plan, -1 for a fresh one.

    sent, answered: monotonic seconds. rcode: -1 for no answer. tries: 1 or 2. ttl: of the first
    record, -1 for none.
    """

    name: int
    sent: float
    answered: float
    rcode: int
    addresses: frozenset[str]
    ttl: int
    tries: int


class Result(NamedTuple):
    """
    All records; skipped: questions that the generator was too late for.

    stalls: from when to when the machine gave it no time, monotonic seconds.
    """

    asked: list[Asked]
    skipped: int
    stalls: list[tuple[float, float]]


@dataclass(slots=True)
class _Open:
    name: int
    sent: float
    query: bytes
    by: int
    tries: int = 1
    done: bool = False


class Load:
    """The generator; `run` returns when the standard input has ended."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rng = random.Random(plan.seed)
        self._queries = [query(name) for name in plan.names]
        self._order: list[int] = []
        self._count = 0
        self._result: list[Asked] = []
        self._skipped = 0
        self._stalls: list[tuple[float, float]] = []
        self._waiting: dict[tuple[int, int], _Open] = {}
        self._retries: deque[_Open] = deque()
        self._ends: deque[_Open] = deque()
        self._read: dict[bytes, tuple[int, frozenset[str], int]] = {}
        self._epoll = select.epoll()
        self._sockets = {made.fileno(): made for made in (self._socket() for _ in range(_SOCKETS))}
        self._fds = list(self._sockets)

    def run(self) -> Result:
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        interval = 1 / self._plan.rate
        due = time.monotonic()
        asking = True
        while asking or self._ends:
            now = time.monotonic()
            if asking and now - due > _STALL_S:
                self._stalls.append((due, now))
            if asking and now - due > _MAX_BEHIND_S:
                missed = int((now - due) * self._plan.rate)
                self._skipped += missed
                due += missed * interval
            while asking and due <= now:
                self._ask(now)
                due += interval
            self._give_up(now)
            pause = max(due - time.monotonic(), 0.0) if asking else 0.05
            for fd, _ in self._epoll.poll(min(pause, 0.05)):
                if fd in self._sockets:
                    self._receive(fd)
                else:
                    asking = False
                    self._epoll.unregister(fd)
        return Result(self._result, self._skipped, self._stalls)

    def _socket(self) -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        udp.bind((self._plan.source, 0))
        udp.connect(("127.0.0.1", self._plan.port))
        self._epoll.register(udp.fileno(), select.EPOLLIN)
        return udp

    def _ask(self, now: float) -> None:
        self._count += 1
        name, octets = -1, b""
        if self._plan.fresh and self._count % self._plan.every == 0:
            label = f"q{self._count}-{self._plan.seed}"
            octets = query(f"{label}.{self._plan.fresh}")
        else:
            if not self._order:
                self._order = self._rng.sample(range(len(self._queries)), len(self._queries))
            name = self._order.pop()
            octets = self._queries[name]
        asked = _Open(name, now, octets, self._fds[self._count % _SOCKETS])
        self._send(asked)
        self._retries.append(asked)
        self._ends.append(asked)

    def _send(self, asked: _Open) -> None:
        ident = self._rng.getrandbits(16)
        while (asked.by, ident) in self._waiting:
            ident = (ident + 1) & 0xFFFF
        self._waiting[asked.by, ident] = asked
        try:
            self._sockets[asked.by].send(struct.pack("!H", ident) + asked.query)
        except OSError:  # nobody is there; the client hears of it as little as through a service
            return

    def _receive(self, fd: int) -> None:
        for _ in range(64):
            try:
                message = self._sockets[fd].recv(65535)
            except BlockingIOError:
                return
            except OSError:
                continue
            now = time.monotonic()
            key = (fd, int.from_bytes(message[:2]))
            asked = self._waiting.get(key)
            # A late reply may have the ID of another question by now.
            if asked is None or not is_reply(message, message[:2] + asked.query):
                continue
            del self._waiting[key]
            if asked.done:
                continue
            asked.done = True
            self._note(asked, now, *self._reading(message))

    def _reading(self, message: bytes) -> tuple[int, frozenset[str], int]:
        found = self._read.get(message[2:])
        if found is None:
            if len(self._read) > 50_000:
                self._read.clear()
            found = self._read[message[2:]] = read(message)
        return found

    def _note(
        self, asked: _Open, now: float, rcode: int, addresses: frozenset[str], ttl: int
    ) -> None:
        self._result.append(Asked(asked.name, asked.sent, now, rcode, addresses, ttl, asked.tries))

    def _give_up(self, now: float) -> None:
        while self._retries and (self._retries[0].done or self._retries[0].sent + RETRY_S <= now):
            asked = self._retries.popleft()
            if not asked.done:
                asked.tries = 2
                self._send(asked)
        while self._ends and (self._ends[0].done or self._ends[0].sent + GIVE_UP_S <= now):
            asked = self._ends.popleft()
            if not asked.done:
                asked.done = True
                self._note(asked, now, _SILENT, frozenset(), -1)
        if len(self._waiting) > 100_000:
            self._waiting = {key: each for key, each in self._waiting.items() if not each.done}


def is_reply(message: bytes, asked: bytes) -> bool:
    """Tell whether a message is a reply to this very question: ID, and name, type and class."""
    is_response = len(message) >= 12 and bool(message[2] & 0x80)
    return is_response and message[:2] == asked[:2] and message.startswith(asked[12:], 12)


def read(message: bytes) -> tuple[int, frozenset[str], int]:
    """Return rcode, IPv4 addresses and first TTL (or -1) of a reply; rcode 15 if it is broken."""
    try:
        (answers,) = struct.unpack_from("!H", message, 6)
        at, found, ttl = _past_name(message, 12) + 4, [], -1
        for _ in range(answers):
            at = _past_name(message, at)
            kind, _, seconds, size = struct.unpack_from("!HHIH", message, at)
            at += 10
            if ttl < 0:
                ttl = seconds
            if kind == _A:
                found.append(socket.inet_ntoa(message[at : at + size]))
            at += size
    except (struct.error, IndexError, OSError):
        return 15, frozenset(), -1
    return message[3] & 0x0F, frozenset(found), ttl


def _past_name(message: bytes, at: int) -> int:
    while length := message[at]:
        if length >= 0xC0:
            return at + 2
        at += 1 + length
    return at + 1


def query(name: str) -> bytes:
    """Return a query for an A record but for its ID."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"\x01\0\0\x01\0\0\0\0\0\0" + labels + b"\0" + struct.pack("!HH", _A, 1)


if __name__ == "__main__":
    plan, out = sys.argv[1:]
    result = Load(Plan(**json.loads(plan))).run()
    with Path(out).open("wb") as file:
        pickle.dump((list(map(tuple, result.asked)), result.skipped, result.stalls), file)
