"""
An open-loop load: a question every so often, whether or not the last ones are answered.

A server that stalls gets no fewer questions for it.  Each question has a socket and a name of its
own, is asked once, and waits for its answer for a limited time.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bench.question_files import DOMAIN

PATIENCE_S = 5.0

_REPLY = 0x80
_A_IN = struct.pack("!HH", 1, 1)


@dataclass(slots=True)
class Answers:
    """What became of the questions to one server; ``good_ms`` has the latency of each answer."""

    good_ms: list[float] = field(default_factory=list)
    errors: int = 0
    silent: int = 0

    @property
    def asked(self) -> int:
        return len(self.good_ms) + self.errors + self.silent

    @property
    def unanswered_percent(self) -> float:
        """Return how many questions, of a hundred, got no good answer."""
        return 100 * (self.errors + self.silent) / self.asked

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of all questions kept to; failures count 5 s."""
        failed = [PATIENCE_S * 1000] * (self.errors + self.silent)
        ranked = [*sorted(self.good_ms), *failed]
        return ranked[max(math.ceil(share * len(ranked)), 1) - 1]


@dataclass(slots=True)
class _Asked:
    socket: socket.socket
    of: Answers
    ident: bytes
    sent_at: float
    waiting: bool = True


class OpenLoop:
    """The load on servers on 127.0.0.1, by name and port, at the same rate at the same time."""

    def __init__(self, ports: Mapping[str, int], *, rate: float, seconds: float) -> None:
        self.answers = {name: Answers() for name in ports}
        self._ports = list(ports.items())
        self._interval_s = 1 / rate / len(ports)  # they take turns, so that none asks in bursts
        self._left = int(rate * seconds) * len(ports)
        self._number = 0
        self._epoll = select.epoll()
        self._waiting: dict[int, _Asked] = {}
        self._in_order: deque[_Asked] = deque()

    def run(self) -> dict[str, Answers]:
        """Ask all questions, wait for the last answers, and return what became of them."""
        begun = time.monotonic()
        with self._epoll:
            while self._left or self._in_order:
                now = time.monotonic()
                while self._left and begun + self._number * self._interval_s <= now:
                    self._ask()
                self._give_up(now)
                for fd, _ in self._epoll.poll(self._pause_s(begun, now)):
                    self._receive(self._waiting[fd])
        return self.answers

    def _pause_s(self, begun: float, now: float) -> float:
        due = begun + self._number * self._interval_s if self._left else math.inf
        if self._in_order:
            due = min(due, self._in_order[0].sent_at + PATIENCE_S)
        return 0.0 if due == math.inf else max(due - now, 0.0)

    def _ask(self) -> None:
        name, port = self._ports[self._number % len(self._ports)]
        question = f"q{self._number // len(self._ports)}.{DOMAIN}"
        self._number += 1
        self._left -= 1
        ident = struct.pack("!H", self._number * 40503 & 0xFFFF)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        udp.connect(("127.0.0.1", port))
        asked = _Asked(udp, self.answers[name], ident, time.monotonic())
        self._waiting[udp.fileno()] = asked
        self._in_order.append(asked)
        self._epoll.register(udp.fileno(), select.EPOLLIN)
        udp.send(ident + b"\x01\0\0\x01\0\0\0\0\0\0" + _spelled(question) + _A_IN)

    def _receive(self, asked: _Asked) -> None:
        try:
            message = asked.socket.recv(65535)
        except OSError:  # the server is not there
            asked.of.silent += 1
            self._done(asked)
            return
        if len(message) < 12 or message[:2] != asked.ident or not message[2] & _REPLY:
            return
        if message[3] & 0x0F or message[6:8] == b"\0\0":
            asked.of.errors += 1
        else:
            asked.of.good_ms.append((time.monotonic() - asked.sent_at) * 1000)
        self._done(asked)

    def _give_up(self, now: float) -> None:
        while self._in_order and (
            not self._in_order[0].waiting or self._in_order[0].sent_at + PATIENCE_S <= now
        ):
            asked = self._in_order.popleft()
            if asked.waiting:
                asked.of.silent += 1
                self._done(asked)

    def _done(self, asked: _Asked) -> None:
        asked.waiting = False
        del self._waiting[asked.socket.fileno()]
        asked.socket.close()  # which takes it out of the epoll set


def _spelled(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
