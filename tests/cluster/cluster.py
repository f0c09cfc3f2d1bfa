"""
A real Kubernetes of one node: started, given images and objects, looked at from all sides.

cluster.sh does the starting and ends everything when its standard input ends, which also happens
when the test run is killed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.realapi.waiting import until

Json = dict[str, Any]

START_S = 240.0
LONG_S = 180.0
"""How long what takes a few seconds may take on a busy machine."""

SYSTEM = "kube-system"
SCRIPTS = Path(__file__).parent / "scripts"


class Cluster:
    """
    One cluster with its data in `folder`; a context manager.

    In `folder`, `kubectl` and `on-node` are commands for people, `log/` is what the servers say.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shell: subprocess.Popen[str] | None = None

    def __enter__(self) -> Cluster:
        # An own session: Ctrl-C reaches the tests alone, and they stop it in good order.
        self._shell = subprocess.Popen(
            [Path(__file__).with_name("cluster.sh"), self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._shell.stdout
        try:
            said = self._shell.stdout.readline()
            assert said == "ready\n", f"the cluster did not start, see {self.folder}/log"
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything, and wait for it."""
        shell, self._shell = self._shell, None
        if shell and shell.stdin and shell.stdout:
            shell.stdin.close()
            shell.wait(LONG_S)
            shell.stdout.close()

    # Commands

    def on_node(
        self, *command: str, stdin: str = "", within_s: float = LONG_S, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a command on the node.

        Raises:
            AssertionError: it failed, and `check` is set; holds what it printed.
        """
        done = subprocess.run(
            [self.folder / "on-node", *command],
            input=stdin, capture_output=True, text=True, timeout=within_s, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def kubectl(self, *args: str, **rest: Any) -> str:
        """Run kubectl as administrator and return its standard output; `rest` as of on_node."""
        return self.on_node("kubectl", *args, **rest).stdout

    def get(self, *args: str) -> Json:
        """Return what `kubectl get` has of these."""
        found: Json = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found

    def apply(self, text: str, *args: str) -> str:
        """Apply manifests and return the warnings of the API server and of kubectl."""
        return self.on_node("kubectl", "apply", *args, "-f", "-", stdin=text).stderr

    def delete(self, text: str) -> None:
        """Delete what these manifests describe, as far as it is there, and wait for it."""
        self.kubectl("delete", "--ignore-not-found", "--wait", "-f", "-", stdin=text)

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive."""
        self.on_node("ctr", "images", "import", "--all-platforms", str(archive), within_s=600)

    def tag(self, image: str, name: str) -> None:
        """Let the node know an image by another name too."""
        self.on_node("ctr", "images", "tag", "--force", image, name)

    # Pods

    def pods(self, selector: str = "k8s-app=kube-dns", namespace: str = SYSTEM) -> list[Json]:
        """Return the pods with these labels, those that are being deleted as well."""
        items: list[Json] = self.get("pods", "-n", namespace, "-l", selector)["items"]
        return items

    def rolled_out(self, workload: str, namespace: str = SYSTEM) -> None:
        """Wait until each pod of a Deployment or StatefulSet is of its last form, and Ready."""
        self.kubectl("-n", namespace, "rollout", "status", workload, f"--timeout={LONG_S:.0f}s")

    def ready(self, *pods: str, namespace: str = "default") -> None:
        """Wait until these pods are Ready."""
        self.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"--timeout={LONG_S:.0f}s",
                     *(f"pod/{pod}" for pod in pods))  # fmt: skip

    def gone(self, pod: Json) -> None:
        """Wait until a pod is no more."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        until(
            lambda: self.kubectl("-n", namespace, "get", "pod", name, "--ignore-not-found"),
            lambda seen: not seen, within_s=LONG_S, wanted="gone",
        )  # fmt: skip

    def pod_exec(self, pod: str, *command: str, **rest: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in a pod of namespace default; `rest` as of on_node."""
        return self.on_node("kubectl", "exec", "-i", pod, "--", *command, **rest)

    def script(self, name: str, *args: str, pod: str = "client", within_s: float = LONG_S) -> Json:
        """Run scripts/NAME with Python inside a pod and return the JSON that it prints."""
        text = (SCRIPTS / name).read_text()
        done = self.pod_exec(pod, "python3", "-", *args, stdin=text, within_s=within_s)
        found: Json = json.loads(done.stdout)
        return found

    def script_on_node(self, name: str, *args: str, within_s: float = LONG_S) -> Json:
        """Run scripts/NAME with Python on the node and return the JSON that it prints."""
        done = self.on_node("python3", str(SCRIPTS / name), *args, within_s=within_s)
        found: Json = json.loads(done.stdout)
        return found

    def load_from(self, pod: str, *args: str) -> Load:
        """Start to ask from inside a pod, see scripts/steady.py."""
        return Load(self.folder, pod, args)

    # Containers

    def signal_container(self, pod: Json, container: str, number: signal.Signals) -> None:
        """Send a signal to every process of a container, from the node."""
        name = container_id(pod, container)
        listed = self.on_node("ctr", "tasks", "ps", name).stdout.splitlines()[1:]
        pids = [line.split()[0] for line in listed]
        assert pids, f"no process in {container}"
        self.on_node("kill", f"-{number.name.removeprefix('SIG')}", *pids)

    def logs(self, pod: Json, container: str, *args: str) -> str:
        """Return what a container said."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        return self.kubectl("-n", namespace, "logs", name, "-c", container, *args, check=False)


class Load:
    """One question per 20 ms from inside a pod, without any retry, until `end`."""

    def __init__(self, folder: Path, pod: str, args: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [folder / "on-node", "kubectl", "exec", "-i", pod, "--",
             "python3", "-c", (SCRIPTS / "steady.py").read_text(), *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout
        assert self._process.stdout.readline() == "started\n"
        self.started = time.time()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def end(self) -> Json:
        """Stop asking; return the counts `asked`, `lost`, `wrong`, and times, see steady.py."""
        said, _ = self._process.communicate("\n", timeout=LONG_S)
        found: Json = json.loads(said)
        return found


def states(pod: Json) -> dict[str, Json]:
    """Return the status of each container of a pod by its name."""
    return {each["name"]: each for each in pod["status"].get("containerStatuses", [])}


def restarts(pod: Json) -> dict[str, int]:
    """Return how often each container of a pod was started again."""
    return {name: state["restartCount"] for name, state in states(pod).items()}


def container_id(pod: Json, container: str) -> str:
    """Return the number by which the node knows a container."""
    found: str = states(pod)[container]["containerID"].rpartition("/")[2]
    return found


def is_ready(pod: Json) -> bool:
    """Tell whether a pod is Ready."""
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
