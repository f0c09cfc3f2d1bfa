"""Rows about the machine: its disk and its clock."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.stage import Stage
from tests.realapi.waiting import until

HOUR_S = 3600


def small_disk(folder: Path, options: str) -> Sequence[str]:
    """Return a command that runs kubedns with a disk of its own, if not read-only then full."""
    folder.mkdir(parents=True, exist_ok=True)
    return (
        "unshare", "-m", "sh", "-c",
        f'mount -t tmpfs -o {options} none {folder} && '
        f'{{ head -c 1M /dev/zero >{folder}/other; exec "$@"; }}', "sh",
    )  # fmt: skip


def no_room(stage: Stage) -> None:
    """Rows 13a and 13b: the snapshot cannot be written; all else goes on."""
    pod = stage.ours
    stage.began()
    for _ in range(2 if stage.short else 3):
        stage.world.change(2)
        stage.calm(1, 2)
    errors = until(
        lambda: pod.metric(pod.pages, "kubedns_snapshot_errors_total"),
        wanted="a snapshot that failed",
    )
    writes = pod.metric(pod.pages, "kubedns_snapshot_writes_total")
    pod.authority.kill()  # it starts without one
    stage.calm(1.5, 3)
    stage.over()
    stage.heals()
    stage.note(f"snapshot: {errors:.0f} errors, {writes:.0f} written")
    stage.expect(not writes, "the snapshot was written")


def stepping(clock: Path) -> Mapping[str, str]:
    """
    Return the environment in which a process has the wall clock that a file says.

    Raises:
        CalledProcessError: the library for it cannot be compiled.
    """
    clock.parent.mkdir(parents=True, exist_ok=True)
    library = clock.with_suffix(".so")
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    clock.write_text("0")
    return {"LD_PRELOAD": str(library), "CLOCK_STEP": str(clock)}


def _serial(stage: Stage) -> int:
    return int(str(stage.ours.feed().get("serial", 0)))


def clock_stepped(stage: Stage) -> None:
    """Row 14: the clock is an hour ahead, then an hour behind, then right."""
    clock = stage.folder / "clock"
    stage.began()
    for ahead in (HOUR_S, -HOUR_S, 0):
        clock.write_text(f"{ahead}")
        stage.calm(0.6, 2.5)
        stage.world.change(2)
        if ahead > 0:
            until(
                lambda ahead=ahead: _serial(stage) > time.time() + ahead / 2,  # type: ignore[misc]
                wanted="a serial of the stepped clock",
            )
        stage.calm(0.3, 1)
    stage.over()
    stage.heals()
