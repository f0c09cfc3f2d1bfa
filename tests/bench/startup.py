"""Start to first answer on the demo cluster, and what of it is import."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from tests.bench.bench import say
from tests.bench.figures import Figure, Series
from tests.bench.machine import SERVER_CORES, pinned
from tests.bench.question import Question
from tests.bench.systems import KUBEDNS, System

_PATIENCE_S = 30.0
_ROUNDS = 5
_PYTHON = "Python alone"


def measure(kubedns: System, demo: Path) -> Iterator[Figure]:
    """Start kubedns on a folder of object files, again and again."""
    say("start on the demo cluster")
    name, address = _cluster_ip_service(demo)
    _first_answer_s(kubedns, demo, name, address)  # compiles what was never imported
    imports: dict[str, list[float]] = {KUBEDNS: [], _PYTHON: []}
    answers = []
    for _ in range(_ROUNDS):
        answers.append(_first_answer_s(kubedns, demo, name, address))
        imports[_PYTHON].append(_run_s("pass"))
        imports[KUBEDNS].append(_run_s("import kubedns.service"))
    yield Figure("start to first answer, demo cluster", "s", [Series(KUBEDNS, answers, 1.0)])
    yield Figure(
        "start and end of Python with the imports",
        "s",
        [Series(name, taken) for name, taken in imports.items()],
    )


def _first_answer_s(kubedns: System, demo: Path, name: str, address: bytes) -> float:
    one = kubedns.start(demo)
    question = Question(name, one.dns_port)
    try:
        deadline = one.process.started + _PATIENCE_S
        return question.wait_for([address], deadline=deadline, pause_s=0.005) - one.process.started
    finally:
        question.close()
        one.stop()


def _run_s(code: str) -> float:
    with pinned(SERVER_CORES):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.monotonic() - begun


def _cluster_ip_service(demo: Path) -> tuple[str, bytes]:
    """Return the DNS name of a service of the demo cluster that has an IPv4 cluster IP, and it."""
    for path in sorted(demo.glob("*.y*ml")):
        for document in yaml.safe_load_all(path.read_text()):
            for item in (document or {}).get("items", [document or {}]):
                spec = item.get("spec", {})
                if item.get("kind") == "Service" and "." in spec.get("clusterIP", ""):
                    meta = item["metadata"]
                    name = f"{meta['name']}.{meta.get('namespace', 'default')}.svc.cluster.local"
                    return name, IPv4Address(spec["clusterIP"]).packed
    raise LookupError(f"no Service with a clusterIP in {demo}")
