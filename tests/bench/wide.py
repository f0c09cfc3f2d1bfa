"""One headless service of 5,000 endpoints: answers that no message holds, and their changes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address

from tests.bench import updates
from tests.bench.authorities import AUTHORITIES
from tests.bench.bench import Bench, say
from tests.bench.compare import costs, rounds
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure, figure
from tests.bench.objects import NAMESPACES, BenchService
from tests.bench.systems import Running
from tests.realapi.api import Api, Object, path_of

_ENDPOINTS = 5_000
_IN_A_SLICE = 100
_FIRST = int(IPv4Address("10.14.0.1"))
_SETTLE_S = 1.0
_CHANGES = 20
_WIDE = BenchService(
    "wide", NAMESPACES[3], None, tuple(str(IPv4Address(_FIRST + n)) for n in range(_ENDPOINTS))
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Make the service, measure both authorities with it, and remove it."""
    bench.release()
    title = f"(j) headless service of {_ENDPOINTS:,} endpoints"
    say(title)
    objects = [_WIDE.service(), *(_slice(number) for number in range(_ENDPOINTS // _IN_A_SLICE))]
    with bench.cluster.connect() as api:
        api.create(*objects)
        try:
            running = bench.running(AUTHORITIES)
            time.sleep(_SETTLE_S)
            yield from _answers(bench, running, title)
            yield from _changes(running, api, title)
            taken = {one.name: [one.memory_mb()] for one in running}
            yield figure("j.memory", f"{title}: memory (PSS)", "MB", taken)
        finally:
            api.delete(*objects)
            bench.release()


def _answers(bench: Bench, running: list[Running], title: str) -> Iterator[Figure]:
    udp = Load(bench.files.of("wide", [_WIDE.dns_name]), edns=True, in_flight=20)
    for key, how, load in (
        ("j-udp", "what fits into a datagram", udp),
        ("j-tcp", "what fits into a message over TCP", replace(udp, tcp=True, in_flight=4)),
    ):
        loads = [load] * (bench.pace.rounds + 1)
        cells = rounds(running, loads, bench.pace.seconds, failed=bench.leave_out)
        warm = {name: made[1:] for name, made in cells.items()}
        yield costs(key, f"{title}, {how}", warm)


def _changes(running: list[Running], api: Api, title: str) -> Iterator[Figure]:
    latency_ms: dict[str, list[float]] = {one.name: [] for one in running}
    cpu_us: dict[str, list[float]] = {one.name: [] for one in running}
    for _, one in itertools.product(range(3), running):
        latency_ms[one.name] += [
            updates.latency_s(one, api, _one_more) * 1e3 for _ in range(_CHANGES // 2)
        ]
        cpu_us[one.name].append(updates.cpu_s(one, api, _one_more, count=_CHANGES) * 1e6)
    yield figure("j.update", f"{title}: API response to new answer", "ms", latency_ms)
    yield figure("j.change", f"{title}: CPU for one changed endpoint", "µs", cpu_us)


def _one_more(api: Api) -> tuple[str, bytes]:
    """Put one more endpoint into the first slice; no whole answer shows it, but its own name."""
    added = updates.new_address()
    slice_ = _slice(0, str(added))
    api.ask("PUT", path_of(slice_), slice_)
    return f"{str(added).replace('.', '-')}.{_WIDE.dns_name}", added.packed


def _slice(number: int, *extra: str) -> Object:
    addresses = _WIDE.addresses[number * _IN_A_SLICE : (number + 1) * _IN_A_SLICE]
    slice_ = replace(_WIDE, addresses=addresses).slice_(extra)
    slice_["metadata"]["name"] = f"{_WIDE.name}-{number:02}"
    return slice_
