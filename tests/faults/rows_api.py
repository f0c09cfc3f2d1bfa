"""Rows about the API server and its store: away, slow, refusing, without what it knew."""

from __future__ import annotations

from tests.faults.stage import Stage
from tests.realapi.waiting import until


def away(stage: Stage) -> None:
    """Row 1: gone, things change meanwhile, back."""
    stage.began()
    stage.plane.kill_apiserver()
    with stage.world.past_the_server():
        stage.world.change(6)
        stage.calm(1.5, 60)
        stage.world.change(6)
    stage.plane.start_apiserver()
    stage.over()
    stage.heals(peers_s=35)


def slow(stage: Stage) -> None:
    """Row 2a: every reply begins 10 s late; 4 s in the short mode."""
    stage.began()
    stage.gate.slow(stage.seconds(4, 10))
    stage.world.change(3)
    stage.calm(3, 22)
    stage.world.change(3)
    stage.gate.mend()
    stage.over()
    stage.heals()


def refusing(status: int, stage: Stage) -> None:
    """Rows 2b and 2c: a status instead of every reply."""
    stage.began()
    stage.gate.refuse(status)
    stage.world.change(3)
    stage.calm(2.5, 8)
    stage.world.change(3)
    stage.gate.mend()
    stage.over()
    stage.heals()


def compacted(stage: Stage) -> None:
    """Row 3: the store forgets the past, and the API server is started anew."""
    stage.began()
    stage.gate.away()
    stage.world.change(4)
    stage.plane.compact()
    stage.plane.restart_apiserver()
    stage.gate.mend()
    stage.over()
    stage.heals()


def restarted_meanwhile(stage: Stage) -> None:
    """Row 5: what knows the cluster is restarted while the API server is away."""
    if snapshot := stage.ours.snapshot:
        until(snapshot.exists, wanted="a snapshot")
    stage.began()
    stage.gate.away()
    stage.calm(0.3, 2)
    for pod in stage.pods:
        pod.authority.kill()
    stage.calm(4 if stage.ours.snapshot is None else 2, 12)
    stage.world.change(3)
    stage.gate.mend()
    stage.over()
    stage.heals()
