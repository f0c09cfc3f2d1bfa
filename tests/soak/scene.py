"""All that the soak needs, started and ended: the cluster, one pod of ours, the load, the model."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.gate import Gate
from tests.faults.pods import Ours, fetch
from tests.faults.rows_host import stepping
from tests.realapi.controlplane import ControlPlane
from tests.realapi.mounted import mount
from tests.soak.abroad import Abroad
from tests.soak.asker import Asker
from tests.soak.changing import Changing
from tests.soak.cluster import Cluster
from tests.soak.contents import keys_of
from tests.soak.model import Model
from tests.soak.questions import STUB

RATE = 2_200
"""Questions a second: the least is 2,000."""

_DISK_MIB = 16


@dataclass
class Scene:
    """
    The scene; `lock` is held by whoever uses the model.

    pod: the one that is asked. faults: promises that were not kept, beside those of the model.
    """

    folder: Path
    plane: ControlPlane
    gate: Gate
    abroad: Abroad
    cluster: Cluster
    model: Model
    clock: Path
    disk: Path
    lock: threading.RLock = field(default_factory=threading.RLock)
    stopped: threading.Event = field(default_factory=threading.Event)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    pods: int = 0
    pod: Ours = field(init=False)
    asker: Asker = field(init=False)
    changing: Changing = field(init=False)

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:8.1f} s  {text}", flush=True)

    def fault(self, text: str) -> None:
        """Note a promise that was not kept."""
        self.faults.append(text)
        self.say(f"FAULT: {text}")

    def wait(self, seconds: float) -> None:
        """Let time pass, unless all is to end."""
        self.stopped.wait(seconds)

    def is_calm(self) -> bool:
        with self.lock:
            return self.model.is_calm(time.monotonic())

    def start_pod(self) -> Ours:
        """Start one more pod; it is not asked yet."""
        self.pods += 1
        pod = Ours(
            self.folder / f"pod-{self.pods}",
            self.plane.kubeconfig(port=self.gate.port),
            self.abroad.upstreams,
            snapshot=self.disk / f"snapshot-{self.pods}",
            sidecar=True,
            drain="3s",
            lame_duck="4s",
            tapped=True,
            environment={**stepping(self.clock)},
        )
        mount(pod.config, self.config(0))
        return pod

    def config(self, world: int) -> dict[str, str]:
        """Return a good ConfigMap: one of the stub's servers, and the upstreams."""
        return {
            "stubDomains": json.dumps({STUB: [self.abroad.nameserver(2 + world)]}),
            "upstreamNameservers": json.dumps([self.abroad.nameserver(each) for each in (0, 1)]),
        }

    def upstream_sockets(self) -> int:
        """Return how many sockets the forwarder has open to ask servers."""
        load = json.loads(fetch(self.pod.admin, "/status") or "{}").get("load", {})
        return int(load.get("upstream_sockets", 0))

    def unwell(self) -> list[str]:
        """Return what the pod says of itself that should not be so when all is calm."""
        pod, found = self.pod, []
        if not pod.feed().get("alive"):
            found.append("the change feed is not alive")
        if pod.metric(pod.pages, "kubedns_synced") != 1:
            found.append("kubedns is not in sync")
        if pod.metric(pod.pages, "kubedns_stale") != 0:
            found.append("kubedns serves a snapshot")
        if pod.metric(pod.admin, "kubedns_forwarder_exceptions_total"):
            found.append("the forwarder met an exception")
        if pod.metric(pod.pages, "kubedns_dns_exceptions_total"):
            found.append("kubedns met an exception")
        if not (text := fetch(pod.operator, "/healthz?format=text")).startswith("ok"):
            found.append(f"the sidecar says: {text.strip()[:200]!r}")
        return found

    def ends(self, pod: Ours) -> None:
        """End a pod; it wrote no traceback."""
        pod.close()
        if text := pod.tracebacks():
            self.fault(text)


@contextlib.contextmanager
def scene(folder: Path, seed: int, *, mounts: bool, rate: float = RATE) -> Iterator[Scene]:
    """Start all; mounts: a small disk for the snapshots can be mounted, and nobody else sees it."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        disk = folder / "disk"
        disk.mkdir()
        if mounts:
            options = ("-t", "tmpfs", "-o", f"size={_DISK_MIB}m")
            subprocess.run(["mount", *options, "none", disk], check=True)
            stack.callback(lambda: subprocess.run(["umount", "-l", disk], check=False))
        plane = stack.enter_context(ControlPlane(folder / "plane"))
        key = plane.authority.with_suffix(".key")
        gate = stack.enter_context(Gate(plane.port, plane.authority, key))
        abroad = Abroad(folder / "outside.log")
        stack.callback(abroad.stop)
        cluster = Cluster(plane, Random(f"{seed}, the cluster"))
        cluster.create()
        clock = folder / "clock"
        made = Scene(folder, plane, gate, abroad, cluster, Model(cluster.history), clock, disk)
        made.model.say = made.say
        made.pod = made.start_pod()
        stack.callback(lambda: made.ends(made.pod))
        made.pod.ready()
        keys = list(keys_of(cluster.history))
        made.asker = Asker(keys, rate, seed, [made.pod.port], folder / "asking.log")
        stack.callback(made.asker.stop)
        made.began = made.model.started = time.monotonic()
        made.changing = Changing(cluster, made.is_calm, lambda: made.pod.port)
        stack.callback(made.changing.stop)
        stack.callback(made.stopped.set)
        yield made
