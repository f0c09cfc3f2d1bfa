"""The real API server of a run, filled with services and slices as they are needed."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from tests.bench.machine import ALL_CORES, LOAD_CORES, move, pinned
from tests.bench.objects import NAMESPACES, BenchService
from tests.realapi.api import Api
from tests.realapi.controlplane import ControlPlane

NEEDS = tuple(name for name in ControlPlane.NEEDS if name != "kube-controller-manager")
"""The programs without which there is no cluster."""

_CONNECTIONS = 8


class Cluster(ControlPlane):
    """etcd and kube-apiserver on the load's cores; no controllers, the slices are made by us."""

    def start(self) -> None:
        with pinned(LOAD_CORES):
            super().start()
        self.admin = self.kubeconfig()

    def _start_controllers(self) -> None:
        """Start none: nothing but the changes of a benchmark may happen."""

    def kill_apiserver(self) -> None:
        self._programs.pop("apiserver").kill()

    def start_apiserver(self) -> None:
        with pinned(LOAD_CORES):
            super().start_apiserver()

    @contextmanager
    def connect(self) -> Iterator[Api]:
        """Open one more connection as an administrator; the server closes those that idle."""
        api = Api(self.port, self.authority, self._tokens["admin"])
        try:
            yield api
        finally:
            api.close()

    def make_namespaces(self) -> None:
        """Make the namespaces of the fleet."""
        with self.connect() as api:
            for name in NAMESPACES:
                api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def load(self, services: Iterable[BenchService]) -> None:
        """
        Make all these services at once, over several connections, the last one last.

        The servers have every core meanwhile, so nothing may be measured.
        """
        *most, last = services
        waiting: queue.SimpleQueue[BenchService] = queue.SimpleQueue()
        for service in most:
            waiting.put(service)
        self._move(ALL_CORES)
        with pinned(ALL_CORES), ThreadPoolExecutor(_CONNECTIONS) as pool:
            for done in [pool.submit(self._work, waiting) for _ in range(_CONNECTIONS)]:
                done.result()
        with self.connect() as api:
            api.create(last.slice_(), last.service())
        self._move(LOAD_CORES)

    def _move(self, cores: frozenset[int]) -> None:
        move([one.pid for one in self._programs.values()], cores)

    def _work(self, waiting: queue.SimpleQueue[BenchService]) -> None:
        with self.connect() as api, suppress(queue.Empty):
            while True:
                service = waiting.get_nowait()
                api.create(service.slice_(), service.service())
