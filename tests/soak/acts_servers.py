"""What happens to the servers of others: the API server, those outside, and the ConfigMap."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from tests.realapi.mounted import mount
from tests.soak.act import Act
from tests.soak.scene import Scene

# The API server


def gate(disturb: Callable[[Scene, Random], None]) -> Act:
    def act(scene: Scene, seconds: float, rng: Random) -> None:
        disturb(scene, rng)
        scene.wait(seconds)
        scene.gate.mend()

    return act


@contextlib.contextmanager
def _past_the_server(scene: Scene) -> Iterator[None]:
    with scene.cluster.lock:
        scene.cluster.past = True
    yield
    with scene.cluster.lock:
        scene.plane.api.close()
        scene.cluster.past = False


def api_killed(scene: Scene, seconds: float, rng: Random) -> None:
    with _past_the_server(scene):
        scene.plane.kill_apiserver()
        scene.wait(seconds)
        scene.plane.start_apiserver()


def compacted(scene: Scene, seconds: float, rng: Random) -> None:
    scene.gate.away()
    scene.wait(seconds)
    with _past_the_server(scene):
        scene.plane.compact()
        scene.plane.restart_apiserver()
    scene.gate.mend()


# The servers outside


def weather(*servers: int, **weather: float) -> Act:
    def act(scene: Scene, seconds: float, rng: Random) -> None:
        scene.abroad.weather(*servers, **weather)  # type: ignore[arg-type]
        scene.wait(seconds)
        scene.abroad.weather(*servers)

    return act


def flapping(scene: Scene, seconds: float, rng: Random) -> None:
    over = time.monotonic() + seconds
    while time.monotonic() < over and not scene.stopped.is_set():
        for server in (0, 1):
            scene.abroad.weather(server, dead=rng.random() < 0.5)
        scene.wait(0.5)
    scene.abroad.weather(0, 1)


# The ConfigMap

_BROKEN = (
    {"stubDomains": "{", "upstreamNameservers": "[", "extensions": "{{"},
    {"stubDomains": '{"cluster.local": "x"}', "upstreamNameservers": '["no address"]'},
    {"upstreamNameservers": "\0\1\2", "stubDomains": "[", "extensions": "- 1"},
)


def config_changed(scene: Scene, seconds: float, rng: Random) -> None:
    folder = scene.pod.config
    over = time.monotonic() + seconds
    while time.monotonic() < over and not scene.stopped.is_set():
        draw = rng.random()
        if draw < 0.4:
            mount(folder, rng.choice(_BROKEN))  # the last good values stay
        elif draw < 0.6:
            scene.cluster.stub_becomes(None, partial(mount, folder, {}))
        else:
            world = rng.randrange(2)
            scene.cluster.stub_becomes(world, partial(mount, folder, scene.config(world)))
        scene.wait(rng.choice((0.02, 0.1, 0.5, 2.0)))
    scene.cluster.stub_becomes(0, partial(mount, folder, scene.config(0)))
