"""CPU per query: A questions for ClusterIP services, asked of each server directly over UDP."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.bench import dnsperf
from tests.bench.bench import Bench, say
from tests.bench.compare import compare
from tests.bench.dnsperf import Load
from tests.bench.figures import Figure
from tests.bench.objects import BenchService
from tests.bench.question import Question
from tests.bench.systems import COREDNS, ECHO, Running

_QUESTIONS = 2_000
_GOALS = {COREDNS: 0.35, ECHO: 1.6}
_START_S = 30.0


def measure(bench: Bench, services: list[BenchService]) -> Iterator[Figure]:
    """Measure with the names of these services, of which those with a cluster IP are asked."""
    asked = [service for service in services if service.cluster_ip]
    load = Load(_question_file(bench.scratch, asked))
    loads = {
        "CPU per query, saturated": load,
        "CPU per query, saturated, EDNS": replace(load, edns=True),
        "CPU per query at 1,000 queries a second": replace(load, rate=1_000),
        "CPU per query at 1,000 queries a second, EDNS": replace(load, rate=1_000, edns=True),
    }
    systems = [*bench.watchers, *([bench.echo] if bench.echo else [])]
    with ExitStack() as stack:
        running = [stack.enter_context(bench.running(system)) for system in systems]
        for one in running:
            _answers(one, asked)
            dnsperf.run(load, one.dns_port, seconds=1)  # warm-up, discarded
        for title, this in loads.items():
            say(title)
            rounds, seconds = (3, 1.0) if bench.quick else (5, 2.0)
            yield from compare(title, running, [this] * rounds, seconds=seconds, goals=_GOALS)


def _answers(one: Running, services: list[BenchService]) -> None:
    """Ask for the first and the last of the services until the answers are right."""
    if one.name == ECHO:
        return
    for service in (services[0], services[-1]):
        question = Question(service.dns_name, one.dns_port)
        deadline = time.monotonic() + _START_S
        question.wait_for(service.answer, deadline=deadline, pause_s=0.01)
        question.close()


def _question_file(scratch: Path, services: list[BenchService]) -> Path:
    """Write a mix of these names, in an order that is the same in every run."""
    names = random.Random(3).choices([service.dns_name for service in services], k=_QUESTIONS)
    path = scratch / "questions"
    path.write_text("".join(f"{name}. A\n" for name in names))
    return path
