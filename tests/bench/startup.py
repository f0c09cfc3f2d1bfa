"""Start to first answer on the demo cluster, and what of it is import."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from tests.bench.authorities import AUTHORITIES
from tests.bench.bench import Bench, say
from tests.bench.figures import Figure, figure
from tests.bench.machine import SERVER_CORES, pinned
from tests.bench.pod_memory import DEMO
from tests.bench.question import Question
from tests.bench.systems import KUBEDNS, Setting

_PATIENCE_S = 30.0
_ROUNDS = 5
_PYTHON = "Python alone"


def measure(bench: Bench) -> Iterator[Figure]:
    """Start kubedns on a folder of object files, again and again."""
    say("start on the demo cluster")
    setting = Setting(bench.scratch, DEMO, commands=bench.commands)
    name, address = _cluster_ip_service(DEMO)
    _first_answer_s(setting, name, address)  # compiles what was never imported
    imports: dict[str, list[float]] = {KUBEDNS: [], _PYTHON: []}
    answers = []
    for _ in range(_ROUNDS):
        answers.append(_first_answer_s(setting, name, address))
        imports[_PYTHON].append(_run_s("pass"))
        imports[KUBEDNS].append(_run_s("import kubedns.service"))
    title = "start to first answer, demo cluster"
    yield figure("startup.first", title, "s", {KUBEDNS: answers})
    yield figure("startup.imports", "start and end of Python with the imports", "s", imports)


def _first_answer_s(setting: Setting, name: str, address: bytes) -> float:
    with AUTHORITIES[0].running(setting, ready=False) as one:
        begun = one.processes[0].started
        question = Question(name, one.dns_port)
        try:
            deadline = begun + _PATIENCE_S
            return question.wait_for([address], deadline=deadline, pause_s=0.005) - begun
        finally:
            question.close()


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
