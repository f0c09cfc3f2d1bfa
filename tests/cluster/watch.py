"""What becomes of pods, as the API server tells it, with the time of each change."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from tests.cluster.cluster import SYSTEM, Cluster, Json, is_ready, states
from tests.realapi.waiting import until


@dataclass(slots=True)
class Seen:
    """One pod: monotonic seconds of its first sight, Ready, deletion and end; exit codes."""

    created: float
    ready: float = 0.0
    deleted: float = 0.0
    gone: float = 0.0
    exit_codes: dict[str, int] = field(default_factory=dict)


class Watch:
    """A watch on the pods with a label; a context manager. What it saw is in `pods`, by name."""

    def __init__(self, cluster: Cluster, selector: str = "k8s-app=kube-dns") -> None:
        self.pods: dict[str, Seen] = {}
        # From what the server has in its memory (0): etcd 3.4 gives it no means to wait for more.
        path = (
            f"/api/v1/namespaces/{SYSTEM}/pods?watch=1&resourceVersion=0"
            f"&labelSelector={selector.replace('=', '%3D')}"
        )
        self._process = subprocess.Popen(
            [cluster.folder / "on-node", "kubectl", "get", "--raw", path],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        until(lambda: self.pods, wanted="the pods that are there")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._thread.join()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            assert event["type"] != "ERROR", line
            self._note(event["type"], event["object"], time.monotonic())

    def _note(self, kind: str, pod: Json, now: float) -> None:
        seen = self.pods.setdefault(pod["metadata"]["name"], Seen(now))
        if is_ready(pod) and not seen.ready:
            seen.ready = now
        if pod["metadata"].get("deletionTimestamp") and not seen.deleted:
            seen.deleted = now
        for name, state in states(pod).items():
            if "terminated" in state["state"]:
                seen.exit_codes[name] = state["state"]["terminated"]["exitCode"]
        if kind == "DELETED":
            seen.gone = now
