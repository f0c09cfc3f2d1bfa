"""Rows about our own processes: killed, paused, replaced."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from tests.faults.asking import look
from tests.faults.balancer import Balancer
from tests.faults.pods import Ours, Pod, fetch
from tests.faults.stage import Stage
from tests.realapi.waiting import until


def authority_killed(stage: Stage) -> None:
    """Row 4a: kubedns gets SIGKILL, and is started again; twice."""
    stage.began()
    for _ in range(1 if stage.short else 2):
        for pod in stage.pods:
            pod.authority.kill()
        stage.world.change(2)
        stage.calm(3, 6)
    stage.over()
    stage.heals()


def authority_paused(stage: Stage) -> None:
    """Row 4b: kubedns gets SIGSTOP, things change, and it goes on."""
    stage.began()
    for pod in stage.pods:
        pod.authority.pause()
    stage.world.change(3)
    stage.calm(4.5, 30)
    for pod in stage.pods:
        pod.authority.go_on()
    stage.over()
    stage.heals()


def cache_killed(stage: Stage) -> None:
    """Row 6a: the forwarder gets SIGKILL, and is started again."""
    steady = stage.world.name("steady-0")
    stage.began()
    for _ in range(1 if stage.short else 2):
        for pod in stage.pods:
            pod.cache.kill()
        killed = time.monotonic()
        until(lambda: look(stage.ours.port, steady, 0.2), wanted="an answer")
        # What it had not read yet, or not answered, is lost with it.
        stage.nobody.append((killed - 1.0, time.monotonic()))
        stage.note(f"the forwarder answered {time.monotonic() - killed:.1f} s later")
        stage.calm(3, 5)
    stage.over()
    stage.heals()


def sidecar_killed(stage: Stage) -> None:
    """Row 7: the sidecar gets SIGKILL, again and again."""
    stage.began()
    until(lambda: "forwarder" in _metrics(stage.ours), wanted="metrics of the sidecar")
    for _ in range(2 if stage.short else 4):
        stage.ours.sidecar.kill()
        stage.world.change(1)
        stage.calm(1, 2)
    stage.over()
    stage.heals()


def _metrics(pod: Ours) -> str:
    return fetch(pod.operator, "/metrics")


def rolled(stage: Stage) -> None:
    """
    Row 6b: both pods behind one address are replaced, one after the other, in good order.

    A pod is in service from when it is ready until half a second after it was asked to end: so
    long takes the news that its address has gone.
    """
    with contextlib.ExitStack() as stack:
        rolls: list[tuple[Balancer, list[Pod]]] = []
        for first in stage.pods:
            second = stage.another(first)
            balancer = stack.enter_context(Balancer(first.port, second.port))
            stage.load(balancer.port, first.name)
            rolls.append((balancer, [first, second]))
        stage.calm(0.5, 3)
        stage.began()
        for _ in range(1 if stage.short else 2):
            _replace(stage, rolls)
        stage.over()
        stage.pods = [pod for _, pods in rolls for pod in pods]
        stage.heals()
        stage.calm(0.5, 2)
        stage.end_loads()


def _replace(stage: Stage, rolls: Sequence[tuple[Balancer, list[Pod]]]) -> None:
    """Put a new pod in the place of the oldest one, behind every balancer."""
    for balancer, pods in rolls:
        pods.append(stage.another(pods[0]))
        balancer.serve_by([pod.port for pod in pods])
    stage.world.change(2)
    olds = [pods.pop(0) for _, pods in rolls]
    for old in olds:
        for part in old.parts:
            part.terminate()
    stage.calm(0.5)
    for balancer, pods in rolls:
        balancer.serve_by([pod.port for pod in pods])
    began = time.monotonic()
    for old in reversed(olds):
        ends = [part.program.ended(20) for part in old.parts]
        stage.note(f"{old.name} ended {time.monotonic() - began:.1f} s later, status {ends}")
        stage.expect(not isinstance(old, Ours) or not any(ends), f"exit status {ends}")
