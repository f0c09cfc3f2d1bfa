"""CPU per query of the forwarders: answers from the cache, over UDP and TCP, and misses."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import dnsperf, upstream
from tests.bench.bench import say
from tests.bench.compare import WrongError, compare
from tests.bench.dnsperf import Load, Outcome
from tests.bench.figures import Figure
from tests.bench.forwarder_systems import CACHE_SIZE, DNSMASQ, UNBOUND, Address, Forwarder
from tests.bench.open_loop import DOMAIN
from tests.bench.question import Question
from tests.bench.systems import COREDNS, Running, System

_NAMES = 300
_QUESTIONS = 2_000
_ANSWER = bytes([192, 0, 2, 1])
_START_S = 30.0

_HIT_GOALS = {DNSMASQ: 0.65, COREDNS: 0.4, UNBOUND: 1.25}
_PACED_GOALS = {DNSMASQ: 1.2, COREDNS: 0.5}
_TCP_GOALS = {DNSMASQ: 1.0}
_MISS_GOALS = {DNSMASQ: 0.9, COREDNS: 0.8}

_FRESH_NAMES = 100_000
_AT_A_TIME = 100  # of the fresh ones; dnsmasq refuses what is more than 150
_MISS_S = 1.0
_ROOM = 6 * _FRESH_NAMES
_FORWARDED = 0.98


@dataclass(frozen=True, slots=True)
class ForwarderCost:
    """The measurements; ``echo``: put beside the forwarders where datagrams come and go alike."""

    found: Sequence[Forwarder]
    echo: System | None
    scratch: Path
    quick: bool = False

    def hits(self) -> Iterator[Figure]:
        """Ask for a few names over and over."""
        names = _written(self.scratch / "repeated", _repeated())
        tcp = "cache hit over TCP"
        kinds = {
            "cache hit: CPU per query, saturated": (Load(names), _HIT_GOALS),
            "cache hit: CPU per query at 1,000 queries a second": (
                Load(names, rate=1_000),
                _PACED_GOALS,
            ),
            f"{tcp}, 50 in flight a connection: CPU per query": (Load(names, tcp=True), _TCP_GOALS),
            f"{tcp}, one in flight a connection: CPU per query": (
                Load(names, tcp=True, in_flight=4),
                _TCP_GOALS,
            ),
        }
        hit_s = 1.0 if self.quick else 2.0
        with ExitStack() as stack:
            running, _ = self._running(stack, CACHE_SIZE)
            for one in running:
                _answers(one)
                dnsperf.run(Load(names), one.dns_port, seconds=1)  # warm-up, discarded
            floor = [self.echo.start(self.scratch)] if self.echo else []
            for one in floor:
                stack.callback(one.stop)
            for title, (load, goals) in kinds.items():
                say(f"forwarders, {title}")
                systems = running if load.tcp else [*running, *floor]
                loads = [load] * self._rounds
                yield from compare(title, systems, loads, seconds=hit_s, goals=goals)

    def misses_with_room(self) -> Iterator[Figure]:
        """Ask for names that nobody has asked for before, and for which there is room."""
        return self._misses("room in the cache", cache_size=_ROOM)

    def misses_without_room(self) -> Iterator[Figure]:
        """Do the same where an old answer has to go for every new one."""
        return self._misses("cache full", cache_size=CACHE_SIZE)

    def _misses(self, story: str, *, cache_size: int) -> Iterator[Figure]:
        title = f"miss, {story}: CPU per query, saturated"
        say(f"forwarders, {title}")
        with ExitStack() as stack:
            running, address = self._running(stack, cache_size)
            fill, *loads = [
                Load(
                    _written(self.scratch / f"fresh-{number}", _fresh(number)), in_flight=_AT_A_TIME
                )
                for number in range(self._rounds + 1)
            ]
            for one in running:
                _answers(one)
                dnsperf.run(fill, one.dns_port, seconds=_MISS_S)
            misses = _Misses(address)
            yield from compare(
                title, running, loads, seconds=_MISS_S, goals=_MISS_GOALS, also=misses
            )

    @property
    def _rounds(self) -> int:
        return 3 if self.quick else 5

    def _running(self, stack: ExitStack, cache_size: int) -> tuple[list[Running], Address]:
        address = stack.enter_context(upstream.fast(self.scratch))
        started = [each.running([address], cache_size) for each in self.found]
        return [stack.enter_context(one) for one in started], address


class _Misses:
    """The check that what was answered had been asked upstream, and not come from a cache."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._before = upstream.questions(address)

    def __call__(self, one: Running, outcome: Outcome) -> None:
        now = upstream.questions(self._address)
        sent, self._before = now - self._before, now
        if sent < _FORWARDED * outcome.answered:
            raise WrongError(f"{one.name} asked {sent} upstream for {outcome.answered} answers")


def _answers(one: Running) -> None:
    """
    Wait for the first answer.

    Raises:
        TimeoutError: there is none.
    """
    question = Question(f"first.{DOMAIN}", one.dns_port)
    question.wait_for([_ANSWER], deadline=time.monotonic() + _START_S, pause_s=0.01)
    question.close()


def _repeated() -> list[str]:
    """Return a mix of some names, in an order that is the same in every run."""
    names = [f"n{number}.{DOMAIN}" for number in range(_NAMES)]
    return random.Random(3).choices(names, k=_QUESTIONS)


def _fresh(round_number: int) -> Iterator[str]:
    """Return names that no other round has, more than any system here asks for in a second."""
    return (f"r{round_number}x{number:06}.{DOMAIN}" for number in range(_FRESH_NAMES))


def _written(path: Path, names: Iterator[str] | Sequence[str]) -> Path:
    with path.open("w") as file:
        file.writelines(f"{name}. A\n" for name in names)
    return path
