"""What happens to our own processes, to their disk and to their clock."""

from __future__ import annotations

import contextlib
import subprocess
import time
from functools import partial
from random import Random

from tests.realapi.waiting import until
from tests.soak.contents import ZONE
from tests.soak.once import ask_once
from tests.soak.questions import SILENT, A, Key
from tests.soak.scene import Scene

# Our processes


def kubedns_killed(scene: Scene, seconds: float, rng: Random) -> None:
    scene.pod.authority.kill()
    scene.wait(seconds)


def kubedns_stopped(scene: Scene, seconds: float, rng: Random) -> None:
    scene.pod.authority.pause()
    scene.wait(seconds)
    scene.pod.authority.go_on()


def forwarder_killed(scene: Scene, seconds: float, rng: Random) -> None:
    killed = time.monotonic()
    port = scene.pod.port
    scene.pod.cache.kill()
    until(lambda: _is_there(port), within_s=60, wanted="a forwarder")
    with scene.lock:
        scene.model.nobody(killed, time.monotonic())
    scene.notes.append(f"the forwarder was there again after {time.monotonic() - killed:.1f} s")
    scene.wait(killed + seconds - time.monotonic())


def _is_there(port: int) -> bool:
    # Without recursion it answers at once, whatever it knows.
    answer = ask_once(port, Key(f"a.{ZONE}", A), timeout_s=0.2, recurse=False)
    return answer[0] != SILENT


def sidecar_killed(scene: Scene, seconds: float, rng: Random) -> None:
    over = time.monotonic() + seconds
    while time.monotonic() < over and not scene.stopped.is_set():
        scene.pod.sidecar.kill()
        scene.wait(rng.uniform(0.5, 2.0))


def rolled(scene: Scene, seconds: float, rng: Random) -> None:
    """Replace the pod: it is asked until half a second after it was told to end."""
    old, new = scene.pod, scene.start_pod()
    new.ready()
    scene.asker.serve_by([old.port, new.port])
    scene.wait(seconds / 3)
    for part in old.parts:
        part.terminate()
    scene.pod = new
    scene.wait(0.5)
    scene.asker.serve_by([new.port])
    ends = [part.program.ended(30) for part in old.parts]
    if any(ends):
        scene.fault(f"a pod that was asked to end ended with status {ends}")
    scene.ends(old)
    scene.wait(seconds / 3)


HOUR_S = 3600
# The machine


def disk_full(scene: Scene, seconds: float, rng: Random) -> None:
    other = scene.disk / "other"
    with contextlib.suppress(OSError), other.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(1 << 16))
    scene.wait(seconds)
    other.unlink()


def disk_read_only(scene: Scene, seconds: float, rng: Random) -> None:
    mounted = partial(subprocess.run, check=True)
    # A file that is being written to would hinder it.
    for _ in range(20):
        if not mounted(["mount", "-o", "remount,ro", scene.disk], check=False).returncode:
            break
        scene.wait(0.1)
    scene.wait(seconds)
    mounted(["mount", "-o", "remount,rw", scene.disk])


def clock_stepped(scene: Scene, seconds: float, rng: Random) -> None:
    for ahead in rng.sample((HOUR_S, -HOUR_S), 2):
        scene.clock.write_text(f"{ahead}")
        scene.wait(seconds / 2)
    scene.clock.write_text("0")
