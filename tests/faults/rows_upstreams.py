"""Row 8: the servers for names outside the cluster."""

from __future__ import annotations

from tests.faults.stage import Stage


def one_dead(stage: Stage) -> None:
    """Row 8a: one of two says nothing."""
    stage.began()
    stage.weather[0].dead = True
    stage.calm(3, 6)
    stage.weather[0].dead = False
    stage.over()
    stage.calm(0.5, 1)


def both_dead(stage: Stage) -> None:
    """Row 8b: both say nothing; the names of the cluster do not notice."""
    stage.began()
    for each in stage.weather:
        each.dead = True
    stage.world.change(2)
    stage.calm(2.5, 10)
    for each in stage.weather:
        each.dead = False
    stage.over()
    stage.calm(2, 4)


def flapping(stage: Stage) -> None:
    """Row 8c: both come and go, each on its own."""
    stage.began()
    for turn in range(6 if stage.short else 24):
        stage.weather[0].dead = turn % 2 == 0
        stage.weather[1].dead = turn % 3 == 0
        stage.calm(0.5)
    for each in stage.weather:
        each.dead = False
    stage.over()
    stage.calm(1.5, 3)


def lossy(loss: float, stage: Stage) -> None:
    """Rows 8d and 8e: both lose packets."""
    stage.began()
    for each in stage.weather:
        each.loss = loss
    stage.calm(3, 6)
    for each in stage.weather:
        each.loss = 0.0
    stage.over()
    stage.calm(0.5, 2)


def delayed(stage: Stage) -> None:
    """Row 8f: both answer 2 s later."""
    stage.began()
    for each in stage.weather:
        each.delay_s = 2.0
    stage.calm(2.5, 6)
    for each in stage.weather:
        each.delay_s = 0.0
    stage.over()
    stage.calm(2.2, 4)
