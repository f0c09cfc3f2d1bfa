"""Memory of the forwarders: started, and for each answer in the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import dnsperf, upstream
from tests.bench.bench import say
from tests.bench.compare import WrongError, check
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure, Series
from tests.bench.forwarder_systems import Address, Forwarder
from tests.bench.open_loop import DOMAIN
from tests.bench.systems import FORWARDER, Running

_SIZES = (10_000, 100_000)
_NO_ROOM = 100
_WARM_UP = 2_000
_SAMPLE = 1_000
_SETTLE_S = 2.0
_IDLE_GOAL_MB = 50.0
_GOAL_BYTES = 400.0
_NAME = f"m{{:06}}.{DOMAIN}"
_WIRE_SIZE = 12 + len(_NAME.format(0)) + 2 + 4 + 16
"""Octets of one answer without OPT: header, question, one A record with a compressed name."""


def measure(found: Sequence[Forwarder], scratch: Path, *, quick: bool) -> Iterator[Figure]:
    """Measure one forwarder after the other, started anew for each number of answers."""
    sizes = _SIZES[:1] if quick else _SIZES
    idle: dict[str, float] = {}
    above: dict[int, dict[str, float]] = {size: {} for size in sizes}
    with upstream.fast(scratch) as address:
        for each in found:
            say(f"memory of {each.name}")
            idle[each.name], empty = _without_answers(each, address, scratch)
            for size in sizes:
                full = _with_answers(each, address, scratch, size)
                above[size][each.name] = (full - empty) / size - _WIRE_SIZE
    in_mb = {name: octets / 1e6 for name, octets in idle.items()}
    yield _figure("resident memory, idle", "MB", in_mb, _IDLE_GOAL_MB)
    for size, values in above.items():
        title = f"memory for a cached answer above its {_WIRE_SIZE} octets, {size:,} answers"
        note = "each has room for twice as many, which dnsmasq takes at its start"
        yield _figure(title, "bytes", values, _GOAL_BYTES, note)


def _without_answers(forwarder: Forwarder, address: Address, scratch: Path) -> tuple[float, float]:
    """
    Return the resident octets after the start, and after questions whose answers were not kept.

    Buffers and code that questions need for the first time are not the answers' fault.
    """
    with forwarder.running([address], _NO_ROOM) as one:
        time.sleep(_SETTLE_S)
        idle = _octets(one)
        _ask(one, _written(scratch, [f"w{each}.{DOMAIN}" for each in range(_WARM_UP)]))
        time.sleep(_SETTLE_S)
        return idle, _octets(one)


def _with_answers(forwarder: Forwarder, address: Address, scratch: Path, size: int) -> float:
    with forwarder.running([address], 2 * size) as one:
        _ask(one, _written(scratch, [_NAME.format(each) for each in range(size)]))
        time.sleep(_SETTLE_S)
        octets = _octets(one)
        _holds(one, address, size, scratch)
        return octets


def _octets(one: Running) -> float:
    return one.process.rss_mib() * (1 << 20)


def _holds(one: Running, address: Address, size: int, scratch: Path) -> None:
    """
    Ask for some of all the names again.

    Raises:
        WrongError: many of them went upstream, so the cache did not hold what it was given.
    """
    before = upstream.questions(address)
    _ask(one, _written(scratch, [_NAME.format(n) for n in range(0, size, size // _SAMPLE)]))
    forwarded = upstream.questions(address) - before
    if forwarded > _SAMPLE / 50:
        raise WrongError(f"{one.name} holds few of {size:,} answers: {forwarded} in {_SAMPLE} lost")


def _ask(one: Running, questions: Path) -> None:
    check(one, dnsperf.run_once(Load(questions, in_flight=100), one.dns_port))


def _written(scratch: Path, names: Sequence[str]) -> Path:
    path = scratch / "names"
    path.write_text("".join(f"{name}. A\n" for name in names))
    return path


def _figure(title: str, unit: str, values: dict[str, float], goal: float, note: str = "") -> Figure:
    series = [
        Series(name, [value], goal if name == FORWARDER else None) for name, value in values.items()
    ]
    return Figure(title, unit, series, note)
