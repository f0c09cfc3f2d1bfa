"""The plan carried out: disturbances in threads, answers judged, the pod looked at when calm."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random

import psutil

from tests.soak.acts import ACTS
from tests.soak.busy import MUCH, Waits
from tests.soak.kinds import BUSY
from tests.soak.model import GIVE_UP_S, Window
from tests.soak.pace import Pace
from tests.soak.plan import CALM_S, Disturbance, Episode
from tests.soak.scene import Scene
from tests.soak.trend import Sample, grows

_TICK_S = 0.2
_AT_ONCE = 500  # answers judged while the model is held
_UNWELL_S = 30.0  # after which the pod must say that it is well
_KEPT_MESSAGES = 2000
_LOOK_S = 1.0


class Running:
    """Carries out a plan. samples: what the processes took at calm times."""

    def __init__(self, scene: Scene, seed: int, rate: float) -> None:
        self._scene, self._seed = scene, seed
        self.samples: list[Sample] = []
        self.well_s: list[float] = []
        self.shift_s = 0.0
        # What a thread started ends with it, so these stay.
        self._pool = ThreadPoolExecutor(8)
        self._waits, self._looked = Waits(), 0.0
        self._pace = Pace(rate)
        self._busy: Window | None = None
        self.busy_s = 0.0
        self.waited: list[float] = []

    def run(self, episodes: Sequence[Episode], seconds: float) -> None:
        """Play all episodes, then be calm to the end."""
        now = 0.0
        for number, episode in enumerate(episodes, 1):
            self._play(number, episode)
            now = episode.calm_over
        self._until(self._scene.began + max(seconds, now + self.shift_s))

    def end(self) -> None:
        """Judge what is left, once the load has ended; say what was not kept."""
        scene = self._scene
        self._judge(everything=True)
        with scene.lock:
            scene.model.closes(float("inf"))
        for text in grows(self.samples, time.monotonic() - scene.began):
            scene.fault(text)
        if scene.changing.fault:
            scene.fault(f"the cluster could not be changed any more: {scene.changing.fault}")
        for log in (scene.asker.log, scene.abroad.log):
            if text := log.read_text(errors="replace"):
                scene.fault(f"{log.name}: {text[-2000:]}")
        self._pool.shutdown()

    def _play(self, number: int, episode: Episode) -> None:
        scene = self._scene
        running: list[Future[None]] = []
        for each in episode.disturbances:
            self._until(scene.began + self.shift_s + each.at)
            running.append(self._pool.submit(self._disturb, each))
        while not all(future.done() for future in running):
            self._tick()
        over = time.monotonic()
        well = self._pool.submit(self._well, over)
        self._until(over + CALM_S)
        while not well.done():
            self._tick()
        well.result()
        self._look()
        with scene.lock:
            scene.model.closes(time.monotonic() - 2 * GIVE_UP_S)
        del scene.pod.tap.seen[:-_KEPT_MESSAGES]
        self.shift_s = time.monotonic() - scene.began - episode.calm_over
        scene.say(f"episode {number} is over; {len(scene.faults)} faults so far")

    def _disturb(self, each: Disturbance) -> None:
        scene = self._scene
        with scene.lock:
            window = scene.model.begins(each.kind, time.monotonic())
        scene.say(f"{each.kind.name} begins, for {each.lasts:.1f} s")
        try:
            ACTS[each.kind.name](scene, each.lasts, Random(f"{self._seed}, {each.number}"))
        except Exception:
            scene.fault(f"{each.kind.name} itself failed: {traceback.format_exc()}")
        with scene.lock:
            scene.model.ends(window, time.monotonic())
        scene.say(f"{each.kind.name} is over")

    def _well(self, since: float) -> None:
        """Wait until the pod says that it is well."""
        scene, busy_s = self._scene, self.busy_s
        while found := scene.unwell():
            if time.monotonic() > since + _UNWELL_S + self.busy_s - busy_s:
                scene.fault(f"unwell {_UNWELL_S:.0f} s later: {found}")
                return
            scene.wait(0.3)
        self.well_s.append(time.monotonic() - since)

    def _look(self) -> None:
        scene = self._scene
        now = time.monotonic()
        sockets = scene.upstream_sockets()
        for part in scene.pod.parts:
            # It may have been started anew just now.
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(part.pid)
                self.samples.append(
                    Sample(
                        now - scene.began,
                        part.log.stem,
                        time.time() - process.create_time(),
                        process.memory_info().rss / (1 << 20),
                        process.num_fds() - (sockets if part is scene.pod.cache else 0),
                        process.num_threads(),
                    )
                )

    def _until(self, moment: float) -> None:
        while time.monotonic() < moment:
            self._tick(moment - time.monotonic())

    def _tick(self, most: float = _TICK_S) -> None:
        scene = self._scene
        self._judge()
        if not scene.asker.alive() or not scene.abroad.alive():
            raise RuntimeError(f"a process of the soak ended: {scene.asker.log.read_text()}")
        self._look_at_machine()
        time.sleep(max(min(most, _TICK_S), 0.0))

    def _look_at_machine(self) -> None:
        """Note it when the machine is too busy for what is asked of it."""
        scene, now = self._scene, time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        passed, self._looked = min(now - self._looked, 2 * _LOOK_S), now
        pids = [scene.pod.authority.pid, scene.pod.cache.pid, scene.asker.pid, os.getpid()]
        share = self._waits.look(pids)
        self.waited.append(round(share, 2))
        if self._pace.looked(share, MUCH):
            scene.asker.ask(self._pace.rate)
        with scene.lock:
            if share > MUCH:
                self.busy_s += passed
                if self._busy is None:
                    self._busy = scene.model.begins(BUSY, now - passed)
            elif self._busy is not None:
                scene.model.ends(self._busy, now)
                self._busy = None

    def _judge(self, *, everything: bool = False) -> None:
        """Judge all answers of a time of which all changes are known."""
        scene = self._scene
        brought = scene.asker.brought
        horizon = float("inf") if everything else scene.cluster.horizon()
        while brought and brought[0].answered < horizon:
            with scene.lock:
                for _ in range(_AT_ONCE):
                    if not brought or brought[0].answered >= horizon:
                        break
                    scene.model.judge(brought.popleft())
